"""Strings and numbers as the page shows them. Escaping is the template's; here they are made harmless to look at."""

from __future__ import annotations

import re

_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROLS = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"} | {0x7F: "\u2421"}
_CONTROLS |= {code: f"[U+{code:04X}]" for code in range(0x80, 0xA0)}
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def shown(value: object, limit: int = 300) -> str:
    """A text of unknown origin, to be seen as it is.

    Controls show as their symbols, direction overrides and isolates as their numbers (a stray one could break out of
    the element that isolates a text), lone surrogates as U+FFFD.

    Args:
        value: Anything; None gives "".
        limit: Characters kept, or some more where cutting would save nothing; what is cut is said.
    """
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    note = f" … [{len(text) - limit:,} more characters]"
    if len(text) - limit <= len(note):  # what would be said is no shorter than what would be cut
        limit, note = len(text), ""
    head = text[:limit].translate(_CONTROLS)
    head = _SURROGATE.sub("\ufffd", _BIDI.sub(lambda found: f"[U+{ord(found[0]):04X}]", head))
    return head + note


def number(value: float) -> str:
    """1234567 -> 1,234,567; fractions with four significant digits."""
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.4g}"


def share(part: float, whole: float) -> str:
    """A percentage that never rounds something to 0 % or less than all to 100 %."""
    if not whole:
        return "-"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "<0.1 %"
    if 99.9 < percent < 100:
        return ">99.9 %"
    return f"{percent:.1f} %" if percent % 1 else f"{percent:.0f} %"


def size(count: int) -> str:
    """Bytes in a unit that a person reads: 1,234,567 -> 1.2 MB (powers of 1000)."""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{count:,} bytes" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def seconds(value: float) -> str:
    """0.42 -> 0.4 s, 75 -> 1 min 15 s, 7300 -> 2 h 2 min."""
    if value < 60:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
