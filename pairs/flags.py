"""What can be seen of a text by patterns alone: addresses, file names, slugs, markup, templates, damage.

All are RE2 patterns run by Arrow over whole columns: linear time, whatever the text holds.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pairs import arrow, normalise

_TLD: Final = (
    "com|org|net|edu|gov|info|biz|io|co|tv|me|de|at|ch|fr|es|it|nl|be|pl|cz|sk|ru|ua|by|uk|ie|us|ca|au|nz|jp|cn|kr|tw|hk|in|id|my|sg|th|"
    "vn|br|mx|ar|cl|pe|co|tr|gr|bg|ro|hu|rs|hr|si|se|no|dk|fi|ee|lv|lt|pt|il|ir|za|eu|asia|online|shop|store|site|blog|news|club|xyz|app|dev"
)
URL: Final = r"(?i)\b(?:https?|ftp)\s?:\s?//|\bwww\.[^\s.]"
"""An address with its scheme or its www."""
DOMAIN: Final = rf"(?i)^@?[\pL\pN](?:[\pL\pN.-]*[\pL\pN])?\.(?:{_TLD})(?:/\S*)?$"
"""A text that is a domain name and nothing else."""
EMAIL: Final = r"[\pL\pN._%+-]@[\pL\pN-]+\.[\pL\pN]"

_EXTENSION: Final = (
    "jpe?g|jfif|png|gif|webp|bmp|tiff?|svg|psd|heic|heif|avif|ico|eps|cr2|nef|dng|raw|"
    "mp4|mov|avi|webm|pdf|docx?|xlsx?|pptx?"
)
_CAMERA: Final = (
    "IMGP?|_?DSC[NF0]?|_MG|DCP|PICT|CIMG|GOPR|DJI|SAM|KIF|PXL|MVI|VID|HPIM|FB_IMG|IMAG|PIC|PANO|SCAN|SDC|EOS|LEAD_IMG"
)
_NAMES: Final = (
    "images?|photos?|pictures?|pics?|img|screenshot|screen ?shot|untitled|unnamed|default|"
    "bild|bilder|fotos?|grafik|unbenannt|bildschirmfoto|"
    "imagen|imagem|immagine|obraz|obrazek|zdjecie|zdjęcie|рисунок|изображение|фото|图片|图像|照片|画像|写真|이미지|사진|slide|scan|page|file|"
    "whatsapp image|attachment|clipboard|capture|banner|logo|icon|thumb|thumbnail|avatar|slider|header|bg|background"
)
FILE_NAME: Final = (
    rf"(?i)\.(?:{_EXTENSION})['\")]?$"  # ends as a file does
    rf"|^(?:{_CAMERA})[-_ ]?[0-9]{{3,}}"  # begins as a camera names its files (LiT, appendix E: DSC, IMG, ...)
    r"|^P[0-9]{7}$|^[0-9]{8}[_-][0-9]{4,6}"  # Panasonic, Olympus; phones: 20190401_123456
    rf"|^(?:{_NAMES})\s?[-_#.(]{{0,2}}\s?[0-9]+\)?$"  # image (3), Bild 12, photo-1
    r"|^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # UUID
    r"|^[0-9a-f]{16,}$|^[0-9_-]{10,}_[a-z]$"  # hash; Facebook's 12345_67890_n
    r"|^[^\s]+@[1-4]x$|^[^\s]+[-_][0-9]{2,4}x[0-9]{2,4}$"  # name@2x, name-300x200
)
CODE: Final = r"^[A-Za-z]{0,6}[-_./#]?[0-9][0-9A-Z._/#-]{2,}$|^[A-Z0-9]+[-_./]?[A-Z]*[0-9]{3,}[A-Z0-9._/-]*$"
"""A stock code: one token of capitals and digits."""
CAMERA_TITLE: Final = r"^(?:DSC|IMG|Picture)|^(?i:image)$"
"""Titles that LiT leaves out (appendix E), as printed there."""
_UNSPACED: Final = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
"""Scripts without spaces: a comma, stop or plus between their letters is a sentence's, and joins no words."""
_SPACED: Final = rf"[^\pM\pP\pS\pZ\pC{_UNSPACED}]"  # a letter or digit of any other script
SLUG: Final = (
    r"^[^\s]*[\pL\pN]_+[\pL\pN][^\s]*$"  # a_b
    rf"|^[^\s{_UNSPACED}]*{_SPACED}(?:[-+,.~]{_SPACED}+){{3,}}[^\s{_UNSPACED}]*$"  # a-b-c-d, A+b+c+d, A,b,c,d
    r"|^[\p{Ll}\p{Lo}\pM\pN]+(?:-[\p{Ll}\p{Lo}\pM\pN]+){2,}[-.]?$"  # a-b-c in small letters only
    r"|%20[^\s]|%[CDE][0-9A-F]%[89AB][0-9A-F]"  # percent-encoded
)
MARKUP: Final = (
    rf"(?i)</?(?:{normalise.TAGS})(?:\s[^<>]*)?/?>|<\s?[a-z][a-z0-9:]*\s+[a-z:-]+\s?=|</?ref\b|\b(?:href|src|style|class|onclick|target)\s*=\s*[\"'\\]"
    r"|\[/?(?:img|url|b|i|u|quote|caption|gallery|color|size|center)(?:[= ][^\]]*)?\]"  # BBCode, WordPress
    r"|\[\[[^\]]*\]\]|\{\{[^}]*\}\}|\{\||\|\}|'''"  # wiki
    r"|\\(?:displaystyle|mathbf|mathrm|frac|begin|text|left|right|sum|int|sqrt|alpha|beta|sigma|mu|lambda|theta|in|cdot|times)"
    r"(?:\b|_)|[a-z]_\{|\^\{"  # TeX
    r"|&(?:amp|quot|lt|gt|nbsp|#[0-9]+);|\x{FEFF}|\[:[a-z]{2}\]"
    r"|\bfunction\s*\(|\bvar\s+\w+\s*=|\{\s*[a-z-]+\s*:\s*[^}]*;\s*\}"
)
TEMPLATE: Final = (
    r"(?:^|[\s\"'(:,>-])%[a-zA-Z_]{2,}%?(?:$|[\s\"'),.])|%%[^%\s]+%%|(?:^|\s)%[sd](?:$|\s)"
    r"|\$\{[^}]*\}|#\{[^}]*\}|<%|%>|\{\{[^{}]*\}\}|\{%|%\}|<\?(?:php|=)"
    r"|(?:^|[\s\"'(,:>-])(?i:\{(?:[0-9]|(?:post|page|site|item|product|image|img|file|user|cat|category|author)?[_ -]?"
    r"(?:title|name|alt|caption|id|desc|description|index|count|url|src))\})"
    r"|(?i:(?:^|\s)@(?:index|key|item|title|name|alt|image|caption|model)(?:$|[\s.\[]))"
    r"|(?i:\[(?:title|post_?title|image_?title|name|alt|caption|your[ -][a-z -]+|insert[ -][a-z -]+)\])"
    r"|(?i:\[object \w+\]|\blorem ipsum\b)"
    r"|(?i:^(?:undefined|null|nan|n/?a|todo|tbd|test|untitled|unnamed|alt|alt[ -]?text|title|caption|description)$)"
    r"|(?i:\bundefined undefined\b|\bnull null\b|\balt ?text ?(?:here|goes here)\b)|\$[a-z]+(?:->|\.|_)[a-z]"
)
PLACE_HOLDER: Final = (
    r"(?:^|[^\pN%])%(?:[0-9]+\$)?(?:[-+#0]*(?:[0-9]+|\*)?(?:\.(?:[0-9]+|\*))?(?:hh|h|ll|l|L|z|j|t)?[dsufxXc]|[ipg]|l[iog])\b"  # C
    r"|%(?:[0-9]+\$)?@"  # Objective-C
    r"|%\([A-Za-z_]\w*\)[sdifr]\b|\{[0-9]*\}|\{[A-Za-z_][\w.]*(?:[:!][^{}]*)?\}"  # Python, C#, ICU
    r"|\$\{[^}]*\}|(?:^|[^\pL\pN$_])\$[a-z_][A-Za-z0-9_]*"  # shells, Perl, PHP
    r"|@[A-Z][A-Z_]+@|(?:^|[^\pL\pN])&[A-Za-z][\w.-]+;"  # autoconf; an entity that a manual declares itself
)
"""What a program puts a value into before it shows the text; message catalogues (gettext, Qt; in OPUS GNOME, KDE4, Ubuntu, PHP)
are full of it."""
NUMBERED: Final = r"(?:^|[^\pN%])%L?[1-9]\b"
"""Qt's place holders; in Turkish and Basque a share of a hundred, so that both sides must hold one."""
MOJIBAKE: Final = (
    r"\x{FFFD}|ï¿½|[\x{80}-\x{9F}]"
    r"|[ÂÃ][\x{A0}-\x{BF}\x{201A}\x{201E}\x{2020}\x{2021}\x{2030}\x{20AC}\x{2122}]|â€|Ã[a-zà-ÿ]?Â|[ÐÑ][\x{A0}-\x{BF}\x{152}-\x{192}\x{2018}-\x{2122}]\p{Any}?[ÐÑ]"
    r"|(?:[РС][\x{402}-\x{40F}\x{452}-\x{45F}\x{A0}-\x{BB}\x{2018}-\x{2122}]){2}|(?:Р[°-ї]|С[Ѐ-Џ]){3}"
    r"|(?:^|\s)\?{3,}(?:\s\?{2,})|\pL\?\pL+\?\pL"
)


def found(texts: pa.StringArray, pattern: str) -> pa.BooleanArray:
    """Where the pattern is found, null rows False."""
    return arrow.matches(texts, pattern)


def url(texts: pa.StringArray) -> pa.BooleanArray:
    """An address in the text, or a domain name as the whole of it."""
    return pc.or_(found(texts, URL), found(texts, DOMAIN))


def email(texts: pa.StringArray) -> pa.BooleanArray:
    """An e-mail address in the text."""
    return found(texts, EMAIL)


def file_name(texts: pa.StringArray) -> pa.BooleanArray:
    """The name of a file, of a camera's picture above all, or a code."""
    return pc.or_(found(texts, FILE_NAME), found(texts, CODE))


def camera_title(texts: pa.StringArray) -> pa.BooleanArray:
    """A title that begins as a camera or a program names a picture, or is only the word image."""
    return found(texts, CAMERA_TITLE)


def slug(texts: pa.StringArray) -> pa.BooleanArray:
    """Words joined by hyphens, underscores or the like, as in the last part of an address."""
    return found(texts, SLUG)


def markup(texts: pa.StringArray) -> pa.BooleanArray:
    """HTML, BBCode, wiki text, TeX, CSS or script left in the text."""
    return found(texts, MARKUP)


def template(texts: pa.StringArray) -> pa.BooleanArray:
    """A place holder that was never filled: `%name`, `{{title}}`, `undefined`, lorem ipsum."""
    return found(texts, TEMPLATE)


def place_holder(texts: pa.StringArray) -> pa.BooleanArray:
    """A place holder of a program's message: `%s`, `%1$d`, `{name}`, `$unit`."""
    return found(texts, PLACE_HOLDER)


def mojibake(texts: pa.StringArray) -> pa.BooleanArray:
    """Characters that a wrong code page destroyed beyond repair."""
    return found(texts, MOJIBAKE)
