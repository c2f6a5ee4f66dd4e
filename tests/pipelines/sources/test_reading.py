"""Bounded lines out of hostile files, compressed or not."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import random
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipelines import storage
from pipelines.sources.reading import (
    BrokenStreamError,
    Reading,
    bounded_lines,
    json_value,
    open_decompressed,
    relative,
    text_of,
)

LINES = b"".join(b"line %d of a text\n" % number for number in range(20_000))


class Dribble(io.BytesIO):
    """Gives pieces of chosen sizes, whatever is asked for."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        super().__init__(data)
        self.sizes = sizes

    def read1(self, _: int | None = -1) -> bytes:
        return self.read(self.sizes.pop() if self.sizes else 7)


def by_split(data: bytes, limit: int) -> list[bytes | None]:
    """What lines are, said plainly."""
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return [None if len(line) > limit else line.removesuffix(b"\r") for line in lines]


@given(
    st.lists(
        st.sampled_from([b"", b"a", b"bc", b"\r", b"\n", b"\r\n", b"\x85", "\u2028".encode(), b"\0", b"long" * 5])
    ),
    st.lists(st.integers(1, 9)),
    st.integers(1, 12),
)
def test_lines_are_those_of_split_however_the_bytes_come(pieces: list[bytes], sizes: list[int], limit: int) -> None:
    data = b"".join(pieces)
    assert list(bounded_lines(Dribble(data, sizes), limit)) == by_split(data, limit)


def test_a_long_line_costs_itself_and_no_memory() -> None:
    class Endless(io.RawIOBase):
        """256 MB of one line, then a short one."""

        left = 256

        def read1(self, _: int = -1) -> bytes:
            self.left -= 1
            return b"x" * (1 << 20) if self.left >= 0 else b"\nshort\n" if self.left == -1 else b""

    import tracemalloc

    tracemalloc.start()
    found = list(bounded_lines(Endless(), 1000))  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [None, b"short"]
    assert peak < 16 << 20


def read(path: Path, limit: int = 1000) -> tuple[list[bytes | None], str]:
    """The lines, and the reason why there are no more ("" at a sound end)."""
    found: list[bytes | None] = []
    with open_decompressed(str(path)) as file:
        try:
            found.extend(bounded_lines(file, limit))  # extend keeps what came before the error
        except BrokenStreamError as error:
            return found, error.reason
    return found, ""


def compress(data: bytes, ending: str) -> bytes:
    return (
        gzip.compress(data, mtime=0)
        if ending == ".gz"
        else zstandard.ZstdCompressor(write_checksum=True).compress(data)
    )


ENDINGS = pytest.mark.parametrize("ending", [".gz", ".zst"])


@ENDINGS
def test_several_frames_are_one_file(tmp_path: Path, ending: str) -> None:
    """Writers close a frame per block, and files are joined by `cat`: nothing after the first may be lost."""
    path = tmp_path / f"a{ending}"
    cuts = [0, 1, 777, 100_000, len(LINES)]
    path.write_bytes(b"".join(compress(LINES[a:b], ending) for a, b in itertools.pairwise(cuts)))
    assert read(path) == (LINES.splitlines(), "")


def test_skippable_frames_of_zstd_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.zst"
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    path.write_bytes(skippable + compress(b"one\n", ".zst") + skippable + compress(b"two\n", ".zst"))
    assert read(path) == ([b"one", b"two"], "")


@ENDINGS
@pytest.mark.parametrize("share", [0.0001, 0.001, 0.1, 0.5, 0.9, 0.9999])
def test_a_truncated_file_says_so_after_its_good_lines(tmp_path: Path, ending: str, share: float) -> None:
    path = tmp_path / f"a{ending}"
    noise = random.Random(7)  # noqa: S311
    text = b"".join(b"%d\n" % noise.getrandbits(200) for _ in range(5000))  # badly compressible: many blocks
    whole = compress(text, ending)
    path.write_bytes(whole[: max(1, int(len(whole) * share))])
    found, reason = read(path)
    assert reason == "truncated"
    assert found == text.splitlines()[: len(found)]
    if share >= 0.9:
        assert len(found) > 2000, "what came before the damage was thrown away"


@ENDINGS
def test_a_missing_last_byte_is_noticed(tmp_path: Path, ending: str) -> None:
    """All of the text is there and only the checksum is cut: the file is still not the one that was written."""
    path = tmp_path / f"a{ending}"
    path.write_bytes(compress(LINES, ending)[:-1])
    assert read(path) == (LINES.splitlines(), "truncated")


@ENDINGS
@pytest.mark.parametrize("garbage", [b"garbage after the end", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"])
def test_garbage_after_the_end_is_an_error_after_all_lines(tmp_path: Path, ending: str, garbage: bytes) -> None:
    path = tmp_path / f"a{ending}"
    path.write_bytes(compress(LINES, ending) + garbage)
    found, reason = read(path)
    assert found == LINES.splitlines()
    assert reason in ("corrupt", "truncated")


@ENDINGS
def test_flipped_bits_are_noticed_wherever_they_are(tmp_path: Path, ending: str) -> None:
    noise = random.Random(3)  # noqa: S311
    text = b"".join(b"%d\n" % noise.getrandbits(200) for _ in range(300))
    whole = compress(text, ending)
    path = tmp_path / f"a{ending}"
    for at in [*range(12, len(whole), len(whole) // 60), len(whole) - 3]:
        broken = bytearray(whole)
        broken[at] ^= 0x10
        path.write_bytes(broken)
        found, reason = read(path)
        # A flip in the length of a gzip header's fields changes no text; all else must be seen.
        assert reason or found == text.splitlines(), f"byte {at} was flipped and nobody noticed"


def test_a_wrong_checksum_alone_is_noticed(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(LINES))
    whole[-6] ^= 1
    path = tmp_path / "a.gz"
    path.write_bytes(whole)
    assert read(path) == (LINES.splitlines(), "corrupt")


@ENDINGS
def test_a_decompression_bomb_gives_bounded_pieces(tmp_path: Path, ending: str) -> None:
    """300 MB of zeros in some kilobytes: one line too long, and never more than a few MB at once."""
    path = tmp_path / f"a{ending}"
    bomb = bytes(300 << 20)
    path.write_bytes(compress(bomb, ending))
    assert path.stat().st_size < 1 << 20
    del bomb
    import tracemalloc

    tracemalloc.start()
    assert read(path) == ([None], "")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 << 20


def test_a_file_that_is_not_what_its_name_says(tmp_path: Path) -> None:
    for name in ("a.gz", "a.zst"):
        path = tmp_path / name
        path.write_bytes(b"plain text\nand more\n")
        assert read(path) == ([], "corrupt")


@ENDINGS
def test_nothing_at_all_is_no_error_of_the_stream(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    path.write_bytes(b"")
    assert read(path) == ([], "")


def test_errors_are_one_json_object_a_line_whatever_they_say(tmp_path: Path) -> None:
    url = str(tmp_path / "errors.jsonl")
    with storage.AtomicFile(url) as log:
        reading = Reading("src", log)
        reading.error("a\nb.txt", "line 1", "odd", "two\nlines \u2028 and \ud800" + "x" * 1000, rows=3)
        reading.error("c", "line 2", "odd")
    lines = Path(url).read_bytes().split(b"\n")
    assert lines.pop() == b""
    first, second = map(json.loads, lines)
    assert (first["path"], first["rows"], len(first["detail"])) == ("a\nb.txt", 3, 300)
    assert (second["position"], second["rows"]) == ("line 2", 1)
    assert (reading.records, dict(reading.errors)) == (4, {"odd": 4})


@pytest.mark.parametrize(
    ("url", "base", "path"),
    [
        ("/data/x/a.txt", "/data", "x/a.txt"),
        ("/data/x/a.txt", "/data/", "x/a.txt"),
        ("/data/x/a.txt", "/", "data/x/a.txt"),
        ("/database/a.txt", "/data", "a.txt"),  # a folder that only begins alike is another
        ("s3://bucket/x/a.txt", "s3://bucket", "x/a.txt"),
        ("s3://bucket/x/a.txt", "s3://", "bucket/x/a.txt"),
    ],
)
def test_paths_below_a_base(url: str, base: str, path: str) -> None:
    assert relative(url, base) == path
    if url.startswith(base.rstrip("/") + "/"):
        assert storage.join(base, path) == url, "what an image points at must be found again"


def test_only_text_is_text() -> None:
    assert [text_of(value) for value in ("a", "", None, 1, b"a", ["a"], True)] == [
        "a",
        "",
        None,
        None,
        None,
        None,
        None,
    ]


@given(
    st.lists(st.sampled_from(["a", "\\", '"', "\ud83d", "\udc36", "\u00e9", "犬", "🐶", "NaN"]), max_size=12).map(
        "".join
    )
)
def test_json_as_python_writes_it_is_read(text: str) -> None:
    """orjson refuses a record for one half of an emoji, or for a NaN."""
    wanted = "".join(
        sign
        for sign in text.encode("utf-16", "surrogatepass").decode("utf-16", "ignore")
        if not "\ud800" <= sign < "\ue000"
    )
    for spare in (float("nan"), float("-inf"), 1.5):
        line = json.dumps({"text": text, "n": [spare, text]}).encode()
        assert json_value(line) == {"text": wanted, "n": [spare if spare == 1.5 else None, wanted]}


@pytest.mark.parametrize(
    "line", [b'{"a": \\ud83d}', b'{"a": "\\ud83d"', b'{"a": NaNs}', b"NaN NaN", b'{"a": "\\ud83"}', b"\xff", b"["]
)
def test_what_is_no_json_stays_none(line: bytes) -> None:
    with pytest.raises(json.JSONDecodeError):
        json_value(line)
