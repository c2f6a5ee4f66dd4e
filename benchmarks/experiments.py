"""What the reference trainer learns from the quickstart's version, over several seeds: the tables of docs/evaluation.md.

    python -m benchmarks.experiments --root build/experiments [--only reach,control,mix] [--seeds 0,1,2]

`reach`: photographs with a fifth of translations, for ten minutes on two cores at most. `control`: the same with shuffled
texts, which must stay at chance. `mix`: photographs alone against photographs with sentence, word-drop and translation pairs
mixed in: with as many pairs in all, the same with all kinds in every batch (as CLIPPO's), and with as many photographs seen. What
is there already is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

REPO: Final[Path] = Path(__file__).resolve().parents[1]
CLASSES: Final[Path] = REPO / "examples" / "quickstart" / "classes.yaml"
IMAGE: Final[str] = "image_alt"
TEXTS: Final[tuple[str, ...]] = ("translations", "sentences", "word_drop")
MIX: Final[str] = "image_alt=0.6,translations=0.2,sentences=0.15,word_drop=0.05"
REACH: Final[str] = "image_alt=0.8,translations=0.2"
TRAINER: Final[tuple[str, ...]] = ("--optimiser", "muon", "--lr", "0.002", "--batch-size", "64", "--size", "80")


@dataclass(frozen=True)
class Arm:
    """One setting of the trainer.

    Attributes:
        name: Of its runs' folders, and in the table.
        steps: Optimiser steps.
        mix: Kind -> weight.
        options: Further words of the command line.
    """

    name: str
    steps: int
    mix: str = f"{IMAGE}=1"
    options: tuple[str, ...] = field(default_factory=tuple)


def arms(steps: int, mix_steps: int) -> dict[str, list[Arm]]:
    """The experiments by name."""
    return {
        "reach": [Arm("texts as they are", steps, REACH)],
        "control": [Arm("texts shuffled", steps, REACH, ("--control", "shuffled"))],
        "mix": [
            Arm("photographs alone", mix_steps),
            Arm("mixed, as many pairs", mix_steps, MIX),
            Arm("mixed within batches, as many pairs", mix_steps, MIX, ("--batches", "mixed")),
            Arm("mixed, as many photographs", round(mix_steps / 0.6), MIX),
        ],
    }


def version_of(root: Path, pictures: int, scene_lines: int, scene_documents: int) -> Path:
    """Draws the quickstart's input and builds it, unless that is done; gives the version's folder."""
    folder = root / f"quickstart-{pictures}-{scene_lines}-{scene_documents}"
    environment = {
        **os.environ, "PREFECT_HOME": str(root / "prefect"), "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "RAY_USAGE_STATS_ENABLED": "0",
    }  # fmt: skip
    if not list(folder.glob("datasets/*/champion.json")):
        folder.mkdir(parents=True, exist_ok=True)
        maker = [sys.executable, str(REPO / "examples/quickstart/make_input.py"), str(folder / "data")]
        maker += ["--pictures", str(pictures), "--scene-lines", str(scene_lines)]
        subprocess.run([*maker, "--scene-documents", str(scene_documents)], check=True)
        recipe = (REPO / "examples/quickstart/recipe.yaml").read_text(encoding="utf-8")
        (folder / "recipe.yaml").write_text(recipe, encoding="utf-8")
        words = ["build", str(folder / "recipe.yaml"), "--root", str(folder), "--no-train"]
        subprocess.run([sys.executable, "-m", "flows.cli", *words], check=True, env=environment, cwd=REPO)
    (pointer,) = folder.glob("datasets/*/champion.json")
    return pointer.parent / str(json.loads(pointer.read_text())["version"])


def run(arm: Arm, seed: int, version: Path, root: Path, threads: int) -> dict[str, Any]:
    """Trains and evaluates, unless that is done; gives the run's result with its evaluation on all kinds."""
    out = root / "runs" / f"{arm.name.replace(', ', '-').replace(' ', '-')}-{arm.steps}-{seed}"
    found = out / "all_kinds" / "evaluation.json"
    if not found.exists():
        words = ["--dataset", str(version), "--out", str(out), "--mix", arm.mix, "--steps", str(arm.steps)]
        words += ["--seed", str(seed), "--threads", str(threads), *TRAINER, *arm.options]
        _call("pipelines.train.reference", words)
        words = ["--dataset", str(version), "--weights", str(out / "weights.safetensors"), "--out", str(found.parent)]
        words += ["--classes", str(CLASSES), "--threads", str(threads)]
        _call("pipelines.train.reference.evaluate", words)
    return {**json.loads((out / "result.json").read_text()), **json.loads(found.read_text())}


def _call(module: str, words: Sequence[str]) -> None:
    began = time.monotonic()
    print(f"$ python -m {module} {' '.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", module, *words], check=True, cwd=REPO, stdout=subprocess.DEVNULL)
    print(f"  {time.monotonic() - began:.0f} s", flush=True)


def spread(values: Sequence[float], form: str) -> str:
    """The median, with the least and the greatest behind it where there are several."""
    words = form.format(statistics.median(values))
    return words if len(values) < 2 else f"{words} ({form.format(min(values))} to {form.format(max(values))})"


def table(rows: list[tuple[Arm, list[dict[str, Any]]]]) -> Iterator[str]:
    """A markdown table: an arm a row, medians over seeds."""
    kinds = [kind for kind in (IMAGE, *TEXTS) if kind in rows[0][1][0]["retrieval_by_kind"]]
    sizes = {kind: rows[0][1][0]["retrieval_by_kind"][kind]["samples"] for kind in kinds}
    heads = ["arm", "pairs seen", "seconds", f"text to image R@1 (n = {sizes[IMAGE]})", "x chance", "image to text R@1"]
    heads += [f"{kind} R@1 (n = {sizes[kind]})" for kind in kinds[1:]]
    heads += [f"median ranks of {', '.join(kinds)}", "gap", "relative gap", "background, zero-shot"]
    yield "| " + " | ".join(heads) + " |"
    yield "|---" * len(heads) + "|"
    for arm, results in rows:
        found = [result["retrieval_by_kind"] for result in results]
        there = [one[IMAGE]["text_to_left"]["recall_at_1"] for one in found]
        cells = [
            arm.name,
            f"{results[0]['samples']:,}",
            spread([result["seconds"] for result in results], "{:.0f}"),
            spread([100 * value for value in there], "{:.1f}"),
            spread([value * sizes[IMAGE] for value in there], "{:.1f}"),
            spread([100 * one[IMAGE]["left_to_text"]["recall_at_1"] for one in found], "{:.1f}"),
        ]
        cells += [
            spread([100 * one[kind]["text_to_left"]["recall_at_1"] for one in found], "{:.1f}") for kind in kinds[1:]
        ]
        ranks = [statistics.median(one[kind]["text_to_left"]["median_rank"] for one in found) for kind in kinds]
        cells.append(", ".join(f"{rank:.0f}" for rank in ranks))
        cells += [spread([one[IMAGE][gap] for one in found], "{:.3f}") for gap in ("gap", "relative_gap")]
        zero = [100 * one["top_1"] for result in results for one in result["zero_shot"] if one["name"] == "background"]
        yield "| " + " | ".join([*cells, spread(zero, "{:.1f}")]) + " |"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the experiments and prints their tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add = parser.add_argument
    add("--root", type=Path, required=True, help="folder for the version, the runs and experiments.md")
    add("--only", default="reach,control,mix", help="which experiments (default: %(default)s)")
    add("--seeds", default="0,1,2", help="default: %(default)s")
    add("--pictures", type=int, default=6000, help="pictures to draw (default: %(default)s)")
    add("--scene-lines", type=int, default=2000, help="lines of each scene bitext (default: %(default)s)")
    add("--scene-documents", type=int, default=600, help="described scenes in each language (default: %(default)s)")
    add("--steps", type=int, default=2400, help="of reach and control (default: %(default)s)")
    add("--mix-steps", type=int, default=900, help="of mix (default: %(default)s)")
    add("--threads", type=int, default=0, help="CPU threads; 0: PyTorch's choice (default: %(default)s)")
    args = parser.parse_args(argv)
    experiments = arms(args.steps, args.mix_steps)
    chosen = args.only.split(",")
    if unknown := set(chosen) - set(experiments):
        parser.error(f"no experiment {unknown.pop()!r}; there are {', '.join(experiments)}")
    root = args.root.resolve()
    version = version_of(root, args.pictures, args.scene_lines, args.scene_documents)
    seeds = [int(seed) for seed in args.seeds.split(",")]
    lines: list[str] = []
    for name in chosen:
        rows: list[tuple[Arm, list[dict[str, Any]]]] = [(arm, []) for arm in experiments[name]]
        for seed in seeds:  # seed by seed, so that a part of the runs is a fair part
            for arm, results in rows:
                results.append(run(arm, seed, version, root, args.threads))
        lines += ["", f"{name}, seeds {args.seeds}:", "", *table(rows)]
        (root / "experiments.md").write_text("\n".join(lines).strip() + "\n", encoding="utf-8")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
