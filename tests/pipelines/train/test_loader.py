"""Reading: shards held against the manifest, texts in two ways, photographs, and what is refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from versions import SIDE

from pipelines.train.reference.decode import Decoder
from pipelines.train.reference.fetched import ShardCache
from pipelines.train.reference.loader import Loader
from pipelines.train.reference.photographs import PhotoRecipe, decode_photograph, draw_augmentation
from pipelines.train.reference.plan import Order, Plan
from pipelines.train.reference.shards import Shards
from pipelines.train.reference.split import make_split
from pipelines.train.reference.tar_index import TarIndex
from pipelines.train.reference.version import DataError, open_version, resolve_mix


def decoder_of(folder: Path, **more) -> Decoder:
    return Decoder(Shards(open_version(folder)), photo=PhotoRecipe(size=32), patch=16, **more)


def plan_of(decoder: Decoder, kinds: dict[str, float], batch: int = 8) -> Plan:
    version = decoder.shards.version
    orders = {
        k: Order(k, version.of(k), [version.shards[n].samples for n in version.of(k)], lanes=4, block=16, seed=0)
        for k in kinds
    }
    return Plan(orders, kinds, batch, batches="mixed")


def same(one, two) -> bool:
    return all(
        torch.equal(getattr(one, name), getattr(two, name))
        for name in ("kinds", "photos", "texts", "text_rows", "left", "right", "left_ids", "right_ids", "draws")
    )


def test_rendered_and_decoded_texts_are_equal_to_the_bit(rendered):
    render, decode = (decoder_of(rendered, text_pixels=way) for way in ("render", "decode"))
    assert decoder_of(rendered).texts.way == "render"
    version = render.shards.version
    for kind in version.kinds:
        samples = [s for n in version.of(kind) for s in render.shards.samples(n)]
        one, two = render.samples(kind, samples), decode.samples(kind, samples)
        assert same(one, two)
        assert one.texts.shape[0] == len(samples) * (1 if kind == "image_alt" else 2)


def test_another_render_digest_means_decoding_and_an_error_where_rendering_was_asked_for(rendered, tmp_path):
    shutil.copytree(rendered, tmp_path / "v")
    manifest = json.loads((tmp_path / "v" / "MANIFEST.json").read_text())
    manifest["render"]["digest"] = "0" * 64
    (tmp_path / "v" / "MANIFEST.json").write_text(json.dumps(manifest))
    assert decoder_of(tmp_path / "v").texts.way == "decode"
    with pytest.raises(DataError, match="the manifest's render digest is 0000"):
        decoder_of(tmp_path / "v", text_pixels="render")


def test_the_index_of_a_shard_is_tarfiles(rendered):
    version = open_version(rendered)
    shards = Shards(version)
    for number, entry in enumerate(version.shards):
        with tarfile.open(entry.path) as tar:
            members = {m.name: tar.extractfile(m).read() for m in tar}
        shard = shards.get(number)
        assert len(shard) == entry.samples
        for p in range(len(shard)):
            assert shard.read(p).text == members[f"{shard.key(p)}.txt"]
            assert shard.read(p).pixels == members[f"{shard.key(p)}.text.png"]
            assert shard.read(p).rest == members[f"{shard.key(p)}.json"]
            assert shard.read(p).left in [members.get(f"{shard.key(p)}.{e}") for e in ("jpg", "png", "webp")]


def test_an_index_does_not_depend_on_where_the_file_is_cut(rendered):
    entry = open_version(rendered).shards[0]
    data = entry.path.read_bytes()
    whole = TarIndex(entry.samples)
    assert whole.feed(data, 0) == whole.fault(entry.samples) == ""
    for size in (512, 512 * 7, 1 << 16):
        pieces = TarIndex(entry.samples)
        for at in range(0, len(data), size):
            assert pieces.feed(data[at : at + size], at) == ""
        assert (pieces.places == whole.places).all()
        assert (pieces.keys == whole.keys).all()


def hostile(name="ab.txt", kind=tarfile.REGTYPE, size=0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, "/etc/passwd" if kind == tarfile.SYMTYPE else "", size
    return info


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([hostile(kind=tarfile.SYMTYPE)], "is not one of a sample"),
        ([hostile("../ab.txt")], "is not one of a sample"),
        ([hostile("/ab.txt")], "is not one of a sample"),
        ([hostile("ab.pyd")], "is not one of a sample"),
        ([hostile("ab.txt.exe")], "is not one of a sample"),
        ([hostile("ab.txt"), hostile("ab.txt")], "is there twice"),
        ([hostile("ab.txt"), hostile("aa.txt")], "does not come after"),
        ([hostile("ab.txt"), hostile("ac.txt"), hostile("ad.txt")], "one sample more than the manifest says"),
        ([hostile("ab.txt"), hostile("ac.txt")], "lacks its left picture"),
        ([hostile("ab.txt")], "1 samples, the manifest says 2"),
    ],
)
def test_hostile_archives_are_refused(tmp_path, members, message):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        for member in members:
            tar.addfile(member)
    index = TarIndex(2)
    assert message in (index.feed(path.read_bytes(), 0) or index.fault(2))


def test_random_bytes_are_no_archive_and_no_crash():
    random = np.random.default_rng(0)
    for _ in range(50):
        data = random.integers(0, 256, 4096, dtype=np.uint8)
        data[257:263] = np.frombuffer(b"ustar\0", np.uint8)
        index = TarIndex(4)
        assert index.feed(data.tobytes(), 0) or index.fault(4)


def spoilt(folder: Path, tmp_path: Path, spoil) -> Path:
    copy = tmp_path / "spoilt"
    shutil.copytree(folder, copy)
    path = next(copy.glob("train/sentences-*1.tar"))
    path.chmod(0o644)
    spoil(path)
    return copy


def test_a_shard_that_vanishes_or_has_another_size_is_noticed_at_the_start(small, tmp_path):
    gone = spoilt(small, tmp_path / "1", Path.unlink)
    with pytest.raises(DataError, match=r"sentences-000001\.tar: No such file"):
        open_version(gone)
    short = spoilt(small, tmp_path / "2", lambda p: p.write_bytes(p.read_bytes()[:-512]))
    with pytest.raises(DataError, match=r"sentences-000001\.tar: \d+ bytes, the manifest says"):
        open_version(short)


def test_changed_bytes_are_noticed_when_the_shard_is_opened(small, tmp_path):
    flip = lambda p: p.write_bytes(p.read_bytes()[:-700] + b"x" + p.read_bytes()[-699:])  # noqa: E731
    version = open_version(spoilt(small, tmp_path, flip))
    with pytest.raises(DataError, match=r"sentences-000001\.tar: sha256 is .* the shard was changed"):
        Shards(version).get(version.of("sentences")[1])


@pytest.mark.parametrize("how", ["written", "cut"])
def test_a_shard_that_changes_after_it_was_opened_is_noticed(small, tmp_path, how):
    shutil.copytree(small, tmp_path / "v")
    decoder = decoder_of(tmp_path / "v")
    version = decoder.shards.version
    (number,) = version.of("sentences")[:1]
    samples = decoder.shards.samples(number)
    decoder.samples("sentences", samples[:2])
    with version.shards[number].path.open("r+b") as file:
        if how == "cut":
            file.truncate(2048)
        else:
            file.write(b"x")
            os.utime(version.shards[number].path, (0, 0))
    with pytest.raises(DataError, match=r"(was cut|was changed) while it was being trained on"):
        decoder.samples("sentences", samples)


def test_a_shard_that_is_deleted_while_it_is_open_does_no_harm(small, tmp_path):
    shutil.copytree(small, tmp_path / "v")
    decoder = decoder_of(tmp_path / "v")
    (number,) = decoder.shards.version.of("sentences")[:1]
    samples = decoder.shards.samples(number)
    decoder.shards.version.shards[number].path.unlink()
    assert len(decoder.samples("sentences", samples)) == len(samples)
    with pytest.raises(DataError, match="No such file"):
        Shards(decoder.shards.version).get(number)


def test_only_so_many_shards_stay_open(small):
    shards = Shards(open_version(small), most_open=1)
    for _ in range(2):
        for number in range(len(shards.version.shards)):
            assert shards.get(number).read(0).text
    assert len(shards._open) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_threads_and_processes_give_the_planned_batches_in_order(rendered, workers):
    mix = {"image_alt": 0.5, "sentences": 0.5}
    plain, loaded = decoder_of(rendered, threads=2), decoder_of(rendered)
    expected = plan_of(plain, mix)
    loader = Loader(loaded, plan_of(loaded, mix), 9, workers=workers, ahead=2)
    found = list(loader)
    loader.close()
    assert [b.step for b in found] == list(range(1, 10))
    assert all(same(b, plain.planned(expected.next(), expected.kinds)) for b in found)
    assert loader.state == expected.state, "a checkpoint goes on after the last batch that was given"


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_the_data_ends_the_loader_with_its_message(small, tmp_path, workers):
    shutil.copytree(small, tmp_path / "v")
    decoder = decoder_of(tmp_path / "v")
    for path in (tmp_path / "v").glob("train/sentences-*"):
        path.unlink()
    loader = Loader(decoder, plan_of(decoder, {"sentences": 1.0}), 5, workers=workers)
    with pytest.raises(DataError, match="No such file"):
        list(loader)
    loader.close()


def test_a_worker_that_is_killed_is_an_error_and_no_hang(rendered):
    decoder = decoder_of(rendered)
    loader = Loader(decoder, plan_of(decoder, {"image_alt": 1.0}), 10_000, workers=1, ahead=1)
    next(loader)
    (process,) = loader._batches._workers
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(DataError, match="a process that decodes batches died"):
        list(loader)
    loader.close()


def test_a_mix_for_an_absent_kind_says_what_there_is(small):
    version = open_version(small)
    with pytest.raises(DataError, match="no shards of kind word_drop; this version has image_alt, sentences"):
        resolve_mix(version, {"word_drop": 1.0, "image_alt": 1.0})
    with pytest.raises(DataError, match="no kind of pairs has a weight above 0"):
        resolve_mix(version, {"image_alt": 0.0})
    assert resolve_mix(version, {"image_alt": 3.0, "sentences": 1.0, "other": 0.0}) == {
        "image_alt": 0.75,
        "sentences": 0.25,
    }


def test_shards_set_aside_by_the_build_are_held_out_and_never_trained_on(small, tmp_path):
    shutil.copytree(small, tmp_path / "v")
    manifest = json.loads((tmp_path / "v" / "MANIFEST.json").read_text())
    manifest["shards"][-1]["split"] = "validation"
    (tmp_path / "v" / "MANIFEST.json").write_text(json.dumps(manifest))
    version = open_version(tmp_path / "v")
    assert len(version.of("sentences")) == 1
    split = make_split(Shards(version), ["sentences"], share=0.5, most=100)
    assert {s.shard for s in split.held["sentences"]} == {len(version.shards) - 1}
    assert split.trained_on("sentences") == 25
    assert not split.allowed


def test_split_by_hash_keeps_pictures_and_texts_of_the_held_out_from_training(small):
    shards = Shards(open_version(small))
    split = make_split(shards, ["image_alt"], share=0.3, most=100)
    held = split.held["image_alt"]
    allowed = {(n, int(p)) for n, positions in split.allowed.items() for p in positions}
    samples = [s for n in shards.version.of("image_alt") for s in shards.samples(n)]
    trained = [s for s in samples if s.shard not in split.allowed or (s.shard, s.position) in allowed]
    assert held
    assert len(trained) == split.trained_on("image_alt") < len(samples)
    assert not {s.left_id for s in trained} & {s.left_id for s in held}
    assert not {s.right_id for s in trained} & {s.right_id for s in held}


def jpeg(width: int, height: int) -> bytes:
    out = io.BytesIO()
    ramp = Image.linear_gradient("L").resize((width, height))
    Image.merge("RGB", [ramp, ramp.transpose(Image.Transpose.FLIP_LEFT_RIGHT), ramp]).save(out, "JPEG", quality=95)
    return out.getvalue()


def test_transparent_photographs_lie_on_white():
    out = io.BytesIO()
    Image.new("RGBA", (20, 10), (10, 20, 30, 0)).save(out, "PNG")
    assert (decode_photograph(out.getvalue(), PhotoRecipe(size=16)) == 255).all()


@pytest.mark.parametrize(
    ("picture", "options", "level"),
    [
        (Image.fromarray(np.full((9, 9), 0x8765, np.uint16)), {}, (0x87,) * 3),
        (Image.new("L", (9, 9), 200), {}, (200,) * 3),
        (Image.new("1", (9, 9), 1), {}, (255,) * 3),
        (Image.new("LA", (9, 9), (100, 128)), {}, (177,) * 3),
        (Image.new("P", (9, 9), 0), {"transparency": 0}, (255,) * 3),
        (Image.new("RGB", (9, 9), (1, 2, 3)), {"transparency": (1, 2, 3)}, (255,) * 3),
        (Image.new("RGB", (9, 9), (1, 2, 3)), {"transparency": (9, 9, 9)}, (1, 2, 3)),
    ],
)
def test_every_mode_becomes_what_one_sees(picture, options, level):
    out = io.BytesIO()
    picture.save(out, "PNG", **options)
    assert tuple(decode_photograph(out.getvalue(), PhotoRecipe(size=16))[5, 5]) == level


def test_resizing_without_antialiasing_is_tensorflows():
    """tf.image.resize is PyTorch's bilinear interpolation with pixel centres at halves; the cast to uint8 cuts."""
    data = jpeg(97, 61)
    pixels = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
    found = decode_photograph(data, PhotoRecipe(size=32, antialias=False))
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    wanted = torch.nn.functional.interpolate(tensor, size=(32, 32), mode="bilinear", align_corners=False)
    difference = np.abs(found.astype(int) - wanted[0].permute(1, 2, 0).numpy().astype(int))
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.99


def test_a_draft_is_near_the_whole_decoding():
    data = jpeg(640, 480)
    whole, draft = (decode_photograph(data, PhotoRecipe(size=32, draft=d)).astype(int) for d in (False, True))
    assert np.abs(whole - draft).max() <= 4


def test_augmentation_is_drawn_from_its_name_and_keeps_its_bounds():
    recipe = PhotoRecipe(size=16, crop_min=0.3, flip=True)
    drawn = [draw_augmentation(recipe, 200, 100, f"0:augment:{n}:ab") for n in range(300)]
    assert drawn[5] == draw_augmentation(recipe, 200, 100, "0:augment:5:ab")
    boxes = np.array([box for box, _ in drawn])
    sides = boxes[:, 2:] - boxes[:, :2]
    assert (boxes >= 0).all()
    assert (boxes <= 1 + 1e-9).all()
    assert (sides.prod(axis=1) >= 0.3 - 1e-9).all()
    ratios = sides[:, 0] * 200 / (sides[:, 1] * 100)
    whole = sides.prod(axis=1) == 1
    assert (ratios[~whole] > 0.74).all()
    assert (ratios[~whole] < 1.34).all()
    assert 100 < sum(mirrored for _, mirrored in drawn) < 200
    data = jpeg(200, 100)
    plain = decode_photograph(data, recipe)
    assert (decode_photograph(data, recipe, "a") == decode_photograph(data, recipe, "a")).all()
    assert (decode_photograph(data, recipe, "a") != plain).any()


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0" + b"\0" * 40])
def test_what_is_no_photograph_is_refused(data):
    with pytest.raises((ValueError, OSError, SyntaxError)):
        decode_photograph(data, PhotoRecipe(size=16))


def test_blank_rows_are_cut_and_counted(small):
    decoder = decoder_of(small)
    version = decoder.shards.version
    samples = decoder.shards.samples(version.of("sentences")[0])[:1]
    batch = decoder.samples("sentences", samples)
    assert batch.text_rows.tolist() == [1, 1]
    assert batch.texts.shape == (2, 32, SIDE)
    assert set(np.unique(batch.texts)) == {0, 127}
    assert decoder_of(small, cut=False).samples("sentences", samples).texts.shape == (2, SIDE, SIDE)


@pytest.mark.parametrize("name", ["../x.tar", "/etc/passwd"])
def test_a_shard_path_that_leaves_the_version_is_refused(small, tmp_path, name):
    manifest = json.loads((small / "MANIFEST.json").read_text())
    manifest["shards"][0]["path"] = name
    (tmp_path / "MANIFEST.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="leaves the version"):
        open_version(tmp_path)


def test_the_manifests_hash_is_held_against_what_was_promised(small):
    digest = hashlib.sha256((small / "MANIFEST.json").read_bytes()).hexdigest()
    assert open_version(small, manifest_sha256=digest).manifest_sha256 == digest
    with pytest.raises(DataError, match="was promised"):
        open_version(small, manifest_sha256="0" * 64)


@pytest.fixture
def stored(rendered):
    """A version in an object store (fsspec's own, in memory)."""
    import fsspec

    store = fsspec.filesystem("memory")
    store.put(str(rendered), "/stored/v", recursive=True)
    yield store
    store.rm("/stored", recursive=True)


def test_a_version_in_an_object_store_is_fetched_shard_by_shard(stored, rendered, tmp_path):
    version = open_version("memory://stored/v")
    shards = Shards(version, cache=ShardCache(tmp_path / "cache", 1 << 30))
    assert not (tmp_path / "cache").exists(), "nothing before it is needed"
    number = version.of("sentences")[0]
    assert shards.samples(number) == Shards(open_version(rendered)).samples(number)
    assert [p.stem for p in (tmp_path / "cache").glob("*.tar")] == [version.shards[number].sha256]
    stored.rm(f"/stored/v/train/{version.shards[number].path.name}")
    again = Shards(version, cache=ShardCache(tmp_path / "cache", 1 << 30))
    assert len(again.get(number)) == version.shards[number].samples, "fetched once, kept for the next run"
    with pytest.raises(DataError, match="needs a folder of this machine"):
        Shards(version).get(number)


def test_what_the_store_or_the_cache_gives_is_held_against_the_manifest(stored, tmp_path):
    version = open_version("memory://stored/v")
    cache = ShardCache(tmp_path / "cache", 1 << 30)
    first, second = version.of("translations")
    name = f"/stored/v/train/{version.shards[first].path.name}"
    stored.pipe(name, stored.cat(name)[:-512])
    with pytest.raises(
        DataError, match=r"memory://stored/v/train/translations-000000.tar: \d+ bytes, the manifest says"
    ):
        Shards(version, cache=cache).get(first)
    stored.rm(name)
    with pytest.raises(DataError, match="cannot be fetched"):
        Shards(version, cache=cache).get(first)
    place = cache.fetch(version.shards[second])
    data = place.read_bytes()
    place.write_bytes(data[:1000] + b"x" + data[1001:])
    with pytest.raises(DataError, match="the shard was changed"):
        Shards(version, cache=cache).get(second)
    assert len(Shards(version, cache=cache).get(second)) == 16, "what was wrong is fetched anew"
    assert not list((tmp_path / "cache").glob("*.part"))


def test_the_cache_keeps_its_bound_and_open_shards_stay_readable(stored, tmp_path):
    version = open_version("memory://stored/v")
    shards = Shards(version, cache=ShardCache(tmp_path / "cache", 1))
    opened = [shards.get(n) for n in range(len(version.shards))]
    assert len(list((tmp_path / "cache").glob("*.tar"))) == 1
    assert all(shard.read(0).text for shard in opened)


@pytest.mark.parametrize(
    "weights", [{"image_alt": 1e999}, {"image_alt": -1.0}, {"image_alt": 1e308, "sentences": 1e308}]
)
def test_a_mix_of_impossible_weights_is_refused(small, weights):
    """Weights whose sum overflows became 0 each, and were ignored."""
    with pytest.raises(DataError, match="weights are numbers of 0 or more with a finite sum"):
        resolve_mix(open_version(small), weights)


def test_a_count_that_no_file_can_hold_is_refused(small, tmp_path):
    """A manifest that promised 10^12 samples took memory for them, and the message was of the batch's size."""
    shutil.copytree(small, tmp_path / "v")
    manifest = json.loads((tmp_path / "v" / "MANIFEST.json").read_text())
    manifest["shards"][0]["samples"] = 10**12
    (tmp_path / "v" / "MANIFEST.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="has an impossible sha256, size or count"):
        open_version(tmp_path / "v")


@pytest.mark.parametrize("kind", ["../../evil", "", "<script>", "a/b", "a" * 65, "a=1"])
def test_a_kind_that_is_no_name_is_refused(small, tmp_path, kind):
    """A kind called `../../evil` was trained on, and its plots were to be written there."""
    shutil.copytree(small, tmp_path / "v")
    manifest = json.loads((tmp_path / "v" / "MANIFEST.json").read_text())
    manifest["shards"][0]["kind"] = kind
    (tmp_path / "v" / "MANIFEST.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="a kind is named by letters, digits"):
        open_version(tmp_path / "v")
