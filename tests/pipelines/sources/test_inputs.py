"""Which files a source names, what they are called in origins, and when their content counts as the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import storage
from pipelines.sources.inputs import Inputs, find
from pipelines.sources.reading import SourceError
from pipelines.sources.spec import BitextSource, DocumentsSource, ImageTextSource
from pipelines.storage import StorageError

Look = Callable[..., Inputs]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Looks up paths that are relative to a folder `data`."""

    def run(path: Any, kind: str = "documents", **fields: Any) -> Inputs:
        source: Any
        if kind == "bitext":
            source = BitextSource(type="bitext", left=path[0], right=path[1], languages=("de", "en"))
        else:
            model = DocumentsSource if kind == "documents" else ImageTextSource
            source = model(type=kind, path=path, **({"format": "text"} if kind == "documents" else {}), **fields)
        folder = str(tmp_path / "data")
        return find("src", source, lambda p: p if "://" in p or p.startswith("/") else f"{folder}/{p}", str(tmp_path))

    return run


def write(tmp_path: Path, **files: str) -> None:
    for name, text in files.items():
        path = tmp_path / "data" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_file_that_two_patterns_name_is_read_once(look: Look, tmp_path: Path) -> None:
    write(tmp_path, a="1", b="2")
    found = look(["*", "a", "./a", "../data/a", f"file://{tmp_path}/data/a"])
    assert [path for path, _ in found.files] == ["a", "b"]
    assert [unit["index"] for unit in found.units()] == [0, 1]


def test_equal_names_in_two_folders_keep_apart(look: Look, tmp_path: Path) -> None:
    write(tmp_path, x__a="1", y__a="2", y__z__a="3")
    for paths in (["x/a", "y/a", "y/z/a"], "**/a", ["*/a", "y/*/a"], f"file://{tmp_path}/data/**/a"):
        found = look(paths)
        assert len({path for path, _ in found.files}) == len(found.files) == 3
        for path, url in found.files:
            assert storage.join(found.base, path) == url
            assert Path(url).read_text() in "123"


def test_equal_names_in_two_buckets_keep_apart(look: Look) -> None:
    memory = fsspec.filesystem("memory")
    try:
        for place, text in (("/one/a.jsonl", b"1"), ("/two/a.jsonl", b"2"), ("/two/deep/a.jsonl", b"3")):
            memory.pipe(place, text)
        for paths in (
            ["memory://one/*.jsonl", "memory://two/**/*.jsonl"],
            ["memory://one/a.jsonl", "memory://two/a.jsonl"],
        ):
            found = look(paths)
            assert len({path for path, _ in found.files}) == len(found.files)
            for path, url in found.files:
                assert storage.read_bytes(storage.join(found.base, path)) == storage.read_bytes(url)
    finally:
        memory.rm("/one", recursive=True)
        memory.rm("/two", recursive=True)


def test_the_digest_is_of_names_and_contents_alone(look: Look, tmp_path: Path) -> None:
    write(tmp_path, a="1", b="2")
    digest = look("*").digest
    assert look(["b", "a"]).digest == digest
    os.utime(tmp_path / "data" / "a", (5, 5))
    assert look("*").digest == digest
    write(tmp_path, a="3")
    assert look("*").digest != digest
    write(tmp_path, a="1")
    assert look("*").digest == digest
    (tmp_path / "data" / "a").rename(tmp_path / "data" / "c")
    assert look("*").digest != digest, "origins hold the names"


def test_a_change_that_keeps_size_and_time_is_seen(look: Look, tmp_path: Path) -> None:
    write(tmp_path, a="1")
    before = look("a").digest
    times = (tmp_path / "data" / "a").stat()
    write(tmp_path, a="2")
    os.utime(tmp_path / "data" / "a", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert look("a").digest != before


def test_the_memory_of_fingerprints_may_be_broken(look: Look, tmp_path: Path) -> None:
    write(tmp_path, a="1")
    digest = look("a").digest
    for text in ("", "{", "[]", "5", '{"%s": 5}' % (tmp_path / "data" / "a")):
        (tmp_path / "cache" / "fingerprints.json").write_text(text)
        assert look("a").digest == digest


def test_bitext_sides_that_change_places_are_other_input(look: Look, tmp_path: Path) -> None:
    """The stage's key leaves paths out: with equal digests the pairs of the wrong direction would be taken for done."""
    write(tmp_path, a="eins", b="one")
    assert look(["a", "b"], "bitext").digest != look(["b", "a"], "bitext").digest


def test_a_bitext_side_is_one_file(look: Look, tmp_path: Path) -> None:
    write(tmp_path, a1="1", a2="2", b="3")
    with pytest.raises(SourceError, match=r"'a\*' names 2"):
        look(["a*", "b"], "bitext")
    assert [path for path, _ in look(["a1*", "b"], "bitext").files] == ["a1", "b"]


def test_a_bitext_with_one_empty_side_names_both_files_and_counts(look: Look, tmp_path: Path) -> None:
    write(tmp_path, a="", b="1\n2\n")
    with pytest.raises(SourceError, match=r"data/a has 0 lines, .*data/b has 2"):
        look(["a", "b"], "bitext")


def test_a_folder_is_all_files_below_it(look: Look, tmp_path: Path) -> None:
    write(tmp_path, a="1", folder__b="2", folder__c="3")
    assert [path for path, _ in look("folder").files] == ["folder/b", "folder/c"]


@pytest.mark.parametrize("path", ["none.jsonl", "*.none", "folder", ["a", "none"]])
def test_a_missing_path_is_named_as_it_was_written(look: Look, tmp_path: Path, path: Any) -> None:
    write(tmp_path, a="1")
    (tmp_path / "data" / "folder").mkdir()
    with pytest.raises(SourceError) as caught:
        look(path)
    written = path if isinstance(path, str) else path[-1]
    assert f"sources.src: no file at '{tmp_path}/data/{written}' (written {written!r})" == str(caught.value)


def test_a_missing_path_that_was_written_whole_is_named_once(look: Look, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        look(f"{tmp_path}/data/none.jsonl")
    assert str(caught.value) == f"sources.src: no file at '{tmp_path}/data/none.jsonl'"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write")
def test_a_root_that_cannot_be_written_is_not_the_sources_fault(tmp_path: Path) -> None:
    write(tmp_path, a="1", b="1")
    one = DocumentsSource(type="documents", path="a", format="text")
    both = BitextSource(type="bitext", left="a", right="b", languages=("de", "en"))
    for source in (one, both):
        with pytest.raises(StorageError, match=r"under the root /proc/none: No such file.*--root") as caught:
            find("src", source, lambda p: f"{tmp_path}/data/{p}", "/proc/none")
        assert "sources" not in str(caught.value)
    (tmp_path / "root" / "cache" / "fingerprints.json").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"under the root .*root: Is a directory"):
        find("src", one, lambda p: f"{tmp_path}/data/{p}", str(tmp_path / "root"))


def test_a_link_to_nothing_is_not_passed_over(look: Look, tmp_path: Path) -> None:
    write(tmp_path, a="1")
    (tmp_path / "data" / "b").symlink_to("gone")
    with pytest.raises(SourceError, match="data/b is a link to a file that is gone"):
        look("*")


def test_links_to_files_are_files(look: Look, tmp_path: Path) -> None:
    write(tmp_path, x__a="1")
    (tmp_path / "data" / "b").symlink_to("x/a")
    (tmp_path / "data" / "y").symlink_to("x")
    assert [path for path, _ in look(["*", "y/*"]).files] == ["b", "y/a"]


def test_a_link_to_a_folder_above_it_gives_no_file_twice(look: Look, tmp_path: Path) -> None:
    write(tmp_path, x__a="1", b="2")
    (tmp_path / "data" / "x" / "up").symlink_to("..")
    (tmp_path / "data" / "y").symlink_to("x")
    (tmp_path / "data" / "x" / "self").symlink_to(".")
    (tmp_path / "data" / "x" / "nowhere").symlink_to("nowhere")
    assert [path for path, _ in look("**/[ab]").files] == ["b", "x/a", "y/a"]


def test_brackets_in_a_name_that_there_is_are_no_pattern(look: Look, tmp_path: Path) -> None:
    write(tmp_path, **{"a[1].jsonl": "1"})
    assert [path for path, _ in look("a[1].jsonl").files] == ["a[1].jsonl"]


def test_a_name_that_is_not_utf8_is_refused_by_name(look: Look, tmp_path: Path) -> None:
    write(tmp_path, a="1")
    (Path(os.fsdecode(os.fsencode(tmp_path / "data") + b"/caf\xe9"))).write_text("2")
    with pytest.raises(SourceError, match="not UTF-8; rename it"):
        look("*")


def test_files_with_and_without_photographs_do_not_mix(look: Look, tmp_path: Path) -> None:
    write(tmp_path, **{"b.csv": "url,text\n"})
    pq.write_table(pa.table({"text": ["a"], "image": [b"x"]}), tmp_path / "data" / "a.parquet")
    with pytest.raises(SourceError, match="some of its files bring photographs"):
        look("*", "image_text")


@pytest.mark.parametrize("broken", ["", "PAR1 garbage"])
@pytest.mark.parametrize("photographs", [True, False])
def test_an_unreadable_file_does_not_say_what_the_others_are(
    look: Look, tmp_path: Path, broken: str, photographs: bool
) -> None:
    write(tmp_path, **{"b.parquet": broken})
    table = pa.table({"text": ["a"], "image": pa.array([b"x"], pa.binary() if photographs else None)})
    pq.write_table(table if photographs else table.drop("image"), tmp_path / "data" / "a.parquet")
    assert look("*", "image_text").photographs is photographs
    assert look("b.parquet", "image_text").photographs is True
