"""Each published preset says, row for row, what a plain Python version of the published words says."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import ValidationError

from pairs import alt_text, counting, presets
from pairs.alt_text import AltTextOptions
from pairs.images import ImageError, probe
from pairs.language import LanguageIdentifier
from pairs.schema import IMAGE_REF
from tests.pairs import plain


def annotated(
    texts: list[str | None], urls: list[str | None], images: list[dict[str, Any] | None], lid: LanguageIdentifier
) -> pa.RecordBatch:
    batch = pa.RecordBatch.from_pydict(
        {
            "origin": pa.array([f"f#{number}" for number in range(len(texts))], pa.string()),
            "url": pa.array(urls, pa.string()),
            "text": pa.array(texts, pa.string()),
            "image": pa.array(images, IMAGE_REF),
        }
    )
    return counting.with_counts(alt_text.annotate(batch, lid=lid))


@pytest.fixture(scope="module")
def real(shared: Path, lid: LanguageIdentifier) -> dict[str, tuple[pa.RecordBatch, list[plain.Row]]]:
    """Every real row of alt-text, and every picture with each of its texts: as the package sees it, and plainly."""
    found = {}
    for name, text, url in (("img2dataset_laion_test_10000", "TEXT", "URL"), ("html_img_alt", "alt", "url")):
        table = pq.read_table(shared / "alttext" / f"{name}.parquet")
        texts, urls = table.column(text).to_pylist(), table.column(url).to_pylist()
        batch = annotated(texts, urls, [None] * len(texts), lid)
        seen = zip(batch.column("text").to_pylist(), batch.column("lang").to_pylist(), urls, strict=True)
        found[name] = (batch, [plain.Row(t, lang, u or f"f#{at}") for at, (t, lang, u) in enumerate(seen)])
    pictures: list[tuple[bytes, list[str]]] = []
    for row in pq.read_table(shared / "images" / "captioned_open.parquet").to_pylist():
        pictures.append((row["image"]["bytes"], [entry["text"] for entry in row["texts"]]))
    with tarfile.open(shared / "images" / "cc12m-train-0000.tar") as tar:
        files = {member.name: tar.extractfile(member) for member in tar}
        for name, file in files.items():
            if name.endswith(".jpg") and file is not None and (caption := files[name[:-3] + "txt"]) is not None:
                pictures.append((file.read(), [caption.read().decode()]))
    texts, images, rows = [], [], []
    for data, captions in pictures:
        try:
            facts = probe(data)
        except ImageError:
            continue
        with Image.open(io.BytesIO(data)) as image:
            kind, size = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}[str(image.format)], image.size
        digest = hashlib.sha256(data).hexdigest()
        for caption in captions:
            texts.append(caption)
            images.append(
                {
                    "part": "b", "offset": 0, "length": len(data), "format": facts.format, "width": facts.width,
                    "height": facts.height, "sha256": digest, "phash": facts.phash,
                }
            )  # fmt: skip
            rows.append(plain.Row("", None, digest, kind, *size, len(data)))
    batch = annotated(texts, [None] * len(texts), images, lid)
    for row, text, lang in zip(rows, batch.column("text").to_pylist(), batch.column("lang").to_pylist(), strict=True):
        row.text, row.lang = text, lang
    found["images"] = (batch, rows)
    return found


@pytest.mark.parametrize("preset", plain.PRESETS)
@pytest.mark.parametrize("name", ["img2dataset_laion_test_10000", "html_img_alt", "images"])
def test_presets_equal_the_plain_rules_on_every_real_row(real: Any, name: str, preset: str) -> None:
    batch, rows = real[name]
    ours = alt_text.select(batch, AltTextOptions(preset=preset)).to_pylist()
    theirs = plain.PRESETS[preset](rows)
    differ = [(row.text[:80], a, b) for row, a, b in zip(rows, ours, theirs, strict=True) if a != b]
    assert differ == [], f"{len(differ)} of {len(rows)} rows"
    assert len(Counter(ours)) > 1, "a preset that drops nothing here proves nothing"


def test_datacomp_asks_what_fasttext_itself_says(real: Any, lid: LanguageIdentifier) -> None:
    """The label of the package's column is bare fastText's, but for Chinese and Japanese told apart by kana."""
    import fasttext

    model = fasttext.load_model(str(lid.file()))
    _, rows = real["img2dataset_laion_test_10000"]
    for row in rows[:2000]:
        if row.text and len(row.text) < 200:
            label = model.predict(row.text)[0][0].removeprefix("__label__")
            assert label == row.lang or {label, row.lang} <= {"ja", "zh", "wuu", "yue"}


def test_every_preset_is_a_whole_set_of_options() -> None:
    assert presets.names() == ["align", "cc12m", "coyo", "datacomp_basic", "lit_yfcc", "webli"]
    for name in presets.names():
        options = AltTextOptions(preset=name)
        assert options.preset == name
        assert AltTextOptions.model_validate(options.model_dump(mode="json")) == options, "as a job is told of it"


def test_what_is_named_beside_a_preset_differs_from_it() -> None:
    options = AltTextOptions(preset="cc12m", min_words=5, order=["too_short"])  # type: ignore[arg-type]
    assert (options.min_words, options.max_words, options.order) == (5, 256, ("too_short",))
    with pytest.raises(ValidationError, match="no preset 'cc3m'; there are align, cc12m"):
        AltTextOptions(preset="cc3m")
