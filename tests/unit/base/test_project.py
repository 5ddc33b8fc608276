"""Consistency of the project: versions, commands, layers, links and the directory tree in the README."""

from __future__ import annotations

import ast
import contextlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import workbench
from tests.advisories import ADVISORIES, Advisory

ROOT = Path(__file__).resolve().parents[3]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NAME = "transformer-workbench"

# The design's layers, high to low. The siblings of a line do not import each other; in the lowest they may.
LAYERS = [
    {"__main__", "api"},
    {"display"},
    {"cli", "teach"},
    {"jobs", "compress"},
    {"explain"},
    {"training"},
    {"inference"},
    {"check"},
    {"tasks", "models"},
    {"tuning"},
    {"data"},
    {"compare"},
    {"runs"},
    {"metrics"},
    {"spec"},
    {
        "problem",
        "registry",
        "course_files",
        "locks",
        "system",
        "spec_versions",
        "workspace",
        "files",
        "page_policy",
        "formatting",
        "errors",
        "types",
        "i18n",
        "notes",
        "version",
        "yaml_text",
    },
]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _declared() -> dict[str, Requirement]:
    """Every package that pyproject.toml names, in its dependencies and extras."""
    project = PROJECT["project"]
    lines = project["dependencies"] + [line for part in project["optional-dependencies"].values() for line in part]
    requirements = {_normal(r.name): r for r in map(Requirement, lines)}
    requirements.pop(NAME)  # the extra `all` names the project itself
    return requirements


def _pins(lines: list[str]) -> dict[str, str]:
    pairs = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    return {_normal(name): version.split(";")[0].strip() for name, version in pairs}


@cache
def _constraints() -> dict[str, str]:
    return _pins((ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines())


@cache
def _tracked() -> list[str]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: which files belong to the project is not known")
    out = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [name for name in out.decode().split("\0") if name and (ROOT / name).is_file()]


def _text(name: str) -> str | None:
    try:
        return (ROOT / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


# -- versions -----------------------------------------------------------------------------------------------------


def test_tested_versions_are_in_the_declared_ranges() -> None:
    for name, requirement in _declared().items():
        assert name in _constraints(), f"{name} has no tested version in constraints.txt"
        assert requirement.specifier, f"{name} has no lower bound in pyproject.toml"
        assert requirement.specifier.contains(_constraints()[name]), f"{requirement} and {_constraints()[name]}"


@pytest.mark.parametrize(
    ("name", "floor"),
    [
        ("torch", "2.11"),
        ("transformers", "5.17"),
        ("streamlit", "1.67"),
        ("jupyterlab", "4.6.2"),
        ("jupyter-server", "2.20"),
    ],
)
def test_lower_bounds_stay(name: str, floor: str) -> None:
    assert f">={floor}" in str(_declared()[name].specifier)


@pytest.mark.parametrize("advisory", ADVISORIES, ids=lambda advisory: f"{advisory.package} {advisory.number}")
def test_no_allowed_version_has_a_known_hole(advisory: Advisory) -> None:
    """Nor the tested one, nor the one that is installed here."""
    requirement, fixed = _declared()[advisory.package], Version(advisory.fixed_in)
    (lowest,) = [Version(each.version) for each in requirement.specifier if each.operator == ">="]
    assert lowest >= fixed, f"{requirement} allows versions with {advisory.number}; require {fixed}"
    assert Version(_constraints()[advisory.package]) >= fixed
    with contextlib.suppress(metadata.PackageNotFoundError):
        assert Version(metadata.version(advisory.package)) >= fixed


def test_environment_yml_is_the_same_environment() -> None:
    document = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (pip,) = [item["pip"] for item in document["dependencies"] if isinstance(item, dict)]
    assert _pins(pip) == {name: _constraints()[name] for name in _declared()}
    assert {line for line in pip if "==" not in line} == {"--constraint constraints.txt", "--editable ."}


def test_constraints_pin_every_requirement() -> None:
    """Includes indirect requirements: otherwise a new release of one would change the tested environment."""
    todo, seen = list(_declared()), set()
    while todo:
        name = todo.pop()
        if name in seen or name in {"setuptools", "pip"}:
            continue
        seen.add(name)
        assert name in _constraints(), f"{name} is required, but constraints.txt does not list it"
        try:
            needs = [Requirement(line) for line in metadata.requires(name) or []]
        except metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed: this is not the tested environment")
        linux = {"extra": "", "sys_platform": "linux", "platform_system": "Linux"}
        todo += [_normal(r.name) for r in needs if r.marker is None or r.marker.evaluate(linux)]
        todo = [name for name in todo if not name.startswith(("nvidia-", "cuda-", "triton"))]  # of torch's GPU builds


def test_changelog_has_this_version() -> None:
    versions = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == workbench.__version__
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "workbench.version.__version__"}


# -- imports ------------------------------------------------------------------------------------------------------

# Packages that come with a declared one.
BROUGHT_BY = {"annotated_types": "pydantic", "pydantic_core": "pydantic", "packaging": "transformers"}


@cache
def _owners() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


@cache
def _imports(folder: str) -> dict[Path, set[str]]:
    """Return the first parts of the names of the modules that each file imports, by file."""
    imports: dict[Path, set[str]] = {}
    for file in sorted((ROOT / folder).rglob("*.py")):
        names = imports.setdefault(file, set())
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return imports


@pytest.mark.parametrize("folder", ["workbench", "dashboard", "tests"])
def test_every_import_is_declared(folder: str) -> None:
    for file, modules in _imports(folder).items():
        for module in modules:
            if module in sys.stdlib_module_names or (ROOT / module).exists() or (file.parent / f"{module}.py").exists():
                continue
            packages = {_normal(owner) for owner in _owners().get(module, [module])} | {BROUGHT_BY.get(module, "")}
            assert packages & _declared().keys(), f"{file.relative_to(ROOT)} imports {module}; it is not declared"


# Packages that are declared and never imported: programs, plugins, types, and optional requirements of other packages.
PROGRAMS = {
    "import-linter", "jupyter-server", "jupyterlab", "mkdocs-material", "mkdocstrings", "mypy", "nltk", "pre-commit",
    "pytest-timeout", "pytest-xdist", "python-multipart", "ruff", "tornado", "types-pyyaml",
}  # fmt: skip
# Where the packages of an extra are imported; the library for all others.
IMPORTED_IN = {
    "dashboard": ("workbench", "dashboard"),
    "notebooks": ("workbench", "notebooks", "tutorials"),
    "dev": ("tests",),
    "docs": ("docs", "tests"),
}


def _imported(folders: tuple[str, ...]) -> set[str]:
    """Return the packages that modules in these folders import."""
    modules = {module for folder in folders for imports in _imports(folder).values() for module in imports}
    return {_normal(owner) for module in modules for owner in _owners().get(module, [])}


def _groups() -> dict[str, list[str]]:
    project = PROJECT["project"]
    extras = {name: lines for name, lines in project["optional-dependencies"].items() if name != "all"}
    return {"": project["dependencies"], **extras}


@pytest.mark.parametrize("extra", sorted(_groups()))
def test_every_declared_package_is_imported(extra: str) -> None:
    imported = _imported(IMPORTED_IN.get(extra, ("workbench",)))
    declared = {_normal(Requirement(line).name) for line in _groups()[extra]}
    assert not declared - imported - PROGRAMS


def test_the_extra_all_has_every_extra_for_users() -> None:
    [line] = PROJECT["project"]["optional-dependencies"]["all"]
    assert Requirement(line).extras == _groups().keys() - {"", "dev", "docs"}


def test_python_versions_agree() -> None:
    """The range, the classifiers and the Makefile name the same versions."""
    classified = {
        text.rpartition(" ")[2]
        for text in PROJECT["project"]["classifiers"]
        if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", text)
    }
    allowed = SpecifierSet(PROJECT["project"]["requires-python"])
    assert classified == {f"3.{minor}" for minor in range(30) if f"3.{minor}.1" in allowed}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert classified == set(re.findall(r"python(3\.\d+)", makefile.split("done")[0]))


def test_layers_match_the_design() -> None:
    contracts = {contract["id"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]}
    layers = [set(re.findall(r"\w+", line)) for line in contracts["layers"]["layers"]]
    assert layers == LAYERS
    modules = {p.stem for p in (ROOT / "workbench").iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
    assert modules - {"__init__"} == set().union(*LAYERS)


def test_layers_are_preserved() -> None:
    command = [
        sys.executable,
        "-c",
        "import sys; from importlinter.cli import lint_imports_command as c; sys.exit(c())",
    ]
    result = subprocess.run([*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-1000:]


HEAVY = ["torch", "transformers", "duckdb", "pandas", "datasets", "pyarrow", "streamlit", "sklearn", "scipy"]


@pytest.mark.parametrize(
    "module",
    ["workbench.jobs", "workbench.runs", "workbench.data", "workbench.spec", "workbench.workspace", "workbench.cli"],
)
def test_no_heavy_package_is_imported(module: str) -> None:
    """Listing runs and `workbench --help` must not import torch, not even through submodules."""
    code = (
        "import importlib, pkgutil, sys\n"
        f"package = importlib.import_module({module!r})\n"
        "for m in pkgutil.walk_packages(getattr(package, '__path__', []), package.__name__ + '.'):\n"
        "    importlib.import_module(m.name)\n"
        f"print(' '.join(name for name in {HEAVY} if name in sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.strip() == ""


def test_the_library_does_not_import_streamlit() -> None:
    for file in (ROOT / "workbench").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) streamlit", file.read_text(encoding="utf-8"), re.MULTILINE), file


# -- commands and pages -------------------------------------------------------------------------------------------


def test_makefile_has_the_commands_that_the_pages_name() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for page in ROOT.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for command in re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", text, re.MULTILINE):
            assert "".join(command) in targets, f"{page.name} names `make {''.join(command)}`"
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE).group(1).split())  # type: ignore[union-attr]
    assert phony == targets


def test_workbench_has_the_commands_that_the_readme_names() -> None:
    from typer.main import get_command

    from workbench.cli.app import app

    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    named = re.findall(r"^workbench ([a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert named
    assert set(named) <= commands


def test_the_readme_names_every_task_method_and_explainer() -> None:
    from workbench.explain.base import explainers
    from workbench.tasks.base import tasks
    from workbench.tuning.base import tunings

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for registry in (tasks, tunings, explainers):
        for name in registry.names():
            assert f"`{name}`" in readme, name
    counts = (len(tasks.names()), len(tunings.names()), len(explainers.names()))
    assert "| {} tasks | {} fine-tuning methods | {} explainers |".format(*counts) in readme


def _tree() -> list[str]:
    """Return the paths of the README's tree, folders with a trailing slash."""
    block = re.search(
        r"## What is where\n\n```text\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert block is not None
    paths, folder = [], ""
    for line in block.group(1).splitlines():
        name, *words = line.split()
        assert words, f"{name} has no line of explanation"
        below = line.startswith("  ")
        folder = folder if below else name
        paths.append(folder + name if below else name)
    return paths


def test_readme_tree_matches_the_files() -> None:
    tracked = _tracked()
    for path in _tree():
        assert any(name == path or (path.endswith("/") and name.startswith(path)) for name in tracked), path

    def level(prefix: str) -> set[str]:
        rests = [name.removeprefix(prefix) for name in tracked if name.startswith(prefix)]
        return {prefix + (rest.partition("/")[0] + "/" if "/" in rest else rest) for rest in rests}

    assert level("") <= set(_tree())
    packages = {name for name in level("workbench/") if not name.endswith(("__.py", ".typed"))}
    assert packages <= set(_tree())


def test_links_to_files_are_valid() -> None:
    """Links between the site's pages are checked when it is built, for generated pages as well."""
    for page in (ROOT / name for name in _tracked() if name.endswith(".md") and not name.startswith("docs/")):
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if not re.match(r"[a-z]+:|#", target):
                assert (page.parent / target.partition("#")[0]).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_the_example_of_a_new_entry_works(tmp_path: Path) -> None:
    """The example, saved to one file without other changes, is available by name and can be applied."""
    page = (ROOT / "docs/contributing/add-an-entry.md").read_text(encoding="utf-8")
    example = re.search(r"```python[^\n]*\n(.*?)```", page, re.DOTALL)
    assert example is not None
    (tmp_path / "biases.py").write_text(example.group(1))
    code = (
        f"import workbench.tuning; workbench.tuning.__path__.append({str(tmp_path)!r})\n"
        "from workbench.tuning.base import tunings\n"
        "from torch import nn\n"
        "model = tunings.get('biases')().apply(nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)), '')\n"
        "print(tunings.label('biases').partition(':')[0], [p.requires_grad for p in model.parameters()])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout.strip() == "Biases only [False, True, False, True]", result.stderr[-2000:]


def test_no_package_index_is_named() -> None:
    """The package index is the user's own setting."""
    hosts = [
        "pypi" + ".org",
        "python" + "hosted.org",
        "npm" + "js.org",
        "deb.debian" + ".org",
        "conda.anaconda" + ".org",
    ]
    for name in _tracked():
        text = _text(name) or ""
        for host in hosts:
            assert host not in text, f"{name} names {host}"


def test_package_data_is_declared() -> None:
    """An installed package needs these files besides its modules."""
    for name in ("workbench/py.typed", "workbench/data/catalogue/catalogue.yaml"):
        assert name in _tracked()
    shipped = PROJECT["tool"]["setuptools"]["package-data"]
    assert {"py.typed", "*.yaml"} <= set(shipped["*"])
    assert "presets/*.yaml" in shipped["workbench"]
