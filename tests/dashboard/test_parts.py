"""The shared pieces: safe text, words for numbers, uploads, form fields, curves."""

from __future__ import annotations

import ast
import stat
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.parts.shared import glossary, long_tasks, text
from dashboard.parts.shared.data import confined, uploads
from workbench.data.readers.limits import UPLOAD
from workbench.errors import WorkbenchError
from workbench.workspace import Workspace

NAMES = [
    "../../evil.csv",
    "/etc/cron.d/evil.csv",
    "..%2f..%2fevil.csv",
    "a\\..\\evil.csv",
    "nul\0.csv",
    "\\\\server\\evil.csv",
    "evil.csv/../../x.csv",
    ".hidden.csv",
    "<img src=x onerror=alert(1)>.csv",
    "a" * 400 + ".csv",
    "COM1.csv",
    "-rf.csv",
    "名前.csv",
    " .csv",
    "run.yaml\n.csv",
]
CSV = b"text,label\ngood film,fresh\nbad film,rotten\n"
REFUSED = {
    "model.pkl": b"\x80\x04K\x01.",
    "x.csv": b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00K\x01.",
    "z.csv": b"PK\x03\x04" + b"0" * 99,
    "g.csv": b"\x1f\x8b\x08" + b"0" * 99,
    "page.html": b"<script>alert(1)</script>",
    "noending": CSV,
    "e.csv": b"",
    "half.jsonl": b'{"text": ',
    "p.parquet": b"PAR1" + b"0" * 50 + b"PAR1",
}


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_an_upload_lands_in_uploads_whatever_its_name(name: str, workspace: Workspace) -> None:
    before = {path for path in workspace.root.parent.rglob("*") if workspace.uploads not in path.parents}
    path = uploads.store(name, CSV, workspace)
    assert path.parent == workspace.uploads and path.read_bytes() == CSV and path.suffix == ".csv"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {path for path in workspace.root.parent.rglob("*") if workspace.uploads not in path.parents} == before


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_are_no_table_are_refused_and_not_stored(name: str, workspace: Workspace) -> None:
    with pytest.raises(WorkbenchError):
        uploads.store(name, REFUSED[name], workspace)
    assert list(workspace.uploads.iterdir()) == []


def test_two_files_of_one_name_are_two_files(workspace: Workspace) -> None:
    first, second = uploads.store("a.csv", CSV, workspace), uploads.store("a.csv", CSV + b"more,fresh\n", workspace)
    assert first != second and uploads.store("a.csv", CSV, workspace) == first
    assert uploads.columns_of(str(first)) == ["text", "label"]


@pytest.mark.parametrize(
    "hostile",
    [
        "<b>x</b>",
        "[x](javascript:alert(1))",
        "![x](http://evil/)",
        ":red[x]",
        "`x`",
        "*x*",
        "$x$",
        "# x",
        "a\n\n# b",
        "~x~",
        "http://evil.example",
        "www.evil.example",
    ],
)
def test_markdown_is_shown_as_it_is(hostile: str) -> None:
    """Every character that Markdown could read is escaped, and taking the escapes away gives the text."""
    shown = text.md(hostile)
    assert "\n" not in shown
    unescaped = [c for i, c in enumerate(shown) if c in "<>[]()`*_#!:$~" and (i == 0 or shown[i - 1] != "\\")]
    assert unescaped == []
    assert shown.replace("\\", "").replace("\u2060", "") == " ".join(hostile.split())
    assert "http:\\//" not in shown and "www." not in shown


def test_plain_text_for_figures() -> None:
    assert text.plain("<img src=x onerror=alert(1)>") == "&lt;img src=x onerror=alert(1)&gt;"
    assert len(text.plain("x" * 500)) == 80


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (float("nan"), ""),
        (-1, ""),
        (0.2, "less than a second"),
        (45, "45 s"),
        (130, "2 min"),
        (3900, "65 min"),
        (5400, "1 h 30 min"),
        (7200, "2 h"),
        (10 * 86400, "10 days"),
    ],
)
def test_durations_in_words(seconds: float | None, words: str) -> None:
    assert text.duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (22713600, "22,713,600"),
        (0.7931, "0.793"),
        (5e-5, "5e-05"),
        (3.0, "3"),
        (True, "yes"),
        (None, "-"),
        ("a\nb", "a b"),
    ],
)
def test_numbers(value: object, words: str) -> None:
    assert text.number(value) == words


def test_every_word_of_the_glossary_is_a_tooltip_somewhere() -> None:
    folder = Path(glossary.__file__).parents[2]
    sources = [path for path in folder.rglob("*.py") if path.name != "glossary.py"]
    texts = [node.value for path in sources for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
             if isinstance(node, ast.Constant)]  # fmt: skip
    assert set(glossary.GLOSSARY) <= set(texts), set(glossary.GLOSSARY) - set(texts)
    step, epoch = glossary.GLOSSARY["step"], glossary.GLOSSARY["epoch"]
    assert glossary.help_for("step", "epoch") == f"**Step**: {step.text}\n\n**Epoch**: {epoch.text}"
    assert glossary.help_for("step") == step.text


def test_a_name_that_is_too_long_keeps_both_ends() -> None:
    name = "a-name-of-eighty-characters-as-people-who-vary-one-setting-a (5f12)"
    assert text.middle_cut(name, 38) == "a-name-of-eighty-characters-…-a (5f12)"
    assert text.middle_cut("short (5f12)", 38) == "short (5f12)"


def test_missing_values_are_empty_cells_in_every_table() -> None:
    def draw() -> None:
        from dashboard.parts.shared.tables import draw_table

        draw_table({"gain": [0.5, None]}, key="some.table")

    table = AppTest.from_function(draw).run().dataframe[0].proto
    assert table.HasField("placeholder") and table.placeholder == "", "Streamlit would show a grey None"


# -- progress of reading ----------------------------------------------------------------------------------------------


class Bar:
    """What a page shows of a placeholder."""

    def __init__(self) -> None:
        self.shown: list[tuple[float, str]] = []
        self.is_empty = False

    def progress(self, share: float, text: str) -> None:
        self.shown.append((share, text.replace("\\", "")))

    def empty(self) -> None:
        self.is_empty = True


def test_reading_shows_how_much_time_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    bar, now = Bar(), [100.0]
    monkeypatch.setattr(long_tasks.st, "empty", lambda: bar)
    monkeypatch.setattr(long_tasks.time, "monotonic", lambda: now[0])
    with long_tasks.reading("Reading ...") as progress:
        for seconds, done, total in (
            (0.0, 0, 200),
            (10.0, 50, 200),
            (10.1, 51, 200),
            (12.0, 60, None),
            (40.0, 200, 200),
        ):
            now[0] = 100 + seconds
            progress("Reading a.csv", done, total)
    assert bar.is_empty and [share for share, _ in bar.shown] == [0.0, 0.25, 1.0]
    assert bar.shown[1][1] == "Reading a.csv: 25%, about 30 s left"


def test_the_progress_of_a_large_upload_reaches_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bar = Bar()
    monkeypatch.setattr(long_tasks.st, "empty", lambda: bar)
    monkeypatch.setattr(long_tasks, "_REDRAW_SECONDS", 0.0)
    file = tmp_path / "large.csv"
    file.write_text("text,label\n" + f"{'x' * 5000},a\n{'y' * 5000},b\n" * 1800)
    confined.read("workbench.data.limited:check_readable", {"path": str(file)}, UPLOAD, "Reading ...")
    shares = [share for share, _ in bar.shown]
    assert len(set(shares)) > 4 and shares[0] == 0.0 and shares[-1] == 1.0, shares
