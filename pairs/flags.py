"""What can be seen of a text by patterns alone: addresses, file names, slugs, markup, templates, damage.

All are RE2 patterns run by Arrow over whole columns: linear time, whatever the text holds.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pairs import arrow

_TLD: Final = (
    "com|org|net|edu|gov|info|biz|io|co|tv|me|de|at|ch|fr|es|it|nl|be|pl|cz|sk|ru|ua|by|uk|ie|us|ca|au|nz|jp|cn|kr|tw|hk|in|id|my|sg|th|"
    "vn|br|mx|ar|cl|pe|co|tr|gr|bg|ro|hu|rs|hr|si|se|no|dk|fi|ee|lv|lt|pt|il|ir|za|eu|asia|online|shop|store|site|blog|news|club|xyz|app|dev"
)
URL: Final = r"(?i)\b(?:https?|ftp)\s?:\s?//|\bwww\.[^\s.]"
"""An address with its scheme or its www."""
DOMAIN: Final = rf"(?i)^@?[\pL\pN](?:[\pL\pN.-]*[\pL\pN])?\.(?:{_TLD})(?:/\S*)?$"
"""A text that is a domain name and nothing else."""
EMAIL: Final = r"(?i)[\pL\pN._%+-]{1,64}@[\pL\pN.-]{1,64}\.[a-z]{2,}"

_EXTENSION: Final = "jpe?g|jfif|png|gif|webp|bmp|tiff?|svg|psd|heic|heif|avif|ico|eps|cr2|nef|dng|raw|mp4|mov|avi|webm|pdf|docx?|xlsx?|pptx?"
_CAMERA: Final = (
    "IMGP?|_?DSC[NF0]?|_MG|DCP|PICT|CIMG|GOPR|DJI|SAM|KIF|PXL|MVI|VID|HPIM|FB_IMG|IMAG|PIC|PANO|SCAN|SDC|EOS|LEAD_IMG"
)
_NAMES: Final = (
    "images?|photos?|pictures?|pics?|img|screenshot|screen ?shot|untitled|unnamed|default|bild|bilder|fotos?|grafik|unbenannt|bildschirmfoto|"
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
CODE: Final = r"^[A-Za-z]{0,6}[-_./ #]?[0-9][0-9A-Z._/#-]{2,}$|^[A-Z0-9]+[-_./]?[A-Z]*[0-9]{3,}[A-Z0-9._/-]*$"
"""A stock code: one token of capitals and digits."""
SLUG: Final = (
    r"^[^\s]*[\pL\pN]_+[\pL\pN][^\s]*$"  # a_b
    r"|^[^\s]*[\pL\pN](?:[-+,.~][\pL\pN]+){3,}[^\s]*$"  # a-b-c-d, A+b+c+d, A,b,c,d
    r"|^[\p{Ll}\p{Lo}\pN]+(?:-[\p{Ll}\p{Lo}\pN]+){2,}[-.]?$"  # a-b-c in small letters only
    r"|%20[^\s]|%[CDE][0-9A-F]%[89AB][0-9A-F]"  # percent-encoded
)
MARKUP: Final = (
    r"(?i)</?[a-z][a-z0-9]*(?:\s+[a-z:-]+\s*=|\s*/?>)|\b(?:href|src|style|class|onclick|target)\s*=\s*[\"'\\]"
    r"|\[/?(?:img|url|b|i|u|quote|caption|gallery|color|size|center)(?:[= ][^\]]*)?\]"  # BBCode, WordPress
    r"|\[\[[^\]]*\]\]|\{\{[^}]*\}\}|\{\||\|\}|'''"  # wiki
    r"|\\(?:displaystyle|mathbf|mathrm|frac|begin|text|left|right|sum|int|sqrt|alpha|beta|sigma|mu|lambda|theta|in|cdot|times)\b|[a-z]_\{|\^\{"  # TeX
    r"|&(?:amp|quot|lt|gt|nbsp|#[0-9]+);|\x{FEFF}|\[:[a-z]{2}\]"
    r"|\bfunction\s*\(|\bvar\s+\w+\s*=|\{\s*[a-z-]+\s*:\s*[^}]*;\s*\}"
)
_MASKS: Final = r"<(?:PERSON|person|NAME|EMAIL|PHONE|URL|LOCATION|ORG)>"
"""What anonymised data sets put in the place of names (CC12M): no markup."""
TEMPLATE: Final = (
    r"(?:^|[\s\"'(:,>-])%[a-zA-Z_]{2,}%?(?:$|[\s\"'),.])|%%[^%\s]+%%|(?:^|\s)%[sd](?:$|\s)"
    r"|\$\{[^}]*\}|#\{[^}]*\}|<%|%>|\{\{|\}\}|\{%|%\}|<\?(?:php|=)"
    r"|(?i:\{(?:[0-9]|(?:post|page|site|item|product|image|img|file|user|cat|category|author)?[_ -]?(?:title|name|alt|caption|id|desc|description|index|count|url|src))\})"
    r"|(?i:(?:^|\s)@(?:index|key|item|title|name|alt|image|caption|model)(?:$|[\s.\[]))"
    r"|(?i:\[(?:title|post_?title|image_?title|name|alt|caption|your[ -][a-z -]+|insert[ -][a-z -]+)\])"
    r"|(?i:\[object \w+\]|\blorem ipsum\b|^(?:undefined|null|none|nan|n/?a|todo|tbd|test|untitled|unnamed|alt|alt[ -]?text|title|caption|description)$)"
    r"|(?i:\bundefined undefined\b|\bnull null\b|\balt ?text ?(?:here|goes here)\b)|\$[a-z]+(?:->|\.|_)[a-z]"
)
MOJIBAKE: Final = (
    r"\x{FFFD}|ï¿½|[\x{80}-\x{9F}]"
    r"|[ÂÃ][\x{A0}-\x{BF}\x{201A}\x{201E}\x{2020}\x{2021}\x{2030}\x{20AC}\x{2122}]|â€|Ã[a-zà-ÿ]?Â|[ÐÑ][\x{A0}-\x{BF}\x{152}-\x{192}\x{2018}-\x{2122}]\p{Any}?[ÐÑ]"
    r"|(?:[РС][\x{402}-\x{40F}\x{452}-\x{45F}\x{A0}-\x{BB}\x{2018}-\x{2122}]){2}|(?:Р[°-ї]|С[Ѐ-Џ]){3}"
    r"|(?:^|\s)\?{3,}(?:\s\?{2,})|\pL\?\pL+\?\pL"
)
KEYWORDS: Final = r"(?:#[\pL\pN_]+[\s,]*){5,}|(?:[^,;|•·\s][^,;|•·.!?]{0,30}[,;|•·]\s*){9,}"
"""Five hashtags in a row, or ten short pieces between commas, bars or dots: a list of search words, not a description."""


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


def slug(texts: pa.StringArray) -> pa.BooleanArray:
    """Words joined by hyphens, underscores or the like, as in the last part of an address."""
    return found(texts, SLUG)


def markup(texts: pa.StringArray) -> pa.BooleanArray:
    """HTML, BBCode, wiki text, TeX, CSS or script left in the text."""
    hits = found(texts, MARKUP)
    if arrow.mask(hits).any():
        bare = pc.replace_substring_regex(texts, _MASKS, "")
        hits = found(bare, MARKUP)
    return hits


def template(texts: pa.StringArray) -> pa.BooleanArray:
    """A place holder that was never filled: `%name`, `{{title}}`, `undefined`, lorem ipsum."""
    return found(texts, TEMPLATE)


def mojibake(texts: pa.StringArray) -> pa.BooleanArray:
    """Characters that a wrong code page destroyed beyond repair."""
    return found(texts, MOJIBAKE)


def keywords(texts: pa.StringArray) -> pa.BooleanArray:
    """A list of search words."""
    return found(texts, KEYWORDS)


# Texts that say what a page element is and nothing of what it shows; compared case-folded, without digits and punctuation at
# the ends. From the most frequent alts of real pages in a dozen languages.
_BOILERPLATE: Final = frozenset(
    text.strip()
    for text in """
    logo|logos|icon|icons|avatar|gravatar|banner|header|footer|slider|slide|thumbnail|thumb|placeholder|background|spacer|blank|pixel|loading|
    loader|loading...|spinner|ajax loader|please wait|image|images|img|photo|photos|picture|pictures|pic|graphic|screenshot|gallery|gallery image|
    image gallery|featured image|cover image|cover photo|header image|hero image|profile image|profile picture|profile photo|user image|
    user avatar|author|author image|article image|main image|post image|post thumbnail|product image|product photo|no image|no photo|
    no image available|image not available|image not found|default image|image placeholder|placeholder image|missing image|company logo|site logo|
    website logo|header logo|footer logo|brand logo|our logo|home|homepage|home page|menu|main menu|search|close|open|next|previous|prev|back|back to top|
    top|up|down|left|right|arrow|arrow left|arrow right|play|pause|play button|play video|video|download|print|share|like|follow|follow us|subscribe|login|
    log in|sign in|sign up|register|cart|shopping cart|checkout|buy now|add to cart|read more|more|learn more|more info|details|click here|
    click to enlarge|click for larger image|click to view|enlarge|zoom|view larger image|view image|open image|rating|ratings|stars|star|star rating|
    rss|rss feed|feed|email|e-mail|mail|phone|contact|contact us|facebook|twitter|instagram|pinterest|youtube|linkedin|whatsapp|telegram|tiktok|
    google|google plus|google+|xing|reddit|tumblr|flickr|snapchat|vk|vkontakte|viber|wordpress|wordpress.com|paypal|visa|mastercard|
    american express|quantcast|creative commons license|creative commons|cc by|advertisement|advertising|ad|ads|sponsored|sponsor|sponsors|partner|
    partners|information|info|help|faq|settings|language|flag|english|new|sale|hot|free|yes|no|ok|ok.|cookie|cookies|privacy|copyright|captcha|
    verified|check|checkmark|tick|bullet|line|divider|separator|shadow|border|corner|button|link|image link|external link|empty|none|caption|
    view profile|user|users|members|admin|comment|comments|date|calendar|time|clock|location|map|google maps|app store|google play|
    get it on google play|download on the app store|qr code|barcode|favicon|
    bild|bilder|foto|fotos|abbildung|grafik|symbol|startseite|suche|suchen|zurück|weiter|nach oben|schließen|menü|mehr|mehr lesen|weiterlesen|
    mehr erfahren|vergrößern|bild vergrößern|klicken zum vergrößern|artikelbild|bild zum artikel|beitragsbild|titelbild|profilbild|vorschaubild|
    teaserbild|platzhalter|kein bild|kein bild vorhanden|anzeige|werbung|warenkorb|drucken|teilen|anmelden|kontakt|impressum|datenschutz|neuer inhalt|
    benutzerdefiniert|benutzerbild|bild-dokument für das frontend|produktbild|creative commons lizenzvertrag|lädt|wird geladen|bitte warten|
    imagen|imágenes|inicio|buscar|búsqueda|cerrar|siguiente|anterior|menú|más|leer más|ver más|compartir|imprimir|cargando|publicidad|foto de perfil|
    imagen de perfil|imagen destacada|sin imagen|
    imagem|imagens|início|buscar|pesquisar|fechar|próximo|anterior|compartilhar|carregando|publicidade|sem imagem|
    accueil|rechercher|recherche|fermer|suivant|précédent|partager|imprimer|chargement|chargement en cours|publicité|photo de profil|image à la une|
    lire la suite|en savoir plus|pas d'image|
    immagine|immagini|cerca|chiudi|successivo|precedente|condividi|stampa|caricamento|pubblicità|leggi tutto|
    afbeelding|zoeken|sluiten|volgende|vorige|delen|laden|
    obraz|obrazek|zdjęcie|szukaj|zamknij|następny|poprzedni|strona główna|ładowanie|reklama|czytaj więcej|stopień trudności|czas przygotowania|ilość porcji|
    obrázek|hledat|zavřít|další|předchozí|načítání|reklama|domů|
    изображение|картинка|фото|фотография|логотип|иконка|аватар|аватарка|баннер|поиск|закрыть|далее|назад|вперед|главная|загрузка|реклама|меню|
    подробнее|читать далее|нет фото|поделиться|
    resim|fotoğraf|görsel|ara|kapat|anasayfa|yükleniyor|reklam|
    gambar|foto profil|cari|tutup|beranda|memuat|iklan|
    hình ảnh|ảnh|tìm kiếm|đóng|trang chủ|
    صورة|شعار|بحث|إغلاق|الرئيسية|تحميل|إعلان|تصویر|عکس|لوگو|
    תמונה|לוגו|חיפוש|
    รูปภาพ|ภาพ|โลโก้|ค้นหา|
    图片|图像|照片|图标|头像|标志|搜索|关闭|首页|加载中|广告|更多|返回顶部|二维码|微信|微博|圖片|照片|搜尋|關閉|首頁|廣告|
    画像|写真|ロゴ|アイコン|検索|閉じる|ホーム|読み込み中|広告|もっと見る|トップページ|
    이미지|사진|로고|아이콘|검색|닫기|홈|광고|더보기|
    चित्र|छवि|लोगो|तस्वीर
    """.replace("\n", "").split("|")
    if text.strip()
)
_NETWORK: Final = "facebook|twitter|instagram|pinterest|youtube|linkedin|whatsapp|telegram|google|google\\+|xing|rss|tiktok|wordpress(?:\\.com)?|paypal|email|e-mail"
_BOILERPLATE_PATTERN: Final = (
    rf"^(?:{_NETWORK})[- ]?(?:logo|icon|symbol|bild|foto|image|button|profile|page|seite|share|teilen|link|channel|kanal|feed)$"
    rf"|^(?:share|follow|find|like|visit|join)(?: us| this| me)? (?:on|via|by|with) (?:{_NETWORK})$"
    rf"|^(?:auf|über|via|bei) (?:{_NETWORK}) (?:teilen|folgen)$|^(?:{_NETWORK})$"
    r"|^(?:user |author )?(?:avatar|gravatar|profilbild|profile (?:picture|photo|image)) (?:of|for|von|de|di|für)\b"
    r"|^(?:click|tap|klicken|klick|haga clic|cliquez|нажмите)\b.{0,40}(?:here|enlarge|larger|zoom|view|vergrößern|ampliar|agrandir|увелич\pL*)"
    r"|^[0-9](?:[.,][0-9])?(?: ?(?:/|of|von|out of|de) ?[0-9]+)? ?(?:stars?|sterne?|estrellas|étoiles)$"
    r"|^(?:image|bild|foto|photo|picture|slide|banner|logo) (?:[0-9]+ )?(?:of|von|de) [0-9]+$"
    r"|^(?:\pL+ )?advertise?ment$|^(?:image|photo|picture|logo) (?:is )?(?:not available|not found|unavailable|missing|coming soon)$"
    r"|^(?:no|missing|default|dummy|placeholder) (?:image|photo|picture|thumbnail|avatar)\b"
)


def boilerplate(texts: pa.StringArray) -> pa.BooleanArray:
    """The name of a page element, a button or a network: `Logo`, `loading`, `Auf Twitter teilen`."""
    folded = pc.utf8_lower(texts.fill_null(""))
    bare = pc.replace_substring_regex(folded, r"^[\pP\pS\pN\s]+|[\pP\pS\pN\s]+$", "")
    listed = pc.or_(
        pc.is_in(folded, value_set=pa.array(sorted(_BOILERPLATE))),
        pc.is_in(bare, value_set=pa.array(sorted(_BOILERPLATE))),
    )
    return pc.or_(listed, found(folded, _BOILERPLATE_PATTERN))
