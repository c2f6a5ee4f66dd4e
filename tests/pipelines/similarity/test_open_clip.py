"""open_clip: what it says where it is not installed, and a small model of its own where it is."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pairs.similarity import SimilarityOptions
from pipelines.similarity import files as model_files
from pipelines.similarity.model import ModelError, cosines, load

NAMED = {"provider": "open_clip", "model": "RN50-quickgelu", "batch_size": 2}


def _open_clip() -> Any:
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchvision does not import: {error}")
    return pytest.importorskip("open_clip")


def test_where_it_is_missing_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"weights")
    options = SimilarityOptions.model_validate({**NAMED, "pretrained": str(tmp_path / "w.pt")})
    try:
        metadata.version("open-clip-torch")
    except metadata.PackageNotFoundError:
        for ask in (
            lambda: model_files.releases(options),
            lambda: load(options, model_files.find(options, str), gpu=False),
        ):
            with pytest.raises(ModelError, match=r"pip install 'pixelpairs\[open-clip\]'"):
                ask()


def test_missing_weights_are_named(tmp_path: Path) -> None:
    options = SimilarityOptions.model_validate({**NAMED, "pretrained": "w.pt"})
    with pytest.raises(ModelError, match=r"similarity\.pretrained: .*w\.pt is no file"):
        model_files.find(options, lambda path: str(tmp_path / path))


def test_scores_of_a_random_model_are_its_own(tmp_path: Path) -> None:
    open_clip = _open_clip()
    import torch

    torch.manual_seed(0)
    name = "ViT-S-32" if "ViT-S-32" in open_clip.list_models() else "ViT-B-32"
    model = open_clip.create_model(name).eval()
    torch.save(model.state_dict(), tmp_path / "w.pt")
    options = SimilarityOptions.model_validate({**NAMED, "model": name, "pretrained": str(tmp_path / "w.pt")})
    held = load(options, model_files.find(options, str), gpu=False)
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 255, (40 + at, 60, 3), np.uint8)) for at in range(3)]
    texts = ["a red house", "ein rotes Haus", "赤い家"]
    found = cosines(held.images([held.prepare(one) for one in pictures]), held.texts(texts))
    preprocess = open_clip.create_model_and_transforms(name)[2]
    with torch.inference_mode():
        image = model.encode_image(torch.stack([preprocess(one) for one in pictures]))
        text = model.encode_text(open_clip.get_tokenizer(name)(texts))
        wanted = torch.nn.functional.cosine_similarity(image, text).numpy()
    np.testing.assert_allclose(found, wanted, atol=2e-4)
    with pytest.raises(ModelError, match="has no 'ViT-NONE'"):
        load(options.model_copy(update={"model": "ViT-NONE"}), {"pretrained": str(tmp_path / "w.pt")}, gpu=False)
