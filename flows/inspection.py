"""Looking at what is there: `pixelpairs verify` and `pixelpairs inspect`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import orjson
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from flows.display import plain
from pipelines import dataset, storage, verify
from pipelines.ledger import LedgerError, check
from pipelines.publish import sheet
from pipelines.publish.version import CARD_CODE, WORDED, side_files, version_of
from pipelines.sources.tarstream import Damage, read_tar
from rendering import RenderSpec, load_font

_MEMBER_BYTES = 64 << 20
_SHARDS_SAMPLED = 6
_LANGUAGES = 8


def verify_version(folder: str, console: Console, fonts: tuple[str, ...] = ()) -> bool:
    """Reads a version back.

    Args:
        folder: The version.
        console: Is told what is wrong, or that nothing is.
        fonts: Font files that it was rendered with; none: the bundled one.

    Returns:
        Whether all is as the manifest says.

    Raises:
        DatasetError: No version lies there, or the fonts are others than its own.
    """
    manifest = dataset.load(folder)
    problems: list[str] = []
    try:
        spec = RenderSpec.from_dict(manifest.render["spec"])
        promised = manifest.render["digest"], manifest.render["font"]["name"], manifest.render["font"]["sha256"][:12]
    except (LookupError, TypeError, ValueError) as error:
        raise dataset.DatasetError(f"{folder}: the manifest's words on rendering cannot be read: {error}") from error
    paths = fonts
    font = load_font(*paths)
    if spec.digest(font) != promised[0]:
        raise dataset.DatasetError(
            f"{folder} was rendered with {promised[1]} (sha256 {promised[2]}…), this is {font.name} ({font.sha256[:12]}…): "
            "name its files by --font"
        )
    for kind, steps in sorted(manifest.ledger.items()):
        try:
            check(steps)
        except LedgerError as error:
            problems.append(f"ledger of {kind}: {error}")
    for table in manifest.parquet():
        url = storage.join(folder, table.path)
        if not storage.exists(url) or storage.sha256_of(url) != table.sha256:
            problems.append(f"{table.path}: gone, or not the file that was published")
    shared = {"render": manifest.render["spec"], "fonts": list(paths)}
    shards = [{**shard.model_dump(), "url": storage.join(folder, shard.path)} for shard in manifest.shards]
    workers = max(1, min(len(shards), len(os.sched_getaffinity(0))))
    # Spawned, not forked: a fork would copy threads' locks.
    with Progress(console=console, disable=not console.is_terminal) as bars:
        bar = bars.add_task("verify", total=sum(shard.samples for shard in manifest.shards))
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for read in pool.map(verify.verify_shard, [shared] * len(shards), shards):
                problems += [f"{read['path']}: {problem}" for problem in read["problems"]]
                bars.advance(bar, read["samples"])
    problems += _side_problems(folder, manifest)
    for problem in problems:
        console.print(plain(problem), markup=False, highlight=False, soft_wrap=True)
    samples = sum(shard.samples for shard in manifest.shards)
    held = sum(manifest.samples("validation").values())
    verdict = f"{len(problems)} problems" if problems else "whole"
    counts = f"{len(shards):,} shards, {samples:,} pairs{f' ({held:,} of them held out)' if held else ''}, "
    counts += f"{len(manifest.tables)} tables"
    words = plain(f"{manifest.name} {manifest.version}: {counts}: {verdict}")
    console.print(words, markup=False, highlight=False, soft_wrap=True)
    return not problems


def _side_problems(folder: str, manifest: dataset.DatasetManifest) -> list[str]:
    """What is wrong with a version apart from its shards' content."""
    problems = []
    if version_of(manifest) != manifest.version:
        problems.append(f"MANIFEST.json has been changed: its content is that of version {version_of(manifest)}")
    paths = [entry.path for entry in manifest.files()]
    problems += [f"{path}: listed {count} times" for path, count in Counter(paths).items() if count > 1]
    expected = side_files(manifest)
    for path, content in sorted(expected.items()):
        url = storage.join(folder, path)
        if not storage.exists(url):
            problems.append(f"{path} is gone")
        elif path in WORDED and manifest.card_code != CARD_CODE:
            continue  # another release's words
        elif storage.read_bytes(url) != content:
            problems.append(f"{path} is not what the manifest gives")
    errors = storage.join(folder, "errors.jsonl")
    logged = (
        sum(orjson.loads(line)["rows"] for line in storage.read_bytes(errors).splitlines())
        if storage.exists(errors)
        else -1
    )
    if logged != sum(manifest.errors.values()):
        problems.append(f"errors.jsonl: {max(logged, 0)} records, the manifest says {sum(manifest.errors.values())}")
    if storage.is_local(folder):
        known = {*paths, *expected}
        for place in (*dataset.SPLITS, "tables", "balance"):
            for found in sorted(storage.local_path(folder).glob(f"{place}/*")):
                if f"{place}/{found.name}" not in known:
                    problems.append(f"{place}/{found.name}: is not in the manifest")
    return problems


def inspect_anything(what: str, output: Path, count: int, seed: int, console: Console) -> None:
    """Counts what lies at `what` (a version or a tar) and draws a sheet of samples.

    Raises:
        DatasetError: Neither lies there.
    """
    if what.endswith(".tar"):
        _inspect_tar(what, output, count, seed, console)
        return
    manifest = dataset.load(what)
    table = Table(title=Text(plain(f"{manifest.name} {manifest.version}")), title_justify="left")
    counted = manifest.pairs()
    for name in ("kind", *next(iter(counted.values()), ["pairs"]), "shards", "bytes", "languages"):
        table.add_column(name, justify="left" if name in ("kind", "languages") else "right")
    for kind, numbers in counted.items():
        shards = [shard for shard in manifest.shards if shard.kind == kind]
        size = sum(shard.bytes for shard in shards)
        lines = _sides(manifest.languages.get(kind, {}))
        table.add_row(
            kind,
            *(f"{number:,}" for number in (*numbers.values(), len(shards), size)),
            Text("\n".join(map(plain, lines))),
        )
    console.print(table)
    for entry in manifest.tables:
        console.print(plain(f"table {entry.path}: {entry.rows:,} rows"), markup=False, highlight=False)
    draw_samples(what, manifest, output, count, seed, console)


def _sides(languages: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The languages of a kind's pairs, a line a side; one line where both sides have the same."""
    sides = {side: spoken(counts) for side, counts in sorted(languages.items()) if counts}
    if len(set(sides.values())) == 1:
        return [next(iter(sides.values()))]
    return [f"{side}: {words}" for side, words in sides.items()]


def spoken(counts: Mapping[str, int]) -> str:
    """Languages with their counts, most first; what is not named is summed."""
    most = Counter(counts).most_common()
    words = [f"{code} {count:,}" for code, count in most[:_LANGUAGES]]
    rest = most[_LANGUAGES:]
    return ", ".join(words) + (f", + {len(rest):,} more {sum(count for _, count in rest):,}" if rest else "")


def draw_samples(
    folder: str, manifest: dataset.DatasetManifest, output: Path, count: int, seed: int, console: Console
) -> None:
    """Draws a sheet of `count` samples of each kind of a version."""
    samples: list[sheet.Sample] = []
    for kind in manifest.samples():
        chosen = [shard for shard in manifest.shards if shard.kind == kind and shard.samples][:_SHARDS_SAMPLED]
        for index, shard in enumerate(chosen):
            share = count // len(chosen) + (index < count % len(chosen))
            samples += sheet.sample_shard(storage.join(folder, shard.path), share, seed)
    _draw(samples, output, console)


def _inspect_tar(url: str, output: Path, count: int, seed: int, console: Console) -> None:
    if not storage.exists(url):
        raise dataset.DatasetError(f"no file at {url}")
    extensions: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    keys, damage = set(), []
    with storage.open_read(url) as file:
        for member in read_tar(file, max_member_bytes=_MEMBER_BYTES):
            if isinstance(member, Damage):
                damage.append(f"{member.name or 'archive'} at byte {member.offset}: {member.reason}: {member.detail}")
                continue
            key, _, extension = member.name.partition(".")
            keys.add(key)
            extensions[extension] += 1
            if extension == "json" and member.data is not None:
                try:
                    rest = orjson.loads(member.data)
                except ValueError:
                    damage.append(f"{member.name}: not json")
                    continue
                languages[str(rest.get("right_lang") or "und") if isinstance(rest, dict) else "und"] += 1
    console.print(
        f"{url}: {storage.size(url):,} bytes, {len(keys):,} samples", markup=False, highlight=False, soft_wrap=True
    )
    members = ", ".join(f"{name} {n:,}" for name, n in sorted(extensions.items()))
    console.print(plain(f"members: {members}"), markup=False, highlight=False, soft_wrap=True)
    console.print(
        plain(f"languages of the right side: {spoken(languages)}"), markup=False, highlight=False, soft_wrap=True
    )
    for line in damage:
        console.print(plain(line), markup=False, style="red", soft_wrap=True)
    _draw(sheet.sample_shard(url, count, seed), output, console)


def _draw(samples: list[sheet.Sample], output: Path, console: Console) -> None:
    if not samples:
        console.print("no samples to draw")
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(sheet.contact_sheet(samples))
    console.print(f"contact sheet: {output}", markup=False, highlight=False, soft_wrap=True)
