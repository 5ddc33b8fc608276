"""The explanation of a page is there on the first visit, can be put away, comes back, and the workspace remembers."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from dashboard.parts.shared import first_visit
from tests.dashboard.pages import text_of, well
from workbench.workspace import Workspace


def _page() -> None:
    from dashboard.parts.shared import first_visit

    first_visit.explain("one", "What one is for.")


def test_an_explanation_stays_dismissed_until_it_is_shown_again(workspace: Workspace) -> None:
    test = well(AppTest.from_function(_page).run())
    assert "What one is for." in text_of(test)
    well(test.button[0].click().run())
    assert "What one is for." not in text_of(test)

    later = well(AppTest.from_function(_page).run())  # another session, as after a restart
    assert "What one is for." not in text_of(later)
    well(later.button[0].click().run())
    assert "What one is for." in text_of(later)


def test_other_pages_and_settings_stay_as_they_were(workspace: Workspace) -> None:
    workspace.save_settings(theme="dark", **{first_visit.DISMISSED: ["two"]})
    well(well(AppTest.from_function(_page).run()).button[0].click().run())
    assert first_visit.dismissed_pages(workspace) == ["two", "one"]
    assert workspace.settings()["theme"] == "dark"


def test_a_settings_file_that_somebody_edited_does_not_break_the_page(workspace: Workspace) -> None:
    workspace.save_settings(**{first_visit.DISMISSED: {"one": 1}})
    assert "What one is for." in text_of(well(AppTest.from_function(_page).run()))
