"""How a Beam pipeline of ours is run: which runner, with which options, and how progress leaves the workers."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines import storage


def pipeline(spec: dict[str, Any]) -> beam.Pipeline:
    """A pipeline with the runner of a job's spec.

    The runner is always named: Beam's own default may go and look for a binary on the network. `FnApiRunner` runs in this
    process; with more than one worker it starts worker processes. Any other runner (FlinkRunner, DataflowRunner, SparkRunner)
    takes its options from `beam_options`, as `--name=value` words.
    """
    runner = spec["beam"]["runner"]
    words = [f"--runner={runner}", *spec["beam"]["options"]]
    workers = spec["workers"]
    if runner == "FnApiRunner":
        mode = "multi_processing" if workers > 1 else "in_memory"
        words += [f"--direct_num_workers={workers}", f"--direct_running_mode={mode}"]
    return beam.Pipeline(options=PipelineOptions(words, save_main_session=False))


def note_progress(path: str | None, rows: int, units: int = 0) -> None:
    """Adds a line to the local progress file of a job; short appends by several processes do not mix."""
    if path is None:
        return
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND)
    except OSError:
        return  # a worker on another machine: its progress is the runner's to show
    try:
        os.write(handle, f"{rows} {units}\n".encode())
    finally:
        os.close(handle)


class WriteRecords(beam.DoFn):
    """Writes all records of a job as one JSON list, in a fixed order: what the driver makes the manifest of."""

    def __init__(self, url: str) -> None:
        self.url = url

    def process(self, element: tuple[Any, Iterable[bytes]]) -> None:
        """Takes the one group of all records (JSON bytes)."""
        storage.write_bytes(self.url, b"[" + b",\n".join(sorted(element[1])) + b"]\n")


def gather(records: beam.PCollection, url: str) -> beam.PCollection:
    """Brings a job's records (JSON bytes) together in the file at `url`."""
    return (
        records
        | "key all" >> beam.Map(lambda record: (0, record))
        | "gather" >> beam.GroupByKey()
        | "records" >> beam.ParDo(WriteRecords(url))
    )
