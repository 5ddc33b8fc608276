"""``workbench check SPEC > FILE`` writes a spec that can be run."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from workbench.cli.app import app
from workbench.cli.output import Finished
from workbench.spec import RunSpec
from workbench.workspace import Workspace


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / f"{'a long name ' * 8}.csv"
    path.write_text(
        "text,label\n"
        + "".join(f"The plot of this film was very good {i},{'good' if i % 2 else 'bad'}\n" for i in range(40))
    )
    return path


@pytest.mark.parametrize("model", ["auto", "minilm"])
def test_the_output_is_the_resolved_spec_alone(
    model: str, file: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notes are elsewhere, and a long line is not wrapped."""
    monkeypatch.setenv("WORKBENCH_HOME", str(workspace.root))
    result = CliRunner().invoke(app, ["check", str(file), "--set", f"model={model}"])
    spec = RunSpec.from_yaml(result.stdout, "resolved.yaml")
    assert (spec.data.train, spec.model.source) == (str(file), "minilm")
    assert ("auto chose minilm" if model == "auto" else "No problems found.") in result.stderr


def test_the_problems_of_a_spec_that_cannot_run_are_the_output(
    file: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(workspace.root))
    result = CliRunner().invoke(app, ["check", str(file), "--set", "data.group=nosuch"])
    assert isinstance(result.exception, Finished) and result.exception.code == 2
    assert "nosuch" in result.stdout and not result.stderr
