"""Languages are detected by script and frequent words: in one text, in many, and in mixtures."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.data.load import load_texts
from workbench.data.text.language import UNKNOWN, detect_languages, spread_sample
from workbench.spec import DataSpec
from workbench.workspace import Workspace

# The first article of the Universal Declaration of Human Rights; in Danish, which it hardly tells from Norwegian, a
# sentence.
ARTICLES = {
    "ar": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. وقد وهبوا عقلا وضميرا وعليهم أن يعامل بعضهم بعضا "
    "بروح الإخاء.",
    "bg": "Всички хора се раждат свободни и равни по достойнство и права. Те са надарени с разум и съвест и "
    "следва да се отнасят помежду си в дух на братство.",
    "cs": "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem a svědomím "
    "a mají spolu jednat v duchu bratrství.",
    "da": "Jeg ved ikke, hvad der skete, men nogle af dem var blevet hjemme, og hun har været syg hele ugen.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen "
    "begabt und sollen einander im Geist der Brüderlichkeit begegnen.",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason and "
    "conscience and should act towards one another in a spirit of brotherhood.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón "
    "y conciencia, deben comportarse fraternalmente los unos con los otros.",
    "fa": "تمام افراد بشر آزاد به دنیا می‌آیند و از لحاظ حیثیت و حقوق با هم برابرند.",
    "fi": "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan. Heille on annettu "
    "järki ja omatunto, ja heidän on toimittava toisiaan kohtaan veljeyden hengessä.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et "
    "de conscience et doivent agir les uns envers les autres dans un esprit de fraternité.",
    "he": "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם.",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "hu": "Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Az emberek, ésszel és "
    "lelkiismerettel bírván, egymással szemben testvéri szellemben kell hogy viseltessenek.",
    "id": "Semua orang dilahirkan merdeka dan mempunyai martabat dan hak-hak yang sama. Mereka dikaruniai akal "
    "dan hati nurani dan hendaknya bergaul satu sama lain dalam semangat persaudaraan.",
    "it": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono dotati di ragione e "
    "di coscienza e devono agire gli uni verso gli altri in spirito di fratellanza.",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "ka": "ყველა ადამიანი იბადება თავისუფალი და თანასწორი თავისი ღირსებითა და უფლებებით.",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "nl": "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Zij zijn begiftigd met verstand "
    "en geweten, en behoren zich jegens elkander in een geest van broederschap te gedragen.",
    "pl": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni "
    "rozumem i sumieniem i powinni postępować wobec innych w duchu braterstwa.",
    "pt": "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Dotados de razão e de "
    "consciência, devem agir uns para com os outros em espírito de fraternidade.",
    "ro": "Toate ființele umane se nasc libere și egale în demnitate și în drepturi. Ele sunt înzestrate cu "
    "rațiune și conștiință și trebuie să se comporte unele față de altele în spiritul fraternității.",
    "ru": "Все люди рождаются свободными и равными в своём достоинстве и правах. Они наделены разумом и "
    "совестью и должны поступать в отношении друг друга в духе братства.",
    "sv": "Alla människor är födda fria och lika i värde och rättigheter. De är utrustade med förnuft och "
    "samvete och bör handla gentemot varandra i en anda av broderskap.",
    "ta": "மனிதப் பிறவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்.",
    "th": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
    "tr": "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana sahiptirler ve "
    "birbirlerine karşı kardeşlik zihniyeti ile hareket etmelidirler.",
    "uk": "Всі люди народжуються вільними і рівними у своїй гідності та правах. Вони наділені розумом і совістю "
    "і повинні діяти у відношенні один до одного в дусі братерства.",
    "ur": "تمام انسان آزاد اور حقوق و عزت کے اعتبار سے برابر پیدا ہوئے ہیں۔",
    "vi": "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi.",
    "zh": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
}  # fmt: skip


@pytest.mark.parametrize("code", ARTICLES)
def test_the_language_of_one_text(code: str) -> None:
    languages = detect_languages([ARTICLES[code]])
    assert languages.main == code and languages.shares[code] > 0.9, languages
    assert languages.confidence > 0.9


def test_shares_of_a_mixture_are_shares_of_letters() -> None:
    """An ideograph counts as much as 2.5 letters, so that Chinese is not underestimated."""
    languages = detect_languages([*[ARTICLES["en"]] * 3, *[ARTICLES["de"]] * 3])
    assert set(languages.shares) == {"de", "en"} and languages.share_of(["de", "en"]) == pytest.approx(1)
    assert languages.shares["en"] == pytest.approx(0.5, abs=0.05)
    languages = detect_languages(["我们今天去看电影", "we are going to the cinema"])
    assert languages.scripts["Han"] == pytest.approx(0.5, abs=0.1)
    assert languages.describe() == "English (51%) and Chinese (49%)"


def test_texts_without_frequent_words_take_the_language_of_the_others() -> None:
    languages = detect_languages(["Alles ist gut, und das ist nicht schlecht.", "Dampfschifffahrt", "Berlin 2024"])
    assert languages.shares == {"de": 1.0} and languages.confidence < 0.8


def test_single_words_take_the_language_of_all_words_together() -> None:
    """One word says little: *i* is frequent in Polish, and *a* in many languages."""
    words = ["i", "a", "was", "home", "Peter", "York", "to", "the", "music", "again", "London"] * 20
    languages = detect_languages(words)
    assert languages.main == "en" and languages.shares["en"] > 0.9, languages


def test_a_language_that_is_not_listed_is_unknown_and_not_the_nearest() -> None:
    """A few words look like those of a listed language in any text; here fewer than by chance."""
    zulu = "Bonke abantu bazalwa bekhululekile belingana ngesithunzi nangamalungelo."
    languages = detect_languages([zulu] * 10)
    assert languages.shares == {UNKNOWN: 1.0} and languages.confidence == 0
    assert languages.describe() == "an unknown language in Latin script (100%)"


@pytest.mark.parametrize("texts", [[], ["", "  "], ["12:30, 4 € ... 🙂"]])
def test_texts_without_letters_have_no_language(texts: list[str]) -> None:
    languages = detect_languages(texts)
    assert (languages.shares, languages.letters, languages.main) == ({}, 0, UNKNOWN)
    assert languages.describe() == "no letters"


def test_the_apostrophe_and_the_composition_of_letters_do_not_matter() -> None:
    composed, decomposed = "für", "fu\u0308r"
    assert detect_languages([composed]).shares == detect_languages([decomposed]).shares == {"de": 1.0}


def test_a_sample_is_spread_over_a_sorted_file() -> None:
    texts = [ARTICLES["en"]] * 5_000 + [ARTICLES["zh"]] * 5_000
    assert {"en", "zh"} <= set(detect_languages(spread_sample(texts, 200)).shares)
    assert list(spread_sample([], 5)) == []


@pytest.mark.mirror
@pytest.mark.parametrize(
    ("name", "column", "expected"),
    [
        ("xquad-de", "question", "de"),
        ("xquad-en", "question", "en"),
        ("xquad-zh", "question", "zh"),
        ("tnews", "text", "zh"),
        ("chnsenticorp-hotel", "text", "zh"),
        ("banking77", "text", "en"),
        ("snips", "text", "en"),
        ("financial-phrasebank", "text", "en"),
        ("tatoeba-en-zh", "source", "en"),
        ("tatoeba-en-zh", "target", "zh"),
    ],
)
def test_data_sets_of_the_catalogue(
    name: str, column: str, expected: str, shared_cache: Path, workspace: Workspace
) -> None:
    spec = DataSpec(train=name) if column == "text" else DataSpec(train=name, columns={"text": column})
    texts, _ = load_texts(spec, workspace)
    languages = detect_languages(spread_sample(texts))
    assert languages.main == expected and languages.shares[expected] > 0.9, languages
