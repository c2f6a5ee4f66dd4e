"""Unigrams, near hashes and counts, each against the plainest way to get the same."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairs import alt_text, counting, near, tokens
from pairs.alt_text import AltTextOptions, References
from pairs.decontaminate import DecontaminateOptions, EvaluationSets
from pairs.language import LanguageIdentifier
from pairs.schema import IMAGE_REF
from tests.pairs import plain

TEXTS = [
    "Don't stop: the dog's bowl, 3.5 kg!",
    "白色的猫在草地上 sitting",
    "Ünïcode ’quoted’ WORDS words",
    "แมวสีขาว",
    "a--b__c'' 'd'",
    "",
    "Ελληνικά και русский",
    "e\u0301te\u0301 l’été",
]


@pytest.mark.parametrize("text", TEXTS)
def test_unigrams_are_those_of_the_plain_cut(text: str) -> None:
    found = tokens.tokens(pa.array([text]))
    words = plain.unigrams(text)
    assert found.count.tolist() == [len(words)]
    alike = tokens.tokens(pa.array([" ".join(words)]))
    assert alike.hash.tolist() == found.hash.tolist(), "case and punctuation play no part"


@given(st.lists(st.text(alphabet=st.sampled_from("aAé'’ -.1猫ねแม\u0301Яя"), max_size=20), max_size=8))
def test_unigrams_of_any_text(texts: list[str]) -> None:
    assert tokens.tokens(pa.array(texts, pa.string())).count.tolist() == [len(plain.unigrams(text)) for text in texts]


def test_rare_words_are_those_outside_of_the_list() -> None:
    listed = tokens.vocabulary(["the", "Dog", "runs", "над", "猫"])
    texts = ["The dog runs.", "the dgo runs", "над dog, xyzzy plugh", "猫", "犬", ""]
    assert tokens.rare(pa.array(texts), listed).tolist() == [0, 1, 2, 0, 1, 0]
    assert tokens.rare(pa.array(["a b"]), tokens.vocabulary([])).tolist() == [2]


def test_the_rule_of_rare_words_needs_its_list(lid: LanguageIdentifier) -> None:
    batch = alt_text.annotate(pa.RecordBatch.from_pydict({"text": ["A dog runs", "A dgo rnus"]}), lid=lid)
    options = AltTextOptions(frequent_words="words.txt", max_rare_words=1)
    listed = References(frequent_words=tokens.vocabulary(["a", "dog", "runs"]))
    assert alt_text.select(batch, options, listed).to_pylist() == [None, "rare_words"]
    with pytest.raises(ValueError, match="needs its list"):
        alt_text.select(batch, options)


def _near_plainly(hashes: list[int], members: list[int], distance: int) -> list[bool]:
    return [any((one ^ other).bit_count() <= distance for other in members) for one in hashes]


def _hashes(count: int, seed: int) -> list[int]:
    draw = random.Random(seed)  # noqa: S311
    found = [draw.getrandbits(64) for _ in range(count // 2)]
    while len(found) < count:
        value = draw.choice(found)
        for bit in draw.sample(range(64), draw.randrange(9)):
            value ^= 1 << bit
        found.append(value)
    return found


@pytest.mark.parametrize("distance", [0, 1, 4, 7, 15])
def test_near_hashes_are_found_as_by_comparing_all(distance: int) -> None:
    every = _hashes(400, distance)
    members, asked = every[::2], every[1::2]
    index = near.HashIndex(np.array(members, np.uint64), distance)
    assert index.near(np.array(asked, np.uint64)).tolist() == _near_plainly(asked, members, distance)
    rank = np.random.default_rng(1).permutation(len(every))
    plainly = [
        any(rank[j] < rank[i] and (every[i] ^ every[j]).bit_count() <= distance for j in range(len(every)))
        for i in range(len(every))
    ]
    assert near.beaten(np.array(every, np.uint64), rank, distance).tolist() == plainly


def test_an_empty_set_is_near_nothing() -> None:
    nothing = np.zeros(0, np.uint64)
    assert near.HashIndex(nothing, 4).near(np.array([5], np.uint64)).tolist() == [False]
    assert near.beaten(nothing, np.zeros(0, np.int64), 4).tolist() == []


def test_counts_are_those_of_dictionaries() -> None:
    draw = random.Random(3)  # noqa: S311
    rows = [(f"text {draw.randrange(30)}", f"https://e/{draw.randrange(40)}") for _ in range(500)]
    batch = pa.RecordBatch.from_pydict(
        {
            "origin": [f"f#{at}" for at in range(len(rows))],
            "text": [text for text, _ in rows],
            "url": [url for _, url in rows],
        }
    )
    counted = counting.with_counts(batch)
    seen, images, texts = Counter(text for text, _ in rows), defaultdict(set), defaultdict(set)
    for text, url in rows:
        images[text].add(url)
        texts[url].add(text)
    assert counted.column("rows_per_text").to_pylist() == [seen[text] for text, _ in rows]
    assert counted.column("images_per_text").to_pylist() == [len(images[text]) for text, _ in rows]
    assert counted.column("texts_per_image").to_pylist() == [len(texts[url]) for _, url in rows]


def test_counting_rules_on_both_sides_of_their_bounds(lid: LanguageIdentifier) -> None:
    picture = {"part": "b", "offset": 0, "length": 9, "format": "jpg", "width": 640, "height": 480, "phash": None}
    texts = ["a dog in a garden"] * 3 + ["ein Hund im Garten"] * 2 + ["собака в саду"]
    images = [{**picture, "sha256": digest * 64} for digest in ("1", "2", "3", "1", "1", "1")]
    batch = pa.RecordBatch.from_pydict(
        {
            "origin": [f"f#{at}" for at in range(6)],
            "text": texts,
            "image": pa.array(images, IMAGE_REF),
        }
    )
    found = counting.with_counts(alt_text.annotate(batch, lid=lid))
    over = [
        ({"max_images_per_text": 2}, ["text_on_many_images"] * 3 + [None] * 3),
        ({"max_images_per_text": 3}, [None] * 6),
        ({"max_rows_per_text": 1}, ["text_too_frequent"] * 5 + [None]),
        ({"max_rows_per_text": 3}, [None] * 6),
        ({"max_texts_per_image": 2}, ["image_with_many_texts", None, None] + ["image_with_many_texts"] * 3),
        ({"max_texts_per_image": 3}, [None] * 6),
    ]
    for options, expected in over:
        assert alt_text.select(found, AltTextOptions(**options)).to_pylist() == expected, options
    with pytest.raises(ValueError, match="over all rows"):
        alt_text.select(alt_text.annotate(batch, lid=lid), AltTextOptions(max_rows_per_text=1))
    assert AltTextOptions(max_rows_per_text=1, order=("empty",)).counts == {}, "a rule that is off counts nothing"


def test_what_an_evaluation_set_holds_is_dropped(lid: LanguageIdentifier) -> None:
    phash = 0x0123456789ABCDEF
    options = DecontaminateOptions(sets=("eval",), image_distance=4, text_words=5)
    held = EvaluationSets.of(
        options,
        sha256=["a" * 64],
        phash=[phash],
        texts=pa.array(["A small dog runs over the green meadow.", "小白猫在绿色的草地上睡觉", "too short"]),
    )
    texts = [
        "see: small DOG, runs over the hill",
        "small dog runs over a hill",
        "图中小白猫在绿色的草地上",
        "小白猫",
        "too short",
    ]
    assert held.holds_text(pa.array(texts)).tolist() == [True, False, True, False, False]
    hashes = pa.array([phash ^ 0b1111, phash ^ 0b11111, None, None], pa.uint64())
    digests = pa.array(["b" * 64, "c" * 64, "a" * 64, "d" * 64])
    assert held.holds_image(digests, hashes).tolist() == [True, False, True, False]
    picture = {"part": "b", "offset": 0, "length": 9, "format": "jpg", "width": 640, "height": 480}
    batch = pa.RecordBatch.from_pydict(
        {
            "text": ["Ein Haus am See", texts[0], "Ein Haus am See"],
            "image": pa.array(
                [{**picture, "sha256": "a" * 64}, None, {**picture, "sha256": "e" * 64, "phash": phash ^ (31 << 50)}],
                IMAGE_REF,
            ),
        }
    )
    found = alt_text.annotate(batch, lid=lid)
    options_all = AltTextOptions(decontaminate=options)
    assert alt_text.select(found, options_all, References(evaluation=held)).to_pylist() == [
        "contaminated_image",
        "contaminated_text",
        None,
    ]
    with pytest.raises(ValueError, match="evaluation sets"):
        alt_text.select(found, options_all)
