"""Language, script and tags."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest

from pairs import language
from pairs.language import LanguageIdentifier, bcp47


def test_texts_of_many_languages(lid: LanguageIdentifier) -> None:
    texts = {
        "en": "A small dog is running across the green grass.",
        "de": "Ein kleiner Hund läuft über die grüne Wiese.",
        "ru": "Маленькая собака бежит по зелёной траве.",
        "cs": "Byty se většinou neinzerují moc dlouho dopředu.",
        "ro": "Elveția are o economie stabilă, prosperă și înalt tehnologizată.",
        "zh": "一只小狗在绿色的草地上奔跑。",
        "ja": "小さな犬が緑の芝生を走っています。",
        "ar": "كلب صغير يركض على العشب الأخضر.",
        "hi": "एक छोटा कुत्ता हरी घास पर दौड़ रहा है।",
        "th": "สุนัขตัวเล็กกำลังวิ่งบนสนามหญ้าสีเขียว",
        "ko": "작은 개가 푸른 잔디 위를 달리고 있습니다.",
    }
    found, probability = lid.identify(pa.array(list(texts.values())))
    assert found.to_pylist() == list(texts)
    assert probability.dtype == np.float32
    assert probability.min() > 0.5


def test_odd_texts_are_no_trouble(lid: LanguageIdentifier) -> None:
    found, probability = lid.identify(
        pa.array(["", None, " \n\t", "a\x00b\nc\u2028d", "x" * 10_000_000, "\ud7ff", "🐶"])
    )
    assert found.to_pylist()[:3] == [None, None, None]
    assert probability[:3].tolist() == [0, 0, 0]
    assert all(found.to_pylist()[3:])
    assert ((probability >= 0) & (probability <= 1)).all()


def test_line_breaks_count_as_spaces(lid: LanguageIdentifier) -> None:
    one, p_one = lid.identify(pa.array(["Das ist ein Haus\nund das ist ein Baum"]))
    two, p_two = lid.identify(pa.array(["Das ist ein Haus und das ist ein Baum"]))
    assert (one.to_pylist(), p_one.tolist()) == (two.to_pylist(), p_two.tolist())


def test_japanese_needs_kana(lid: LanguageIdentifier) -> None:
    found, probability = lid.identify(
        pa.array(["文摄视觉美学摄影馆优选品质店 回复", "新作・限定コスメをいち早くゲット!"])
    )
    assert found.to_pylist()[1] == "ja"
    assert found.to_pylist()[0] == "zh" or probability[0] <= 0.5


def test_the_identifier_travels_without_its_model(lid: LanguageIdentifier) -> None:
    lid.identify(pa.array(["warm"]))
    data = pickle.dumps(lid)
    assert len(data) < 1000
    again = pickle.loads(data)  # noqa: S301  our own bytes
    assert again.identify(pa.array(["ein Hund"]))[0].to_pylist() == lid.identify(pa.array(["ein Hund"]))[0].to_pylist()
    assert again.sha256 == lid.sha256
    assert len(lid.sha256) == 64


def test_a_missing_model_is_a_clear_error() -> None:
    with pytest.raises(FileNotFoundError, match=r"no language model at /nowhere/lid\.bin"):
        LanguageIdentifier("/nowhere/lid.bin").identify(pa.array(["a"]))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("pt_BR", "pt-BR"),
        ("de-de", "de-DE"),
        ("ca@valencia", "ca-valencia"),
        ("sr@latin", "sr-Latn"),
        ("zh_TW", "zh-TW"),
        ("zh-hans-cn", "zh-Hans-CN"),
        ("en_GB.UTF-8", "en-GB"),
        ("de_DE@euro", "de-DE"),
        ("es-419", "es-419"),
        ("EN", "en"),
        ("ast", "ast"),
        ("be@tarask", "be-tarask"),
        ("uz@cyrillic", "uz-Cyrl"),
        ("und", None),
        ("", None),
        (None, None),
        ("english", None),
        ("x", None),
        ("../etc", None),
        ("en us", None),
        ("e" * 100, None),
    ],
)
def test_tags(given: str | None, expected: str | None) -> None:
    assert bcp47(given) == expected
    assert bcp47(expected) == expected, "a tag as BCP 47 writes it stays"


def test_confusable_languages_count_as_one() -> None:
    a = pa.array(["nb", "hr", "cs", "en", None, "zh-TW", "de"])
    b = pa.array(["da", "sr@latin", "sk", "de", "en", "yue", "de-AT"])
    assert language.same_language(a, b).to_pylist() == [True, True, True, False, None, True, True]
    assert language.same_language(a, b, ()).to_pylist() == [False, False, False, False, None, False, True]


def test_scripts_of_texts() -> None:
    found = language.script(pa.array(["Hund", "собака iPhone", "犬", "12 !", None]))
    assert found.to_pylist() == ["Latn", "Cyrl", "Hani", None, None]
