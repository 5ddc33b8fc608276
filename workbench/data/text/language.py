"""Which languages texts are written in, by their script and their most frequent words.

Most scripts belong to one language. Where several share one (Latin, Cyrillic, Arabic, Devanagari), the words that make
up a large part of every text in a language decide: *the*, *und*, *les*. Texts without such words (names, codes) take
the languages of the other texts in the same script.

    languages = detect_languages(["Guten Morgen, wie geht es dir?", "你好，世界"])
    languages.shares    # {"de": 0.7, "zh": 0.3}: shares of the letters, the largest first
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias, TypedDict

UNKNOWN: Final = "und"  # the code of an undetermined language in ISO 639-2
MAX_TEXTS = 2_000
MAX_CHARACTERS = 1_000  # that are read of a text

# A word of a text counts for every language that lists it; one of many lists counts little. A text is assigned when
# the words of the best language count for at least _MIN_SCORE, and _MIN_RATIO times those of the second.
_MIN_SCORE = 0.5
_MIN_RATIO = 1.2
# The share of frequent words from which the words of many texts are those of a language: in English about 40%, in
# headlines and questions to a device about 15%.
_MIN_WORD_SHARE = 0.04
# A character of Chinese, Japanese or Korean writing counts as much as this many letters of an alphabet.
_IDEOGRAPH = 2.5

NAMES: Final[Mapping[str, str]] = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish",
    "fr": "French", "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian",
    "hy": "Armenian", "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ka": "Georgian", "km": "Khmer",
    "kn": "Kannada", "ko": "Korean", "lo": "Lao", "lt": "Lithuanian", "lv": "Latvian", "ml": "Malayalam",
    "mr": "Marathi", "my": "Burmese", "nl": "Dutch", "no": "Norwegian", "or": "Odia", "pa": "Punjabi", "pl": "Polish",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "si": "Sinhala", "sk": "Slovak", "sl": "Slovenian",
    "sr": "Serbian", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai", "tr": "Turkish",
    "uk": "Ukrainian", "am": "Amharic", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese", UNKNOWN: "unknown",
}  # fmt: skip

# The first code points of ranges of one script; "" holds no letters of a known script.
_RANGES: Final[tuple[tuple[int, str], ...]] = (
    (0x0000, "Latin"), (0x0370, "Greek"), (0x0400, "Cyrillic"), (0x0530, "Armenian"), (0x0590, "Hebrew"),
    (0x0600, "Arabic"), (0x0700, ""), (0x0750, "Arabic"), (0x0780, ""), (0x08A0, "Arabic"), (0x0900, "Devanagari"),
    (0x0980, "Bengali"), (0x0A00, "Gurmukhi"), (0x0A80, "Gujarati"), (0x0B00, "Odia"), (0x0B80, "Tamil"),
    (0x0C00, "Telugu"), (0x0C80, "Kannada"), (0x0D00, "Malayalam"), (0x0D80, "Sinhala"), (0x0E00, "Thai"),
    (0x0E80, "Lao"), (0x0F00, ""), (0x1000, "Myanmar"), (0x10A0, "Georgian"), (0x1100, "Hangul"),
    (0x1200, "Ethiopic"), (0x13A0, ""), (0x1780, "Khmer"), (0x1800, ""), (0x1E00, "Latin"), (0x1F00, "Greek"),
    (0x2000, ""), (0x2E80, "Han"), (0x3000, ""), (0x3005, "Han"), (0x3008, ""), (0x3040, "Kana"), (0x3100, ""),
    (0x3130, "Hangul"), (0x3190, ""), (0x31F0, "Kana"), (0x3200, ""), (0x3400, "Han"), (0xA000, ""),
    (0xAC00, "Hangul"), (0xD7B0, ""), (0xF900, "Han"), (0xFB00, "Latin"), (0xFB07, ""), (0xFB1D, "Hebrew"),
    (0xFB50, "Arabic"), (0xFE00, ""), (0xFE70, "Arabic"), (0xFEFF, ""), (0xFF21, "Latin"), (0xFF5B, ""),
    (0xFF66, "Kana"), (0xFFA0, ""), (0x20000, "Han"), (0x32000, ""),
)  # fmt: skip
_STARTS = [start for start, _ in _RANGES]

# Scripts of one language. Han and kana are decided together.
_ONLY: Final[Mapping[str, str]] = {
    "Greek": "el", "Armenian": "hy", "Hebrew": "he", "Bengali": "bn", "Gurmukhi": "pa", "Gujarati": "gu", "Odia": "or",
    "Tamil": "ta", "Telugu": "te", "Kannada": "kn", "Malayalam": "ml", "Sinhala": "si", "Thai": "th", "Lao": "lo",
    "Myanmar": "my", "Georgian": "ka", "Hangul": "ko", "Ethiopic": "am", "Khmer": "km",
}  # fmt: skip

# Frequent words of languages that share a script, in lower case.
_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "Latin": {
        "en": "the of and to in is that it for was on are with as be this have from or by not but what all were "
        "we when your can there an which their if do will how about up out them then she many some would "
        "make has had been who its no i you he they my me at so his her a just like more than please want "
        "could does should",
        "de": "der die das und ist nicht ein eine zu den mit von sich auf für dem des auch es an als im werden "
        "aus er sie wir ich nach wird bei einer um am sind noch wie einem über einen so zum war haben nur "
        "oder aber vor zur bis mehr durch kann sein dass wurde hat keine können wenn ihr diese",
        "fr": "le la les des et de un une est dans que qui pour pas sur au du avec ce il en ne se par plus son "
        "sa ses ou mais nous vous je cette sont être aux leur été elle comme tout fait même ont deux "
        "aussi votre cet qu à",
        "es": "el la los las de que y en un una es por con no para se del al lo como más su sus pero o este "
        "esta porque entre cuando muy sin sobre también hasta hay donde quien desde todo nos durante uno "
        "ni ese eso son fue está",
        "it": "il lo la gli le di che e un una in è per non con del della dei delle si da al alla come più ma o "
        "anche questo questa sono nel nella ha dal dalla ai se su ci essere suo sua tra ad quando dell "
        "all",
        "pt": "o a os as de que e em um uma é do da dos das para com não se por no na nos nas ao mais como mas "
        "foi ou seu sua pelo pela ser quando muito já está também só até isso ela ele entre depois sem "
        "mesmo são você",
        "nl": "de het een en van is in op te dat die niet zijn voor met aan er als ook maar bij of om uit door "
        "naar hij ze dan nog wordt over wat je was heeft worden deze kan geen tot hebben zou moet ik we "
        "ij",
        "sv": "och att det som en på är av för med den till inte om ett har de var jag han från men vi så sig "
        "kan när nu eller vid under också efter skall hon mot ut alla varje å",
        "da": "og at det er en til af på de for med den som ikke der et var har han fra men vi så sig kan når "
        "nu eller ved efter også hun skal blev være dette ud alle hvis å du dig kunne venligst må hvad "
        "nogle noget meget mange bliver hvordan selv jeg",
        "no": "og at det er en til av på de for med den som ikke der et var har han fra men vi så seg kan når "
        "nå eller ved etter også hun skal ble være dette ut alle hvis å du deg kunne vennligst må hva "
        "noen noe mye mange blir hvordan selv jeg mennesker",
        "fi": "ja on ei se että hän oli ovat kuin mutta ole tai myös joka sen kun niin jos mitä nyt vain siitä "
        "olla ollut tämä hänen mukaan kanssa sekä voi jotka kaikki he heidän "
        "heille hänelle jonka jossa koska kuten ennen jälkeen aina",
        "et": "ja on ei see et oli ta kui ka mis oma või aga kes nii seda siis ning tema veel üle pärast olema "
        "ma teie palun mitte selle",
        "pl": "i w nie na z się do jest to że o jak a za od po ale co dla przez oraz są tym jego tylko był może "
        "być które który przy jej go czy",
        "cs": "a v se na je že z do o to i k ve pro jako za by ale jsem po jeho jsou nebo od byl při až už "
        "podle které který jen není tato toto prosím být která vám váš jste byla bylo",
        "sk": "a v sa na je že z do o to i k vo pre ako za by ale som po jeho sú alebo od bol pri až už podľa "
        "ktoré ktorý len nie táto toto prosím byť ktorá vám váš ste bola bolo",
        "sl": "in je v na se da za so z ne ki po pa tudi bi od iz kot ali če pri lahko kar do sem bil ker bo ni "
        "ta to vas vaš prosimo ste smo bilo biti ima katere",
        "hr": "i je na se da za su od ne koji a kao o po iz ali što bi sam to bio ili do kako koja nije već "
        "nema ovaj ova ovo molimo vas vaš ste bilo biti ima",
        "hu": "a az és hogy nem is egy ez meg van de volt csak el már mint még azt vagy ha nagyon kell aki lesz "
        "kérjük nincs lehet amely be ki ennek ön",
        "ro": "și de în la a cu că nu pe o este un din mai care pentru au să ce se sunt fi ca prin sau dar după "
        "al lui ale vă rog sunteți acest această trebuie puteți fost dacă",
        "tr": "ve bir bu da de için ile çok olarak o gibi daha ne var olan en kadar ama mi değil ben her sonra "
        "olduğu ya ki",
        "vi": "và của là có không cho được các một trong những người với để này đã khi từ như đến về tôi cũng ra nhưng",
        "id": "yang dan di untuk dengan pada ini dari dalam tidak itu akan adalah ke juga atau oleh karena "
        "sebagai ada saya bisa mereka sudah dapat telah anda silakan harus jika bila lagi",
        "lt": "ir kad tai iš su yra bet kaip ne o jau buvo tik per dar prie apie kuris arba jis nuo jūsų "
        "prašome šis ši būti nėra jei šio",
        "lv": "un ir ka ar no uz par kas tas arī bet nav pēc kā to vai bija lai pie tika jūsu lūdzu šis šī būt "
        "ja šo nevar",
        "ca": "el la els les de que i en un una és per amb no del al com més però o aquest aquesta són dels "
        "seva seu ha també si us plau està pot ser heu té aquests",
        "sw": "na ya wa kwa ni la za katika kuwa cha hiyo hii yake kama si hayo wao watu yeye mtu kila",
    },
    "Cyrillic": {
        "ru": "и в не на что с как это он по но из у за то все так его она был для от же мы бы вы или если "
        "только мне было я при во чтобы может быть этот эта эти который которая которые нет уже ещё вас "
        "ваш их к о до можно были будет этого",
        "uk": "і в не на що з як це він по але із за та про його вона був для від й до ми ви чи якщо тільки "
        "може бути цей ця ці який яка які немає вже ще вас ваш їх або у під буде",
        "bg": "и в не на че с как това той по но от за се да е са ще ли или ако само като при до си може във "
        "които бъде този тази тези трябва ви я има след със към един една моля",
        "sr": "и у не на да с као је он по али из за се то су од са или ако само што би који до овај ова ово "
        "може бити није нема још молимо ваш вас након сте смо",
    },
    "Arabic": {
        "ar": "في من على إلى أن هذا التي الذي عن مع كان لا ما هذه هو هي أو ثم قد كل بعد بين ذلك لم و يتم يرجى "
        "أنت إذا لك يمكن تم ليس يكون كما بها فيه",
        "fa": "و در به از که این را با است برای آن یک خود تا می بر شد هم بود یا شده اند کرد باید لطفا لطفاً شما "
        "وارد نمی شود های کنید اگر دارد",
        "ur": "کے میں کی ہے اور کا سے کو اس یہ نے پر کہ ہیں بھی تھا ایک کر ہو نہیں براہ آپ اگر کریں کوئی جو لئے "
        "لیے گیا",
    },
    "Devanagari": {
        "hi": "के में की है और का से को पर इस यह ने कि हैं भी एक हो नहीं था कर लिए या तो ही गया करें आप कृपया "
        "सकता करने किसी अपने अगर",
        "mr": "आणि आहे या च्या हे व ते की होते नाही एक मध्ये तो ला आहेत होता केली काही पण म्हणून करा कृपया असणे "
        "आवश्यक किंवा आपण साठी हा ही",
    },
}

# Letters that only some of the languages of a script write.
_LETTERS: Final[Mapping[str, Mapping[str, str]]] = {
    "Latin": {
        "de": "ßäöü", "fr": "çœèêàùéîô", "es": "ñóíáéú", "it": "òìàèù", "pt": "ãõçêáéíóúâô", "nl": "ëĳ",
        "sv": "åäö", "da": "åæø", "no": "åæø", "fi": "äö", "et": "õäü", "pl": "łąęśżźćń", "cs": "řěůčšžýéáíú",
        "sk": "ľĺŕôčšžýťáíéú", "sl": "čšž", "hr": "čćđšž", "hu": "őűáéöüíóú", "ro": "șțăîşţ", "tr": "ğışçö",
        "vi": "ơưạếộảấđềệ", "lt": "ėųūįšž", "lv": "ļņķģāēīš", "ca": "çòàïèéíóú",
    },
    "Cyrillic": {
        "ru": "ыэёъ", "uk": "їєґі", "bg": "ъ", "sr": "ћђјљњџ",
    },
    "Arabic": {
        "ar": "ةىأإيك", "fa": "پچژگیک", "ur": "ٹڈڑںےہیک",
    },
    "Devanagari": {
        "mr": "ळ", "hi": "ड़ढ़",
    },
}  # fmt: skip
_LETTER_WEIGHT = 0.5  # of a letter that one language alone writes; a word counts 1

_WORD = re.compile(r"[^\W\d_]+")
_APOSTROPHES = str.maketrans({"’": "'", "ʼ": "'"})


Letters: TypeAlias = dict[str, float]  # script or language -> letters; an ideograph counts as several
Weights: TypeAlias = Mapping[str, Mapping[str, float]]  # word or letter -> language -> what it counts


def _weights(lists: Mapping[str, Iterable[str]], weight: float) -> Weights:
    """Return what each item of some lists counts for the languages that list it: less, the more they are."""
    owners: dict[str, list[str]] = defaultdict(list)
    for language, items in lists.items():
        for item in dict.fromkeys(items):
            owners[item].append(language)
    return {item: dict.fromkeys(languages, weight / len(languages)) for item, languages in owners.items()}


_WORD_WEIGHTS: Final[Mapping[str, Weights]] = {
    script: _weights({language: words.split() for language, words in lists.items()}, 1.0)
    for script, lists in _WORDS.items()
}
_LETTER_WEIGHTS: Final[Mapping[str, Weights]] = {
    script: _weights(lists, _LETTER_WEIGHT) for script, lists in _LETTERS.items()
}


class LanguageReport(TypedDict):
    """The languages of a data set's inputs; see :class:`Languages`."""

    shares: dict[str, float]
    scripts: dict[str, float]
    confidence: float
    letters: int


@dataclass(frozen=True)
class Languages:
    """The languages of some texts.

    Attributes:
        shares: shares of the letters in each language by its ISO 639-1 code, the largest first; ``"und"`` if unknown.
        scripts: shares of the letters in each script, the largest first.
        confidence: share of the letters whose language a script or frequent words decided, 0 to 1.
        letters: number of letters that were read.
    """

    shares: dict[str, float]
    scripts: dict[str, float]
    confidence: float
    letters: int

    @property
    def main(self) -> str:
        """The code of the language with the largest share; ``"und"`` without letters."""
        return next(iter(self.shares), UNKNOWN)

    def share_of(self, languages: Iterable[str]) -> float:
        """Return the share of the letters in any of some languages.

        Args:
            languages: their codes.
        """
        return sum(self.shares.get(language, 0.0) for language in set(languages))

    def as_dict(self) -> LanguageReport:
        """Return the entry of a report."""
        return {
            "shares": {code: round(share, 4) for code, share in self.shares.items()},
            "scripts": {script: round(share, 4) for script, share in self.scripts.items()},
            "confidence": round(self.confidence, 4),
            "letters": self.letters,
        }

    def describe(self) -> str:
        """Return the languages with at least 5% of the letters: ``"Chinese (97%)"``; never empty."""
        shown = [(code, share) for code, share in self.shares.items() if share >= 0.05]
        parts = [f"{describe_language(code, self)} ({share:.0%})" for code, share in shown]
        return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts) or "no letters"


def describe_language(code: str, languages: Languages) -> str:
    """Return the English name of a language; of an unknown one, its script.

    Args:
        code: its code.
        languages: what was detected.
    """
    script = next(iter(languages.scripts), "")
    return (
        f"an unknown language in {script} script"
        if code == languages.main == UNKNOWN and script
        else NAMES.get(code, code)
    )


def detect_languages(texts: Iterable[str]) -> Languages:
    """Detect the languages of texts.

    Args:
        texts: at most the first ``MAX_TEXTS`` are read, and ``MAX_CHARACTERS`` of each; :func:`spread_sample` chooses
            some of many.
    """
    scripts: Letters = defaultdict(float)
    decided: dict[str, Letters] = defaultdict(lambda: defaultdict(float))  # script -> language -> letters
    undecided: Letters = defaultdict(float)  # script -> letters
    words: dict[str, Counter[str]] = defaultdict(Counter)  # script -> word -> how often
    for text in islice(texts, MAX_TEXTS):
        text = unicodedata.normalize("NFC", text[:MAX_CHARACTERS]).lower().translate(_APOSTROPHES)
        letters = _count_letters(text)
        for script, count in letters.items():
            scripts[script] += count
        for script, language, count in _languages_of(text, letters, words):
            if language == UNKNOWN:
                undecided[script] += count
            else:
                decided[script][language] += count
    counts: Letters = defaultdict(float)
    sure = 0.0
    for script in sorted({*decided, *undecided}):
        known = decided[script] if _has_frequent_words(words[script], script) else {}
        sure += sum(known.values())
        every = sum(decided[script].values()) + undecided[script]
        for language, share in _complete(known, every, words[script], script).items():
            counts[language] += share
    total = sum(scripts.values())
    return Languages(_shares(counts, total), _shares(scripts, total), sure / total if total else 0.0, round(total))


def _shares(counts: Mapping[str, float], total: float) -> dict[str, float]:
    """Return shares of a total, the largest first."""
    return {
        name: count / total for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if count
    }


def spread_sample(texts: Sequence[str], count: int = MAX_TEXTS) -> Iterator[str]:
    """Yield some of many texts, evenly spread: a file may be sorted.

    Args:
        texts: the texts.
        count: how many to yield at most.
    """
    step = max(1, -(-len(texts) // count))
    return (texts[i] for i in range(0, len(texts), step))


# -- one text ---------------------------------------------------------------------------------------------------------


def _count_letters(text: str) -> Letters:
    """Count the letters of each script; vowel signs and the like are letters."""
    letters: Letters = defaultdict(float)
    for char, count in Counter(text).items():
        if char.isalpha() or unicodedata.category(char)[0] == "M":
            script = _RANGES[bisect_right(_STARTS, ord(char)) - 1][1]
            if script:
                letters[script] += count * (_IDEOGRAPH if script in ("Han", "Kana") else 1)
    return letters


def _languages_of(
    text: str, letters: Mapping[str, float], words: Mapping[str, Counter[str]]
) -> Iterator[tuple[str, str, float]]:
    """Yield a language for the letters of each script in a text, and count its words."""
    ideographs = letters.get("Han", 0) + letters.get("Kana", 0)
    if ideographs:
        # Japanese text is written with kana to about a half; Chinese text has none.
        yield "Han", "ja" if letters.get("Kana", 0) > 0.05 * ideographs else "zh", ideographs
    for script, count in letters.items():
        if script in _ONLY:
            yield script, _ONLY[script], count
        elif script in _WORDS:
            yield script, _by_words(text, script, words[script]), count


def _by_words(text: str, script: str, counts: Counter[str]) -> str:
    """Return the language whose frequent words occur most in a text; unknown if no language stands out."""
    tokens = Counter(_WORD.findall(text))
    counts.update(tokens)
    return _best_language(tokens, script)


def _best_language(tokens: Mapping[str, int], script: str) -> str:
    """Return the language that lists the most of some words and of their letters; unknown if none stands out."""
    scores: dict[str, float] = defaultdict(float)
    words, letters = _WORD_WEIGHTS[script], _LETTER_WEIGHTS[script]
    for token, count in tokens.items():
        for weights in (words.get(token, {}), *(letters[char] for char in set(token) if char in letters)):
            for language, weight in weights.items():
                scores[language] += count * weight
    best, second = sorted([*scores.items(), ("", 0.0), ("", 0.0)], key=lambda item: -item[1])[:2]
    return best[0] if best[1] >= max(_MIN_SCORE, _MIN_RATIO * second[1]) else UNKNOWN


# -- all texts --------------------------------------------------------------------------------------------------------


def _complete(known: Letters, every: float, words: Counter[str], script: str) -> Letters:
    """Return the letters of each language in a script, the letters of undecided texts included.

    They take the languages of the decided texts. If these are few, as among headlines and single words, they take the
    language of all words together.
    """
    sure = sum(known.values())
    if sure >= every / 2 or script not in _WORDS:
        return {language: count * every / sure for language, count in known.items()}
    language = _best_language(words, script) if known else UNKNOWN
    if language == UNKNOWN and known:
        return {language: count * every / sure for language, count in known.items()}
    return {**known, language: known.get(language, 0.0) + every - sure}


def _has_frequent_words(words: Counter[str], script: str) -> bool:
    """Return whether texts have so many frequent words that what these decided is not chance."""
    if script not in _WORDS:
        return True
    frequent = sum(count for word, count in words.items() if word in _WORD_WEIGHTS[script])
    return frequent >= _MIN_WORD_SHARE * sum(words.values())
