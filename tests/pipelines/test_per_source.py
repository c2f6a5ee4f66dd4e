"""The bound on pairs of one sentence, and their groups, against a plain reading of both; the same however rows lie in buckets."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pairs import dedupe, keys, translations
from pairs.schema import PAIR_SCHEMA
from pipelines.beam_jobs.ipc import from_ipc, to_ipc
from pipelines.beam_jobs.pairs_job import bucket_of
from pipelines.beam_jobs.per_source import Beyond, Group, Sentences, Shared

SEED = 3


def pairs(rows: list[tuple[str, str]]) -> pa.RecordBatch:
    made = [
        {
            "key": keys.content_key("translations", left, right), "kind": "translations", "image": None,
            "left_text": left, "right_text": right, "left_lang": "en", "right_lang": "de", "source": "s",
            "origin": f"f#{number}", "url": None, "scores": '{"left_chars":1}',
        }
        for number, (left, right) in enumerate(rows)
    ]  # fmt: skip
    return pa.RecordBatch.from_pylist(sorted(made, key=lambda row: row["key"]), schema=PAIR_SCHEMA)


def grouped(items: Any) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    for key, value in items:
        found.setdefault(key, []).append(value)
    return found


def run(rows: pa.RecordBatch, bound: int, buckets: int) -> list[dict[str, Any]]:
    """Both rounds, without an engine."""
    bucket = bucket_of(rows.column("key"), buckets)
    parts = {n: rows.filter(pa.array(bucket == n)) for n in sorted(set(bucket.tolist()))}

    def by_sentence() -> dict[int, list[Any]]:
        send = Sentences(SEED, buckets)
        return grouped(item for n, part in parts.items() for item in send.process((n, to_ipc(part))))

    lost = grouped(item for element in by_sentence().items() for item in Beyond(bound).process(element))
    for n, found in lost.items():
        gone = {number for piece in found for number in memoryview(piece).cast("q").tolist()}
        parts[n] = parts[n].filter(pa.array([number not in gone for number in range(parts[n].num_rows)]))
    parts = {n: part for n, part in parts.items() if part.num_rows}
    shared = grouped(item for element in by_sentence().items() for item in Shared().process(element))
    made: list[dict[str, Any]] = []
    for n, part in parts.items():
        for _, piece in Group().process((n, {"rows": [to_ipc(part)], "shared": shared.get(n, [])})):
            made += from_ipc([piece]).to_pylist()
    return made


def plain(rows: pa.RecordBatch, bound: int) -> list[str]:
    rank = dict(zip(rows.column("key").to_pylist(), dedupe.ranks(rows, SEED).tolist(), strict=True))
    by: dict[str, list[str]] = {}
    for row in rows.to_pylist():
        for text in {row["left_text"].lower(), row["right_text"].lower()}:
            by.setdefault(text, []).append(row["key"])
    lost = {key for found in by.values() for key in sorted(found, key=rank.__getitem__)[bound:]}
    return [key for key in rows.column("key").to_pylist() if key not in lost]


WORDS = st.sampled_from(["a", "b", "c", "A", "d", "e"])


@settings(max_examples=60)
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=25, unique=True), st.integers(1, 4))
def test_of_each_sentence_the_least_hashes_stay(found: list[tuple[str, str]], bound: int) -> None:
    rows = pairs(found)
    one, many = run(rows, bound, 1), run(rows, bound, 7)
    assert one == many
    assert [row["key"] for row in one] == plain(rows, bound)
    counts = Counter(text for row in one for text in {row["left_text"].lower(), row["right_text"].lower()})
    assert max(counts.values(), default=0) <= bound


def test_pairs_of_one_sentence_are_one_group_whichever_side_it_is_on() -> None:
    rows = pairs([("Hello", "Hallo"), ("Salut", "hello!"), ("HELLO", "Hola"), ("Bye", "Tschüs")])
    made = run(rows, 4, 3)
    groups = {frozenset((row["left_text"], row["right_text"])): json.loads(row["scores"])["group"] for row in made}
    assert len(set(groups.values())) == 2
    assert Counter(groups.values()).most_common(1)[0][1] == 3
    assert all(len(group) == 16 and int(group, 16) >= 0 for group in groups.values())
    assert all(list(json.loads(row["scores"])) == ["group", "left_chars"] for row in made), "keys stay sorted"


def test_a_column_of_a_pair_with_one_sentence_twice_counts_once() -> None:
    rows = pairs([("same", "Same"), ("same", "other")])
    assert len(run(rows, 2, 1)) == 2
    left, right = translations.sentences(rows)
    assert set(left.tolist()) & set(right.tolist())
