"""The report of a comparison: complete, small, escaped, and without external resources."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.dashboard.fake_runs import fake_language_run, fake_run
from workbench.cli.app import app
from workbench.compare.differences import compare
from workbench.compare.report import comparison_report, write_comparison
from workbench.compare.seeds import compare_seeds
from workbench.errors import RequestError
from workbench.files import write_json
from workbench.runs.predictions import read_predictions, write_predictions
from workbench.runs.run import Run
from workbench.workspace import Workspace

SCRIPT = "<img src=x onerror='pwned()'><script>pwned()</script>"
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "section", "div", "table", "tr", "th", "td",
    "bdi", "span", "svg", "text", "path", "circle", "polyline", "polygon",
}  # fmt: skip


class Elements(HTMLParser):
    """Collect the elements, attributes and words of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: dict[str, set[str]] = {}
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, set()).add(value or "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read_page(page: str) -> Elements:
    elements = Elements()
    elements.feed(page)
    return elements


def read_safe_page(page: str) -> Elements:
    elements = read_page(page)
    assert elements.names <= ALLOWED, elements.names - ALLOWED
    assert not [name for name in elements.attributes if name.startswith("on") or name in ("src", "href", "action")]
    assert "default-src 'none'" in page and "url(" not in page
    return elements


def test_the_report_contains_the_verdicts(workspace: Workspace) -> None:
    runs = [fake_run(workspace), fake_run(workspace, tuning="lora", seed=1)]
    page = comparison_report(runs, "macro_f1")
    words = " ".join(read_safe_page(page).words)
    verdict = compare(runs, "macro_f1").verdict
    for run in runs:
        verdict = verdict.replace(run.id, run.id[16:])  # an id shown as a name has no time
        assert run.id in words
    assert verdict in words and "60 test examples" in words
    for heading in (
        "What can be claimed",
        "Quality against cost",
        "Curves",
        "Settings that differ",
        "only one gets right",
    ):
        assert heading in words
    assert "tuning.method" in words and page.count("<svg") >= 5
    assert len(page) < 300_000


def test_a_report_over_seeds_of_twelve_long_runs_stays_small(workspace: Workspace) -> None:
    runs = [
        fake_run(workspace, name="n" * 78, tuning=tuning, seed=seed, steps=400, examples=100)
        for tuning in ("full", "lora", "head")
        for seed in range(4)
    ]
    page = comparison_report(runs)
    words = " ".join(read_safe_page(page).words)
    for pair in compare_seeds(runs).pairs:
        assert pair.verdict in words
    assert "mean of n = 4" in words and "permutation" in words
    assert len(page.encode()) < 1_000_000


def test_text_of_users_files_and_models_is_escaped(workspace: Workspace) -> None:
    runs = [fake_run(workspace, name=f"{SCRIPT[:60]}{i}", labels=[SCRIPT, "b"], seed=i) for i in range(2)]
    for run in runs:
        rows: dict[str, Any] = read_predictions(run)
        write_predictions(run, rows | {"input:text": [f"{SCRIPT}\x00\u202e{'long ' * 9000}"] * 60})
        report = run.report().as_dict()
        report["metrics"][SCRIPT] = {"value": 0.5, "low": 0.4, "high": 0.6}
        report["cost"]["seconds"] = 0
        write_json(run.report_file, report)
        run.update_status(title=SCRIPT + str(run.id))
    page = comparison_report(runs)
    read_safe_page(page)
    assert "&lt;script&gt;" in page and "\x00" not in page and "\u202e" not in page and len(page) < 1_000_000


def test_runs_with_nothing_but_predictions_have_a_report(workspace: Workspace) -> None:
    runs = [fake_run(workspace, seed=seed) for seed in range(2)]
    for run in runs:
        run.report_file.unlink()
        run.metrics_file.unlink()
    words = " ".join(read_safe_page(comparison_report(runs)).words)
    assert "What can be claimed" in words and "Quality against cost" not in words


def test_incomparable_runs_are_refused_and_leave_no_file(workspace: Workspace, tmp_path: Path) -> None:
    runs = [fake_run(workspace), fake_run(workspace, examples=20)]
    with pytest.raises(RequestError, match="tested on different examples"):
        write_comparison(runs, tmp_path / "page.html")
    with pytest.raises(RequestError, match="no predictions"):
        comparison_report([runs[0], fake_language_run(workspace)])
    with pytest.raises(RequestError, match="does not exist"):
        write_comparison(runs, tmp_path / "nowhere" / "page.html")
    assert list(tmp_path.glob("*.html")) == []


def test_the_command_writes_the_report(workspace: Workspace, tmp_path: Path) -> None:
    runs: list[Run] = [fake_run(workspace), fake_run(workspace, tuning="lora", seed=1)]
    path = tmp_path / "page.html"
    result = CliRunner().invoke(app, ["compare", *(run.id for run in runs), "--html", str(path)])
    assert result.exit_code == 0 and re.match(r"<!DOCTYPE html>", path.read_text())
