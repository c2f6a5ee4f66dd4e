"""Which neighbours of a document are drawn: in the order of their hashes, examined only as far as is needed.

Neighbours are sentences side by side in one paragraph. Each has a hash of (seed, source, document, place). In the order of these a
neighbour is drawn if it passes the rules and shares no sentence with one drawn before, until the document has its number. What is
behind that is never measured, and the result is the same as if all were.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pairs.jit import jit
from pairs.paragraphs import number_in
from pairs.sentence_facts import Facts, measure
from pairs.spans import Spans

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]


@dataclass
class Drawn:
    """What was drawn.

    Attributes:
        chosen: int64 (k,), rising: numbers of the neighbours drawn; of a document in which none passes, the one of least hash.
        facts: Of every sentence, as `measure` gives them; only those of sentences that were examined are filled.
        reason: int64 (m,): the rule that each examined neighbour failed (its number as `check` gives it), -1 where it passes, -2
            where it was not examined.
    """

    chosen: Ints
    facts: Facts
    reason: Ints


def draw(
    sentences: Spans,
    left: Ints,
    doc: Ints,
    hashes: UInt64,
    limit: int | None,
    check: Callable[[Facts, Ints], Ints],
) -> Drawn:
    """Draws neighbours.

    Args:
        sentences: n sentences.
        left: int64 (m,), rising: the left sentence of each neighbour; the right one is the next.
        doc: int64 (m,), rising: its document.
        hashes: uint64 (m,).
        limit: Most neighbours of a document, no sentence in two of them; None: all that pass.
        check: Gives the rule that each of the neighbours with these left sentences fails, -1 where none.
    """
    n, m = len(sentences), len(left)
    facts = {name: np.zeros(n, column.dtype) for name, column in measure(sentences.take(np.zeros(0, np.int64))).items()}
    reason = np.full(m, -2, np.int64)
    if m == 0:
        return Drawn(np.zeros(0, np.int64), facts, reason)
    order = np.empty(m, np.int64)
    _order(doc, hashes, order)
    rank = number_in(doc[order])
    count, used, known = np.zeros(int(doc[-1]) + 1, np.int64), np.zeros(n + 1, bool), np.zeros(n + 1, bool)
    chosen = np.zeros(m, bool)
    most = m if limit is None else limit
    first, step = 0, m if limit is None else max(2, 3 * limit // 2)
    while True:
        window = order[(rank >= first) & (rank < first + step) & (count[doc[order]] < most)]
        if not len(window):
            break
        if limit is not None:
            window = window[~(used[left[window]] | used[left[window] + 1])]
        wanted = np.zeros(n + 1, bool)
        wanted[left[window]] = wanted[left[window] + 1] = True
        new = np.flatnonzero(wanted & ~known)
        if len(new):
            for name, column in measure(sentences.take(new).together()).items():
                facts[name][new] = column
            known[new] = True
        if len(window):
            reason[window] = check(facts, left[window])
            _take(window, reason, left, doc, most, limit is not None, count, used, chosen)
        first, step = first + step, 4 * step
    barren = count == 0
    heads = order[(rank == 0) & barren[doc[order]]]
    chosen[heads] = True
    return Drawn(np.flatnonzero(chosen), facts, reason)


@jit
def _order(doc: Any, hashes: Any, order: Any) -> None:
    """The neighbours of each document by their hashes."""
    first = 0
    for at in range(1, len(doc) + 1):
        if at == len(doc) or doc[at] != doc[first]:
            order[first:at] = first + np.argsort(hashes[first:at])
            first = at


@jit
def _take(
    window: Any, reason: Any, left: Any, doc: Any, most: int, disjoint: bool, count: Any, used: Any, chosen: Any
) -> None:
    for at in range(len(window)):
        number = window[at]
        if reason[number] != -1 or count[doc[number]] >= most:
            continue
        place = left[number]
        if disjoint and (used[place] or used[place + 1]):
            continue
        used[place] = used[place + 1] = True
        chosen[number] = True
        count[doc[number]] += 1
