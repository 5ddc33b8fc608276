"""Documents of older versions: run folders and sweeps load, and old names in new specs are errors with the new name.

``tests/old_runs`` holds two runs and a sweep as version 1 wrote them, without weights.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from workbench.cli.app import app
from workbench.errors import SpecError
from workbench.jobs.sweep_plan import SweepPlan
from workbench.jobs.sweeps import Sweep
from workbench.jobs.waiting import sweeps_folder
from workbench.runs.filters.filter import filter_rows
from workbench.runs.run import Run
from workbench.runs.settings import read_settings
from workbench.runs.table import run_table
from workbench.spec import RunSpec, TrainingSpec
from workbench.spec_versions import RENAMED, SCHEMA_VERSION, upgrade
from workbench.workspace import Workspace

OLD = Path(__file__).resolve().parents[2] / "old_runs"
SHORT = "task: text-classification\ndata: rotten-tomatoes\nmodel: lstm\n"


@pytest.fixture
def old_runs(workspace: Workspace) -> list[Run]:
    """Copy two runs that version 1 wrote into the workspace."""
    for name in ("seed-0", "seed-1"):
        shutil.copytree(OLD / name, workspace.runs / name)
    return [Run(workspace.runs / name) for name in ("seed-0", "seed-1")]


def test_every_new_name_is_a_field() -> None:
    for path in RENAMED.values():
        section, _, name = path.rpartition(".")
        assert name in (TrainingSpec if section else RunSpec).model_fields


def test_a_version_1_spec_loads(old_runs: list[Run]) -> None:
    stored = yaml.safe_load((old_runs[0].folder / "spec.yaml").read_text())
    assert stored["version"] == 1 and stored["training"]["clip"] == 0.5 and stored["training"]["patience"] == 5
    spec = old_runs[0].spec()
    assert spec.schema_version == SCHEMA_VERSION
    for old, new in RENAMED.items():
        if old != "version":
            value = stored["training"][old.removeprefix("training.")]
            assert getattr(spec.training, new.removeprefix("training.")) == value, new
    assert RunSpec.from_yaml(spec.to_yaml()) == spec


def test_upgrading_changes_nothing_else() -> None:
    stored = yaml.safe_load((OLD / "seed-0" / "spec.yaml").read_text())
    upgraded = upgrade(stored)
    assert upgrade(upgraded) == upgraded
    assert {name: upgraded[name] for name in stored if name not in ("version", "training")} == {
        name: value for name, value in stored.items() if name not in ("version", "training")
    }
    assert list(upgraded["training"].values()) == list(stored["training"].values())
    assert stored["version"] == 1, "the caller's document stays as it was"


def test_old_runs_are_listed_with_the_new_field_names(old_runs: list[Run], workspace: Workspace) -> None:
    assert read_settings(old_runs[0])["training.max_grad_norm"] == 0.5
    condition = "training.early_stopping_patience = 5 and training.max_grad_norm < 1"
    rows = filter_rows(run_table(workspace), condition)
    assert {row["id"] for row in rows} == {"seed-0", "seed-1"}


@pytest.mark.parametrize(
    "arguments", [["show", "seed-0"], ["runs"], ["compare", "seed-0", "seed-1"], ["runs", "--where", "trial is null"]]
)
def test_commands_read_old_runs(arguments: list[str], old_runs: list[Run], workspace: Workspace) -> None:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    assert "seed-0" in json.dumps(json.loads(result.stdout))


def test_an_old_sweep_loads(workspace: Workspace) -> None:
    shutil.copytree(OLD / "sweep", sweeps_folder(workspace) / "old-sweep")
    sweep = Sweep.open("old-sweep", workspace)
    plan = sweep.plan()
    assert set(plan.over) == {"training.warmup_ratio", "training.learning_rate"}
    assert plan.spec.training.max_grad_norm == 0.5
    trials = sweep.read()["trials"]
    assert [trial["values"]["training.warmup_ratio"] for trial in trials] == [0.2, 0.0]
    again = SweepPlan.parse(yaml.safe_load(plan.to_yaml()))
    assert again == plan


@pytest.mark.parametrize(("old", "new"), [(old, new) for old, new in RENAMED.items() if old != "version"])
def test_the_error_for_an_old_name_states_the_new_one(old: str, new: str) -> None:
    name, new_name = old.removeprefix("training."), new.removeprefix("training.")
    value = json.dumps(TrainingSpec.model_fields[new_name].default)
    for header in ("", f"schema_version: {SCHEMA_VERSION}\n"):
        with pytest.raises(SpecError) as caught:
            RunSpec.from_yaml(f"{header}{SHORT}training: {{{name}: {value}}}")
        assert f"training.{name}: `{name}` is now `{new_name}`" in caught.value.message
    with pytest.raises(SpecError, match=f"`{name}` is now `{new_name}`"):
        RunSpec.from_yaml(SHORT).changed({old: 1})


def test_a_hand_written_version_1_spec_loads() -> None:
    spec = RunSpec.from_yaml(f"version: 1\n{SHORT}training: {{accumulate: 4}}")
    assert spec.training.gradient_accumulation == 4
