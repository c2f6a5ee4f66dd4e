"""Which sentences are translated back, and over which route."""

from __future__ import annotations

import pyarrow as pa

from pairs import arrow, keys, reasons, to_translate
from pairs.back_translation import BackTranslationOptions
from pairs.schema import PAIR_SCHEMA


def pairs_of(rows: list[tuple[str, str, str, str]], kind: str = "sentences") -> pa.RecordBatch:
    n = len(rows)
    left, right = ([row[at] for row in rows] for at in (0, 2))
    columns = {
        "key": keys.content_keys(pa.array(left), pa.array(right)),
        "kind": arrow.constant(kind, n),
        "image": arrow.nulls(n, PAIR_SCHEMA.field("image").type),
        "left_text": pa.array(left),
        "right_text": pa.array(right),
        "left_lang": pa.array([row[1] for row in rows], pa.string()),
        "right_lang": pa.array([row[3] for row in rows], pa.string()),
        "source": arrow.constant("s", n),
        "origin": pa.array([f"s/f#{number}" for number in range(n)]),
        "url": arrow.nulls(n, pa.string()),
        "scores": arrow.constant("{}", n),
    }
    return arrow.pair_batch(columns)


def test_each_pair_gives_one_sentence_or_each() -> None:
    rows = [(f"Left {n}.", "en", f"Right {n}.", "en-GB") for n in range(60)]
    one, reason = to_translate.choose(pairs_of(rows), BackTranslationOptions(), 1, ["en"])
    assert one.num_rows == 60
    assert reason.null_count == 60
    assert 15 < sum(text.startswith("Left") for text in one.column("left_text").to_pylist()) < 45
    both, _ = to_translate.choose(pairs_of(rows), BackTranslationOptions(sides="both"), 1, ["en"])
    assert sorted(both.column("left_text").to_pylist()) == sorted([row[0] for row in rows] + [row[2] for row in rows])


def test_only_sides_in_a_routes_language_are_taken() -> None:
    rows = [
        ("Hallo Welt.", "de", "Hello world.", "en"),
        ("Bonjour.", "fr", "Hallo.", "de"),
        ("Ok.", None, "Hi.", "en-US"),
    ]
    found, reason = to_translate.choose(pairs_of(rows), BackTranslationOptions(), 1, ["en"])
    assert found.column("left_text").to_pylist() == ["Hello world.", "Hi."]
    assert reason.to_pylist() == [None, "no_route", None]


def test_a_share_is_of_sentences_not_of_pairs() -> None:
    rows = [(f"Sentence {n % 50}.", "en", f"Satz {n}.", "de") for n in range(400)]
    found, reason = to_translate.choose(pairs_of(rows), BackTranslationOptions(share=0.5), 1, ["en"])
    distinct = set(found.column("left_text").to_pylist())
    assert 12 < len(distinct) < 38
    assert found.num_rows == 8 * len(distinct), "every pair that has a drawn sentence"
    assert reasons.count(reason) == {"not_drawn": 400 - found.num_rows}
    more, _ = to_translate.choose(pairs_of(rows), BackTranslationOptions(share=0.8), 1, ["en"])
    assert distinct < set(more.column("left_text").to_pylist()), "a greater share translates the same ones again"


def test_an_added_route_moves_no_sentence_between_the_others() -> None:
    rows = [(f"Sentence {n}.", "en", f"Satz {n}.", "de") for n in range(300)]
    found, _ = to_translate.choose(pairs_of(rows), BackTranslationOptions(), 1, ["en"])
    two = to_translate.route_of(found, {"a": "en", "b": "en", "c": "de"}, 1).to_pylist()
    three = to_translate.route_of(found, {"a": "en", "b": "en", "c": "de", "d": "en-GB"}, 1).to_pylist()
    assert {name: two.count(name) > 100 for name in "ab"} == {"a": True, "b": True}
    assert all(new in (old, "d") for old, new in zip(two, three, strict=True))
    assert 60 < three.count("d") < 140
    assert to_translate.route_of(found, {"x": "fr"}, 1).null_count == 300
