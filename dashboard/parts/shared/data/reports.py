"""What a data set contains, computed once for all pages that show it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from dashboard.parts.shared.data import confined
from workbench.check.first_score import FirstScore
from workbench.data.catalogue.naming import source_kind
from workbench.data.examples import SPLITS
from workbench.data.near_duplicates import OverlapRecord
from workbench.data.overview import Overview
from workbench.data.readers.limits import COMPARING, UPLOAD
from workbench.errors import WorkbenchError
from workbench.i18n import _
from workbench.runs.report_notes import from_json
from workbench.spec import ModelChoice, RunSpec
from workbench.types import JsonObject
from workbench.workspace import Workspace


def changed(spec: RunSpec) -> int:
    """Return when an upload changed, as a number: what is cached of it is outdated then.

    Args:
        spec: whose data.
    """
    names = {split: name for split in SPLITS if (name := getattr(spec.data, split))}
    paths = [Path(name) for split, name in names.items() if source_kind(name, split) == "path"]
    return sum(path.stat().st_mtime_ns for path in paths if path.is_absolute() and path.is_file())


def read_overview(spec: RunSpec, workspace: Workspace) -> Overview:
    """Return what the data of a spec contain.

    Args:
        spec: whose data.
        workspace: whose cache is used.

    Raises:
        DataError: the data cannot be used for this task.
        SpecError: an option of the task is not allowed.
    """
    function, arguments = "workbench.check.limited:read_overview", _only_data(spec, workspace)
    result = confined.read(function, arguments, UPLOAD, _("Reading the data ..."), changed(spec))
    return cast("Overview", result)


def overview_or_error(spec: RunSpec, workspace: Workspace) -> Overview | WorkbenchError:
    """Return what the data of a spec contain, or why they cannot be used.

    Args:
        spec: whose data.
        workspace: whose cache is used.
    """
    try:
        return read_overview(spec, workspace)
    except WorkbenchError as error:
        return error


def near_duplicates(spec: RunSpec, workspace: Workspace) -> list[OverlapRecord] | None:
    """Return the near-duplicates between the splits of a spec; None if there are too many texts.

    Args:
        spec: whose data.
        workspace: whose cache is used.

    Raises:
        DataError: the data cannot be used.
    """
    function, arguments = "workbench.check.limited:read_near_duplicates", _only_data(spec, workspace)
    result = confined.read(function, arguments, COMPARING, _("Comparing the texts ..."), changed(spec))
    return cast("list[OverlapRecord] | None", result)


def data_notes(spec: RunSpec, workspace: Workspace) -> list[str]:
    """Return the notes on a spec's data, warnings first.

    Args:
        spec: whose data.
        workspace: whose cache is used.

    Raises:
        DataError: the data cannot be used.
    """
    return from_json(read_overview(spec, workspace)["notes"])


def first_score(spec: RunSpec, workspace: Workspace) -> FirstScore | None:
    """Return the score of a simple model that is trained on a spec's data; None if its task has none.

    Args:
        spec: whose data.
        workspace: whose cache is used.

    Raises:
        WorkbenchError: the data cannot be used, or are too large to learn from here.
    """
    function, arguments = "workbench.check.limited:read_first_score", _only_data(spec, workspace)
    label = _("A first score: a simple model learns for a few seconds ...")
    return cast("FirstScore | None", confined.read(function, arguments, UPLOAD, label, changed(spec)))


def guess_task(path: str, default: str, workspace: Workspace) -> str:
    """Return the task that an uploaded file was probably made for.

    Args:
        path: path of the file.
        default: the task to return in doubt.
        workspace: whose uploads.
    """
    function, arguments = "workbench.check.limited:read_task", {"data": {"train": path}, "root": str(workspace.root)}
    label, when = _("Reading the file ..."), Path(path).stat().st_mtime_ns
    try:
        return str(confined.read(function, {**arguments, "default": default}, UPLOAD, label, when))
    except WorkbenchError:
        return default  # reading the file says why


def usable_rows(spec: RunSpec, workspace: Workspace) -> str:
    """Return the rows of the training file that can be used, as CSV.

    Args:
        spec: with a file of the user and ``data.on_bad_rows: drop``.
        workspace: whose cache is used.

    Raises:
        DataError: the data cannot be used.
    """
    arguments = {"spec": spec.model_dump(mode="json", exclude_unset=True), "root": str(workspace.root)}
    return cast("str", confined.read("workbench.check.limited:read_usable_rows", arguments, UPLOAD, _("Reading ...")))


def _only_data(spec: RunSpec, workspace: Workspace) -> JsonObject:
    """Return the arguments of a function on a spec's data, which are the same for every model and training."""
    only = RunSpec(task=spec.task, data=spec.data, model=ModelChoice(source="minilm"))
    return {"spec": only.model_dump(mode="json", exclude_unset=True), "root": str(workspace.root)}
