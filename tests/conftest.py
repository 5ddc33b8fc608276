"""What every test may rely on: a workspace of its own, no network for hubs, and told reasons for what is skipped.

    workspace      a fresh workspace; WORKBENCH_HOME names it
    mirror         the folder that WORKBENCH_MIRROR names, or a skip
    shared_cache   where downloads are kept from one test run to the next; WORKBENCH_CACHE names it
    chromium       the system's Chromium, driven by Playwright, or a skip (in CI: a failure)

Markers (see pyproject.toml): ``slow``, ``gpu``, ``browser``, ``mirror``. ``make test`` ends with a list of what was
skipped and why.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from workbench.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REPOSITORY = Path(__file__).resolve().parent.parent
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")

# Set before any library reads them, and inherited by every process that a test starts.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("STREAMLIT_BROWSER_GATHER_USAGE_STATS", "false")

# No deadline: a busy machine is no bug. In CI the same examples every time, so that what fails can be seen again.
settings.register_profile("workbench", deadline=None, derandomize=os.environ.get("CI", "").lower() in ("true", "1"))
settings.load_profile("workbench")

_started_with: dict[str, str | None] = {}


def pytest_configure(config: pytest.Config) -> None:
    """Point WORKBENCH_HOME away from the user's own workspace, also while modules are imported and collected."""
    for name in ("WORKBENCH_HOME", "WORKBENCH_CACHE"):
        _started_with[name] = os.environ.pop(name, None)
    os.environ["WORKBENCH_HOME"] = tempfile.mkdtemp(prefix="workbench-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Put the environment back and remove the folder."""
    shutil.rmtree(os.environ.pop("WORKBENCH_HOME", ""), ignore_errors=True)
    os.environ.update({name: value for name, value in _started_with.items() if value is not None})


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with the reason, what this machine cannot run."""
    if item.get_closest_marker("gpu") and not _has_gpu():
        pytest.skip("no CUDA device on this machine")
    if item.get_closest_marker("mirror"):
        _mirror_or_skip()
    if item.get_closest_marker("browser"):
        _chromium_or_skip()


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's workspace: WORKBENCH_HOME is a folder of this test's own, made on demand."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))


@pytest.fixture
def workspace(_own_home: None) -> Workspace:
    """A fresh workspace, the one that ``Workspace.current()`` and every started process find."""
    return Workspace.current()


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder that WORKBENCH_MIRROR names."""
    return _mirror_or_skip()


@pytest.fixture
def shared_cache(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Downloads go here and are executable again by the next run: WORKBENCH_TEST_CACHE, or ``build/test-cache``."""
    folder = Path(os.environ.get("WORKBENCH_TEST_CACHE") or REPOSITORY / "build" / "test-cache").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("WORKBENCH_CACHE", str(folder))
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's Chromium, headless, driven by Playwright.

    One a module and not one a session: while Playwright runs, ``asyncio.run`` fails in the same process, and tests of
    notebooks need it.
    """
    executable = _chromium_or_skip()
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    with playwright.sync_playwright() as driver:
        # Root (a container) cannot have Chromium's own sandbox; the pages are ours.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=executable, headless=True, args=arguments)
        yield browser
        browser.close()


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _mirror_or_skip() -> Path:
    folder = os.environ.get("WORKBENCH_MIRROR", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("WORKBENCH_MIRROR names no folder with the catalogue's files")
    return Path(folder).absolute()


def _chromium_or_skip() -> str:
    executable = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if executable is None:
        reason = "Chromium is not installed (Debian's package: chromium)"
        if os.environ.get("CI", "").lower() in ("true", "1"):
            pytest.fail(f"{reason}, and CI must have it", pytrace=False)
        pytest.skip(reason)
    return executable
