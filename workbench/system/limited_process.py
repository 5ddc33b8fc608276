"""Calling a function in a process with limits of memory and time: for files and conditions of strangers.

    result = call("workbench.data.limited:columns_of", {"path": "/uploads/a.csv"}, READING)

The process is new for each call, and lean: it imports what the function needs, and never torch. It may use so much
memory and no more (``RLIMIT_AS``), and is killed when its time is up, also inside native code that holds Python's lock.
What it raises on purpose is raised here; if it ends in another way, the error says why.

A server keeps one process ready (:func:`keep_ready`), so that a small file does not wait for imports.

Protocol: on standard input a line of JSON (``function``, ``arguments``, limits), then bytes for functions that take a
``payload``. On standard output lines of JSON: ``{"progress": [label, done, total]}``, and last ``{"result": ...}``,
``{"error": {...}}`` or ``{"memory": true}``.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, cast

import psutil

from workbench.errors import DataError, RequestError, WorkbenchError
from workbench.types import Json, JsonObject

MAX_PROCESSES = 2  # at the same time; others wait
_START_SECONDS = 30.0  # for a process to start on a busy machine, after which it is killed
_MAX_ANSWER = 256 * 1024**2  # bytes; what pages show of a file has a few kB
_MODULES = ("workbench.data.limited", "workbench.check.limited")  # imported by a process that is kept ready
# Native libraries reserve address space for each thread; one thread is enough, and reproducible.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "ARROW_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "2",
}
_slots = threading.BoundedSemaphore(MAX_PROCESSES)

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Limits:
    """What a process may use, and the errors of one that used too much.

    Attributes:
        memory: bytes of address space, beyond those of what the process imports.
        seconds: from the request to the answer.
        what: subject of the messages: ``"Reading the file"``.
        hint: what to do.
        error: class of the errors of a process that used too much or crashed.
    """

    memory: int
    seconds: float
    what: str
    hint: str
    error: type[WorkbenchError] = DataError

    def out_of_time(self) -> WorkbenchError:
        """Return the error of a process whose time is up."""
        return self.error(f"{self.what} took more than {self.seconds:g} s and was stopped.", self.hint)

    def out_of_memory(self) -> WorkbenchError:
        """Return the error of a process that needed too much memory."""
        allowed = f"{self.memory / 1024**3:.1f} GiB"
        return self.error(f"{self.what} needed more than {allowed} of memory and was stopped.", self.hint)

    def crashed(self, how: str, output: str) -> WorkbenchError:
        """Return the error of a process that ended without an answer.

        Args:
            how: signal or exit code.
            output: the end of what it printed.
        """
        return self.error(f"{self.what} failed: its process ended with {how}. {output}".strip(), self.hint)


def call(
    function: str,
    arguments: Mapping[str, object],
    limits: Limits,
    progress: Progress | None = None,
    payload: bytes = b"",
) -> Json:
    """Return what a function returns, which runs in a process of its own.

    Args:
        function: ``"module:name"``. Its keyword arguments and its result are JSON. If it has a parameter ``progress``
            it gets a callback; if it has ``payload``, the bytes.
        arguments: its keyword arguments.
        limits: what the process may use.
        progress: called with what the function reports.
        payload: bytes for it, such as a table.

    Raises:
        WorkbenchError: what the function raised, or of the class ``limits.error``: it used too much, or crashed.
    """
    request = {"function": function, "arguments": dict(arguments), "memory": limits.memory, "seconds": limits.seconds}
    with _slots:
        process = _take_ready() or _Process()
        try:
            answer = _converse(process.popen, json.dumps(request).encode() + b"\n" + payload, limits, progress)
        finally:
            output = process.end()
            _make_ready()
    return _result_of(answer, process.popen.returncode, output, limits)


def _converse(
    process: subprocess.Popen[bytes], request: bytes, limits: Limits, progress: Progress | None
) -> JsonObject | None:
    """Send the request, pass on the progress, and return the last line; None if there was none in time."""
    assert process.stdin is not None and process.stdout is not None
    timed_out = threading.Event()

    def kill() -> None:
        timed_out.set()
        process.kill()

    timer = threading.Timer(limits.seconds + _START_SECONDS, kill)
    timer.daemon = True
    timer.start()
    try:
        with contextlib.suppress(BrokenPipeError):  # it ended before it had read everything: its answer says why
            process.stdin.write(request)
            process.stdin.close()
        for message in _messages(process.stdout):
            if "progress" not in message:
                return message
            if progress is not None:
                label, done, total = cast("list[Any]", message["progress"])
                progress(str(label), int(done), total)
    finally:
        timer.cancel()
    return {"time": True} if timed_out.is_set() else None


def _messages(stream: IO[bytes]) -> Iterator[JsonObject]:
    while line := stream.readline(_MAX_ANSWER):
        with contextlib.suppress(ValueError):  # what a library prints
            message = json.loads(line)
            if isinstance(message, dict):
                yield message


def _result_of(answer: JsonObject | None, code: int, output: str, limits: Limits) -> Json:
    """Return the result in an answer, or raise its error."""
    if answer is not None and "result" in answer:
        return answer["result"]
    if answer is not None and "error" in answer:
        raise _revive(cast("JsonObject", answer["error"]))
    if answer is not None and "memory" in answer:
        raise limits.out_of_memory()
    if (answer is not None and "time" in answer) or code in (TIMED_OUT, -signal.SIGXCPU):
        raise limits.out_of_time()
    if code == -signal.SIGKILL:  # by the kernel, which had no memory left
        raise limits.out_of_memory()
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    raise limits.crashed(how, output)


# -- processes ----------------------------------------------------------------------------------------------------


class _Process:
    """A process that waits for a request; it ends when this process does.

    Args:
        modules: imported before the request comes.
    """

    def __init__(self, *modules: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (a pipe would block a process that prints much)
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "workbench.system.limited_process", *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **_ENVIRONMENT},
            start_new_session=True,  # Ctrl-C is for the caller, which ends it
        )

    def end(self) -> str:
        """Make sure that it has ended, whatever it was doing; return the end of what it printed."""
        for stream in (self.popen.stdin, self.popen.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            self.popen.wait(0.2)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        with self._errors as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 300))
            return file.read().decode("utf-8", errors="replace").strip()


_ready: list[_Process] = []
_ready_lock = threading.Lock()
_keeps_ready = False


def keep_ready() -> None:
    """Keep a process ready from now on: for a server, in which people wait for the first lines of a file."""
    global _keeps_ready
    _keeps_ready = True
    _make_ready()


def _make_ready() -> None:
    if _keeps_ready:
        with _ready_lock:
            if not _ready:
                _ready.append(_Process(*_MODULES))


def _take_ready() -> _Process | None:
    with _ready_lock:
        while _ready:
            process = _ready.pop()
            if process.popen.poll() is None:
                return process
            process.end()
    return None


# -- errors -------------------------------------------------------------------------------------------------------


def _as_json(error: WorkbenchError) -> JsonObject:
    """Return an error as JSON, with those of its attributes that are."""
    kind = type(error)
    attributes: JsonObject = {}
    for name, value in vars(error).items():
        with contextlib.suppress(TypeError, ValueError):
            attributes[name] = json.loads(json.dumps(value))
    return {"class": f"{kind.__module__}:{kind.__qualname__}", "attributes": attributes}


def _revive(document: JsonObject) -> WorkbenchError:
    """Return the error that :func:`_as_json` described; one of an unknown class as a RequestError."""
    attributes = cast("JsonObject", document["attributes"])
    module, _, name = str(document["class"]).partition(":")
    kind: object = None
    if module.partition(".")[0] == "workbench":
        kind = getattr(importlib.import_module(module), name, None)
    if not (isinstance(kind, type) and issubclass(kind, WorkbenchError)):
        kind = RequestError
    error: WorkbenchError = kind.__new__(kind)
    error.args = (attributes.get("message", ""),)
    error.__dict__.update(attributes)
    return error


# -- the process itself -------------------------------------------------------------------------------------------

TIMED_OUT = 3  # exit code of a process whose time is up


def main() -> None:
    """Read a request, call the function under its limits, and print the answer."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is not the answer
    for module in sys.argv[1:]:
        importlib.import_module(module)
    line = sys.stdin.buffer.readline()
    if not line:
        return  # the caller has ended
    request = json.loads(line)
    importlib.import_module(str(request["function"]).partition(":")[0])  # before its time begins
    _limit(int(request["memory"]), float(request["seconds"]))

    def say(message: Mapping[str, object]) -> None:
        output.write(json.dumps(message).encode() + b"\n")
        output.flush()

    answer: Mapping[str, object]
    try:
        answer = {"result": _called(request, say)}
        say(answer)
    except WorkbenchError as error:
        say({"error": _as_json(error)})
    except MemoryError:
        say({"memory": True})
    except RecursionError:
        say({"error": _as_json(DataError("The content is nested too deeply.", "Write it in a flat form."))})


def _called(request: JsonObject, say: Callable[[Mapping[str, object]], None]) -> Json:
    module, _, name = str(request["function"]).partition(":")
    function = getattr(importlib.import_module(module), name)
    parameters = function.__code__.co_varnames[: function.__code__.co_argcount + function.__code__.co_kwonlyargcount]
    extra: dict[str, object] = {}
    if "progress" in parameters:
        extra["progress"] = lambda label, done, total: say({"progress": [label, done, total]})
    if "payload" in parameters:
        extra["payload"] = sys.stdin.buffer
    result: Json = functools.partial(function, **cast("dict[str, Any]", request["arguments"]), **extra)()
    return result


def _limit(memory: int, seconds: float) -> None:
    """Limit this process; its time is counted here, by the kernel (seconds of a core), and by the caller."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        memory += psutil.Process().memory_info().vms  # libraries for GPUs reserve more than a file ever needs
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        allowed = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_AS, (allowed, hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        cpu = int(seconds) + 2
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
    timer = threading.Timer(seconds, os._exit, (TIMED_OUT,))
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    main()
