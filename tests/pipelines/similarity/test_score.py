"""The score stage on a real local Ray: equal bytes on any number of actors, damaged photographs, resuming, and selecting by it."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from flows.recipe import Loaded, RecipeError, parse
from flows.stages import Build
from pipelines import stage
from pipelines.jobs import JobError
from pipelines.ledger import check_chain
from pipelines.manifest import StageManifest
from pipelines.similarity.model import ModelError
from pipelines.similarity.pictures import decode
from tests.pipelines.similarity import models

pytestmark = pytest.mark.engine
for name in ("onnx", "onnxruntime", "tokenizers"):
    pytest.importorskip(name)

TEXTS = [
    ("a red house beside the water and a green tree", "en"),
    ("ein rotes haus am wasser und ein baum", "de"),
    ("赤 い 家 赤 い 家", "ja"),
    ("дом и вода дом и вода", "ru"),
]


def photograph(number: int) -> bytes:
    coarse = np.random.default_rng(number).integers(0, 255, (9, 12, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(coarse).resize((120, 90), Image.Resampling.BICUBIC).save(out, "JPEG" if number % 2 else "PNG")
    return out.getvalue()


def _table(rows: list[tuple[bytes, str, str]]) -> pa.Table:
    """Texts as lists, each with its language."""
    return pa.table(
        {
            "image": [data for data, _, _ in rows],
            "texts": [[{"lang": lang, "text": f"{text} {at}"}] for at, (_, text, lang) in enumerate(rows)],
        }
    )


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five files of photographs, one of them with copies, and a model."""
    folder = tmp_path_factory.mktemp("in")
    models.export(folder / "clip")
    rows = [(photograph(at % 60), *TEXTS[at % 4]) for at in range(90)]
    for number in range(5):
        pq.write_table(_table(rows[number::5]), folder / f"{number}.parquet")
    return folder


FILES = [f"{number}.parquet" for number in range(5)]
MODEL: dict[str, Any] = {"model": "clip", "context_length": models.LENGTH, "batch_size": 8}


def build(inputs: Path, root: Path, workers: int = 1, model: dict[str, Any] | None = None, **options: Any) -> Build:
    recipe = {
        "name": "alt",
        "seed": 7,
        "sources": {"web": {"type": "image_text", "path": [str(inputs / file) for file in FILES]}},
        "pairs": {"image_alt": {"similarity": {**MODEL, **(model or {})}, **options}},
        "runtime": {"workers": workers, "ray": {"actors": workers}},
    }
    return Build(Loaded(parse(yaml.safe_dump(recipe)), str(inputs)), str(root))


def rows_of(made: Build, manifest: StageManifest) -> pa.Table:
    return pa.concat_tables(pq.read_table(Path(made.root, manifest.folder, part.path)) for part in manifest.tables())


Done = tuple[Build, StageManifest, StageManifest]


@pytest.fixture(scope="module")
def done(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    made = build(inputs, tmp_path_factory.mktemp("root"), workers=2)
    annotated, _ = made.annotate("web")
    scored, ran = made.score("web", annotated)
    made.close()  # one Ray a process: each test starts its own
    assert ran
    return made, annotated, scored


def beside(done: Done, root: Path) -> Path:
    """Another root with the same annotated photographs."""
    made, annotated, _ = done
    shutil.copytree(Path(made.root, annotated.folder), root / annotated.folder)
    return root


def _bytes(made: Build, manifest: StageManifest) -> list[bytes]:
    return [Path(made.root, manifest.folder, part.path).read_bytes() for part in manifest.parts]


def test_each_row_has_the_score_that_numpy_gives(done: Done, inputs: Path) -> None:
    made, annotated, scored = done
    assert [(part.path, part.rows) for part in scored.tables()] == [
        (part.path, part.rows) for part in annotated.tables()
    ]
    rows, scores = rows_of(made, annotated).to_pylist(), rows_of(made, scored).to_pylist()
    model = models.Made(inputs / "clip", *_weights(inputs))
    assert len(rows) == len(scores) == 90
    sizes = {hashlib.sha256(photograph(at)).hexdigest(): at for at in range(60)}
    for row, score in zip(rows, scores, strict=True):
        picture = decode(photograph(sizes[row["image"]["sha256"]]))
        assert score["error"] is None
        assert score["similarity"] == pytest.approx(models.numpy_score(model, picture, row["text"]), abs=6e-5)
        assert score["similarity"] == np.float32(round(score["similarity"], 4)), "four decimals"
    assert len({score["similarity"] for score in scores}) > 40
    (step,) = scored.ledger
    assert (step.step, step.rows_in, step.kept, step.errors) == ("score", 90, 90, {})


def _weights(inputs: Path) -> tuple[np.ndarray, ...]:
    made = models.export(inputs / "again")
    assert (inputs / "again" / "text_encoder.onnx").read_bytes() == (inputs / "clip" / "text_encoder.onnx").read_bytes()
    return made.kernel, made.image_head, made.table, made.text_head


def test_one_actor_gives_the_same_bytes_as_two_and_other_batches_the_same_scores(
    done: Done, inputs: Path, tmp_path: Path
) -> None:
    made, annotated, scored = done
    alone = build(inputs, beside(done, tmp_path), workers=1)
    again, _ = alone.score("web", annotated)
    alone.close()
    assert again.digest == scored.digest, "the facts too"
    assert _bytes(alone, again) == _bytes(made, scored)
    other = build(inputs, tmp_path, workers=2, model={"batch_size": 5})
    apart, _ = other.score("web", annotated)
    other.close()
    assert apart.key != scored.key
    assert _bytes(other, apart) == _bytes(made, scored)


def test_the_facts_are_the_quantiles_of_the_scores(done: Done) -> None:
    made, _, scored = done
    facts = scored.facts["similarity"]["web"]
    values = np.sort(rows_of(made, scored).column("similarity").to_numpy())
    assert (facts["scored"], facts["without_image"]) == (90, 0)
    assert facts["quantiles"]["0.5"] == pytest.approx(values[44], abs=6e-4)
    assert facts["quantiles"]["0.99"] == pytest.approx(values[89], abs=6e-4)
    told = {tag: one["scored"] for tag, one in facts["languages"].items()}
    assert told == {"en": 23, "de": 23, "ja": 22, "ru": 22}


def test_a_bound_runs_selection_alone_and_the_rule_is_counted(done: Done, inputs: Path) -> None:
    made, annotated, scored = done
    free, _ = made.make_pairs("image_alt", {"web": annotated}, scores={"web": scored})
    bounds = {"default": -1.0, "ja": 0.2, "de": None, "ru": 0.1}
    bound = build(inputs, Path(made.root), min_similarity=bounds)
    assert bound.annotate("web")[1] is False
    assert bound.score("web", annotated)[1] is False, "not scored again"
    chosen, ran = bound.make_pairs("image_alt", {"web": annotated}, scores={"web": scored})
    assert ran
    steps = {step.step: step for step in check_chain([annotated.ledger, scored.ledger, chosen.ledger])}
    rows, scores = rows_of(made, annotated).to_pylist(), rows_of(made, scored).column("similarity").to_pylist()
    low = [
        score < np.float32({"ja": 0.2, "ru": 0.1}.get(row["lang_hint"], -2.0))
        for row, score in zip(rows, scores, strict=True)
    ]
    assert 0 < sum(low) < 44
    assert steps["filter"].dropped == {"low_similarity": sum(low)}
    before, after = rows_of(made, free), rows_of(bound, chosen)
    assert before.num_rows - after.num_rows == sum(low), "no duplicates here: each text has its number"
    told = [json.loads(one)["similarity"] for one in after.column("scores").to_pylist()]
    kept = sorted(score for score, one in zip(scores, low, strict=True) if not one)
    assert sorted(told) == pytest.approx(kept, abs=1e-6)


def test_the_model_counts_by_content_and_settings_alone(inputs: Path, tmp_path: Path) -> None:
    before = StageManifest(stage="annotate-web", key="0" * 16, config={}, inputs={}, code="1", parts=[], ledger=[])
    base = build(inputs, tmp_path / "root").score_stage("web", before)
    assert build(inputs, tmp_path / "root", min_similarity={"default": 0.3}).score_stage("web", before).key == base.key
    moved = tmp_path / "elsewhere"
    models.export(moved)
    there = build(inputs, tmp_path / "root", model={"model": str(moved)})
    assert there.score_stage("web", before).key == base.key, "moved, and nothing else"
    assert build(inputs, tmp_path / "root", model={"image_size": 32}).score_stage("web", before).key != base.key
    models.export(moved, seed=1)
    assert build(inputs, tmp_path / "root", model={"model": str(moved)}).score_stage("web", before).key != base.key
    assert set(base.inputs) == {
        "web", "similarity.image_encoder", "similarity.text_encoder", "similarity.tokenizer", "similarity.preprocessor",
    }  # fmt: skip
    assert any(word.startswith("onnxruntime-") for word in base.code.split("+"))


def _damaged(made: Build, annotated: StageManifest, folder: Path) -> StageManifest:
    """The first part alone, its blob written anew: one photograph cut in half (its hash says so too), one row without any."""
    part = annotated.tables()[0]
    table = pq.read_table(Path(made.root, annotated.folder, part.path))
    rows = table.to_pylist()
    blob, data = Path(made.root, annotated.folder, "part-00000.images"), b""
    for number, row in enumerate(rows):
        with blob.open("rb") as file:
            file.seek(row["image"]["offset"])
            picture = file.read(row["image"]["length"])
        if number == 3:
            picture = picture[: len(picture) // 2]
        row["image"] |= {"part": "root:hurt.images", "offset": len(data), "length": len(picture),
                         "sha256": hashlib.sha256(picture).hexdigest()}  # fmt: skip
        data += picture
    rows[5]["image"] = None
    (folder / "hurt.images").write_bytes(data)
    (folder / "stages" / "annotate-web-hurt").mkdir(parents=True)
    path = folder / "stages" / "annotate-web-hurt" / part.path
    pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
    return annotated.model_copy(update={"key": "hurt", "parts": [part]})


def test_a_damaged_photograph_is_in_error_and_a_row_without_one_is_not(
    done: Done, inputs: Path, tmp_path: Path
) -> None:
    made, annotated, whole = done
    hurt = _damaged(made, annotated, tmp_path)
    other = build(inputs, tmp_path, workers=1)
    scored, _ = other.score("web", hurt)
    other.close()
    (step,) = scored.ledger
    assert (step.rows_in, step.kept, step.rows_out, step.errors) == (18, 17, 17, {"image_not_decoded": 1})
    table = rows_of(other, scored).to_pylist()
    assert [row["error"] for row in table] == [None] * 3 + ["image_not_decoded"] + [None] * 14
    before = pq.read_table(Path(made.root, whole.folder, whole.tables()[0].path)).column("similarity").to_pylist()
    assert [row["similarity"] for row in table] == [None if at in (3, 5) else before[at] for at in range(18)]
    (log,) = [part for part in scored.parts if part.role == "errors"]
    entry = json.loads(Path(other.root, scored.folder, log.path).read_text())
    assert (entry["reason"], entry["rows"], entry["source"]) == ("image_not_decoded", 1, "web")
    assert entry["position"], "which record it was"
    assert scored.facts["similarity"]["web"]["without_image"] == 1
    data = bytearray((tmp_path / "hurt.images").read_bytes())
    data[100] ^= 1
    (tmp_path / "hurt.images").write_bytes(data)
    changed = build(inputs, tmp_path, workers=1, model={"batch_size": 2})
    with pytest.raises(JobError, match="has changed since its photographs were read"):
        changed.score("web", hurt)
    changed.close()


def test_rows_in_error_do_not_reach_selection(done: Done, inputs: Path, tmp_path: Path) -> None:
    made, annotated, _ = done
    hurt = _damaged(made, annotated, tmp_path)
    rows = pq.read_table(tmp_path / hurt.folder / hurt.parts[0].path)
    with_images = rows.filter(pa.compute.is_valid(rows.column("image")))
    pq.write_table(with_images, tmp_path / hurt.folder / hurt.parts[0].path)
    hurt = hurt.model_copy(update={"parts": [hurt.parts[0].model_copy(update={"rows": 17})]})
    other = build(inputs, tmp_path, min_similarity={"default": -1})
    scored, _ = other.score("web", hurt)
    chosen, _ = other.make_pairs("image_alt", {"web": hurt}, scores={"web": scored})
    other.close()
    check_chain([scored.ledger, chosen.ledger])
    assert rows_of(other, chosen).num_rows == 16


def test_a_run_that_was_stopped_goes_on_where_it_was(done: Done, inputs: Path, tmp_path: Path) -> None:
    _, annotated, whole = done
    first, before = build(inputs, beside(done, tmp_path), workers=1), annotated
    with pytest.raises(JobError, match="stopped"):
        first.score("web", before, lambda rows, units: first.stop.set() if units == 2 else None)
    first.close()
    what = first.score_stage("web", before)
    assert stage.done(first.root, what) is None
    folder = tmp_path / what.folder
    finished = {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*.parquet")}
    records = {path.name.removesuffix(".json") for path in (folder / "records").glob("*.json")}
    assert 2 <= len(records) < 5
    spoilt = min(records)
    (folder / spoilt).write_bytes(b"half a file")
    again = build(inputs, tmp_path, workers=2)
    scored, ran = again.score("web", before)
    again.close()
    assert ran
    assert scored.digest == whole.digest
    now = {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*.parquet")}
    assert {name for name in records if now[name] == finished[name]} == records - {spoilt}


def test_a_model_that_fails_on_the_actor_is_named(done: Done, inputs: Path, tmp_path: Path) -> None:
    models.export(tmp_path / "bad")
    (tmp_path / "bad" / "text_encoder.onnx").write_bytes(b"nothing")
    made = build(inputs, beside(done, tmp_path), model={"model": str(tmp_path / "bad")})
    with pytest.raises(JobError, match=r"text_encoder\.onnx: is no ONNX model") as failure:
        made.score("web", done[1])
    made.close()
    assert failure.value.expected


def test_a_recipe_names_what_is_missing(inputs: Path, tmp_path: Path) -> None:
    recipe = "name: a\nsources: {web: {type: image_text, path: '*.parquet'}}\npairs:\n  image_alt: "
    with pytest.raises(RecipeError, match=r"line 4: pairs.image_alt.min_similarity: needs scores: add a model"):
        parse(recipe + "{min_similarity: {default: 0.3}}")
    with pytest.raises(RecipeError, match=r"pairs.image_alt.min_similarity.* add `default`"):
        parse(recipe + "{similarity: {model: a}, min_similarity: {ja: 0.3}}")
    with pytest.raises(RecipeError, match="did you mean batch_size"):
        parse(recipe + "{similarity: {model: a, batchsize: 3}}")
    parsed = parse(recipe + "{preset: mine.yaml, similarity: {model: a}, min_similarity: {default: 0.3, pt_BR: 0.2}}",
                   folder=str(_preset(tmp_path)))  # fmt: skip
    assert parsed.pairs.image_alt is not None
    assert parsed.pairs.image_alt.order == ("too_short", "low_similarity")
    assert parsed.pairs.image_alt.min_similarity == {"default": 0.3, "pt-BR": 0.2}
    made = build(inputs, tmp_path / "root", model={"model": "nowhere"})
    with pytest.raises(ModelError, match=r"similarity\.model: .*nowhere is no folder"):
        _ = made.model_files


def _preset(folder: Path) -> Path:
    (folder / "mine.yaml").write_text("order: [too_short]\nmin_words: 2\n")
    return folder


def test_stopping_ends_actors_that_hang(tmp_path: Path) -> None:
    """Ray ends no single call of an actor; its process goes."""
    from pipelines.ray_jobs.session import Session
    from pipelines.ray_jobs.tasks import run_tasks
    from tests.pipelines.test_ray_session import _sleeps, _square

    session, stop = Session("local", 1), threading.Event()
    failures: list[JobError] = []

    def work() -> None:
        try:
            list(run_tasks(session, _sleeps, {"folder": str(tmp_path)}, range(4), stop, on_actors=True))
        except JobError as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not list(tmp_path.glob("began-*")):
        thread.join(timeout=0.05)
    stop.set()
    thread.join(timeout=40)
    assert not thread.is_alive()
    assert "stopped" in str(failures[0])
    assert sorted(run_tasks(session, _square, {"plus": 1}, range(3), on_actors=True)) == [1, 2, 5]
    assert sorted(run_tasks(session, _square, {"plus": 1}, range(3))) == [1, 2, 5], "and tasks beside idle actors"
    session.close()
