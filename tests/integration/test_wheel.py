"""The wheel works in an environment of its own: it contains the course, the presets and the dashboard's files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.integration.cli_process import write_spec
from workbench.workspace import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("workbench", "dashboard", "notebooks", "tutorials", "pyproject.toml", "setup.py", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` folder of a new environment with the wheel, which can import this environment's other packages."""
    source, wheels = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheels")
    for name in SOURCES:  # in a copy, because a build leaves files behind
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, source / name)
    environment = tmp_path_factory.mktemp("environment")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(wheels)]
    subprocess.run([*build, str(source)], check=True, env=_environment())
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    [wheel] = wheels.glob("*.whl")
    install = [*pip, "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, env=_environment())
    [site] = environment.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")  # searched after the wheel's own modules
    return environment / "bin"


def _environment() -> dict[str, str]:
    """Return this process's environment variables without the ones that make the checkout importable."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def run(installed: Path, workspace: Workspace, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the new environment outside the checkout."""
    environment = _environment() | {"WORKBENCH_HOME": str(workspace.root), "OMP_NUM_THREADS": "1"}
    program = [str(installed / command[0]), *command[1:]]
    return subprocess.run(program, capture_output=True, text=True, timeout=300, env=environment, cwd=workspace.root)


def test_the_command_and_the_packages_come_from_the_wheel(installed: Path, workspace: Workspace) -> None:
    code = "import workbench, dashboard; print(workbench.__file__, dashboard.__file__)"
    files = run(installed, workspace, "python", "-c", code).stdout.split()
    assert len(files) == 2 and all(Path(file).is_relative_to(installed.parent) for file in files)
    presets = json.loads(run(installed, workspace, "workbench", "presets", "--json").stdout)
    assert "demo-lora" in {preset["name"] for preset in presets}
    assert json.loads(run(installed, workspace, "workbench", "tasks", "--json").stdout)


def test_the_installed_command_trains_a_run(installed: Path, workspace: Workspace) -> None:
    spec = write_spec(workspace)
    done = run(installed, workspace, "workbench", "run", spec, "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["state"] == "succeeded"


def test_the_wheel_contains_the_course_and_copies_it_into_the_workspace(installed: Path, workspace: Workspace) -> None:
    code = """
import os
from workbench.cli.commands import lab
from workbench.teach.lessons import lessons, notebooks, solution_of
os.execve = lambda program, command, environment: print("\\n".join(command))
print(len(notebooks()), len(lessons()), bool(solution_of(lessons()[0].exercises[0])))
lab.lab_command([], 8888, False)
"""
    done = run(installed, workspace, "python", "-c", code)
    assert done.returncode == 0, done.stderr[-2000:]
    n_notebooks, n_lessons = (
        len(list(ROOT.glob("notebooks/[0-9]*.py"))),
        len(list(ROOT.glob("tutorials/src/[0-9]*.py"))),
    )
    assert done.stdout.splitlines()[0] == f"{n_notebooks} {n_lessons} True"
    assert f"--ServerApp.root_dir={workspace.root / 'course'}" in done.stdout
    for file in [*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("tutorials/*.ipynb")]:
        copy = workspace.root / "course" / file.relative_to(ROOT)
        assert copy.read_bytes() == file.read_bytes()


def test_the_wheel_contains_every_other_file(installed: Path) -> None:
    """Templates, styles, scripts and catalogues: everything in the checkout's packages except modules."""
    [site] = installed.parent.glob("lib/python*/site-packages")
    for package in ("workbench", "dashboard"):
        for file in (ROOT / package).rglob("*"):
            if file.is_file() and file.suffix not in (".py", ".pyc") and "__pycache__" not in file.parts:
                assert (site / file.relative_to(ROOT)).is_file(), file
