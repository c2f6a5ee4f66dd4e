"""The reference trainer as a whole, on small versions made here: it learns what can be learnt, and nothing else."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from versions import bands, photograph, text_png, write_version

from pipelines.train.reference.__main__ import main
from pipelines.train.reference.checkpoint import FOLDER, listed
from pipelines.train.reference.config import TrainConfig, TrainingError, make_config, read_recipe
from pipelines.train.reference.distributed import World
from pipelines.train.reference.metrics import METRICS, read_metrics
from pipelines.train.reference.model import make_tower
from pipelines.train.reference.opening import open_plan
from pipelines.train.reference.split import Split
from pipelines.train.reference.trainer import train
from pipelines.train.reference.weights import load_tower, save_tower


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


def command(version: Path, out: Path, *more: str) -> list[str]:
    words = [sys.executable, "-m", "pipelines.train.reference", "--dataset", str(version), "--out", str(out)]
    return [
        *words,
        "--batch-size",
        "8",
        "--size",
        "32",
        "--threads",
        "1",
        "--mix",
        "image_alt=0.6,sentences=0.4",
        *more,
    ]


def losses(out: Path) -> list[float]:
    return [row["loss"] for row in read_metrics(out / METRICS)]


def test_loss_falls_and_held_out_pictures_are_found(learnable, tmp_path):
    result = run(learnable, tmp_path / "out")
    assert result["loss_last"] < result["loss_chance"] - 1.0
    found = result["retrieval"]
    assert found["text_to_left"]["recall_at_5"] > 4 * found["chance_at_5"], "the tower reads texts that it never saw"
    assert result["status"] == "complete"
    assert result["steps"] == 150
    assert [row["step"] for row in read_metrics(tmp_path / "out" / METRICS)] == list(range(1, 151))
    assert (tmp_path / "out" / "loss.png").exists()
    assert load_tower(tmp_path / "out" / "weights.safetensors").inputs.size == 48


def test_shuffled_pairs_teach_nothing_that_holds_on_held_out_ones(learnable, tmp_path):
    found = run(learnable, tmp_path / "out", control="shuffled")["retrieval"]
    assert found["text_to_left"]["recall_at_5"] < 3 * found["chance_at_5"]


def test_mix_weights_are_honoured_in_metrics(small, tmp_path):
    result = run(small, tmp_path / "out", mix={"image_alt": 3, "sentences": 1}, steps=12, batch_size=8, holdout=0.3)
    kinds = Counter(row["kind"] for row in read_metrics(tmp_path / "out" / METRICS))
    assert kinds == {"image_alt": 9, "sentences": 3}
    assert result["mix"] == {"image_alt": 0.75, "sentences": 0.25}
    assert set(result["retrieval_by_kind"]) == {"image_alt", "sentences"}


def test_everything_at_once_runs_and_is_finite(rendered, tmp_path):
    """Mixed batches, augmentation, patch dropping, GradCache, Adafactor, rsqrt, worker processes, bfloat16."""
    options = {
        "mix": {}, "batches": "mixed", "steps": 4, "batch_size": 16, "size": 32, "loss": "sigmoid", "standardise": 0.0,
        "crop_min": 0.5, "flip": True, "keep_photo": 0.5, "keep_text": 0.75, "chunk": 10, "recompute": True,
        "optimiser": "adafactor", "decay": "rsqrt", "cool_down": 0.25, "workers": 1, "precision": "bfloat16", "blank": "see",
        "antialias": False, "mask_repeats": False, "holdout": 0.0, "verify": "start",
    }  # fmt: skip
    result = run(rendered, tmp_path / "out", **options)
    assert result["steps"] == 4
    rows = read_metrics(tmp_path / "out" / METRICS)
    assert all(set(row["losses"]) == {"image_alt", "sentences", "translations"} for row in rows)


def test_killed_and_resumed_the_loss_curve_joins(small, tmp_path):
    whole = tmp_path / "whole"
    more = ("--steps", "40", "--checkpoint-every", "5", "--log-every", "1", "--batches", "mixed")
    subprocess.run(command(small, whole, *more), check=True, capture_output=True, timeout=300)
    broken = tmp_path / "broken"
    process = subprocess.Popen(command(small, broken, *more), stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("step=12 "):  # between two checkpoints
            process.send_signal(signal.SIGKILL)
            break
    process.wait(timeout=60)
    process.stdout.close()
    assert len(losses(broken)) >= 12
    assert not (broken / "result.json").exists()
    done = subprocess.run(command(small, broken, *more), check=True, capture_output=True, text=True, timeout=300)
    assert "resumed_at=" in done.stdout
    assert losses(broken) == losses(whole), "the same losses, to the bit, as if nothing had happened"
    assert len(listed(broken)) == 2, "old checkpoints are removed"
    weights = [load_tower(out / "weights.safetensors").state_dict() for out in (whole, broken)]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])


@pytest.mark.parametrize("optimiser", ["adamw", "adafactor", "muon"])
def test_a_checkpoint_holds_all_of_an_optimiser(small, tmp_path, optimiser):
    out = tmp_path / "out"
    options = {"steps": 8, "batch_size": 8, "size": 32, "checkpoint_every": 4, "optimiser": optimiser, "holdout": 0.0}
    run(small, out, **options)
    whole = losses(out)
    listed(out)[0].unlink()  # as if it had been killed before the last one
    assert run(small, out, **options)["resumed_at"] == 4
    assert losses(out) == whole


def test_a_torn_checkpoint_is_passed_over_and_another_runs_is_refused(small, tmp_path):
    out = tmp_path / "out"
    options = {"steps": 6, "batch_size": 8, "size": 32, "checkpoint_every": 2, "standardise": 0.0}
    run(small, out, **options)
    first = losses(out)
    newest, older = listed(out)
    newest.write_bytes(newest.read_bytes()[:1000])
    assert run(small, out, **options)["resumed_at"] == 4, "the older one is whole"
    assert losses(out) == first
    with pytest.raises(TrainingError, match="a checkpoint of another run"):
        run(small, out, **{**options, "learning_rate": 1e-4})
    assert run(small, out, **{**options, "learning_rate": 1e-4}, fresh=True)["resumed_at"] is None
    for path in listed(out):
        path.write_bytes(b"cut")
    with pytest.raises(TrainingError, match="no checkpoint can be read"):
        run(small, out, **{**options, "learning_rate": 1e-4})
    assert older.parent.name == FOLDER


def test_a_checkpoint_runs_no_code(small, tmp_path):
    import pickle

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    folder = tmp_path / "out" / FOLDER
    folder.mkdir(parents=True)
    (folder / "step-00000004.pt").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(TrainingError, match="no checkpoint can be read"):
        run(small, tmp_path / "out", steps=2, batch_size=8, size=32)
    assert not (tmp_path / "ran").exists()


def test_a_shard_that_changes_in_the_middle_of_a_run_ends_it_with_its_name(small, tmp_path):
    version = tmp_path / "v"
    shutil.copytree(small, version)
    more = ("--steps", "100000", "--log-every", "1", "--holdout", "0", "--cache-mib", "0", "--ahead", "1")
    process = subprocess.Popen(
        command(version, tmp_path / "out", *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if line.startswith("step=3 "):
            break
    with (version / "train" / "image_alt-000000.tar").open("r+b") as file:
        file.write(b"changed")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "image_alt-000000.tar: was changed while it was being trained on" in said
    assert not (tmp_path / "out" / "result.json").exists()


def test_a_changed_a_cut_and_a_missing_shard_are_refused(small, tmp_path, capsys):
    for name, spoil, message in (
        ("changed", lambda p: p.write_bytes(p.read_bytes()[:-700] + b"x" + p.read_bytes()[-699:]), "was changed"),
        ("cut", lambda p: p.write_bytes(p.read_bytes()[:-512]), "the manifest says"),
        ("gone", lambda p: p.unlink(), "No such file"),
    ):
        folder = tmp_path / name
        shutil.copytree(small, folder)
        spoil(folder / "train" / "sentences-000001.tar")
        out = tmp_path / f"{name}-out"
        assert main(["--dataset", str(folder), "--out", str(out), "--steps", "1"]) == 1
        said = capsys.readouterr().err
        assert message in said
        assert "sentences-000001.tar" in said
        assert not (out / "result.json").exists()


def _no_room_on_a_gpu(*_, **__):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def _no_room(*_, **__):
    torch.empty(1 << 55, dtype=torch.uint8)


@pytest.mark.parametrize("step", [_no_room_on_a_gpu, _no_room])
def test_too_large_a_batch_is_told_what_helps(step, small, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pipelines.train.reference.trainer.backward", step)
    words = [
        "--dataset",
        str(small),
        "--out",
        str(tmp_path / "out"),
        "--steps",
        "1",
        "--batch-size",
        "8",
        "--size",
        "32",
    ]
    assert main(words) == 1
    assert "not enough memory for a batch of 8 pairs" in (said := capsys.readouterr().err)
    assert "try --chunk (256, say) or --recompute" in said
    assert main([*words, "--chunk", "4", "--recompute"]) == 1
    assert "try a smaller --chunk than 4, which" in capsys.readouterr().err


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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batch-size", "1"], "batch_size: Input should be greater than or equal to 2"),
        (["--model", "Z/99"], "no model 'Z/99'; there are tiny"),
        (["--lanes", "5"], "lanes must be"),
        (["--device", "abacus"], "no device 'abacus'"),
        (["--device", "cuda:77"], "no device 'cuda:77'"),
        (["--device", "meta"], "no device 'meta' for this trainer: it runs on cpu and cuda"),
        (["--mix", "image_alt=1e308,sentences=1e308"], "mix: the weights are too large"),
        (["--batch-size", "100000"], "a batch of 100000 pairs, and the version has"),
        (["--warm-up", "7"], "error: warm_up takes 7 of 3 steps"),
        (["--recipe", "absent.yaml"], "absent.yaml"),
    ],
)
def test_a_wrong_call_is_exit_2_with_the_option_named(small, tmp_path, capsys, words, message):
    assert main(["--dataset", str(small), "--out", str(tmp_path / "out"), "--steps", "3", *words]) == 2
    assert message in capsys.readouterr().err


def test_an_unknown_option_is_named_behind_one_line_of_usage(small, tmp_path, capsys):
    for words in (["--step", "1"], ["--steps", "abc"]):  # an abbreviation is none: it may mean another option tomorrow
        with pytest.raises(SystemExit) as raised:
            main(["--dataset", str(small), "--out", str(tmp_path / "out"), *words])
        assert raised.value.code == 2
        said = capsys.readouterr().err
        assert words[0] in said
        assert len(said.splitlines()) <= 3


def test_a_kind_of_few_samples_is_trained_on(small, tmp_path, capsys):
    """One with fewer samples than eight lanes, which nobody had asked for, ended the run; the note on its batches was untrue."""
    kinds = {"image_alt": bands()[:40], "sentences": [("png", text_png(f"a{n}"), f"b{n}") for n in range(5)]}
    few = write_version(tmp_path / "v", kinds)
    options = {"mix": {"image_alt": 0.5, "sentences": 0.5}, "steps": 4, "batch_size": 16, "size": 32, "holdout": 0.0}
    assert run(few, tmp_path / "kind", **options)["steps"] == 4
    assert "note: batches of sentences hold 4 pairs, not 16: there are 5 to train on" in capsys.readouterr().out
    assert run(few, tmp_path / "mixed", **options, batches="mixed")["steps"] == 4
    assert "note: a batch of 16 holds the 5 pairs of sentences more than once" in capsys.readouterr().out


def test_weights_bring_their_own_model(small, tmp_path, capsys):
    """The result named the model that the options had by default, and `--model` and `--blank` were passed over in silence."""
    weights = tmp_path / "w.safetensors"
    save_tower(weights, make_tower("tiny", rows=4, columns=4, width=48, skip_blank=False))
    options = {"steps": 1, "batch_size": 8, "size": 32, "start_from": weights, "report": False}
    assert run(small, tmp_path / "out", **options)["model"] == "48x2"
    with pytest.raises(ValueError, match=r"model: .* is 48x2, not B/16"):
        run(small, tmp_path / "b", **options, model="B/16")
    with pytest.raises(ValueError, match=r"blank: .* was trained with see, not skip"):
        run(small, tmp_path / "c", **options, blank="skip")


def test_a_full_disk_is_named_and_no_half_checkpoint_stays(small, tmp_path, capsys, monkeypatch):
    """Torch's own error was a traceback with a line of its sources, and what was written half stayed and filled the disk."""

    def full(self, data):
        self.fault = OSError(errno.ENOSPC, "No space left on device")
        raise self.fault

    monkeypatch.setattr("pipelines.train.reference.checkpoint._Written.write", full)
    assert main([*command(small, tmp_path / "out", "--steps", "1")[3:]]) == 1
    assert "step-00000001.pt cannot be written: No space left on device" in capsys.readouterr().err
    assert not list((tmp_path / "out" / FOLDER).iterdir())


def test_a_run_that_needs_less_memory_goes_on_from_its_checkpoint(small, tmp_path):
    """Where memory is full `--chunk` and `--recompute` are advised, and a run that was resumed with `--chunk` was refused."""
    options = {"batch_size": 8, "size": 32, "report": False, "steps": 4}
    assert run(small, tmp_path, **options, max_seconds=1e-6)["steps"] == 1
    assert run(small, tmp_path, **options, chunk=4, recompute=True)["steps"] == 4
    assert losses(tmp_path) == pytest.approx(losses_of_whole(small, tmp_path / "whole", **options), rel=1e-3)


def losses_of_whole(version: Path, out: Path, **options) -> list[float]:
    run(version, out, **options)
    return losses(out)


def test_a_machine_without_a_compiler_is_told_so(small, tmp_path, capsys, monkeypatch):
    def fails(*_, **__):
        raise torch._dynamo.exc.TorchDynamoException(
            "InvalidCxxCompiler: No working C++ compiler found\n\nSet TORCH_LOGS"
        )

    monkeypatch.setattr("pipelines.train.reference.trainer.backward", fails)
    assert main([*command(small, tmp_path / "out", "--steps", "1", "--compile")[3:]]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: --compile: InvalidCxxCompiler: No working C++ compiler found; PyTorch compiles with")
    assert len(said.splitlines()) == 1


def test_batches_without_a_negative_are_noted(tmp_path, capsys):
    """All pairs share a picture: the loss was 0 and the run complete, as if all had been learnt."""
    picture = photograph(["red", "green", "blue", "gold"], 1)
    version = write_version(tmp_path / "v", {"image_alt": [("png", picture, f"text {n}") for n in range(16)]})
    options = {"steps": 2, "batch_size": 8, "size": 32, "report": False}
    assert run(version, tmp_path / "out", **options)["loss_last"] == 0
    assert "note: 2 steps taught nothing" in capsys.readouterr().out
    assert run(version, tmp_path / "b", **options, mask_repeats=False)["loss_last"] > 0
    assert "taught nothing" not in capsys.readouterr().out


def test_steps_are_counted_without_the_metrics_of_before(small, tmp_path):
    options = {"steps": 2, "batch_size": 8, "size": 32, "report": False}
    run(small, tmp_path, **options)
    (tmp_path / METRICS).unlink()
    assert run(small, tmp_path, **options)["steps"] == 2


def test_a_run_goes_on_with_workers_that_its_lanes_suit():
    config = TrainConfig(dataset="x", out=Path("x"), batch_size=24)
    split = Split({"a": [100]}, {}, {"a": []})
    with pytest.raises(
        ValueError, match="begun with 8 lanes, which 3 workers cannot share; go on with one of 1, 2, 4, 8"
    ):
        open_plan(config, None, {"a": 1.0}, split, World(0, 3, torch.device("cpu")), 8)


def test_a_kind_is_named_once_in_a_mix(small, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--dataset", str(small), "--out", str(tmp_path), "--mix", "image_alt=1,sentences=1,image_alt=3"])
    assert "'image_alt' is named twice" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["", "train", "train/x", "validation/x", "other", "training"])
def test_results_are_not_written_into_a_version(small, tmp_path, capsys, where):
    """`--out VERSION` replaced the version's own report; runs belong below `training`."""
    version = tmp_path / "v"
    shutil.copytree(small, version)
    before = sorted(version.rglob("*"))
    assert main(["--dataset", str(version), "--out", str(version / where), "--steps", "1", "--batch-size", "8"]) == 2
    assert "is part of the published version, which never changes" in capsys.readouterr().err
    assert sorted(version.rglob("*")) == before


def test_another_runs_checkpoint_is_refused_by_the_options_that_differ(small, tmp_path, capsys):
    out = tmp_path / "out"
    run(small, out, steps=2, batch_size=8, size=32, report=False)
    with pytest.raises(
        TrainingError, match=r"--learning-rate was 0.002 and is 0.5, --steps was 2 and is 4; choose another"
    ):
        run(small, out, steps=4, batch_size=8, size=32, learning_rate=0.5, report=False)
    (newest,) = listed(out)
    newest.with_name("step-00000009.pt").write_bytes(newest.read_bytes()[:1000])
    capsys.readouterr()
    run(small, out, steps=2, batch_size=8, size=32, report=False)
    said = capsys.readouterr().out
    assert "step-00000009.pt cannot be read" in said
    assert "passed over" in said


def test_few_held_out_pairs_are_noted(small, tmp_path, capsys):
    result = run(small, tmp_path / "out", steps=1, batch_size=40, size=32, mix={"image_alt": 0.5, "sentences": 0.5})
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    held = {kind: found["samples"] for kind, found in result["retrieval_by_kind"].items()}
    for kind, count in held.items():
        assert any(
            line == f"note: {count} held-out pairs of {kind} are few: their recalls say little" for line in said
        ) == (count < 30)
    assert said


def test_a_recipe_sets_options_and_the_command_line_goes_first(small, tmp_path, capsys):
    recipe = tmp_path / "train.yaml"
    recipe.write_text("steps: 5\nbatch_size: 8\nsize: 32\nmix: {sentences: 1.0}\n")
    arguments = ["--recipe", str(recipe), "--dataset", str(small), "--out", str(tmp_path / "out"), "--steps", "2"]
    assert main(arguments) == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (result["steps"], result["batch_size"], result["mix"]) == (2, 8, {"sentences": 1.0})
    recipe.write_text("stepz: 5\n")
    assert main(arguments) == 2
    assert "stepz: no such option; did you mean steps?" in capsys.readouterr().err


def test_a_loss_that_is_no_number_stops_the_run(small, tmp_path, capsys):
    arguments = ["--dataset", str(small), "--out", str(tmp_path / "out"), "--steps", "40", "--lr", "1e30", "--batch-size", "8",
                 "--size", "32"]  # fmt: skip
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert "the loss on" in said or "the norm of the gradients" in said
    assert not (tmp_path / "out" / "result.json").exists()


def test_a_time_limit_ends_a_run_with_a_result(small, tmp_path):
    result = run(small, tmp_path / "out", steps=10_000, batch_size=8, size=32, max_seconds=1.0, standardise=0.0)
    assert result["status"] == "time limit"
    assert 1 <= result["steps"] < 10_000


def start_workers(version: Path, out: Path, workers: int, *more: str) -> list[subprocess.Popen]:
    """Workers on this machine as torchrun starts them, each a process with its variables."""
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(workers)}
    environments = [{**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(workers)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return [subprocess.Popen(command(version, out, *more), env=env, **pipes) for env in environments]


def torchrun(version: Path, out: Path, workers: int, *more: str, timeout: float = 300) -> subprocess.CompletedProcess:
    processes = start_workers(version, out, workers, *more)
    ended = [process.communicate(timeout=timeout) for process in processes]
    code = max(abs(process.returncode) for process in processes)
    return subprocess.CompletedProcess([], code, "".join(o for o, _ in ended), "".join(e for _, e in ended))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_worker_that_is_lost_ends_the_others_with_a_message(rendered, tmp_path):
    first, second = start_workers(rendered, tmp_path / "out", 2, "--steps", "100000", "--log-every", "1")
    for line in first.stdout:
        if line.startswith("step=2 "):
            second.kill()
            break
    _, said = first.communicate(timeout=200)
    second.communicate()
    assert first.returncode == 1
    assert "error: another worker ended or was silent for too long" in said


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_two_workers_give_the_losses_of_one(rendered, tmp_path, loss):
    mixed = ("--batches", "mixed", "--loss", loss, "--keep-photo", "0.75", "--chunk", "6")
    more = ("--steps", "12", "--lr", "2e-4", *mixed)
    assert torchrun(rendered, tmp_path / "1", 1, *more).returncode == 0
    done = torchrun(rendered, tmp_path / "2", 2, *more)
    assert done.returncode == 0, done.stderr
    one, two = (read_metrics(tmp_path / n / METRICS) for n in ("1", "2"))
    assert two[0]["gradient_norm"] == pytest.approx(one[0]["gradient_norm"], rel=1e-4), (
        "Adam would not show another scale"
    )
    # Sums in another order differ in the last bits, of which Adam's first steps make much: 4e-5 at the second step.
    apart = [abs(a["loss"] - b["loss"]) / a["loss"] for a, b in zip(one, two, strict=True)]
    assert apart[0] < 1e-5
    assert apart[1] < 3e-4
    assert max(apart) < 1e-2
    assert len(set(losses(tmp_path / "1"))) == 12
    # and a run of two workers goes on with one
    resumed = subprocess.run(
        command(rendered, tmp_path / "2", *more), check=True, capture_output=True, text=True, timeout=300
    )
    assert "resumed_at=12" in resumed.stdout


def test_more_workers_than_shards_share_them(rendered, tmp_path):
    done = torchrun(rendered, tmp_path / "2", 2, "--steps", "2", "--mix", "sentences=1")
    assert done.returncode == 0, "one shard, two workers"
    assert "workers=2" in done.stdout


def test_the_trainer_imports_no_engine():
    code = "import sys, pipelines.train.reference.trainer; print({'ray', 'prefect', 'apache_beam'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_recipe_of_clippo_is_one():
    recipe = Path(__file__).resolve().parents[3] / "examples" / "clippo.yaml"
    options = read_recipe(recipe)
    config = make_config({**options, "dataset": "v", "out": "o"})
    assert (config.model, config.batch_size, config.optimiser, config.blank) == ("B/16", 10240, "adafactor", "see")


def test_training_benchmark_runs_at_toy_size(tmp_path, capsys):
    from benchmarks.bench_trainer import main as bench
    from benchmarks.made_pairs import write_version

    small = write_version(tmp_path / "v", photographs=8, texts=0)  # fewer than the second batch
    assert bench(["--toy", "--dataset", str(small)]) == 0
    said = capsys.readouterr().out
    assert "tiny 32 px batch 8" in said
    assert "pairs/s" in said
    assert "batch 16: the version has 8 pairs" in said
