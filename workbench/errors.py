"""Every error that the workbench raises on purpose, as one tree.

    WorkbenchError              what was wrong, and what to do about it
    ├── RequestError            the request was wrong: nothing was started (exit code 2)
    │   ├── UnknownNameError    a name that does not exist
    │   ├── SpecError           a spec that cannot run, with all its problems
    │   ├── DataError           a file or a row that cannot be used
    │   └── RefusedError        something that would be unsafe: outside the workspace, a pickle, remote code
    ├── MissingPackageError     an optional package is needed, and not installed
    ├── BusyError               another process holds what is needed
    ├── FetchError              a download that failed or did not have the pinned hash
    ├── NonFiniteOutputError    a model computed NaN or infinity instead of an answer
    └── RunError                a run that failed after it started (exit code 1)
        ├── NonFiniteLossError  the loss became NaN or infinite
        ├── OutOfMemoryError    the device or the machine had too little memory
        ├── CheckpointError     there is no complete checkpoint to resume from
        └── StorageError        the disk is full, read-only or broken

A message says what was wrong, the value, and what is allowed; the hint says what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class WorkbenchError(Exception):
    """Base of the tree.

    Args:
        message: what was wrong, the value, what is allowed; one or two sentences.
        hint: what to do next.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def kind(self) -> str:
        """The name of its class in this tree without ``Error``, as ``status.json`` and ``--json`` name this error."""
        own = next(each for each in type(self).__mro__ if each.__module__ == __name__)  # others are details of it
        return own.__name__.removesuffix("Error")

    def as_dict(self) -> dict[str, str]:
        """Return ``{"kind", "message", "hint"}``, as ``status.json`` and ``--json`` hold it."""
        return {"kind": self.kind, "message": self.message, "hint": self.hint}

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def __reduce__(self) -> tuple[Any, ...]:
        # Subclasses take other arguments than a message, with which the default pickling would call them. An error
        # must survive a process pool: one that cannot be unpickled breaks the pool.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[WorkbenchError], args: tuple[Any, ...], attributes: dict[str, Any]) -> WorkbenchError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class RequestError(WorkbenchError):
    """The request was wrong; nothing was started."""

    exit_code = 2


class UnknownNameError(RequestError):
    """A name that does not exist, with the nearest that do.

    Args:
        what: the kind of thing, in the singular: ``"task"``.
        name: the unknown name.
        known: every name that exists.
        hint: what to do; by default the known names.
    """

    def __init__(self, what: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        lowered = {known_name.lower(): known_name for known_name in names}
        near = [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)]
        guess = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
        there = ", ".join(names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "")
        super().__init__(f"There is no {what} {name!r}.{guess}", hint or (f"There are: {there}." if names else ""))


class SpecError(RequestError):
    """A spec that cannot run.

    Args:
        message: what was wrong.
        hint: what to do next.
        problems: every problem, not only the first.
    """

    def __init__(self, message: str, hint: str = "", problems: Iterable[Any] = ()) -> None:
        super().__init__(message, hint)
        self.problems = list(problems)


class DataError(RequestError):
    """A file or a row that cannot be used; the message names the file and the row."""


class RefusedError(RequestError):
    """Something that would be unsafe for any user: outside the workspace, a pickle, remote code."""


class MissingPackageError(WorkbenchError):
    """An optional package is not installed.

    Args:
        package: its name in the package index.
        purpose: what it is needed for: ``"to read Parquet files"``.
    """

    def __init__(self, package: str, purpose: str) -> None:
        super().__init__(
            f"The package {package!r} is needed {purpose}, and it is not installed.",
            f"Install it with: pip install {package}",
        )


class BusyError(WorkbenchError):
    """Another process holds what is needed; the message says which."""


class FetchError(WorkbenchError):
    """A download that failed, was incomplete, or did not have the pinned hash. It is never used."""


class NonFiniteOutputError(WorkbenchError):
    """A model computed NaN or infinity instead of an answer."""


EXIT_ALREADY_RUNNING = 75  # of a process that finds another one at work on its run, or nothing to do (EX_TEMPFAIL)


class RunError(WorkbenchError):
    """A run that failed after it started."""


class NonFiniteLossError(RunError):
    """The loss became NaN or infinite."""


class OutOfMemoryError(RunError):
    """The device or the machine had too little memory."""

    WHAT_TO_LOWER = (
        "Start a new run with one of these lowered: training.batch_size or training.max_tokens_per_batch (with "
        "training.gradient_accumulation the steps stay as they are); data.max_length; the model's size, or tuning: "
        "lora instead of full. On the command line: workbench run RUN_FOLDER/spec.yaml --set training.batch_size=8"
    )


class CheckpointError(RunError):
    """There is no complete checkpoint to resume from."""


class StorageError(RunError):
    """The disk is full, read-only or broken.

    Args:
        message: what was wrong.
        hint: what to do next.
        reason: the cause in a few words, the same for every file: ``the disk is full``.
    """

    def __init__(self, message: str, hint: str = "", reason: str = "") -> None:
        super().__init__(message, hint)
        self.reason = reason
