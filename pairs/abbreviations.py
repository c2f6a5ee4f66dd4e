"""Words that a full stop may follow inside a sentence, and words that begin sentences, by language.

Our own lists, kept short: what is frequent in running text of each language. What they lack is caught by shape (initials,
letters with stops between them, words without a vowel); see `pairs.boundaries`.

A line is `language | kind | words`, in small letters, without the last stop. Kinds:
    title   never ends a sentence: a name, a noun or a number follows (Dr., z. B., e.g.)
    number  does not end one before a number (No. 5, p. 7)
    may     ends one only before a word that begins sentences (U.S., Co., bzw.)
    end     ends one before any capital (etc., a.m.), though its shape says otherwise
    start   begins sentences, and no name or noun does: The, Die, Он
    goes    Japanese, no word: how a sentence goes on behind a quotation or a question inside it
    name    ends with an exclamation mark of its own: Yahoo!

A word written with a capital stands for that form alone. Language * holds for all.
"""

from __future__ import annotations

from typing import Final

TITLE, NUMBER, MAY, END, START, GOES_ON, NAME = range(1, 8)

_KINDS: Final = {"title": TITLE, "number": NUMBER, "may": MAY, "end": END, "start": START, "goes": GOES_ON, "name": NAME}

_LISTS: Final = """
* | title | mr mrs ms dr prof vs p.s
* | number | no fig vol
* | may | co ltd inc corp jr sr u.s u.k u.n e.u ph.d
* | name | yahoo jeopardy
ja | goes | って という といっ とい とか と思 と言 と聞 との と、 と。 みたい なんて なの です だと のよう などと など を の
en | title | mr mrs ms messrs dr prof st rev fr hon gen col lt capt cmdr sgt cpl pvt maj adm sen rep gov pres supt det insp vs e.g i.e cf viz ca approx est mt ft
en | title | asst assoc dept univ a.k.a feat incl esp resp
en | number | no nos vol vols ch chap fig figs p pp pg sec art para eq ver op nr jan feb mar apr jun jul aug sep sept oct nov dec
en | may | inc ltd co corp llc bros jr sr u.s u.k u.n u.s.a d.c l.a e.u al ave blvd rd st dept gov ph.d m.d b.a m.a b.sc m.sc min max misc ed eds avg jan feb apr aug sept oct nov dec
en | end | etc a.m p.m b.c a.d c.e b.c.e tv ok oz lb lbs hr hrs sq
en | start | the it its he she we they i you this that these those there here in on at as but and so if when while after before for from with by to my your his her our their an a what why how who where although however since because then also not no one some many most all both each during according now just even once until yet or nor let please thank thanks is are was were do does did can could would will should have has had meanwhile moreover furthermore additionally instead finally
de | title | dr prof hr fr frl dipl ing mag hl st nr bzw z.b d.h u.a i.d.r i.d v.a s.o s.u z.t u.u m.e o.ä vgl ca inkl exkl zzgl abzgl evtl ggf sog bspw allg bes ehem geb gest verh max min mind ugs jr sen abs art kap bd abb tab hrsg aufl ausg anm lat engl franz dt österr schweiz b d i bzgl gem lt rd tel
de | number | s nr art abs kap bd abb tab st str jan feb mär apr jun jul aug sep sept okt nov dez ziff rn
de | may | jh jhd jahrh chr mio mrd tsd str co std min sek jr sen u.a o.ä
de | end | usw etc uvm u.v.m usf o.g s.o
de | start | der die das den dem des ein eine einen einem einer es er sie wir ich du ihr man dies diese dieser dieses diesen diesem jene jeder jede jedes in im am an auf aus bei beim mit nach von vom vor zu zum zur über unter für durch gegen ohne um bis seit während wegen trotz und aber oder denn doch sondern auch nur noch schon so wenn als ob weil da dass damit obwohl nachdem bevor hier dort dann danach dabei daher deshalb deswegen darum außerdem allerdings jedoch dennoch trotzdem zudem sein seine seinen seiner ihre ihren ihrem ihrer mein meine unser unsere was wer wie wo warum wann welche welcher welches nicht kein keine alle viele einige mehr sehr heute gestern morgen jetzt nun später bereits ist sind war waren hat haben wird werden kann können soll muss bitte danke
fr | title | M MM mme mlle mgr dr pr me st ste cf p.ex c.-à-d env av boul éd
fr | number | p pp n no vol t chap fig art al janv févr avr juil sept oct nov déc
fr | may | cie sté j.-c apr ap u.e s.a s.a.r.l
fr | end | etc
fr | start | le la les l un une des il elle ils elles on nous vous je tu ce cet cette ces c dans sur sous pour par avec sans après avant pendant depuis en au aux du de d à mais et ou donc or ni car si quand lorsque comme alors ainsi cependant toutefois néanmoins enfin puis ensuite selon son sa ses leur leurs mon ma mes notre votre qui que quel quelle où pourquoi comment tout tous toutes plus ne pas y merci bonjour
es | title | sr sra srta srs dr dra prof profa lic ing arq gral cap cnel d dña da fr sto sta p.ej ej aprox
es | number | núm nº no pág págs p pp vol cap art fig tel
es | may | ee.uu ee uu s.a s.l cía ud uds vd vds a.c d.c av avda jr
es | end | etc
es | start | el la los las lo un una unos unas él ella ellos ellas se yo tú nosotros usted este esta estos estas ese esa esto eso aquel en de del al a con sin por para desde hasta sobre tras durante según entre y e o pero aunque sin si cuando donde como mientras porque pues así además también ya no ni su sus mi mis nuestro qué quién cuál cómo todo todos muchos hay es son fue era ha han
pt | title | sr sra srs dr dra prof profa eng exmo exma d st sto sta p.ex ex aprox
pt | number | n nº pág págs p pp vol cap art fig tel
pt | may | ltda cia s.a v.exa a.c d.c av jr
pt | end | etc
pt | start | o a os as um uma ele ela eles elas eu nós você este esta esse essa isto isso em no na nos nas de do da dos das ao à com sem por para pelo pela desde até sobre após durante segundo entre e ou mas embora se quando onde como enquanto porque pois assim além também já não seu sua seus meu minha nosso que quem qual todo todos muitos há é são foi era
it | title | sig sigg sigra sig.ra sig.na dott dott.ssa prof prof.ssa ing avv arch geom on sen gen col cap mons s st ss p.es es ca circa egr spett
it | number | n nn num pag pagg p pp vol cap art fig tel
it | may | s.p.a s.r.l snc a.c d.c u.s.a u.e jr
it | end | ecc etc
it | start | il lo la i gli le un uno una l egli lui lei loro io tu noi voi questo questa questi queste quello quella in nel nella nei nelle di del della dei delle da dal dalla a al alla con senza per su sul sulla tra fra dopo prima durante secondo e ed o ma però se quando dove come mentre perché poiché così inoltre anche già non né suo sua suoi mio mia nostro che chi quale tutto tutti molti è sono era ha hanno
nl | title | dhr mevr mw dr drs prof ir ing mr st b.v bv d.w.z m.n i.p.v ca evt incl excl resp vgl o.a t.o.v bijv max min a.u.b
nl | number | nr nrs blz p art fig jan feb mrt apr jun jul aug sep sept okt nov dec tel
nl | may | n.v b.v jr sr mln mld v.chr n.chr
nl | end | enz etc e.d
nl | start | de het een hij zij ze we wij ik je jij u jullie dit dat deze die er hier daar in op aan bij met naar van voor uit over onder door tegen zonder om tot sinds tijdens volgens en maar of want dus ook als wanneer toen terwijl omdat hoewel daarom daarnaast echter toch nog niet geen zijn haar hun mijn ons onze wat wie waar waarom hoe welke alle veel is was heeft
sv | title | hr fru dr prof st bl.a t.ex d.v.s dvs s.k ca f.d p.g.a m.a.o fr.o.m t.o.m ev inkl exkl resp jfr
sv | number | nr s sid kap fig tel jan feb mar apr jun jul aug sep sept okt nov dec
sv | may | kl milj mdr jr sr f.kr e.kr
sv | end | osv etc m.m m.fl
sv | start | den det de en ett han hon vi jag du ni man detta denna dessa här där i på av med från för till om under efter innan vid och men eller så när då eftersom också hans hennes min vår alla många vad vem hur varför är var har
da | title | hr fru dr prof st skt bl.a f.eks fx dvs d.v.s ca f.d pga p.g.a evt inkl ekskl if jf
da | number | nr s kap fig art stk tlf jan feb mar apr jun jul aug sep sept okt nov dec kl
da | may | mio mia jr sr f.kr e.kr
da | end | osv etc m.m m.v m.fl
da | start | den det de en et han hun vi jeg du man dette denne disse her der i på af med fra for til om under efter før ved og men eller så når da fordi også hans hendes min vores alle mange hvad hvem hvordan er var har
nb | title | hr fru dr prof st bl.a f.eks dvs d.v.s ca evt inkl ekskl jf pga
nb | number | nr s kap fig art tlf jan feb mar apr jun jul aug sep sept okt nov des kl
nb | may | mill mrd jr sr f.kr e.kr
nb | end | osv etc m.m m.fl
nb | start | den det de en et han hun vi jeg du man dette denne disse her der i på av med fra for til om under etter før ved og men eller så når da fordi også hans hennes min vår alle mange hva hvem hvordan er var har
fi | title | esim ts tri prof ns mm mm ym n nk nyk synt ent
fi | number | n nro s kpl klo puh
fi | may | milj mrd eaa jaa ekr jkr
fi | end | jne yms ym tms
fi | start | hän se he me minä sinä te ne tämä tuo nämä siellä täällä mutta ja tai kun jos vaikka koska myös hänen sen on oli ei
cs | title | dr prof doc ing mgr bc mudr judr phdr rndr p pí sv gen plk kpt tzv např mj tj resp cca ev popř příp srov viz vč zejm býv
cs | number | č čl str s odst písm obr tab sv roč tel ul nám
cs | may | r hod min mil mld tis kč př n.l stol atp jr st ml s.r.o a.s
cs | end | atd apod aj
cs | start | ten ta to ti ty tato tento toto v ve na o po za s se z ze k ke do od pro při před mezi podle jeho její jejich on ona oni my já vy a ale i když pokud protože však také tak jak kde co kdo proč není je jsou byl byla bylo byli má mají už ještě dnes včera nyní poté pak přesto navíc proto
sk | title | dr prof doc ing mgr bc mudr judr phdr sv gen plk kpt tzv napr tj resp cca príp porov vrát najmä býv pán
sk | number | č čl str s ods písm obr tab tel ul nám
sk | may | r hod min mil mld tis kr n.l stor jr st ml s.r.o a.s
sk | end | atď apod a pod
sk | start | ten tá to tí tie táto tento toto v vo na o po za s so z zo k ku do od pre pri pred medzi podľa jeho jej ich on ona oni my ja vy a ale i keď ak pretože však tiež tak ako kde čo kto prečo nie je sú bol bola bolo boli má majú už ešte dnes včera teraz potom preto
pl | title | dr prof doc inż mgr hab p św gen płk kpt ks abp bp m.in np tj tzw ok im por wg ur zm al ul pl os red
pl | number | nr s str ust art pkt rys tab t tel poz
pl | may | r w godz min tys mln mld zł n.e p.n.e sp z.o.o jr cd
pl | end | itd itp etc
pl | start | ten ta to ci te w we na o po za z ze do od dla przy przed między według jego jej ich on ona oni my ja wy a ale i gdy jeśli ponieważ jednak także tak jak gdzie co kto dlaczego nie jest są był była było byli ma mają już jeszcze dziś wczoraj teraz potem dlatego
ru | title | г гг им ул пр пл просп пер д корп стр кв обл р-н пос проф акад доц св т.е т.к т.н т.о напр см ср ред сост гр гос исп м о в ст
ru | number | № с стр гл рис табл ст п пп т тт кн вып ч тел
ru | may | г гг в вв руб коп тыс млн млрд чел н.э до н.э сек мин час др проч
ru | end | я т.д т.п и.др др пр
ru | start | в во на с со к ко о об от до из по за под при для без через между над перед после но и а или он она оно они мы я вы ты это этот эта эти тот та те так как что кто где когда если хотя потому поэтому однако также кроме все его её ее их мой наш не нет был была было были есть уже ещё сегодня вчера теперь затем там тут здесь
uk | title | м р ім вул просп пл пров буд корп обл р-н смт с проф акад доц св т.зв т.б напр див пор ред гр
uk | number | № с ст стор гл рис табл п пп т тт кн вип ч тел
uk | may | р рр ст грн коп тис млн млрд чол н.е сек хв год ін
uk | end | я т.д т.п та.ін ін
uk | start | в у на з із зі до від по за під при для без через між над перед після але і й та а або чи він вона воно вони ми я ви ти це цей ця ці той ті так як що хто де коли якщо хоча тому однак також крім всі усі його її їх мій наш не ні був була було були є вже ще сьогодні вчора тепер потім там тут
bg | title | г-н г-жа д-р проф доц инж акад св ул бул т.е т.нар напр им вж ср
bg | number | № стр чл ал т гл рис табл тел бр
bg | may | г гг в вв лв ст хил млн млрд др пр.н.е
bg | end | е т.н и.др др
bg | start | в във на с със към от до из по за под при без чрез между над пред след но и а или той тя то те ние аз вие ти това този тази тези така как какво кой къде кога ако макар защото затова обаче също освен всички му не няма беше бяха е са вече още днес вчера сега там тук
sr | title | g-din gdin g-đa dr prof doc inž akad sv ul tzv npr tj г-дин др проф доц инж акад св ул тзв нпр тј
sr | number | br str čl gl sl бр стр чл гл сл
sr | may | god din мил год дин jr
sr | end | itd i sl итд и сл
hr | title | g gđa dr prof doc ing mr sv ul tzv npr tj odn
hr | number | br str čl gl sl
hr | may | god kn mil st
hr | end | itd i sl
sl | title | g ga dr prof doc ing mag sv ul t.i npr tj oz
sl | number | št str čl gl sl
sl | may | mio mrd jr st
sl | end | itd ipd
hu | title | dr prof id ifj özv st pl ill ún kb ld vö
hu | number | sz old o köt kb
hu | may | kr jr bt kft rt zrt
hu | end | stb
hu | start | a az ez ezek egy ő ők mi én te ti és de vagy ha mert hogy amikor ahol így is nem itt ott majd most már még
ro | title | dl dna d-l d-na dr prof ing conf acad sf st ex cca
ro | number | nr pag p vol cap art fig tel alin
ro | may | ș.a s.a s.r.l î.hr d.hr
ro | end | etc ș.a.m.d
ro | start | el ea ei ele eu tu noi voi acest această acești acestea în pe la cu de din pentru prin după înainte până despre și dar sau însă dacă când unde cum ce cine un o nu este sunt a au fost
tr | title | dr prof doç yrd av sn bkz örn vb alb gen hz yy cad sok mah apt
tr | number | no sf s cilt bl şek tel md
tr | may | ltd şti a.ş vs m.ö m.s
tr | end | vb vs
tr | start | bu şu o bir ve ama fakat ancak çünkü eğer için biz ben sen siz onlar her hem ne nasıl neden
el | title | κ κα κος κον κκ δρ καθ αγ π.χ δηλ βλ πρβλ λεωφ οδ
el | number | αρ σελ σ τ κεφ εικ άρθ τηλ
el | may | μ.χ π.χ χιλ εκ δισ
el | end | κλπ κ.λπ κ.ά κ.α κτλ
el | start | ο η το οι τα ένας μια ένα αυτός αυτή αυτό σε στο στη στην στον με από για και αλλά αν όταν που πως δεν θα είναι ήταν
lt | title | dr prof doc inž akad šv pvz t.y vad gyd
lt | number | nr p psl t sk str pav tel
lt | may | m d mln mlrd val min
lt | end | t.t pan
lv | title | dr prof doc inž akad sv piem t.i
lv | number | nr lpp p sk att tel
lv | may | g gs milj mljrd plkst
lv | end | utt u.c
et | title | dr prof hr pr st nt s.t vt sh k.a
et | number | nr lk p joon tel
et | may | a mln mld tuh
et | end | jne jms
vi | title | tp ts ths pgs gs bs ks mr ông tx
vi | number | số tr
id | title | dr prof ir drs hj h jl no tn ny bpk sdr kab kec st
id | number | no hlm hal jil tel
id | end | dll dsb dst
ms | title | dr prof en pn hj jln tn
ms | number | no hlm tel
ms | end | dll dsb
tl | title | g gng bb dr prof
ca | title | sr sra srta dr dra prof st sta p.ex av c
ca | number | núm pàg p vol cap art fig tel
ca | end | etc
ca | start | el la els les un una és ha han en al del amb per a i o però si quan on com aquest aquesta no
gl | title | sr sra dr dra prof st d
gl | number | núm páx p vol cap art fig tel
gl | end | etc
eu | title | dr prof jn and
eu | end | etab
is | title | dr prof sr hr frú t.d þ.e m.a u.þ.b
is | number | nr bls gr kafli sími
is | end | o.s.frv
af | title | mnr mev mej dr prof ds st bv d.w.s
af | number | nr no bl hfst fig tel
af | end | ens
hy | title | դոկտ պրոֆ ակ
kk | title | проф акад мыс
hi | title | डॉ श्री प्रो सु पं मो कु
mr | title | डॉ श्री प्रा सौ कु
bn | title | ড ডা মো শ্রী প্রফেসর
gu | title | ડૉ શ્રી પ્રો
pa | title | ਡਾ ਸ੍ਰ ਪ੍ਰੋ
ta | title | திரு திருமதி டாக்டர் பேரா
ta | number | எண்
te | title | డా శ్రీ ప్రొ
kn | title | ಡಾ ಶ್ರೀ ಪ್ರೊ
ml | title | ഡോ ശ്രീ പ്രൊഫ
si | title | ආචාර්ය රු
ur | title | ڈاکٹر
ar | title | د أ م أ.د
fa | title | دکتر
he | title | ד"ר פרופ' מר
"""

_KIN: Final = {
    "no": "nb", "nn": "nb", "bs": "hr", "sh": "hr", "be": "ru", "mk": "bg", "lb": "de", "nds": "de", "als": "de", "bar": "de", "gsw": "de",
    "fy": "nl", "ast": "es", "an": "es", "oc": "ca", "mo": "ro", "az": "tr", "ky": "kk", "tt": "kk", "ne": "hi", "fo": "is",
    "hyw": "hy", "fil": "tl", "ceb": "tl", "rue": "uk", "sco": "en", "scn": "it", "lmo": "it", "pms": "it", "vec": "it", "br": "fr", "wa": "fr", "as": "bn",
}  # fmt: skip
"""Languages that take the lists of a near relative."""

ORDINAL: Final[frozenset[str]] = frozenset(
    "de lb nds als bar gsw da nb nn no is fo fi et lv cs sk sl hr bs sh sr pl hu tr az eu hsb dsb se".split()
)
"""Languages that write ordinal numbers, and so dates, with a stop: 3. Oktober, 19. Jahrhundert."""

SYLLABIC: Final[frozenset[str]] = frozenset("cs sk sl hr bs sh sr mk bg".split())
"""Languages in which r and l are vowels too: krk, vlk."""

UNITS: Final = "km cm mm kg mg ml kw kwh gb mb tb hz mhz ghz ft lb px pt nm кг км см мм мл".split()
"""Words that end sentences as others do: without a vowel, and after a number never short for something else."""


_MARKED: Final = {START: "^", GOES_ON: "~", NAME: "!"}
"""Sets that share no word with the others: each is looked up by itself."""


def lists() -> dict[tuple[str, str], int]:
    """(language, word) -> kind, relatives included; of a word listed twice the rule that splits least often."""
    found: dict[tuple[str, str], int] = {}
    strength = {TITLE: 5, NUMBER: 3, MAY: 4, END: 2}
    for line in _LISTS.strip().splitlines():
        lang, kind, words = (part.strip() for part in line.split("|"))
        number = _KINDS[kind]
        tongues = [lang, *(relative for relative, of in _KIN.items() if of == lang)]
        for word in words.split():
            for tongue in tongues:
                place = (tongue, _MARKED.get(number, "") + word)
                if strength.get(number, 1) > strength.get(found.get(place, 0), 0):
                    found[place] = number
    return found
