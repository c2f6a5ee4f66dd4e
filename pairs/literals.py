"""Which texts hold one of a list of literals, whatever their case: one compiled pass (Aho and Corasick 1975) over code points.

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
    """A list of literals, made ready for searching."""

    def __init__(self, literals: Iterable[str]) -> None:
        """Builds the automaton.

        Args:
            literals: None empty; every letter in any case.
        """
        folded = sorted({literal.lower() for literal in literals})
        letters = sorted({letter for literal in folded for letter in literal})
        number = {letter: at for at, letter in enumerate(letters, 1)}
        # Beyond the basic plane stands nothing that is looked for.
        self._class = np.zeros(0x10001, np.uint8 if len(letters) < 256 else np.uint16)
        for code in range(0x10000):
            letter = chr(code)
            if letter in number or letter.lower() in number or letter.casefold() in number:
                self._class[code] = number.get(letter) or number.get(letter.lower()) or number[letter.casefold()]
        goto: list[dict[int, int]] = [{}]
        found = [False]
        for literal in folded:
            state = 0
            for letter in literal:
                if number[letter] not in goto[state]:
                    goto.append({})
                    found.append(False)
                    goto[state][number[letter]] = len(goto) - 1
                state = goto[state][number[letter]]
            found[state] = True
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
        self._found = np.array(found)

    def found(self, texts: Spans) -> npt.NDArray[np.bool_]:
        """bool (n,): the texts that hold any of them."""
        held = np.zeros(len(texts), bool)
        _search(texts.code, texts.begin, texts.end, self._class, self._next, self._found, held)
        return held


@jit
def _search(code: Any, begin: Any, end: Any, classes: Any, following: Any, found: Any, held: Any) -> None:
    for row in range(len(begin)):
        state = 0
        for at in range(begin[row], end[row]):
            state = following[state, classes[min(code[at], np.uint32(0x10000))]]
            if found[state]:
                held[row] = True
                break
