"""Every text of every page goes through translation: in the pseudo-language, no plain English is left but data."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import dashboard
import workbench
from dashboard.parts.shared.data.uploads import store
from tests.dashboard.fake_runs import fake_language_run, fake_range_test, fake_run
from tests.dashboard.pages import PAGES, open_page, unfold
from tests.dashboard.translation import FIELDS, check
from tests.tiny import BAD, GOOD, OTHER, reviews
from workbench.workspace import Workspace

SOURCES = sorted(
    path
    for package in (dashboard, workbench)
    for path in Path(str(package.__file__)).parent.rglob("*.py")
    if "workbench.i18n import" in path.read_text(encoding="utf-8")
)


@pytest.fixture
def pseudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_LANGUAGE", "pseudo")


@pytest.mark.usefixtures("pseudo", "workspace")
@pytest.mark.parametrize("page", PAGES)
def test_an_empty_page_is_translated(page: str) -> None:
    check(open_page(page))


@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize("page", ["home", "launch", "sweeps", "settings", "learn"])
def test_a_page_with_runs_is_translated(page: str, workspace: Workspace) -> None:
    for state in ("succeeded", "succeeded", "running", "queued", "failed"):
        fake_run(workspace, state)
    check(open_page(page))


@pytest.mark.usefixtures("pseudo")
def test_a_file_with_findings_is_translated(workspace: Workspace) -> None:
    rows = [(text, label.title() if n < 5 else label) for n, (text, label) in enumerate(reviews(60))]
    table = "".join(f"{text},{label}\n" for text, label in [*rows, rows[9]])
    name = store("a.csv", f"text,label\n{table}".encode(), workspace).name
    # Notes of the library on the data, the language and the columns stay as they are.
    notes = [
        "because",
        "case",
        "english",
        "label",
        "labels",
        "merge",
        "more",
        "occurs",
        "once",
        "text",
        "than",
        "they",
        "used",
    ]
    check(open_page("data", data=name, reading='{"on_bad_rows": "drop"}'), *GOOD, *BAD, *OTHER, *notes)


@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize("state", ["succeeded", "running", "queued", "stopped", "interrupted"])
def test_a_run_is_translated(state: str, workspace: Workspace) -> None:
    run = fake_run(workspace, state)
    check(open_page("runs", group="tuning"), *FIELDS)
    test = open_page("run", id=run.id)
    keys = ("run.data", "run.spec", "run.usage", "run.log") if state == "succeeded" else ()
    check(unfold(test, *keys), *FIELDS)


@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize("tab", ["mistakes", "classes", "use"])
def test_a_tab_of_a_run_is_translated(tab: str, workspace: Workspace) -> None:
    run = fake_run(workspace)
    run.model_folder.mkdir()
    check(open_page("run", id=run.id, tab=tab), *FIELDS)


@pytest.mark.usefixtures("pseudo")
def test_other_kinds_of_runs_are_translated(workspace: Workspace) -> None:
    for run in (fake_range_test(workspace), fake_language_run(workspace)):
        check(open_page("run", id=run.id), *FIELDS)


@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize(
    "kind", ["examples", "confusion", "calibration", "thresholds", "slices", "labels", "faithfulness", "heads"]
)
def test_a_comparison_is_translated(kind: str, workspace: Workspace) -> None:
    runs = [fake_run(workspace, seed=0), fake_run(workspace, tuning="lora", seed=1)]
    test = open_page("compare", runs=",".join(run.id for run in runs), evidence=kind)
    check(test)


@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize("runs", [0, 1])
def test_the_choice_of_runs_to_compare_is_translated(runs: int, workspace: Workspace) -> None:
    first, _second = fake_run(workspace), fake_run(workspace, seed=1)
    check(open_page("compare", runs=first.id if runs else "gone"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_variable_hides_the_translation_function(path: Path) -> None:
    """A ``for _, name in ...`` inside a function makes ``_`` a variable of the whole function."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not any(isinstance(node, ast.alias) and node.name == "_" for node in ast.walk(tree)):
        return
    lines = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == "_" and isinstance(node.ctx, ast.Store)
    ]
    assert not lines, f"{path}: `_` is assigned in lines {lines}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_translated_texts_can_be_extracted(path: Path) -> None:
    """gettext's tools read literals; an f-string would never be found in a catalogue."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_", "N_", "ngettext"):
            texts = node.args[:2] if node.func.id == "ngettext" else node.args[:1]
            assert not any(isinstance(text, ast.JoinedStr) for text in texts), f"{path}:{node.lineno}"
