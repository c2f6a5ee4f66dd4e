"""The tower, its losses, its optimisers, and what a step computes."""

from __future__ import annotations

import contextlib
import json
import math
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.train.reference import model as tower_module
from pipelines.train.reference.decode import Batch, Decoder
from pipelines.train.reference.distributed import World
from pipelines.train.reference.embed import embed_pairs
from pipelines.train.reference.loss import Objective, standardised, unit
from pipelines.train.reference.metrics import EventFile
from pipelines.train.reference.model import make_tower
from pipelines.train.reference.optimise import Adafactor, make_optimiser, schedule
from pipelines.train.reference.patches import choose_patches
from pipelines.train.reference.photographs import PhotoRecipe
from pipelines.train.reference.plan import Order, Plan
from pipelines.train.reference.retrieval import recalls
from pipelines.train.reference.shards import Shards
from pipelines.train.reference.step import Embedder, Part, StepOptions, backward
from pipelines.train.reference.usage import flops_per_picture, is_out_of_memory
from pipelines.train.reference.version import open_version
from pipelines.train.reference.weights import load_tower, save_tower

ALONE = World(0, 1, torch.device("cpu"))


@pytest.mark.parametrize("model", ["tiny", "S/16"])
def test_a_text_has_the_same_embedding_in_any_batch(model):
    torch.manual_seed(0)
    tower = make_tower(model, rows=14, columns=14).eval()
    text = torch.full((1, 1, 224, 224), 127 / 127.5 - 1)
    text[:, :, 2:12, :100] = -1
    rows = torch.tensor([1])
    with torch.inference_mode():
        whole, cut = unit(tower(text, rows)), unit(tower(text[:, :, :32], rows))
    assert torch.allclose(whole, cut, atol=1e-5)


def test_sizes_are_those_that_are_published():
    with torch.device("meta"):
        base = make_tower("B/16", rows=14, columns=14)
    assert round(sum(p.numel() for p in base.parameters()) / 1e6) == 93, "CLIPPO B/16 has 93 M parameters"
    assert flops_per_picture(make_tower("S/16", rows=14, columns=14).config, 196) / 2 == pytest.approx(4.6e9, rel=0.05)


def test_weights_survive_and_a_broken_file_is_a_clear_error(tmp_path):
    tower = make_tower("tiny", rows=4, columns=4)
    save_tower(tmp_path / "w", tower)
    again = load_tower(tmp_path / "w")
    assert again.inputs == tower.inputs
    assert all(torch.equal(a, b) for a, b in zip(tower.state_dict().values(), again.state_dict().values(), strict=True))
    data = (tmp_path / "w").read_bytes()
    for broken in (b"\x08\0\0\0\0\0\0\0not json", b"", data[:300], data[:-4], struct.pack("<Q", 1 << 60) + data[8:]):
        (tmp_path / "w").write_bytes(broken)
        with pytest.raises(ValueError, match="not a tower's weights"):
            load_tower(tmp_path / "w")


@pytest.mark.parametrize(
    ("part", "field", "value", "message"),
    [
        ("config", "width", 10**9, "its width is"),
        ("config", "width", 6144, "size mismatch"),
        ("config", "depth", 10**9, "its depth is"),
        ("config", "heads", 7, "7 heads do not divide 96 channels"),
        ("config", "patch", 0, "its patch is 0"),
        ("inputs", "size", "big", "its size is 'big'"),
        ("inputs", "render", [], "its render is"),
        ("bias", "dtype", "I32", "bias is of type I32, not F32"),
    ],
)
def test_weights_that_lie_about_their_shape_are_refused(tmp_path, part, field, value, message):
    """Some took memory for what they promised, some failed in the middle of the first step, one was read as another type."""
    save_tower(tmp_path / "w", make_tower("tiny", rows=4, columns=4))
    data = (tmp_path / "w").read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    if part in header:
        header[part][field] = value
    else:
        header["__metadata__"][part] = json.dumps({**json.loads(header["__metadata__"][part]), field: value})
    text = json.dumps(header).encode()
    (tmp_path / "w").write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    with pytest.raises(ValueError, match=f"(?s)not a tower's weights: .*{message}"):
        load_tower(tmp_path / "w")


def test_weights_that_are_no_numbers_are_named(tmp_path):
    """The first step said that the learning rate was too high."""
    tower = make_tower("tiny", rows=4, columns=4)
    with torch.no_grad():
        tower.head.out.weight[3, 4] = math.nan
    save_tower(tmp_path / "w", tower)
    with pytest.raises(ValueError, match=r"head\.out\.weight has values that are no finite numbers"):
        load_tower(tmp_path / "w")


def test_loaded_weights_can_be_trained(tmp_path):
    save_tower(tmp_path / "w", make_tower("tiny", rows=2, columns=2))
    tower = load_tower(tmp_path / "w")
    tower(torch.zeros(2, 3, 32, 32)).sum().backward()
    assert all(p.grad is not None for n, p in tower.named_parameters() if n not in ("bias", "log_temperature"))


def test_a_tower_embeds_images_and_texts_as_the_loader_does(rendered, tmp_path):
    torch.manual_seed(1)
    shards = Shards(open_version(rendered))
    decoder = Decoder(shards, photo=PhotoRecipe(size=224, draft=False), patch=16)
    samples = shards.samples(shards.version.of("image_alt")[0])[:6]
    tower = make_tower("tiny", rows=14, columns=14)
    save_tower(tmp_path / "w", tower)
    loaded = load_tower(tmp_path / "w")
    left, right = embed_pairs(tower, decoder, "image_alt", samples, torch.device("cpu"))
    files = [shards.get(s.shard).read(s.position).left for s in samples]
    texts = [shards.get(s.shard).read(s.position).text.decode() for s in samples]
    assert torch.allclose(loaded.embed_images(files), left, atol=1e-5)
    assert torch.allclose(loaded.embed_texts(texts), right, atol=1e-5)
    assert torch.allclose(loaded.embed_images([Image.new("RGB", (9, 5))]).norm(dim=1), torch.ones(1))


def test_one_text_is_not_taken_for_its_letters(rendered):
    """`embed_texts("a cat")` gave a vector a letter, and said nothing."""
    tower = make_tower("tiny", rows=14, columns=14)
    for wrong in ("a cat", b"a cat", 7, [7], ["a cat", None]):
        with pytest.raises(TypeError, match="texts"):
            tower.embed_texts(wrong)
    for wrong in ("cat.jpg", Path("cat.jpg"), b"\xff\xd8", None, [7]):
        with pytest.raises(TypeError, match="image"):
            tower.embed_images(wrong)
    assert tower.embed_texts(iter(["a cat", ""])).shape == (2, 96)


def test_pillow_images_of_any_mode_and_files_that_are_none():
    """CMYK images could not be written as PNG, on the way to be read again; a file that is no image was called by an address."""
    tower = make_tower("tiny", rows=2, columns=2)
    modes = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16")
    found = tower.embed_images([Image.new(mode, (9, 5)) for mode in modes])
    assert torch.isfinite(found).all()
    with pytest.raises(ValueError, match="an image of 6 bytes: no JPEG, PNG or WebP"):
        tower.embed_images([b"GIF89a"])


def test_pictures_are_decoded_a_batch_at_a_time(monkeypatch):
    """All of them lay in memory as floats before the first was embedded."""
    order: list[str] = []

    def decoded(images, _):
        order.append("decoded")
        return torch.zeros(len(images), 3, 32, 32), None

    tower = make_tower("tiny", rows=2, columns=2)
    monkeypatch.setattr(tower_module, "photo_tensor", decoded)
    tower.register_forward_pre_hook(lambda *_: order.append("embedded"))
    assert tower.embed_images([b""] * 4, batch=2).shape == (4, 96)
    assert order == ["decoded", "embedded"] * 2


def loss_of(left, right, *, loss="softmax", temperature=10.0, left_ids=None, right_ids=None) -> float:
    n = torch.arange(len(left))
    left_ids, right_ids = (n if ids is None else torch.tensor(ids) for ids in (left_ids, right_ids))
    scalars = {"temperature": torch.tensor(temperature), "bias": torch.tensor(-10.0)}
    rows = Objective(loss).rows(left, right, left_ids, right_ids, **scalars, standardise=0.0, world=ALONE)
    return rows.mean().item()


def test_loss_of_chance_and_of_repeats():
    same = unit(torch.ones(8, 4))
    assert loss_of(same, same) == pytest.approx(math.log(8))
    eye = torch.eye(4)
    twin = eye[[0, 0, 2, 3]]
    masked = loss_of(eye, twin, temperature=50.0, right_ids=[5, 5, 6, 7])
    assert masked < 0.8 * loss_of(eye, twin, temperature=50.0), (
        "two pairs with one text are no negatives of one another"
    )


def test_the_losses_are_their_formulas():
    random = np.random.default_rng(0)
    left, right = (unit(torch.from_numpy(random.normal(size=(7, 5)).astype(np.float32))) for _ in range(2))
    logits = 10.0 * left.double().numpy() @ right.double().numpy().T
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    log_q = logits - np.log(np.exp(logits).sum(0, keepdims=True))
    assert loss_of(left, right) == pytest.approx(-(np.trace(log_p) + np.trace(log_q)) / 14, rel=1e-5)
    signs = 2 * np.eye(7) - 1
    sigmoid = np.log1p(np.exp(-signs * (logits - 10.0))).sum() / 7
    assert loss_of(left, right, loss="sigmoid") == pytest.approx(sigmoid, rel=1e-5)


def test_recalls_count_ties_against_and_standardising_fades():
    eye = torch.eye(6)
    assert recalls(eye, eye)["recall_at_1"] == 1.0
    assert recalls(torch.ones(6, 6), torch.ones(6, 6))["recall_at_5"] == 0.0
    x = torch.randn(50, 6) + 3
    assert standardised(x, 1.0).mean(0).abs().max() < 1e-5
    assert standardised(x, 0.0) is x


def a_batch(folder, count=12):
    shards = Shards(open_version(folder))
    version = shards.version
    decoder = Decoder(shards, photo=PhotoRecipe(size=32), patch=16)
    orders = {
        k: Order(k, version.of(k), [version.shards[n].samples for n in version.of(k)], lanes=2, block=8, seed=0)
        for k in version.kinds
    }
    plan = Plan(orders, dict.fromkeys(version.kinds, 1 / len(version.kinds)), count, batches="mixed")
    return decoder.planned(plan.next(), plan.kinds)


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_chunks_and_recomputing_give_the_gradients_of_the_whole_batch(rendered, loss):
    batch = a_batch(rendered)
    found = {}
    for name, chunk, recompute in (("whole", 0, False), ("chunks", 5, False), ("recomputed", 7, True)):
        torch.manual_seed(0)
        tower = make_tower("tiny", rows=14, columns=14)
        tower.recompute = recompute
        options = StepOptions(chunk=chunk, keep_photo=0.5, keep_text=0.75)
        rows = backward(Embedder(tower, options), Objective(loss), batch, ALONE, standardise=0.5)
        found[name] = rows, [None if p.grad is None else p.grad.clone() for p in tower.parameters()]
    for name in ("chunks", "recomputed"):
        assert torch.allclose(found[name][0], found["whole"][0], atol=1e-4)
        for one, other in zip(found[name][1], found["whole"][1], strict=True):
            assert (one is None) == (other is None)
            assert one is None or torch.allclose(one, other, atol=1e-4, rtol=1e-3)


def test_mixed_batches_hold_every_kind_and_pairs_stay_together(rendered):
    batch = a_batch(rendered)
    assert sorted(torch.bincount(batch.kinds).tolist()) == [4, 4, 4]
    assert len(batch.photos) == 4
    assert len(batch.texts) == 8 + 4 + 8
    pictures = len(batch.photos) + len(batch.texts)
    assert sorted(torch.cat([batch.left, batch.right]).tolist()) == list(range(pictures))


def test_patches_are_drawn_by_picture_and_those_with_ink_first():
    draws = torch.tensor([5, 6, 5])
    chosen = choose_patches(draws, 40, 0.25, None)
    assert chosen.shape == (3, 10)
    assert chosen[0].tolist() == chosen[2].tolist() != chosen[1].tolist()
    assert all(len(set(row)) == 10 and row == sorted(row) for row in chosen.tolist())
    mask = torch.zeros(3, 40, dtype=torch.bool)
    mask[:, :6] = True
    assert choose_patches(draws, 40, 0.25, mask)[:, :6].tolist() == [list(range(6))] * 3
    many = choose_patches(torch.arange(4000), 20, 0.5, None)
    assert torch.bincount(many.flatten()).float().std() < 100, "every patch is as likely as any other"


def test_schedules():
    assert schedule(1, 100, 0.1) == 0.1
    assert schedule(10, 100, 0.1) == 1.0
    assert schedule(100, 100, 0.1) < 1e-3
    rsqrt = {"decay": "rsqrt", "timescale": 50.0, "cool_down": 20}
    assert schedule(10, 200, 10, **rsqrt) == 1.0
    assert schedule(60, 200, 10, **rsqrt) == pytest.approx(1 / math.sqrt(2))
    assert schedule(190, 200, 10, **rsqrt) == pytest.approx(0.5 / math.sqrt(1 + 180 / 50))
    assert schedule(200, 200, 10, **rsqrt) == 0.0


def test_adafactor_is_its_formula_and_takes_little_memory():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(40, 64))
    optimiser = Adafactor([{"params": [weight], "weight_decay": 0.0}], lr=0.1)
    grads = [torch.randn(40, 64) for _ in range(3)]
    row, column, momentum, wanted = np.zeros(40), np.zeros(64), np.zeros((40, 64)), np.zeros((40, 64))
    for t, grad in enumerate(grads, start=1):
        g = grad.double().numpy()
        decay = min(0.999, 1 - t**-0.8)
        row = decay * row + (1 - decay) * (g**2).mean(1)
        column = decay * column + (1 - decay) * (g**2).mean(0)
        update = g * (row / row.mean())[:, None] ** -0.5 * column[None] ** -0.5
        momentum = 0.9 * momentum + 0.1 * update
        wanted -= 0.1 * momentum
        weight.grad = grad
        optimiser.step()
    assert np.allclose(weight.detach().numpy(), wanted, atol=2e-3), "bfloat16 keeps two to three digits of the momentum"
    state = optimiser.state[weight]
    assert sum(v.numel() for k, v in state.items() if k in ("row", "column")) == 104


def test_kernels_decay_and_nothing_else_does():
    tower = make_tower("S/16", rows=14, columns=14)
    decayed, others = make_optimiser("adamw", tower.named_parameters(), weight_decay=0.1).param_groups
    names = {id(p): name for name, p in tower.named_parameters()}
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert {names[id(p)].rsplit(".", 1)[-1] for p in decayed["params"]} == {"weight"}
    assert {"positions", "head.probe", "log_temperature", "bias"} < {names[id(p)] for p in others["params"]}


def test_event_files_are_tensorboards(tmp_path):
    """Read back by the format's own rules: length, checksum of the length, record, checksum of the record."""
    events = EventFile(tmp_path)
    events.scalars(3, {"loss": 1.5, "loss/image_alt": 2.5})
    events.close()
    (path,) = tmp_path.glob("events.out.tfevents.*")
    data, at, records = path.read_bytes(), 0, []
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        records.append(data[at + 12 : at + 12 + length])
        at += 16 + length
    assert at == len(data)
    assert b"brain.Event:2" in records[0]
    assert records[1][9:11] == b"\x10\x03", "field 2, step 3"
    assert b"\n\x04loss\x15" + struct.pack("<f", 1.5) in records[1]
    assert b"\n\x0eloss/image_alt\x15" + struct.pack("<f", 2.5) in records[1]
    # The masked CRC-32C of eight bytes, by a known answer: crc32c("123456789") is e3069283.
    from pipelines.train.reference.metrics import _masked_crc

    crc = 0xE3069283
    assert _masked_crc(b"123456789") == struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@pytest.mark.parametrize("keep", [1.0, 0.5])
@pytest.mark.parametrize("chunk", [0, 5])
@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
@pytest.mark.parametrize("optimiser", ["adamw", "adafactor", "muon"])
def test_a_step_stays_on_its_device(optimiser, loss, chunk, keep, monkeypatch):
    """Tensors of a device that holds no values stand for a GPU's: an operation on one of these and one of the CPU's fails."""
    device = torch.device("meta")
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # which knows real devices only
    with device:
        tower = make_tower("tiny", rows=2, columns=2)
        pairs, photos, texts, pictures = torch.zeros(8), torch.zeros(4), torch.zeros(12), torch.arange(16)
        batch = Batch(
            1, ("image_alt", "sentences"), pairs.long(), torch.zeros(4, 32, 32, 3, dtype=torch.uint8),
            torch.zeros(12, 32, 32, dtype=torch.uint8), texts.long(), *(pairs.long() for _ in range(4)), pictures,
        )  # fmt: skip
    tower.recompute = chunk > 0
    step = chunk or len(texts)
    parts = [Part(True, part, 0) for part in pictures[: len(photos)].split(step)]
    parts += [Part(False, part, 32) for part in pictures[len(photos) :].split(step)]
    embedder = Embedder(tower, StepOptions(chunk, False, keep, keep))
    monkeypatch.setattr(embedder, "parts", lambda _: parts)  # it looks at values
    rows = backward(embedder, Objective(loss), batch, World(0, 1, device), standardise=0.5)
    make_optimiser(optimiser, tower.named_parameters(), weight_decay=0.1).step()
    assert rows.device == device
    assert all(p.grad is not None and p.grad.device == device for n, p in tower.named_parameters() if n != "bias")


def test_an_evaluation_stays_on_its_device(rendered, monkeypatch):
    """As above: what embeds held-out pairs, texts and images."""
    device = torch.device("meta")
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    with device:
        tower = make_tower("tiny", rows=14, columns=14)
    shards = Shards(open_version(rendered))
    decoder = Decoder(shards, photo=PhotoRecipe(size=32), patch=16)
    for kind in ("image_alt", "sentences"):
        samples = shards.samples(shards.version.of(kind)[0])[:6]
        cpu = Embedder(tower, StepOptions()).parts(decoder.samples(kind, samples))
        parts = [Part(part.photos, part.pictures.to(device), part.height) for part in cpu]
        monkeypatch.setattr(Embedder, "parts", lambda *_, parts=parts: parts)  # it looks at values
        assert all(side.device == device for side in embed_pairs(tower, decoder, kind, samples, device))
        monkeypatch.undo()
        monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    assert tower.embed_texts(["a cat"]).device == tower.embed_texts([]).device == device
    assert tower.embed_images([Image.new("RGB", (9, 5))]).device == device


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
    ],
)
def test_full_memory_is_told_by_its_many_words(error):
    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))
