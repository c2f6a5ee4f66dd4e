"""Beam runner options: every word is one that Beam knows, and the runner is named."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.check.common import Fault, documents, unpinned

_NEEDS = {
    "FnApiRunner": (),
    "FlinkRunner": ("flink_master", "environment_type"),
    "PortableRunner": ("job_endpoint", "environment_type"),
    "DataflowRunner": ("project", "region", "temp_location", "sdk_container_image"),
}


def check(path: Path, root: Path) -> Iterator[Fault]:
    """Faults of a file with the `runtime.beam` of a recipe."""
    shown = str(path.relative_to(root))
    (found,) = documents(path)
    if set(found) != {"runner", "options"} or found["runner"] not in _NEEDS:
        yield Fault(shown, "", f"has runner (one of {', '.join(_NEEDS)}) and options")
        return
    try:
        known, unknown = parse([f"--runner={found['runner']}", *found["options"]])
    except ValueError as error:
        yield Fault(shown, "options", str(error))
        return
    yield from (Fault(shown, "options", f"{word} is no option of Beam's") for word in unknown)
    yield from (
        Fault(shown, "options", f"--{name} is missing") for name in _NEEDS[found["runner"]] if not known.get(name)
    )
    images = [
        known.get("sdk_container_image"),
        known.get("environment_config") if known.get("environment_type") == "DOCKER" else None,
    ]
    yield from (Fault(shown, "options", wrong) for image in images if image and (wrong := unpinned(image)))


def parse(words: list[str]) -> tuple[dict[str, Any], list[str]]:
    """What Beam's own options classes make of words, and the words that none of them knows.

    Raises:
        ValueError: A value is of the wrong kind.
    """
    from apache_beam.options import pipeline_options

    # Beam's own class: its options may ask more of a parser than argparse's has.
    parser = pipeline_options._BeamArgumentParser(exit_on_error=False, allow_abbrev=False)
    for options in pipeline_options.PipelineOptions.__subclasses__():
        if options.__module__ == pipeline_options.__name__:
            options._add_argparse_args(parser)
    try:
        known, unknown = parser.parse_known_args(words)
    except (argparse.ArgumentError, SystemExit) as error:
        raise ValueError(str(error)) from error
    return vars(known), unknown
