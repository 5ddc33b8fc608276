"""Every notebook runs from top to bottom without deprecation warnings and matches its reviewed text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import psutil
import pytest
from nbclient.exceptions import CellExecutionError

from tests.notebooks.running import (
    DEPRECATION,
    ROOT,
    block_network,
    cell_outputs,
    execute,
    fetch_named_entries,
    run_logs,
)
from workbench.errors import RequestError
from workbench.teach import course, scale, size
from workbench.workspace import Workspace

TEXTS = list(course.texts(ROOT))
SLOW = frozenset(text for text in TEXTS if "tutorials" in text.parts)  # the lessons run only in make test-slow


def stem_of(text: Path) -> str:
    return text.stem


@pytest.mark.parametrize("text", TEXTS, ids=stem_of)
def test_the_notebook_is_its_text_without_outputs(text: Path) -> None:
    assert course.stale(text) is None, "run `make course`"


@pytest.mark.parametrize("text", TEXTS, ids=stem_of)
def test_links_lead_somewhere(text: Path) -> None:
    for path in course.notebooks(text):
        words = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
        # Links in a solved lesson are relative to the reader's version.
        folder = path.parents[1] if path.parent.name == "solved" else path.parent
        for link in re.findall(r"\]\((?!https?://|#|data:)([^)#\s]+)", words):
            assert (folder / link).exists(), f"{text.name} links to {link}"


# What each notebook and lesson must contain: in the introduction, and at the end.
INTRODUCTION = {
    "what you can": r"\*\*After this (notebook|lesson) you can\*\* \w",
    "what it needs": r"\*\*You need\*\* \w",
    "its time to read": r"\*\*Time:\*\* about \d+ minutes?",
    "its time on a CPU and on a GPU": r"\*\*Time:\*\*[^*]*CPU[^*]*GPU",
}
END = {
    "a summary": r"## Summary\n",
    "questions": r"(## |\*\*)Questions to think about",
    "where to go next": r"(## |\*\*)Where to go (on|next)",
}


@pytest.mark.parametrize("text", TEXTS, ids=stem_of)
def test_it_starts_with_its_outcome_and_ends_with_next_steps(text: Path) -> None:
    cells = jupytext.read(text).cells
    first_code = next(index for index, cell in enumerate(cells) if cell.cell_type == "code")
    introduction = "\n".join(cell.source for cell in cells[:first_code])
    end = "\n".join(cell.source for cell in cells[-4:] if cell.cell_type == "markdown")
    missing = [what for what, words in INTRODUCTION.items() if not re.search(words, introduction)]
    missing += [what for what, words in END.items() if not re.search(words, end)]
    if f'done("{text.stem.replace("_", "-")}")' not in "".join(cell.source for cell in cells[-3:]):
        missing.append("done(...) at the end")
    if text.parent.name == "src":
        missing += [f"{word} explained" for word in ("check", "hint(", "solution(") if f"`{word}" not in introduction]
        missing += [] if "dashboard" in "\n".join(cell.source for cell in cells[:-2]) else ["the dashboard"]
    assert not missing, f"{text.name} lacks {', '.join(missing)}"


@pytest.fixture
def stop_workers() -> Iterator[None]:
    """Stop the worker, which would wait some minutes for more jobs and slow the next tests down."""
    yield
    home = os.environ["WORKBENCH_HOME"]
    for process in psutil.process_iter(["cmdline"]):
        if home in (process.info["cmdline"] or []) and "workbench.jobs" in process.info["cmdline"]:
            process.terminate()


@pytest.mark.mirror
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("stop_workers")
@pytest.mark.parametrize(
    "text",
    [pytest.param(text, marks=[pytest.mark.slow] if text in SLOW else []) for text in TEXTS],
    ids=stem_of,
)
def test_it_runs_from_top_to_bottom(
    text: Path,
    mirror: Path,
    shared_cache: Path,
    workspace: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetch_named_entries(text.read_text(encoding="utf-8"), workspace)
    attempts = block_network(monkeypatch, tmp_path)
    monkeypatch.setenv("WORKBENCH_COURSE_SCALE", "test")
    (*_, path) = course.notebooks(text)  # of a lesson: the solved version
    notebook: Any = nbformat.read(path, as_version=4)
    execute(notebook, tmp_path)
    message, logs = cell_outputs(notebook), run_logs(workspace)
    assert not attempts.exists(), f"{text.name} used the network: {attempts.read_text()}"
    for where, words in ((text.name, message), ("the log of a run", logs)):
        deprecation = DEPRECATION.search(words)
        assert not deprecation, f"{where} warns: {words[max(0, deprecation.start() - 300) : deprecation.end() + 300]}"
    for path in (str(ROOT), str(tmp_path), str(Path.home()), os.environ["WORKBENCH_HOME"]):
        assert path not in message or path == "/", f"{text.name} prints a path of this machine: {path}"
    assert "Not yet" not in message, "a solution does not pass its check"


CELLS = {
    "connects": "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)",
    "looks a name up": "import socket; socket.getaddrinfo('example.org', 80)",
    "is in a process that a cell starts": """
import subprocess, sys
code = "import urllib.request; urllib.request.urlopen('http://192.0.2.1', timeout=5)"
done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
assert done.returncode == 0, done.stderr""",
}


@pytest.mark.parametrize("code", CELLS.values(), ids=CELLS)
def test_a_cell_that_uses_the_network_fails_and_is_recorded(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = block_network(monkeypatch, tmp_path)
    with pytest.raises(CellExecutionError, match="The tests of the course cut the network"):
        execute(one_cell(code), tmp_path)
    assert re.search(r"192\.0\.2\.1|example\.org", attempts.read_text())


def test_a_cell_may_connect_to_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = block_network(monkeypatch, tmp_path)
    execute(
        one_cell("""
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(("localhost", server.getsockname()[1]), timeout=5).close()
"""),
        tmp_path,
    )
    assert not attempts.exists()


def test_our_deprecation_warnings_fail_and_others_are_detected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block_network(monkeypatch, tmp_path)
    warn = "import warnings; warnings.warn_explicit('old', {}, 'file.py', 1, module={!r})".format
    ours = one_cell(warn("DeprecationWarning", "workbench.data.load"))
    with pytest.raises(CellExecutionError, match="DeprecationWarning"):
        execute(ours, tmp_path)
    other = one_cell(warn("FutureWarning", "torch.nn"))
    execute(other, tmp_path)
    assert DEPRECATION.search(cell_outputs(other))


def one_cell(code: str) -> Any:
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])


def test_a_changed_text_is_detected_and_built_again(tmp_path: Path) -> None:
    text = tmp_path / "01_words.py"
    text.write_text("# %% [markdown]\n# # Words\n\n# %%\nprint('one')\n", encoding="utf-8")
    assert course.stale(text) == "01_words.ipynb is missing"
    assert course.build(text) and not course.build(text)
    text.write_text("# %% [markdown]\n# # Words\n\n# %%\nprint('two')\n", encoding="utf-8")
    assert course.stale(text) == "01_words.ipynb differs from 01_words.py"
    assert course.build(text)
    notebook: Any = nbformat.read(text.with_suffix(".ipynb"), as_version=4)
    assert notebook.cells[1].source == "print('two')"
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="two")]
    nbformat.write(notebook, text.with_suffix(".ipynb"))
    assert course.stale(text) == "01_words.ipynb contains outputs"


def test_sizes_follow_the_machine_or_the_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("test", "cpu", "gpu"):
        monkeypatch.setenv("WORKBENCH_COURSE_SCALE", name)
        assert size(test="test", cpu="cpu", gpu="gpu") == name
    monkeypatch.delenv("WORKBENCH_COURSE_SCALE")
    assert scale() in ("cpu", "gpu")
    monkeypatch.setenv("WORKBENCH_COURSE_SCALE", "large")
    with pytest.raises(RequestError, match=r"'large'.*test, cpu, gpu"):
        scale()
