"""In a trainer's data loader: forked, spawned, threaded, from a read-only package, and without an engine."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import rendering
from rendering import Renderer, RenderSpec, load_font

TEXTS = [f"worker text {i} – 漢字 😀" for i in range(40)]
ROOT = Path(rendering.__file__).resolve().parent.parent


def work(renderer: Renderer, at: int) -> tuple[int, bytes, list[bytes]]:
    return os.getpid(), renderer.render(TEXTS[at : at + 10]).tobytes(), renderer.render_png(TEXTS[at : at + 10])


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_workers_draw_the_same(method: str) -> None:
    """The parent has drawn before it forks, as a trainer does when it looks at a sample first."""
    renderer = Renderer(RenderSpec(width=160))
    whole, files = renderer.render(TEXTS), renderer.render_png(TEXTS)
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = [pool.apply_async(work, (renderer, at)) for at in range(0, 40, 10)]
        results = [result.get(timeout=120) for result in found]
    assert all(pid != os.getpid() for pid, _, _ in results)
    assert b"".join(pixels for _, pixels, _ in results) == whole.tobytes()
    assert [file for _, _, part in results for file in part] == files


def test_threads_share_one_renderer() -> None:
    renderer = Renderer()
    whole = renderer.render(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        for images in pool.map(lambda _: renderer.render(TEXTS), range(20)):
            np.testing.assert_array_equal(images, whole)


def test_pickle_keeps_a_renderer_small_or_whole(tmp_path: Path) -> None:
    """The bundled font is loaded again by the reader; another one travels along."""
    assert len(pickle.dumps(Renderer())) < 2000
    path = tmp_path / "a.hex"
    path.write_text("0041:0000000018242442427E424242420000\n")
    renderer = Renderer(RenderSpec(lower=False), font=load_font(path))
    again = pickle.loads(pickle.dumps(renderer))  # noqa: S301 - our own object
    path.unlink()
    assert again.digest == renderer.digest
    np.testing.assert_array_equal(again.render(["A"]), renderer.render(["A"]))


def run(code: str, folder: Path, **environment: str) -> str:
    """Runs Python in `folder`, which stands first on its path, so never in the repository."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_no_engine_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys, rendering; rendering.Renderer().render_png(['a']);"
        "print([m for m in ('apache_beam', 'ray', 'prefect', 'pipelines', 'pairs', 'flows', 'torch', 'PIL') if m in sys.modules])"
    )
    assert run(code, tmp_path, PYTHONPATH=str(ROOT)) == "[]"


@pytest.mark.parametrize("home", ["writable", "missing"])
def test_a_read_only_package(tmp_path: Path, home: str) -> None:
    """Installed where nothing can be written: the kernels are cached in the user's folder, or in none."""
    package = tmp_path / "lib" / "rendering"
    shutil.copytree(ROOT / "rendering", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__pycache__").write_text("a file where numba wants a folder")  # root may write into any folder
    cache = tmp_path / "home"
    if home == "writable":
        cache.mkdir()
    else:
        cache.write_text("no folder")
    code = "import rendering; r = rendering.Renderer(); print(r.fitted(['abc'])[0], rendering.__file__)"
    home_is = {"HOME": str(cache), "XDG_CACHE_HOME": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}
    found = run(code, tmp_path, PYTHONPATH=str(tmp_path / "lib"), **home_is)
    assert found == f"3 {package}/__init__.py"
    if home == "writable":
        assert any(cache.rglob("*.nbi")), "the user's folder holds the cache"


def test_many_texts_need_no_memory(tmp_path: Path) -> None:
    """Peak memory must not grow with the number of texts: 40,000 of them are 2 GB of pixels."""
    code = (
        "import re, pyarrow as pa, rendering;"
        "r = rendering.Renderer(); texts = pa.array(['a text of a usual length, some 48 characters...'] * 40000);"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1]) / 1024;"
        "[None for _ in r.batches(texts[:1000])]; before = peak();"
        "n = sum(len(images) for _, images in r.batches(texts)); print(n, peak() - before < 60)"
    )
    assert run(code, tmp_path, PYTHONPATH=str(ROOT)) == "40000 True"


def test_slices_are_not_copied() -> None:
    """A batch out of a large array must cost its own size."""
    texts = pa.array(TEXTS * 50, pa.large_string())
    block = next(iter(rendering.texts.blocks(texts[100:110])))
    assert block.data.size == texts.buffers()[2].size
    assert len(block) == 10
