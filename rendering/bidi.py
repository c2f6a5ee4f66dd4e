"""Order of mixed left-to-right and right-to-left text: the Unicode Bidirectional Algorithm (UAX #9, Unicode's numbering of rules).

Needed here because a line may take glyphs from several fonts, and each shaping call sees but one font's run. Explicit embeddings,
overrides and isolates (X1 to X8) are treated as if they were not there; bracket pairs (N0) take the embedding's direction
as other neutrals do. Web text has next to none of the former.
"""

from __future__ import annotations

import unicodedata

_STRONG = {"L": 0, "R": 1, "AL": 1}
_IGNORED = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI", "BN"}
_NEUTRAL = {"B", "S", "WS", "ON"} | _IGNORED


def paragraph_level(text: str) -> int:
    """P2, P3: 1 if the first strong character is right-to-left, else 0."""
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in _STRONG:
            return _STRONG[kind]
    return 0


def levels(text: str, base: int) -> list[int]:
    """The embedding level of each character (W1 to W7, N1, N2, I1, I2) in a paragraph of level `base`."""
    kinds = [unicodedata.bidirectional(character) or "L" for character in text]
    edge = "R" if base else "L"
    _weak(kinds, edge)
    _neutral(kinds, edge)
    found = []
    for kind in kinds:
        if kind == "L":
            found.append(base + base % 2)
        elif kind == "R":
            found.append(base + 1 - base % 2)
        else:  # EN, AN
            found.append(base + 2 - base % 2)
    # L1: white space at the end of a line stands at its outer end.
    at = len(text)
    while at and unicodedata.bidirectional(text[at - 1]) in ("WS", "B", "S", *_IGNORED):
        at -= 1
        found[at] = base
    return found


def _weak(kinds: list[str], edge: str) -> None:
    last = strong = edge
    for i, kind in enumerate(kinds):  # W1 to W3
        if kind == "NSM":
            kinds[i] = last
        elif kind in _STRONG:
            strong = kind
            if kind == "AL":
                kinds[i] = "R"
        elif kind == "EN" and strong == "AL":
            kinds[i] = "AN"
        last = kinds[i] if kind not in _IGNORED else last
    for i in range(1, len(kinds) - 1):  # W4
        before, after = kinds[i - 1], kinds[i + 1]
        if before == after and ((kinds[i] in ("ES", "CS") and before == "EN") or (kinds[i] == "CS" and before == "AN")):
            kinds[i] = before
    i = 0
    while i < len(kinds):  # W5, W6
        end = i
        while end < len(kinds) and kinds[end] == "ET":
            end += 1
        if end > i:
            number = (i > 0 and kinds[i - 1] == "EN") or (end < len(kinds) and kinds[end] == "EN")
            kinds[i:end] = ["EN" if number else "ON"] * (end - i)
            i = end
        else:
            if kinds[i] in ("ES", "CS"):
                kinds[i] = "ON"
            i += 1
    strong = edge
    for i, kind in enumerate(kinds):  # W7
        if kind in ("L", "R"):
            strong = kind
        elif kind == "EN" and strong == "L":
            kinds[i] = "L"


def _neutral(kinds: list[str], edge: str) -> None:
    """N1, N2: neutrals between two of one direction take it, others the paragraph's; a number counts as right-to-left."""
    i = 0
    while i < len(kinds):
        end = i
        while end < len(kinds) and kinds[end] in _NEUTRAL:
            end += 1
        if end > i:
            before = ("L" if kinds[i - 1] == "L" else "R") if i else edge
            after = ("L" if kinds[end] == "L" else "R") if end < len(kinds) else edge
            kinds[i:end] = [before if before == after else edge] * (end - i)
            i = end
        else:
            i += 1


def visual_order(run_levels: list[int]) -> list[int]:
    """L2: the order, left to right, in which runs of these levels are drawn."""
    order = list(range(len(run_levels)))
    odd = [level for level in run_levels if level % 2]
    if not odd:
        return order
    for level in range(max(run_levels), min(odd) - 1, -1):
        i = 0
        while i < len(order):
            end = i
            while end < len(order) and run_levels[order[end]] >= level:
                end += 1
            if end > i:
                order[i:end] = order[i:end][::-1]
                i = end
            else:
                i += 1
    return order
