"""Stands for a trainer: reads every sample of a version, as a data loader would, and leaves a result.

python count_samples.py DATASET OUT
"""

from __future__ import annotations

import json
import sys
import tarfile
from collections import Counter
from pathlib import Path


def main() -> None:
    """Counts the samples of each kind."""
    dataset, out = map(Path, sys.argv[1:])
    manifest = json.loads((dataset / "MANIFEST.json").read_text())
    counts: Counter[str] = Counter()
    for number, shard in enumerate(manifest["shards"]):
        with tarfile.open(dataset / shard["path"]) as tar:
            counts[shard["kind"]] += sum(member.name.endswith(".json") for member in tar)
        print(f"step={number + 1} samples={sum(counts.values())}", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / "result.json").write_text(json.dumps({"samples": sum(counts.values()), "kinds": dict(counts)}))


if __name__ == "__main__":
    main()
