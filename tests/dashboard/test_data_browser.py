"""A file with a wrong row is refused with its line; the mended file is uploaded, launched, and trained to the end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.dashboard.browsing import by_key, expect, fill, settle, visitor
from tests.dashboard.serving import served
from tests.tiny import reviews
from workbench import jobs
from workbench.runs.run import Run
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.mirror]
LONGEST_TRAINING = 300  # seconds


def sent(name: str, text: str) -> dict[str, object]:
    return {"name": name, "mimeType": "text/csv", "buffer": text.encode()}


def test_a_wrong_row_is_mended_and_trained_on(chromium: Browser, workspace: Workspace, shared_cache: Path) -> None:
    good = "text,label\n" + "".join(f"{text},{label}\n" for text, label in reviews(80))
    wrong = good.replace("\n", ",too,many\n", 3).replace("text,label,too,many", "text,label", 1)
    try:
        with served(workspace, OMP_NUM_THREADS="1") as server, visitor(chromium, server.url) as someone:
            page = someone.open("/data")
            page.locator("input[type=file]").set_input_files(sent("reviews.csv", wrong))  # type: ignore[arg-type]
            expect(page.get_by_text("line 2").first).to_be_visible()
            expect(page.get_by_text("Leave out these 2 rows")).to_be_visible()
            page.locator("input[type=file]").set_input_files(sent("reviews.csv", good))  # type: ignore[arg-type]
            expect(page.get_by_text("Rows, training set")).to_be_visible()
            settle(page)
            by_key(page, "data_use").get_by_role("button").click()
            page.wait_for_url("**/launch*")
            settle(page)
            fill(page, "launch.training.epochs", "1")
            by_key(page, "launch_submit").get_by_role("button").click()
            page.wait_for_url("**/run?id=*")
            end = time.monotonic() + LONGEST_TRAINING
            while (state := Run.all(workspace)[0].state) in ("queued", "running") and time.monotonic() < end:
                time.sleep(0.5)
            assert state == "succeeded", Run.all(workspace)[0].status()
            expect(page.get_by_text("succeeded").first).to_be_visible()
    finally:
        jobs.stop_worker(workspace)


def test_doubts_about_a_file_are_resolved_by_clicks(chromium: Browser, workspace: Workspace) -> None:
    rows = "".join(f"{n},{text} in short,{label}\n" for n, (text, label) in enumerate(reviews(60)))
    table = f"nummer,rezension,urteil\n{rows}0,El desayuno estaba frío.,good\n".encode("mac_roman")
    with served(workspace) as server, visitor(chromium, server.url) as someone:
        page = someone.open("/data")
        files = page.locator("input[type=file]")
        files.set_input_files({"name": "reviews.csv", "mimeType": "text/csv", "buffer": table})
        expect(page.get_by_text("El desayuno estaba fr’o.")).to_be_visible()
        by_key(page, "offer_encoding_1").get_by_role("button").click()
        expect(page.get_by_text("Which column is which?")).to_be_visible()
        settle(page)
        by_key(page, "offer_columns_accept").get_by_role("button").first.click()
        expect(page.get_by_text("Rows, training set")).to_be_visible()
        settle(page)
        link = page.url
        by_key(page, "data_use").get_by_role("button").click()
        page.wait_for_url("**/launch*")
        expect(page.get_by_text("No problems found.")).to_be_visible()
        shared = someone.open(link.removeprefix(server.url))
        expect(shared.get_by_text("Rows, training set")).to_be_visible()


def test_from_a_practitioners_file_to_a_first_score_and_a_run_in_six_clicks(
    chromium: Browser, workspace: Workspace
) -> None:
    """Tickets with missing and misspelt labels and duplicates, dropped on Home: every click is counted."""
    rows = [(f"T-{n}", f"{text} in short", label) for n, (text, label) in enumerate(reviews(300))]
    rows[7], rows[40] = (*rows[7][:2], ""), (*rows[40][:2], rows[40][2].title())
    lines = "".join(",".join(row) + "\n" for row in [*rows, rows[3]])
    table = f"Ticket #,Customer Question (raw),Category / Team\n{lines}"
    jobs.pause(workspace)
    clicks = 0
    with served(workspace) as server, visitor(chromium, server.url) as someone:
        page = someone.open("/")
        page.locator("input[type=file]").set_input_files(sent("tickets.csv", table))  # type: ignore[arg-type]
        clicks += 1  # the file is dropped
        page.wait_for_url("**/data?data=tickets*")
        for key in ("offer_columns_accept", "fix_bad_rows"):
            by_key(page, key).get_by_role("button").click()
            clicks += 1
            settle(page)
        expect(page.get_by_text("Always guessing gets")).to_be_visible()
        assert clicks <= 6, "the first score"
        for key in ("fix_label_merge.Good", "fix_duplicates", "train_fast"):
            key = key.replace("Good", rows[40][2])
            by_key(page, key).get_by_role("button").click()
            clicks += 1
            settle(page)
        page.wait_for_url("**/run?id=*")
    assert clicks == 6
    (run,) = Run.all(workspace)
    data = run.spec().data
    assert (data.on_bad_rows, data.duplicates) == ("drop", "drop") and len(data.labels) == 1
    assert run.spec().tuning.method == "head" and run.state == "queued"
