"""Pairs by the host that their documents came from: no site may fill a data set."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairs import arrow, keys

Bools = npt.NDArray[np.bool_]
UInt64 = npt.NDArray[np.uint64]

_HOST: Final = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(?P<host>[^/?#:\s]+)"


def hosts(urls: pa.Array) -> pa.StringArray:
    """The host of each address, in small letters, without `www.`; null where an address has none.

    Args:
        urls: n strings; null stays null.
    """
    found = pc.struct_field(pc.extract_regex(arrow.strings(urls), _HOST), "host")
    return pc.replace_substring_regex(pc.utf8_lower(found), r"^www[0-9]*\.|\.$", "")


def identities(batch: pa.RecordBatch) -> tuple[UInt64, Bools]:
    """uint64 (n,) hashes of the hosts of n pairs, and bool (n,): whether a pair has one."""
    found = hosts(batch.column("url"))
    return keys.draw(found, 0, "host"), arrow.mask(pc.is_valid(found))


def over(values: UInt64, ranks: UInt64, ties: Any, limit: int) -> Bools:
    """Which rows are beyond the limit of their host: all but those of the least ranks.

    Args:
        values: uint64 (n,), the hosts.
        ranks: uint64 (n,), hash(seed, key).
        ties: (n,), tells apart rows of one rank.
        limit: Most rows of a host.
    """
    order = np.lexsort((ties, ranks, values))
    ordered = values[order]
    starts = np.ones(len(order), bool)
    starts[1:] = ordered[1:] != ordered[:-1]
    begin = np.flatnonzero(starts)
    place = np.arange(len(order)) - np.repeat(begin, np.diff(np.append(begin, len(order))))
    found = np.zeros(len(order), bool)
    found[order] = place >= limit
    return found
