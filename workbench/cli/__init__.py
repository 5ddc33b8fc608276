"""The command line.

    workbench demo | check SPEC | run SPEC | submit SPEC | worker | stop RUN | resume RUN | runs | show RUN | ...

A file per command, or per small group of commands; :mod:`workbench.cli.app` puts them together. With ``--json``,
standard output is one JSON document and nothing else. Exit codes: 0 done, 1 the run failed, 2 the request was wrong. An
error says what was wrong and what to do; a traceback is shown with ``--debug`` only.
"""

from __future__ import annotations

import os

INTERRUPTED = 130  # exit code after Ctrl-C, as shells give it

try:
    import contextlib
    import signal
    import sys
    import threading
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType
except KeyboardInterrupt:  # the command has just been typed: there is nothing to say
    os._exit(INTERRUPTED)


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: those of the command line, without the program's name; this process's own by default.

    Returns:
        The exit code.
    """
    own_process = arguments is None
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    with _quiet_interrupt():  # nothing of ours is imported above: who interrupts an import sees a traceback
        from workbench.system.terminal import printable_output
    try:
        with printable_output():
            return _main(arguments)
    except KeyboardInterrupt:  # while an error was printed
        return INTERRUPTED
    finally:
        if own_process and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, _end_at_once)  # while Python shuts down


def _main(arguments: list[str]) -> int:
    if arguments[:1] == ["run-folder"]:  # the process of a run: it needs no import of the command line's
        return _run_folder(arguments[1:])
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    with _quiet_interrupt():  # for half a second nothing has begun that would have to be ended
        from workbench.cli.app import app
        from workbench.cli.output import call

    return call(app, arguments, debug)


def _end_at_once(number: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)


@contextlib.contextmanager
def _quiet_interrupt() -> Iterator[None]:
    """End the process at once on Ctrl-C, without a traceback.

    An import that is interrupted can also turn the interrupt into an error of its own.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        before = signal.signal(signal.SIGINT, _end_at_once)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)


def _run_folder(arguments: list[str]) -> int:
    from workbench.jobs.reviving import keep_worker
    from workbench.system.terminal import say
    from workbench.training.runner import run_folder
    from workbench.workspace import Workspace

    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        say("usage: python -m workbench run-folder FOLDER", to_errors=True)
        return 2
    folder = Path(arguments[0])
    with keep_worker(Workspace(folder.absolute().parent.parent)):  # what waits must not wait for ever if it dies
        return run_folder(folder)
