"""Every notebook runs from top to bottom, says nothing that ages, and is the text that was reviewed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbclient import NotebookClient

from workbench.errors import RequestError
from workbench.teach import course, scale, size

ROOT = Path(__file__).resolve().parents[2]
TEXTS = list(course.texts(ROOT))
LONGER = ("02", "07", "08", "09", "10", "11", "12")  # tried in make test-slow
SECONDS = 600  # for one cell, on a busy machine
AGEING = re.compile(r"(Deprecation|Future)Warning")


def named(text: Path) -> str:
    return text.stem


def is_long(text: Path) -> bool:
    """Lessons and the longer notebooks train whole runs."""
    return text.parent.name == "src" or text.name.startswith(LONGER)


@pytest.mark.parametrize("text", TEXTS, ids=named)
def test_the_notebook_is_its_text_without_outputs(text: Path) -> None:
    assert course.stale(text) is None, "run `make course`"


@pytest.mark.parametrize("text", TEXTS, ids=named)
def test_links_lead_somewhere(text: Path) -> None:
    for path in course.notebooks(text):
        words = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
        # Links of a solved lesson lead from where the reader's version stands.
        folder = path.parents[1] if path.parent.name == "solved" else path.parent
        for link in re.findall(r"\]\((?!https?://|#|data:)([^)#\s]+)", words):
            assert (folder / link).exists(), f"{text.name} links to {link}"


@pytest.fixture
def no_worker_stays() -> Iterator[None]:
    """A worker waits some minutes for more work, which the next tests' time is too dear for."""
    yield
    home = os.environ["WORKBENCH_HOME"]
    for process in psutil.process_iter(["cmdline"]):
        if home in (process.info["cmdline"] or []) and "workbench.jobs" in process.info["cmdline"]:
            process.terminate()


@pytest.mark.mirror
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("no_worker_stays")
@pytest.mark.parametrize(
    "text",
    [pytest.param(text, marks=[pytest.mark.slow] if is_long(text) else []) for text in TEXTS],
    ids=named,
)
def test_it_runs_from_top_to_bottom(
    text: Path, mirror: Path, shared_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_COURSE_SCALE", "test")
    (*_, whole) = course.notebooks(text)  # of a lesson: the solved version
    notebook: Any = nbformat.read(whole, as_version=4)
    NotebookClient(
        notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    said = "\n".join(map(_text_of, (output for cell in notebook.cells for output in cell.get("outputs", []))))
    assert not AGEING.search(said)
    for path in (str(ROOT), str(tmp_path), str(Path.home()), os.environ["WORKBENCH_HOME"]):
        assert path not in said or path == "/", f"{text.name} prints a path of this machine: {path}"
    assert "Not yet" not in said, "a solution does not pass its check"


def _text_of(output: Any) -> str:
    """What an output says in words; pictures are left out."""
    shown = output.get("data", {})
    page = re.sub(r"data:image/[^\"']+", "", str(shown.get("text/html", "")))
    return "\n".join([str(output.get("text", "")), str(shown.get("text/plain", "")), page])


def test_a_text_that_has_changed_is_noticed_and_made_anew(tmp_path: Path) -> None:
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
    assert course.stale(text) == "01_words.ipynb holds outputs"


def test_sizes_follow_the_machine_or_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for told in ("test", "cpu", "gpu"):
        monkeypatch.setenv("WORKBENCH_COURSE_SCALE", told)
        assert size(test="test", cpu="cpu", gpu="gpu") == told
    monkeypatch.delenv("WORKBENCH_COURSE_SCALE")
    assert scale() in ("cpu", "gpu")
    monkeypatch.setenv("WORKBENCH_COURSE_SCALE", "large")
    with pytest.raises(RequestError, match=r"'large'.*test, cpu, gpu"):
        scale()
