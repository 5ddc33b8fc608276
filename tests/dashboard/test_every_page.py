"""What holds for all pages together: each has a route of its own behind the login (A5), and text stays text (A6)."""

from __future__ import annotations

import pytest

from dashboard.serving.server import PAGES as SERVED
from tests.dashboard.fake_runs import fake_run
from tests.dashboard.pages import PAGES, open_page, text_of, well
from workbench.workspace import Workspace

HOSTILE = "<img src=x onerror=alert(1)> [click](javascript:alert(1)) :red[x]"


def test_every_page_is_served_at_its_address() -> None:
    """The test of the login takes its addresses from there, too."""
    assert set(SERVED) == {"/" if page == "home" else f"/{page}" for page in PAGES}


@pytest.mark.parametrize("page", ["home", "playground", "settings"])
def test_names_notes_and_errors_of_runs_are_text(page: str, workspace: Workspace) -> None:
    fake_run(workspace, name=HOSTILE, notes=HOSTILE, labels=[HOSTILE, "b"])
    fake_run(workspace, "queued", name=HOSTILE)
    failed = fake_run(workspace, "failed", name=HOSTILE)
    failed.update_status(error={"kind": HOSTILE, "message": HOSTILE, "hint": HOSTILE})
    test = well(open_page(page))
    text = text_of(test) + "".join(link.proto.label for link in test.get("page_link"))
    assert "<img" not in text.replace(r"\<img", "") and "](javascript" not in text and " :red[" not in text


def test_a_text_without_end_in_a_link_is_cut(workspace: Workspace) -> None:
    fake_run(workspace)
    long = '{"text": "' + "a" * 200_000 + '"}'
    test = well(open_page("playground", input=long))
    assert not test.get("plotly_chart")
    assert all(len(area.value or "") <= 12_000 for area in test.text_area)
