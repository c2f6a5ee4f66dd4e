"""Files of one source whose columns differ are told before anything is read, both by name; what nobody uses may differ."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.sources import agreement, bitext, image_text, inputs
from pipelines.sources.inputs import Inputs, find
from pipelines.sources.reading import SourceError
from pipelines.sources.spec import BitextSource, ImageTextSource

Look = Callable[..., Inputs]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    def run(path: Any = "*", **fields: Any) -> Inputs:
        source = ImageTextSource.model_validate({"type": "image_text", "path": path, **fields})
        return find("web", source, lambda p: f"{tmp_path}/data/{p}", str(tmp_path))

    (tmp_path / "data").mkdir()
    return run


def parquet(tmp_path: Path, name: str, **columns: Any) -> None:
    pq.write_table(pa.table(columns), tmp_path / "data" / name)


def text(tmp_path: Path, name: str, data: str) -> None:
    (tmp_path / "data" / name).write_text(data)


def test_a_named_column_that_one_file_lacks(look: Look, tmp_path: Path) -> None:
    parquet(tmp_path, "a.parquet", alt=["x"], url=["u"])
    parquet(tmp_path, "b.parquet", caption=["x"], url=["u"])
    with pytest.raises(
        SourceError,
        match=r"b\.parquet: no column 'alt' for text; there are caption, url; .*a\.parquet has text in 'alt'",
    ):
        look(columns={"text": "alt"})
    with pytest.raises(
        SourceError,
        match=r"sources\.web: its files differ .*a\.parquet has column 'alt' for text, .*b\.parquet has column 'caption'",
    ):
        look()


@pytest.mark.parametrize("named", [True, False])
def test_a_column_of_another_type_in_one_file(look: Look, tmp_path: Path, named: bool) -> None:
    parquet(tmp_path, "a.parquet", text=["x"])
    parquet(tmp_path, "b.parquet", text=[5])
    with pytest.raises(
        SourceError, match=r"b\.parquet: the column 'text' for text is int64.*a\.parquet has text in 'text'"
    ):
        look(columns={"text": "text"} if named else {})


def test_what_nobody_uses_may_differ(look: Look, tmp_path: Path) -> None:
    parquet(tmp_path, "a.parquet", text=["x"], url=["u"], more=[1], width=["640px"])
    parquet(tmp_path, "b.parquet", url=["u"], TEXT=pa.array(["x"], pa.large_string()), more=["text"], WIDTH=[640])
    parquet(tmp_path, "c.parquet", text=pa.array(["x"]).dictionary_encode(), Url=["u"], width=[1.5], none=[None])
    assert len(look().units()) == 3


def test_an_address_or_a_size_may_be_missing_unless_it_is_named(look: Look, tmp_path: Path) -> None:
    parquet(tmp_path, "a.parquet", text=["x"], url=["u"], width=[1], height=[1])
    parquet(tmp_path, "b.parquet", text=["x"])
    assert len(look().units()) == 2
    for role in ("url", "width"):
        with pytest.raises(
            SourceError, match=rf"b\.parquet: no column '{role}' for {role}; .*a\.parquet has .*{role} in '{role}'"
        ):
            look(columns={role: role})


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_headers_of_tables(look: Look, tmp_path: Path, ending: str) -> None:
    comma = "," if ending == "csv" else "\t"
    text(tmp_path, f"a.{ending}", f"url{comma}alt\nu{comma}x\n")
    text(tmp_path, f"b.{ending}", f"url{comma}caption\nu{comma}x\n")
    with pytest.raises(SourceError, match=r"b\..sv: no column 'alt' .*a\..sv has text in 'alt'"):
        look(columns={"text": "alt"})
    with pytest.raises(SourceError, match="its files differ"):
        look()
    with pytest.raises(SourceError, match=r"no column 'wrong' for text"):
        look(f"a.{ending}", columns={"text": "wrong"})
    assert look(columns={"text": 1, "url": 0}).files


def test_json_lines_may_leave_fields_out_but_not_the_text(look: Look, tmp_path: Path) -> None:
    text(tmp_path, "a.jsonl", json.dumps({"text": "x", "url": "u", "width": 5, "lang": "de"}) + "\n")
    text(tmp_path, "b.jsonl", '{"url": "u"}\nbroken\n{"text": "x"}\n')
    assert look().files
    text(tmp_path, "c.jsonl", '{"caption": "x"}\n')
    with pytest.raises(SourceError, match=r"c\.jsonl has column 'caption'"):
        look()
    with pytest.raises(
        SourceError, match=r"c\.jsonl: no column 'text' for text in its first 1 objects; there are caption"
    ):
        look(columns={"text": "text"})
    text(tmp_path, "c.jsonl", '{"other": 1}\n')
    with pytest.raises(SourceError, match=r"c\.jsonl: no column of texts; there are other"):
        look()


@pytest.mark.parametrize(
    ("data", "what"), [('[{"text": "x"}]', "one array"), ('{\n "text": "x"\n}\n', "several lines")]
)
def test_json_that_is_no_lines(look: Look, tmp_path: Path, data: str, what: str) -> None:
    text(tmp_path, "a.json", data)
    with pytest.raises(SourceError, match=f"{what}.*one object a line"):
        look()


def test_files_that_cannot_be_opened_say_nothing(look: Look, tmp_path: Path) -> None:
    parquet(tmp_path, "a.parquet", text=["x"])
    for name, data in {
        "b.parquet": "PAR1",
        "c.parquet": "",
        "d.csv.gz": "no gzip",
        "e.jsonl": "",
        "f.jsonl": "\0\n{}",
        "g.tsv": '"',
    }.items():
        text(tmp_path, name, data)
    with pytest.raises(SourceError, match=r"f\.jsonl: no column of texts"):
        look()
    text(tmp_path, "f.jsonl", "\0\n")
    text(tmp_path, "g.tsv", "")
    assert len(look().units()) == 7


def test_of_very_many_files_some_are_looked_at_first_and_the_rest_before_they_are_read(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement.spread, "__defaults__", (10,))
    for number in range(40):
        text(tmp_path, f"{number:02d}.csv", "text\nx\n" if number != 14 else "caption\nx\n")
    seen: list[str] = []
    real = image_text.inspect
    monkeypatch.setattr(image_text, "inspect", lambda source, url: (seen.append(url), real(source, url))[1])
    found = look()
    assert len(seen) == 10
    with pytest.raises(SourceError, match=r"00\.csv has column 'text' for text, .*14\.csv has column 'caption'"):
        found.units()
    assert len(seen) == 40, "each file once"


def test_spread_takes_the_ends_and_no_file_twice() -> None:
    files = [str(number) for number in range(1000)]
    for most in (2, 3, 7, 999, 1000, 2000):
        chosen = agreement.spread(files, most)
        assert len(set(chosen)) == len(chosen) == min(most, 1000)
        assert (chosen[0], chosen[-1]) == ("0", "999")
        assert chosen == sorted(chosen, key=int)


def test_positions_are_for_tables_of_text(look: Look, tmp_path: Path) -> None:
    parquet(tmp_path, "a.parquet", text=["x"])
    with pytest.raises(SourceError, match=r"columns\.text = 0: positions are for csv and tsv"):
        look(columns={"text": 0})


def test_parquet_by_path_and_in_several_columns(look: Look, tmp_path: Path, read_rows: Any) -> None:
    parquet(tmp_path, "a.parquet", meta=[{"alt": "x", "more": {"de": ["y", "z"]}}], tags=[["a", "b"]], n=[1])
    columns = {"text": ["meta.alt", "meta.more.de"], "tags": "tags"}
    assert look(columns=columns).files
    took = read_rows("b.parquet", (tmp_path / "data" / "a.parquet").read_bytes(), columns=columns)
    assert [(row["text"], row["text_role"]) for row in took.rows] == [
        ("x", "meta.alt"), ("y", "meta.more.de"), ("z", "meta.more.de"), ("a, b", "tags"),
    ]  # fmt: skip
    with pytest.raises(SourceError, match=r"no column 'meta\.wrong' for text; there are meta, tags, n"):
        look(columns={"text": "meta.wrong"})
    with pytest.raises(SourceError, match="the column 'n' for text is int64; strings are wanted"):
        look(columns={"text": ["meta.alt", "n"]})
    with pytest.raises(SourceError, match="the column 'tags' for similarity is list"):
        look(columns={**columns, "similarity": "tags"})


# --- bitext ------------------------------------------------------------------------------------------------------------------


def test_lines_of_a_bitext_are_counted_once_for_each_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = BitextSource(type="bitext", left="a", right="b", languages=("de", "en"))
    counted: list[Any] = []
    real = bitext.check
    monkeypatch.setattr(inputs.bitext, "check", lambda *given: (counted.append(given), real(*given)))

    def run() -> Inputs:
        return find("wmt", source, lambda p: f"{tmp_path}/{p}", str(tmp_path / "root"))

    (tmp_path / "a").write_text("eins\nzwei\n")
    (tmp_path / "b").write_text("one\n")
    for _ in range(2):
        with pytest.raises(SourceError, match=r"not aligned: .*a has 2 lines, .*b has 1"):
            run()
    (tmp_path / "b").write_text("one\ntwo\n")
    for _ in range(3):
        run()
    assert len(counted) == 3
    (tmp_path / "root" / "cache" / inputs.ALIGNED).write_text('{"broken": ')
    run()
    (tmp_path / "b").write_text("one\ntwo\nthree\n")
    with pytest.raises(SourceError, match="not aligned"):
        run()
