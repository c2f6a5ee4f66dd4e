"""What a tower is worth, on pairs that it was not trained on.

On a saved tower: `python -m pipelines.train.reference.evaluate --weights W.safetensors --dataset VERSION_DIR`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipelines.train.reference.config import TrainingError
from pipelines.train.reference.decode import Decoder
from pipelines.train.reference.distributed import device_of
from pipelines.train.reference.embed import embed_pairs
from pipelines.train.reference.fetched import CACHE_BYTES, ShardCache
from pipelines.train.reference.geometry import Similarities, modality_gap, relative_gap
from pipelines.train.reference.model import Tower
from pipelines.train.reference.photographs import PhotoRecipe
from pipelines.train.reference.retrieval import AT, recalls
from pipelines.train.reference.shards import Sample, Shards
from pipelines.train.reference.split import make_split
from pipelines.train.reference.version import HELD_OUT, PHOTOGRAPHS, DataError, open_version, refuse_within
from pipelines.train.reference.weights import load_tower
from pipelines.train.reference.zero_shot import ClassSet, classify, read_classes


class EvaluationError(TrainingError):
    """A tower cannot be evaluated; the message says on what and why."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The held-out pairs of one kind.

    Attributes:
        samples: n, with distinct left pictures and distinct right texts.
        left: float32 [n, d] on the CPU, rows of length 1.
        right: The same of the right sides; row i of both is sample i.
    """

    samples: Sequence[Sample]
    left: Tensor
    right: Tensor

    def entries(self) -> dict[str, Any]:
        """Recalls both ways with those of chance, the gap between the two sides, and how matched pairs stand out."""
        n = len(self.samples)
        return {
            "samples": n,
            **{f"chance_at_{k}": min(1.0, k / n) for k in AT},
            "text_to_left": recalls(self.right, self.left),
            "left_to_text": recalls(self.left, self.right),
            "gap": round(modality_gap(self.left, self.right), 6),
            "relative_gap": round(relative_gap(self.left, self.right), 6),
            "similarity": Similarities.of(self.left, self.right).entries(),
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A tower on all held-out pairs.

    Attributes:
        kinds: Kind -> its pairs.
        zero_shot: One a set of classes, see `zero_shot.classify`.
    """

    kinds: Mapping[str, Embedded]
    zero_shot: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    def entries(self) -> dict[str, Any]:
        """Entries of `result.json`.

        Returns:
            `retrieval_by_kind`; `retrieval`, that of photographs, or of the first kind without them, None without any;
            `modality_gap` and `relative_modality_gap` between photographs and their texts, where there are any; `zero_shot`, where
            classes were given.
        """
        found = {kind: embedded.entries() for kind, embedded in self.kinds.items()}
        entries: dict[str, Any] = {
            "retrieval": found.get(PHOTOGRAPHS) or next(iter(found.values()), None),
            "retrieval_by_kind": found,
        }
        if PHOTOGRAPHS in found:
            entries["modality_gap"] = found[PHOTOGRAPHS]["gap"]
            entries["relative_modality_gap"] = found[PHOTOGRAPHS]["relative_gap"]
        if self.zero_shot:
            entries["zero_shot"] = [dict(one) for one in self.zero_shot]
        return entries


def measure(
    tower: Tower,
    decoder: Decoder,
    held: Mapping[str, Sequence[Sample]],
    device: torch.device,
    classes: Sequence[ClassSet] = (),
) -> Evaluation:
    """Embeds all held-out pairs.

    Args:
        tower: In any mode, on `device`; its mode and weights are left as they are.
        decoder: Reads the samples without augmentation.
        held: Kind -> held-out samples with distinct left pictures and distinct right texts. Kinds with fewer than two are left out.
        device: Where the tower is.
        classes: Sets of classes to classify the held-out photographs by.

    Raises:
        EvaluationError: An embedding is no number.
        DataError: A sample cannot be read.
    """
    kinds = {}
    for kind, samples in sorted(held.items()):
        if len(samples) > 1:
            left, right = (side.float().cpu() for side in embed_pairs(tower, decoder, kind, samples, device))
            if not bool(torch.isfinite(left).all() and torch.isfinite(right).all()):
                raise EvaluationError(f"{kind}: the tower's embeddings are not all numbers")
            kinds[kind] = Embedded(samples, left, right)
    photographs = kinds.get(PHOTOGRAPHS)
    found = classified(tower, decoder.shards, photographs, classes) if classes and photographs else []
    return Evaluation(kinds, found)


def evaluate(
    tower: Tower, decoder: Decoder, held: Mapping[str, Sequence[Sample]], device: torch.device
) -> dict[str, Any]:
    """The entries of `measure`, for whoever needs no more."""
    return measure(tower, decoder, held, device).entries()


def classified(tower: Tower, shards: Shards, embedded: Embedded, sets: Sequence[ClassSet]) -> list[dict[str, Any]]:
    """Zero-shot classification of the held-out photographs, one entry a set of classes that any of them is of.

    Args:
        tower: Renders and embeds the prompts.
        shards: Where the photographs' texts are read, from which they are labelled where a set does not list them.
        embedded: Held-out pairs with photographs on the left.
        sets: Classes.
    """
    texts = _texts_of(shards, embedded.samples)
    found = []
    for classes in sets:
        labels: list[int | None] = []
        for sample in embedded.samples:
            listed = None
            if classes.pictures:
                data = shards.get(sample.shard).read(sample.position).left
                listed = classes.pictures.get(hashlib.sha256(data).hexdigest())
            labels.append(classes.label(texts[sample.left_id]) if listed is None else classes.classes.index(listed))
        rows = [row for row, label in enumerate(labels) if label is not None]
        if rows:
            wanted = [label for label in labels if label is not None]
            found.append(classify(embedded.left[rows], wanted, classes, tower.embed_texts))
    return found


def _texts_of(shards: Shards, samples: Sequence[Sample]) -> dict[int, list[str]]:
    """Left picture -> the texts of all pairs that it has in the shards of the samples."""
    texts: dict[int, list[str]] = {sample.left_id: [] for sample in samples}
    for number in sorted({sample.shard for sample in samples}):
        shard = shards.get(number)
        for sample in shards.samples(number):
            if sample.left_id in texts:
                texts[sample.left_id].append(shard.read(sample.position).text.decode("utf-8", "replace"))
    return texts


def evaluate_version(
    weights: Path,
    dataset: Path | str,
    *,
    out: Path | None = None,
    kinds: Sequence[str] | None = None,
    most: int = 1000,
    classes: Path | None = None,
    holdout: float = 0.1,
    threads: int = 0,
    device: str = "auto",
) -> tuple[dict[str, Any], Path | None]:
    """Evaluates a saved tower on the held-out pairs of a version.

    Args:
        weights: What a run saved.
        dataset: The version's folder, or its URL in an object store; its shards then go to `OUT/shards`.
        out: Where `evaluation.json`, plots and the page go; made if absent. Default: nothing is written.
        kinds: Which kinds. Default: all.
        most: Pairs of a kind at most.
        classes: File of classes, see `zero_shot.read_classes`.
        holdout: Share held out by hash where the version's build held nothing out; trained on by whoever held out otherwise.
        threads: CPU threads of torch; 0 leaves torch's choice.
        device: `auto` takes CUDA where there is one.

    Returns:
        What `evaluation.json` holds, and the page.

    Raises:
        DataError: The version cannot be read, or has no such kind.
        EvaluationError: The tower reads texts that are rendered otherwise, or nothing is held out.
        ClassesError, ValueError: The classes or the weights are no such file, or there is no such device.
    """
    sets = read_classes(classes) if classes is not None else []
    if threads:
        torch.set_num_threads(threads)
    at = device_of(device)
    tower = load_tower(weights).to(at)
    version = open_version(dataset)
    if out is not None:
        refuse_within(version, out)
    drawn = str(version.render.get("digest") or "")
    if tower.inputs.render_digest not in ("", drawn):
        raise EvaluationError(
            f"{weights} reads texts of render digest {tower.inputs.render_digest}, {dataset} has {drawn}"
        )
    wanted = list(version.kinds if kinds is None else kinds)
    if missing := sorted(set(wanted) - set(version.kinds)):
        raise DataError(
            f"no shards of kind {', '.join(missing)}; this version has {', '.join(version.kinds) or 'none'}"
        )
    cache = None if out is None else ShardCache(out / "shards", CACHE_BYTES)
    shards = Shards(version, cache=cache)
    split = make_split(shards, wanted, share=holdout, most=most)
    photo = PhotoRecipe(size=tower.inputs.size, antialias=tower.inputs.antialias)
    decoder = Decoder(shards, photo=photo, patch=tower.config.patch, cut=tower.config.skip_blank)
    evaluation = measure(tower, decoder, split.held, at, sets)
    if not evaluation.kinds:
        raise EvaluationError(f"{dataset}: no kind has two held-out pairs")
    result = {
        **evaluation.entries(),
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "manifest_sha256": version.manifest_sha256,
        "size": tower.inputs.size,
        "held_out": "by the build" if any(version.of(kind, HELD_OUT) for kind in wanted) else f"by hash, {holdout:g}",
    }
    page = None
    if out is not None:
        from pipelines.train.reference.report import write_report

        out.mkdir(parents=True, exist_ok=True)
        part = out / "evaluation.json.part"
        part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        part.replace(out / "evaluation.json")
        page = write_report(out, result, evaluation, decoder)
    return result, page


if __name__ == "__main__":
    import sys

    from pipelines.train.reference.evaluate_command import main

    sys.exit(main())
