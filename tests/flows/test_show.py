"""`pixelpairs show`: which pairs are drawn, from where, and how they are printed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pytest
from rich.console import Console
from typer.testing import CliRunner

from flows import excerpts, show
from flows.cli import app
from flows.excerpts import Drawn
from pipelines import dataset
from pipelines import manifest as manifests
from pipelines.dataset import DatasetManifest
from tests.pipelines.publish import made_version

Row = tuple[str, str, str | None, str | None]


def batch(rows: list[Row]) -> pa.RecordBatch:
    names = ("left_text", "right_text", "left_lang", "right_lang")
    columns = {name: pa.array([row[at] for row in rows], pa.string()) for at, name in enumerate(names)}
    columns["origin"] = pa.array([f"s/f#{row[0]}" for row in rows])
    return pa.RecordBatch.from_pydict(columns)


ROWS: list[Row] = [(f"left {n}", f"right {n}", "de" if n % 3 else "en-GB", "de" if n % 3 else "en") for n in range(300)]


def drawn_of(rows: list[Row], size: int, **options: object) -> list[tuple[excerpts.Group, list[str]]]:
    drawn = Drawn(5, **options)  # type: ignore[arg-type]
    for first in range(0, len(rows), size):
        drawn.add("sentences", batch(rows[first : first + size]))
    return [(group, [row["left_text"] for row in found]) for group, found in drawn.groups()]


def test_the_same_rows_whatever_their_order_and_batches() -> None:
    found = drawn_of(ROWS, 300)
    assert [group for group, _ in found] == [("sentences", "de", None), ("sentences", "en", None)]
    assert all(len(texts) == 5 for _, texts in found)
    shuffled = sorted(ROWS, key=lambda row: row[0][::-1])
    assert drawn_of(shuffled, 7) == found
    assert drawn_of(ROWS, 300, seed=1) != found


def test_languages_and_kinds_can_be_asked_for() -> None:
    rows: list[Row] = [("a", "b", "de", "en"), ("c", "d", "fr", "en"), ("e", "f", None, None)]
    assert [group[1] for group, _ in drawn_of(rows, 3)] == ["de-en", "en-fr", "und"]
    assert [group[1] for group, _ in drawn_of(rows, 3, languages={"fr"})] == ["en-fr"]
    assert drawn_of(rows, 3, kinds=["translations"]) == []


def test_what_a_rule_dropped_is_a_group_and_what_it_kept_is_not() -> None:
    drawn = Drawn(2)
    drawn.add("sentences", batch(ROWS[:6]), pa.array(["short", None, "short", None, None, "url"], pa.string()))
    assert dict(drawn.counts) == {
        ("sentences", "en", "short"): 1,
        ("sentences", "de", "short"): 1,
        ("sentences", "de", "url"): 1,
    }


def printed(drawn: Drawn) -> str:
    out = io.StringIO()
    show.show(drawn, Console(file=out, width=160, emoji=False, color_system=None))
    return out.getvalue()


def test_of_dropped_rows_the_ledger_has_the_number_where_only_examples_are_at_hand() -> None:
    drawn = Drawn(1, examples={"image_alt"})
    why = pa.array(["image_too_small"] * 4, pa.string())
    drawn.add("image_alt", batch(ROWS[:4]), why)
    drawn.add("sentences", batch(ROWS[:6]), pa.array(["short", None, "short", None, None, "url"], pa.string()))
    drawn.totals.update({("image_alt", "image_too_small"): 5179, ("image_alt", "duplicate_pair"): 209})
    drawn.totals.update({("sentences", "short"): 9, ("sentences", "url"): 1})
    text = printed(drawn)
    assert "image_alt · de · dropped by image_too_small: 1 of the 2 examples that were stored; 5,179 dropped" in text
    assert "image_alt · dropped by duplicate_pair: 209, of which no row was stored" in text
    assert "sentences · en · dropped by short: 1 of 1; 9 dropped in all languages and steps" in text
    assert "sentences · de · dropped by url: 1 of 1\n" in text, "all of them were met: nothing to add"
    assert "5 of 5,398 dropped" in show.summary(drawn)


def test_hostile_text_does_not_reach_the_terminal(tmp_path: Path) -> None:
    drawn = Drawn(5)
    drawn.add("translations", batch([("\x1b[31mred\x07[bold]x[/bold]\nnext", "\u202eright", "de", "en")]))
    out = io.StringIO()
    show.show(drawn, Console(file=out, width=100, emoji=False, color_system=None))
    text = out.getvalue()
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "[bold]x[/bold]" in text, "no markup of the data's is followed"
    show.write(drawn, tmp_path / "deep/x.jsonl")
    (line,) = (tmp_path / "deep/x.jsonl").read_text().splitlines()
    assert json.loads(line)["left_text"].startswith("\x1b[31m"), "a file for programs has the text as it is"


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DatasetManifest]:
    folder = tmp_path_factory.mktemp("version")
    manifest = made_version.make_version(folder)
    (folder / "MANIFEST.json").write_bytes(dataset.encode(manifest))
    return folder, manifest


def test_pairs_come_out_of_the_shards(version: tuple[Path, DatasetManifest]) -> None:
    folder, manifest = version
    drawn = excerpts.draw(str(folder), most=1000)
    assert sum(drawn.counts.values()) == sum(manifest.samples().values())
    by_kind: dict[str, int] = {}
    for (kind, _, _), count in drawn.counts.items():
        by_kind[kind] = by_kind.get(kind, 0) + count
    assert by_kind == {kind: count for kind, count in manifest.samples().items() if count}
    texts = {text for _, text in made_version.TEXTS}
    for (kind, _, _), rows in drawn.groups():
        assert all(row["right_text"] in texts for row in rows)
        assert all((row.get("left_text") in texts) == (kind != "image_alt") for row in rows)


def test_the_command(version: tuple[Path, DatasetManifest], tmp_path: Path) -> None:
    folder, _ = version
    done = CliRunner().invoke(app, ["show", str(folder), "-n", "2", "--language", "ru"])
    assert done.exit_code == 0, done.output
    assert "Красный круг" in done.output
    assert "image_alt · ru · kept: 1 of 1" in done.output
    done = CliRunner().invoke(app, ["show", str(folder), "-o", str(tmp_path / "all.txt")])
    assert done.exit_code == 0
    assert "赤い丸は" in (tmp_path / "all.txt").read_text()
    assert CliRunner().invoke(app, ["show", str(tmp_path)]).exit_code == 1, "no version lies there"
    assert CliRunner().invoke(app, ["show", str(folder), "--kind", "sentence"]).exit_code == 2


def test_where_nothing_is_wanted_that_is_there_what_is_there_is_said(version: tuple[Path, DatasetManifest]) -> None:
    folder, _ = version
    done = CliRunner().invoke(app, ["show", str(folder), "--language", "xx"])
    assert done.exit_code == 1
    assert "no pairs in xx; there are ar, " in done.output
    assert ", ru, " in done.output
    done = CliRunner().invoke(app, ["show", str(folder), "--kind", "word_drop"])
    assert done.exit_code == 1
    assert "no pairs of word_drop; there are image_alt, sentences, translations" in done.output


def test_what_another_release_measured_is_not_judged_by_this_ones_rules(
    version: tuple[Path, DatasetManifest], tmp_path: Path
) -> None:
    _, manifest = version
    old = manifests.StageManifest(
        stage="annotate-bitext", key="0" * 16, config={}, inputs={}, code="1+unicode-14", parts=[], ledger=[]
    )
    folder = tmp_path / "datasets/demo/0123456789ab"
    (tmp_path / old.folder).mkdir(parents=True)
    manifests.write(str(tmp_path / old.folder), old)
    recipe = {**manifest.recipe, "pairs": {"translations": {}}, "sources": {"bitext": {"type": "bitext"}}, "seed": 0}
    told = manifest.model_copy(update={"recipe": recipe, "lineage": {"annotate-bitext": {"key": "0" * 16}}})
    older: list[str] = []
    assert list(excerpts.dropped(str(folder), told, (), older)) == []
    assert older == ["annotate-bitext"]
    assert "annotate-bitext is not shown: another release measured them" in printed(Drawn(1, older=older))


def test_stages_that_are_gone_are_told(version: tuple[Path, DatasetManifest]) -> None:
    folder, manifest = version
    told = manifest.model_copy(
        update={
            "recipe": {**manifest.recipe, "seed": 0, "pairs": {"word_drop": {}}},
            "lineage": {"select-sentences": {"key": "0" * 16}},
        }
    )
    with pytest.raises(dataset.DatasetError, match="select-sentences of this version is not under"):
        list(excerpts.dropped(str(folder), told))
