"""Tests that lack requirements are skipped with a reason, CI requires Chromium, and no test sees the user's files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TESTS = """
import os
import pytest

@pytest.mark.browser
def test_marked(): pass

def test_with_fixture(chromium): pass

@pytest.mark.mirror
def test_mirror(): pass

def test_home(workspace):
    assert str(workspace.root) == os.environ["WORKBENCH_HOME"]
    assert "mine" not in str(workspace.root)
    assert "WORKBENCH_CACHE" not in os.environ

def test_cache(shared_cache):
    assert os.environ["WORKBENCH_CACHE"] == str(shared_cache)
    assert os.environ["HF_HUB_OFFLINE"] == "1"
"""


def _run(tmp_path: Path, **environment: str) -> str:
    (tmp_path / "test_inner.py").write_text(TESTS)
    cache = tmp_path / "cache"
    base = {
        name: value for name, value in os.environ.items() if name not in {"CI", "WORKBENCH_MIRROR", "HF_HUB_OFFLINE"}
    }
    own_variables = {
        "PATH": "/nowhere",
        "WORKBENCH_HOME": "/mine",
        "WORKBENCH_CACHE": "/mine",
        "WORKBENCH_TEST_CACHE": str(cache),
    }
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-c", "pyproject.toml"]
    result = subprocess.run(
        [*command, "--rootdir", str(ROOT), str(tmp_path / "test_inner.py")],
        cwd=ROOT,
        env={**base, **own_variables, **environment},
        capture_output=True,
        text=True,
    )
    return result.stdout


def test_skips_are_listed_and_the_users_workspace_is_not_created(tmp_path: Path) -> None:
    out = _run(tmp_path, HOME=str(tmp_path / "home"))
    assert not (tmp_path / "home" / ".workbench").exists(), "the user's workspace must not be created"
    assert "2 passed, 3 skipped" in out
    assert "Chromium is not installed (Debian's package: chromium)" in out
    assert "WORKBENCH_MIRROR names no folder" in out


@pytest.mark.parametrize("ci", ["true", "1"])
def test_ci_must_have_chromium(tmp_path: Path, ci: str) -> None:
    out = _run(tmp_path, CI=ci)
    assert "and CI must have it" in out
    assert "1 skipped" in out
    assert "2 passed" in out
