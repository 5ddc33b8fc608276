"""Full paths in a spec, so that it means the same in another process and another folder."""

from __future__ import annotations

from pathlib import Path

from workbench.data.catalogue.naming import source_kind
from workbench.data.examples import SPLITS
from workbench.data.uploads import confined_path
from workbench.runs.run import Run
from workbench.spec import DataSpec, RunSpec
from workbench.workspace import Workspace


def absolute_data(data: DataSpec, workspace: Workspace, confined: bool) -> DataSpec:
    """Return a copy of a spec's data section with full paths of files.

    Args:
        data: its relative paths are relative to the current folder.
        workspace: whose uploads.
        confined: allow only files inside the workspace's uploads; relative paths are then relative to the uploads.

    Raises:
        RefusedError: a path of a confined spec is outside the uploads.
    """
    data = data.model_copy(deep=True)
    for split in SPLITS:
        name = getattr(data, split)
        if name is not None and source_kind(name, split) == "path":
            path = confined_path(workspace, name) if confined else Path(name).expanduser().absolute()
            setattr(data, split, str(path))
    return data


def with_absolute_paths(spec: RunSpec, workspace: Workspace, confined: bool) -> RunSpec:
    """Return a copy of a spec with full paths of files and model folders, and full ids of runs.

    Args:
        spec: its relative paths are relative to the current folder.
        workspace: where it will run.
        confined: allow only files inside the workspace's uploads; relative paths are then relative to the uploads.

    Raises:
        RefusedError: a path of a confined spec is outside the uploads.
        UnknownNameError: there is no such run.
    """
    spec = spec.model_copy(deep=True)
    spec.data = absolute_data(spec.data, workspace, confined)
    kind, _, argument = spec.model.source.partition(":")
    if kind == "path":
        base = workspace.root if confined else Path.cwd()
        spec.model.source = f"path:{base / Path(argument).expanduser()}"
    if kind == "run":  # in full: a later run may have the same name
        spec.model.source = f"run:{Run.open(argument, workspace).id}"
    judge = str(spec.task.options.get("judge") or "")
    if judge.startswith("run:"):
        spec.task = spec.task.model_copy(update={"judge": f"run:{Run.open(judge[4:], workspace).id}"})
    return spec
