"""Which texts hold any of a list of literals, whatever their case: one compiled pass (Aho and Corasick 1975) over code points.

So that patterns that are long lists of words are searched only where one of the words stands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from pairs.jit import jit
from pairs.spans import Spans


class Literals:
    """Lists of literals, made ready for searching."""

    def __init__(self, *lists: Iterable[str]) -> None:
        """Builds the automaton.

        Args:
            *lists: At most eight; no literal is empty; every letter in any case.
        """
        lists = tuple([literal.lower() for literal in literals] for literals in lists)
        folded = sorted({literal for literals in lists for literal in literals})
        letters = sorted({letter for literal in folded for letter in literal})
        number = {letter: at for at, letter in enumerate(letters, 1)}
        # Beyond the basic plane stands nothing that is looked for.
        self._class = np.zeros(0x10001, np.uint8 if len(letters) < 256 else np.uint16)
        for code in range(0x10000):
            letter = chr(code)
            if letter in number or letter.lower() in number or letter.casefold() in number:
                self._class[code] = number.get(letter) or number.get(letter.lower()) or number[letter.casefold()]
        goto: list[dict[int, int]] = [{}]
        found = [0]
        for literal in folded:
            state = 0
            for letter in literal:
                if number[letter] not in goto[state]:
                    goto.append({})
                    found.append(0)
                    goto[state][number[letter]] = len(goto) - 1
                state = goto[state][number[letter]]
            found[state] = sum(1 << at for at, literals in enumerate(lists) if literal in literals)
        self._next = np.zeros((len(goto), len(letters) + 1), np.uint16)
        back = [0] * len(goto)
        waiting = deque([0])
        while waiting:
            state = waiting.popleft()
            found[state] |= found[back[state]]
            for at in range(1, len(letters) + 1):
                further = goto[state].get(at)
                fallen = self._next[back[state], at] if state else 0
                self._next[state, at] = fallen if further is None else further
                if further is not None:
                    back[further] = int(fallen)
                    waiting.append(further)
        self._found = np.array(found, np.uint8)

    def found(self, texts: Spans) -> npt.NDArray[np.uint8]:
        """uint8 (n,): bit i is set where a text holds any of list i."""
        held = np.zeros(len(texts), np.uint8)
        _search(texts.code, texts.begin, texts.end, self._class, self._next, self._found, held)
        return held


@jit
def _search(code: Any, begin: Any, end: Any, classes: Any, following: Any, found: Any, held: Any) -> None:
    for row in range(len(begin)):
        state = 0
        here = np.uint8(0)
        for at in range(begin[row], end[row]):
            state = following[state, classes[min(code[at], np.uint32(0x10000))]]
            here |= found[state]
        held[row] = here
