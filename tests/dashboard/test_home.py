"""Home: one next step, what runs and waits, the last runs, and a word when the disk is nearly full."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.parts.shared.data.uploads import store
from dashboard.state import Data
from tests.dashboard.fake_runs import fake_run
from tests.dashboard.pages import open_page, text_of, well
from tests.tiny import reviews
from workbench import jobs
from workbench.check import presets
from workbench.runs.run import Run
from workbench.system import machine
from workbench.workspace import Workspace


def links(test: AppTest) -> list[str]:
    return [link.proto.label.replace("\\", "") for link in test.get("page_link")]


def primary(test: AppTest) -> list[str]:
    return [button.key for button in test.button if button.proto.type == "primary"]


@pytest.mark.parametrize(
    ("states", "step"),
    [
        ([], None),  # the drop zone
        (["failed"], "home.runs"),
        (["running"], "home.runs"),
        (["succeeded"], "home.launch"),
        (["succeeded", "queued"], "home.launch"),
        (["succeeded", "succeeded"], "home.compare"),
    ],
)
def test_there_is_one_next_step(states: list[str], step: str | None, workspace: Workspace) -> None:
    for seed, state in enumerate(states):
        fake_run(workspace, state, seed=seed)
    assert primary(well(open_page("home"))) == ([step] if step else [])


def test_a_newcomer_can_also_begin_with_a_file_or_the_course(workspace: Workspace) -> None:
    test = well(open_page("home"))
    assert links(test) == ["Or choose a data set", "Or learn how Transformers work"]
    assert "Train a language model" in text_of(test)
    test = well(test.button(key="first_visit.home.button").click().run())
    assert "Train a language model" not in text_of(test)


def test_the_demo_starts_with_one_click(workspace: Workspace) -> None:
    jobs.pause(workspace)
    test = well(well(open_page("home")).button(key="home.demo").click().run())
    (run,) = Run.all(workspace)
    assert run.state == "queued" and run.spec().data.train == presets()["demo-full"].data.train
    assert test.title[0].value != "Home", "the run is shown"


def test_a_dropped_file_is_opened_on_data(workspace: Workspace) -> None:
    path = store("reviews.csv", ("text,label\n" + "".join(f"{t},{n}\n" for t, n in reviews(60))).encode(), workspace)
    test = open_page("home")
    test.session_state[Data.UPLOADED] = str(path)
    test = well(test.run())
    assert test.title[0].value == "Data" and test.selectbox(key="data.chosen").value == path.name


def test_the_second_run_begins_with_the_settings_of_the_first(workspace: Workspace) -> None:
    fake_run(workspace, tuning="lora")
    test = well(well(open_page("home")).button(key="home.launch").click().run())
    assert test.title[0].value == "Launch" and test.selectbox(key="launch.tuning").value == "lora"


def test_running_and_queued_runs_are_in_the_queues_order(workspace: Workspace) -> None:
    fake_run(workspace, "running", name="at-work")
    waiting = [fake_run(workspace, "queued", name=f"waits-{number}") for number in range(5)]
    jobs.move(waiting[4], 0)
    labels = links(well(open_page("home")))
    indices = [next(i for i, label in enumerate(labels) if name in label) for name in ("at-work", "waits-4", "waits-0")]
    assert indices == sorted(indices)
    assert not any("waits-3" in label for label in labels)
    assert "2 more runs are queued." in text_of(well(open_page("home")))


def test_a_paused_queue_is_shown(workspace: Workspace) -> None:
    fake_run(workspace, "queued")
    jobs.pause(workspace)
    assert "The queue is paused" in text_of(well(open_page("home")))


def test_the_last_runs_whatever_their_end(workspace: Workspace) -> None:
    for state in ("failed", "stopped", "succeeded", "interrupted"):
        fake_run(workspace, state, name=f"it-{state}")
    test = well(open_page("home"))
    for state in ("failed", "stopped", "succeeded", "interrupted"):
        assert any(f"it-{state}" in label for label in links(test)), (state, links(test))
    assert "accuracy 0." in text_of(test)


def test_low_disk_space_shows_a_warning(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboard.parts.shared import machine as part

    description: dict[str, Any] = machine.describe(workspace.root)
    for free, warns in ((1_900_000_000, True), (2_100_000_000, False)):
        changed = {**description, "disk": {"total_bytes": 10**12, "free_bytes": free}}
        monkeypatch.setattr(part, "_description", lambda changed=changed: changed)
        warnings = [str(warning.value) for warning in well(open_page("home")).warning]
        assert any("Only 1.9 GB" in warning for warning in warnings) == warns
