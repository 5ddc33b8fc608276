r"""What is written to a terminal: characters that control it are shown (``\x1b``) instead of sent.

Names of runs, labels, answers and errors come from data, from models and from other people. A terminal would obey the
control characters in them: set the clipboard, clear the screen, change what was printed before. All output of the
command line, of runs and of servers goes through :func:`printable`, here or in :mod:`workbench.cli.output`.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import TextIO

# C0 (but for tab and line feed), DEL, C1, other line ends, what turns the direction of writing, and surrogates, which
# cannot be encoded.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff]")
_NO_CARRIAGE_RETURN = re.compile(CONTROL.pattern.replace("\x0b-\x1f", "\x0b\x0c\x0e-\x1f"))


def printable(text: str) -> str:
    r"""Return a text with its control characters shown as ``\x1b`` or ``\u202e``; tabs and line feeds stay.

    Args:
        text: any text.
    """
    return CONTROL.sub(_shown, text)


def printable_json(text: str) -> str:
    r"""Return JSON with the control characters in its strings written as ``\u009b``, which means the same.

    Args:
        text: JSON.
    """
    return CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def say(text: str, to_errors: bool = False) -> None:
    """Print a line at once.

    Args:
        text: the line.
        to_errors: print it on standard error.
    """
    print(printable(text), file=sys.stderr if to_errors else sys.stdout, flush=True)


def silence() -> None:
    """Discard what is printed from now on: the reader of standard output has gone."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the rest of the process


def write(text: str) -> None:
    """Write to standard output as it is: what another program reads, already without control characters.

    Args:
        text: with its line ends.
    """
    sys.stdout.write(text)
    sys.stdout.flush()


class PrintableStream:
    """A stream for people, to which no control character can be written.

    Carriage returns stay: progress bars of other packages need them.

    Args:
        stream: what it writes to.
    """

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream  # rich prints to this one; its control codes are its own

    def write(self, text: str) -> int:
        """Write a text; return the number of its characters.

        Args:
            text: any text.
        """
        self.rich_proxied_file.write(_NO_CARRIAGE_RETURN.sub(_shown, text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write lines.

        Args:
            lines: with their line ends.
        """
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self.rich_proxied_file, name)


@contextlib.contextmanager
def printable_output() -> Iterator[None]:
    """Let nothing in this process write control characters, whichever package writes: logs, warnings, tracebacks.

    An exception leaves the streams as they are: the traceback that Python prints goes through them as well.
    """
    before = sys.stdout, sys.stderr
    streams = [PrintableStream(stream) if stream is not None else None for stream in before]
    sys.stdout, sys.stderr = streams
    yield
    for name, stream, original in zip(("stdout", "stderr"), streams, before, strict=True):
        if getattr(sys, name) is stream:
            setattr(sys, name, original)


@contextlib.contextmanager
def redirected_output(log: TextIO, show: bool) -> Iterator[None]:
    """Write what this process prints inside the block to a log.

    Args:
        log: the log.
        show: print it on standard error as well, without control characters.
    """
    output = _BothStreams(log, PrintableStream(sys.stderr)) if show else log
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        yield


class _BothStreams:
    """A stream that writes to two others.

    Args:
        streams: the others.
    """

    def __init__(self, *streams: TextIO | PrintableStream) -> None:
        self._streams = streams

    def write(self, text: str) -> int:
        """Write a text to both, and return the number of its characters.

        Args:
            text: any text.
        """
        for stream in self._streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush both."""
        for stream in self._streams:
            stream.flush()  # type: ignore[operator]


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
