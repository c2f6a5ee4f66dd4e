"""Pairs set aside for evaluation: which groups of pairs go together, which of them are held out, and what must then not be shown.

What belongs together is held out together: all texts of one photograph, all pairs of one document, all translations of one
sentence. A group is held out by its hash alone, so the same data gives the same split whatever else is in the build, and kinds made
from one another (sentences and their word drops) agree on it. Contents that a held-out pair shares with training (a sentence that
two documents quote, one photograph in two formats) would let a model remember the answer: such pairs are dropped. It is the
held-out one that goes, not those of training: a text that a thousand photographs have costs one pair.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from pairs import arrow, keys, translations

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]

SEEN: Final = "seen_in_training"
"""Why a held-out pair is dropped: a pair of training has its photograph or one of its texts."""
STAGE: Final = "holdout"
_PLACE: Final = r"#[^#]*$"
"""What a sentence's origin has behind its document's: `#<paragraph>.<sentence>`."""


class HoldoutOptions(BaseModel):
    """How much of a kind is held out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(
        0.05,
        gt=0,
        le=0.5,
        description="share of the groups (photographs, documents, sentences with their translations)",
    )
    most: int = Field(2000, ge=1, le=100_000, description="most groups of a kind, those of least hash")


def _photographs(pairs: pa.RecordBatch) -> pa.StringArray:
    return arrow.strings(pc.struct_field(pairs.column("image"), "sha256"))


def _documents(pairs: pa.RecordBatch) -> pa.StringArray:
    document = pc.replace_substring_regex(arrow.strings(pairs.column("origin")), _PLACE, "", max_replacements=1)
    return arrow.strings(pc.binary_join_element_wise(pairs.column("source"), document, "\x00"))


def _returned(pairs: pa.RecordBatch) -> pa.StringArray:
    """Back-translations go where the pairs went whose sentences they are: with the translations of one sentence, or a document."""
    scored = translations.scored_group(pairs)
    return arrow.strings(pc.if_else(pc.is_valid(scored), scored, _documents(pairs)))


_GROUP: Final[dict[str, Callable[[pa.RecordBatch], pa.StringArray]]] = {
    "image_alt": _photographs,
    "sentences": _documents,
    "word_drop": _documents,
    "translations": translations.group_of,
    "back_translation": _returned,
}
"""Kind -> what its pairs have in common that must not be divided."""


def draws(pairs: pa.RecordBatch, seed: int) -> UInt64:
    """The hash of each pair's group, uint64 (n,): equal where the pairs must stay together.

    Args:
        pairs: n rows of `PAIR_SCHEMA`, all of one kind.
        seed: The recipe's seed.
    """
    if not pairs.num_rows:
        return np.zeros(0, np.uint64)
    return keys.draw(_GROUP[pairs.column("kind")[0].as_py()](pairs), seed, STAGE)


def least(found: UInt64, options: HoldoutOptions) -> UInt64:
    """The groups that are held out of those found: below the share, and the `most` least of them; sorted, each once.

    `least` of the union is `least` of the union of the parts' `least`, so parts can be looked at in any order.
    """
    bound = np.uint64(int(options.share * (1 << 53)) << 11)
    return np.unique(found[found < bound])[: options.most]


def contents(pairs: pa.RecordBatch) -> tuple[UInt64, Ints]:
    """The hashes of all that a pair shows: its texts (without case, spaces and punctuation), its photograph.

    A photograph counts twice: by its bytes, and by its perceptual hash, which copies in other sizes and formats share.

    Args:
        pairs: n rows of `PAIR_SCHEMA`.

    Returns:
        uint64 (m,) hashes and int64 (m,), each one's row.
    """
    hashes, rows = [], []
    image = pairs.column("image")
    columns: list[tuple[str, pa.Array]] = [
        ("text", translations.identity(arrow.strings(pairs.column(name)).fill_null("")))
        for name in ("left_text", "right_text")
    ]
    columns.append(("sha256", pc.struct_field(image, "sha256")))
    columns.append(("phash", pc.struct_field(image, "phash").cast(pa.string())))
    for what, values in columns:
        shown = arrow.mask(pc.fill_null(pc.not_equal(values, ""), False))
        hashes.append(keys.draw(values, 0, f"{STAGE}/{what}")[shown])
        rows.append(np.flatnonzero(shown))
    return np.concatenate(hashes), np.concatenate(rows)


def among(hashes: UInt64, known: UInt64) -> Bools:
    """bool (n,): which hashes are among the known ones, uint64 (m,), sorted."""
    place = np.searchsorted(known, hashes)
    found = np.zeros(len(hashes), bool)
    inside = place < len(known)
    found[inside] = known[place[inside]] == hashes[inside]
    return found


def showing(pairs: pa.RecordBatch, known: UInt64) -> Bools:
    """bool (n,): which pairs show any of the known contents, uint64 (m,), sorted."""
    hashes, rows = contents(pairs)
    found = np.zeros(pairs.num_rows, bool)
    found[rows[among(hashes, known)]] = True
    return found


def divide(pairs: pa.RecordBatch, held: UInt64, seen: UInt64, seed: int) -> dict[str, Any]:
    """Divides pairs into what is trained on, what is held out, and what is neither.

    Args:
        pairs: n rows of `PAIR_SCHEMA`, all of one kind.
        held: uint64, sorted: the groups that are held out.
        seen: uint64, sorted: contents of held-out pairs that pairs of training show too.
        seed: The recipe's seed.

    Returns:
        `train` and `validation`, rows of `PAIR_SCHEMA` in their order, and `dropped`, how many are in neither (`SEEN`).
    """
    out = among(draws(pairs, seed), held)
    lost = out & showing(pairs, seen) if out.any() else out
    return {
        "train": pairs.filter(pa.array(~out)),
        "validation": pairs.filter(pa.array(out & ~lost)),
        "dropped": int(lost.sum()),
    }
