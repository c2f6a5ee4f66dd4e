"""Keyboard marks of menus: taken out where both sides say that they are such, names left alone."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pairs import mnemonics


def undone(left: str, right: str) -> tuple[str, str]:
    a, b = mnemonics.undo(pa.array(["no mark", left]), pa.array(["keines", right]))
    assert (a[0].as_py(), b[0].as_py()) == ("no mark", "keines")
    return a[1].as_py(), b[1].as_py()


@pytest.mark.parametrize(
    ("left", "right", "wanted"),
    [
        ("_Recalculate", "_Berechnen", ("Recalculate", "Berechnen")),
        ("Print _checks", "Schecks _drucken", ("Print checks", "Schecks drucken")),
        ("E_xit", "_Beenden", ("Exit", "Beenden")),
        ("Open _Account", "ಖಾತೆಯನ್ನು ತೆರೆಯಿರಿ (_A)", ("Open Account", "ಖಾತೆಯನ್ನು ತೆರೆಯಿರಿ")),
        ("S_plit...", "分割(_P)...", ("Split...", "分割...")),
        ("_Value:", "明度 (_V):", ("Value:", "明度:")),
        ("&File", "&Datei", ("File", "Datei")),
        ("Save &As…", "名前を付けて保存（&A）…", ("Save As…", "名前を付けて保存…")),
        ("~Insert Row", "Zeile ~einfügen", ("Insert Row", "Zeile einfügen")),
        ("Open _Read-Only", "افتح للقراءة فقط", ("Open Read-Only", "افتح للقراءة فقط")),
    ],
)
def test_marks_go(left: str, right: str, wanted: tuple[str, str]) -> None:
    assert undone(left, right) == wanted
    assert undone(right, left) == wanted[::-1]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("the symbol _start is missing", "das Symbol _start fehlt"),
        ("AT&T is a company", "AT&T ist eine Firma"),
        ("R&D", "F&E"),
        ("set work_mem higher", "work_mem höher setzen"),
        ("set_name and get_name", "set_name und get_name"),
        ("some ~ sign", "ein Zeichen ~"),
        ("your file_name here", "hier der Datei_name"),
        ("a fi_x of one side", "eine Seite allein"),
        ("_ " * 60 + "_Long", "_ " * 60 + "_Lang"),
    ],
)
def test_names_and_signs_stay(left: str, right: str) -> None:
    assert undone(left, right) == (left, right)
