"""Fixtures for every test: a workspace of its own, offline hub libraries, and reasons for skipped tests.

    workspace      a fresh workspace; WORKBENCH_HOME names it
    mirror         the folder that WORKBENCH_MIRROR names, or a skip
    shared_cache   a cache that keeps downloads from one test run to the next; WORKBENCH_CACHE names it
    chromium       the system's Chromium, driven by Playwright, or a skip (in CI: a failure)

Markers (see pyproject.toml): ``slow``, ``gpu``, ``browser``, ``mirror``. ``make test`` ends with a list of the
skipped tests and the reasons.
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

# No deadline, because a busy machine is not a bug. CI uses the same examples every time, so failures are reproducible.
settings.register_profile("workbench", deadline=None, derandomize=os.environ.get("CI", "").lower() in ("true", "1"))
settings.load_profile("workbench")

# No power cut happens to the process of the tests. Processes that a test starts flush as usual.
os.fsync = lambda file: None

_original_environment: dict[str, str | None] = {}


def pytest_configure(config: pytest.Config) -> None:
    """Keep WORKBENCH_HOME away from the user's own workspace, even while modules are imported and collected."""
    for name in ("WORKBENCH_HOME", "WORKBENCH_CACHE"):
        _original_environment[name] = os.environ.pop(name, None)
    os.environ["WORKBENCH_HOME"] = tempfile.mkdtemp(prefix="workbench-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Restore the environment and remove the folder."""
    shutil.rmtree(os.environ.pop("WORKBENCH_HOME", ""), ignore_errors=True)
    os.environ.update({name: value for name, value in _original_environment.items() if value is not None})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests with a raised time limit first, so that no worker begins a long one at the end."""
    items.sort(key=_has_raised_limit, reverse=True)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests that this machine cannot run, with the reason."""
    if item.get_closest_marker("gpu") and not _has_gpu():
        pytest.skip("no CUDA device on this machine")
    if item.get_closest_marker("mirror"):
        _mirror_or_skip()
    if item.get_closest_marker("browser"):
        _chromium_or_skip()


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test its own WORKBENCH_HOME, created on demand, so that none touches the user's workspace.

    A check of a spec in this process finds every host in reach: what it says must not depend on the network.
    """
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("workbench.data.catalogue.reach.connects", lambda host, port: True)


@pytest.fixture(autouse=True)
def _no_worker_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no worker because a test looks at a queue. Processes that a test starts still do."""
    monkeypatch.setattr("workbench.jobs.reviving.revive", lambda workspace: False)


@pytest.fixture
def workspace(_own_home: None) -> Workspace:
    """A fresh workspace, which ``Workspace.current()`` and all started processes use."""
    return Workspace.current()


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder that WORKBENCH_MIRROR names."""
    return _mirror_or_skip()


@pytest.fixture
def shared_cache(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that later test runs use again: WORKBENCH_TEST_CACHE, or ``build/test-cache``."""
    folder = Path(os.environ.get("WORKBENCH_TEST_CACHE") or REPOSITORY / "build" / "test-cache").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("WORKBENCH_CACHE", str(folder))
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's Chromium, headless, driven by Playwright.

    It has module scope: while Playwright runs, ``asyncio.run`` fails in the same process, and tests of notebooks need
    it.
    """
    executable = _chromium_or_skip()
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    with playwright.sync_playwright() as driver:
        # Chromium's sandbox does not work for root (as in a container); the pages are ours.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=executable, headless=True, args=arguments)
        yield browser
        browser.close()


def _has_raised_limit(item: pytest.Item) -> bool:
    limit = item.get_closest_marker("timeout")
    return limit is not None and limit.args[0] > float(item.config.getini("timeout"))


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
