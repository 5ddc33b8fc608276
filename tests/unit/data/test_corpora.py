"""Corpora: texts split into documents, and the docstrings of a handwritten installation."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.data.catalogue import site_packages
from workbench.data.catalogue.docstrings import read_docstrings, read_file
from workbench.data.load import load_texts
from workbench.data.readers.documents import PASSAGE_LENGTH, read_documents, split_documents
from workbench.errors import DataError, WorkbenchError
from workbench.spec import DataSpec
from workbench.workspace import Workspace

REPOSITORY = Path(__file__).parents[3]
TEXT = "first line\nits second\n\n\nanother one\n   \n third, set in\n"


def documents(how: str, text: str = TEXT) -> list[tuple[int, str]]:
    return list(split_documents(text.split("\n"), how))  # type: ignore[arg-type]


# -- documents --------------------------------------------------------------------------------------------------------


def test_documents_of_each_splitting_mode_by_hand() -> None:
    """A manual example."""
    assert documents("file") == [(1, TEXT.rstrip())]
    assert documents("paragraph") == [(1, "first line\nits second"), (5, "another one"), (7, " third, set in")]
    assert documents("line") == [(1, "first line"), (2, "its second"), (5, "another one"), (7, " third, set in")]
    assert documents("passages") == [(1, "first line\nits second\n\nanother one\n\n third, set in")]


def test_articles_begin_at_titles_only() -> None:
    """As in WikiText: neither a section nor a formula that looks like a title begins an article."""
    text = (
        " \n = Lobster = \n \n It is blue . \n \n = = Life = = \n \n so k : \n = 1 <unk> = \n \n"
        " = Du Fu = \n \n A poet . \n"
    )
    result = documents("articles", text)
    assert [number for number, _ in result] == [2, 11]
    assert result[0][1].startswith(" = Lobster = ") and result[0][1].endswith("= 1 <unk> =")
    assert result[1][1] == " = Du Fu = \n \n A poet ."


def test_passages_are_whole_paragraphs_of_similar_length() -> None:
    paragraphs = [f"Speaker {i}:\n" + "word " * (i % 90 + 1) for i in range(300)]
    passages = documents("passages", "\n\n".join(paragraphs))
    assert "\n\n".join(text for _, text in passages).split("\n\n") == [p.rstrip() for p in paragraphs]
    assert all(
        PASSAGE_LENGTH <= len(text) + 2 * text.count("\n\n") < PASSAGE_LENGTH + 1200 for _, text in passages[:-1]
    )


@pytest.mark.parametrize("how", ["file", "paragraph", "line", "passages", "articles"])
@given(text=st.text(st.sampled_from("ab \n="), max_size=200))
def test_splitting_loses_only_empty_lines(how: str, text: str) -> None:
    split = documents(how, text)
    assert re.sub(r"\s", "", "".join(each for _, each in split)) == re.sub(r"\s", "", text)
    assert all(each.strip() for _, each in split)
    lines = text.split("\n")
    for number, each in split:
        assert lines[number - 1].strip() and lines[number - 1].rstrip() == each.split("\n")[0].rstrip()


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_file_of_texts(tmp_path: Path, line_end: str) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(TEXT.replace("\n", line_end).encode())
    table = read_documents(path, "auto")
    assert table.columns == {"text": ["first line\nits second", "another one", " third, set in"]}
    assert table.rows == [1, 5, 7] and table.where(1) == "book.txt, line 5"
    assert "3 documents" in table.notes[0] and len(table.sha256) == 64


def test_lines_are_documents_where_there_are_no_empty_ones(tmp_path: Path) -> None:
    path = tmp_path / "sentences.md"
    path.write_text("one\ntwo\nthree\n")
    assert read_documents(path, "auto").columns["text"] == ["one", "two", "three"]
    assert read_documents(path, "file").columns["text"] == ["one\ntwo\nthree"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\n ", "only whitespace"),
        (b"text\0with NUL", "NUL"),
        (b"PK\x03\x04zip", "zip archive"),
        (b"\x80\x04\x95pickle", "pickle"),
        (bytes(range(1, 32)) * 50, "binary"),
        (b"caf\xc3\xa9 " * 20 + b"\xff", "byte 0xff"),
    ],
)
@pytest.mark.parametrize("name", ["notes.txt", "notes.md"])
def test_files_that_are_not_text_are_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WorkbenchError, match=message):
        read_documents(tmp_path / name, "auto")


def test_other_encodings_are_detected_or_set(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    text = "Grüße aus Köln, schöne Straße.\n\n" * 30
    path.write_bytes(text.encode("cp1252"))
    table = read_documents(path, "auto")
    assert table.columns["text"][0] == "Grüße aus Köln, schöne Straße." and "cp1252" in table.notes[0]
    path.write_bytes("房间很好\n\n服务不错\n".encode("gb18030"))
    assert read_documents(path, "auto", "gb18030").columns["text"] == ["房间很好", "服务不错"]


def test_a_folder_of_texts(tmp_path: Path) -> None:
    folder = tmp_path / "essays"
    (folder / "deep").mkdir(parents=True)
    (folder / "b.txt").write_text("second\n\nstill second")
    (folder / "a.md").write_text("first")
    (folder / "deep" / "c.txt").write_text("third")
    (folder / "empty.txt").write_text("")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    table = read_documents(folder, "auto")
    assert table.columns == {
        "text": ["first", "second\n\nstill second", "third"],
        "file": ["a.md", "b.txt", "deep/c.txt"],
    }
    assert any("1 empty files" in note for note in table.notes)
    table = read_documents(folder, "paragraph")
    assert table.columns["file"] == ["a.md", "b.txt", "b.txt", "deep/c.txt"]
    before = table.sha256
    (folder / "a.md").rename(folder / "z.md")
    assert read_documents(folder, "paragraph").sha256 != before
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no text file"):
        read_documents(tmp_path / "none", "auto")


@pytest.mark.parametrize("how", ["passages", "articles"])
def test_a_users_text_can_be_split_into_passages_or_articles(how: str, tmp_path: Path, workspace: Workspace) -> None:
    text = "\n\n".join(f" = Title {i} = \n\n" + "word " * 500 for i in range(12))
    (tmp_path / "book.txt").write_text(text)
    spec = DataSpec.model_validate(
        {"train": str(tmp_path / "book.txt"), "documents": how, "holdout": {"test": 0, "valid": 0}}
    )
    texts, _ = load_texts(spec, workspace)
    assert texts == [document for _, document in split_documents(text.split("\n"), how)] and 5 < len(texts) <= 12  # type: ignore[arg-type]


# -- docstrings -------------------------------------------------------------------------------------------------------

SOURCE = '''
"""A module of forty characters, or of even more.

It says something after its first line.
"""
import os

raise SystemExit("a file that is imported ends the test")


class Lobster(Animal, metaclass=Meta):
    """Blue as long as it lives, and then of another colour."""

    @property
    def claws(self) -> int:
        """How many claws it has; two, unless something happened.

        So it says:

            a block that is set in

        """
        # One is for crushing.
        return 2  # and one for cutting


if os.name == "nt":
    def short(): "too short"
else:
    async def feed(*what: str, times=3, **more) -> None:
        """Feed it with whatever there is, so many times a day"""
        for each in what: await give(each)

def one_liner(): """All that this function does is in its docstring."""; return 1
'''


def test_docstrings_match_a_manual_example() -> None:
    records = {record["name"]: record for record in read_docstrings(SOURCE, "sea.lobster")}
    assert list(records) == [
        "sea.lobster",
        "sea.lobster.Lobster",
        "sea.lobster.Lobster.claws",
        "sea.lobster.feed",
        "sea.lobster.one_liner",
    ]
    module = records["sea.lobster"]
    assert (module["kind"], module["first_line"], module["rest"]) == (
        "module",
        "A module of forty characters, or of even more.",
        "It says something after its first line.",
    )
    lobster = records["sea.lobster.Lobster"]
    assert (lobster["kind"], lobster["signature"]) == ("class", "class Lobster(Animal, metaclass=Meta):")
    assert lobster["first_line"] == lobster["rest"] == "" and lobster["code"] == ""
    claws = records["sea.lobster.Lobster.claws"]
    assert (
        claws["text"]
        == "How many claws it has; two, unless something happened.\n\nSo it says:\n\n    a block that is set in"
    )
    assert claws["signature"] == "def claws(self) -> int:"
    assert claws["code"] == textwrap.dedent(
        """\
        def claws(self) -> int:
            # One is for crushing.
            return 2  # and one for cutting"""
    )
    feed = records["sea.lobster.feed"]
    assert feed["signature"] == "async def feed(*what: str, times=3, **more) -> None:"
    assert feed["code"].splitlines()[1].strip() == "for each in what: await give(each)"
    assert records["sea.lobster.one_liner"]["code"] == "", "it shares its line with the docstring"
    assert {record["module"] for record in records.values()} == {"sea.lobster"}


def test_unreadable_files_are_skipped(tmp_path: Path) -> None:
    long_enough = "x" * 40
    cases = {
        "python2.py": b'print "no parentheses"',
        "nul.py": b'"""' + b"\0" * 50 + b'"""',
        "encoding.py": b"# coding: nonsense\n",
        "bytes.py": b'"""caf\xe9' + b"x" * 50 + b'"""',
        "deep.py": b"(" * 5000,
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        assert read_file(tmp_path / name, "m") is None, name
    assert read_file(tmp_path / "absent.py", "m") is None
    (tmp_path / "latin.py").write_bytes(f'# coding: latin-1\n"""caf\xe9 {long_enough}"""'.encode("latin-1"))
    assert read_file(tmp_path / "latin.py", "m")[0]["text"] == f"café {long_enough}"
    (tmp_path / "half.py").write_text(f'"""half \\ud83d {long_enough}"""')
    assert read_file(tmp_path / "half.py", "m") == [], "a lone surrogate is not text"
    (tmp_path / "feed.py").write_bytes(b'x = "\x0c"\ndef f():\n    """' + b"x" * 40 + b'"""\n    return 1\n')
    assert read_file(tmp_path / "feed.py", "m")[0]["code"] == "def f():\n    return 1", (
        "a form feed does not end a line"
    )


# -- installed packages -----------------------------------------------------------------------------------------------


def install(folder: Path, name: str, files: dict[str, str], version: str = "1.0", metadata: str = "") -> None:
    """Write the files of an installed package."""
    dist_info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    dist_info.mkdir(parents=True)
    (dist_info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{metadata}\n")
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (dist_info / "RECORD").write_text("".join(f"{path},,\n" for path in files))


SHARED = "This docstring occurs in two packages, word for word."


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    folder = tmp_path / "site-packages"
    install(
        folder,
        "Sea_Life",
        {
            "sea/__init__.py": f'"""{SHARED}"""',
            "sea/lobster.py": SOURCE,
            "sea/broken.py": "def (",
            "sea/data.json": '"""not Python, whatever it says in here, so it is not read"""',
            "../outside.py": '"""A file outside of the installation is not read at all."""',
        },
        metadata="License-Expression: MIT",
    )
    install(
        folder,
        "alpha",
        {
            "alpha.py": f'"""{SHARED}"""\n'
            'def f(x):\n    """Give back what it was given, not more.\n\n    Really."""\n    return x'
        },
        version="2.1",
        metadata="Classifier: License :: OSI Approved :: BSD License",
    )
    install(folder, "silent", {"silent.py": "x = 1"})
    return folder


def rows(folder: Path, table: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / table).read_text(encoding="utf-8").splitlines()]


def test_an_installation_matches_a_manual_example(workspace: Workspace, installation: Path) -> None:
    reports: list[tuple[int, int | None]] = []
    folder = site_packages.collect(
        "python-docs", workspace, lambda label, done, total: reports.append((done, total)), [installation]
    )
    records = rows(folder, "docstrings.jsonl")
    assert [(row["package"], row["name"], row["kind"]) for row in records] == [
        ("alpha", "alpha", "module"),
        ("alpha", "alpha.f", "function"),
        ("sea-life", "sea.lobster", "module"),
        ("sea-life", "sea.lobster.Lobster", "class"),
        ("sea-life", "sea.lobster.Lobster.claws", "function"),
        ("sea-life", "sea.lobster.feed", "function"),
        ("sea-life", "sea.lobster.one_liner", "function"),
    ]
    assert {(row["package"], row["version"], row["licence"]) for row in records} == {
        ("alpha", "2.1", "BSD License"),
        ("sea-life", "1.0", "MIT"),
    }
    assert [row["name"] for row in rows(folder, "summaries.jsonl")] == [
        "alpha.f",
        "sea.lobster",
        "sea.lobster.Lobster.claws",
    ]
    functions = rows(folder, "functions.jsonl")
    assert [row["name"] for row in functions] == ["alpha.f", "sea.lobster.Lobster.claws", "sea.lobster.feed"]
    assert functions[0]["code"] == "def f(x):\n    return x" and functions[0]["signature"] == "def f(x):"
    manifest = site_packages.read_manifest(folder)
    assert manifest == {
        "packages": [
            {"name": "alpha", "version": "2.1", "licence": "BSD License", "docstrings": 2, "documentation": 0},
            {"name": "sea-life", "version": "1.0", "licence": "MIT", "docstrings": 5, "documentation": 0},
        ],
        "files": 5,
        "unreadable": 1,
        "repeated": 1,
    }
    assert reports == sorted(reports) and reports[-1][0] == reports[-1][1] > 1000


def test_documentation_is_read_with_its_licence_and_once(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "site-packages"
    readme = "Alpha\n=====\n\nHow to give back what was given, told at some length."
    install(
        folder,
        "alpha",
        {
            "alpha.py": "x = 1",
            "alpha/docs/guide.rst": "A guide to everything that can be done with it.\n",
            "alpha/README.md": f"{readme}  \n",
            "alpha/LICENSE.md": "Permission is hereby granted, free of charge, to any person.",
            "alpha/short.md": "too short",
            "alpha/data.txt": "Not documentation: a table of numbers, or who knows what.",
        },
        metadata=f"License-Expression: MIT\n\n{readme}",
    )
    install(folder, "beta", {"beta/COPY.rst": readme, "beta/own.rst": "What beta is for: nothing that is known of."})
    (folder / "beta" / "own.rst").write_bytes(b"caf\xe9 " * 20)
    collected = site_packages.collect("python-docs", workspace, None, [folder])
    assert [
        (row["package"], row["name"], row["kind"], row["licence"]) for row in rows(collected, "docstrings.jsonl")
    ] == [
        ("alpha", "METADATA", "documentation", "MIT"),
        ("alpha", "alpha/docs/guide.rst", "documentation", "MIT"),
    ]
    assert rows(collected, "docstrings.jsonl")[0]["text"] == readme
    assert rows(collected, "summaries.jsonl") == rows(collected, "functions.jsonl") == []
    manifest = site_packages.read_manifest(collected)
    assert manifest["packages"][0]["documentation"] == 2 and manifest["unreadable"] == 1 and manifest["repeated"] == 2


def test_packages_are_read_once_and_again_after_a_change(workspace: Workspace, installation: Path, monkeypatch) -> None:
    first = site_packages.collect("python-docs", workspace, None, [installation])
    modified = (first / "docstrings.jsonl").stat().st_mtime_ns
    with monkeypatch.context() as patch:
        patch.setattr(site_packages, "_start_reader", None)
        assert site_packages.collect("python-docs", workspace, None, [installation]) == first
    assert (first / "docstrings.jsonl").stat().st_mtime_ns == modified
    assert site_packages.is_collected("python-docs", workspace)
    install(installation, "later", {"later.py": '"""A package that was installed later than all the others."""'})
    second = site_packages.collect("python-docs", workspace, None, [installation])
    assert second != first and len(rows(second, "docstrings.jsonl")) == 8
    assert len(rows(first, "docstrings.jsonl")) == 7, "the tables of the first installation are still there"


def test_an_interrupted_attempt_leaves_nothing_usable(workspace: Workspace, installation: Path, monkeypatch) -> None:
    read_all = site_packages._read_all

    def interrupt(work):
        yield from list(read_all(work))[:2]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(site_packages, "_read_all", interrupt)
        with pytest.raises(KeyboardInterrupt):
            site_packages.collect("python-docs", workspace, None, [installation])
    assert not site_packages.is_collected("python-docs", workspace)
    folder = site_packages.collect("python-docs", workspace, None, [installation])
    assert len(rows(folder, "docstrings.jsonl")) == 7


def test_an_installation_without_docstrings_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    install(tmp_path / "site-packages", "silent", {"silent.py": "x = 1"})
    with pytest.raises(DataError, match="No installed package has docstrings"):
        site_packages.collect("python-docs", workspace, None, [tmp_path / "site-packages"])


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("License-Expression: Apache-2.0 OR MIT\nLicense: other", "Apache-2.0 OR MIT"),
        ("Classifier: License :: OSI Approved\nClassifier: License :: OSI Approved :: MIT License", "MIT License"),
        ("License: BSD\n  and a long text", "BSD"),
        ("Classifier: Topic :: Text", "not stated"),
    ],
)
def test_licences_are_read_from_the_metadata(tmp_path: Path, metadata: str, licence: str) -> None:
    install(tmp_path, "one", {"one.py": ""}, metadata=metadata)
    (package,) = site_packages.find_packages([tmp_path])
    assert package.licence == licence


def test_real_packages(workspace: Workspace, monkeypatch) -> None:
    """Three packages that are always installed: the docstrings match those of the imported objects."""
    import click
    import yaml

    all_packages = site_packages.find_packages(site_packages.site_folders())
    packages = [package for package in all_packages if package.name in {"click", "pyyaml", "typer"}]
    assert len(packages) == 3 and all(package.licence != "not stated" for package in packages)
    monkeypatch.setattr(site_packages, "find_packages", lambda folders: packages)
    folder = site_packages.collect("python-docs", workspace)
    texts = {row["name"]: row["text"] for row in rows(folder, "docstrings.jsonl")}
    assert texts["click.core.Context"] == inspect.getdoc(click.Context)
    assert texts["yaml.load"] == inspect.getdoc(yaml.load)
    functions = {row["name"]: row for row in rows(folder, "functions.jsonl")}
    compile(functions["click.core.Context.exit"]["code"], "code", "exec")
    assert functions["click.core.Context.exit"]["text"] == inspect.getdoc(click.Context.exit)
    assert len(texts) > 200


def test_packages_do_not_depend_on_the_current_folder(workspace: Workspace, tmp_path: Path) -> None:
    """A package in the current folder, as in a checkout, is not installed and not part of the corpus."""
    install(tmp_path, "stray", {"stray.py": ""})
    code = "from workbench.data.catalogue import site_packages as s; print(s._key(s.site_folders()))"
    keys = set()
    for folder in (tmp_path, Path(__file__).parent):
        environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{folder}"}
        command = [sys.executable, "-c", code]
        result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        keys.add(result.stdout)
    assert len(keys) == 1
