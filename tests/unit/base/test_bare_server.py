"""The training core on a bare server: torch, transformers, accelerate, peft, numpy, pyyaml, pydantic, and their needs.

The packages of this environment that such a server lacks are hidden from a child process, which then imports every
module of the core, and fine-tunes a small model.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.explain.explain_models import bert, tokenizer
from workbench.workspace import Workspace

HIDE = '''
import importlib.machinery
import importlib.metadata as metadata
import re
import sys

from packaging.requirements import Requirement

CORE = ["torch", "transformers", "accelerate", "peft", "safetensors", "tokenizers"]
CORE += ["numpy", "pyyaml", "pydantic", "psutil"]


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(names):
    """Return these distributions and all their requirements, without extras."""
    closed, todo = set(), [normal(name) for name in names]
    while todo:
        name = todo.pop()
        if name in closed:
            continue
        try:
            requirements = map(Requirement, metadata.requires(name) or [])
        except metadata.PackageNotFoundError:
            continue  # a requirement of another platform
        closed.add(name)
        todo += [normal(r.name) for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    return closed


core = closure(CORE)
hidden = {
    module
    for module, owners in metadata.packages_distributions().items()
    if not any(normal(owner) in core for owner in owners) and module not in {"workbench", "packaging"}
}


class Bare:
    """Find installed packages except the hidden ones, as if those were not installed."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            return None
        return importlib.machinery.PathFinder.find_spec(name, path, target)

    def find_distributions(self, context=metadata.DistributionFinder.Context()):
        for distribution in importlib.machinery.PathFinder.find_distributions(context):
            if normal(distribution.metadata["Name"]) in core:
                yield distribution


sys.meta_path = [f for f in sys.meta_path if f is not importlib.machinery.PathFinder] + [Bare()]
for name in [name for name in sys.modules if name.partition(".")[0] in hidden]:
    del sys.modules[name]
'''

IMPORT = (
    HIDE
    + """
import importlib
import pkgutil

for missing in ("streamlit", "datasets", "pyarrow", "duckdb", "pandas", "sklearn", "scipy", "bertviz", "jupyterlab"):
    assert missing in hidden, f"{missing} should be hidden"
    assert importlib.util.find_spec(missing) is None

count = 0
for name in sys.argv[1:]:
    package = importlib.import_module(f"workbench.{name}")
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
        count += 1
print(count)
"""
)

TRAIN = (
    HIDE
    + """
from pathlib import Path

from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

run = Run.create(RunSpec.load(Path(sys.argv[1])), Workspace.current())
code = run_folder(run.folder)
print(run.id)
sys.exit(code)
"""
)


def _python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)


def test_core_imports_on_a_bare_server() -> None:
    result = _python(IMPORT, "models", "tasks", "tuning", "training", "data", "runs", "jobs")
    assert result.returncode == 0, result.stderr[-3000:]
    assert int(result.stdout) >= 20


@pytest.fixture
def spec_file(workspace: Workspace, tmp_path: Path) -> Path:
    """A spec that trains a tiny model for three steps on a file of forty sentences."""
    model = bert(num_labels=2)
    model.save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    rows = [
        f"the film was {word} with a story {i},{label}" for i in range(20) for word, label in (("good", 1), ("bad", 0))
    ]
    (tmp_path / "reviews.csv").write_text("text,label\n" + "\n".join(rows))
    spec = {
        "task": "text-classification",
        "data": {"train": str(tmp_path / "reviews.csv"), "max_length": 16},
        "model": f"path:{tmp_path / 'model'}",
        "tuning": "full",
        "training": {"max_steps": 3, "batch_size": 4, "device": "cpu"},
    }
    (tmp_path / "spec.yaml").write_text(json.dumps(spec))
    return tmp_path / "spec.yaml"


@pytest.mark.parametrize(("tuning", "weights"), [("full", "model"), ("lora", "adapter_model")])
def test_core_trains_on_a_bare_server(workspace: Workspace, spec_file: Path, tuning: str, weights: str) -> None:
    """Train a complete run, from the data file to the report."""
    spec_file.write_text(json.dumps({**json.loads(spec_file.read_text()), "tuning": tuning}))
    result = _python(TRAIN, str(spec_file))
    (folder,) = [path for path in workspace.runs.iterdir() if not path.name.startswith(".")]
    status = json.loads((folder / "status.json").read_text())
    assert result.returncode == 0, f"{status.get('error')}\n{result.stdout[-1500:]}\n{result.stderr[-3000:]}"
    assert status["state"] == "succeeded"
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert max(row["step"] for row in rows) == 3
    assert (folder / "model" / f"{weights}.safetensors").is_file()
    report = json.loads((folder / "report.json").read_text())
    assert 0 <= report["metrics"]["accuracy"]["value"] <= 1
