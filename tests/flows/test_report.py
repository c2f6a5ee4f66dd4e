"""The report page: complete, self-contained, harmless, the same for the same data."""

from __future__ import annotations

import html
import io
import random
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "pipelines" / "publish"))

from made_version import drawn_text, make_version, photograph

from flows.report import ReportData, render_report
from flows.report.text import number, seconds, share, shown, size
from pipelines.dataset import DatasetManifest, ShardEntry
from pipelines.ledger import Step
from pipelines.publish.sheet import Sample, sample_shard

HOSTILE = [
    "</style><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnp.exe\u2069",
    "a\0b\x1b[31m",
    "\ud800 lone",
    "x" * 100_000,
    "<!--",
    "]]>",
]
_VOID = {"meta", "img", "br", "link", "input", "hr", "source", "base"}


class _Page(HTMLParser):
    """Collects tags with their attributes and checks that they nest."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[str] = []
        self.text: list[str] = []
        self.feed(data.decode())
        assert self.stack == [], f"not closed: {self.stack}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.stack or self.stack[-1] != "style":
            self.text.append(data)

    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def _check_closed_world(data: bytes) -> _Page:
    """No script, no handler, no outside resource: what the content security policy promises, in the markup itself."""
    page = _Page(data)
    for tag, attributes in page.tags:
        assert tag not in {"script", "iframe", "object", "embed", "link", "base", "form", "svg", "video", "audio"}
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in {"src", "srcset", "action", "data", "poster", "background"}:
                assert value is not None
                assert value.startswith("data:image/"), (tag, name)
            if name == "href":
                assert value is not None
                # The runs' page comes beside the version later: the one thing that a version cannot hold itself.
                assert value.startswith("#") or value == "training/index.html", (tag, name)
            if name == "style":
                assert "url(" not in (value or "")
    style = data.decode().split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    policy = next(
        a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    return page


def _examples() -> dict[str, dict[str, list[dict[str, Any]]]]:
    return {"web": {"too_few_words": [{"origin": "part-0.parquet#12", "raw_text": "IMG_0001", "text": "img 0001"}]}}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    folder = tmp_path_factory.mktemp("version")
    manifest = make_version(folder)
    samples = [sample for shard in manifest.shards for sample in sample_shard(str(folder / shard.path), 4, 0)]
    errors = [
        {
            "source": "web",
            "path": "a.tar",
            "position": f"member {n}",
            "reason": "corrupt",
            "detail": "broken",
            "rows": 1,
        }
        for n in range(60)
    ]
    return ReportData(manifest, samples, _examples(), errors, {"render-image_alt": 75.0, "verify": 0.4})


def test_the_similarity_of_each_source_and_language_is_shown(data: ReportData) -> None:
    assert "Similarity of images" not in _check_closed_world(render_report(data)).words()
    names = ("0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99")
    quantiles = dict(zip(names, (0.1, 0.12, 0.2, 0.2834, 0.3, 0.35, -0.04), strict=True))
    languages = {"ja": {"scored": 3, "quantiles": quantiles}, "<b>": {"scored": 30, "quantiles": quantiles}}
    told = {"scored": 1234, "without_image": 0, "quantiles": quantiles, "languages": languages}
    empty = {"scored": 0, "without_image": 2, "quantiles": {}, "languages": {}}
    page = _check_closed_world(render_report(replace(data, similarity={"web": told, "bare": empty}))).words()
    assert "1 % 5 % 25 % 50 % 75 % 95 % 99 %" in page
    assert "web all 1,234 0.100 0.120 0.200 0.283 0.300 0.350 -0.040" in page
    assert page.index("<b> 30 0.100") < page.index("ja 3 0.100"), "most first"


def test_the_page_shows_what_the_manifest_says(data: ReportData) -> None:
    page = _check_closed_world(render_report(data))
    words = page.words()
    for told in (
        "Shapes in ten scripts",
        "0123456789ab",
        "gate passed",
        "123,450",  # records read of image_alt, with thousands separators
        "122,965 pairs → 63,300",
        "too_few_words 31,600",
        "36,840",  # what that rule alone would drop
        "zh-Hant",
        "IMG_0001",
        "member 49",
        "and 10 more in errors.jsonl",
        "select-image_alt",
        data.manifest.shards[0].sha256,
        data.manifest.render["font"]["sha256"],
        "1 min 15 s",
    ):
        assert told in words, told
    assert "member 50" not in words
    assert sum(tag == "img" for tag, _ in page.tags) == 2 * len(data.samples)


def test_the_same_data_gives_the_same_bytes(data: ReportData) -> None:
    """Would catch a clock, a set's order or an id that crept in."""
    again = ReportData(
        DatasetManifest.model_validate_json(data.manifest.model_dump_json()),
        list(data.samples),
        _examples(),
        list(data.errors),
        dict(data.timings or {}),
    )
    assert render_report(again) == render_report(data)
    without = render_report(ReportData(data.manifest, data.samples, _examples(), data.errors, None))
    assert b"1 min 15 s" not in without


def test_a_build_that_the_gate_refused_has_a_page(tmp_path: Path) -> None:
    manifest = make_version(tmp_path, failed=True)
    words = _check_closed_world(render_report(ReportData(manifest, failed=True))).words()
    assert "gate failed: not published" in words
    assert "fails image_alt: samples 12 1,000,000" in words
    assert "No shards were published." in words


def test_an_empty_build_has_a_page() -> None:
    manifest = DatasetManifest(
        name="empty", version="0" * 12, recipe={}, lineage={}, render={}, models={}, mix={}, shards=[], ledger={}
    )
    words = _check_closed_world(render_report(ReportData(manifest))).words()
    assert "no gate" in words
    assert "Nothing was read." in words


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:12].encode("ascii", "replace").decode() for text in HOSTILE])
def test_hostile_text_in_any_place_is_text(text: str) -> None:
    """Every string that the page shows is replaced by the hostile one."""
    steps = [
        Step(source=text, step=text, unit=text, rows_in=4, kept=1, rows_out=2, dropped={text: 2}, errors={text: 1})
    ]
    read = [Step(source=text, step="read", unit=text, rows_in=5, kept=4, rows_out=4, errors={text: 1})]
    manifest = DatasetManifest.model_construct(
        name=text,
        version=text,
        recipe={"card": {"title": text}},
        lineage={text: {"key": text, "code": text, "inputs": {text: text}}},
        render={"spec": {text: text}, "font": {"name": text}},
        models={text: text},
        mix={text: 1.0},
        shards=[
            ShardEntry.model_construct(path=text, kind=text, bytes=1, sha256=text, samples=1, first_key="", last_key="")
        ],
        tables=[],
        ledger={text: read + steps},
        languages={text: {text: {text: 3}}},
        cut={},
        errors={text: 1},
        gate={"passed": False, "checks": [{"name": text, "value": 1.0, "bound": 2.0, "passed": False}]},
    )
    rest = dict.fromkeys(("left_text", "left_lang", "right_lang", "source", "url", "origin"), text)
    sample = Sample(text, text, text.encode("utf-8", "replace"), b"", text, rest)
    row = dict.fromkeys(
        ("origin", "text", "raw_text", "left_text", "right_text", "lang", "left_lang", "right_lang"), text
    )
    error = dict.fromkeys(("source", "path", "position", "reason", "detail", "rows"), text)
    page = render_report(ReportData(manifest, [sample], {text: {text: [row]}}, [error], {text: 1.0}, failed=True))
    read_back = _check_closed_world(page)
    assert len(page) < 200_000, "a long text is cut wherever it stands"
    body = page.decode()
    assert "\0" not in body
    assert "\x1b" not in body
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", body), "direction controls are shown by number, not obeyed"
    if len(text) < 100:
        assert html.escape(shown(text), quote=False) in body.replace("&#34;", '"').replace("&#39;", "'")
    else:
        assert "more characters]" in read_back.words()


def test_the_page_stays_small_however_many_pictures(tmp_path: Path) -> None:
    """Noise does not compress: beyond the budget a picture is left out and the page says so."""
    manifest = make_version(tmp_path, kinds={"image_alt": [1]})
    source = random.Random(0)  # noqa: S311
    samples = []
    for index in range(60):
        out = io.BytesIO()
        Image.frombytes("RGB", (224, 224), source.randbytes(224 * 224 * 3)).save(out, format="PNG")
        kind = "image_alt" if index % 2 else "word_drop"
        samples.append(Sample(kind, f"{index:032x}", out.getvalue(), out.getvalue(), "noise", {}))
    page = render_report(ReportData(manifest, samples))
    assert len(page) < 3_000_000
    assert b"left out to keep this page small" in page


def test_pictures_are_encoded_anew(tmp_path: Path) -> None:
    """What a stranger hid in a file (here after its end) does not reach the browser."""
    manifest = make_version(tmp_path, kinds={"image_alt": [1]})
    sample = Sample("image_alt", "00", photograph(1) + b"HIDDEN", drawn_text("a") + b"HIDDEN", "a", {})
    page = _check_closed_world(render_report(ReportData(manifest, [sample])))
    uris = [attributes["src"] or "" for tag, attributes in page.tags if tag == "img"]
    assert [uri.split(";")[0] for uri in uris] == ["data:image/jpeg", "data:image/png"]
    assert all("SElEREVO" not in uri and "hJRERFT" not in uri for uri in uris)


def test_steps_stand_in_the_order_in_which_they_ran(data: ReportData) -> None:
    """One source has no unique step: the order comes from the other."""
    words = _check_closed_world(render_report(data)).words()
    places = [words.index(told) for told in ("read 123,450", "filter 122,965", "unique 61,200", "render 58,012")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (number(1234567), "1,234,567"),
        (number(0.123456), "0.1235"),
        (number(3.0), "3"),
        (share(1, 3), "33.3 %"),
        (share(1, 100_000), "<0.1 %"),
        (share(99_999, 100_000), ">99.9 %"),
        (share(5, 5), "100 %"),
        (share(0, 0), "-"),
        (size(999), "999 bytes"),
        (size(1_234_567), "1.2 MB"),
        (seconds(0.42), "0.4 s"),
        (seconds(75), "1 min 15 s"),
        (seconds(7300), "2 h 1 min"),
        (shown(None), ""),
        (shown("a\nb\tc"), "a\nb\tc"),
        (shown("a\0\x7f\x9b"), "a␀␡[U+009B]"),
        (shown("abc" + "x" * 24, 3), "abc … [24 more characters]"),
        (shown("abc" + "x" * 23, 3), "abc" + "x" * 23),
        (shown("abc", 3), "abc"),
    ],
)
def test_numbers_and_texts(told: str, expected: str) -> None:
    assert told == expected
