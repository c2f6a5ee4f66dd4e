"""Translation pairs: each rule on both sides, punctuation against sacremoses, and human translations that must stay."""

from __future__ import annotations

import csv
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sacremoses import MosesPunctNormalizer

from pairs import dedupe, keys, moses, reasons, translations
from pairs.language import LanguageIdentifier
from pairs.schema import PAIR_SCHEMA
from pairs.translations import TranslationOptions

Pair = tuple[str | None, str | None]


def batch(rows: list[Pair], left: str = "en", right: str = "de") -> pa.RecordBatch:
    n = len(rows)
    return pa.RecordBatch.from_pydict(
        {
            "origin": pa.array([f"f#{number}" for number in range(n)], pa.string()),
            "url": pa.nulls(n, pa.string()),
            "left_text": pa.array([row[0] for row in rows], pa.string()),
            "right_text": pa.array([row[1] for row in rows], pa.string()),
            "left_lang": pa.array([left] * n, pa.string()),
            "right_lang": pa.array([right] * n, pa.string()),
        }
    )


def why(
    rows: list[Pair], lid: LanguageIdentifier, left: str = "en", right: str = "de", **options: Any
) -> list[str | None]:
    chosen = TranslationOptions(**options)
    found = translations.annotate(batch(rows, left, right), options=chosen, lid=lid)
    return translations.select(found, chosen).to_pylist()  # type: ignore[no-any-return]


LONG_EN = "The old harbour was quiet that morning because of the storm."


@pytest.mark.parametrize(
    ("rule", "left", "right", "rows"),
    [
        ("empty", "en", "de", [("", "Haus"), ("House", None), (" \u200b", "Haus")]),
        ("too_long", "en", "de", [("word " * 400, "Wort " * 400), ("x" * 30_000, "Haus")]),
        ("mojibake", "en", "de", [("A nice kitchen", "Eine sch\ufffdne K\ufffdche")]),
        (
            "markup",
            "en",
            "ro",
            [
                ("After people left <ref name = 'Turnbull", "După ce oamenii au plecat"),
                ("[[Holy language] is", "[[Limba găgăuză]] este"),
            ],
        ),
        (
            "url",
            "en",
            "ru",
            [
                ("ISBN 0727902776.", "- ISBN 978-5-85270-363-7."),
                ("doi:10.1111/ijcs.12012.", "Ветеринарные правила"),
                ("https://example.org/a", "Наш сайт"),
                ("Write to me@example.org now", "Пишите нам сейчас"),
            ],
        ),
        (
            "template",
            "en",
            "ja",
            [
                ("Unrecognized XCOFF type %d", "XCOFF タイプ %d を認識できません"),
                ("file '%.250s' was not found", "'%1$s'が見つかりません"),
                ("Use {name} to open it", "{name}を使って開きます"),
                ("Moves %n units to $unit", "部隊を$unitに移動します"),
                ("Opening folder %1 now", "フォルダー%1を開いています"),
                ("Send bugs to @PACKAGE_NAME@ now", "問題を報告してください"),
            ],
        ),
        ("no_letters", "en", "de", [("12 / 13 - 14 (15)", "12 / 13 - 14 (15) u.")]),
        (
            "identical",
            "en",
            "de",
            [("Midnight Sale!", "midnight SALE"), ("NIH Scholarship, Banff", "NIH Scholarship Banff")],
        ),
        (
            "wrong_script",
            "en",
            "ru",
            [
                ("Department for Infectious Diseases", "Abteilung für Infektionskrankheiten)"),
                ("Это не английский текст", "Это русский текст, и он длиннее"),
            ],
        ),
        ("wrong_script", "en", "zh", [("The dog runs home today", "Der Hund läuft heute heim")]),
        (
            "wrong_language",
            "en",
            "de",
            [
                (LONG_EN, "Le vieux port était calme ce matin-là à cause de la tempête."),
                ("Der alte Hafen war an diesem Morgen wegen des Sturms still.", "Alter Hafen"),
            ],
        ),
        ("too_short", "en", "de", [("OK", "Ja"), ("I", "Ich bin")]),
        (
            "length_ratio",
            "en",
            "de",
            [
                (
                    "He went home.",
                    "Er ging nach Hause, weil er müde war und außerdem noch Hunger hatte, "
                    "den er dort zu stillen hoffte, wie an jedem Abend.",
                )
            ],
        ),
        (
            "length_ratio",
            "zh",
            "en",
            [
                (
                    "你好，朋友。",
                    "Hello my friend, it has been such a long time since the two of us met in this town "
                    "that I hardly knew you.",
                )
            ],
        ),
        (
            "numbers_differ",
            "en",
            "de",
            [("In 1984 it was sold for 1,200 dollars.", "Im Jahr 1985 kostete es 3.400 Dollar.")],
        ),
        ("numbers_differ", "en", "ru", [("Over 200 scientists signed.", "Подписали учёные страны.")]),
        (
            "wrong_language",
            "ja",
            "en",
            [("中国政府昨天宣布了新的经济政策并且取消了旧的规定", "The Chinese government announced a new policy.")],
        ),
        (
            "repetition",
            "ro",
            "en",
            [
                (
                    "Protestele cetățenilor orașului au culminat cu o revoltă mare.",
                    "The second half, the second half, and the second half, served as the second half of the second half.",
                )
            ],
        ),
        (
            "fragment",
            "en",
            "ru",
            [
                ("Nook Tails, a strip by Cho Hanayo, began.", "Nook Tails) - серия комиксов от автора Чо Ханаё"),
                ("The ship was to be christened Princess.", "Судно первоначально должно было называться (с англ."),
                ("The goal is to decrease the num-", "Основная цель - уменьшение числа."),
            ],
        ),
    ],
)
def test_noise_is_dropped_by_the_rule_that_names_it(
    rule: str, left: str, right: str, rows: list[Pair], lid: LanguageIdentifier
) -> None:
    assert why(rows, lid, left, right) == [rule] * len(rows)


@pytest.mark.parametrize(
    ("left", "right", "rows"),
    [
        (
            "en",
            "de",
            [
                (LONG_EN, "Der alte Hafen war an diesem Morgen wegen des Sturms still."),
                ("Yes, sir!", "Jawohl!"),
                ("Angela Merkel said", "Angela Merkel sagte"),
                ("It cost 1,200.50 dollars in 1984.", "1984 kostete es 1.200,50 Dollar."),
                ("Three men came.", "Es kamen 3 Männer."),
                ("He is 28 years old.", "Er ist achtundzwanzig."),
            ],
        ),
        (
            "en",
            "zh",
            [
                ("Free, easy registration", "免费注册"),
                ("iPhone 12 Pro Max is on sale now", "iPhone 12 Pro Max 现已开售"),
                ("Total of 450 million dollars", "总额４亿５０００万美元"),
            ],
        ),
        (
            "ja",
            "en",
            [
                ("最大18%OFF!", "Up to 18% off!"),
                ("思わない。", "I don't think so."),
                ("〈とらや〉の羊羹", "<Toraya> sweet bean jelly"),
            ],
        ),
        (
            "en",
            "ru",
            [("It was shown on BBC One.", "Её показали на BBC One."), ("He works at NASA.", "Он работает в NASA.")],
        ),
        (
            "hr",
            "sr-Latn",
            [("Dobar dan, kako ste danas? Lijepo je vrijeme.", "Dobar dan, kako ste danas? Lepo je vreme.")],
        ),
        ("nb", "da", [("Jeg har ikke sett ham på mange år, dessverre.", "Jeg har desværre ikke set ham i mange år.")]),
        (
            "uk",
            "en",
            [
                ("Кава приїхала, можу завтра привезти)", "The coffee is here, I can bring it tomorrow"),
                ("а) перший пункт списку", "First item of the list"),
                ("вийшло гарно :(", "it went well"),
            ],
        ),
        ("ja", "en", [("国際連合安全保障理事会", "United Nations Security Council")]),
        ("zh", "en", [("从党的百年奋斗史中汲取力量", "Draw strength from the 100 years of struggle of the party")]),
        ("zh", "en", [("Tom是二零一零年五月五日出生的。", "Tom was born on May 5, 2010.")]),
        (
            "en",
            "de",
            [("No, no, no, no, no, not that one, please!", "Nein, nein, nein, nein, nein, nicht das, bitte!")],
        ),
        ("sw", "xx", [("Habari za asubuhi rafiki yangu", "anything in no known language")]),
        ("en", "tr", [("A 5% discount on everything", "Her şeyde %5 indirim")]),
        ("en", "de", [("100% down, only $5 at R&D; new", "100 %ig Daunen, nur 5 $ bei F&E; neu")]),
        ("en", "hi", [("The dog ran in 2019.", "कुत्ता २०१९ में भागा।")]),
    ],
)
def test_good_translations_stay(left: str, right: str, rows: list[Pair], lid: LanguageIdentifier) -> None:
    assert dict(zip(rows, why(rows, lid, left, right), strict=True)) == dict.fromkeys(rows)


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({"max_chars": 10}, [("elf Zeichen", "Haus", "too_long"), ("zehn Zeich", "Haus", None)]),
        ({"min_chars": 5}, [("Ball", "Kugeln", "too_short"), ("Balls", "Kugeln", None)]),
        (
            {"max_length_ratio": 2, "length_ratio_slack": 0},
            [("house", "Haustüre am See", "length_ratio"), ("houses", "Haustüre nah", None)],
        ),
        ({"min_letter_share": 0.5}, [("a 12 3", "ein Haus", "no_letters"), ("abc 12 3", "ein Haus", None)]),
        ({"numbers_min_digits": 2}, [("12 cats", "13 Katzen", "numbers_differ"), ("1 cat", "2 Katzen", None)]),
        ({"numbers_min_digits": 3}, [("12 cats", "13 Katzen", None), ("112 cats", "113 Katzen", "numbers_differ")]),
        (
            {"max_repetition": None, "fragment": False},
            [("so (so so so so so so so so so so", "sie sagen das so oft", None)],
        ),
        ({"identical": False}, [("Hamburg", "Hamburg", None)]),
        ({"order": ("empty",)}, [("a", "a", None)]),
    ],
)
def test_thresholds(options: dict[str, Any], rows: list[tuple[str, str, str | None]], lid: LanguageIdentifier) -> None:
    assert why([(left, right) for left, right, _ in rows], lid, **options) == [reason for *_, reason in rows]


PUNCTUATION = st.text(st.sampled_from("ab1 2\u00a0\u202f().,:;?!%„“”–—´‘’‚`'\"«»…<>é日。\r\t\u0663"), max_size=25)


@pytest.mark.parametrize("lang", ["en", "de", "fr", "cs", "zh", "ru"])
def test_punctuation_is_normalised_as_sacremoses_does(lang: str) -> None:
    normalizer = MosesPunctNormalizer(lang=lang)

    @given(st.lists(PUNCTUATION, min_size=1, max_size=12))
    def check(texts: list[str]) -> None:
        expected = [normalizer.normalize(text) for text in texts]
        assert moses.normalise(pa.array(texts, pa.string()), lang).to_pylist() == expected

    check()


def test_punctuation_of_real_lines_is_normalised_as_sacremoses_does(shared: Path) -> None:
    for lang, name in (
        ("de", "de-en.src.de"),
        ("en", "de-en.ref.A.en"),
        ("ja", "ja-en.src.ja"),
        ("zh", "zh-en.src.zh"),
        ("fr", "fr-de.src.fr"),
    ):
        lines = (shared / "wmt" / "wmt22" / f"generaltest2022.{name}").read_text(encoding="utf-8").split("\n")[:700]
        normalizer = MosesPunctNormalizer(lang=lang)
        assert moses.normalise(pa.array(lines), lang).to_pylist() == [normalizer.normalize(line) for line in lines], (
            name
        )


@pytest.mark.parametrize(
    ("lang", "tokens", "natural"),
    [
        ("en", "i 'll go , he can 't .", "i'll go, he can't."),
        ("en", 'he said " yes " ( twice ) .', 'he said "yes" (twice).'),
        ("en", "well @-@ known &apos;s", "well-known's"),
        ("fr", "il a dit « oui » !", "il a dit « oui » !"),
        ("de", "Das kostet 5 % , oder ?", "Das kostet 5%, oder?"),
        ("ja", "第 3 代 は （ 1368 年 ） で あ る 。", "第3代は（1368年）である。"),
        ("zh", "他 说 : BBC 新闻 , 好 。", "他说: BBC新闻,好。"),
        ("ko", "나는 학교 에 간다 .", "나는 학교 에 간다."),
    ],
)
def test_tokens_are_put_together(lang: str, tokens: str, natural: str) -> None:
    assert moses.detokenise(pa.array([tokens, "", "x"]), lang).to_pylist() == [natural, "", "x"]


@pytest.mark.parametrize(
    ("lang", "lines", "tokenised"),
    [
        ("en", ["i 'm in the club .", "yes", "no , sir ."], True),
        ("en", ["I'm in the club.", "No, sir.", "Well ... , hm."], False),
        ("fr", ["Vraiment ? Oui !", "Voilà : c'est tout."], False),
        ("ja", ["私 は テニス 部員 で す 。", "はい 。"], True),
        ("ja", ["私はテニス部員です。　そうです。", "二十一世紀の東京 オリンピック"], False),
        ("zh", ["科学家 一直 猜想 土卫六 上 存在"], True),
        ("zh", ["第一章 总则", "科学家一直猜想土卫六上存在着海洋"], False),
        ("ko", ["나는 어제 학교에 갔다."], False),
        ("en", [], False),
    ],
)
def test_tokenised_files_are_told_by_their_lines(lang: str, lines: list[str], tokenised: bool) -> None:
    assert moses.is_tokenised(pa.array(lines, pa.string()), lang) is tokenised


def test_real_corpora_are_tokenised_or_not(shared: Path) -> None:
    wmt = shared / "wmt"
    for name, lang, tokenised in (
        ("tanaka_enja/train.en.000", "en", True),
        ("tanaka_enja/train.ja.000", "ja", True),
        *((f"wmt22/{path.name}", path.name.rsplit(".", 1)[1], False) for path in (wmt / "wmt22").glob("generaltest*")),
    ):
        lines = (wmt / name).read_text(encoding="utf-8").split("\n")[:1000]
        assert moses.is_tokenised(pa.array(lines), lang) is tokenised, name


def test_pairs_that_differ_in_spaces_case_or_punctuation_are_one(lid: LanguageIdentifier) -> None:
    same: list[Pair] = [
        ("We like C# most of all.", "Wir mögen C# am liebsten!"),
        ("we like  C# most of all", "Wir mögen C# am liebsten"),
        ("WE LIKE C# MOST OF ALL!", "Wir mögen, C# am liebsten."),
    ]
    other: list[Pair] = [("We like C++ most of all.", "Wir mögen C++ am liebsten!")]
    keys_of = made(same + other, lid).column("key").to_pylist()
    assert len(set(keys_of[:3])) == 1
    assert keys_of[3] != keys_of[0]


def test_thresholds_move_without_measuring_again(lid: LanguageIdentifier) -> None:
    """Nothing but `MEASURED_BY` changes what annotate gives."""
    rows: list[Pair] = [(LONG_EN, "Der alte Hafen war 1984 still."), ("12 cats (", "13 Katzen"), ("a", "b")]
    first = translations.annotate(batch(rows), options=TranslationOptions(), lid=lid)
    moved = TranslationOptions(
        length_ratio_slack=0,
        numbers_min_digits=5,
        language_min_weight=1,
        max_chars=10,
        order=("empty",),
        fragment=False,
    )
    assert translations.annotate(batch(rows), options=moved, lid=lid).equals(first)
    assert frozenset({"normalise_punctuation"}) == translations.MEASURED_BY


def test_texts_are_cleaned_and_tags_written_as_bcp_47(lid: LanguageIdentifier) -> None:
    rows: list[Pair] = [("Tom &amp; Jerry  \u200bare <b>friends</b>", "\u201eTom und Jerry\u201c sind Freunde")]
    found = translations.annotate(batch(rows, "en_GB", "de_AT"), options=TranslationOptions(), lid=lid)
    assert found.column("left_text").to_pylist() == ["Tom & Jerry are friends"]
    assert found.column("right_text").to_pylist() == ['"Tom und Jerry" sind Freunde']
    assert (found.column("left_lang").to_pylist(), found.column("right_lang").to_pylist()) == (["en-GB"], ["de-AT"])
    raw = translations.annotate(batch(rows), options=TranslationOptions(normalise_punctuation=False), lid=lid)
    assert raw.column("right_text").to_pylist() == ["\u201eTom und Jerry\u201c sind Freunde"]


def made(
    rows: list[Pair], lid: LanguageIdentifier, left: str = "en", right: str = "de", seed: int = 1
) -> pa.RecordBatch:
    found = translations.annotate(batch(rows, left, right), options=TranslationOptions(), lid=lid)
    return translations.to_pairs(found, source="wmt", seed=seed)


def test_pairs_do_not_depend_on_the_direction_of_the_source(lid: LanguageIdentifier) -> None:
    rows: list[Pair] = [(f"Sentence number {n} is here.", f"Satz Nummer {n} ist hier.") for n in range(60)]
    there = made(rows, lid)
    back = made([(b, a) for a, b in rows], lid, "de", "en")
    assert there.schema.equals(PAIR_SCHEMA)
    for name in ("key", "left_text", "right_text", "left_lang", "right_lang", "scores"):
        assert there.column(name).equals(back.column(name)), name
    langs = there.column("left_lang").to_pylist()
    assert 12 < langs.count("en") < 48, "which side is left is drawn"
    assert made(rows, lid, seed=2).column("left_lang").to_pylist() != langs
    row = there.to_pylist()[0]
    folded = sorted("".join(str(side).lower().split())[:-1] for side in rows[0])
    assert row["key"] == keys.content_key("translations", *folded)
    scores = json.loads(row["scores"])
    assert scores["left_chars"] == len(row["left_text"])
    assert scores["left_found_lang"] == row["left_lang"]
    twice = pa.concat_batches([there, back])
    assert dedupe.drop_duplicates(twice, 1)[1] == 60


def test_results_do_not_depend_on_the_batches(lid: LanguageIdentifier) -> None:
    rows: list[Pair] = [
        (LONG_EN, "Der alte Hafen war still."),
        ("", None),
        ("12 cats", "13 Katzen"),
        ("„Oh“", "`Ah'"),
        ("a" * 30_000, "b"),
    ]
    together = translations.annotate(batch(rows), options=TranslationOptions(), lid=lid)
    parts = [translations.annotate(batch(rows).slice(at, 2), options=TranslationOptions(), lid=lid) for at in (0, 2, 4)]
    assert pa.Table.from_batches(parts).combine_chunks().equals(pa.Table.from_batches([together]))
    assert translations.annotate(batch([]), options=TranslationOptions(), lid=lid).schema.equals(together.schema)


def test_hostile_texts(lid: LanguageIdentifier) -> None:
    rows: list[Pair] = [
        ("a" * 10_000_000, "b"),
        ('"' * 1_000_000, "."),
        ("(" * 500_000, ")" * 500_000),
        ("\x00\x01", "\u202e"),
        ("1" * 100_000, "2" * 100_000),
    ]
    assert why(rows, lid) == ["too_long", "too_long", "too_long", "empty", "too_long"]


@pytest.mark.parametrize(
    "options", [{"max_length_ratio": 0.5}, {"min_letter_share": -1}, {"order": ("nothing",)}, {"extra": 1}]
)
def test_impossible_options_are_errors(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        TranslationOptions(**options)


@pytest.mark.parametrize(
    "name", ["de-en.A", "zh-en.A", "ja-en.A", "ru-en.A", "cs-en.B", "uk-en.A", "fr-de.A", "en-zh.A", "en-ja.A"]
)
def test_human_translations_stay(name: str, shared: Path, lid: LanguageIdentifier) -> None:
    """At most 3 in 100 of WMT22's references are dropped, by all rules together."""
    pair, ref = name.split(".")
    source, target = pair.split("-")
    folder = shared / "wmt" / "wmt22"
    left = (folder / f"generaltest2022.{pair}.src.{source}").read_text(encoding="utf-8").split("\n")[:-1]
    right = (folder / f"generaltest2022.{pair}.ref.{ref}.{target}").read_text(encoding="utf-8").split("\n")[:-1]
    found = why(list(zip(left, right, strict=True)), lid, source, target)
    assert found.count(None) / len(found) > 0.97, reasons.count(pa.array(found))


def test_hallucinated_translations_go_and_good_ones_stay(shared: Path, lid: LanguageIdentifier) -> None:
    with tarfile.open(shared / "wmt" / "mlqe-pe" / "ro-en-train.tar.gz") as archive:
        name = next(member for member in archive.getnames() if member.endswith(".tsv"))
        table = archive.extractfile(name)
        assert table is not None
        rows = list(csv.DictReader(table.read().decode().splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
    found = why([(row["original"], row["translation"]) for row in rows], lid, "ro", "en")
    good = [reason for row, reason in zip(rows, found, strict=True) if float(row["mean"]) >= 70]
    bad = [reason for row, reason in zip(rows, found, strict=True) if float(row["mean"]) < 15]
    assert good.count(None) / len(good) > 0.99
    assert bad.count(None) / len(bad) < 0.92, "what can be seen without a model"
