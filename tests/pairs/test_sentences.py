"""Neighbouring sentences of one paragraph, in many scripts, and what is left out."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from pairs import keys, reasons, sentences
from pairs.language import LanguageIdentifier
from pairs.schema import PAIR_SCHEMA
from pairs.sentences import SentenceOptions


def batch(texts: list[str | None]) -> pa.RecordBatch:
    n = len(texts)
    return pa.RecordBatch.from_pydict(
        {
            "origin": pa.array([f"f.json.gz#{number}" for number in range(n)], pa.string()),
            "url": pa.array([f"https://example.org/{number}" for number in range(n)], pa.string()),
            "text": pa.array(texts, pa.string()),
        }
    )


def mine(
    texts: list[str | None], lid: LanguageIdentifier, seed: int = 1, **options: Any
) -> tuple[pa.RecordBatch, list[str | None]]:
    found, why = sentences.annotate(batch(texts), options=SentenceOptions(**options), lid=lid, seed=seed, source="c4")
    return found, why.to_pylist()


def texts_of(found: pa.RecordBatch) -> list[tuple[str, str]]:
    return list(zip(found.column("left_text").to_pylist(), found.column("right_text").to_pylist(), strict=True))


A, B, C, D = (
    "The old harbour was quiet that morning.",
    "Only a few boats had come back before the storm.",
    "Their crews were mending nets on the wet stones.",
    "Nobody talked about the missing ship.",
)


def test_neighbours_never_cross_a_line_break(lid: LanguageIdentifier) -> None:
    found, why = mine([f"{A} {B}\n{C} {D}"], lid, pairs_per_document=None)
    assert texts_of(found) == [(A, B), (C, D)]
    assert why == [None]
    assert found.column("origin").to_pylist() == ["f.json.gz#0#0.0", "f.json.gz#0#1.0"]
    for end in ("\r\n", "\u2028", "\x0b", "\r"):
        assert texts_of(mine([f"{A} {B}{end}{C} {D}"], lid, pairs_per_document=None)[0]) == [(A, B), (C, D)], repr(end)


@pytest.mark.parametrize(
    ("lang", "left", "right"),
    [
        (
            "de",
            "Am 3. Oktober fuhr Dr. Müller mit dem Zug nach Berlin.",
            "Dort wartete z. B. schon seine alte Freundin auf ihn.",
        ),
        ("zh", "昨天下午我们一起去公园散步了。", "那里的花开得非常漂亮，大家都很高兴！"),
        ("ja", "昨日は家族と一緒に大きな公園へ行きました。", "とてもきれいな花がたくさん咲いていましたね。"),
        ("hi", "कल हम अपने परिवार के साथ बगीचे में घूमने गए थे।", "वहाँ बहुत सारे सुंदर फूल खिले हुए थे।"),
        ("ar", "ذهبنا أمس مع العائلة إلى الحديقة الكبيرة في المدينة؟", "كانت هناك زهور جميلة كثيرة في كل مكان."),
        ("ru", "Вчера мы всей семьёй гуляли в большом парке.", "Там цвело очень много красивых цветов!"),
        (
            "es",
            "¿Quién vino ayer a la fiesta de tu hermana mayor?",
            "¡Nadie me dijo que habría tanta gente en la casa!",
        ),
        ("el", "Χθες πήγαμε με την οικογένεια στο μεγάλο πάρκο.", "Εκεί υπήρχαν πολλά όμορφα λουλούδια παντού."),
        ("ko", "어제 우리는 가족과 함께 큰 공원에 갔습니다.", "그곳에는 아름다운 꽃들이 많이 피어 있었습니다."),
    ],
)
def test_sentences_of_many_scripts(lang: str, left: str, right: str, lid: LanguageIdentifier) -> None:
    joint = "" if lang in ("zh", "ja") else " "
    found, _ = mine([left + joint + right], lid)
    assert texts_of(found) == [(left, right)]
    assert sentences.select(found, SentenceOptions()).to_pylist() == [None]
    assert found.column("doc_lang").to_pylist() == [lang]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (None, "empty"),
        (" \n\u200b\n ", "empty"),
        ("Too short.", "too_short"),
        ("好。走。", "too_short"),
        ("def main():\n    return {\n      a: 1;\n    };\nfor (int i = 0; i < n; i++) {\n  x += i;\n}\n", "code"),
        (f"{A}\n{B}\n{C}\n{D}", "no_neighbours"),
        ("Home | About | Contact us today. | All rights reserved. Cookie policy.", "no_neighbours"),
        (f"• {A} {B}\n1. {A} {B}\n- {C} {D}", "no_neighbours"),
        (f"{A} {B}\n{A} {B}", "no_neighbours"),
    ],
)
def test_documents_without_a_pair_have_a_reason(text: str | None, reason: str, lid: LanguageIdentifier) -> None:
    found, why = mine([text], lid)
    assert (found.num_rows, why) == (0, [reason])
    assert reason in sentences.DOCUMENT_REASONS


def test_allowed_languages(lid: LanguageIdentifier) -> None:
    german = "Der alte Hafen war an diesem Morgen still. Nur wenige Boote waren vor dem Sturm zurückgekehrt."
    _, why = mine([f"{A} {B}", german], lid, languages=("en",))
    assert why == [None, "no_language"]


@pytest.mark.parametrize(
    ("text", "options", "reason"),
    [
        (f"{A} Oh no.", {}, "too_short"),
        (f"{A} {B}", {"max_chars": 40}, "too_long"),
        (f"{A} And then they saw", {}, "no_end"),
        (f"that had come back before the storm. {B}", {}, "no_begin"),
        (f"{A} 12 345 678 910 11 12 13 14 15 16 years in all.", {}, "few_letters"),
        (f"{A} See https://example.org/page for the whole story.", {}, "url"),
        (f"{A} See <foo bar='1'> in the whole of the story.", {}, "markup"),
        (f"{A} No no no no no no no no no.", {}, "repetition"),
        (f"{A} {A}", {}, "identical"),
        (
            f"{A} {B} {C} {D} {A[:-1]} again. Die alten Fischer flickten auf den nassen Steinen ihre Netze und schwiegen. "
            "Niemand sprach an diesem Abend mehr über das verlorene Schiff im Norden.",
            {"pairs_per_document": None},
            "wrong_language",
        ),
    ],
)
def test_candidate_rules(text: str, options: dict[str, Any], reason: str, lid: LanguageIdentifier) -> None:
    found, why = mine([text], lid, **options)
    assert why == [None], "a document with candidates is not dropped: its candidates are"
    assert reason in reasons.count(sentences.select(found, SentenceOptions(**options)))


@pytest.mark.parametrize(
    "first",
    ["iPhone sales rose again this year.", "aa-genprof asks for each of them.", "e-mail is read in the morning."],
)
def test_what_begins_small_by_its_name_is_no_fragment(first: str, lid: LanguageIdentifier) -> None:
    found, _ = mine([f"{first} {B}"], lid)
    assert sentences.select(found, SentenceOptions()).to_pylist() == [None]


def test_writers_without_capitals_are_kept(lid: LanguageIdentifier) -> None:
    text = "i never saw the harbour that quiet before? but only a few of the boats were back! so it was in those days."
    found, _ = mine([text], lid)
    assert sentences.select(found, SentenceOptions()).to_pylist() == [None]


def test_a_failing_neighbour_does_not_spoil_a_good_pair(lid: LanguageIdentifier) -> None:
    found, _ = mine([f"Oh. {A} {B} Well. {C} {D}"], lid)
    assert texts_of(found) == [(A, B), (C, D)]


def long_document(number: int) -> str:
    return " ".join(f"Sentence number {n} of document {number} tells a story about the sea." for n in range(30))


def test_drawn_pairs_are_disjoint_and_bounded(lid: LanguageIdentifier) -> None:
    documents: list[str | None] = [long_document(number) for number in range(40)]
    found, _ = mine(documents, lid, pairs_per_document=4)
    assert found.num_rows == 160
    spots = [origin.rsplit("#", 1) for origin in found.column("origin").to_pylist()]
    used = [(document, int(spot.split(".")[1]) + side) for document, spot in spots for side in (0, 1)]
    assert len(used) == len(set(used)), "no sentence is in two pairs"
    assert len({spot for _, spot in spots}) > 20, "not always the same places"
    again, _ = mine(documents, lid, pairs_per_document=4)
    assert again.equals(found)
    other, _ = mine(documents, lid, seed=2, pairs_per_document=4)
    assert other.column("origin").to_pylist() != found.column("origin").to_pylist()
    everything, _ = mine(documents[:1], lid, pairs_per_document=None)
    assert everything.num_rows == 29


def test_results_do_not_depend_on_the_batches(lid: LanguageIdentifier) -> None:
    documents = [
        long_document(1),
        "",
        f"{A} {B}\n{C} {D}",
        "Too short.",
        f"{A} {B}\n{A} {B}",
        f"{A} {A}",
        "昨天下午我们去公园。那里的花开得非常漂亮！",
    ]
    options = SentenceOptions()
    together = sentences.annotate(batch(documents), options=options, lid=lid, seed=1, source="s")
    for size in (1, 3):
        parts = [
            sentences.annotate(batch(documents).slice(at, size), options=options, lid=lid, seed=1, source="s")
            for at in range(0, len(documents), size)
        ]
        assert (
            pa.Table.from_batches([part for part, _ in parts])
            .combine_chunks()
            .equals(pa.Table.from_batches([together[0]]))
        )
        assert pa.concat_arrays([why for _, why in parts]).equals(together[1])
    nothing, why = sentences.annotate(batch([]), options=options, lid=lid, seed=1, source="s")
    assert (nothing.num_rows, len(why)) == (0, 0)
    assert nothing.schema.equals(together[0].schema)


def test_pairs(lid: LanguageIdentifier) -> None:
    found, _ = mine([f"{A} {B}"], lid)
    pairs = sentences.to_pairs(found, source="c4", seed=1)
    assert pairs.schema.equals(PAIR_SCHEMA)
    (row,) = pairs.to_pylist()
    assert row["key"] == keys.content_key("sentences", A, B)
    assert (row["left_text"], row["right_text"], row["left_lang"], row["kind"], row["image"]) == (
        A,
        B,
        "en",
        "sentences",
        None,
    )
    assert json.loads(row["scores"])["left_words"] == 7


def test_a_language_that_nobody_is_sure_of_is_not_named(lid: LanguageIdentifier) -> None:
    """The identifier has a name for every language, those too that it has never seen (here Matsigenka)."""
    text = "Acoajeitaque antimajeite cameetsa aisati eiro otimitsi coiteimoteene. "
    found, _ = mine([text + "Ariotaque iroñaaca antimajeite maaroni aatsiri cameetsa quitiri.", f"{A} {B}"], lid)
    assert found.column("doc_lang").null_count == 0
    pairs = sentences.to_pairs(found, source="c4", seed=1)
    assert pairs.column("left_lang").to_pylist() == pairs.column("right_lang").to_pylist() == [None, "en"]
    assert sentences.to_pairs(found, source="c4", seed=1, min_prob=0.0).column("left_lang").null_count == 0


def test_hostile_documents(lid: LanguageIdentifier) -> None:
    documents: list[str | None] = [
        "a" * 10_000_000,
        "a. " * 1_000_000,
        "\x00" * 1000 + A + " " + B,
        "<" * 500_000,
        "\n" * 1_000_000,
        "。" * 100_000,
    ]
    found, why = mine(documents, lid)
    assert why[2] is None
    assert {why[0], why[3], why[4]} <= {"no_neighbours", "empty", "code"}
    kept = found.filter(sentences.select(found, SentenceOptions()).is_null())
    assert texts_of(kept) == [(A, B)]


@pytest.mark.parametrize(
    "options", [{"pairs_per_document": 0}, {"min_letter_share": 2}, {"languages": ()}, {"surprise": 1}]
)
def test_impossible_options_are_errors(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        SentenceOptions(**options)


def test_real_web_documents(shared: Path, lid: LanguageIdentifier) -> None:
    with gzip.open(shared / "c4" / "webpages_c4style.json.gz", "rt", encoding="utf-8") as lines:
        documents = [json.loads(line)["text"] for line in lines]
    found, why = mine(documents, lid)
    assert sum(reason is None for reason in why) / len(documents) > 0.9
    kept = found.filter(sentences.select(found, SentenceOptions()).is_null())
    assert kept.num_rows / found.num_rows > 0.95
    lines_of = [{" ".join(line.split()) for line in text.splitlines()} for text in documents]
    for row in kept.select(["origin", "left_text", "right_text"]).to_pylist()[:400]:
        document = int(row["origin"].split("#")[1])
        if "&" in documents[document] or "<" in documents[document]:
            continue
        assert (
            any(row["left_text"] in line and row["right_text"] in line for line in lines_of[document])
            or not row["left_text"].isascii()
        ), "both sentences stand in one line of their document"
