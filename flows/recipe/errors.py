"""Faults of a recipe."""

from __future__ import annotations


class RecipeError(Exception):
    """A recipe that cannot be used. The message has one line a fault."""


class PlacedError(ValueError):
    """A fault that a validator of a whole model found in one of its keys."""

    def __init__(self, place: tuple[str, ...], words: str) -> None:
        super().__init__(words)
        self.place = place
