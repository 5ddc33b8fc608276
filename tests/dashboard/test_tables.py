"""No table gives away formulas: Streamlit's own download is hidden on every page, and ours escapes them."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from dashboard.parts.shared.tables import as_csv
from dashboard.serving.server import PAGES
from tests.code_metrics import ROOT
from tests.dashboard.browsing import by_key, expect, settle, unfold, visitor
from tests.dashboard.fake_runs import fake_run
from tests.dashboard.serving import served
from tests.tiny import reviews
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FORMULAS = ["=cmd|' /C calc'!A0", "=1+1 and more", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1"]


@pytest.mark.parametrize(
    "data",
    [
        {"text": FORMULAS, "=name": [*FORMULAS]},
        pd.DataFrame({"text": FORMULAS, "=name": [*FORMULAS]}),
        [{"text": formula, "=name": formula} for formula in FORMULAS],
    ],
    ids=["columns", "frame", "rows"],
)
def test_formulas_are_escaped(data: object) -> None:
    rows = list(csv.reader(io.StringIO(as_csv(data), newline="")))
    assert rows[0] == ["text", "'=name"] and len(rows) == len(FORMULAS) + 1
    assert all(cell.startswith("'") for row in rows[1:] for cell in row)
    assert [row[0] for row in rows[1:]] == [f"'{formula}" for formula in FORMULAS]


def test_numbers_stay_numbers() -> None:
    assert as_csv({"score": [-0.5, 2], "count": [1, -3]}).splitlines() == ["score,count", "-0.5,1", "2.0,-3"]


def test_every_table_is_drawn_by_one_function() -> None:
    drawn = re.compile(r"\bst\.(dataframe|data_editor)\(")
    paths = [path for path in (ROOT / "dashboard").rglob("*.py") if drawn.search(path.read_text(encoding="utf-8"))]
    assert [str(path.relative_to(ROOT)) for path in paths] == ["dashboard/parts/shared/tables.py"]


def tables_without_download(page: Page) -> int:
    """The number of tables on the page, each of which has a tool bar without a visible download."""
    unfold(page)
    tables = page.locator("[data-testid=stDataFrame]:visible")
    for number in range(tables.count()):
        tables.nth(number).scroll_into_view_if_needed()
        tables.nth(number).hover()
        expect(page.locator("[data-testid=stElementToolbarButton]:visible").first).to_be_visible()
        assert not page.locator("button[aria-label^='Download as CSV']:visible").count()
    return tables.count()


@pytest.mark.browser
@pytest.mark.slow
def test_streamlits_download_is_hidden_and_ours_escapes(chromium: Browser, workspace: Workspace) -> None:
    for _ in range(2):
        fake_run(workspace)
    lines = [f'"{formula}, {text}",{label}' for formula, (text, label) in zip(FORMULAS * 10, reviews(80), strict=True)]
    table = {"name": "a.csv", "mimeType": "text/csv", "buffer": "\n".join(["text,label", *lines]).encode()}
    with served(workspace) as server, visitor(chromium, server.url) as someone:
        page = someone.open("/data")
        page.locator("input[type=file]").set_input_files(table)  # type: ignore[arg-type]
        expect(page.get_by_text("Rows, training set")).to_be_visible()
        settle(page)
        assert page.locator("button[aria-label^='Download as CSV']").count(), "Streamlit names its button otherwise"
        counts = {"/data with a file": tables_without_download(page)}
        with page.expect_download() as download:
            by_key(page, "data.sample.csv").get_by_role("button").click()
        rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"), newline="")))
        texts = [row[rows[0].index("text")] for row in rows[1:]]
        assert texts and all(text.startswith("'") for text in texts)
        page.close()
        for path in PAGES:
            page = someone.open(path)
            counts[path] = tables_without_download(page)
            page.close()
    print(f"\ntables without Streamlit's download: {counts}")
    assert counts["/data with a file"] and counts["/runs"] and counts["/settings"] and sum(counts.values()) > 5
