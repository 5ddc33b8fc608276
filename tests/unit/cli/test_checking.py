"""``workbench data check`` prints the language of the texts, and warns about a model that does not know it."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.cli import checking
from workbench.errors import UnknownNameError
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


def test_an_unknown_model_is_refused(file: str, workspace: Workspace) -> None:
    with pytest.raises(UnknownNameError, match="minilm"):
        checking.check_data(file, None, None, [], "minilmm", 0.8)
