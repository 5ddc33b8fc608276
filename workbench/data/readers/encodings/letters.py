"""How often letters outside ASCII occur in languages, and which short words are frequent: evidence for an encoding.

The numbers are rounded estimates, one per thousand letters of running text. They need not be exact: readings of a file in
a wrong encoding contain letters and signs that its language hardly has.
"""

# ruff: noqa: E501

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """A language that is written with few letters outside ASCII, or in a script of its own.

    Args:
        name: in English.
        letters: letter -> how many there are among 1,000 letters, small letters only.
        words: frequent short words.
        encodings: in which its texts are usual.
    """

    name: str
    letters: dict[str, float]
    words: frozenset[str]
    encodings: tuple[str, ...]


WESTERN = ("cp1252", "iso8859_15", "mac_roman", "cp850", "cp437")
CENTRAL = ("cp1250", "iso8859_2", "mac_latin2", "cp852")
BALTIC = ("cp1257", "iso8859_13")
TURKISH = ("cp1254", "mac_turkish", "cp857")
CYRILLIC = ("cp1251", "koi8_r", "iso8859_5", "cp866", "mac_cyrillic")
GREEK = ("cp1253", "iso8859_7", "mac_greek", "cp737")
HEBREW = ("cp1255", "iso8859_8", "cp862")
ARABIC = ("cp1256", "iso8859_6")


def _special(letters: str) -> dict[str, float]:
    """Read "é19 è3": letters, each with its number in 1,000."""
    return {part[0]: float(part[1:]) for part in letters.split()}


def _script(letters: str) -> dict[str, float]:
    """Return numbers for the letters of a script, the most frequent first: they fall off about as 1/(rank + 6)."""
    weights = [1.0 / (rank + 6) for rank in range(len(letters))]
    return {letter: 1000 * weight / sum(weights) for letter, weight in zip(letters, weights, strict=True)}


def _language(name: str, letters: dict[str, float], words: str, encodings: tuple[str, ...]) -> Language:
    return Language(name, letters, frozenset(words.split()), encodings)


LANGUAGES = (
    _language("French", _special("é19 è4 à5 ê2.3 ç.9 ô.6 ù.6 î.5 û.6 â.5 ë.1 ï.1 œ.2 æ.02 ÿ.01"),
              "le la les de des du un une et est en que qui dans pour pas sur au avec ce il elle plus je ne se par sont "
              "très était même à où", WESTERN),
    _language("Spanish", _special("ó8 á5 í7 é4.5 ñ3 ú1.7 ü.15 ª.05 º.1"),
              "el la los las de del que y en un una por con para se no es su al lo como más pero me muy fue está todo",
              WESTERN),
    _language("Portuguese", _special("ã8 ç5 á4 é4 í2.5 ó3 ê3 õ2 ú1.5 à1 â1 ô1 ü.05 ª.05 º.1"),
              "o a os as de do da dos das que e em um uma para com não no na se por mais muito é foi mas são está",
              WESTERN),
    _language("Italian", _special("è6 à4.5 ò2.5 ù1.8 ì1.5 é1 î.01 ª.02 º.05"),
              "il la le lo gli di del della che e un una per con non in da si ma sono ho come più anche è al nel questo",
              WESTERN),
    _language("German", _special("ü7 ä6 ö3.5 ß3.5 é.1"),
              "der die das und ist nicht ein eine zu mit den von im auf war sich es ich sehr für dem auch als aber",
              WESTERN),
    _language("Dutch", _special("é.6 ë1.2 ï.3 è.15 ö.1 ê.05 ü.05 á.05 ó.05"),
              "de het een en van is dat niet in op te zijn met voor was maar ik er aan ook die heel", WESTERN),
    _language("Swedish", _special("ä18 å13 ö13 é.3 ü.05 à.03"),
              "och att det som en ett är inte på av för med den jag har till var mycket men om så", WESTERN),
    _language("Danish or Norwegian", _special("å12 ø9 æ7 é.3 ö.05 ä.05 ò.03 ó.03"),
              "og at det som en et er ikke på av af for med den jeg har til var meget men om så veldig", WESTERN),
    _language("Finnish", _special("ä36 ö4.5 å.1 š.02 ž.02"),
              "ja on ei se että oli hän mutta joka kun myös ovat hyvin tämä niin mitä kuin", WESTERN),
    _language("Icelandic", _special("á17 ð40 í15 é6 ó9 þ14 ö8 æ8 ú6 ý2"),
              "og að er ekki var það sem á í við til um en hann mjög", WESTERN),
    _language("Catalan", _special("à7 é5 è3 ò2 í4 ó4 ú2 ç2 ï.5 ü.3 ·1"),
              "el la els les de del que i en un una per amb és no més molt va", WESTERN),
    _language("English", _special("é.15 ï.03 è.03 ö.02 ü.03 ç.02 ê.02 ñ.02 á.01 à.02 ô.02 ä.02 ó.02 í.02 œ.005 æ.01"),
              "the of and to a in is was it that for with on not this but as be have i very at an i'd it's you he she they we from were what there all one so if my his her had are would which", WESTERN),
    _language("Polish", _special("ł18 ą10 ę11 ó8.5 ż8 ś7 ć4 ń2 ź.6 é.03"),
              "i w na z do nie to się że jest o jak ale po od za co tak był bardzo już", CENTRAL),
    _language("Czech", _special("í32 á22 é13 ě16 ř12 š8 č10 ž10 ý11 ů6 ú1.5 ť.4 ď.2 ň.7 ó.3 ö.02 ü.02"),
              "a je v na se to že s z do o ale pro jsem byl tak jako by velmi není", CENTRAL),
    _language("Slovak", _special("á20 í12 é8 č12 š9 ž10 ý11 ú9 ľ4 ť6 ň1.5 ô1.6 ď1.5 ä1 ó.6 ĺ.1 ŕ.1 ö.02 ü.02"),
              "a je v na sa to že s z do o ale pre som bol tak ako by veľmi nie", CENTRAL),
    _language("Hungarian", _special("á36 é34 ö11 ó10 ő9 í6 ü6 ú3 ű2"),
              "a az és hogy nem is egy van ez volt de csak meg nagyon mint ha még", CENTRAL),
    _language("Croatian or Slovenian", _special("č12 š9 ž6 ć6 đ3 ä.02 ö.02 ü.02"),
              "i je u na se da za to su od ne s a o kao ali in v ni pa bil vrlo zelo", CENTRAL),
    _language("Romanian", _special("ă20 î9 â6 ş11 ţ10 ș1 ț1 é.02"),
              "de la si cu nu un o in pe ce se a din este mai foarte care pentru că și", CENTRAL),
    _language("Albanian", _special("ë75 ç6"), "dhe e i në të një për me nuk është që ka se", WESTERN),
    _language("Estonian", _special("ä12 õ10 ü6 ö2 š.1 ž.05"), "ja on ei ta see oli et aga kui ka mis väga ning", BALTIC + WESTERN),
    _language("Latvian", _special("ā38 ī19 ē17 š10 ū6 ņ5 ž3 ļ3 č2 ķ1.5 ģ1.5"), "un ir ka ar no par bet uz ne kas ļoti tas", BALTIC),
    _language("Lithuanian", _special("ė15 ų12 š13 ž9 ū5 į7 ą6 č4 ę2"), "ir yra kad su ne tai bet iš į labai buvo o", BALTIC),
    _language("Turkish", _special("ı51 ş18 ü18 ç11 ğ11 ö8 â.2 î.1 é.01"),
              "ve bir bu da de için çok ne ile ama en daha gibi var o mi", TURKISH),
    _language("Russian", _script("оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"), "и в не на что я с он как это но так по из за очень было все мне", CYRILLIC),
    _language("Ukrainian", _script("оаинвіетрсклдумпязьгбйчхжцюїшєщфґ'"), "і в не на що я з як це але та по за до", ("cp1251", "koi8_u", "iso8859_5", "mac_cyrillic")),
    _language("Bulgarian", _script("аоиетнрсвлдпкмзугячбъцжйхщюшфь"), "и на да се не в с за от е много но по", CYRILLIC),
    _language("Serbian", _script("аоиетнрсјвулкдмпзгбчљшцњжћхђфџ"), "и је у на се да за то су од не са", ("cp1251", "iso8859_5")),
    _language("Greek", _script("αοιετσνηυρπκμςλίάόέγδήωύχθφβώξζψϊϋΐ"), "και το να του η της με που την από είναι δεν", GREEK),
    _language("Thai", _script("านรอกเงมยลวดทสตะปบคหแจพชขใไโผ่้ี๊ั็ิื์ุูำึๆฟซถธณญศษภฉฝฐฏฎฑฒฆฌฮ๋"), "", ("cp874",)),
    _language("Hebrew", _script("יוהלאמתרבשנחדפקצעגםטכזןסךףץ"), "של את לא על זה אני הוא עם", HEBREW),
    _language("Arabic", _script("اليمنرتبوهدعفسكقحجشطصخذىءضزغثئؤظآإأةپچگژکی"), "في من على أن إلى لا هذا ما", ARABIC),
)  # fmt: skip

# The hundred or so most frequent characters, without order.
CHINESE = "的一是不了在有我他这个们来到时大地为子中你说生国年着就那和要她出也得里后自以会家可下而过天去能对小多然于心学么之都好看起发当没成只如事把还用第样道想作种开美总从无情己面最女但现前些所同日手又行意动方期它头经长儿回位分爱老因很给名法间斯知世什两次使身者被高已亲其进此话常与活正感房间服务店员早餐宾馆酒很差点影演"
TAIWAN = "的一是不了在有我他這個們來到時大地為子中你說生國年著就那和要她出也得裡後自以會家可下而過天去能對小多然於心學麼之都好看起發當沒成只如事把還用第樣道想作種開美總從無情己面最女但現前些所同日手又行意動方期它頭經長兒回位分愛老因很給名法間斯知世什兩次使身者被高已親其進此話常與活正感房服務飯店員早餐差點電影"
JAPANESE = "日一国人年大十二本中長出三時行見月後前生五間上東四今金九入学高円子外八六下来気小七山話女北午百書先名川千水半男西電校語土木聞食車何南万毎白天母火右読友左休父雨思部屋朝泊映画"
KOREAN = "이다는에을가의고하한지은를로도기사아리그나서어대인자해일시수있정안만내것보라들면부게여제전장니으주원오우스구었했습적상과연없마같영화좋너무재미방매직친절다시싶호텔넓"
