"""Every page, on every kind of workspace: it says something useful, and never fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from streamlit.testing.v1 import AppTest

from tests.dashboard.fake_runs import damaged_run, fake_language_run, fake_range_test, fake_run, long_names, many_runs
from tests.dashboard.pages import PAGES, open_page, text_of, well
from tests.dashboard.serving import answer_of
from workbench import jobs
from workbench.check import presets, resolve
from workbench.runs.run import Run
from workbench.workspace import Workspace

PRESETS = sorted(presets())
HOSTILE = [
    "../../etc/passwd",
    "%2e%2e%2fetc",
    "/etc/passwd",
    "runs/../x",
    "nul\0byte",
    "<script>alert(1)</script>",
    "x" * 100_000,
    "\\\\server\\share",
]


def three(workspace: Workspace) -> None:
    fake_run(workspace)
    fake_run(workspace, tuning="lora", seed=1)
    fake_run(workspace, "failed", name="failing")


def every_state(workspace: Workspace) -> None:
    for state in ("queued", "running", "succeeded", "failed", "stopped", "interrupted"):
        fake_run(workspace, state, name=f"it-is-{state}")


def all_kinds(workspace: Workspace) -> None:
    fake_run(workspace)
    fake_language_run(workspace)
    fake_language_run(workspace, "running", name="running-one")
    fake_range_test(workspace, "stopped")
    fake_range_test(workspace)


WORKSPACES: dict[str, Callable[[Workspace], object]] = {
    "empty": lambda workspace: None,
    "one run": fake_run,
    "failed run": lambda workspace: fake_run(workspace, "failed"),
    "damaged run": damaged_run,
    "three runs": three,
    "every state": every_state,
    "range test": fake_range_test,
    "language model": fake_language_run,
    "all kinds": all_kinds,
    "long names": long_names,
}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("what", WORKSPACES)
def test_every_page_on_every_workspace(page: str, what: str, workspace: Workspace) -> None:
    WORKSPACES[what](workspace)
    test = well(open_page(page))
    assert [title.value for title in test.title] == [page.capitalize()]


@pytest.mark.slow
def test_every_page_with_a_thousand_runs(workspace: Workspace) -> None:
    many_runs(workspace, 1000)
    for page in PAGES:
        test = well(open_page(page))
        assert [title.value for title in test.title] == [page.capitalize()], page
        errors = [error.value for error in test.error]  # the runs are folders without weights
        assert all("has no model" in each for each in errors) and (page in ("explain", "playground") or not errors)


@pytest.mark.parametrize("page", PAGES)
def test_hostile_links_get_a_friendly_word(page: str, workspace: Workspace) -> None:
    three(workspace)
    test = open_page(page)
    for value in HOSTILE:
        for name in ("run", "runs", "view", "preset"):
            test.query_params[name] = f"{value},{value}x" if name == "runs" else value
        well(test.run())
        assert value[:20] not in "".join(error.value for error in test.error)
        if page in ("runs", "compare", "explain", "launch"):
            assert test.warning, f"nothing says that the link is wrong: {value[:40]}"
    print(f"\nA1: {len(HOSTILE)} hostile links to {page}")


def test_home_does_not_import_torch(workspace: Workspace) -> None:
    code = (
        "import sys; from tests.dashboard.pages import open_page, well; "
        "well(open_page('home')); print('torch' in sys.modules)"
    )
    assert answer_of(code) == "False"


# -- Runs ---------------------------------------------------------------------------------------------------------


def test_a_failed_run_shows_why_and_what_to_do(workspace: Workspace) -> None:
    test = well(open_page("run", id=fake_run(workspace, "failed").id))
    assert "9\\.1 GB" in test.error[0].value and "batch\\_size" in test.error[0].value


def test_delete_asks_first_and_then_deletes(workspace: Workspace) -> None:
    other, gone = fake_run(workspace, name="kept"), fake_run(workspace, name="gone")
    test = well(open_page("run", id=gone.id))
    assert Run.all(workspace) and gone.folder.exists()
    well(test.button(key="run.delete.yes").click().run())
    assert [run.id for run in Run.all(workspace)] == [other.id]


def test_stop_and_resume_reach_the_queue(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(jobs, "stop", lambda run: calls.append(f"stop {run.id}"))
    monkeypatch.setattr(jobs, "resume", lambda run, workspace: calls.append(f"resume {run.id}"))
    queued, stopped = fake_run(workspace, "queued"), fake_run(workspace, "stopped")
    well(open_page("run", id=queued.id).button(key="run.stop").click().run())
    well(open_page("run", id=stopped.id).button(key="run.resume").click().run())
    assert calls == [f"stop {queued.id}", f"resume {stopped.id}"]


def test_a_run_deleted_while_it_is_shown(workspace: Workspace) -> None:
    fake_run(workspace, name="other")
    run = fake_run(workspace, name="shown")
    test = well(open_page("run", id=run.id))
    run.delete()
    well(test.run())


def test_a_range_test_shows_its_curve_and_leads_to_a_training_with_its_rate(workspace: Workspace) -> None:
    run = fake_range_test(workspace)
    test = well(open_page("run", id=run.id))
    rate = float(test.metric[0].value)
    assert 1e-4 < rate < 3e-3  # a tenth of where the fake loss is lowest
    assert len(test.get("plotly_chart")) == 1 and "log" in test.get("plotly_chart")[0].proto.spec
    assert not {"run.explain", "run.compare"} & {str(button.key) for button in test.button}
    well(test.button(key="run.use_rate").click().run())
    assert test.title[0].value == "Launch"
    assert test.number_input(key="launch.training.learning_rate").value == rate
    written = next(code.value for code in test.code if "task:" in code.value)
    assert "range" not in written


def test_a_running_range_test_draws_its_losses_so_far(workspace: Workspace) -> None:
    run = fake_range_test(workspace, "stopped")
    test = well(open_page("run", id=run.id))
    assert len(test.get("plotly_chart")) == 1 and not test.metric


def test_a_language_model_shows_its_generated_text_newest_first(workspace: Workspace) -> None:
    run = fake_language_run(workspace)
    test = well(open_page("run", id=run.id))
    steps = [box.label for box in test.expander if box.label.startswith("After step")]
    assert steps == ["After step 100", "After step 75", "After step 50"]
    assert "who <script>alert(100)</script> lives" in [text.value for text in test.text]
    table = next(each.value for each in test.dataframe if "baseline" in each.value)
    assert "perplexity (lower is better)" in list(table["metric"]) and 446.0 in list(table["baseline"])
    headings = [json.loads(chart.proto.spec)["layout"]["title"]["text"] for chart in test.get("plotly_chart")]
    assert "Validation perplexity" in headings and "Validation accuracy" in headings  # not on one axis
    assert "12\\.3%" in text_of(test)


def test_explain_and_compare_leave_out_runs_they_cannot_open(workspace: Workspace) -> None:
    all_kinds(workspace)
    fake_run(workspace, tuning="lora")
    explained = open_page("explain").selectbox(key="chosen.run").options
    assert len(explained) == 3 and sum("minilm-rotten" in name for name in explained) == 2
    assert any("storyteller" in name for name in explained)  # its next token
    compared = well(open_page("compare")).multiselect(key="chosen.runs")
    assert len(compared.options) == 4 and len(compared.value) == 2  # of one task


# -- Launch -------------------------------------------------------------------------------------------------------


def test_launch_submits_the_form(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    monkeypatch.setattr(
        jobs, "submit", lambda spec, where, confined=False: sent.append((spec, confined)) or fake_run(where)
    )
    test = well(open_page("launch"))
    test.selectbox(key="launch.tuning").set_value("lora")
    well(test.run())
    test.number_input(key="launch.training.epochs").set_value(2.0)
    test.number_input(key="launch.tuning_options.rank").set_value(4)
    test.number_input(key="launch.data_fields.limit.train").set_value(64)
    test.text_input(key="launch.name").set_value("mine")
    well(test.run())
    well(test.button(key="launch_submit").click().run())
    (spec, confined), *_ = sent
    assert confined
    assert (spec.name, spec.training.epochs, spec.tuning.method, spec.tuning.rank) == ("mine", 2.0, "lora", 4)
    assert spec.data.limit.train == 64 and spec.data.train == "rotten-tomatoes"
    assert test.title[0].value.startswith("minilm")  # the page of the run


def test_the_form_has_every_field_of_the_spec(workspace: Workspace) -> None:
    from workbench.spec import DataSpec, Holdout, Limit, TrainingSpec

    test = well(open_page("launch"))
    kinds = (test.number_input, test.text_input, test.checkbox, test.selectbox)
    keys = {str(widget.key) for kind in kinds for widget in kind}
    expected = {f"launch.training.{name}" for name in TrainingSpec.model_fields}
    expected |= {f"launch.data_fields.limit.{name}" for name in Limit.model_fields}
    expected |= {f"launch.data_fields.holdout.{name}" for name in Holdout.model_fields}
    nested = ("train", "valid", "test", "columns", "limit", "holdout")
    expected |= {f"launch.data_fields.{name}" for name in DataSpec.model_fields if name not in nested}
    assert expected <= keys, expected - keys


def test_a_wrong_setting_blocks_the_launch_and_says_what(workspace: Workspace) -> None:
    test = well(open_page("launch"))
    test.number_input(key="launch.training.learning_rate").set_value(50.0)
    test.number_input(key="launch.data_fields.holdout.valid").set_value(0.6)
    test.number_input(key="launch.data_fields.holdout.test").set_value(0.6)
    well(test.run())
    assert test.error and test.button(key="launch_submit").disabled


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_fills_the_form_and_the_yaml_is_the_preset(preset: str, workspace: Workspace) -> None:
    from workbench.spec import RunSpec

    test = well(open_page("launch", preset=preset))
    written = next(code.value for code in test.code if "task:" in code.value)
    both = (RunSpec.from_yaml(written), presets()[preset])
    filled, meant = (resolve(spec, workspace).spec.model_dump(mode="json") for spec in both)
    assert filled == meant
    assert not test.button(key="launch_submit").disabled


def test_columns_of_catalogue_data_are_a_field_that_follows_the_data(workspace: Workspace) -> None:
    from workbench.spec import RunSpec

    def data_of(test: AppTest) -> dict[str, Any]:
        spec = RunSpec.from_yaml(next(code.value for code in test.code if "task:" in code.value))
        return spec.model_dump(exclude_unset=True)["data"]

    test = well(open_page("launch", preset="film-stars"))
    columns = test.text_input(key="launch.data_fields.columns")
    well(columns.set_value("{text: history, value: stars}").run())
    assert data_of(test)["columns"] == {"text": "history", "value": "stars"}
    well(test.text_input(key="launch.data_fields.columns").set_value("").run())
    assert "columns" not in data_of(test)
    well(test.text_input(key="launch.data_fields.columns").set_value("{text: candidate, value: stars}").run())
    well(test.text_input(key="launch.data_fields.labels").set_value("{a: b}").run())
    well(test.selectbox(key="launch.task").set_value("text-classification").run())
    assert data_of(test)["train"] == "rotten-tomatoes"
    assert not {"columns", "labels"} & set(data_of(test)), "they belong to the other data"


def test_a_merge_of_labels_in_a_spec_fills_the_form(workspace: Workspace) -> None:
    preset = presets()["demo-full"].changed({"data.labels": {"humann": "human"}})
    run = fake_run(workspace, "queued", changes=preset.model_dump(mode="json", exclude_unset=True))
    test = well(open_page("launch", **{"from": run.id}))
    assert test.text_input(key="launch.data_fields.labels").value == "{humann: human}"


def test_a_range_test_is_launched_from_the_same_form(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    monkeypatch.setattr(jobs, "submit", lambda spec, where, confined=False: sent.append(spec) or fake_run(where))
    test = well(open_page("launch", preset="demo-full"))
    well(test.button_group(key="launch.kind").set_value("learning-rate-range-test").run())
    test.number_input(key="launch.range_test.steps").set_value(40)
    well(test.run())
    assert test.button(key="launch_submit").label == "Start the test"
    well(test.button(key="launch_submit").click().run())
    assert (sent[0].kind, sent[0].range_test.steps) == ("learning-rate-range-test", 40)


def test_options_inside_options_are_fields_of_the_form(workspace: Workspace) -> None:
    from workbench.models.base import models

    if "transformer-encoder" not in models:
        pytest.skip("there is no model transformer-encoder")
    test = well(open_page("launch"))
    well(test.selectbox(key="launch.model").set_value("transformer-encoder").run())
    test.selectbox(key="launch.model_options.tokenizer.train").set_value("bpe")
    test.number_input(key="launch.model_options.tokenizer.vocab_size").set_value(3000)
    well(test.run())
    written = yaml.safe_load(next(code.value for code in test.code if "task:" in code.value))
    assert written["model"] == {"source": "transformer-encoder", "tokenizer": {"train": "bpe", "vocab_size": 3000}}


@pytest.mark.parametrize("source", ["path", "hf"])
@pytest.mark.parametrize(
    "argument", ["/etc", "//proc/self/root", "file:///etc/passwd", "../../x", "x\0y", "", "a b;rm -rf ~"]
)
def test_a_model_from_outside_blocks_the_launch(source: str, argument: str, workspace: Workspace) -> None:
    from workbench.models.base import models

    if source not in models:
        pytest.skip(f"there is no model source {source}")
    test = well(open_page("launch"))
    well(test.selectbox(key="launch.model").set_value(source).run())
    test.text_input(key="launch.model_argument").set_value(argument)
    well(test.run())
    assert test.button(key="launch_submit").disabled, text_of(test)


def test_the_form_keeps_its_values_across_pages(workspace: Workspace) -> None:
    test = well(open_page("launch", preset="demo-lora"))
    well(test.number_input(key="launch.training.epochs").set_value(7.0).run())
    well(test.switch_page("views/runs.py").run())
    well(test.switch_page("views/launch.py").run())
    assert test.number_input(key="launch.training.epochs").value == 7.0
    assert test.selectbox(key="launch.tuning").value == "lora"


# -- Compare ------------------------------------------------------------------------------------------------------


def settings_of(test: AppTest) -> Any:
    """The table of settings on the Compare page."""
    return next(each.value for each in test.dataframe if "setting" in each.value)


def test_compare_shows_the_runs_in_the_link(workspace: Workspace) -> None:
    first, second = fake_run(workspace), fake_run(workspace, tuning="lora", seed=1)
    test = well(open_page("compare", runs=f"{second.id},{first.id}"))
    assert test.multiselect(key="chosen.runs").value == [second.id, first.id]
    assert "interval" in text_of(test)
    table = settings_of(test)
    assert "tuning.method" in list(table["setting"])
    well(test.toggle(key="compare.only").set_value(False).run())
    assert len(settings_of(test)) > len(table)


def test_incomparable_runs_show_the_reason(workspace: Workspace) -> None:
    first, second = fake_run(workspace), fake_run(workspace, examples=20)
    test = well(open_page("compare", runs=f"{first.id},{second.id}"))
    assert "cannot be compared" in text_of(test)
