"""Alternative texts that say what a page element is and nothing of what it shows."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pairs import arrow

# From the most frequent alts of real pages and the interface words of the commonest content management systems;
# compared in small letters, as they are and without digits, punctuation and symbols at the ends.
_TEXTS: Final = """
logo | logos | icon | icons | avatar | gravatar | banner | header | footer | slider | slide | thumbnail | thumb |
placeholder | background | spacer | blank | pixel | loading | loader | loading... | spinner | ajax loader |
please wait | image | images | img | photo | photos | picture | pictures | pic | graphic | screenshot | gallery |
gallery image | image gallery | featured image | cover image | cover photo | header image | hero image |
profile image | profile picture | profile photo | user image | user avatar | author | author image |
article image | main image | post image | post thumbnail | product image | product photo | no image | no photo |
no image available | image not available | image not found | default image | image placeholder |
placeholder image | missing image | company logo | site logo | website logo | header logo | footer logo |
brand logo | our logo | home | homepage | home page | menu | main menu | search | close | open | next | previous |
prev | back | back to top | arrow | arrow left | arrow right | pause |
play button | play video | video | download | print | share | like | follow | follow us | subscribe | login |
log in | sign in | sign up | register | cart | shopping cart | checkout | buy now | add to cart | read more |
more | learn more | more info | details | click here | click to enlarge | click for larger image | click to view |
enlarge | zoom | view larger image | view image | open image | rating | ratings | star rating |
rss | rss feed | feed | email | e-mail | mail | contact | contact us | facebook | twitter | instagram |
pinterest | youtube | linkedin | whatsapp | telegram | tiktok | google | google plus | google+ | xing | reddit |
tumblr | flickr | snapchat | vk | vkontakte | viber | wordpress | wordpress.com | paypal | visa | mastercard |
american express | quantcast | creative commons license | creative commons | cc by | advertisement | advertising |
ad | ads | sponsored | sponsor | sponsors | partner | partners | information | info | help | faq | settings |
language | ok | ok. | cookie | cookies | privacy |
copyright | captcha | verified | check | checkmark | tick | bullet | divider | separator |
link | image link | external link | empty | none | caption | view profile |
admin | comment | comments | location | google maps |
app store | google play | get it on google play | download on the app store | qr code | barcode | favicon | bild |
bilder | foto | fotos | abbildung | grafik | symbol | startseite | suche | suchen | zurück | weiter | nach oben |
schließen | menü | mehr | mehr lesen | weiterlesen | mehr erfahren | vergrößern | bild vergrößern |
klicken zum vergrößern | artikelbild | bild zum artikel | beitragsbild | titelbild | profilbild | vorschaubild |
teaserbild | platzhalter | kein bild | kein bild vorhanden | anzeige | werbung | warenkorb | drucken | teilen |
anmelden | kontakt | impressum | datenschutz | neuer inhalt | benutzerdefiniert | benutzerbild |
bild-dokument für das frontend | produktbild | creative commons lizenzvertrag | lädt | wird geladen |
bitte warten | imagen | imágenes | inicio | buscar | búsqueda | cerrar | siguiente | anterior | menú | más |
leer más | ver más | compartir | imprimir | cargando | publicidad | foto de perfil | imagen de perfil |
imagen destacada | sin imagen | imagem | imagens | início | pesquisar | fechar | próximo | compartilhar |
carregando | publicidade | sem imagem | accueil | rechercher | recherche | fermer | suivant | précédent |
partager | imprimer | chargement | chargement en cours | publicité | photo de profil | image à la une |
lire la suite | en savoir plus | pas d'image | immagine | immagini | cerca | chiudi | successivo | precedente |
condividi | stampa | caricamento | pubblicità | leggi tutto | afbeelding | zoeken | sluiten | volgende | vorige |
delen | laden | obraz | obrazek | zdjęcie | szukaj | zamknij | następny | poprzedni | strona główna | ładowanie |
reklama | czytaj więcej | stopień trudności | czas przygotowania | ilość porcji | obrázek | hledat | zavřít |
další | předchozí | načítání | domů | изображение | картинка | фото | фотография | логотип | иконка | аватар |
аватарка | баннер | поиск | закрыть | далее | назад | вперед | главная | загрузка | реклама | меню | подробнее |
читать далее | нет фото | поделиться | resim | fotoğraf | görsel | ara | kapat | anasayfa | yükleniyor | reklam |
gambar | foto profil | cari | tutup | beranda | memuat | iklan | hình ảnh | ảnh | tìm kiếm | đóng | trang chủ |
صورة | شعار | بحث | إغلاق | الرئيسية | تحميل | إعلان | تصویر | عکس | لوگو | תמונה | לוגו | חיפוש | รูปภาพ | ภาพ |
โลโก้ | ค้นหา | 图片 | 图像 | 照片 | 图标 | 头像 | 标志 | 搜索 | 关闭 | 首页 | 加载中 | 广告 | 更多 | 返回顶部 |
二维码 | 微信 | 微博 | 圖片 | 搜尋 | 關閉 | 首頁 | 廣告 | 画像 | 写真 | ロゴ | アイコン | 検索 | 閉じる | ホーム |
読み込み中 | 広告 | もっと見る | トップページ | 이미지 | 사진 | 로고 | 아이콘 | 검색 | 닫기 | 홈 | 광고 | 더보기 |
चित्र | छवि | लोगो | तस्वीर |
note | notes | tip | tips | hint | warning | caution | important | hinweis | anmerkung | tipp | warnung | achtung |
vorsicht | wichtig | remarque | astuce | avertissement | attention | nota | consejo | advertencia | aviso |
importante | dica | suggerimento | avviso | avvertimento | attenzione | opmerking | waarschuwing | belangrijk |
uwaga | wskazówka | ostrzeżenie | ważne | poznámka | varování | důležité | upozornění | upozornenie | примечание |
замечание | совет | предупреждение | внимание | важно | примітка | порада | попередження | увага | бележка |
напомена | упозорење | napomena | upozorenje | savjet | opomba | opozorilo | namig | avertisment | notă | sfat |
megjegyzés | figyelem | figyelmeztetés | huomautus | vihje | varoitus | tärkeää | obs | anmärkning | notering |
varning | viktigt | bemærk | advarsel | merknad | σημείωση | συμβουλή | υπόδειξη | προειδοποίηση | προσοχή | ipucu |
uyarı | önemli | ملاحظة | تحذير | تنبيه | نصيحة | یادداشت | نکته | هشدار | توجه | הערה | אזהרה | טיפ | नोट |
टिप्पणी | चेतावनी | सुझाव | หมายเหตุ | คำเตือน | ghi chú | lưu ý | cảnh báo | mẹo | catatan | peringatan | 注意 |
注記 | 警告 | ヒント | 備考 | 重要 | 注释 | 提示 | 備註 | 참고 | 주의 | 경고 | 알림 | 도움말 | up | to top |
übersicht | haut de page | arriba | atrás | volver | voltar | acima | indietro | avanti | inizio | omhoog | terug |
w górę | do góry | wstecz | dalej | powrót | nahoru | zpět | domov | ďalej | späť | ďalší | predchádzajúci |
наверх | вверх | начало | след. | пред. | следующая | предыдущая | следующий | предыдущий | вперёд | на главную |
вгору | догори | далі | наступна | попередня | головна | пошук | зображення | нагоре | напред | търсене | напријед |
претрага | почетна | naprijed | natrag | sljedeće | prethodno | početna | pretraži | naprej | nazaj | iskanje |
înainte | înapoi | următorul | anteriorul | acasă | căutare | imagine | előre | vissza | fel | következő | előző |
főoldal | kezdőlap | keresés | kép | fotó | seuraava | edellinen | takaisin | ylös | etusivu | haku | hae | kuva |
valokuva | nästa | föregående | tillbaka | uppåt | startsida | sök | næste | forrige | tilbage | tilbake | neste |
forside | søg | søk | billede | bilde | επόμενο | προηγούμενο | πίσω | επάνω | πάνω | αρχή | αρχική | αναζήτηση |
εικόνα | εικονίδιο | φωτογραφία | sonraki | önceki | geri | ileri | yukarı | başa dön | paylaş | simge | التالي |
السابق | رجوع | أعلى | أيقونة | بعدی | قبلی | پیشین | بازگشت | بالا | جستجو | نماد | הבא | הקודם | חזרה | למעלה |
דף הבית | סמל | अगला | पिछला | वापस | मुख्य पृष्ठ | खोज | ถัดไป | ก่อนหน้า | กลับ | หน้าแรก | ไอคอน | tiếp |
tiếp theo | trước | quay lại | lên | biểu tượng | selanjutnya | berikutnya | sebelumnya | kembali | ikon | ikona |
ikoon | icono | ícone | icône | icona | pictogram | ikoni | ikone | 上一页 | 下一页 | 上一級 | 上一级 | 上一頁 |
下一頁 | 返回 | 起始页 | 主页 | 主頁 | 圖示 | 圖標 | 圖像 | 載入中 | 更多內容 | 次へ | 前へ | 戻る | 上に戻る |
上へ | 先頭へ | 読込中 | 共有 | 다음 | 이전 | 뒤로 | 위로 | 처음으로 | 돌아가기 | 로딩 중
"""
LISTED: Final[frozenset[str]] = frozenset(" ".join(text.split()) for text in _TEXTS.split("|"))

_SHORT: Final = max(map(len, LISTED)) + 16  # characters

_NETWORK: Final = (
    r"facebook|twitter|instagram|pinterest|youtube|linkedin|whatsapp|telegram|google|google\+|xing|rss|tiktok|mastodon|"
    r"wordpress(?:\.com)?|paypal|email|e-mail"
)
_ELEMENT: Final = (
    "logo|icon|symbol|bild|foto|photo|image|button|profile|page|seite|share|teilen|link|channel|kanal|feed"
)
PATTERNS: Final = (
    rf"^(?:{_NETWORK})[- ]?(?:{_ELEMENT})?$"
    rf"|^(?:{_ELEMENT})[- ](?:{_NETWORK})$"
    rf"|^(?:share|follow|find|like|visit|join)(?: us| this| me)? (?:on|via|by|with) (?:{_NETWORK})$"
    rf"|^(?:auf|über|via|bei) (?:{_NETWORK}) (?:teilen|folgen)$"
    r"|^(?:user |author )?(?:avatar|gravatar|profilbild|profile (?:picture|photo|image)) (?:of|for|von|de|di|für)\b"
    r"|^(?:click|tap|klicken|klick|haga clic|cliquez|нажмите)\b.{0,40}"
    r"(?:here|enlarge|larger|zoom|view|vergrößern|ampliar|agrandir|увелич\pL*)"
    r"|^[0-9](?:[.,][0-9])?(?: ?(?:/|of|von|out of|de) ?[0-9]+)? ?(?:stars?|sterne?|estrellas|étoiles)$"
    r"|^(?:image|bild|foto|photo|picture|slide|banner|logo) (?:[0-9]+ )?(?:of|von|de) [0-9]+$"
    r"|^(?:\pL+ )?advertise?ment$|\beigenwerbung\b|\bfallback ads?\b|\bcaptcha\b"
    r"|^(?:artikel|beitrag|seite) (?:versenden|drucken|empfehlen|teilen|merken|weiterleiten)$"
    r"|^(?:post|article) (?:video|image|photo|thumbnail)$"
    r"|^(?:image|photo|picture|logo) (?:is )?(?:not available|not found|unavailable|missing|coming soon)$"
    r"|^(?:no|missing|default|dummy|placeholder) (?:image|photo|picture|thumbnail|avatar)\b"
)
"""What the list cannot hold: a network with an element, a call to click, stars, `image 2 of 7`; in small letters."""


def boilerplate(texts: pa.StringArray) -> pa.BooleanArray:
    """The name of a page element, a button or a network: `Logo`, `loading`, `Auf Twitter teilen`.

    Args:
        texts: n strings, normalised; null counts as empty.

    Returns:
        n booleans.
    """
    folded = pc.utf8_lower(texts.fill_null(""))
    listed = pa.array(sorted(LISTED))
    either = arrow.mask(pc.is_in(folded, value_set=listed))
    # What stands around a listed text is short as well; most texts are longer, and need not be stripped.
    short = arrow.mask(pc.less_equal(pc.utf8_length(folded), _SHORT))
    bare = pc.replace_substring_regex(folded.filter(pa.array(short)), r"^[\pP\pS\pN\s]+|[\pP\pS\pN\s]+$", "")
    either[short] |= arrow.mask(pc.is_in(bare, value_set=listed))
    return pc.or_(pa.array(either), arrow.matches(folded, PATTERNS))
