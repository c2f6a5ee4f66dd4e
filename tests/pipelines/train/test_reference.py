"""The reference trainer on small versions made here: it learns what can be learnt, and nothing else."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import math
import os
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin crawl on shared cores
torch = pytest.importorskip("torch")

from PIL import Image, ImageDraw  # noqa: E402

from pipelines.train.reference import decode, version  # noqa: E402
from pipelines.train.reference.__main__ import main  # noqa: E402
from pipelines.train.reference.config import TrainConfig  # noqa: E402
from pipelines.train.reference.decode import Decoder  # noqa: E402
from pipelines.train.reference.loss import contrastive_loss, false_negatives, standardised, unit  # noqa: E402
from pipelines.train.reference.model import load_tower, make_tower, save_tower  # noqa: E402
from pipelines.train.reference.plan import Plan  # noqa: E402
from pipelines.train.reference.retrieval import recalls  # noqa: E402
from pipelines.train.reference.split import split  # noqa: E402
from pipelines.train.reference.trainer import schedule, train  # noqa: E402
from pipelines.train.reference.version import DataError, open_version  # noqa: E402

WORDS = ["red", "green", "blue", "black", "white", "gold"]
TINTS = {"red": (220, 0, 0), "green": (0, 160, 0), "blue": (0, 0, 230), "black": (0, 0, 0), "white": (255, 255, 255),
         "gold": (255, 215, 0)}  # fmt: skip
SIDE = 64


def text_png(text: str, side: int = SIDE) -> bytes:
    """A text as the renderer's PNGs have it: one bit, a palette of 127 and 0."""
    bits = Image.new("1", (side, side))
    for line, word in enumerate(text.split()):
        ImageDraw.Draw(bits).text((1, 16 * line + 1), word, fill=1)
    picture = Image.fromarray(np.asarray(bits).astype(np.uint8), "P")
    picture.putpalette([127, 127, 127, 0, 0, 0])
    out = io.BytesIO()
    picture.save(out, "PNG", bits=1)
    return out.getvalue()


def photograph(words: list[str], noise: int) -> bytes:
    """Four bands of colour, named by the words from top to bottom, with noise that makes each file its own."""
    pixels = np.repeat(np.array([TINTS[w] for w in words], dtype=np.int16), 12, axis=0)[:, None].repeat(48, 1)
    pixels = pixels + np.random.default_rng(noise).integers(-12, 13, pixels.shape)
    out = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def write_version(folder: Path, kinds: dict[str, list[tuple[str, bytes, str]]], *, per_shard: int = 200) -> Path:
    """Writes a version as `publish` lays it out: kind -> (left extension, left bytes, right text)."""
    (folder / "train").mkdir(parents=True)
    shards = []
    for kind, pairs in kinds.items():
        keyed = sorted((hashlib.sha256(f"{kind}{n}{text}".encode()).hexdigest()[:32], e, left, text)
                       for n, (e, left, text) in enumerate(pairs))  # fmt: skip
        for number, start in enumerate(range(0, len(keyed), per_shard)):
            part = keyed[start : start + per_shard]
            path = folder / "train" / f"{kind}-{number:06d}.tar"
            with tarfile.open(path, "w") as tar:
                for key, extension, left, text in part:
                    meta = json.dumps({"kind": kind}).encode()
                    members = ((extension, left), ("text.png", text_png(text)), ("txt", text.encode()), ("json", meta))
                    for name, data in members:
                        info = tarfile.TarInfo(f"{key}.{name}")
                        info.size = len(data)
                        tar.addfile(info, io.BytesIO(data))
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            shards.append({"path": f"train/{path.name}", "kind": kind, "bytes": len(data), "samples": len(part),
                           "sha256": digest, "first_key": part[0][0], "last_key": part[-1][0]})  # fmt: skip
    spec = {"width": SIDE, "height": SIDE, "background": 127, "text": 0}
    manifest = {"shards": shards, "render": {"spec": spec, "font": {"name": "x", "sha256": "0" * 64}},
                "mix": {kind: 1 / len(kinds) for kind in kinds}}  # fmt: skip
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    return folder


def bands() -> list[tuple[str, bytes, str]]:
    combos = list(itertools.product(WORDS, repeat=4))[::3]
    return [("png", photograph(list(words), n), " ".join(words)) for n, words in enumerate(combos)]


@pytest.fixture(scope="module")
def learnable(tmp_path_factory) -> Path:
    sentences = [("png", text_png(f"a{n} {n % 7}"), f"b{n} {n % 7}") for n in range(60)]
    return write_version(tmp_path_factory.mktemp("v") / "v", {"image_alt": bands(), "sentences": sentences})


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    sentences = [("png", text_png(f"a{n}"), f"b{n}") for n in range(30)]
    return write_version(
        tmp_path_factory.mktemp("s") / "v", {"image_alt": bands()[:40], "sentences": sentences}, per_shard=25
    )


def run(version: Path, out: Path, **changes) -> dict:
    options = {
        "mix": {"image_alt": 1.0},
        "steps": 150,
        "batch_size": 48,
        "size": 48,
        "learning_rate": 2e-3,
        "threads": 2,
    }
    return train(TrainConfig(dataset=version, out=out, **{**options, **changes}))


def test_loss_falls_and_held_out_pictures_are_found(learnable, tmp_path):
    result = run(learnable, tmp_path / "out")
    assert result["loss_last"] < result["loss_chance"] - 1.0
    found = result["retrieval"]
    assert found["text_to_left"]["recall_at_5"] > 4 * found["chance_at_5"], "the tower reads texts that it never saw"
    assert result["status"] == "complete"
    assert result["steps"] == 150
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 151))
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == result
    assert Image.open(tmp_path / "out" / "loss.png").size == (960, 520)
    assert load_tower(tmp_path / "out" / "weights.safetensors").config.width == 96


def test_shuffled_pairs_teach_nothing_that_holds_on_held_out_ones(learnable, tmp_path):
    found = run(learnable, tmp_path / "out", control="shuffled")["retrieval"]
    assert found["text_to_left"]["recall_at_5"] < 3 * found["chance_at_5"]


def test_mix_weights_are_honoured_in_metrics(small, tmp_path):
    result = run(small, tmp_path / "out", mix={"image_alt": 3, "sentences": 1}, steps=12, batch_size=8, holdout=0.3)
    kinds = Counter(json.loads(line)["kind"] for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines())
    assert kinds == {"image_alt": 9, "sentences": 3}
    assert result["mix"] == {"image_alt": 0.75, "sentences": 0.25}
    assert set(result["retrieval_by_kind"]) == {"image_alt", "sentences"}


def test_plan_is_a_function_of_the_seed_and_takes_each_sample_once_an_epoch():
    def first(seed: int, count: int = 20) -> list[tuple[str, list[int]]]:
        plan = Plan({"a": 40, "b": 24}, {"a": 2.0, "b": 1.0}, 8, seed)
        return [(kind, positions.tolist()) for kind, positions in itertools.islice(plan, count)]

    assert first(1) == first(1)
    assert first(1) != first(2)
    for kind, size in (("a", 40), ("b", 24)):
        order = [p for k, positions in first(1) if k == kind for p in positions]
        assert sorted(order[:size]) == list(range(size))
    steps = Counter()
    for n, (kind, _) in enumerate(first(1, 60), start=1):
        steps[kind] += 1
        assert abs(steps["a"] - n * 2 / 3) <= 1


def test_split_keeps_pictures_and_texts_of_the_held_out_from_training(small):
    samples = open_version(small).samples["image_alt"]
    train_part, held = split(samples, share=0.3, most=100)
    assert held
    assert not {s.left_id for s in train_part} & {s.left_id for s in held}
    assert not {s.right_id for s in train_part} & {s.right_id for s in held}
    assert split(samples[::-1], share=0.3, most=100)[1] == held


def test_texts_decode_to_the_rendered_levels_and_the_cache_gives_them_back(small):
    opened = open_version(small)
    decoder = Decoder(opened, size=32, patch=16)
    sample = opened.samples["sentences"][0]
    first = decoder.batch("sentences", [sample])
    again = decoder.batch("sentences", [sample])
    assert set(np.unique(first.right)) == {0, 127}
    assert (first.right == again.right).all()
    assert (first.left == again.left).all()
    assert first.right_rows.tolist() == [1]
    assert first.right.shape == (1, 32, SIDE)


def test_transparent_photographs_lie_on_white():
    out = io.BytesIO()
    Image.new("RGBA", (20, 10), (10, 20, 30, 0)).save(out, "PNG")
    assert (decode.decode_photograph(out.getvalue(), 16) == 255).all()


def test_a_text_has_the_same_embedding_in_any_batch():
    torch.manual_seed(0)
    for model in ("tiny",):
        tower = make_tower(model, rows=14, columns=14).eval()
        text = torch.full((1, 1, 224, 224), 127 / 127.5 - 1)
        text[:, :, 2:12, :100] = -1
        rows = torch.tensor([1])
        with torch.inference_mode():
            whole, cut = unit(tower(text, rows)), unit(tower(text[:, :, :32], rows))
        assert torch.allclose(whole, cut, atol=1e-5)


def test_weights_survive_and_a_broken_file_is_a_clear_error(tmp_path):
    tower = make_tower("tiny", rows=4, columns=4)
    save_tower(tmp_path / "w", tower)
    again = load_tower(tmp_path / "w")
    assert all(torch.equal(a, b) for a, b in zip(tower.state_dict().values(), again.state_dict().values(), strict=True))
    (tmp_path / "w").write_bytes(b"\x08\0\0\0\0\0\0\0not json")
    with pytest.raises(ValueError, match="not a tower's weights"):
        load_tower(tmp_path / "w")


def test_loss_of_chance_and_of_repeats():
    same = torch.nn.functional.normalize(torch.ones(8, 4), dim=-1)
    assert contrastive_loss(same, same, torch.tensor(10.0)).item() == pytest.approx(math.log(8))
    left_ids, right_ids = torch.arange(4), torch.tensor([5, 5, 6, 7])
    ignore = false_negatives(left_ids, right_ids)
    assert ignore.nonzero().tolist() == [[0, 1], [1, 0]]
    eye = torch.eye(4)
    twin = eye[[0, 0, 2, 3]]
    assert contrastive_loss(eye, twin, torch.tensor(50.0), ignore) < contrastive_loss(eye, twin, torch.tensor(50.0))


def test_recalls_count_ties_against_and_standardising_fades():
    eye = torch.eye(6)
    assert recalls(eye, eye)["recall_at_1"] == 1.0
    assert recalls(torch.ones(6, 6), torch.ones(6, 6))["recall_at_5"] == 0.0
    x = torch.randn(50, 6) + 3
    assert standardised(x, 1.0).mean(0).abs().max() < 1e-5
    assert standardised(x, 0.0) is x
    assert schedule(1, 100, 0.1) == 0.1
    assert schedule(10, 100, 0.1) == 1.0
    assert schedule(100, 100, 0.1) < 1e-3


def test_a_changed_a_cut_and_a_missing_shard_are_refused(small, tmp_path, capsys):
    for name, spoil, message in (
        ("changed", lambda p: p.write_bytes(p.read_bytes()[:-700] + b"x" + p.read_bytes()[-699:]), "was changed"),
        ("cut", lambda p: p.write_bytes(p.read_bytes()[:-512]), "the manifest says"),
        ("gone", lambda p: p.unlink(), "No such file"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "train").mkdir()
        for file in [*small.glob("train/*"), small / "MANIFEST.json"]:
            (folder / file.relative_to(small)).write_bytes(file.read_bytes())
        spoil(folder / "train" / "sentences-000001.tar")
        out = tmp_path / f"{name}-out"
        assert main(["--dataset", str(folder), "--out", str(out), "--steps", "1"]) == 1
        said = capsys.readouterr().err
        assert message in said
        assert "sentences-000001.tar" in said
        assert not (out / "result.json").exists()


def test_unknown_kind_wrong_manifest_and_no_version_are_clear_errors(small, tmp_path, capsys):
    base = ["--out", str(tmp_path / "out"), "--steps", "1"]
    assert main(["--dataset", str(small), *base, "--mix", "word_drop=1"]) == 1
    assert "this version has image_alt, sentences" in capsys.readouterr().err
    assert main(["--dataset", str(small), *base, "--manifest-sha256", "0" * 64]) == 1
    assert "was promised" in capsys.readouterr().err
    assert main(["--dataset", str(tmp_path), *base]) == 1
    assert "is this a published version?" in capsys.readouterr().err
    assert main(["--dataset", str(small), *base, "--size", "50"]) == 2
    with pytest.raises(SystemExit):
        main(["--dataset", str(small), *base, "--mix", "image_alt"])


def test_a_loss_that_is_no_number_stops_the_run(small, tmp_path, capsys):
    arguments = ["--dataset", str(small), "--out", str(tmp_path / "out"), "--steps", "40", "--lr", "1e30", "--batch-size", "8",
                 "--size", "32"]  # fmt: skip
    assert main(arguments) == 1
    assert "the loss on" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../x.tar", "/etc/passwd"])
def test_a_shard_path_that_leaves_the_version_is_refused(small, tmp_path, name):
    manifest = json.loads((small / "MANIFEST.json").read_text())
    manifest["shards"][0]["path"] = name
    (tmp_path / "MANIFEST.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="leaves the version"):
        open_version(tmp_path)


def test_hostile_members_are_refused(tmp_path):
    for number, (name, kind) in enumerate(
        (("ab.txt", tarfile.SYMTYPE), ("../ab.txt", tarfile.REGTYPE), ("ab.pyd", tarfile.REGTYPE))
    ):
        path = tmp_path / f"{number}.tar"
        with tarfile.open(path, "w") as tar:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        with pytest.raises(DataError, match="is not one of a sample"):
            version._index(path, 0)


def test_the_trainer_imports_no_engine():
    import subprocess
    import sys

    code = "import sys, pipelines.train.reference.trainer; print({'ray', 'prefect', 'apache_beam'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
