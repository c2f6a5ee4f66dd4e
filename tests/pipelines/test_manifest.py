"""What a stage leaves behind: equal output gives equal bytes, and what is not whole is seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import manifest as manifests
from pipelines import storage
from pipelines.manifest import NAME, Part, StageManifest, canonical_json, digest_of

JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=5))
def test_the_order_of_keys_does_not_count_and_nothing_else_is_lost(value: dict[str, Any]) -> None:
    other = dict(reversed(value.items()))
    assert canonical_json(other) == canonical_json(value)
    assert json.loads(canonical_json(value)) == value
    assert b"\n" not in canonical_json(value)


@given(JSON, JSON)
def test_other_values_have_other_digests(left: Any, right: Any) -> None:
    assert (digest_of(left) == digest_of(right)) == (canonical_json(left) == canonical_json(right))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", {1, 2}])
def test_what_is_no_json_has_no_digest(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        digest_of({"a": value})


@pytest.fixture
def made(tmp_path: Path) -> StageManifest:
    parts = []
    for name in ("a", "b"):
        file = storage.write_bytes(str(tmp_path / name), name.encode() * 100)
        parts.append(Part(path=name, bytes=file.bytes, sha256=file.sha256, rows=5))
    return StageManifest(stage="s", key="k", config={"x": 1}, inputs={"i": "d"}, code="1", parts=parts, ledger=[])


def test_what_is_written_is_read(tmp_path: Path, made: StageManifest) -> None:
    manifests.write(str(tmp_path), made)
    assert manifests.read(str(tmp_path)) == made
    assert manifests.whole(str(tmp_path), made, content=True)


@pytest.mark.parametrize(
    "change", [{"config": {"x": 2}}, {"inputs": {"i": "e"}}, {"code": "2"}, {"facts": {"y": 1}}, {"parts": []}]
)
def test_the_digest_changes_with_everything(made: StageManifest, change: dict[str, Any]) -> None:
    assert made.model_copy(update=change).digest != made.digest


@pytest.mark.parametrize("text", [b"", b"{", b"null", b"[]", b"\xff", b'{"stage": "s"}', b"0" * 5000])
def test_a_broken_manifest_counts_as_none(tmp_path: Path, text: bytes) -> None:
    assert manifests.read(str(tmp_path)) is None
    (tmp_path / NAME).write_bytes(text)
    assert manifests.read(str(tmp_path)) is None


def test_a_key_that_is_not_known_makes_it_another_programs(tmp_path: Path, made: StageManifest) -> None:
    manifests.write(str(tmp_path), made)
    value = json.loads((tmp_path / NAME).read_bytes())
    (tmp_path / NAME).write_text(json.dumps({**value, "more": 1}))
    assert manifests.read(str(tmp_path)) is None


def test_what_is_not_whole_is_seen(tmp_path: Path, made: StageManifest) -> None:
    folder = str(tmp_path)
    data = (tmp_path / "b").read_bytes()
    (tmp_path / "b").write_bytes(data[:-1])
    assert not manifests.whole(folder, made)
    (tmp_path / "b").write_bytes(b"x" + data[1:])
    assert manifests.whole(folder, made), "size alone does not tell"
    assert not manifests.whole(folder, made, content=True)
    (tmp_path / "b").unlink()
    assert not manifests.whole(folder, made)
