"""Every rule of alt-text on both sides of its threshold, on texts as the web has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from pairs import alt_text, keys, reasons
from pairs.alt_text import AltTextOptions
from pairs.language import LanguageIdentifier
from pairs.schema import IMAGE_REF, PAIR_SCHEMA

IMAGE = {"part": "blobs", "offset": 0, "length": 9, "format": "jpg", "width": 640, "height": 480, "sha256": "ab" * 32,
         "phash": 77}  # fmt: skip


def batch(
    texts: list[str | None], images: list[dict[str, Any] | None] | None = None, hint: str | None = None
) -> pa.RecordBatch:
    n = len(texts)
    return pa.RecordBatch.from_pydict(
        {
            "origin": pa.array([f"f#{number}" for number in range(n)], pa.string()),
            "url": pa.array([f"https://example.org/{number}" for number in range(n)], pa.string()),
            "text": pa.array(texts, pa.string()),
            "lang_hint": pa.array([hint] * n, pa.string()),
            "image": pa.array(images or [None] * n, IMAGE_REF),
        }
    )


def why(texts: list[str | None], lid: LanguageIdentifier, **options: Any) -> list[str | None]:
    return alt_text.select(alt_text.annotate(batch(texts), lid=lid), AltTextOptions(**options)).to_pylist()  # type: ignore[no-any-return]


DROPPED = {
    "empty": ["", None, "   ", "\u200b\ufeff", "<br/>"],
    "mojibake": ["M\ufffdscara Monster High", "K\ufffdchenblogs", "Hosting f\ufffdr Profit"],
    "markup": [
        "{\\displaystyle p_{ij}}",
        "x_{j}",
        "\\mathbf {y} _{i}",
        "a [url=x]link[/url] here",
        "see [[File:Cat.jpg|thumb]] here",
        "\\mathbf {x} _{1},\\dots",
        "this.css { color: red; }",
    ],
    "url": [
        "https://example.org/a.html",
        "Quiche recipe from www.example.org",
        "hitachi-solutions.jp",
        "Druckcheck.de",
        "SWIM.DE",
        "Look: http://t.co/TW2ZjYSwIM",
    ],
    "email": ["info@youhadmeatgardening.com'", "Write to Jane.Doe@mail.example.co.uk today"],
    "template": [
        "%name Seaview Pool Villa",
        "3 Bedroom Apartment in Sadaf 5-photo @index",
        "Logo <%=SITE_NAME%>",
        "{{post.title}}",
        "undefined",
        "Photo of ${product.name}",
        "[object Object]",
        "Lorem ipsum dolor sit amet",
    ],
    "file_name": [
        "IMG_8535.JPG",
        "DSC00123",
        "55500006",
        "shinseki.JPG",
        "Artikel Brenner.jpg",
        "crawfish.JPG",
        "Name: DSC_0294.jpg",
        "image (3)",
        "P1000123",
        "foto-12",
        "86180247-2476706342591530-6717705154503639040-n.jpg",
        "Palo Alto Adult School@2x".replace(" ", ""),
        "20190401_123456",
        "фото 7",
        "IMG-20200101-WA0001",
        "M360",
        "5f4dcc3b5aa765d61d8327deb882cf99",
    ],
    "slug": [
        "2go-travel-sale-ticket-valentines-day-promo",
        "Crop_oktoberfest_old_couple_in_tracht",
        "Happy,Young,Woman,In,Earphones",
        "Elegant+Princess+Damask+Party",
        "my-sisters-prayer",
        "Dalamatia%20City",
        "белая-кошка-на-траве",
        "ภาพ-แมว-บน-โต๊ะ-ไม้",
    ],
    "boilerplate": [
        "Logo",
        "avatar",
        "loading",
        "Twitter",
        "Facebook-Foto",
        "Startseite",
        "Neuer Inhalt (5)",
        "Bild-Dokument für das Frontend",
        "Bild-Dokument fu\u0308r das Frontend",
        "Click here to enlarge image and see more",
        "4.5 out of 5 stars",
        "Share on Facebook",
        "Главная",
        "图片",
        "ロゴ",
        "صورة",
        "image 2 of 7",
        "Avatar von Max",
        "Artikel versenden",
        "CAPTCHA-Bild zum Spam-Schutz",
        "SPOX Fallback Ads, Eigenwerbung",
        "Post video",
        "[Предупреждение]",
        "Note",
        "次へ",
        "下一页",
        "След.",
        "이전",
        "بعدی",
        "Előre",
        "Επόμενο",
        "Föregående",
        "前へ",
    ],
    "few_letters": [":-)", "✓", "--- 12 ---", "★★★★★", "£ 5 - £ 9 ea"],
    "many_digits": ["ab 12345", "48x48", "19 (7), 930-933 p"],
    "long_run": ["Wow, what a great day!!!!!!!!!!!", "Shootout At Khandesh............ video"],
    "repetition": ["top yellow top yellow top yellow top", "dog dog dog dog cat", "便宜手机便宜手机便宜手机便宜手机"],
    "keywords": [
        "sunset #beach #sea #sun #love #travel",
        "old style, accordion, shining, fancy, performer, musician, man, elderly, music, red",
    ],
    "mixed_script": ["Mосkва в снегу зимой"],
    "too_short": ["vw", "EU", "x", "犬"],
    "too_long": ["word " * 300, "x" * 11_000],
}

KEPT = [
    "早上好,今天天气不错,我们去公园,看花",
    "「python-fu-palette-offset」ダイアログ",
    "Splatterhouse",
    "Red currants",
    "White Camargue Horse, Mare with Brown Foal, Camargue, France, April 2009",
    "a b c d",
    "Baden-Württemberg",
    "Rhein-Main-Gebiet",
    "T-Shirt",
    "Wells Fargo Building by Mark Jackson",
    "AC/DC live in 1979",
    "R&B singer at night",
    "I <3 you all, a < b",
    "<PERSON> sits on a bench",
    "Logo of the city of Berlin above a door",
    "Apollo 11",
    "Boeing 747-400 at Heathrow",
    "100% cotton shirt",
    "photo of 3 cats",
    "Avatar movie poster in a cinema",
    "U21-Trainer Stefan Kuntz gratuliert",
    "¿Qué es esto?",
    "白色的猫",
    "猫在草地上",
    "ねこ",
    "белая кошка",
    "سيارة حمراء",
    "सफ़ेद बिल्ली",
    "แมวสีขาว",
    "하얀 고양이",
    "חתול לבן",
    "Cá vàng",
    "Γάτα στο γρασίδι",
    "SMSки от бабушки",
    "iPhone手机",
    "C&A",
    "Dr. No",
    "Café – Bar",
    "Müller & Söhne GmbH",
    "No. 5",
    "Vitamin B12",
    "Wow!!! Great",
    "New York, New York",
    "Duran Duran",
    "Bild eines alten Hauses",
    "E-Mail-Adresse ändern",
    "Jean-Claude Juncker",
    "@home with the kids",
    "Polizeiruf 110 - Box 15: 1987-1988",
    "10 sen Eropah (0.10 €)",
    "Post office in winter",
    "Getting ready with @houseoftalent",
    "Escape 2 Africa {Hindi-English}",
    "Chicken soup {recipe}",
    "dogs, cats, birds and fish",
]


@pytest.mark.parametrize(("rule", "texts"), DROPPED.items())
def test_junk_is_dropped_by_the_rule_that_names_it(rule: str, texts: list[str | None], lid: LanguageIdentifier) -> None:
    assert dict(zip(texts, why(texts, lid), strict=True)) == dict.fromkeys(texts, rule)


def test_descriptions_are_kept(lid: LanguageIdentifier) -> None:
    assert {text: rule for text, rule in zip(KEPT, why(list(KEPT), lid), strict=True) if rule} == {}


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("&quot;Keep Calm&quot; - Blue Canvas", '"Keep Calm" - Blue Canvas'),
        ("front &amp;amp; back", "front & back"),
        ("AT&T, Q&A", "AT&T, Q&A"),
        ("<a href='http://x.y/z'>Children's Hospital </a>Ribbon Cutting", "Children's Hospital Ribbon Cutting"),
        ("Orchid Jungle<br>Hawaiian Dresses<br>", "Orchid Jungle Hawaiian Dresses"),
        ("never seen (&lt;i&gt;Truong Son&lt;/i&gt;)", "never seen (Truong Son)"),
        ('"Theodore, ""Apple Blossom"" Bowl"', 'Theodore, "Apple Blossom" Bowl'),
        ('"""I am the Reason"" T-Shirt"', '"I am the Reason" T-Shirt'),
        ('"El Pescado" responde', '"El Pescado" responde'),
        ("SprÃ¼hregen", "Sprühregen"),
        ("credit Ã©coute chÃ©rie", "credit écoute chérie"),
        ("itâ€™s", "it’s"),
        ("Ð¡Ð¾Ð±Ð°ÐºÐ° Ð² Ð¿Ð°Ñ€ÐºÐµ", "Собака в парке"),
        ("Ein  Hund\u00a0\n im\tGarten ", "Ein Hund im Garten"),
        ("fu\u0308r", "für"),
        ("a\u200bb\ufeff\x07c\ue000", "abc"),
        ("👩\u200d💻 می\u200cخواهم", "👩\u200d💻 می\u200cخواهم"),
        ("<PERSON> and 1 < 2 > 0", "<PERSON> and 1 < 2 > 0"),
        ("Made 2 Praise <a href='http://cut", "Made 2 Praise"),
        ("[:de]Haus am See[:]", "Haus am See"),
        ("tamale pie with serving spoon.jpg", "tamale pie with serving spoon"),
        ("Красный дом у реки.JPEG", "Красный дом у реки"),
        ("lake_erie charter trip.jpg", "lake_erie charter trip.jpg"),
        ("crawfish.JPG", "crawfish.JPG"),
        ("136 best pins u003c3 images", "136 best pins <3 images"),
        ("Salt \\u0026 Pepper", "Salt & Pepper"),
        ("menu0026co", "menu0026co"),
        (None, ""),
    ],
)
def test_what_can_be_repaired_is(raw: str | None, clean: str, lid: LanguageIdentifier) -> None:
    found = alt_text.annotate(batch([raw]), lid=lid)
    assert found.column("text").to_pylist() == [clean]
    assert found.column("raw_text").to_pylist() == [raw or ""]
    assert found.column("is_repaired").to_pylist() == [(raw or "").strip() != clean]


@pytest.mark.parametrize(
    ("options", "below", "above", "rule"),
    [
        ({"min_weight": 6}, "Hund!", "Hunde!", "too_short"),
        ({"min_weight": 6}, "白猫", "小白猫", "too_short"),
        ({"min_weight": 4}, "별", "고양이", "too_short"),
        ({"min_words": 3}, "two words", "now three words", "too_short"),
        ({"max_words": 3}, "one two three four", "one two three", "too_long"),
        ({"max_chars": 10}, "elf Zeichen", "zehn Zeich", "too_long"),
        ({"max_digit_share": 0.2}, "Year 1999 ends", "The year 1999 ends here for all", "many_digits"),
        ({"min_letter_share": 0.9}, "a - b - c, d", "Letters alone", "few_letters"),
        ({"max_repetition": 0.3}, "a b a b c", "a b c d a", "repetition"),
        ({"max_repetition": 0.2}, "a b a b c", "a b c d a", "repetition"),
        ({"min_letter_share": 0.8}, "abc12", "abcd1", "few_letters"),
        ({"min_chars": 6}, "Hunde", "Hunde!", "too_short"),
        ({"min_chars": 3}, "白猫", "小白猫", "too_short"),
        ({"min_words": 3, "word_counter": "whitespace"}, "two-part word", "now three words", "too_short"),
        ({"min_words": 3, "word_counter": "unigrams"}, "don't - stop", "two-part word", "too_short"),
        ({"min_words": 3, "word_counter": "unigrams"}, "白猫", "小白猫", "too_short"),
        ({"max_words": 2, "word_counter": "whitespace"}, "one - two", "one-two three-four", "too_long"),
        ({"max_digit_share": 0.5, "digits_of": "all", "min_letter_share": 0}, "12345 ab", "1234 a b", "many_digits"),
        ({"camera_title": True, "order": ("camera_title",)}, "DSC of a cat", "A DSC of a cat", "camera_title"),
        ({"camera_title": True, "order": ("camera_title",)}, "Image", "Image of a cat", "camera_title"),
        ({"camera_title": True, "order": ("camera_title",)}, "Picture 7", "Big Picture", "camera_title"),
        ({"max_run": 3}, "Aaaah: zzzz sleeping", "Aaah: zzz sleeping", "long_run"),
        ({"max_hashtags": 1}, "#one #two three", "#one two three", "keywords"),
    ],
)
def test_thresholds(options: dict[str, Any], below: str, above: str, rule: str, lid: LanguageIdentifier) -> None:
    assert why([below, above], lid, **options) == [rule, None]


def test_every_rule_can_be_switched_off_and_the_order_names_the_reason(lid: LanguageIdentifier) -> None:
    junk = [text for texts in DROPPED.values() for text in texts if text and len(text) < 10_000]
    assert set(why(junk, lid, order=())) == {None}
    both = "http://example.org/IMG_1234.jpg"
    assert why([both], lid) == ["url"]
    assert why([both], lid, order=("file_name", "url")) == ["file_name"]
    assert why([both], lid, url=False) == ["file_name"]


def test_identification_alone_never_drops_a_short_or_doubtful_text(lid: LanguageIdentifier) -> None:
    texts = [
        "Ein kleiner Hund läuft über die grüne Wiese.",
        "A small dog runs over the green meadow.",
        "Hund",
        "Katze",
        "En liten hund løper over den grønne engen.",
    ]
    assert why(texts, lid, languages=("en",)) == ["language", None, None, None, "language"]
    assert why(texts, lid, languages=("de", "da")) == [None, "language", None, None, None], (
        "Danish and Norwegian are not told apart"
    )


@pytest.mark.parametrize(
    ("image", "rule"),
    [
        ({"width": 64, "height": 64}, None),
        ({"width": 63, "height": 200}, "image_too_small"),
        ({"width": 400, "height": 100}, None),
        ({"width": 401, "height": 100}, "image_aspect"),
        ({"width": 100, "height": 401}, "image_aspect"),
        (None, None),
    ],
)
def test_image_rules(image: dict[str, int] | None, rule: str | None, lid: LanguageIdentifier) -> None:
    found = alt_text.annotate(batch(["A dog in a garden"], [{**IMAGE, **image} if image else None]), lid=lid)
    assert alt_text.select(found, AltTextOptions()).to_pylist() == [rule]


@pytest.mark.parametrize(
    ("options", "image", "rule"),
    [
        ({"image_min_bytes": 5120}, {"length": 5119}, "few_bytes"),
        ({"image_min_bytes": 5120}, {"length": 5120}, None),
        ({"image_min_pixels": 307_200}, {}, None),
        ({"image_min_pixels": 307_201}, {}, "few_pixels"),
        ({"image_max_aspect": 3}, {"width": 900, "height": 300}, None),
        ({"image_max_aspect": 3, "image_aspect_below": True}, {"width": 900, "height": 300}, "image_aspect"),
        ({"image_max_aspect": 3, "image_aspect_below": True}, {"width": 899, "height": 300}, None),
        ({"image_min_bytes": 5120, "image_aspect_below": True}, None, None),
    ],
)
def test_image_rules_that_presets_need(
    options: dict[str, Any], image: dict[str, int] | None, rule: str | None, lid: LanguageIdentifier
) -> None:
    facts = None if image is None else {**IMAGE, "length": 9000, **image}
    found = alt_text.annotate(batch(["A dog in a garden"], [facts]), lid=lid)
    assert alt_text.select(found, AltTextOptions(**options)).to_pylist() == [rule]


def test_image_formats(lid: LanguageIdentifier) -> None:
    found = alt_text.annotate(batch(["A dog in a garden"] * 2, [IMAGE, {**IMAGE, "format": "webp"}]), lid=lid)
    assert alt_text.select(found, AltTextOptions(image_formats=("jpg",))).to_pylist() == [None, "image_format"]


def test_metadata_without_an_image_column(lid: LanguageIdentifier) -> None:
    found = alt_text.annotate(batch(["A dog in a garden", "Logo"]).drop_columns(["image", "lang_hint"]), lid=lid)
    assert alt_text.select(found, AltTextOptions()).to_pylist() == [None, "boilerplate"]
    table = alt_text.to_table(found, source="web")
    assert table.column("text").to_pylist() == ["A dog in a garden", "Logo"]
    assert json.loads(table.column("scores").to_pylist()[0])["n_words"] == 5


def test_pairs(lid: LanguageIdentifier) -> None:
    found = alt_text.annotate(
        batch(["Un cão &amp; um gato", "A dog in a garden"], [IMAGE, IMAGE], hint="pt_BR"), lid=lid
    )
    pairs = alt_text.to_pairs(found, source="web")
    assert pairs.schema.equals(PAIR_SCHEMA)
    first, second = pairs.to_pylist()
    assert first["key"] == keys.content_key("image_alt", IMAGE["sha256"], "Un cão & um gato")
    assert (first["right_text"], first["right_lang"], first["left_text"], first["image"]) == (
        "Un cão & um gato",
        "pt-BR",
        None,
        IMAGE,
    )
    assert first["key"] != second["key"]
    scores = json.loads(second["scores"])
    assert list(scores) == sorted(scores)
    assert scores["n_chars"] == 17
    with pytest.raises(ValueError, match="needs an image"):
        alt_text.to_pairs(alt_text.annotate(batch(["no image"]), lid=lid), source="web")


def test_a_language_is_written_down_only_when_sure(lid: LanguageIdentifier) -> None:
    found = alt_text.annotate(batch(["Ein kleiner Hund läuft über die grüne Wiese.", "Hund"]), lid=lid)
    assert alt_text.right_lang(found).to_pylist() == ["de", None]


def test_results_do_not_depend_on_the_batches(lid: LanguageIdentifier) -> None:
    texts = [text for texts in DROPPED.values() for text in texts if not text or len(text) < 2000] + KEPT
    together = alt_text.annotate(batch(texts), lid=lid)
    for size in (1, 7):
        parts = [alt_text.annotate(batch(texts).slice(at, size), lid=lid) for at in range(0, len(texts), size)]
        assert pa.Table.from_batches(parts).equals(pa.Table.from_batches([together])), f"batches of {size}"
    assert alt_text.annotate(batch([]), lid=lid).num_rows == 0


def test_hostile_texts_take_no_time(lid: LanguageIdentifier) -> None:
    texts = [
        "a" * 10_000_000,
        "<" * 1_000_000,
        "&" * 1_000_000,
        '"' * 1_000_001,
        "Ã©" * 500_000,
        "\x00" * 100_000,
        "a@" * 500_000,
        "#a " * 300_000,
        "\u0301" * 300_000,
        "<a " * 300_000,
        "&amp;" * 200_000,
        "[[" * 300_000,
    ]
    found = alt_text.annotate(batch(texts), lid=lid)
    assert set(alt_text.select(found, AltTextOptions()).to_pylist()) <= {"too_long"}
    assert found.nbytes < 4_000_000, "a text is cut before anything keeps it"
    assert found.column("n_chars").to_pylist()[0] == 10_000_000


@pytest.mark.parametrize(
    "options",
    [{"min_characters": 3}, {"max_digit_share": 1.5}, {"order": ("urll",)}, {"languages": ()}, {"min_weight": 0}],
)
def test_impossible_options_are_errors(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        AltTextOptions(**options)


def test_real_web_rows(shared: Path, lid: LanguageIdentifier) -> None:
    """Nine in ten raw LAION rows are kept; of real pages' alts, those that say nothing go."""
    laion = pq.read_table(shared / "alttext" / "img2dataset_laion_test_10000.parquet").column("TEXT").to_pylist()
    found = alt_text.annotate(batch(laion), lid=lid)
    masks = alt_text.fails(found, AltTextOptions())
    why_not = reasons.first_failure(masks, len(laion))
    assert 0.94 < why_not.null_count / len(laion) < 0.98
    assert all(
        reasons.alone(masks)[rule] > 0
        for rule in ("url", "file_name", "slug", "keywords", "mojibake", "template", "boilerplate")
    )
    text = found.column("text").filter(why_not.is_null()).to_pylist()
    assert not [t for t in text if "\ufffd" in t or "&quot;" in t or "</" in t]


def test_good_captions_are_kept(shared: Path, lid: LanguageIdentifier) -> None:
    """Captions written by people in 77 locales: hardly any may go."""
    rows = pq.read_table(shared / "images" / "captioned_open.parquet", columns=["texts"]).column("texts").to_pylist()
    texts = [entry["text"] for row in rows for entry in row]
    why_not = alt_text.select(alt_text.annotate(batch(texts), lid=lid), AltTextOptions())
    assert why_not.null_count / len(texts) > 0.985, reasons.count(why_not)
