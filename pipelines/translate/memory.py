"""What an engine gave for each sentence, remembered by content, so that no sentence is translated twice.

A folder an engine and direction, `<root>/cache/translations/<identity>/`; in it files that are written once, whole, and never
changed: `<first place>-<last place>-<digest>.parquet`. A *place* is the key of the sentence that began the round trip: a run over a
range of keys opens only the files whose range meets its own. What failed is not remembered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from pairs import keys
from pipelines import storage
from pipelines.tables import TableWriter

_SCHEMA = pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("place", "text", "translation")])
_NAME = re.compile(r"([0-9a-f]{32})-([0-9a-f]{32})-([0-9a-f]{32})\.parquet")
FOLDER = "cache/translations"


@dataclass(frozen=True, slots=True)
class Memory:
    """The translations of one engine in one direction.

    Attributes:
        root: Of the build.
        identity: Hash of all that a translation depends on beside the sentence.
    """

    root: str
    identity: str

    @property
    def folder(self) -> str:
        """Where the files lie."""
        return storage.join(self.root, FOLDER, self.identity[:32])

    def look(self, first: str, last: str) -> dict[str, str]:
        """Text -> translation, of what was remembered for places from `first` to `last`, both included.

        A file whose rows are not those that its name was made of is not used.
        """
        found: dict[str, str] = {}
        for url in self._files(first, last):
            try:
                with storage.open_read(url) as file:
                    table = pq.read_table(pa.PythonFile(file, mode="r"), schema=_SCHEMA)
            except (OSError, pa.ArrowInvalid):
                continue
            if _name(table) == url.rsplit("/", 1)[-1]:
                columns = [table.column(name).to_pylist() for name in ("place", "text", "translation")]
                found |= {text: made for place, text, made in zip(*columns, strict=True) if first <= place <= last}
        return found

    def add(self, places: Sequence[str], texts: Sequence[str], translations: Sequence[str]) -> None:
        """Remembers translations.

        Args:
            places: n keys, not decreasing.
            texts: What went in.
            translations: What came out.
        """
        if not places:
            return
        table = pa.table([list(places), list(texts), list(translations)], schema=_SCHEMA)
        storage.make_folder(self.folder)
        with TableWriter(self.folder, _name(table), _SCHEMA) as writer:
            for batch in table.to_batches():
                writer.write(batch)

    def _files(self, first: str, last: str) -> list[str]:
        try:
            every = storage.expand(storage.join(self.folder, "*.parquet"))
        except storage.StorageError:
            return []
        named = ((url, _NAME.fullmatch(url.rsplit("/", 1)[-1])) for url in every)
        return [url for url, name in named if name is not None and name[1] <= last and name[2] >= first]


def _name(table: pa.Table) -> str:
    """Of the range and the content of its rows; a table without rows has none."""
    if not table.num_rows:
        return ""
    rows = keys.content_keys(*(table.column(name).combine_chunks() for name in _SCHEMA.names))
    place = table.column("place")
    return f"{place[0].as_py()}-{place[-1].as_py()}-{keys.content_key(*rows.to_pylist())}.parquet"
