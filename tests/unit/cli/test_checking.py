"""``workbench data check`` prints the language of the texts, and warns about a model that does not know it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from workbench.cli import checking, proposing
from workbench.data.progress import Progress
from workbench.errors import DataError, RequestError, SpecError, UnknownNameError
from workbench.workspace import Workspace

GERMAN = "Das Essen war sehr gut und die Bedienung ist freundlich gewesen"


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "reviews.csv"
    rows = "".join(f"{GERMAN} {i},{'ja' if i % 2 else 'nein'}\n" for i in range(40))
    path.write_text(f"text,label\n{rows}", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("model", "expected"),
    [("minilm", ["trained on English", "Use model: multilingual-e5-small."]), ("multilingual-e5-small", [])],
)
def test_the_language_of_the_texts(
    model: str, expected: list[str], file: str, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    report = checking.check_data(file, None, None, [], model, 0.8)
    assert report["languages"]["shares"] == {"de": 1.0} and report["languages"]["confidence"] > 0.9
    warnings = [note["message"] for note in report["notes"] if note["severity"] == "warning"]
    assert all(part in warnings[0] for part in expected) if expected else not warnings
    checking.show_report(report, 0.8)
    assert "Language: German (100%)" in capsys.readouterr().out


def test_a_proposal_is_shown_while_no_bar_is_drawn(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bar is drawn again and again on the line of the question, and erases it."""
    path = tmp_path / "reviews.csv"
    path.write_text("Rezension,Urteil\n" + "".join(f"{GERMAN} {i},{'ja' if i % 2 else 'nein'}\n" for i in range(40)))
    drawn: list[bool] = [False]
    download_bars = checking.download_bars

    @contextmanager
    def bars() -> Iterator[Progress]:
        drawn[0] = True
        try:
            with download_bars() as progress:
                yield progress
        finally:
            drawn[0] = False

    def confirm(*arguments: object, **options: object) -> bool:
        assert not drawn[0]
        return True

    terminal = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr(checking, "download_bars", bars)
    monkeypatch.setattr(proposing, "sys", SimpleNamespace(stdin=terminal, stderr=terminal))
    monkeypatch.setattr(proposing.typer, "confirm", confirm)
    assert checking.check_data(str(path))["parts"]["train"]["rows"] == 28


def test_an_unknown_model_is_refused(file: str, workspace: Workspace) -> None:
    with pytest.raises(UnknownNameError, match="minilm"):
        checking.check_data(file, None, None, [], "minilmm", 0.8)


def test_fields_of_the_data_and_the_task_can_be_set(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "topics.csv"
    rows = "".join(f"ein Bild {i} für Gäste;{'art|money' if i % 2 else 'sport'}\n" for i in range(40))
    path.write_bytes(f"text;label\n{rows}".encode("cp1252"))
    sets = ["task.multi_label=true", "data.encoding=cp1252", "data.delimiter=;", "data.limit.train=10"]
    report = checking.check_data(str(path), sets=sets)
    assert report["parts"]["train"]["rows"] == 10
    assert set(report["parts"]["train"]["labels"] or {}) == {"art", "money", "sport"}
    with pytest.raises(RequestError, match="neither a field of the data nor an option of the task"):
        checking.check_data(str(path), sets=["training.epochs=2"])
    with pytest.raises(SpecError, match=r"task.pears.*no such field"):
        checking.check_data(str(path), sets=["task.pears=1"])


def test_the_task_checks_the_rows_and_hints_name_options_of_the_command(
    file: str, workspace: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "relations.csv"
    path.write_text("text,label\n" + "".join(f"Lena {i} met Olaf,{'met' if i % 2 else 'saw'}\n" for i in range(40)))
    with pytest.raises(DataError, match="there is no <e1>"):
        checking.check_data(str(path), "relation-extraction")
    with pytest.raises(DataError) as caught:
        checking.check_data(file, sets=["data.group=nosuch"])
    assert "With this command: --group COLUMN." in caught.value.hint and caught.value.exit_code == 2


def test_how_a_file_is_written_has_options_that_the_hints_name(tmp_path: Path, workspace: Workspace) -> None:
    import openpyxl

    rows = [("text", "label"), *((f"{GERMAN} {i}", "ja" if i % 2 else "nein") for i in range(40))]
    book = openpyxl.Workbook()
    second = book.create_sheet("second")
    for row in rows:
        second.append(row)
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(DataError) as caught:
        checking.check_data(str(tmp_path / "a.xlsx"))
    assert "'second'" in caught.value.hint and "--sheet NAME" in caught.value.hint
    assert checking.check_data(str(tmp_path / "a.xlsx"), fields={"sheet": "second", "group": None})["parts"]["train"]

    lines = "".join(f"{text};{label}\n" for text, label in rows)
    (tmp_path / "a.csv").write_text(lines + "no label;\n", encoding="cp1252")
    with pytest.raises(DataError) as caught:
        checking.check_data(str(tmp_path / "a.csv"))
    assert "--on-bad-rows drop" in caught.value.hint
    report = checking.check_data(
        str(tmp_path / "a.csv"), fields={"on_bad_rows": "drop", "delimiter": ";", "encoding": "cp1252"}
    )
    assert [group["count"] for group in report["left_out"]] == [1]
    with pytest.raises(SpecError, match=r"on_bad_rows.*'refuse' or 'drop'"):
        checking.check_data(str(tmp_path / "a.csv"), fields={"on_bad_rows": "maybe"})
