"""A file's encoding is detected, or the file is refused with both readings; it is never read in a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.data.readers.encodings.encoding import decode
from workbench.data.readers.encodings.guess import is_certain, rank_readings
from workbench.data.readers.read import read_table
from workbench.data.text.corpus import open_text
from workbench.errors import DataError

_WESTERN = ("cp1252", "mac_roman", "cp850")
_CENTRAL = ("cp1250", "iso8859_2")
_TEXTS = {
    "French": (_WESTERN, ["La soirée était très agréable et le dîner délicieux.", "Où est la clé ? Ça m'a coûté cher.",
                          "J'ai déjà vu ce film à Noël."]),
    "Spanish": (_WESTERN, ["El niño soñó con ñandúes y pingüinos.", "La última película cargó demasiado.",
                           "¿Por qué nadie limpió la habitación?"]),
    "Italian": (_WESTERN, ["La città è bella ma il caffè costa troppo.", "Perché non c'è più pane?",
                           "Lunedì andrò al mare con papà."]),
    "German": (_WESTERN, ["Das Frühstück war sehr gut.", "Schöne Grüße aus Köln.", "Ich hätte gern mehr gehört."]),
    "Swedish": (_WESTERN, ["Filmen var väldigt tråkig och för lång.", "Jag åt en god måltid på hotellet."]),
    "Portuguese": (_WESTERN, ["Não gostei do filme, a história é péssima.", "Você já viu a exposição?"]),
    "Polish": (_CENTRAL, ["Świetny film, bardzo mi się podobał.", "Obsługa była miła, ale jedzenie zimne."]),
    "Czech": (_CENTRAL, ["Příběh je skvělý, herci jsou výborní.", "Děkuji, už nikdy víc."]),
    "Hungarian": (_CENTRAL, ["Jövőre visszajövünk, mert szép hely.", "Az étel hideg volt és a pincér udvariatlan."]),
    "Turkish": (("cp1254",), ["Film çok güzeldi, herkese öneririm.", "Yemek soğuktu ve garson kabaydı."]),
    "Latvian": (("cp1257",), ["Filma bija ļoti gara un garlaicīga.", "Ēdiens bija auksts, bet apkalpošana laba."]),
    "Russian": (("cp1251", "koi8_r", "cp866", "mac_cyrillic"), ["Фильм очень понравился.", "ОЧЕНЬ ПЛОХО, холод."]),
    "Greek": (("cp1253", "iso8859_7"), ["Η ταινία ήταν πολύ καλή.", "Το φαγητό ήταν κρύο και ακριβό."]),
    "Hebrew": (("cp1255",), ["הסרט היה מאוד טוב", "האוכל היה קר ויקר"]),
    "Arabic": (("cp1256",), ["الفيلم كان جيدا جدا", "الطعام كان باردا وغاليا"]),
    "Thai": (("cp874",), ["หนังเรื่องนี้สนุกมาก", "อาหารเย็นชืดและแพง"]),
    "Chinese": (("gb18030",), ["这部电影非常好看，演员很出色", "剧情无聊，浪费时间"]),
    "Taiwan": (("big5",), ["這部電影非常好看，演員很出色", "劇情無聊，浪費時間"]),
    "Japanese": (("cp932", "euc_jp"), ["この映画はとても面白かったです。", "食事は冷たくて高かった。"]),
    "Korean": (("cp949",), ["이 영화는 정말 재미있었어요.", "음식이 차갑고 비쌌습니다."]),
}  # fmt: skip
_CASES = [(language, encoding) for language, (encodings, _) in _TEXTS.items() for encoding in encodings]


def _table(sentences: list[str], times: int) -> str:
    rows = [f'"{sentence} {i}",{"pos" if i % 2 else "neg"}\n' for i in range(times) for sentence in sentences]
    return "text,label\n" + "".join(rows)


@pytest.mark.parametrize(("language", "encoding"), _CASES)
@pytest.mark.parametrize("times", [1, 40])
def test_encodings_of_languages_are_detected(language: str, encoding: str, times: int) -> None:
    text = _table(_TEXTS[language][1], times)
    decoded, notes = decode(text.encode(encoding), "a.csv")
    assert decoded == text
    assert len(notes) == 1 and "is not UTF-8" in notes[0]


@pytest.mark.parametrize(("language", "encoding"), _CASES)
def test_a_single_sentence_is_detected_or_refused_but_never_garbled(language: str, encoding: str) -> None:
    for sentence in _TEXTS[language][1]:
        text = _table([sentence], 1)
        if text.isascii():
            continue
        try:
            decoded, _ = decode(text.encode(encoding), "a.csv")
        except DataError as error:
            assert "could be" in str(error) and "data.encoding=" in error.hint
        else:
            assert decoded == text


def test_repeated_rows_change_nothing() -> None:
    for language, encoding in _CASES:
        few, many = (rank_readings(_table(_TEXTS[language][1], times).encode(encoding)) for times in (1, 100))
        assert [reading.encoding for reading in few] == [reading.encoding for reading in many]
        assert is_certain(few) and is_certain(many)


def test_two_readings_that_fit_are_shown_with_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\nplain,a\nEl desayuno estaba frío.,b\n".encode("mac_roman"))
    with pytest.raises(DataError) as caught:
        read_table(path)
    message = str(caught.value)
    assert "could be cp1252 or mac_roman" in message
    assert "line 3: 'El desayuno estaba fr’o.,b' (cp1252) or 'El desayuno estaba frío.,b' (mac_roman)" in message
    assert "data.encoding=mac_roman" in caught.value.hint
    assert read_table(path, encoding="mac_roman").columns["text"][1] == "El desayuno estaba frío."


def test_bytes_that_are_not_text_in_any_encoding_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,label\n" + bytes(range(0x80, 0x100)) * 3 + b",a\n")
    with pytest.raises(DataError, match="is not utf-8 text"):
        read_table(path)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_detected_in_plain_english_too(tmp_path: Path, encoding: str) -> None:
    """Its bytes are valid UTF-8, with a NUL character after each letter."""
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\ngood,a\n".encode(encoding))
    table = read_table(path)
    assert table.columns == {"text": ["good"], "label": ["a"]} and encoding in table.notes[0]
    lines, _ = open_text(path, None)
    assert "".join(lines("")) == "text,label\ngood,a\n"


def test_an_encoding_that_contradicts_the_mark_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\nschön,a\n".encode("utf-8-sig"))
    assert list(read_table(path, encoding="utf-8").columns) == ["text", "label"]
    with pytest.raises(DataError, match="begins with the byte order mark of UTF-8"):
        read_table(path, encoding="cp1252")


def test_a_file_in_two_encodings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = ["text,label\n", *[f"déjà vu {i},a\n" for i in range(10)]]
    path.write_bytes(b"".join(line.encode("cp1252" if i == 4 else "utf-8") for i, line in enumerate(lines)))
    with pytest.raises(DataError, match="line 5: byte 0xe9"):
        read_table(path)
    path.write_bytes(b"".join(line.encode("cp1252" if i >= 4 else "utf-8") for i, line in enumerate(lines)))
    with pytest.raises(DataError, match=r"line 5: byte 0xe9 .* 3 of 10 lines .* are UTF-8"):
        read_table(path)


# -- detected or named -------------------------------------------------------------------------------------------------

_SAMPLES = {
    "gb18030": "这家宾馆的房间很大，服务员态度也很好，早餐稍微差一点。",
    "big5": "這家飯店的房間很大，服務人員的態度也很好，早餐稍微差一點。",
    "shift_jis": "このホテルの部屋はとても広くて、朝食もおいしかったです。また泊まりたいと思います。",
    "euc_kr": "이 호텔은 방이 매우 넓고 직원들이 친절했습니다. 다시 방문하고 싶습니다.",
    "cp1251": "В этой гостинице большие номера, вежливый персонал и очень вкусный завтрак.",
    "cp1252": "L’hôtel était très agréable – le petit déjeuner était excellent, même à 11 h.",
    "latin-1": "Das Frühstück war sehr gut, die Zimmer größer als erwartet; schöne Grüße aus Köln.",
    "utf-16-le": "Das Frühstück war sehr gut.",
    "utf-16-be": "Das Frühstück war sehr gut.",
}


@pytest.mark.parametrize("encoding", sorted(_SAMPLES))
def test_encodings_are_detected_or_set(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    text = _SAMPLES[encoding]
    path.write_bytes(("text,label\n" + f'"{text}",a\n' * 20).encode(encoding))
    detected = read_table(path)
    assert detected.columns["text"] == [text] * 20
    assert any("encoding" in note or "utf-16" in note for note in detected.notes), "a guess is noted"
    explicit = read_table(path, encoding=encoding)
    assert explicit.columns["text"] == [text] * 20 and not explicit.notes


def test_an_encoding_that_does_not_fit_names_byte_and_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\ngut,a\nschön,b\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.csv, line 3: byte 0xf6 at offset 20 is not utf-8"):
        read_table(path, encoding="utf-8")


def test_damaged_utf8_is_refused_instead_of_guessed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,label\n" + "größer und schöner,a\n".encode() * 30 + b"kaputt \xff,b\n")
    with pytest.raises(DataError, match="line 32: byte 0xff"):
        read_table(path)


@pytest.mark.parametrize(
    "encoding", ["no-such", "rot13", "bz2", "base64", "zlib", "idna", "utf-8\0", "../x", "undefined"]
)
def test_codecs_that_are_not_text_encodings_are_refused(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,b\n")
    with pytest.raises(DataError, match="not a text encoding"):
        read_table(path, encoding=encoding)
