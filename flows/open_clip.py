"""The command `pixelpairs open-clip`: open_clip's own trainer on a published version."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

_VERSION = typer.Argument(help="folder of a published version")


def register(app: typer.Typer, out: Console, exit_codes: Callable[[], AbstractContextManager[None]]) -> None:
    """Adds the command to the command line.

    Args:
        app: The command line.
        out: Where results go.
        exit_codes: Turns errors into messages and exit codes.
    """

    def say(line: str) -> None:
        out.print(line, markup=False, highlight=False, soft_wrap=True)

    @app.command(name="open-clip")
    def open_clip(
        version: Annotated[str, _VERSION],
        model: Annotated[
            str, typer.Option(help="architecture, or local-dir:FOLDER with an open_clip_config.json")
        ] = "ViT-B-16",
        batch_size: Annotated[int, typer.Option(min=1, help="samples a process and step")] = 256,
        epochs: Annotated[int | None, typer.Option(min=1, help="default: as many as the steps take")] = None,
        steps: Annotated[int | None, typer.Option(min=1, help="default: 250,000 / (1 - share of text pairs)")] = None,
        warmup: Annotated[int, typer.Option(min=0, help="steps in which the learning rate rises")] = 10_000,
        lr: Annotated[float, typer.Option(help="learning rate")] = 5e-4,
        workers: Annotated[int, typer.Option(min=0, help="loader processes a process")] = 4,
        precision: Annotated[str, typer.Option(help="amp, amp_bf16, bf16, fp32")] = "amp_bf16",
        device: Annotated[str, typer.Option(help="cuda, cpu, …")] = "cuda",
        processes: Annotated[int, typer.Option(min=1, help="processes, by torchrun")] = 1,
        mix: Annotated[list[str] | None, typer.Option(help="KIND=WEIGHT in place of the version's mix; repeat")] = None,
        python: Annotated[str, typer.Option(help="interpreter with open_clip_torch and webdataset")] = "python",
        more: Annotated[str, typer.Option(help="further words for open_clip_train.main, quoted as for a shell")] = "",
        trainer: Annotated[
            Path | None, typer.Option(help="write a trainer's YAML here, for train_model and recipes")
        ] = None,
        run: Annotated[bool, typer.Option("--run", help="start it here; without, show what would be started")] = False,
    ) -> None:
        """Train open_clip on a version: shards, factors and counts from its manifest."""
        import yaml
        from pydantic import ValidationError

        from pipelines.dataset import load
        from pipelines.train.open_clip import OpenClipOptions, open_clip_spec
        from pipelines.train.run import TrainError, plan, train
        from pipelines.train.spec import TrainerSpec

        with exit_codes():
            try:
                options = OpenClipOptions.model_validate(
                    {
                        "model": model, "batch_size": batch_size, "epochs": epochs, "steps": steps, "warmup": warmup, "lr": lr,
                        "workers": workers, "precision": precision, "device": device, "python": python, "more": shlex.split(more),
                    }
                )  # fmt: skip
                base = TrainerSpec.model_validate(
                    {
                        "argv": ["-"],
                        "resources": {"processes": processes},
                        "mix": dict(word.partition("=")[::2] for word in mix or ()),
                    }
                )
                spec = open_clip_spec(load(version), options, base)
            except (ValidationError, ValueError) as error:
                raise TrainError(str(error)) from error
            if trainer is not None:
                trainer.write_text(
                    yaml.safe_dump(spec.model_dump(mode="json", exclude_defaults=True), allow_unicode=True)
                )
            if not run:
                for line in plan(version, spec).lines():
                    say(line)
                return
            os.environ.setdefault("DO_NOT_TRACK", "1")
            say(f"results: {train(version, spec, said=say).folder}")
