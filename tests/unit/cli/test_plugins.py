"""Another package adds a task through entry points; a broken entry point is reported and does no harm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

PACKAGE = '''
from workbench.tasks.text_classification import TextClassification


class Haiku(TextClassification):
    """Classify poems of three lines."""


class Again(TextClassification):
    """A class whose name is taken."""
'''
ENTRY_POINTS = """
[workbench.tasks]
haiku = plugin_for_a_test:Haiku
text-classification = plugin_for_a_test:Again
broken = plugin_that_fails
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with an installed package, to put on sys.path."""
    (tmp_path / "plugin_for_a_test.py").write_text(PACKAGE)
    (tmp_path / "plugin_that_fails.py").write_text("raise RuntimeError('no licence')\n")
    info = tmp_path / "plugin_for_a_test-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin-for-a-test\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return tmp_path


def workbench(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    command = [sys.executable, "-m", "workbench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


def test_a_task_of_another_package_is_listed_with_warnings_for_broken_ones(site: Path) -> None:
    result = workbench(site, "tasks", "--json")
    assert result.returncode == 0, result.stderr
    labels = {entry["name"]: entry["label"] for entry in json.loads(result.stdout)}
    assert labels["haiku"] == "Classify poems of three lines."
    assert labels["text-classification"] != "A class whose name is taken."
    assert "broken" not in labels
    warnings = " ".join(result.stderr.split())
    assert "plugin_that_fails of plugin-for-a-test was not loaded: RuntimeError: no licence" in warnings
    assert "'text-classification' is already workbench.tasks.text_classification.TextClassification" in warnings


def test_a_spec_may_name_a_task_of_another_package(site: Path) -> None:
    result = workbench(site, "check", "demo-lora", "--set", "task=haiku", "--json")
    assert result.returncode == 0 and json.loads(result.stdout) == [], result.stdout
    result = workbench(site, "check", "demo-lora", "--set", "task=broken", "--json")
    assert result.returncode == 2 and "no licence" in json.loads(result.stdout)[0]["hint"]
