"""Captions of scenes in seven languages, by tables: gender, number and case are looked up, never guessed.

`caption(scene, lang, rng)` picks one of several phrasings. All captions of one scene say the same in every language.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from scenes import Scene, Thing

Noun = Callable[..., str]

# ------------------------------------------------------------------------------------------------------------ English

_EN_PLURAL = {"cross": "crosses", "rhombus": "rhombuses"}
_EN_COUNT = {2: "two", 3: "three", 4: "four", 5: "five"}


def _en(thing: Thing, count: int = 1) -> str:
    if count > 1:
        return f"{_EN_COUNT[count]} {thing.colour} {_EN_PLURAL.get(thing.shape, thing.shape + 's')}"
    words = f"{thing.size} {thing.colour}" if thing.size else thing.colour
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words} {thing.shape}"


def _english(scene: Scene, rng: random.Random) -> str:
    a, b, c = ([_en(t, scene.count) for t in scene.things] + ["", ""])[:3]
    article = "an" if scene.background[0] in "aeiou" else "a"
    ground = f"{article} {scene.background} background"
    forms = {
        "single": ["{a} on {g}", "{g} with {a} on it", "there is {a} on {g}", "a picture of {a} on {g}"],
        "count": ["{a} on {g}", "{g} with {a} on it", "there are {a} on {g}", "a picture of {a} on {g}"],
        "beside": [
            "{a} to the left of {b} on {g}",
            "{b} to the right of {a} on {g}",
            "{a} left of {b}, on {g}",
            "a drawing of {a} beside {b}, which is on the right, on {g}",
            "on {g}, {a} stands to the left of {b}",
        ],
        "above": [
            "{a} above {b} on {g}",
            "{b} below {a} on {g}",
            "{b} under {a}, on {g}",
            "a drawing of {a} over {b} on {g}",
            "on {g}, {a} floats above {b}",
        ],
        "inside": [
            "{a} inside {b} on {g}",
            "{b} with {a} in it, on {g}",
            "{b} around {a} on {g}",
            "on {g}, {a} lies inside {b}",
        ],
        "between": [
            "{a} between {b} and {c} on {g}",
            "on {g}, {a} stands between {b} and {c}",
            "{b}, {a} and {c} in a row, from left to right, on {g}",
            "a drawing of {a} between {b} and {c}, on {g}",
        ],
    }[scene.kind]
    return _sentence(rng.choice(forms).format(a=a, b=b, c=c, g=ground), rng)


# ------------------------------------------------------------------------------------------------------------- German

_DE_COLOUR = {
    "red": "rot", "blue": "blau", "green": "grün", "yellow": "gelb", "black": "schwarz", "white": "weiß",
    "grey": "grau", "purple": "violett", "brown": "braun", "orange": "orangefarben",
}  # fmt: skip
_DE_NOUN = {  # gender, nominative, dative singular, plural
    "circle": ("m", "Kreis", "Kreis", "Kreise"),
    "square": ("n", "Quadrat", "Quadrat", "Quadrate"),
    "triangle": ("n", "Dreieck", "Dreieck", "Dreiecke"),
    "star": ("m", "Stern", "Stern", "Sterne"),
    "heart": ("n", "Herz", "Herzen", "Herzen"),
    "cross": ("n", "Kreuz", "Kreuz", "Kreuze"),
    "ring": ("m", "Ring", "Ring", "Ringe"),
    "hexagon": ("n", "Sechseck", "Sechseck", "Sechsecke"),
    "rhombus": ("f", "Raute", "Raute", "Rauten"),
}
_DE_SIZE = {"small": "klein", "big": "groß"}
_DE_COUNT = {2: "zwei", 3: "drei", 4: "vier", 5: "fünf"}
_DE_END = {"nom": {"m": "er", "n": "es", "f": "e"}, "dat": {"m": "en", "n": "en", "f": "en"}}  # after ein, einem, einer
_DE_ARTICLE = {"nom": {"m": "ein", "n": "ein", "f": "eine"}, "dat": {"m": "einem", "n": "einem", "f": "einer"}}


def _de(thing: Thing, case: str = "nom", count: int = 1) -> str:
    gender, nominative, dative, plural = _DE_NOUN[thing.shape]
    if count > 1:
        return f"{_DE_COUNT[count]} {_DE_COLOUR[thing.colour]}e {plural}"
    end = _DE_END[case][gender]
    size = f"{_DE_SIZE[thing.size]}{end} " if thing.size else ""
    noun = nominative if case == "nom" else dative
    return f"{_DE_ARTICLE[case][gender]} {size}{_DE_COLOUR[thing.colour]}{end} {noun}"


def _german(scene: Scene, rng: random.Random) -> str:
    a, b, c = ([_de(t, "nom", scene.count) for t in scene.things] + ["", ""])[:3]
    ad, bd, cd = ([_de(t, "dat") for t in scene.things] + ["", ""])[:3]
    ground = f"{_DE_COLOUR[scene.background]}em Hintergrund"
    forms = {
        "single": ["{a} auf {g}", "auf {g} ist {a} zu sehen"],
        "count": ["{a} auf {g}", "auf {g} sind {a} zu sehen"],
        "beside": ["{a} links von {bd} auf {g}", "{b} rechts von {ad} auf {g}", "auf {g} steht {a} links von {bd}"],
        "above": ["{a} über {bd} auf {g}", "{b} unter {ad} auf {g}", "auf {g} schwebt {a} über {bd}"],
        "inside": ["{a} in {bd} auf {g}", "auf {g} liegt {a} in {bd}"],
        "between": ["{a} zwischen {bd} und {cd} auf {g}", "auf {g} steht {a} zwischen {bd} und {cd}"],
    }[scene.kind]
    return _sentence(rng.choice(forms).format(a=a, b=b, c=c, ad=ad, bd=bd, cd=cd, g=ground), rng)


# ------------------------------------------------------------------------------------------------------------- French

_FR_COLOUR = {  # masculine, feminine; the plural adds s unless it ends in s; None: never changes
    "red": ("rouge", "rouge"), "blue": ("bleu", "bleue"), "green": ("vert", "verte"), "yellow": ("jaune", "jaune"),
    "black": ("noir", "noire"), "white": ("blanc", "blanche"), "grey": ("gris", "grise"),
    "purple": ("violet", "violette"), "brown": ("marron", None), "orange": ("orange", None),
}  # fmt: skip
_FR_NOUN = {
    "circle": ("m", "cercle", "cercles"), "square": ("m", "carré", "carrés"),
    "triangle": ("m", "triangle", "triangles"), "star": ("f", "étoile", "étoiles"),
    "heart": ("m", "cœur", "cœurs"), "cross": ("f", "croix", "croix"), "ring": ("m", "anneau", "anneaux"),
    "hexagon": ("m", "hexagone", "hexagones"), "rhombus": ("m", "losange", "losanges"),
}  # fmt: skip
_FR_SIZE = {"small": {"m": "petit", "f": "petite"}, "big": {"m": "grand", "f": "grande"}}
_FR_COUNT = {2: "deux", 3: "trois", 4: "quatre", 5: "cinq"}


def _fr_colour(colour: str, gender: str, plural: bool) -> str:
    masculine, feminine = _FR_COLOUR[colour]
    if feminine is None:
        return masculine
    word = masculine if gender == "m" else feminine
    return word + "s" if plural and not word.endswith("s") else word


def _fr(thing: Thing, count: int = 1) -> str:
    gender, singular, plural = _FR_NOUN[thing.shape]
    if count > 1:
        return f"{_FR_COUNT[count]} {plural} {_fr_colour(thing.colour, gender, True)}"
    size = f"{_FR_SIZE[thing.size][gender]} " if thing.size else ""
    return f"{'un' if gender == 'm' else 'une'} {size}{singular} {_fr_colour(thing.colour, gender, False)}"


def _french(scene: Scene, rng: random.Random) -> str:
    a, b, c = ([_fr(t, scene.count) for t in scene.things] + ["", ""])[:3]
    ground = f"sur fond {_fr_colour(scene.background, 'm', False)}"
    forms = {
        "single": ["{a} {g}", "on voit {a} {g}"],
        "count": ["{a} {g}", "on voit {a} {g}"],
        "beside": ["{a} à gauche d'{b} {g}", "{b} à droite d'{a} {g}", "on voit {a} à gauche d'{b}, {g}"],
        "above": ["{a} au-dessus d'{b} {g}", "{b} au-dessous d'{a} {g}", "on voit {a} au-dessus d'{b}, {g}"],
        "inside": ["{a} à l'intérieur d'{b} {g}", "{a} dans {b}, {g}"],
        "between": ["{a} entre {b} et {c} {g}", "on voit {a} entre {b} et {c}, {g}"],
    }[scene.kind]
    return _sentence(rng.choice(forms).format(a=a, b=b, c=c, g=ground), rng)


# ------------------------------------------------------------------------------------------------------------ Spanish

_ES_COLOUR = {  # masculine, feminine, masculine plural, feminine plural
    "red": ("rojo", "roja", "rojos", "rojas"), "blue": ("azul", "azul", "azules", "azules"),
    "green": ("verde", "verde", "verdes", "verdes"), "yellow": ("amarillo", "amarilla", "amarillos", "amarillas"),
    "black": ("negro", "negra", "negros", "negras"), "white": ("blanco", "blanca", "blancos", "blancas"),
    "grey": ("gris", "gris", "grises", "grises"), "purple": ("morado", "morada", "morados", "moradas"),
    "brown": ("marrón", "marrón", "marrones", "marrones"), "orange": ("naranja", "naranja", "naranja", "naranja"),
}  # fmt: skip
_ES_NOUN = {
    "circle": ("m", "círculo", "círculos"), "square": ("m", "cuadrado", "cuadrados"),
    "triangle": ("m", "triángulo", "triángulos"), "star": ("f", "estrella", "estrellas"),
    "heart": ("m", "corazón", "corazones"), "cross": ("f", "cruz", "cruces"), "ring": ("m", "anillo", "anillos"),
    "hexagon": ("m", "hexágono", "hexágonos"), "rhombus": ("m", "rombo", "rombos"),
}  # fmt: skip
_ES_SIZE = {"small": {"m": "pequeño", "f": "pequeña"}, "big": {"m": "gran", "f": "gran"}}
_ES_COUNT = {2: "dos", 3: "tres", 4: "cuatro", 5: "cinco"}


def _es(thing: Thing, count: int = 1) -> str:
    gender, singular, plural = _ES_NOUN[thing.shape]
    forms = _ES_COLOUR[thing.colour]
    if count > 1:
        return f"{_ES_COUNT[count]} {plural} {forms[2 if gender == 'm' else 3]}"
    size = f"{_ES_SIZE[thing.size][gender]} " if thing.size else ""
    return f"{'un' if gender == 'm' else 'una'} {size}{singular} {forms[0 if gender == 'm' else 1]}"


def _spanish(scene: Scene, rng: random.Random) -> str:
    a, b, c = ([_es(t, scene.count) for t in scene.things] + ["", ""])[:3]
    ground = f"sobre fondo {_ES_COLOUR[scene.background][0]}"
    forms = {
        "single": ["{a} {g}", "se ve {a} {g}"],
        "count": ["{a} {g}", "se ven {a} {g}"],
        "beside": ["{a} a la izquierda de {b} {g}", "{b} a la derecha de {a} {g}", "{g}, {a} a la izquierda de {b}"],
        "above": ["{a} encima de {b} {g}", "{b} debajo de {a} {g}", "{g}, {a} encima de {b}"],
        "inside": ["{a} dentro de {b} {g}", "{g}, {a} dentro de {b}"],
        "between": ["{a} entre {b} y {c} {g}", "{g}, {a} entre {b} y {c}"],
    }[scene.kind]
    return _sentence(rng.choice(forms).format(a=a, b=b, c=c, g=ground), rng)


# ------------------------------------------------------------------------------------------------------------ Russian

_RU_HARD = {
    "nom": {"m": "ый", "f": "ая", "n": "ое"}, "gen": {"m": "ого", "f": "ой", "n": "ого"},
    "ins": {"m": "ым", "f": "ой", "n": "ым"}, "prep": {"m": "ом"}, "pl": {"nom": "ые", "gen": "ых"},
}  # fmt: skip
_RU_SOFT = {
    "nom": {"m": "ий", "f": "яя", "n": "ее"}, "gen": {"m": "его", "f": "ей", "n": "его"},
    "ins": {"m": "им", "f": "ей", "n": "им"}, "prep": {"m": "ем"}, "pl": {"nom": "ие", "gen": "их"},
}  # fmt: skip
_RU_COLOUR = {
    "red": ("красн", _RU_HARD), "blue": ("син", _RU_SOFT), "green": ("зелён", _RU_HARD), "yellow": ("жёлт", _RU_HARD),
    "black": ("чёрн", _RU_HARD), "white": ("бел", _RU_HARD), "grey": ("сер", _RU_HARD),
    "purple": ("фиолетов", _RU_HARD), "brown": ("коричнев", _RU_HARD), "orange": ("оранжев", _RU_HARD),
}  # fmt: skip
_RU_SIZE = {
    "small": ("маленьк", {"nom": {"m": "ий", "f": "ая", "n": "ое"}, "gen": {"m": "ого", "f": "ой", "n": "ого"},
                         "ins": {"m": "им", "f": "ой", "n": "им"}}),
    "big": ("больш", {"nom": {"m": "ой", "f": "ая", "n": "ое"}, "gen": {"m": "ого", "f": "ой", "n": "ого"},
                     "ins": {"m": "им", "f": "ой", "n": "им"}}),
}  # fmt: skip
_RU_NOUN = {  # gender, nominative, genitive, instrumental, genitive plural
    "circle": ("m", "круг", "круга", "кругом", "кругов"),
    "square": ("m", "квадрат", "квадрата", "квадратом", "квадратов"),
    "triangle": ("m", "треугольник", "треугольника", "треугольником", "треугольников"),
    "star": ("f", "звезда", "звезды", "звездой", "звёзд"),
    "heart": ("n", "сердце", "сердца", "сердцем", "сердец"),
    "cross": ("m", "крест", "креста", "крестом", "крестов"),
    "ring": ("n", "кольцо", "кольца", "кольцом", "колец"),
    "hexagon": ("m", "шестиугольник", "шестиугольника", "шестиугольником", "шестиугольников"),
    "rhombus": ("m", "ромб", "ромба", "ромбом", "ромбов"),
}
_RU_COUNT = {2: {"m": "два", "n": "два", "f": "две"}, 3: "три", 4: "четыре", 5: "пять"}


def _ru(thing: Thing, case: str = "nom", count: int = 1) -> str:
    gender, nominative, genitive, instrumental, genitive_plural = _RU_NOUN[thing.shape]
    stem, ends = _RU_COLOUR[thing.colour]
    if count > 1:  # 2 to 4: noun in the genitive singular; the adjective is nominative plural with feminines only
        number = _RU_COUNT[count]
        word = number[gender] if isinstance(number, dict) else number
        few = count < 5
        adjective = stem + ends["pl"]["nom" if few and gender == "f" else "gen"]
        return f"{word} {adjective} {genitive if few else genitive_plural}"
    size = ""
    if thing.size:
        root, size_ends = _RU_SIZE[thing.size]
        size = f"{root}{size_ends[case][gender]} "
    noun = {"nom": nominative, "gen": genitive, "ins": instrumental}[case]
    return f"{size}{stem}{ends[case][gender]} {noun}"


def _russian(scene: Scene, rng: random.Random) -> str:
    a, b = ([_ru(t, "nom", scene.count) for t in scene.things] + [""])[:2]
    ag, bg = ([_ru(t, "gen") for t in scene.things] + [""])[:2]
    ai, bi, ci = ([_ru(t, "ins") for t in scene.things] + ["", ""])[:3]
    stem, ends = _RU_COLOUR[scene.background]
    ground = f"на {stem}{ends['prep']['m']} фоне"
    forms = {
        "single": ["{a} {g}", "{g} {a}"],
        "count": ["{a} {g}", "{g} {a}"],
        "beside": ["{a} слева от {bg} {g}", "{b} справа от {ag} {g}", "{g} {a} слева от {bg}"],
        "above": ["{a} над {bi} {g}", "{b} под {ai} {g}", "{g} {a} над {bi}"],
        "inside": ["{a} внутри {bg} {g}", "{g} {a} внутри {bg}"],
        "between": ["{a} между {bi} и {ci} {g}", "{g} {a} между {bi} и {ci}"],
    }[scene.kind]
    return _sentence(rng.choice(forms).format(a=a, b=b, ag=ag, bg=bg, ai=ai, bi=bi, ci=ci, g=ground), rng)


# ------------------------------------------------------------------------------------------------------------ Chinese

_ZH_COLOUR = {
    "red": "红色", "blue": "蓝色", "green": "绿色", "yellow": "黄色", "black": "黑色", "white": "白色", "grey": "灰色",
    "purple": "紫色", "brown": "棕色", "orange": "橙色",
}  # fmt: skip
_ZH_NOUN = {
    "circle": "圆形", "square": "正方形", "triangle": "三角形", "star": "星形", "heart": "心形", "cross": "十字形",
    "ring": "圆环", "hexagon": "六边形", "rhombus": "菱形",
}  # fmt: skip
_ZH_COUNT = {1: "一", 2: "两", 3: "三", 4: "四", 5: "五"}


def _zh(thing: Thing, count: int | None = 1) -> str:
    size = {"small": "的小", "big": "的大", None: ""}[thing.size]
    number = f"{_ZH_COUNT[count]}个" if count else ""
    return f"{number}{_ZH_COLOUR[thing.colour]}{size}{_ZH_NOUN[thing.shape]}"


def _chinese(scene: Scene, rng: random.Random) -> str:
    a, b = ([_zh(t, scene.count) for t in scene.things] + [""])[:2]
    a0, b0, c0 = ([_zh(t, None) for t in scene.things] + ["", ""])[:3]
    ground = f"{_ZH_COLOUR[scene.background]}背景"
    forms = {
        "single": ["{g}上有{a}", "{g}上的{a}"],
        "count": ["{g}上有{a}", "{g}上的{a}"],
        "beside": ["{g}上，{b0}的左边有{a}", "{g}上，{a}在{b0}的左边", "{g}上，{a0}的右边有{b}"],
        "above": ["{g}上，{b0}的上方有{a}", "{g}上，{a}在{b0}的上方", "{g}上，{a0}的下方有{b}"],
        "inside": ["{g}上，{b0}里面有{a}", "{g}上，{a}在{b0}里面"],
        "between": ["{g}上，{b0}和{c0}之间有{a}", "{g}上，{a}在{b0}和{c0}之间"],
    }[scene.kind]
    text = rng.choice(forms).format(a=a, b=b, a0=a0, b0=b0, c0=c0, g=ground)
    return text + ("。" if "有" in text or "在" in text else "")


# ----------------------------------------------------------------------------------------------------------- Japanese

_JA_COLOUR = {
    "red": "赤い", "blue": "青い", "green": "緑色の", "yellow": "黄色い", "black": "黒い", "white": "白い",
    "grey": "灰色の", "purple": "紫色の", "brown": "茶色い", "orange": "オレンジ色の",
}  # fmt: skip
_JA_NOUN = {
    "circle": "円", "square": "正方形", "triangle": "三角形", "star": "星", "heart": "ハート", "cross": "十字",
    "ring": "リング", "hexagon": "六角形", "rhombus": "ひし形",
}  # fmt: skip
_JA_COUNT = {2: "二つ", 3: "三つ", 4: "四つ", 5: "五つ"}


def _ja(thing: Thing) -> str:
    size = {"small": "小さな", "big": "大きな", None: ""}[thing.size]
    return f"{size}{_JA_COLOUR[thing.colour]}{_JA_NOUN[thing.shape]}"


def _japanese(scene: Scene, rng: random.Random) -> str:
    a, b, c = ([_ja(t) for t in scene.things] + ["", ""])[:3]
    ground = f"{_JA_COLOUR[scene.background]}背景"
    if scene.kind == "count":
        return f"{ground}に{a}が{_JA_COUNT[scene.count]}あります。"
    forms = {
        "single": ["{g}に{a}があります。", "{g}の上の{a}"],
        "beside": ["{g}で、{b}の左に{a}があります。", "{g}で、{a}の右に{b}があります。", "{g}の前で、{b}の左にある{a}"],
        "above": ["{g}で、{b}の上に{a}があります。", "{g}で、{a}の下に{b}があります。", "{g}の前で、{b}の上にある{a}"],
        "inside": ["{g}で、{b}の中に{a}があります。", "{g}の前で、{b}の中にある{a}"],
        "between": ["{g}で、{b}と{c}の間に{a}があります。", "{g}の前で、{b}と{c}の間にある{a}"],
    }[scene.kind]
    return rng.choice(forms).format(a=a, b=b, c=c, g=ground)


# -------------------------------------------------------------------------------------------------------------- common


def _sentence(text: str, rng: random.Random) -> str:
    """Capital first letter and a full stop, or neither: alt-texts come both ways."""
    return f"{text[0].upper()}{text[1:]}." if rng.random() < 0.5 else text


LANGUAGES: Final[dict[str, Callable[[Scene, random.Random], str]]] = {
    "en": _english, "de": _german, "fr": _french, "es": _spanish, "ru": _russian, "zh": _chinese, "ja": _japanese,
}  # fmt: skip
"""BCP 47 code -> function that words a scene."""


def caption(scene: Scene, lang: str, rng: random.Random) -> str:
    """Words a scene in one language.

    Args:
        scene: What the picture shows.
        lang: A key of `LANGUAGES`.
        rng: Chooses the phrasing.

    Raises:
        KeyError: There are no tables for that language.
    """
    return LANGUAGES[lang](scene, rng)
