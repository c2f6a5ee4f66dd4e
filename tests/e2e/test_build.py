"""The build as a whole: the same bytes whatever happens, resumed where it stopped, nothing half-published."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import REPO, Cli, Undisturbed, champion, command, write_recipe

pytestmark = pytest.mark.engine


def test_every_kind_is_published_with_its_side_files(undisturbed: Undisturbed) -> None:
    folder, manifest = undisturbed.version.folder, undisturbed.version.manifest
    kinds = Counter(shard["kind"] for shard in manifest["shards"])
    assert set(kinds) == {"image_alt", "sentences", "translations", "word_drop"}
    expected = {"MANIFEST.json", "README.md", "croissant.json", "report.html", "errors.jsonl", "train/sizes.json"}
    expected |= {f"{split}/{kind}.wids.json" for kind in kinds for split in ("train", "validation")}
    expected |= {shard["path"] for shard in manifest["shards"]} | {"validation/sizes.json"}
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert there == expected


def test_the_funnel_is_what_was_planted(undisturbed: Undisturbed, small_input: Path) -> None:
    """The maker of the input says how many bad pictures it planted; the books must find each."""
    planted = json.loads((small_input / "data/expected.json").read_text())["pictures"]["pictures.parquet"]
    read = next(step for step in undisturbed.version.manifest["ledger"]["image_alt"] if step["step"] == "read")
    noise = planted["noise"]
    assert read["rows_in"] == planted["rows"]
    assert read["errors"].get("truncated", 0) == noise.get("truncated_jpeg", 0)
    assert read["errors"].get("not_an_image", 0) == noise.get("not_an_image", 0)
    rules = next(step for step in undisturbed.version.manifest["ledger"]["image_alt"] if step["step"] == "filter")[
        "dropped"
    ]
    assert rules["empty"] == noise["empty_caption"]
    assert rules["file_name"] == noise["file_name_caption"]
    assert rules["boilerplate"] == noise["boilerplate_caption"]


def test_two_workers_in_another_root_give_the_same_bytes(
    undisturbed: Undisturbed, small_input: Path, cli: Cli, tmp_path: Path
) -> None:
    """One process or several, here or there: the manifest, and with it each shard's hash, is the same to the byte."""
    recipe = yaml.safe_load((small_input / "recipe.yaml").read_text())
    # So little per process that Beam really runs several.
    recipe["runtime"] = {"workers": 2, "beam": {"bytes_per_process": 1000}}
    path = write_recipe(small_input / "two_workers.yaml", recipe)
    done = cli("build", path, "--root", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    other = champion(tmp_path)
    assert other.hashes() == undisturbed.version.hashes()
    assert (other.folder / "MANIFEST.json").read_bytes() == (undisturbed.version.folder / "MANIFEST.json").read_bytes()


def test_a_second_build_runs_no_stage(undisturbed: Undisturbed, small_input: Path, cli: Cli) -> None:
    before = _stamps(undisturbed.root)
    done = cli("build", small_input / "recipe.yaml", "--root", undisturbed.root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stages run: 0" in done.stdout
    assert _stamps(undisturbed.root) == before, "a stage's file was written again"


def test_killed_in_the_middle_of_rendering(
    undisturbed: Undisturbed, small_input: Path, prefect_environment: dict[str, str], cli: Cli, tmp_path: Path
) -> None:
    """Finished shards are kept as they are, the rest is made, and nothing tells the difference."""
    words = command(["build", small_input / "recipe.yaml", "--root", tmp_path, "--workers", 1])
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(words, env=prefect_environment, stdout=log, stderr=subprocess.STDOUT, cwd=REPO)
    total = sum(shard["kind"] == "image_alt" for shard in undisturbed.version.manifest["shards"])
    records: list[Path] = []
    deadline = time.monotonic() + 600
    while len(records) < 2:
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline, "no shard was rendered"
        records = list(tmp_path.glob("stages/render-image_alt-*/records/image_alt-*.json"))
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(3)  # what Ray's workers were writing may still land; none of it may be torn
    finished = {path: _stamp(path) for path in tmp_path.glob("stages/render-image_alt-*/image_alt-*.tar")}
    complete = {
        p.parent.parent / p.name.removesuffix(".json")
        for p in tmp_path.glob("stages/render-*/records/image_alt-*.tar.json")
    }
    if len(complete) == total:
        pytest.skip("the machine rendered all shards before the kill")
    assert not list(tmp_path.glob("datasets/*/*")), "something was published by a build that was killed"
    done = cli("build", small_input / "recipe.yaml", "--root", tmp_path, "--workers", 2)
    assert done.returncode == 0, done.stdout + done.stderr
    again = [path for path in complete if _stamp(path) != finished[path]]
    assert not again, f"finished shards were written again: {again}"
    assert champion(tmp_path).hashes() == undisturbed.version.hashes()


def test_a_failed_gate_publishes_nothing(small_input: Path, cli: Cli, undisturbed: Undisturbed) -> None:
    recipe = yaml.safe_load((small_input / "recipe.yaml").read_text())
    recipe["name"] = "too_strict"
    recipe["gate"] = {"max_error_rate": 0.0}
    path = write_recipe(small_input / "too_strict.yaml", recipe)
    done = cli("build", path, "--root", undisturbed.root)
    assert done.returncode == 1
    assert "error rate" in done.stderr
    assert "FAILED by" in done.stderr
    assert not (undisturbed.root / "datasets/too_strict").exists()
    (report,) = undisturbed.root.glob("reports/too_strict-*/report.html")
    assert "error rate" in report.read_text()


def test_verify_and_inspect(undisturbed: Undisturbed, cli: Cli, tmp_path: Path) -> None:
    folder = undisturbed.version.folder
    done = cli("verify", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "whole" in done.stdout
    sheet = tmp_path / "sheet.png"
    done = cli("inspect", folder, "-o", sheet)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sheet.read_bytes().startswith(b"\x89PNG")
    assert (
        str(undisturbed.version.manifest["shards"][0]["samples"])
        in cli("inspect", folder / undisturbed.version.manifest["shards"][0]["path"], "-o", sheet).stdout
    )


def test_verify_names_the_shard_that_was_changed(undisturbed: Undisturbed, cli: Cli, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", undisturbed.version.folder, copy], check=True)
    shard = copy / undisturbed.version.manifest["shards"][-1]["path"]
    data = bytearray(shard.read_bytes())
    at = data.find(b".txt") + 512  # the text itself
    data[at] ^= 1
    shard.write_bytes(data)
    done = cli("verify", copy)
    assert done.returncode == 1
    assert shard.name in done.stdout
    assert "sha256" in done.stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sources": {"pictures": {"type": "image_text", "path": "data/absent-*.parquet"}}}, "absent-*.parquet"),
        ({"seeed": 1}, "did you mean seed"),
        ({"shards": {"samples": 0}}, "shards.samples = 0"),
    ],
)
def test_wrong_calls_end_with_2_and_write_nothing(
    change: dict[str, Any], said: str, small_input: Path, cli: Cli, tmp_path: Path
) -> None:
    recipe = yaml.safe_load((small_input / "recipe.yaml").read_text())
    if "sources" in change:
        recipe["pairs"] = {"image_alt": {}}
        recipe.pop("mix", None)
    path = write_recipe(small_input / "wrong.yaml", {**recipe, **change})
    root = tmp_path / "root"
    done = cli("build", path, "--root", root)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(root.glob("datasets/*"))


def test_an_unreadable_recipe(cli: Cli, tmp_path: Path) -> None:
    for path in (tmp_path / "absent.yaml", tmp_path):
        done = cli("build", path, "--root", tmp_path / "root")
        assert done.returncode == 2
        assert str(path) in done.stderr
        assert "Traceback" not in done.stderr


def test_a_full_disk(small_input: Path, cli: Cli, tmp_path: Path) -> None:
    """A disk that fills up in the middle is said so, and nothing of it is published."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk is not permitted here")
    try:
        done = cli("build", small_input / "recipe.yaml", "--root", disk / "root")
        assert done.returncode == 1, done.stdout + done.stderr
        assert "disk is full" in done.stderr
        assert "Traceback" not in done.stderr
        assert not list(disk.glob("root/datasets/*/*"))
        assert not list(disk.glob("root/stages/*/.*.tmp-*")), "temporary files were left on the full disk"
    finally:
        subprocess.run(["umount", disk], check=True)


def _stamp(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_ino, facts.st_mtime_ns


def _stamps(root: Path) -> dict[str, tuple[int, int]]:
    return {str(path): _stamp(path) for path in root.glob("stages/*/**/*") if path.is_file()}
