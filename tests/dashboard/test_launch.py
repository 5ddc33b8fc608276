"""Launch: what fits, search, YAML both ways, a new run from an old one, and what the run will take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from streamlit.testing.v1 import AppTest

from dashboard.parts.launch import cost_estimate as panel
from dashboard.parts.launch.spec_yaml import lost
from tests.dashboard.fake_runs import damaged_run, fake_run
from tests.dashboard.pages import open_page, text_of, well
from workbench import jobs
from workbench.check import presets, resolve
from workbench.jobs import estimate
from workbench.runs.documents import Cost, Estimate, Interval, Report
from workbench.spec import RunSpec
from workbench.workspace import Workspace

ESTIMATE = Estimate(
    total_seconds=Interval(value=700.0, low=560.0, high=840.0),
    seconds=Interval(value=660.0, low=528.0, high=792.0),
    peak_memory_bytes=Interval(value=1.5e9, low=1.35e9, high=1.65e9),
    trained_parameters=74_498,
    total_parameters=22_788_484,
    steps=57,
    seconds_per_step=0.65,
    evaluations=3,
    seconds_per_evaluation=1.1,
    measured_steps=19,
    took_seconds=25.0,
    device="cpu",
    machine="A <b>processor</b>",
)


def document_of(test: AppTest) -> dict[str, Any]:
    """What the page says would be run."""
    document: dict[str, Any] = yaml.safe_load(next(code.value for code in test.code if "task:" in code.value))
    return document


def test_only_fitting_entries_are_offered(workspace: Workspace) -> None:
    test = well(open_page("launch"))
    assert "transformer-encoder-decoder" not in test.selectbox(key="launch.model").options
    assert {"full", "lora", "head"} <= set(test.selectbox(key="launch.tuning").options)
    well(test.selectbox(key="launch.task").set_value("translation").run())
    models = test.selectbox(key="launch.model")
    assert "minilm" not in models.options and models.value in models.options
    well(models.set_value("transformer-encoder-decoder").run())
    assert "lora" not in test.selectbox(key="launch.tuning").options  # there is nothing learned to be adapted
    assert document_of(test)["model"] == {"source": "transformer-encoder-decoder"}


def test_terms_of_a_model_are_shown_and_accepted_once(workspace: Workspace) -> None:
    test = well(open_page("launch"))
    well(test.selectbox(key="launch.task").set_value("causal-lm").run())
    well(test.selectbox(key="launch.model").set_value("gemma-3-270m").run())
    assert "Prohibited Use Policy" in text_of(test) and "have not been accepted yet" in text_of(test)
    well(test.button(key="accept_terms").click().run())
    assert "have not been accepted yet" not in text_of(test)
    assert not [button for button in test.button if button.key == "accept_terms"]
    assert list(workspace.settings()["accepted_terms"]) == ["Gemma Terms of Use"]


def test_the_model_can_follow_the_language_of_the_data(workspace: Workspace) -> None:
    """The form offers the options of a pretrained model, and the check names the model and the reason."""
    test = well(open_page("launch"))
    well(test.selectbox(key="launch.model").set_value("auto").run())
    assert document_of(test)["model"] == {"source": "auto"} and "for the language of the texts" in text_of(test)
    assert "lora" in test.selectbox(key="launch.tuning").options
    well(test.selectbox(key="launch.data").set_value("tnews").run())
    assert "auto chose multilingual-e5-small" in text_of(test).replace("\\", "")
    well(test.selectbox(key="launch.task").set_value("translation").run())
    assert "auto" not in test.selectbox(key="launch.model").options, "no pretrained model fits"


def test_a_search_for_settings_keeps_their_values(workspace: Workspace) -> None:
    test = well(open_page("launch"))
    test.number_input(key="launch.training.early_stopping_patience").set_value(3)
    test.number_input(key="launch.training.max_grad_norm").set_value(0.5)
    well(test.run())
    well(test.text_input(key="launch_find").set_value("stop evaluations").run())
    keys = {str(widget.key) for widget in test.number_input}
    assert "launch.training.early_stopping_patience" in keys and "launch.training.max_grad_norm" not in keys
    assert document_of(test)["training"] == {"early_stopping_patience": 3, "max_grad_norm": 0.5}
    well(test.text_input(key="launch_find").set_value("no such words").run())
    assert document_of(test)["training"] == {"early_stopping_patience": 3, "max_grad_norm": 0.5}
    well(test.text_input(key="launch_find").set_value("").run())
    assert test.number_input(key="launch.training.max_grad_norm").value == 0.5


def test_the_form_follows_the_yaml_and_the_yaml_the_form(workspace: Workspace) -> None:
    test = well(open_page("launch"))
    well(test.number_input(key="launch.training.epochs").set_value(7.0).run())
    area = test.text_area(key="launch_yaml_text")
    assert yaml.safe_load(area.value)["training"]["epochs"] == 7.0
    wanted = presets()["demo-lora"].changed({"training.batch_size": 16, "tuning.rank": 4})
    well(area.set_value(wanted.to_yaml()).run())
    well(test.button(key="launch_yaml_apply").click().run())
    assert test.number_input(key="launch.training.batch_size").value == 16
    assert test.number_input(key="launch.tuning_options.rank").value == 4
    now = resolve(RunSpec.parse(document_of(test)), workspace).spec
    assert now.model_dump(mode="json") == resolve(wanted, workspace).spec.model_dump(mode="json")
    assert yaml.safe_load(test.text_area(key="launch_yaml_text").value) == document_of(test)
    assert "cannot hold" not in text_of(test)


@pytest.mark.parametrize(
    ("text", "message"),
    [("task: [", "not valid YAML"), ("task: x\nmodel: 3\n", "model"), ("a: &a 1\nb: *a\n", "aliases"), ("", "empty")],
)
def test_invalid_yaml_shows_an_error_and_changes_nothing(text: str, message: str, workspace: Workspace) -> None:
    test = well(open_page("launch"))
    before = document_of(test)
    well(test.text_area(key="launch_yaml_text").set_value(text).run())
    well(test.button(key="launch_yaml_apply").click().run())
    assert any(message in error.value.replace("\\", "") for error in test.error), [error.value for error in test.error]
    assert document_of(test) == before and test.text_area(key="launch_yaml_text").value == text
    well(test.button(key="launch_yaml_discard").click().run())
    assert yaml.safe_load(test.text_area(key="launch_yaml_text").value) == before and not test.error


def test_a_file_outside_the_workspace_is_refused_and_not_read(workspace: Workspace, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("text,top-secret-column\na,b\n", encoding="utf-8")
    test = well(open_page("launch"))
    text = f"task: text-classification\ndata: {secret}\nmodel: minilm\n"
    well(test.text_area(key="launch_yaml_text").set_value(text).run())
    well(test.button(key="launch_yaml_apply").click().run())
    assert test.button(key="launch_submit").disabled and test.error
    offered = [option for box in test.selectbox for option in box.options]
    assert not any("top-secret" in str(option) for option in offered)


def test_a_new_run_begins_with_the_settings_of_an_old_one(workspace: Workspace) -> None:
    run = fake_run(workspace, tuning="lora", changes={"training.warmup_ratio": 0.2, "training.seed": 5})
    test = well(open_page("run", id=run.id))
    well(test.button(key="run.again").click().run())
    assert test.title[0].value == "Launch"
    both = (RunSpec.parse(document_of(test)), run.spec().changed({"name": None, "notes": ""}))
    filled, meant = (resolve(spec, workspace).spec.model_dump(mode="json") for spec in both)
    assert filled == meant


def test_a_link_to_a_run_that_cannot_be_read_leaves_the_form(workspace: Workspace) -> None:
    damaged = damaged_run(workspace)
    for run_id in (damaged.id, "../../etc", "no-such-run"):
        test = well(open_page("launch", **{"from": run_id}))
        assert test.warning or test.error
        assert document_of(test)["data"]["train"] == "rotten-tomatoes"


def test_settings_that_the_form_cannot_hold_are_named() -> None:
    document = {"task": "text-classification", "data": "a.csv", "model": "minilm"}
    spec = RunSpec.parse({**document, "data": {"train": "a.csv", "test": "b.csv"}})
    assert lost(spec, document) == ["data.test"]
    assert lost(spec, {**document, "data": {"train": "a.csv", "test": "b.csv"}}) == []


# -- what a run will take -----------------------------------------------------------------------------------------


def test_an_estimate_is_started_shown_and_stopped(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"trial": estimate.EstimateStatus("unknown")}
    calls: list[tuple[str, bool]] = []

    def begin(spec: RunSpec, where: Workspace, confined: bool = False) -> None:
        calls.append((spec.tuning.method, confined))
        now["trial"] = estimate.EstimateStatus("measuring", progress={"phase": "timing steps", "done": 3, "total": 12})

    monkeypatch.setattr(estimate, "status", lambda spec, where, confined=False: now["trial"])
    monkeypatch.setattr(estimate, "start", begin)
    monkeypatch.setattr(estimate, "cancel", lambda *_, **__: calls.append(("cancel", True)))
    test = well(open_page("launch", preset="demo-lora"))
    well(test.button(key="foresight_begin").click().run())
    assert calls == [("lora", True)]
    assert test.button(key="foresight_stop") and not test.button(key="launch_submit").disabled
    well(test.button(key="foresight_stop").click().run())
    assert calls[-1] == ("cancel", True)
    now["trial"] = estimate.EstimateStatus("done", ESTIMATE)
    well(test.run())
    assert "9 min to 14 min" in text_of(test) and "74,498" in text_of(test)
    assert "<b>" not in text_of(test).replace("\\<b\\>", "")
    now["trial"] = estimate.EstimateStatus("failed", error={"kind": "x", "message": "no <memory>", "hint": "less"})
    well(test.run())
    assert any("memory" in error.value for error in test.error)
    calls.clear()
    monkeypatch.setattr(jobs, "submit", lambda spec, where, confined=False: fake_run(where))
    well(test.button(key="launch_submit").click().run())
    assert calls == [("cancel", True)], "measuring would take half of the machine from the run"


def test_an_invalid_spec_is_not_estimated(workspace: Workspace) -> None:
    test = well(open_page("launch"))
    test.number_input(key="launch.data_fields.holdout.valid").set_value(0.6)
    well(test.number_input(key="launch.data_fields.holdout.test").set_value(0.6).run())
    assert not any(button.key == "foresight_begin" for button in test.button)


def test_a_finished_run_shows_the_error_of_its_estimate() -> None:
    cost = Cost(total_seconds=1000.0, seconds=900.0, peak_memory_bytes=1_500_000_000)
    text = panel.compare_with_actual(Report(cost=cost, estimate=ESTIMATE))
    assert "12 min; actual: 17 min (-30%)" in text and "1.5 GB" in text and "(+0%)" in text
    assert panel.compare_with_actual(Report(cost=cost)) == "" == panel.compare_with_actual(Report(estimate=ESTIMATE))
