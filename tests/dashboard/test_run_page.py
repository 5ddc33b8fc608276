"""The page of a run: is it good, where is it wrong, what can be done with it."""

from __future__ import annotations

import pytest

from dashboard.parts.run import tabs
from tests.dashboard.fake_runs import fake_language_run, fake_range_test, fake_run
from tests.dashboard.pages import open_page, text_of, unfold, well
from tests.dashboard.test_evidence_parts import chosen_rows, went_to
from workbench.runs.predictions import read_predictions
from workbench.workspace import Workspace


def tabs_of(state: str, workspace: Workspace) -> list[str]:
    run = fake_run(workspace, state)
    return tabs.available(run, run.summary(with_spec=False))


def test_the_first_screen_says_whether_it_is_good(workspace: Workspace) -> None:
    run = fake_run(workspace, name="mine")
    test = well(open_page("run", id=run.id))
    assert test.title[0].value.startswith("mine")
    assert "Right in 79 of 100 new texts" in test.header[0].value
    text = text_of(test)
    assert "Ready to use" in text and "text classification · minilm · rotten\\-tomatoes · Full fine\\-tuning" in text
    assert any('alt="Right in 79 of 100' in each.proto.body for each in test.get("html"))


@pytest.mark.parametrize("state", ["queued", "running", "failed", "stopped", "interrupted"])
def test_an_unfinished_run_shows_its_progress_and_no_verdict(state: str, workspace: Workspace) -> None:
    assert tabs_of(state, workspace) == [tabs.LIVE]
    (run_id,) = [path.name for path in workspace.runs.iterdir()]
    test = well(open_page("run", id=run_id))
    assert not test.header and "Ready" not in text_of(test)


def test_a_run_that_is_gone_is_not_replaced_by_another(workspace: Workspace) -> None:
    fake_run(workspace)
    gone = fake_run(workspace, name="gone")
    test = well(open_page("run", id=gone.id))
    gone.delete()
    well(test.run())
    assert [title.value for title in test.title] == ["Run"] and not test.button
    assert "may have been deleted in another window" in text_of(test)
    for wrong in ("../runs", "nothing", "<script>"):
        assert "does not exist" in text_of(well(open_page("run", id=wrong)))


@pytest.mark.parametrize("tab", [tabs.MISTAKES, tabs.CLASSES, tabs.USE])
def test_every_tab_is_in_the_link(tab: str, workspace: Workspace) -> None:
    test = well(open_page("run", id=fake_run(workspace).id, tab=tab))
    assert test.segmented_control(key="run_page.tab").value == tab and not test.error


def test_mistakes_are_filtered_and_lead_to_their_explanation(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fake_run(workspace)
    rows = read_predictions(run)
    wrong = [i for i, right in enumerate(rows["correct"]) if not right]
    wrong.sort(key=lambda i: -rows["score"][i])
    test = well(open_page("run", id=run.id, tab=tabs.MISTAKES))
    table = next(frame.value for frame in test.dataframe if "score" in frame.value.columns)
    assert list(table["score"]) == [rows["score"][i] for i in wrong]
    test = well(test.selectbox(key="run_page.actual").set_value("negative").run())
    table = next(frame.value for frame in test.dataframe if "score" in frame.value.columns)
    assert set(table["gold"]) == {"negative"} and len(table) == sum(rows["gold"][i] == "negative" for i in wrong)
    well(test.text_input(key="run_page.words").set_value("no such word").run())
    assert "No error matches the filters" in text_of(test)
    links = went_to(monkeypatch)
    chosen_rows(monkeypatch, "run.mistakes", [0])
    well(open_page("run", id=run.id, tab=tabs.MISTAKES))
    assert links[0]["run"] == run.id and links[0]["text"] == rows["input:text"][wrong[0]] and "with" not in links[0]


@pytest.mark.parametrize("kind", ["confusion", "slices", "calibration", "thresholds", "labels"])
def test_the_evidence_of_compare_is_shown_of_one_run(kind: str, workspace: Workspace) -> None:
    test = well(open_page("run", id=fake_run(workspace).id, tab=tabs.CLASSES, by=kind))
    assert not test.error and len(test.dataframe)
    columns = {name for frame in test.dataframe for name in frame.value.columns}
    assert not [name for name in columns if "second" in name or name.endswith("_1")]
    assert "first run" not in text_of(test).lower()


def test_use_it_names_the_folder_and_commands(workspace: Workspace) -> None:
    run = fake_run(workspace)
    assert "has no model" in text_of(well(open_page("run", id=run.id, tab=tabs.USE)))
    run.model_folder.mkdir()
    (run.model_folder / "README.md").write_text("# mine")
    test = well(unfold(open_page("run", id=run.id, tab=tabs.USE), "run.card"))
    code = [each.value for each in test.code]
    assert str(run.model_folder) in code and "# mine" in code
    assert any(each.startswith(f"workbench predict {run.id} --file") for each in code)


def test_other_kinds_of_runs_have_a_page(workspace: Workspace) -> None:
    language = fake_language_run(workspace)
    test = well(open_page("run", id=language.id))
    assert "lower is better" in test.header[0].value
    test = well(open_page("run", id=fake_range_test(workspace).id))
    assert test.metric and not test.header


def test_links_of_earlier_versions_open_the_page(workspace: Workspace) -> None:
    run = fake_run(workspace, name="mine")
    assert well(open_page("runs", run=run.id)).title[0].value.startswith("mine")


def test_a_clicked_row_of_the_list_opens_the_page(workspace: Workspace) -> None:
    run = fake_run(workspace, name="mine")
    test = well(open_page("runs"))
    test.session_state["list.opened"] = run.id
    assert well(test.run()).title[0].value.startswith("mine")
