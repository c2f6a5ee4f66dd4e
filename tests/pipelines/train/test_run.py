"""A run on a published version, from the plan to its record, with real processes."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipelines.dataset import DatasetError, DatasetManifest, ShardEntry, encode
from pipelines.train.launchers.local import LocalLauncher
from pipelines.train.run import TrainError, plan, train
from pipelines.train.spec import TrainerSpec

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """A version of two kinds whose shards are what the manifest says; what is in them is for other tests."""
    folder = tmp_path / "a version"
    (folder / "train").mkdir(parents=True)
    entries = []
    for kind, count in (("image_alt", 30), ("sentences", 10)):
        path, data = f"train/{kind}-000000.tar", kind.encode() * 1000
        (folder / path).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        entries.append(
            ShardEntry(path=path, kind=kind, bytes=len(data), sha256=digest, samples=count, first_key="", last_key="")
        )
    empty: dict[str, Any] = {"recipe": {}, "lineage": {}, "render": {}, "models": {}, "ledger": {}}
    made = DatasetManifest(
        name="made", version="0" * 12, mix={"image_alt": 0.8, "sentences": 0.2}, shards=entries, **empty
    )
    (folder / "MANIFEST.json").write_bytes(encode(made))
    return folder


def run(code: str, *words: str, **fields: Any) -> TrainerSpec:
    return TrainerSpec(argv=["{python}", "-c", code, *words], **fields)


COUNT = "import pathlib, sys; out = pathlib.Path(sys.argv[1]); runs = out / 'runs'; runs.open('a').write('x'); "


def test_the_words_hold_the_version(version: Path) -> None:
    spec = run(
        "import json, sys; print(json.dumps(sys.argv[2:]))",
        "{out}", "{dataset}", "{mix}", "{steps}", "{shards}", "{upsampling}", "{samples}",
    )  # fmt: skip
    said: list[str] = []
    done = train(str(version), spec, said=said.append)
    at = f"{version}/train"
    assert json.loads(said[0]) == [
        str(version), "image_alt=0.8,sentences=0.2", "312500",
        f"{at}/image_alt-000000.tar::{at}/sentences-000000.tar", "1.06667::0.8", "40",
    ]  # fmt: skip
    record = json.loads(Path(done.folder, "outcome.json").read_text())
    assert record["mix"] == {"image_alt": 0.8, "sentences": 0.2}
    assert record["backend"] == "local"


def test_a_plan_shows_everything_and_starts_nothing(version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "s3cr3t")
    spec = run(
        "pass", "{steps}", mix={"image_alt": 1}, base_steps=600, env={"A": "b c"}, secret_env={"HF_TOKEN": "MINE"}
    )
    shown = "\n".join(plan(str(version), spec).lines())
    for words in (
        "backend   local",
        "mix       image_alt 1",
        "steps     600",
        "env       A='b c'",
        "HF_TOKEN from MINE",
        "argv      600",
    ):
        assert words in shown
    assert "s3cr3t" not in shown
    assert not (version / "training").exists()


def test_mix_and_steps_that_do_not_fit(version: Path) -> None:
    with pytest.raises(DatasetError, match="mix names word_drop"):
        plan(str(version), run("pass", mix={"word_drop": 1}))
    with pytest.raises(TrainError, match="set steps"):
        plan(str(version), run("pass", "{steps}", mix={"sentences": 1}))
    plan(str(version), run("pass", mix={"sentences": 1}))  # a command that does not name them needs none


def test_slurm_needs_a_shared_folder() -> None:
    from pipelines.train.launchers import launcher_for

    spec = TrainerSpec(argv=["x"], backend="slurm")
    with pytest.raises(ValueError, match=r"slurm\.folder"):
        launcher_for(spec, "s3://bucket/training")
    assert launcher_for(spec.model_copy(update={"slurm": None}), "/shared/training")


def test_a_run_that_fails_goes_on_from_its_checkpoint(version: Path) -> None:
    """The first attempt leaves a checkpoint and dies; the second is given the words for resuming."""
    code = (
        COUNT + "(out / 'last.pt').touch(); resuming = '--resume' in sys.argv; print(resuming); sys.exit(not resuming)"
    )
    resume = {"checkpoint": "*.pt", "argv": ["--resume", "{out}/last.pt"], "attempts": 3}
    said: list[str] = []
    done = train(str(version), run(code, "{out}", resume=resume), said=said.append)
    assert said == ["False", "True"]
    assert (Path(done.folder) / "runs").read_text() == "xx"
    assert not train(str(version), run(code, "{out}", resume=resume)).new


def test_attempts_are_bounded(version: Path) -> None:
    spec = run(
        COUNT + "print('no luck'); sys.exit(1)",
        "{out}",
        resume={"checkpoint": "none", "argv": ["--resume"], "attempts": 2},
    )
    with pytest.raises(TrainError, match="no luck"):
        train(str(version), spec)
    assert [path.read_text() for path in version.glob("training/*/runs")] == ["xx"]


def test_a_run_that_takes_too_long_says_so(version: Path) -> None:
    with pytest.raises(TrainError, match=r"was stopped: it took more than 0\.3 s"):
        train(str(version), run("import time; time.sleep(600)", timeout_seconds=0.3))


def test_a_run_whose_flow_was_killed_is_taken_up(version: Path) -> None:
    """kill -9 of the flow: the trainer goes on, the next flow follows it to its end and starts no second one."""
    code = (
        COUNT
        + "import time; print('began', flush=True); time.sleep(2); (out / 'result.json').write_text('{\"loss_last\": 1.5}')"
    )
    spec = run(code, "{out}")
    words = "import sys; from pipelines.train.run import train; from pipelines.train.spec import TrainerSpec; "
    words += "train(sys.argv[1], TrainerSpec.model_validate_json(sys.argv[2]))"
    flow = subprocess.Popen([sys.executable, "-c", words, str(version), spec.model_dump_json()])
    deadline = time.monotonic() + 120
    while not list(version.glob("training/*/job.json")) or not list(version.glob("training/*/runs")):
        assert flow.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    flow.kill()
    flow.wait()
    done = train(str(version), spec)
    assert done.result == {"loss_last": 1.5}
    assert (Path(done.folder) / "runs").read_text() == "x"


def test_an_interrupted_follower_stops_its_job(version: Path) -> None:
    """Cancelling the flow run raises in the follower: the trainer does not outlive it."""

    def said(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(str(version), run("import time; print('x', flush=True); time.sleep(600)"), said=said)
    (job,) = (path.name for path in (version / "training").iterdir())
    assert LocalLauncher(str(version / "training"))._pid(job) is None


def test_results_that_are_none(version: Path) -> None:
    bad = run("import sys; open(sys.argv[1] + '/result.json', 'w').write(sys.argv[2])", "{out}", "[1]")
    for _ in range(2):  # it is run again, not taken for done
        with pytest.raises(TrainError, match="no JSON object"):
            train(str(version), bad)


def test_a_version_that_was_copied_elsewhere_is_trained_on_there(version: Path, tmp_path: Path) -> None:
    """Same content, same id, but another place: the first one's record is not the second one's."""
    spec = run(COUNT, "{out}")
    train(str(version), spec)
    other = tmp_path / "other"
    shutil.copytree(version, other, ignore=shutil.ignore_patterns("training"))
    assert train(str(other), spec).new
