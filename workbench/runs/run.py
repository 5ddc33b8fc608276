"""One run is one folder; this module reads and changes it. :mod:`workbench.runs.folder` lists its files.

States: ``queued -> running -> succeeded | failed | stopped``, and ``interrupted`` for a run whose process vanished.
Whether a process lives is read from the lock, which the operating system frees when the process ends, and never from a
process id.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.errors import BusyError, RequestError, SpecError, StorageError, UnknownNameError, WorkbenchError
from workbench.files import (
    TEMPORARY_PREFIX,
    append_line,
    last_lines,
    read_json,
    read_json_cached,
    read_lines,
    slug,
    storage_errors,
    write_json,
    write_text,
)
from workbench.locks import Lock, waiting_lock
from workbench.runs import estimates
from workbench.runs.documents import STATES, BaseNote, Environment, Report, RunError, RunSummary, Splits, State, Status
from workbench.runs.folder import RunFolder
from workbench.runs.naming import first_status, kind_prefix, new_folder, run_names
from workbench.runs.report_notes import from_json
from workbench.spec import RunSpec
from workbench.system.machine import process_identity
from workbench.system.opening import open_regular, read_limited
from workbench.types import JsonObject
from workbench.workspace import Workspace

FINISHED: tuple[State, ...] = ("succeeded", "failed", "stopped")
RESUMABLE: tuple[State, ...] = ("failed", "stopped", "interrupted")

__all__ = ["FINISHED", "LOCK_VARIABLE", "RESUMABLE", "STATES", "Run", "State"]

LOCK_VARIABLE = "WORKBENCH_RUN_LOCK"  # in the process of a run: the file descriptor under which it inherits its lock

TAIL_BYTES = 2**19  # at the end of a file of lines, that are read
MAX_SPLITS_BYTES = 2**30  # of splits.json, which names every example
MAX_LABELS = 100  # of a confusion matrix that is stored at each evaluation
MAX_LABEL_LENGTH = 200  # characters

_NAME_IN_ID = re.compile(r"^\d{8}-\d{6}-(.+)-[0-9a-f]{4}$")


@dataclass(frozen=True)
class Run(RunFolder):
    """A handle on a run's folder. It holds no state: every call reads what the folder contains now."""

    # -- creating and finding ----------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        spec: RunSpec,
        workspace: Workspace,
        order: float | None = None,
        confined: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> Run:
        """Create a run in state ``queued``. Its folder appears complete, under its final name.

        Args:
            spec: what to run.
            workspace: where.
            order: position in the queue, the smallest first; the current time by default.
            confined: whether it may read the workspace's uploads only; checked again when the run begins.
            variables: environment variables for its process, until it starts; None for those of the worker.

        Raises:
            StorageError: the disk is full or read-only; nothing is left behind.
        """
        now = datetime.now(UTC)
        title = spec.name or "-".join(
            [*kind_prefix(spec), spec.model.source, Path(spec.data.train).stem, spec.tuning.method]
        )
        with storage_errors(workspace.runs):
            draft, run_folder = new_folder(workspace.runs, f"{now:%Y%m%d-%H%M%S}-{slug(title)}")
            try:
                write_text(draft / "spec.yaml", spec.to_yaml())
                write_json(
                    draft / "status.json",
                    {**first_status(spec, now, time.time() if order is None else order), "confined": confined},
                )
                if variables is not None:
                    write_json(cls(draft).variables_file, dict(variables))
                draft.rename(run_folder)
            except BaseException:
                shutil.rmtree(draft, ignore_errors=True)
                raise
        return cls(run_folder)

    @classmethod
    def open(cls, run_id: str, workspace: Workspace) -> Run:
        """Return the run with an id, or the only one whose id starts with it, ends with it, or has it as its name.

        The first of these that matches any run counts.

        Args:
            run_id: the id, or a part of it.
            workspace: where to look.

        Raises:
            UnknownNameError: there is no such run.
            RequestError: there are several.
        """
        run = cls(workspace.run_folder(run_id))
        if run.folder.is_dir():
            return run
        ids = [other.id for other in cls.all(workspace)]
        # A beginning comes first: the id of a run that started from another run holds the other's id.
        ways = (
            [i for i in ids if i.startswith(run_id)],
            [i for i in ids if i.endswith(run_id)],
            [i for i in ids if _NAME_IN_ID.sub(r"\1", i) == run_id],  # not that of a run that started from it
            [i for i in ids if f"-{run_id}-" in i],
        )
        matches = next(filter(None, ways), [])
        if len(matches) == 1:
            return cls(workspace.run_folder(matches[0]))
        if matches:
            raise RequestError(
                f"{run_id!r} matches {len(matches)} runs: {', '.join(matches[:5])}.", "Use a longer part of the id."
            )
        raise UnknownNameError("run", run_id, ids, "" if ids else "There are no runs yet.")

    @classmethod
    def all(cls, workspace: Workspace) -> list[Run]:
        """Return every run of a workspace, oldest first."""
        names, _ = run_names(workspace)
        return [cls(workspace.runs / name) for name in names]

    @classmethod
    def strangers(cls, workspace: Workspace) -> list[str]:
        """Return the names in the folder of the runs that are no run: a file, a link, ``reviews (copy)``."""
        return run_names(workspace)[1]

    # -- reading -----------------------------------------------------------------------------------------------

    def spec(self) -> RunSpec:
        """Return the run's spec.

        Raises:
            SpecError: the file is missing, damaged or of a newer version.
        """
        try:
            text = read_limited(self.spec_file).decode("utf-8")
        except (OSError, ValueError) as error:
            raise SpecError(
                f"The spec {self.spec_file} cannot be read: {error}.", "Restore the file, or delete the run."
            ) from error
        return RunSpec.from_yaml(text, str(self.spec_file))

    def is_confined(self) -> bool:
        """Return whether the run may read the workspace's uploads only, because it was requested over the network."""
        return bool(self.status().confined)

    def status(self, cached: bool = False) -> Status:
        """Return ``status.json``, with the state that the run is really in.

        A run that says ``running`` although nobody holds its lock is ``interrupted``; if no process had started on it
        yet it is ``queued``, because the worker will put it back. A folder without a readable status is ``failed``,
        with the reason.

        Args:
            cached: do not read a file again that has not changed; for callers that look often, and at many runs.
        """
        status = self.stored_status(cached)
        if status.state == "running" and not self.is_alive():
            # The process may have finished between the two reads: the second one is its last word.
            status = self.stored_status()
            if status.state == "running":
                return status.model_copy(update={"state": self.state_without_process(status)})
        return status

    def stored_status(self, cached: bool = False) -> Status:
        """Return ``status.json`` as it is stored; ``failed`` with the reason when it cannot be read.

        Args:
            cached: as for :meth:`status`.
        """
        content = self._stored(cached)
        if content.get("state") in STATES:
            return Status.load(content)
        message = f"{self.id}/status.json is missing or damaged."
        damage = RunError(kind="DamagedRun", message=message, hint="Delete the run, or restore the file.")
        return Status(state="failed", error=damage)

    def state_without_process(self, status: Status) -> State:
        """Return the state of a run that says ``running`` although nobody holds its lock.

        Args:
            status: as it is stored.
        """
        if self.stop_requested():
            return "stopped"
        return "interrupted" if status.process else "queued"

    @property
    def state(self) -> State:
        return self.status().state

    def report(self, cached: bool = False) -> Report | None:
        """Return ``report.json``; None before the run has ended, and when the file is no JSON object.

        Args:
            cached: as for :meth:`status`.
        """
        content = read_json_cached(self.report_file) if cached else read_json(self.report_file)
        return Report.load(content) if isinstance(content, dict) else None

    def base_note(self) -> BaseNote | None:
        """Return how to load the run's model; None while it has none."""
        content = read_json(self.base_note_file)
        return BaseNote.load(content) if isinstance(content, dict) else None

    def environment(self) -> Environment | None:
        """Return ``environment.json``; None before the run has begun."""
        content = read_json(self.environment_file)
        return Environment.load(content) if isinstance(content, dict) else None

    def splits(self) -> Splits | None:
        """Return ``splits.json``; None before the data was read."""
        content = read_json(self.splits_file, MAX_SPLITS_BYTES)
        return Splits.load(content) if isinstance(content, dict) else None

    def data_notes(self) -> list[str]:
        """Return the notes on the run's data, warnings first; none before the data was read."""
        content = read_json(self.data_file)
        return from_json(content.get("notes")) if isinstance(content, dict) else []

    def read_metrics(self, start: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Return the metric lines from a position on; cheap to call repeatedly.

        Args:
            start: in bytes.

        Returns:
            The lines, and the position after them.
        """
        return read_lines(self.metrics_file, start)

    def samples(self) -> list[dict[str, Any]]:
        """Return texts that the model generated during training: ``{"step", "prompt", "text"}``, oldest first.

        Only the last ``TAIL_BYTES`` of the file are read.
        """
        rows = last_lines(self.samples_file, TAIL_BYTES)
        return [row for row in rows if isinstance(row.get("text"), str)]

    def last_samples(self) -> list[dict[str, Any]]:
        """Return the texts that were generated last."""
        rows = self.samples()
        return [row for row in rows if row.get("step") == rows[-1].get("step")]

    def confusions(self) -> list[dict[str, Any]]:
        """Return the confusion matrices of the last evaluations: ``{"step", "labels", "counts"}``, oldest first.

        ``counts`` [labels, labels] has a row for each gold label. Only the last ``TAIL_BYTES`` of the file are read.
        Tasks without labels, and with more than ``MAX_LABELS``, store none.
        """
        return [row for row in last_lines(self.confusion_file, TAIL_BYTES) if _is_confusion(row)]

    def append_confusion(self, step: int, labels: Sequence[str], counts: Sequence[Sequence[int]]) -> None:
        """Add a confusion matrix to ``confusion.jsonl``, unless it has more than ``MAX_LABELS`` labels.

        Args:
            step: step of the evaluation.
            labels: names of the classes [L].
            counts: by gold and predicted label [L, L].
        """
        if len(labels) <= MAX_LABELS:
            names = [label[:MAX_LABEL_LENGTH] for label in labels]
            append_line(self.confusion_file, {"step": step, "labels": names, "counts": counts})

    def kind(self) -> str:
        """Return the kind of the run (``RunSpec.kind``) without reading the spec."""
        return str(self._stored().get("kind") or "training")

    def why_no_model(self) -> tuple[str, str]:
        """Return a message and a hint for an error: this run has no model."""
        if self.kind() != "training":
            return f"The run {self.id} is a {self.kind()}: it keeps no model.", "Choose a training run."
        if self.state == "succeeded":
            message = f"The run {self.id} has no model, though it succeeded: its files were removed or changed."
            return message, "Run it again, or name another run."
        return f"The run {self.id} has no model: its state is {self.state}.", "Wait for it, or resume it."

    def log(self, last_bytes: int = 65_536) -> str:
        """Return the end of what the process printed.

        Args:
            last_bytes: how many bytes to read from the end of the log.
        """
        try:
            with open_regular(self.log_file) as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - last_bytes))
                return file.read().decode("utf-8", errors="replace")
        except OSError:
            return ""

    def is_alive(self) -> bool:
        """Return whether the run's process exists."""
        return Lock(self.lock_file).is_held()

    def summary(self, with_spec: bool = True) -> RunSummary:
        """Return what ``workbench show --json`` prints.

        Args:
            with_spec: read the spec too.
        """
        status = self.status()
        fields: dict[str, Any] = {"id": self.id, "state": status.state, "kind": status.kind or "training"}
        error = status.error
        if with_spec:
            try:
                fields["spec"] = self.spec().model_dump(mode="json")
            except WorkbenchError as problem:
                fields["spec"] = None
                error = error or RunError(**problem.as_dict())
        return RunSummary(
            **fields,
            report=self.report(),
            samples=self.last_samples(),
            error=error,
            progress=status.progress,
            moved=status.moved or status.heartbeat,
            stop_requested_at=self.stop_requested_at(),
            created=status.created,
        )

    # -- writing -----------------------------------------------------------------------------------------------

    def process_lock(self) -> Lock:
        """Return the lock that the run's process holds while it lives.

        A worker acquires it before it starts the process, and the process inherits it: the lock is never free while the
        process exists. ``acquire`` in the process then succeeds at once.
        """
        lock = Lock(self.lock_file, holder=process_identity(), make_folder=False)
        inherited = os.environ.get(LOCK_VARIABLE, "")
        if inherited.isdigit() and _is_file(int(inherited), lock.path):
            lock.inherit(int(inherited))
        return lock

    def lock_for(self, purpose: str) -> Lock:
        """Return the same lock for a caller that is not the run's process, and wants none to start meanwhile.

        Its note names no process, so that stopping the run does not end the caller.

        Args:
            purpose: what the caller does, for messages.
        """
        return Lock(self.lock_file, holder={"what": purpose}, make_folder=False)

    def update_status(self, **changes: Any) -> None:
        """Change some fields of ``status.json``.

        Args:
            changes: new values by field.
        """
        with self._status_lock():
            write_json(self.status_file, {**self._stored(), **changes})

    def transition(self, expected: tuple[State, ...], to: State, **changes: Any) -> bool:
        """Change the state, if the stored state is an expected one. Of two processes that try at once, one succeeds.

        Args:
            expected: states that may be left.
            to: the new state.
            changes: new values of other fields.

        Returns:
            Whether the state was changed.
        """
        with self._status_lock():
            stored = self._stored()
            if stored.get("state") not in expected:
                return False
            write_json(self.status_file, {**stored, "state": to, **changes})
            return True

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Add one line to ``metrics.jsonl``.

        Args:
            row: ``step``, ``epoch``, ``time``, ``tokens``, and metrics.
        """
        append_line(self.metrics_file, row)

    def request_stop(self) -> None:
        """Ask the run's process to write a checkpoint and exit."""
        self._must_exist()
        with storage_errors(self.stop_file):
            self.stop_file.touch()

    def stop_requested(self) -> bool:
        return os.path.exists(self.stop_file)

    def clear_stop(self) -> None:
        self.stop_file.unlink(missing_ok=True)

    def delete(self) -> None:
        """Delete the folder.

        Raises:
            BusyError: the run's process lives, or adapters of other runs need this run's model.
        """
        self._must_exist()
        needed_by = self.needed_by()
        if needed_by:
            raise BusyError(
                f"The run {self.id} is the base of {len(needed_by)} other runs: {', '.join(needed_by[:5])}.",
                "Their adapters cannot be used without it. Delete those first.",
            )
        lock = self.lock_for("deleting")
        try:
            is_free = lock.acquire()  # held until the end, so that no worker starts the run
        except StorageError:  # on a full disk no lock can be created, and a link is none: then nobody holds it
            is_free = self.lock_file.is_symlink() or not self.lock_file.is_file()
        if not is_free:
            raise BusyError(f"The run {self.id} is running.", "Stop it first.")
        try:
            trash = self.folder.with_name(f"{TEMPORARY_PREFIX}deleted-{self.id}-{secrets.token_hex(2)}")
            with storage_errors(self.folder):
                self.folder.rename(trash)  # readers see the complete run or none
            with contextlib.suppress(OSError):
                os.utime(trash)  # its age begins now: if this process is killed here, a worker removes it later
            shutil.rmtree(trash, ignore_errors=True)
        finally:
            lock.release()

    def needed_by(self) -> list[str]:
        """Return the ids of the runs whose result is an adapter on this run's model."""
        notes = ((other.id, other.base_note()) for other in Run.all(self.workspace))
        return [run_id for run_id, note in notes if note and note.adapter and note.base.source == f"run:{self.id}"]

    def write_report(self, report: Report) -> None:
        """Write ``report.json``, the last file of a run, with what the run was expected to cost.

        Args:
            report: without its estimate.
        """
        expected = estimates.with_errors(estimates.read(self.folder), report.cost)
        if expected is not None:
            report = report.model_copy(update={"estimate": expected})
        write_json(self.report_file, report.as_dict())

    def _must_exist(self) -> None:
        """Raise UnknownNameError when the folder is gone: a late writer must not restore half of it."""
        if not self.folder.is_dir():
            raise UnknownNameError("run", self.id, (), "It was deleted.")

    def _stored(self, cached: bool = False) -> JsonObject:
        content = read_json_cached(self.status_file) if cached else read_json(self.status_file)
        return content if isinstance(content, dict) else {}

    @contextlib.contextmanager
    def _status_lock(self) -> Iterator[None]:
        self._must_exist()
        with waiting_lock(self.folder / "status.lock", make_folder=False):
            yield


def _is_confusion(row: dict[str, Any]) -> bool:
    """Return whether a line of ``confusion.jsonl`` is complete: a file may be damaged, or of another version."""
    labels, counts = row.get("labels"), row.get("counts")
    if not isinstance(row.get("step"), int) or not isinstance(labels, list) or not isinstance(counts, list):
        return False
    size = len(labels)
    return 0 < size == len(counts) and all(
        isinstance(line, list) and len(line) == size and all(isinstance(n, int) for n in line) for line in counts
    )


def _is_file(handle: int, path: Path) -> bool:
    """Return whether a file descriptor is open on ``path``."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except OSError:
        return False
