"""Compare over seeds: the page and the command line say what can be claimed of settings, not of single runs."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from dashboard.parts.compare import tradeoff
from tests.dashboard.fake_runs import fake_run
from tests.dashboard.pages import open_page, text_of, unfold, well
from workbench.cli.app import app
from workbench.compare.seeds import compare_seeds
from workbench.workspace import Workspace


def test_settings_with_several_seeds_are_judged_over_these(workspace: Workspace) -> None:
    runs = [fake_run(workspace, tuning=tuning, seed=seed) for tuning in ("full", "lora") for seed in (1, 2)]
    ids = [run.id for run in runs]
    expected = compare_seeds(runs, "accuracy")
    assert "(2 seeds)" in expected.verdict
    page = well(open_page("compare", runs=",".join(ids)))
    assert "2 seeds" in text_of(page).replace("\\", "") and "over seeds" in text_of(page)
    (groups,) = [each.value for each in page.dataframe if "mean" in each.value]
    assert list(groups["seeds"]) == [2, 2] and groups["mean"][0] == expected.groups[0].mean
    printed = CliRunner().invoke(app, ["compare", *ids]).output
    assert expected.verdict in printed and printed.count("(2 seeds) minus") <= 1
    document = json.loads(CliRunner().invoke(app, ["compare", *ids, "--json"]).output)
    assert document["seeds"]["verdict"] == expected.verdict and len(document["pairs"]) == 3
    two = json.loads(CliRunner().invoke(app, ["compare", ids[0], ids[2], "--json"]).output)
    assert two["seeds"] is None


def test_quality_is_drawn_against_cost_and_the_link_says_how(workspace: Workspace) -> None:
    runs = [fake_run(workspace, tuning=tuning, seed=seed) for tuning in ("full", "lora") for seed in (1, 2)]
    query = {"runs": ",".join(run.id for run in runs), "metric": "macro_f1", "cost": "trained_parameters"}
    page = well(open_page("compare", **query, x="time", log="1"))
    assert page.selectbox(key="compare.metric").value == "macro_f1"
    assert page.selectbox(key="compare.cost").value == "trained_parameters"
    assert page.selectbox(key="compare.x").value == "time" and page.toggle(key="compare.log").value
    assert "are on the Pareto front" in text_of(page).replace("\\", "")
    drawn = [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]
    front = [one for one in drawn if any(trace.get("name") == "Pareto front" for trace in one["data"])]
    assert len(front) == 1 and front[0]["layout"]["xaxis"]["type"] == "log" and len(front[0]["data"]) == 5
    assert not any(trace["type"] == "parcoords" for one in drawn for trace in one["data"])
    drawn = [json.loads(chart.proto.spec) for chart in well(unfold(page, tradeoff.PARALLEL)).get("plotly_chart")]
    (lines,) = [trace for one in drawn for trace in one["data"] if trace["type"] == "parcoords"]
    assert {"method", "rank", "seed"} <= {axis["label"] for axis in lines["dimensions"]}
    elsewhere = well(open_page("compare", **query | {"metric": "<b>", "cost": "nothing"}))
    assert elsewhere.selectbox(key="compare.metric").value == "accuracy"
