"""Finds a source's raw files, names what is in them by hash, and cuts them into units of work."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pipelines import storage
from pipelines.manifest import digest_of
from pipelines.sources import agreement, bitext, first_records, image_text
from pipelines.sources.reading import SourceError, relative
from pipelines.sources.spec import BitextSource, ImageTextSource, Source

FINGERPRINTS = "fingerprints.json"
ALIGNED = "aligned.json"  # digests of pairs of bitext sides that have equally many lines


@dataclass(slots=True)
class Inputs:
    """The raw files of one source.

    Attributes:
        name: The source's name in the recipe.
        source: The recipe's words on it, its paths located.
        base: Folder that origins and errors are relative to.
        files: (path relative to base, URL), sorted by path.
        prints: Path -> fingerprint of its content.
        photographs: Whether the source brings photographs.
        facts: URL -> what an image_text file tells of itself, for the files that were looked at.
    """

    name: str
    source: Source
    base: str
    files: list[tuple[str, str]]
    prints: dict[str, str] = field(default_factory=dict)
    photographs: bool = False
    facts: dict[str, image_text.Facts | None] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Hash of names and contents; does not depend on where the files lie or, but for a bitext's sides, on their order."""
        if isinstance(self.source, BitextSource) and self.source.left is not None:
            return digest_of([[path, self.prints[path]] for path, _ in self.files])
        return digest_of(sorted(self.prints.items()))

    def bytes(self) -> int:
        """Size of all files."""
        return sum(storage.size(url) for _, url in self.files)

    def units(self) -> list[dict[str, Any]]:
        """What to work on, one part of output each, in an order that the files' names give alone.

        Raises:
            SourceError: A file that was not looked at before differs from the others.
        """
        if isinstance(self.source, BitextSource):
            return bitext.units(self.source, self.files)
        facts: dict[str, image_text.Facts | None] = {}
        if isinstance(self.source, ImageTextSource):
            rest = [url for _, url in self.files if url not in self.facts]
            facts = self.facts | agreement.look(self.name, self.source, rest)
            agreement.check(self.name, self.source, {url: facts[url] for _, url in self.files})
        units: list[dict[str, Any]] = []
        for path, url in self.files:
            cuts: list[dict[str, Any]] = [{}]
            if isinstance(self.source, ImageTextSource):
                cuts = image_text.plan(self.source, url, facts[url])
            units += [{"index": len(units) + i, "url": url, "path": path, "cut": cut} for i, cut in enumerate(cuts)]
        return units


def find(name: str, source: Source, locate: Any, root: str) -> Inputs:
    """Looks a source's files up.

    Args:
        name: The source's name in the recipe.
        source: The recipe's words on it.
        locate: Makes a path of the recipe absolute.
        root: Where fingerprints are remembered.

    Raises:
        SourceError: A file is missing, cannot be read, has a name that is not UTF-8, or other columns than the rest of its source
            or than the recipe says; or the sides of a bitext are not one file each, or have different numbers of lines.
        StorageError: Nothing can be written under the root.
    """
    side_by_side = isinstance(source, BitextSource) and source.left is not None
    if isinstance(source, BitextSource) and source.left is not None:
        patterns = [source.left, *source.rights]
    else:
        patterns = [source.path] if isinstance(source.path, str) else list(source.path or [])
    located = [_plain(locate(pattern)) for pattern in patterns]
    urls: list[str] = []
    for written, pattern in zip(patterns, located, strict=True):
        try:
            found = storage.expand(pattern)
        except storage.StorageError as error:
            said = "" if repr(written) in str(error) else f" (written {written!r})"
            raise SourceError(f"sources.{name}: {error}{said}") from error
        if side_by_side and len(found) > 1:
            raise SourceError(f"sources.{name}: each side of a bitext is one file, {written!r} names {len(found)}")
        urls += _data_files(source, found) if pattern != found[0] else found
    base = _common([storage.static_prefix(pattern) for pattern in located])
    files = [(relative(url, base), url) for url in urls]
    if not side_by_side:
        files = sorted(set(files))
    elif len({url for _, url in files}) < len(files):
        raise SourceError(f"sources.{name}: the sides of a bitext are different files; {files[0][1]} is named twice")
    for path, url in files:
        if any("\ud800" <= char <= "\udfff" for char in path):
            raise SourceError(f"sources.{name}: the file name {url!r} is not UTF-8; rename it")
    inputs = Inputs(name, source, base, files)
    if isinstance(source, ImageTextSource):
        inputs.facts = agreement.look(name, source, agreement.spread([url for _, url in files]))
        agreement.check(name, source, inputs.facts)
        having = {facts.photographs for facts in inputs.facts.values() if facts is not None}
        inputs.photographs = having != {False}  # where no file can be opened, reading will tell
    try:
        first_records.check(source, [url for _, url in files])
        inputs.prints = fingerprints(root, files)
        if isinstance(source, BitextSource):
            _aligned(root, source, files, [inputs.prints[path] for path, _ in files])
    except SourceError as error:
        raise SourceError(f"sources.{name}: {error}") from error
    except OSError as error:
        raise SourceError(f"sources.{name}: cannot be read: {error}") from error
    return inputs


def _data_files(source: Source, urls: list[str]) -> list[str]:
    """What a pattern found, without the files that img2dataset writes beside its shards: `00000_stats.json`, and `00000.parquet`
    (the addresses again, those that failed among them) where `00000.tar` is there too."""
    if not isinstance(source, ImageTextSource):
        return urls
    every = set(urls)
    kept = [url for url in urls if not url.endswith("_stats.json")]
    if source.format == "auto":
        kept = [url for url in kept if not (url.endswith(".parquet") and f"{url.removesuffix('parquet')}tar" in every)]
    return kept or urls


def _aligned(root: str, source: BitextSource, files: list[tuple[str, str]], prints: list[str]) -> None:
    """Counts the lines of both sides, where they are files or members of a zip, once for each content.

    Raises:
        SourceError: They differ, or a side is missing.
    """
    known = _remembered(root, ALIGNED)
    pair = digest_of([*prints, source.model_dump(mode="json", exclude={"path", "left", "right"})])
    if isinstance(known, list) and pair in known:
        return
    for unit in bitext.units(source, files):
        bitext.check(source, unit)
    _remember(root, ALIGNED, [*(known if isinstance(known, list) else []), pair])


def _plain(pattern: str) -> str:
    """A local pattern without `file://` and without `.` and `..`, so that one file has one name."""
    return os.path.normpath(storage.local_path(pattern)) if storage.is_local(pattern) else pattern


def _common(folders: list[str]) -> str:
    if len(set(folders)) == 1:
        return folders[0]
    if any("://" in folder for folder in folders):
        split = [folder.split("/") for folder in folders]
        same = 0
        while all(len(words) > same and words[same] == split[0][same] for words in split):
            same += 1
        return "/".join(split[0][:same]) + ("/" * (3 - same) if same < 3 else "")  # at least scheme://
    return os.path.commonpath(folders)


def fingerprints(root: str, files: list[tuple[str, str]]) -> dict[str, str]:
    """Fingerprints of the files; one whose size and time have not changed since is not read again."""
    known: dict[str, list[Any]] = {}
    with contextlib.suppress(ValueError, TypeError, AttributeError, LookupError):
        known = {url: [list(old[0]), str(old[1])] for url, old in _remembered(root, FINGERPRINTS).items()}
    prints, news = {}, {}
    for path, url in files:
        if not storage.is_local(url):
            prints[path] = storage.fingerprint(url)
            continue
        facts = storage.local_path(url).stat()
        stamp = [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino]
        old = known.get(url)
        if old is not None and old[0] == stamp:
            prints[path] = old[1]
        else:
            prints[path] = storage.fingerprint(url)
            news[url] = [stamp, prints[path]]
    if news:
        _remember(root, FINGERPRINTS, {**known, **news})
    return prints


def _remembered(root: str, name: str) -> Any:
    """What an earlier look left under the root; None where nothing is there, or it is broken."""
    memory = storage.join(root, "cache", name)
    with _of_the_root(root):
        try:
            return json.loads(storage.read_bytes(memory)) if storage.exists(memory) else None
        except ValueError:
            return None


def _remember(root: str, name: str, value: Any) -> None:
    with _of_the_root(root):
        storage.make_folder(storage.join(root, "cache"))
        storage.write_bytes(storage.join(root, "cache", name), json.dumps(value).encode())


@contextlib.contextmanager
def _of_the_root(root: str) -> Iterator[None]:
    """Says that it is the root, and no source, where a fault comes from.

    Raises:
        StorageError: It cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        raise storage.StorageError(
            f"nothing can be kept under the root {root}: {error.strerror or error}; name a folder that can be written (--root)"
        ) from error
