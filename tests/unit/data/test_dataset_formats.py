"""Dataset formats, each against a small handwritten file; malformed files are refused with the row."""

from __future__ import annotations

import ast
import io
import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from workbench.data.catalogue.entries import catalogue
from workbench.data.readers.formats import RawFile, format_for, formats, read_format
from workbench.data.readers.formats import crosswoz as crosswoz_format
from workbench.data.readers.formats.cmrc2018 import nearest
from workbench.data.readers.formats.functions import prompt
from workbench.data.readers.formats.next_sentences import sentences
from workbench.data.readers.table import Table
from workbench.errors import DataError, UnknownNameError

# Formats in which no data set of the catalogue is.
USERS_FORMATS = {"squad", "spacy-training", "fewrel", "parallel", "tmx", "fasttext"}


def read(name: str, *contents: str | bytes, split: str = "train") -> Table:
    """Read files with this content, named a, b, ..."""
    files = [
        RawFile(f"{chr(97 + i)}.file", content.encode() if isinstance(content, str) else content)
        for i, content in enumerate(contents)
    ]
    table = formats.get(name)().read(files, split)
    table.notes += [note for file in files for note in file.notes]
    return table


def test_every_format_of_the_catalogue_exists_and_is_used() -> None:
    used = {entry.read_options.format for entry in catalogue().datasets.values()} - {None}
    assert used <= set(formats.names()) and set(formats.names()) - used == USERS_FORMATS - used
    with pytest.raises(UnknownNameError, match="Did you mean 'conll'"):
        read_format("conl", [], "x")


# -- words and tags ---------------------------------------------------------------------------------------------------

CONLL = "The\tO\r\nMad\tB-group\nIf\tI-group\n\n\t\n-DOCSTART- O\n\nü a\tO\n. O\n"


def test_conll() -> None:
    """Tabs or spaces, Windows line ends, several empty lines, a document marker, a word that contains a space."""
    table = read("conll", CONLL)
    assert table.columns["words"] == [["The", "Mad", "If"], ["ü a", "."]]
    assert table.columns["tags"] == [["O", "B-group", "I-group"], ["O", "O"]]
    assert table.rows == [1, 8] and table.unit == "line"
    assert table.columns["document"] == ["0", "1"]


def test_conll_takes_the_first_and_the_last_field() -> None:
    table = read("conll", "EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n")
    assert table.columns == {
        "words": [["EU", "rejects"]],
        "tags": [["B-ORG", "O"]],
        "column_2": [["NNP", "VBZ"]],
        "column_3": [["B-NP", "B-VP"]],
        "column_4": [["B-ORG", "O"]],
    }


@pytest.mark.parametrize("line", ["word", "word\t", "\tO", "word\t \t"])
def test_a_conll_line_without_a_tag_is_refused(line: str) -> None:
    with pytest.raises(DataError, match=r"a\.file, line 3"):
        read("conll", f"a O\nb O\n{line}\n")


CONLLU = """# newdoc id = a
# sent_id = 1
# text = Zum Beispiel Oslo
1-2\tZum\t_\t_\t_\t_\t_\t_\t_\t_
1\tZu\tzu\tADP\t_\t_\t2\tcase\t_\t{0}
2\tdem\tder\tDET\t_\t_\t0\troot\t_\t{1}
2.1\tx\t_\t_\t_\t_\t_\t_\t_\t_
3\tOslo\tOslo\tPROPN\t_\t_\t2\tx\t_\t{2}

# newdoc id = b
1\t#\t#\tSYM\t_\t_\t0\troot\t_\t{0}
2\tOslo\tOslo\tPROPN\t_\t_\t1\tx\t_\t{2}
"""


@pytest.mark.parametrize(
    ("tags", "note"),
    [
        (("O", "O", "B-LOC"), "the words are in field 2 of 10, and the tags in field 10"),
        (("_", "SpaceAfter=No", "SpaceAfter=No|NER=B-LOC"), "pairs such as NER=B-PER"),
    ],
)
def test_conllu(tags: tuple[str, ...], note: str) -> None:
    """Comments, ranges of words and empty nodes are skipped; a word may be ``#``; documents are numbered."""
    table = read("conll", CONLLU.format(*tags))
    assert table.columns["words"] == [["Zu", "dem", "Oslo"], ["#", "Oslo"]]
    assert table.columns["tags"] == [["O", "O", "B-LOC"], ["O", "B-LOC"]]
    assert table.columns["column_4"][0] == ["ADP", "DET", "PROPN"]
    assert table.columns["document"] == ["1", "2"] and table.group == "document"
    assert table.rows == [5, 11]
    for part in (note, "4 lines with comments", "2 ranges of words and empty nodes"):
        assert any(part in each for each in table.notes), part


def test_conllu_without_tags_of_entities_has_no_tags() -> None:
    """A treebank's other columns can be chosen; underscores are not taken for tags."""
    table = read("conll", CONLLU.format("_", "_", "_"))
    assert "tags" not in table.columns and table.columns["column_4"][1] == ["SYM", "PROPN"]


def test_germeval_has_two_levels_of_tags() -> None:
    content = """#\thttp://de.wikipedia.org/wiki/Bayern [2009-10-17]
1\tBayern\tB-ORG\tB-LOC
2\tMünchen\tI-ORG\tB-LOC
3\tsiegt\tO\tO

#\thttp://de.wikipedia.org/wiki/x [2009-10-17]
1\tSchartau\tB-PER\tO
2\tsagt\tO\tO
3\tORG\tO\tB-ORG
"""
    table = read("conll", content)
    assert table.columns["words"][0] == ["Bayern", "München", "siegt"]
    assert table.columns["tags"] == [["B-ORG", "I-ORG", "O"], ["B-PER", "O", "O"]]
    assert table.columns["column_4"] == [["B-LOC", "B-LOC", "O"], ["O", "O", "B-ORG"]]
    assert any("words are in field 2 of 4, and the tags in field 3" in note for note in table.notes)


def test_conll_fields_with_other_tags() -> None:
    """Chunks are not entities: the last field is, even if its types have no prefix, or the words are numbered."""
    numbered = read("conll", "1 EU NNP B-NP B-ORG\n2 rejects VBZ B-VP O\n\n1 Ada NNP B-NP B-PER\n2 sings VBZ B-VP O\n")
    assert numbered.columns["tags"] == [["B-ORG", "O"], ["B-PER", "O"]]
    plain = read("conll", "EU NNP B-NP ORG\nrejects VBZ B-VP O\n\nAda NNP B-NP PER\nsings VBZ B-VP O\n")
    assert plain.columns["tags"] == [["ORG", "O"], ["PER", "O"]]
    score = read("conll", "EU B-ORG 0.9\nrejects O 0.8\n\nAda B-PER 0.7\nsings O 0.9\n")
    assert score.columns["tags"] == [["B-ORG", "O"], ["B-PER", "O"]] and score.columns["column_3"][0] == ["0.9", "0.8"]
    on = read("conll", "1\tEU\tB-ORG\n2\tsays\tO\n\n3\tAda\tB-PER\n4\tsings\tO\n")
    assert on.columns["words"] == [["EU", "says"], ["Ada", "sings"]]
    inner = read("conll", "1\tEU\tB-ORG\tO\n2\tsays\tO\tO\n")
    assert inner.columns["tags"] == [["B-ORG", "O"]], "a second level without entities is not the tags"
    years = read("conll", "1999 NN O\n2000 NN O\nOslo NNP B-LOC\n")
    assert years.columns["words"] == [["1999", "2000", "Oslo"]]


def test_one_document_is_no_group() -> None:
    table = read("conll", "-DOCSTART- -X- O O\n\nAda NN NP B-PER\n\nOslo NN NP B-LOC\n")
    assert table.group is None and "document" not in table.columns and len(table) == 2
    assert any("There is one document" in note for note in table.notes)
    two = read("conll", "-DOCSTART- -X- O O\n\nAda NN NP B-PER\n\n-DOCSTART- -X- O O\n\nOslo NN NP B-LOC\n")
    assert two.group == "document" and two.columns["document"] == ["1", "2"]


def test_tags_before_words_are_refused() -> None:
    with pytest.raises(DataError, match=r"line 1: the first field holds tags \('B-PER'\)"):
        read("conll", "B-PER Ada\nO sings\n\nB-LOC Oslo\nO .\n")
    assert read("conll", "O O\nB-X B-PER\n").columns["words"] == [["O", "B-X"]], "words may look like tags"


def test_characters_are_words() -> None:
    table = read("conll", "海 O\n钓 O\n厦 B-LOC\n门 I-LOC\n。 O\n")
    assert table.columns["words"] == [["海", "钓", "厦", "门", "。"]]
    assert table.columns["tags"] == [["O", "O", "B-LOC", "I-LOC", "O"]]


@pytest.mark.parametrize(
    ("name", "content", "result"),
    [
        ("a.txt", "-DOCSTART- O\n\nAda B-PER\nsings O\n. O\n\nOslo B-LOC\n. O\n", True),
        ("a.txt", "Ada\tB-PER\r\nsings\tO\r\n.\tO\r\n\r\nOslo\tB-LOC\r\n.\tO\r\n", True),
        ("a.tsv", "# x\n1\tAda\tB-PER\tO\n2\t.\tO\tO\n\n# y\n1\tIn\tO\tO\n2\tOslo\tB-LOC\tO\n3\t.\tO\tO\n", True),
        ("a.txt", "Ada PER\nsings O\n. O\n\nOslo LOC\n. O\n", True),
        ("a.tsv", "B-PER\tAda\nO\tsings\nO\t.\n\nB-LOC\tOslo\nO\t.\n", True),
        ("a.txt", "A story.\n\nIt has B-52 bombers.\nAnd two paragraphs.\nAnd O\nof it\n", False),
        ("a.tsv", "text\tlabel\na film\tpos\nb film\tneg\nc film\tO\nd\tO\n\ne\tO\n", False),
        ("a.tsv", "words\ttags\nAda sings\tB-PER O\nOslo .\tB-LOC O\nOslo .\tB-LOC O\n\nx\tO\n", False),
        ("a.csv", "Ada B-PER\nsings O\n. O\n\nOslo B-LOC\n. O\n", False),
        ("b.conllu", "", True),
    ],
)
def test_text_files_that_begin_like_conll(tmp_path: Path, name: str, content: str, result: bool) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode())
    assert (format_for(path) == "conll") == result


def test_cluener() -> None:
    """Consecutive objects; words are characters except spaces; a nested name is excluded."""
    first = {
        "text": "他在《北京 爱情》里",
        "label": {"book": {"《北京 爱情》": [[2, 8]]}, "address": {"北京": [[3, 4]]}},
    }
    second = {"text": "北京和北京", "label": {"address": {"北京": [[0, 1], [3, 4]]}}}
    table = read("cluener", json.dumps(first, ensure_ascii=False, indent=1) + "\n" + json.dumps(second) + "\n\n")
    assert "".join(table.columns["words"][0]) == "他在《北京爱情》里"
    assert table.columns["tags"][0] == ["O", "O", "B-book", *["I-book"] * 5, "O"]
    assert table.columns["tags"][1] == ["B-address", "I-address", "O", "B-address", "I-address"]
    assert any("excluded 1 names inside longer ones" in note for note in table.notes)
    third = {"text": "北京大学好", "label": {"address": {"北京": [[0, 1]]}, "organization": {"北京大学": [[0, 3]]}}}
    tags = read("cluener", json.dumps(third)).columns["tags"][0]
    assert tags == ["B-organization", *["I-organization"] * 3, "O"], (
        "the longer one, if both begin at the same character"
    )


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ('{"text": "ab", "label": {"x": {"b": [[0, 0]]}}}', "row 2: 'b' is not at characters 0 to 0"),
        ('{"text": "ab", "label": {"x": {"b": [[1]]}}}', "row 2: .* not a position"),
        ('{"text": "ab", "label": {"x": 1}}', "row 2: the names of kind"),
        ('{"text": "ab"}', "row 2: 'label' is missing"),
        ('{"text": 1, "label": {}}', "row 2: 'text' is int"),
        ('{"text": "ab", ', "row 2, line 2: not JSON"),
        ("[" * 100_000, "row 2"),
        ("[]", "row 2: 'text' is missing"),
    ],
)
def test_broken_cluener(second: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read("cluener", '{"text": "ab", "label": {}}\n' + second)


def snips(intent: str, *utterances: list[dict]) -> str:
    return json.dumps({intent: [{"data": chunks} for chunks in utterances]}, indent=1, ensure_ascii=False)


def test_snips() -> None:
    """Segment boundaries are word boundaries, texts are complete; a line that is not UTF-8 is decoded separately."""
    first = [{"text": "Play "}, {"text": "La  Bohème", "entity": "album"}, {"text": ", now "}]
    second = [{"text": "sunny"}]
    content = snips("PlayMusic", first).encode() + b"\n"
    content = content.replace("è".encode(), b"\xe8").replace(b"Play ", "Plâ ".encode())
    table = read("snips", content, snips("GetWeather", second))
    assert table.columns["text"] == ["Plâ La Bohème, now", "sunny"]
    assert table.columns["label"] == ["PlayMusic", "GetWeather"]
    assert table.columns["words"][0] == ["Plâ", "La", "Bohème", ",", "now"]
    assert table.columns["tags"][0] == ["O", "B-album", "I-album", "O", "O"]
    assert table.rows == [1, 2] and any("1 lines are not UTF-8" in note for note in table.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "b.file: an object with one intent"),
        ('{"A": [{"data": [{"text": "x"}]}, {"data": [{"txt": "x"}]}]}', "b.file, row 2: 'text' is missing"),
        ('{"A": [{"data": [{"text": "x", "entity": 3}]}]}', "b.file, row 1: 'entity' is int"),
        ('{"A": [3]}', "b.file, row 1: 'data' is missing"),
        ('{"A": [', "b.file, line 1: not JSON"),
        (b'{"A": [{"data": [{"text": "\x81\xff"}]}]}', "b.file, line 1: it is neither UTF-8 nor"),
    ],
)
def test_broken_snips(content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read("snips", snips("PlayMusic", [{"text": "x"}]), content)


# -- texts with labels ------------------------------------------------------------------------------------------------


def test_semeval() -> None:
    text = '1\t"The <e1>child</e1> said "hi" in the <e2>cradle</e2>."\nCause-Effect(e2,e1)\nComment: 7\tno\n\n'
    text += '8001\t"A <e1>b</e1> <e2>c</e2>"\nOther\nComment:\n\n'
    table = read("semeval2010-task8", text)
    assert table.columns["text"] == ['The <e1>child</e1> said "hi" in the <e2>cradle</e2>.', "A <e1>b</e1> <e2>c</e2>"]
    assert table.columns["label"] == ["Cause-Effect(e2,e1)", "Other"] and table.rows == [1, 5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('1\t"A <e1>b</e1> c"\nOther\n', "line 1: there are no <e1>"),
        ('1\t"A <e1>b</e1> <e2>c</e2>"\n\nOther\n', "line 2: '' is not a relation"),
        ('1\t"A <e1>b</e1> <e2>c</e2>"\nCause-Effect(e1,e1)\n', "line 2: 'Cause-Effect.e1,e1.' is not a relation"),
        ('1\t"A <e1>b</e1> <e2>c</e2>"', "line 2: '' is not a relation"),
    ],
)
def test_broken_semeval(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read("semeval2010-task8", text)


def test_tnews_reads_class_names_under_both_keys() -> None:
    rows = [
        {"label": "5", "label_desc": "news_sports", "sentence": "一", "label_des": "体育"},
        {"id": 4, "sentence": "二", "label": "5", "label_des": "news_sports"},
        {"id": 5, "sentence": "三", "label": "14", "label_des": "stock"},
    ]
    table = read("tnews", "\n".join(json.dumps(row) for row in rows))
    assert table.columns == {"text": ["一", "二", "三"], "label": ["sports", "sports", "stock"]}
    with pytest.raises(DataError, match="line 2: 'sentence' is missing"):
        read("tnews", json.dumps(rows[0]) + "\n{}")
    with pytest.raises(DataError, match="line 2: not JSON"):
        read("tnews", json.dumps(rows[0]) + "\n{")


# -- questions --------------------------------------------------------------------------------------------------------


def squad(*questions: dict, context: str = "Bräu is in 😀 Bonn.") -> str:
    return json.dumps({"data": [{"title": "T", "paragraphs": [{"context": context, "qas": list(questions)}]}]})


def question(text: str, start: int, **more: object) -> dict:
    return {"question": "Where?", "answers": [{"text": text, "answer_start": start}], **more}


def test_squad() -> None:
    impossible = {"question": "Who?", "answers": [], "is_impossible": True, "plausible_answers": [{"text": "x"}]}
    table = read("squad", squad(question("Bonn", 13, id="1"), impossible))
    assert table.columns["answers"] == [[{"text": "Bonn", "start": 13}], []]
    assert table.columns["title"] == ["T", "T"] and table.columns["context"][0][13:17] == "Bonn"
    assert table.rows == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (squad(question("Bonn", 12)), "question 1: the answer 'Bonn' is not at"),
        (squad(question("Bonn", -1)), "question 1: the answer"),
        (squad(question("", 0)), "question 1: the answer"),
        (squad({"answers": []}), "question 1: 'question' is missing"),
        (squad({"question": "Who?"}), "question 1: 'answers' is missing"),
        (squad({"question": "Who?", "answers": [{"text": "Bonn"}]}), "question 1: 'answer_start' is missing"),
        (squad({"question": "Who?", "answers": [{"text": "Bonn", "answer_start": True}]}), "'answer_start' is bool"),
        ('{"data": [3]}', "article 1: 'paragraphs' is missing"),
        ('{"data": [{"paragraphs": [{"context": "x", "qas": [1]}]}]}', "question 1: an object"),
        ("[]", "'data' is missing"),
        ('{"data": [\n1,,]}', "line 2: not JSON"),
        ("[" * 100_000, "nested too deeply|not JSON"),
        ('{"data": ' + "1" * 5_000 + "}", "a number has too many digits"),
    ],
)
def test_broken_squad(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read("squad", text)


def test_a_question_of_squad_with_a_wrong_answer_is_a_bad_row_and_a_start_may_be_a_text() -> None:
    entry = question("Bonn", 13)
    entry["answers"][0]["answer_start"] = "13"
    table = read("squad", squad(entry, question("Bonn", 12), question("Bonn", 13)))
    assert table.columns["answers"] == [[{"text": "Bonn", "start": 13}]] * 2 and table.rows == [1, 3]
    (bad,) = table.bad_rows
    assert bad.row == 2 and "question 2: the answer 'Bonn' is not at character 12" in bad.message


def test_cmrc_corrects_the_positions_of_answers() -> None:
    two_answers = question("Bonn", 12)
    two_answers["answers"].append({"text": "Köln", "answer_start": -1})
    table = read("cmrc2018", squad(two_answers, question("Köln", 3), question("Bonn", 13)))
    assert table.columns["answers"] == [[{"text": "Bonn", "start": 13}]] * 2 and table.rows == [1, 3]
    assert "corrected the position of 1 answers" in table.notes[-1] and "excluded 2 answers" in table.notes[-1]
    assert "1 questions without another answer" in table.notes[-1]


@pytest.mark.parametrize(("start", "nearest_start"), [(0, 0), (2, 3), (3, 3), (1, 0), (9, 6), (-1, 0)])
def test_nearest_position(start: int, nearest_start: int) -> None:
    """Positions in "ab ab ab"."""
    assert nearest("ab", start, "ab ab ab") == nearest_start
    assert nearest("x", start, "ab ab ab") is None


# -- texts to texts ---------------------------------------------------------------------------------------------------


def test_scitldr() -> None:
    row = {"source": ["One.", " Two \n"], "target": ["A", "", "B c"], "paper_id": "p"}
    table = read("scitldr", json.dumps(row) + "\n\n" + json.dumps({**row, "more": 1}))
    assert table.columns == {"text": ["One. Two"] * 2, "summary": [["A", "B c"]] * 2, "paper": ["p"] * 2}
    assert table.rows == [1, 3]
    for broken in ({"source": "One."}, {**row, "source": [1]}, {**row, "target": "A"}):
        with pytest.raises(DataError, match="line 2"):
            read("scitldr", json.dumps(row) + "\n" + json.dumps(broken))


def test_messages() -> None:
    """Neither the header nor a context is part of a message; a pair occurs once."""
    first = {"": {"language": "fr"}, "menu\x04Open": ["Ouvrir"], "%1 Item": ["%1 élément", "%1 éléments"], "No": [""]}
    table = read("messages", json.dumps(first), json.dumps({"Open": ["Ouvrir"], "dialog\x04Open": ["Ouvert"]}))
    assert table.columns["source"] == ["Open", "%1 Item", "Open"]
    assert table.columns["target"] == ["Ouvrir", "%1 élément", "Ouvert"]
    for broken in ("[]", '{"a": "b"}', '{"a": []}', '{"a": [1]}', '{"a": '):
        with pytest.raises(DataError, match=r"b\.file"):
            read("messages", json.dumps(first), broken)


# -- dialogues --------------------------------------------------------------------------------------------------------


def test_chatterbot() -> None:
    """YAML reads No as False and a colon as a mapping; here everything is text. Duplicates are read once."""
    text = (
        "categories:\n- x\nconversations:\n- - Yes?\n  - No\n- - 1\n  - 'a: b'\n  - c: d\n- - Yes?\n  - No\n- alone\n"
    )
    table = read("chatterbot", text, "conversations:\n- - Yes?\n  - No\n  - ''\n")
    assert table.columns["turns"] == [["Yes?", "No"], ["1", "a: b", "c: d"]]
    assert table.columns["question"] == ["Yes?", "1"] and table.columns["answer"] == ["No", "a: b"]
    assert any("1 conversations of less than two" in note for note in table.notes)
    assert any("2 duplicate conversations" in note for note in table.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conversations:\n- - a\n  - - b\n", "row 1: .* is not a text"),
        ("conversations:\n- {a: b}\n", "row 1: a conversation must be"),
        ("conversations: 3\n", "'conversations' is str"),
        ("conversations:\n- &x [a, b]\n- *x\n", "aliases"),
        ("conversations:\n- !!python/object/apply:os.system [ls]\n- [a\n", "not valid YAML"),
        ("- : :\n\t- x", "not valid YAML"),
    ],
)
def test_broken_chatterbot(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read("chatterbot", text)


def test_yaml_creates_no_objects(tmp_path: Path) -> None:
    marker = tmp_path / "made"
    text = f"conversations:\n- !!python/object/apply:os.mkdir ['{marker}']\n- - a\n  - b\n"
    table = read("chatterbot", text)
    assert not marker.exists() and table.columns["turns"] == [["a", "b"]]


def archive(document: object, names: tuple[str, ...] = ("val.json",)) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zip_file:
        for name in names:
            zip_file.writestr(name, document if isinstance(document, bytes) else json.dumps(document))
    return file.getvalue()


def messages(*texts: str) -> dict:
    return {"messages": [{"role": ("usr", "sys")[i % 2], "content": t} for i, t in enumerate(texts)]}


def test_crosswoz() -> None:
    table = read("crosswoz", archive({"11": messages("你好", "好 "), "7": messages("a", "b", "c", "d")}))
    assert table.columns == {"turns": [["你好", "好"], ["a", "b", "c", "d"]], "dialogue": ["11", "7"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 torn", "not a valid zip"),
        (archive({"1": messages("a", "b")})[:-30], "not a valid zip"),
        (archive({}, ("a.json", "../../b.json")), "holds 2 files"),
        (archive(b"{"), "not JSON"),
        (archive(b'{"1": "\xff"}'), "is not utf-8"),
        (archive([1]), "an object of dialogues"),
        (archive({"1": messages("a", "b"), "2": messages("a")}), "row 2: a dialogue needs at least two turns"),
        (archive({"1": messages("a", "b"), "2": {"messages": messages("x", "a", "b")["messages"][1:]}}), "row 2: mess"),
        (archive({"1": messages("a", " ")}), "row 1: message 2"),
        (archive({"1": {}}), "row 1: 'messages' is missing"),
    ],
)
def test_broken_crosswoz(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read("crosswoz", content)


def test_a_zip_bomb_is_refused_at_the_limit(monkeypatch) -> None:
    """Also if it declares a small size: the declared size is not trusted."""
    monkeypatch.setattr(crosswoz_format, "MAX_BYTES", 1_000_000)
    bomb = archive(b" " * 3_000_000)
    assert len(bomb) < 10_000
    with pytest.raises(DataError, match="unpacks to more than 1,000,000 bytes"):
        read("crosswoz", bomb)
    understated = bomb.replace((3_000_000).to_bytes(4, "little"), (20).to_bytes(4, "little"))
    with pytest.raises(DataError, match=r"a\.file"):
        read("crosswoz", understated)


# -- generated datasets ----------------------------------------------------------------------------------------------

MOVIES = 'movieId,title,genres\n1,"Usual Suspects, The (1995)",Crime|Thriller\n2,Up (2009),(no genres listed)\n'
MOVIES += "3,Heat (1995),Action\n"


def ratings(*rows: tuple[int, int, float, int]) -> str:
    return "userId,movieId,rating,timestamp\n" + "".join(f"{u},{m},{s},{t}\n" for u, m, s, t in rows)


def test_movielens_matches_a_manual_example() -> None:
    rows = ratings((1, 3, 5, 30), (1, 1, 4, 10), (1, 2, 3.5, 20), (2, 1, 5, 40), (1, 2, 4, 40), (1, 3, 1, 40))
    rows += ratings((3, 1, 5, 41), (3, 2, 5, 41), (3, 3, 5, 42), (1, 1, 4, 50)).partition("\n")[2]
    splits = [read("movielens", rows, MOVIES, split=split) for split in ("train", "valid", "test")]
    assert [len(table) for table in splits] == [8, 1, 1]
    train = splits[0].columns
    assert train["time"] == [10, 20, 30, 40, 40, 40, 41, 41]
    suspects, heat = "The Usual Suspects (1995), Crime, Thriller", "Heat (1995), Action"
    assert train["candidate"][:3] == [suspects, "Up (2009)", heat]
    assert train["label"][:3] == ["liked", "not liked", "liked"]
    assert train["history"][:3] == ["", suspects, suspects]
    assert train["history"][3:6] == ["", f"{heat}; {suspects}", f"{heat}; {suspects}"], (
        "ratings of the same second are not in the history"
    )
    assert train["history"][6:] == ["", ""]
    assert splits[1].columns["history"] == [f"Up (2009); {suspects}"]
    assert splits[2].columns["history"] == [f"Up (2009); {heat}; {suspects}"]


def test_broken_movielens() -> None:
    for malformed, message in [
        (ratings((1, 9, 5, 1)), "line 2: there is no film '9'"),
        ("userId,movieId\n1,1\n", "line 1: the columns"),
        ("userId,movieId,rating,timestamp\n1,1,5\n", "line 2: 3 fields"),
        ('userId,movieId,rating,timestamp\n1,1,5,"1\n', "unexpected end of data"),
        (ratings(*[(1, 1, 5, "x")] * 11), "line 12: .* is not a number"),
    ]:
        with pytest.raises(DataError, match=message):
            read("movielens", malformed, MOVIES)
    table = read("movielens", ratings((1, 1, 5, "7 http"), *[(1, 1, 5, t) for t in range(5)]), MOVIES)
    assert any("excluded 1 ratings without valid stars or time (lines 2)" in note for note in table.notes)


def test_sentences() -> None:
    """Initials, abbreviations and list numbers do not end a sentence."""
    text = 'Dr. J. R. Smith came to the U.S. Army. He said "Go!" Then 1. Run. What? Yes (no.) And "so" it was...'
    expected = ["Dr. J. R. Smith came to the U.S. Army.", 'He said "Go!', "Then 1. Run.", "What?", "Yes (no.", "And"]
    assert [s[: len(e)] for s, e in zip(sentences(text), expected, strict=True)] == expected


def plots_of(films: int) -> str:
    lines = ["category,text,movie_name"]
    for f in range(films):
        plot = " ".join(f"Film {f} has the sentence number {i} here." for i in range(6))
        lines += [f"plot,{plot},film{f}", f"fresh,good,film{f}", f"plot,,film{f}"]
    return "\n".join(lines)


def test_next_sentences() -> None:
    tables = {split: read("next-sentences", plots_of(200), split=split) for split in ("train", "valid", "test")}
    films = [set(table.columns["film"]) for table in tables.values()]
    assert sum(map(len, films)) == len(set.union(*films)) == 200, "a film is in one split"
    for table in tables.values():
        positions = Counter(table.columns["label"])
        assert max(positions.values()) - min(positions.values()) <= 1 and len(positions) == 4
        for context, choices, label, film in zip(*(table.columns[n] for n in table.columns), strict=True):
            number = film.removeprefix("film")
            right_choice = choices[int(label)]
            choices_of_the_film = [choice for choice in choices if choice.startswith(f"Film {number} ")]
            assert len(set(choices)) == 4 and choices_of_the_film == [right_choice]
            assert int(right_choice.split()[6]) == int(context.split()[-2]) + 1, "the right choice follows the context"
            assert {f"film{choice.split()[1]}" for choice in choices} <= set(table.columns["film"]), "of the same split"
    assert read("next-sentences", plots_of(200)).columns == tables["train"].columns
    with pytest.raises(DataError, match="too few"):
        read("next-sentences", plots_of(5))


def test_functions() -> None:
    """Signature, docstring and body together are valid Python, whatever the docstring contains."""
    row = {"name": "f", "package": "p", "version": "1", "licence": "MIT", "signature": "def f(x):", "code": ""}
    texts = ["One line.", "Two\n\nlines.", 'Ends with "quotes"', 'Has """three""" and \\d', "Back\\"]
    rows = [{**row, "text": text, "body": "    return x"} for text in texts] + [{**row, "text": "None.", "body": " "}]
    table = read("functions", "\n".join(json.dumps(r) for r in rows))
    assert len(table) == 5 and any("1 functions without a body" in note for note in table.notes)
    for head, body, text in zip(table.columns["prompt"], table.columns["body"], texts, strict=True):
        node = ast.parse(head + body).body[0]
        assert isinstance(node, ast.FunctionDef) and ast.get_docstring(node).strip() == text
    assert prompt("def f(x):", "One line.") == 'def f(x):\n    """One line."""\n'
