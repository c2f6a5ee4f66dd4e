"""Which neighbours of a document are drawn: in the order of their hashes, examined only as far as is needed.

Neighbours are sentences side by side in one paragraph. Each has a hash of (seed, source, document, place). In the order of these a
neighbour is drawn if it passes the rules and shares no sentence with one drawn before, until the document has its number. What is
behind that is never measured, and the result is the same as if all were.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairs import arrow, characters, flags, signs
from pairs.jit import jit
from pairs.paragraphs import number_in

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]
Facts = dict[str, npt.NDArray[Any]]

_END: Final = (
    r"[.!?…。！？｡．।॥؟۔።։៕។၊။༎᠃⁇⁈⁉‼‽᱾᱿෴]['\"”’»›“‘«*_)」』】〉》）］〕\]]*"
    r"(?:[ \x{FE0F}\x{200D}]*[\x{2600}-\x{27BF}\x{1F000}-\x{1FAFF}])*$|།$"
)
_NO_END_SCRIPTS: Final = ("Thai", "Laoo", "Khmr", "Tibt")
BOILERPLATE: Final = (
    r"(?i)all rights reserved|\bcookies?\b|privacy policy|terms (?:of|and) (?:use|service|conditions)|"
    r"lorem ipsum|javascript|click (?:here|on the|the)|read more|learn more|subscribe|sign up|log ?in\b|newsletter|copyright|"
    r"your (?:browser|shopping cart)|leave a (?:comment|reply)|"
    r"alle rechte vorbehalten|datenschutz|impressum|warenkorb|hier klicken|klicken sie|mehr lesen|weiterlesen|"
    r"mentions légales|tous droits réservés|cliquez|lire la suite|"
    r"todos los derechos|haga clic|aviso legal|leer más|todos os direitos|clique aqui|tutti i diritti|clicca|"
    r"alle rechten voorbehouden|klik hier|wszelkie prawa|kliknij|"
    r"политик\w+ конфиденциальности|все права защищены|нажмите|подписывайтесь|подпишитесь|читать далее|"
    r"利用規約|版权所有|版權所有|著作権|プライバシー|クッキー|クリックして|点击|點擊|저작권|무단"
)
"""What pages say of themselves, in the languages that are commonest on the web; ours."""


def measure(sentences: pa.StringArray) -> Facts:
    """What is measured of each sentence, each of shape (n,)."""
    measured = characters.measure(sentences)
    held = signs.scan(sentences)
    no_end = characters.script_set(*_NO_END_SCRIPTS)[measured.script]
    address = held & (signs.SLASHES | signs.WWW) != 0
    marks = (
        signs.TAG | signs.AMP | signs.BRACE | signs.SQUARE | signs.EQUALS | signs.BACKSLASH | signs.QUOTES | signs.PAREN
    )
    return {
        "chars": measured.chars,
        "words": measured.words,
        "weight": measured.weight,
        "letter_share": measured.share(measured.letters),
        "digit_share": measured.share(measured.digits),
        "repetition": measured.repetition,
        "has_end": arrow.mask(flags.found(sentences, _END)) | no_end,
        "is_url": signs.matches(sentences, address, flags.URL)
        | signs.matches(sentences, held & signs.AT != 0, flags.EMAIL),
        "is_markup": signs.matches(sentences, held & marks != 0, flags.MARKUP),
        "is_boilerplate": arrow.mask(flags.found(sentences, BOILERPLATE)),
    }


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
    sentences: pa.StringArray,
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
    facts = {name: np.zeros(n, column.dtype) for name, column in measure(sentences.slice(0, 0)).items()}
    reason = np.full(m, -2, np.int64)
    if m == 0:
        return Drawn(np.zeros(0, np.int64), facts, reason)
    order = np.lexsort((hashes, doc))
    rank = number_in(doc[order])
    count, used, known = np.zeros(int(doc[-1]) + 1, np.int64), np.zeros(n + 1, bool), np.zeros(n + 1, bool)
    chosen = np.zeros(m, bool)
    most = m if limit is None else limit
    first, step = 0, m if limit is None else 2 * limit
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
            for name, column in measure(sentences.take(pa.array(new))).items():
                facts[name][new] = column
            known[new] = True
        if len(window):
            reason[window] = check(facts, left[window])
            _take(window, reason, left, doc, most, limit is not None, count, used, chosen)
        first, step = first + step, 2 * step
    barren = count == 0
    heads = order[(rank == 0) & barren[doc[order]]]
    chosen[heads] = True
    return Drawn(np.flatnonzero(chosen), facts, reason)


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
