"""The data that a spec names, read before a run is queued: everything that would end the run before its first step.

Small data is read as the run will read it, and the task looks at its examples. Of larger files the first rows are read,
and a note says so. Nothing is downloaded; of what is not on this machine, only the name, the revision and the network
are checked.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from workbench.check.paths import absolute_data
from workbench.data.catalogue import hub_rows
from workbench.data.catalogue.cache import downloads
from workbench.data.catalogue.naming import find_entry, source_kind
from workbench.data.catalogue.sources import is_cached, require_fetchable
from workbench.data.examples import SPLITS, Examples, SplitName
from workbench.data.load import Dataset, load_data, read_splits
from workbench.data.progress import Progress
from workbench.data.readers.head import copy_head
from workbench.data.readers.limits import UPLOAD
from workbench.errors import FetchError, WorkbenchError
from workbench.models.base import ModelSource
from workbench.problem import Problem
from workbench.spec import DataSpec
from workbench.system.limited_process import call
from workbench.tasks.base import Task
from workbench.workspace import Workspace

MAX_ENTRY = 10_000_000  # bytes of a data set of the catalogue that is read if the spec changes how
SMALL = 2_500_000  # bytes of all files: read as a whole, in about a second
HEAD = 1_000_000  # bytes at the beginning of a larger file
_REMEMBERED = 32  # results
_NETWORK_SECONDS = 60  # for which the network is not asked again


@dataclass(frozen=True)
class ContentCheck:
    """What reading the data before a run found.

    Attributes:
        error: why the run would fail; None if nothing was found.
        unread: the names of the files of which only the first rows were read.
        unchecked: the names of the files that were not read, because their first rows cannot be read on their own.
        labels: those that the task learned; empty if not all rows were read, or if it learns none.
    """

    error: WorkbenchError | None = None
    unread: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def problems(self, data: DataSpec) -> list[Problem]:
        """Return what was found as problems of a spec.

        Args:
            data: the section that was checked.
        """
        if self.error is not None:
            field = "data.train" if isinstance(self.error, FetchError) else "data"
            if self.error.message.startswith("tokenizer."):
                field = "model.tokenizer"
            return [Problem("error", field, self.error.message, self.error.hint)]
        messages = []
        if self.unread:
            messages.append(f"Only the first rows of {' and '.join(self.unread)} were checked.")
        if self.unchecked:
            messages.append(f"The rows of {' and '.join(self.unchecked)} were not checked.")
        return [
            Problem("info", "data", message, "`workbench check SPEC --data` checks all rows.") for message in messages
        ]


_results: OrderedDict[Hashable, ContentCheck] = OrderedDict()


def check_contents(
    data: DataSpec, task: Task, model: ModelSource | None, workspace: Workspace, confined: bool, whole: bool = False
) -> ContentCheck:
    """Read the data of a spec, and let the task and the model look at it. Results are remembered until a file changes.

    Args:
        data: the section of a spec, without problems of its own.
        task: with its options; it is not changed.
        model: the model source; the labels that it was trained on may decide what the data must hold.
        workspace: whose cache and uploads are used.
        confined: allow only files inside the workspace's uploads.
        whole: read all rows of large files too, and download what is not in the cache.
    """
    try:
        data = absolute_data(data, workspace, confined)
        files = _files(data, workspace)
    except (OSError, WorkbenchError):
        return ContentCheck()  # a missing or forbidden file is a problem of the spec
    stats = tuple((str(file), stat.st_size, stat.st_mtime_ns) for file, stat in files.items())
    remote = find_entry(data.train) is not None and not is_cached(data.train, workspace)
    remote = remote or any(source_kind(name, split) == "hub" for split, name in _names(data).items())
    minute = int(time.monotonic() // _NETWORK_SECONDS) if remote else 0
    labels = model.trained_labels(task.name) if model is not None else []
    source = (model.name, model.argument, model.config.model_dump_json()) if model is not None else ()
    options = (task.name, task.config.model_dump_json(), *source, tuple(labels))
    key = (data.model_dump_json(), options, str(workspace.root), stats, whole, minute)
    if key not in _results:
        size = sum(stat.st_size for stat in files.values())
        if find_entry(data.train) is not None and not _is_unchanged(data) and size <= MAX_ENTRY:
            size = 0  # there is no head to read of it
        everything = whole or size <= SMALL
        if confined and _names_files(data):  # a stranger's file
            _results[key] = _read_in_own_process(data, task, model, labels, workspace, everything)
        else:
            _results[key] = read_contents(data, _fresh(task, labels), model, workspace, everything, whole)
        if len(_results) > _REMEMBERED:
            _results.popitem(last=False)
    _results.move_to_end(key)
    return _results[key]


def _is_unchanged(data: DataSpec) -> bool:
    """Return whether a spec reads a data set of the catalogue as it is, all of it or a part."""
    return data.model_fields_set <= {"train", "limit", "holdout", "split_seed", "max_length", "on_bad_rows"}


def _fresh(task: Task, labels: list[str]) -> Task:
    """Return a task with the same options, which may learn labels."""
    copy = type(task)(task.config)
    copy.labels = list(labels)
    return copy


def _names(data: DataSpec) -> dict[SplitName, str]:
    return {split: name for split in SPLITS if (name := getattr(data, split)) is not None}


def _files(data: DataSpec, workspace: Workspace) -> dict[Path, os.stat_result]:
    """Return the files that a spec's data is in and that are on this machine."""
    paths: list[Path] = []
    entry = find_entry(data.train)
    if entry is not None:
        folder = downloads(workspace) / "datasets" / data.train
        paths += [folder / file for files in entry.splits.values() for file in files if (folder / file).exists()]
    for split, name in _names(data).items():
        if source_kind(name, split) == "path":
            path = Path(name).expanduser()
            paths += [file for file in sorted(path.rglob("*")) if file.is_file()] if path.is_dir() else [path]
    return {path: path.stat() for path in paths}


def _names_files(data: DataSpec) -> bool:
    """Return whether a split is a file of the user."""
    return any(source_kind(name, split) == "path" for split, name in _names(data).items())


def _read_in_own_process(
    data: DataSpec, task: Task, model: ModelSource | None, labels: list[str], workspace: Workspace, everything: bool
) -> ContentCheck:
    """Read data as :func:`read_contents`, in a process with limits of memory and time."""
    arguments = {
        "data": data.model_dump(mode="json", exclude_unset=True),
        "task": task.name,
        "options": task.config.model_dump(mode="json"),
        "labels": labels,
        "root": str(workspace.root),
        "everything": everything,
    }
    if model is not None:
        source = f"{model.name}:{model.argument}" if model.argument else model.name
        arguments |= {"model": source, "model_options": model.config.model_dump(mode="json")}
    try:
        if not _is_here(data, workspace):
            return ContentCheck()
        result = cast("dict[str, list[str]]", call("workbench.check.limited:read_and_check", arguments, UPLOAD))
    except WorkbenchError as error:
        return ContentCheck(error)
    return ContentCheck(
        unread=tuple(result["unread"]), unchecked=tuple(result["unchecked"]), labels=tuple(result["labels"])
    )


def read_contents(
    data: DataSpec, task: Task, model: ModelSource | None, workspace: Workspace, everything: bool, fetch: bool
) -> ContentCheck:
    """Read the data of a spec, all of it or the first rows of each file.

    Args:
        data: the section of a spec.
        task: with its options; it learns the labels.
        model: the model source, which looks at the texts; None without one.
        workspace: whose cache is used.
        everything: read all rows.
        fetch: download what is not on this machine.
    """
    try:
        if not fetch and not _is_here(data, workspace):
            return ContentCheck()
        if everything:
            dataset = load_examples(data, task, workspace)
            if model is not None:
                model.check_texts(lambda: task.texts(dataset.train))
            return ContentCheck(labels=tuple(task.labels))
        return _check_heads(data, task, workspace)
    except WorkbenchError as error:
        return ContentCheck(error)


def _is_here(data: DataSpec, workspace: Workspace) -> bool:
    """Return whether all data is on this machine. Raise FetchError if it is not, and cannot be fetched."""
    here = find_entry(data.train) is None or is_cached(data.train, workspace)
    if not here:
        require_fetchable(data.train, workspace)
    for split, name in _names(data).items():
        rows = getattr(data.limit, split)
        if source_kind(name, split) == "hub" and rows is not None and not hub_rows.is_cached(name, rows, workspace):
            hub_rows.require_available(name)
            here = False
    return here


def load_examples(data: DataSpec, task: Task, workspace: Workspace, progress: Progress | None = None) -> Dataset:
    """Load data as a run will, let the task learn its labels, and let it look at every example.

    Args:
        data: the section of a spec.
        task: with its options; it learns the labels.
        workspace: whose cache is used.
        progress: called during downloads.

    Raises:
        DataError: the data cannot be used for this task.
        SpecError: its options do not fit the data.
        FetchError: the data could not be fetched.
    """
    dataset = load_data(data, task.columns(), workspace, progress)
    task.fit(dataset.train)
    for split in SPLITS:
        examples = dataset.split(split)
        if len(examples):
            task.check_examples(examples)
    return dataset


def _check_heads(data: DataSpec, task: Task, workspace: Workspace) -> ContentCheck:
    """Read the first rows of each file. What follows from all rows, such as a missing label, is not checked."""
    with tempfile.TemporaryDirectory(prefix="workbench-head-") as folder:
        heads, cut, uncut = _head_spec(data, Path(folder))
        if heads is not None:
            read = read_splits(heads, task.columns(), workspace)
            _check_extracted({split: each.examples for split, each in read.extracted.items()}, task)
    return ContentCheck(unread=tuple(cut), unchecked=tuple(uncut))


def _check_extracted(splits: Mapping[SplitName, Examples], task: Task) -> None:
    with contextlib.suppress(WorkbenchError):  # the other rows may have what these lack
        task.fit(splits["train"])
    for examples in splits.values():
        task.check_examples(examples)


def _head_spec(data: DataSpec, folder: Path) -> tuple[DataSpec | None, list[str], list[str]]:
    """Return a copy of the spec that names the first rows of each large file, the names of these files, and the names
    of the files whose first rows cannot be read on their own.

    The copy is None if the first rows of the training data cannot be read on their own.
    """
    changed = data.model_copy(deep=True)
    cut: list[str] = []
    uncut: list[str] = []
    for split, name in _names(data).items():
        path = Path(name).expanduser()
        if source_kind(name, split) != "path":
            return None, [], [name]
        if path.is_dir() or path.stat().st_size > HEAD:
            head = copy_head(path, folder / split, HEAD)
            (uncut if head is None else cut).append(path.name)
            if head is None and split == "train":
                return None, cut, uncut
            setattr(changed, split, str(head) if head is not None else None)
    return changed, cut, uncut
