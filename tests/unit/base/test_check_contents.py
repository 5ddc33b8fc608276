"""``check`` reads the data: what would end a run before its first step is reported, and nothing is queued."""

from __future__ import annotations

import csv
import gzip
import json
import os
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import make_model
from workbench.check import Problem, check, contents
from workbench.data.catalogue import hub_rows
from workbench.data.readers.excel_reader import read_excel
from workbench.data.readers.formats import read_format
from workbench.data.readers.head import copy_head
from workbench.errors import DataError, FetchError
from workbench.jobs import submit
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.tuning.max_length import max_length_of_config, max_text_length
from workbench.workspace import Workspace

MARKED = "<e1>Lena</e1> @ was born in <e2>Oslo</e2>."


def spec(task: str, train: Path | str, **changes: Any) -> RunSpec:
    data = {"train": str(train), "max_length": 32}
    base = RunSpec.parse({"task": task, "data": data, "model": "minilm", "tuning": "full"})
    return base.changed({name.replace("__", "."): value for name, value in changes.items()})


def errors(problems: list[Problem]) -> list[str]:
    return [f"{problem.field}: {problem.message}" for problem in problems if problem.severity == "error"]


def table(path: Path, header: str, rows: list[str]) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("task", "header", "row", "bad", "words"),
    [
        ("relation-extraction", "text,label", f'"{MARKED}",born-in', "Lena was born in Oslo.,other-one", "no <e1>"),
        ("sentence-similarity", "text_a,text_b,score", "a cat @,a dog,0.5", "a cat,a dog,5", "the score is 5"),
        ("multiple-choice", "context,choices,label", 'q @,"[""a"", ""b""]",0', 'q,"[""a"", ""a""]",0', "occurs twice"),
        ("text-classification", "text,label", "a film @,good", "a film,", "label"),
    ],
)
def test_a_row_that_ends_the_run_is_reported_and_nothing_is_queued(
    task: str, header: str, row: str, bad: str, words: str, workspace: Workspace, tmp_path: Path
) -> None:
    rows = [row.replace("@", str(i)) for i in range(40)]
    rows[1::2] = [each.replace("good", "bad").replace("born-in", "lives-in") for each in rows[1::2]]
    good = table(tmp_path / "good.csv", header, rows)
    assert not errors(check(spec(task, good), workspace))
    wrong = spec(task, table(tmp_path / "wrong.csv", header, [*rows[:10], bad, *rows[10:]]))
    (message,) = errors(check(wrong, workspace))
    assert message.startswith("data: wrong.csv, line 12") and words in message
    with pytest.raises(DataError, match="line 12") as caught:
        submit(wrong, workspace, start=False)
    assert caught.value.exit_code == 2 and not Run.all(workspace)


def test_missing_columns_one_class_and_a_changed_file(workspace: Workspace, tmp_path: Path) -> None:
    path = table(tmp_path / "films.csv", "text,label", [f"film {i},{'good' if i % 2 else 'bad'}" for i in range(40)])
    mapped = spec("text-classification", path, data__columns={"text": "nosuch"})
    assert "has no column 'nosuch'" in errors(check(mapped, workspace))[0]
    assert not errors(check(spec("text-classification", path), workspace))
    table(path, "text,label", [f"film {i},good" for i in range(41)])
    os.utime(path, ns=(time.time_ns(), time.time_ns() + 10**9))
    assert "only the label 'good'" in errors(check(spec("text-classification", path), workspace))[0]


def test_of_a_large_file_the_first_rows_are_read(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "SMALL", 1000)
    monkeypatch.setattr(contents, "HEAD", 500)
    rows = [f'"film\n{i}",{"good" if i > 50 else "bad"}' for i in range(100)]  # the head has one class only
    good = spec("text-classification", table(tmp_path / "films.csv", "text,label", rows))
    (note,) = check(good, workspace)
    assert note.severity == "info" and "films.csv" in note.message and "--data" in note.hint
    assert not check(good, workspace, whole=True)
    late = spec("text-classification", table(tmp_path / "late.csv", "text,label", [*rows, "last film,"]))
    assert not errors(check(late, workspace)) and errors(check(late, workspace, whole=True))
    early = spec("text-classification", table(tmp_path / "early.csv", "text,label", ["first film,", *rows]))
    assert "line 2" in errors(check(early, workspace))[0]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_the_head_of_a_file_ends_with_a_whole_row(name: str, tmp_path: Path) -> None:
    from workbench.data.readers.read import read_table

    path, texts = tmp_path / name, [f'a "quoted"\nfilm {i}' for i in range(3000)]
    if path.suffix == ".csv":
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *((text, "x") for text in texts)])
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"text": text, "label": "x"}) + "\n" for text in texts))
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.table({"text": texts, "label": ["x"] * 3000}), path)
    head = copy_head(path, tmp_path / "head", 10_000)
    assert head is not None and head.name == name
    read = read_table(head).columns["text"]
    assert 0 < len(read) < 3000 and list(read) == texts[: len(read)]


_ITEMS = [{"text": f'a "film" [{i}] {{', "label": "x", "n": [{"a": 1}]} for i in range(900)]
_ARTICLE = {"paragraphs": [{"context": "Ada sang [", "qas": [{"question": "Who?", "id": str(i)}]} for i in range(900)]}


@pytest.mark.parametrize(
    ("document", "rows"),
    [
        (_ITEMS, lambda head: head),
        ({"version": "1", "about": [{"a": 1}], "data": _ITEMS, "end": 1}, lambda head: head["data"]),
        ([[item["text"], "x"] for item in _ITEMS], lambda head: head),
        ({"data": [_ARTICLE]}, lambda head: head["data"][0]["paragraphs"]),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_head_of_a_json_document_is_a_document(
    document: Any, rows: Any, indent: int | None, encoding: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document, indent=indent), encoding=encoding)
    head = copy_head(path, tmp_path / "head", 20_001)
    assert head is not None
    read = rows(json.loads(head.read_text(encoding=encoding)))
    assert 10 < len(read) < 900 and read == rows(document)[: len(read)]


def test_the_head_of_json_objects_one_after_another_has_whole_objects(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("\n".join(json.dumps(item, indent=1) for item in _ITEMS))
    head = copy_head(path, tmp_path / "head", 20_000)
    assert head is not None and head.read_text().count('"label"') == head.read_text().count('"n"') > 10


@pytest.mark.parametrize("indent", [None, 1])
def test_the_head_of_json_by_columns_has_all_columns(indent: int | None, tmp_path: Path) -> None:
    """A head of the first column only would look as if the others were missing."""
    texts = [f'a, [b] {{c}} "d" \\ {i}' for i in range(3000)]
    lists = {"words": [[text, "b"] for text in texts], "n": 3, "tags": [["O", "O"]] * 3000}
    objects = {name: {str(i): value for i, value in enumerate(texts)} for name in ("text", "label")}
    path = tmp_path / "a.json"
    for document in (lists, objects):
        path.write_text(json.dumps(document, indent=indent))
        head = copy_head(path, tmp_path / "head", 5000)
        assert head is not None
        first = json.loads(head.read_text())
        expected = {
            key: value if value == 3 else dict(list(value.items())[:1000]) if isinstance(value, dict) else value[:1000]
            for key, value in document.items()
        }
        assert first == expected
    path.write_text(json.dumps({"a": {"0": "x" * 9000}}))
    assert copy_head(path, tmp_path / "head", 5000) is None
    path.write_text(json.dumps(lists)[:-50])
    assert copy_head(path, tmp_path / "head", 5000) is None


def test_the_heads_of_a_workbook_and_of_a_translation_memory(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for sheet in (book.active, book.create_sheet("More")):
        for i in range(3000):
            sheet.append([f"text {i}", i, None, True])
    book.save(tmp_path / "a.xlsx")
    head = copy_head(tmp_path / "a.xlsx", tmp_path / "head", 5000)
    assert head is not None
    table = read_excel(head, "More", header=["a", "b", "c", "d"])
    whole = read_excel(tmp_path / "a.xlsx", "More", header=["a", "b", "c", "d"])
    assert len(table) == 1000 and {name: values[:1000] for name, values in whole.columns.items()} == table.columns

    unit = '<tu><tuv xml:lang="en"><seg>Day {i}</seg></tuv><tuv xml:lang="de"><seg>Tag {i}</seg></tuv></tu>'
    units = "".join(unit.replace("{i}", str(i)) for i in range(500))
    text = f'<?xml version="1.0"?><tmx><header srclang="en"/><body>{units}</body></tmx>'
    for encoding in ("utf-8", "utf-16"):
        (tmp_path / "a.tmx").write_text(text, encoding=encoding)
        head = copy_head(tmp_path / "a.tmx", tmp_path / "head", 5000)
        assert head is not None and head.stat().st_size < 6000
        columns = read_format("tmx", [head], "a.tmx").columns
        assert columns["de"] == [f"Tag {i}" for i in range(len(columns["de"]))] and len(columns["de"]) > 10


def test_a_file_without_a_head_is_not_called_checked(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "SMALL", 1000)
    monkeypatch.setattr(contents, "HEAD", 1500)
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "x" * 3000, "label": "a"}))
    problems = check(spec("text-classification", path), workspace)
    assert "The rows of a.jsonl were not checked." in [problem.message for problem in problems]


def test_texts_longer_than_max_length_are_counted_before_the_run(workspace: Workspace, tmp_path: Path) -> None:
    """Counted by hand: 10 of 40 texts have more than 16 - 2 words, which are one token each."""
    model = make_model(tmp_path / "model")
    rows = [f"{' '.join(['film'] * (20 if i % 4 == 0 else 5))},{'good' if i % 2 else 'bad'}" for i in range(40)]
    path = table(tmp_path / "films.csv", "text,label", rows)
    long = spec("text-classification", path, data__max_length=16).changed({"model": f"path:{model}"})
    (problem,) = [problem for problem in check(long, workspace) if problem.field == "data.max_length"]
    assert problem.severity == "warning" and problem.message.startswith("About 25% of the texts are longer than 16")
    assert problem.hint == "Set data.max_length to 22."
    assert not [p for p in check(long.changed({"data.max_length": 22}), workspace) if p.field == "data.max_length"]
    windows = spec("masked-lm", path, data__max_length=16).changed({"model": f"path:{model}"})
    assert not [p for p in check(windows, workspace) if p.field == "data.max_length"]


@pytest.mark.parametrize("damage", ["cut", "no vocabulary", "not a tokenizer"])
def test_check_reports_a_damaged_tokenizer_of_a_model_folder(workspace: Workspace, tmp_path: Path, damage: str) -> None:
    path = table(tmp_path / "films.csv", "text,label", [f"film {i},{'good' if i % 2 else 'bad'}" for i in range(40)])
    model = make_model(tmp_path / "model")
    own = spec("text-classification", path).changed({"model": f"path:{model}", "data.max_length": 64})
    assert not errors(check(own, workspace))
    file = model / "tokenizer.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    if damage == "no vocabulary":
        document["model"]["vocab"] = {}
    elif damage == "not a tokenizer":
        document["model"]["type"] = "Magic"
    text = json.dumps(document)
    file.write_text(text[: len(text) // 2] if damage == "cut" else text, encoding="utf-8")
    (message,) = errors(check(own, workspace))
    assert "has no usable tokenizer: tokenizer.json" in message


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_the_head_of_a_csv_file_in_utf16(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    mark = "" if encoding == "utf-16" else "\ufeff"
    text = mark + "text,label\n" + "".join(f'"Ċ film\n{i} 🙂",x\n' for i in range(900))
    path.write_bytes(text.encode(encoding))
    head = copy_head(path, tmp_path / "head", 4001)
    assert head is not None
    content = head.read_bytes().decode(encoding)
    assert text.startswith(content) and content.endswith('",x\n') and len(content) > 1000


@pytest.mark.parametrize("archive", ["gz", "zip"])
def test_the_head_of_a_file_in_an_archive(archive: str, tmp_path: Path) -> None:
    content = b"text,label\n" + b"".join(b"film %d,x\n" % i for i in range(400_000))
    path = tmp_path / f"a.csv.{archive}"
    if archive == "gz":
        path.write_bytes(gzip.compress(content, 1))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("a.csv", content)
    head = copy_head(path, tmp_path / "head", 4000)
    assert head is not None and head.name == "a.csv" and content.startswith(head.read_bytes())
    path.write_bytes(b"broken")
    assert copy_head(path, tmp_path / "head", 4000) is None


def test_the_head_of_a_folder_has_texts_of_each_label(tmp_path: Path) -> None:
    source = tmp_path / "films"
    for label, count in (("pos", 500), ("neg", 3)):
        for i in range(count):
            (source / label / "more").mkdir(parents=True, exist_ok=True)
            (source / label / "more" / f"{i}.txt").write_text(f"{label} film {i}\n" * 10)
    head = copy_head(source, tmp_path / "head", 5000)
    assert head is not None and head.name == "films"
    copied = sorted(file.relative_to(head).as_posix() for file in head.rglob("*.txt"))
    assert 10 < len(copied) < 60 and sum(name.startswith("neg/") for name in copied) == 3


def test_a_large_folder_and_a_large_document_are_checked_by_their_heads(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "SMALL", 1000)
    monkeypatch.setattr(contents, "HEAD", 5000)
    path = tmp_path / "a.json"
    for key, expected in (("label", 0), ("other", 1)):
        path.write_text(json.dumps([{"text": f"film {i}", key: "ab"[i % 2]} for i in range(900)]))
        assert len(errors(check(spec("text-classification", path), workspace))) == expected
    for name, content, expected in (("texts", b"a fine film\n", 0), ("binary", b"\0\1\2\3", 1)):
        for i in range(200):
            file = tmp_path / name / ("pos" if i % 2 else "neg") / f"{i}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content * 10 + str(i).encode())
        assert len(errors(check(spec("text-classification", tmp_path / name), workspace))) == expected


@pytest.mark.timeout(20)
def test_the_head_of_a_file_ends_with_a_row_wherever_its_quotes_are(tmp_path: Path) -> None:
    path = tmp_path / "films.csv"
    for content, expected in (
        (b'text,label\n"a\nb",x\n"c\nd', b'text,label\n"a\nb",x\n'),
        (b'text\n"a ""b""\n', b"text\n"),
        (b'"' + b"a,b\n" * 500_000, b""),
        (b'"' + b'"a",b\n' * 300_000, b""),
    ):
        path.write_bytes(content)
        head = copy_head(path, tmp_path / "head", 2_000_000)
        assert (head.read_bytes() if head is not None else b"") == expected


def test_a_text_longer_than_the_positions_of_a_pretrained_model(workspace: Workspace, tmp_path: Path) -> None:
    path = table(tmp_path / "films.csv", "text,label", [f"film {i},{'good' if i % 2 else 'bad'}" for i in range(40)])
    long = spec("text-classification", path, data__max_length=600)
    assert errors(check(long, workspace)) == ["data.max_length: 600 tokens are more than the 512 positions of minilm."]
    own = long.changed({"model": f"path:{make_model(tmp_path / 'model')}", "data.max_length": 129})
    assert "128 positions" in errors(check(own, workspace))[0]
    assert not errors(check(own.changed({"data.max_length": 128}), workspace))


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2", "llama", "t5", "distilbert", "electra", "xlm-roberta"])
def test_the_positions_in_config_json_are_those_of_the_loaded_model(kind: str) -> None:
    transformers = pytest.importorskip("transformers")
    small = {
        "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 20,
        "max_position_embeddings": 40, "num_key_value_heads": 2, "embedding_size": 8,
    }  # fmt: skip
    if kind == "t5":
        small = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2, "vocab_size": 20}
    config = transformers.AutoConfig.for_model(kind, **small)
    stored = json.loads(config.to_json_string(use_diff=False))
    assert max_length_of_config(stored) == max_text_length(transformers.AutoModel.from_config(config))


def test_rows_of_the_hub_are_read_before_a_run_is_queued(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hub:
        def HfApi(self) -> Any:
            raise ConnectionError("Name or service not known")

    monkeypatch.setattr(hub_rows, "hub_library", Hub)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    streamed = spec("text-classification", "hf:someone/reviews@main", data__limit__train=10)
    assert errors(check(streamed, workspace))[0].startswith("data.train: hf:someone/reviews@main: the hub")
    with pytest.raises(FetchError, match="the hub did not provide it") as caught:
        submit(streamed, workspace, start=False)
    assert caught.value.exit_code == 2 and not Run.all(workspace)
