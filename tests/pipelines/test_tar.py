"""The tar writer: byte for byte webdataset's, and clear errors for what a ustar header cannot say."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pyarrow as pa
import pytest
import webdataset as wds
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.shards import tar
from pipelines.shards.tar import write_tar


def reference(samples: list[dict[str, bytes | str]]) -> bytes:
    stream = io.BytesIO()
    with wds.TarWriter(stream, encoder=False, mtime=0) as writer:
        for sample in samples:
            writer.write(sample)
    return stream.getvalue()


def columns(
    samples: list[dict[str, bytes | str]], extensions: list[str]
) -> tuple[pa.Array, list[tuple[str, pa.Array]]]:
    keys = pa.array([sample["__key__"] for sample in samples], pa.string())
    return keys, [(e, pa.array([sample.get(e) for sample in samples], pa.large_binary())) for e in sorted(extensions)]


def write(samples: list[dict[str, bytes | str]], extensions: list[str]) -> bytes:
    stream = io.BytesIO()
    size, sha256 = write_tar(stream, *columns(samples, extensions))
    data = stream.getvalue()
    assert (size, sha256) == (len(data), hashlib.sha256(data).hexdigest())
    return data


SIZES = st.one_of(st.integers(0, 40), st.sampled_from([511, 512, 513, 1024, 9216, 70_000]))
VALUE = st.one_of(st.none(), SIZES.map(lambda n: bytes(i * 7 % 251 for i in range(n))))


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.text("0123456789abcdef", min_size=1, max_size=80), st.tuples(VALUE, VALUE, VALUE), max_size=6),
)
def test_equals_webdataset_byte_for_byte(rows: dict[str, tuple[bytes | None, ...]]) -> None:
    extensions = ["json", "text.png", "txt"]
    samples = [
        {"__key__": key} | {e: v for e, v in zip(extensions, values, strict=True) if v is not None}
        for key, values in rows.items()
    ]
    assert write(samples, extensions) == reference(samples)


def test_chunks_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk boundary must fall between rows and shift nothing, also where one row is larger than a chunk."""
    samples = [{"__key__": f"{i:04x}", "bin": bytes([i % 256]) * (i * 97 % 5000)} for i in range(200)]
    whole = write(samples, ["bin"])
    monkeypatch.setattr(tar, "CHUNK_BYTES", 3000)
    assert write(samples, ["bin"]) == whole == reference(samples)


def test_slices_and_chunked_columns_are_read_at_their_offset(tmp_path) -> None:  # type: ignore[no-untyped-def]
    keys = pa.array([f"{i:02x}" for i in range(10)])
    text = pa.array([None if i == 5 else "ä" * i for i in range(10)])
    path = tmp_path / "a.tar"
    write_tar(path, keys[3:8], [("txt", pa.chunked_array([text[3:5], text[5:8]]))])
    with tarfile.open(path) as archive:
        found = {m.name: archive.extractfile(m).read().decode() for m in archive}  # type: ignore[union-attr]
    assert found == {f"{i:02x}.txt": "ä" * i for i in range(3, 8) if i != 5}


@pytest.mark.parametrize(
    ("keys", "members", "says"),
    [
        (["a.b"], [("txt", ["x"])], r"keys\[0\] is 'a.b'"),
        (["ok", ""], [("txt", ["x", "y"])], r"keys\[1\] is ''"),
        (["ok", "/etc"], [("txt", ["x", "y"])], r"keys\[1\] is '/etc'"),
        (["ok", "naïve"], [("txt", ["x", "y"])], r"keys\[1\]"),
        (["ok", None], [("txt", ["x", "y"])], r"keys\[1\] is null"),
        (["a", "b", "a"], [("txt", ["x", "y", "z"])], "'a' comes more than once"),
        (["a" * 97], [("txt", ["x"])], "more than 100 bytes"),
        (["a"], [("txt", ["x"]), ("txt", ["y"])], "twice"),
        (["a"], [("../x", ["x"])], "no extension"),
        (["a"], [("txt", ["x", "y"])], "2 rows, the keys are 1"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_first_byte(keys, members, says) -> None:  # type: ignore[no-untyped-def]
    stream = io.BytesIO()
    with pytest.raises(ValueError, match=says):
        write_tar(stream, pa.array(keys, pa.string()), [(e, pa.array(v)) for e, v in members])
    assert stream.getvalue() == b""


def test_a_value_too_large_for_its_header_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar, "MAX_SIZE", 10)
    with pytest.raises(ValueError, match=r"txt\[1\] has more than 10 bytes"):
        write_tar(io.BytesIO(), pa.array(["a", "b"]), [("txt", pa.array(["x", "y" * 11]))])


def test_numbers_are_no_member() -> None:
    with pytest.raises(TypeError, match="strings or bytes, not int64"):
        write_tar(io.BytesIO(), pa.array(["a"]), [("txt", pa.array([1]))])


def test_the_longest_name_fits() -> None:
    samples: list[dict[str, bytes | str]] = [{"__key__": "a" * 96, "txt": b"x"}]
    assert write(samples, ["txt"]) == reference(samples)
