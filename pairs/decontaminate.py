"""Pairs that are in an evaluation set: training on them would make its figures worthless."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, field_validator

from pairs import arrow, near, tokens

Bools = npt.NDArray[np.bool_]
UInt64 = npt.NDArray[np.uint64]

KINDS: Final = ("sha256", "phash", "ngram")
"""What an evaluation set is boiled down to."""


class DecontaminateOptions(BaseModel):
    """Which evaluation sets, and how near is too near."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sets: tuple[str, ...] = Field(
        min_length=1,
        description="folders of pictures and .txt files, parquet files (pictures and texts in their usual columns), or lists: "
        ".txt files with a hash a line, 16 hex digits (perceptual) or 64 (sha256)",
    )
    image_distance: int | None = Field(
        4,
        ge=0,
        le=near.MAX_DISTANCE,
        description="contaminated_image: bits of the perceptual hash that may differ; null: off",
    )
    text_words: int | None = Field(
        8,
        ge=3,
        le=100,
        description="contaminated_text: a run of so many words in common (two letters of a script without spaces "
        "count as one); null: off",
    )

    @field_validator("sets", mode="before")
    @classmethod
    def _listed(cls, given: object) -> object:
        # Strict reading of Python values takes no list for a tuple.
        return tuple(given) if isinstance(given, list) else given


@dataclass(frozen=True)
class EvaluationSets:
    """Evaluation sets as hashes.

    Attributes:
        sha256: Hex digests of the pictures' bytes.
        phash: Their perceptual hashes, to look up in.
        ngrams: uint64, sorted: hashes of the n-grams of the texts.
        words: Words of an n-gram.
    """

    sha256: pa.StringArray
    phash: near.HashIndex | None
    ngrams: UInt64
    words: int | None

    @classmethod
    def of(
        cls,
        options: DecontaminateOptions,
        *,
        sha256: Iterable[str] = (),
        phash: UInt64 | Iterable[int] = (),
        texts: pa.StringArray | None = None,
        ngrams: UInt64 | None = None,
    ) -> EvaluationSets:
        """Builds the look-up tables.

        Args:
            options: The bounds.
            sha256: Digests of pictures.
            phash: Perceptual hashes of pictures.
            texts: Texts, normalised as alt-texts are.
            ngrams: Their n-grams, where they have been cut already.
        """
        hashes = np.array(list(phash), np.uint64)
        distance = options.image_distance
        if ngrams is None:
            ngrams = np.zeros(0, np.uint64)
            if texts is not None and options.text_words is not None:
                ngrams = np.unique(tokens.ngrams(texts, options.text_words)[0])
        return cls(
            sha256=pa.array(sorted(set(sha256)), pa.string()),
            phash=None if distance is None or not len(hashes) else near.HashIndex(hashes, distance),
            ngrams=ngrams,
            words=options.text_words,
        )

    def holds_image(self, sha256: pa.StringArray, phash: pa.Array) -> Bools:
        """bool (n,): which pictures are in a set: the same bytes, or a perceptual hash within the distance."""
        found = arrow.mask(pc.is_in(sha256, value_set=self.sha256))
        if self.phash is not None:
            has = arrow.mask(pc.is_valid(phash))
            hashes = phash.fill_null(0).to_numpy(zero_copy_only=False).astype(np.uint64)
            found |= has & self.phash.near(hashes)
        return found

    def holds_text(self, texts: pa.StringArray) -> Bools:
        """bool (n,): which texts have an n-gram in common with a set."""
        found = np.zeros(len(texts), bool)
        if self.words is not None and len(self.ngrams):
            hashes, rows = tokens.ngrams(texts, self.words)
            found[rows[tokens.known(hashes, self.ngrams)]] = True
        return found
