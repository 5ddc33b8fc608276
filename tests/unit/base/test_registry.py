"""The registry: entries are discovered, names are unique, a broken entry does not stop the others."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.errors import UnknownNameError
from workbench.registry import Registry

BASE = """
from workbench.registry import Registry
things = Registry("thing", package="{package}")
"""
ENTRY = '''
from {package}.base import things

@things.register("{name}")
class {kind}:
    """{doc}"""
'''


class Plugins:
    """A package of entries made for a test."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder / name, name
        self.folder.mkdir()
        (self.folder / "__init__.py").write_text("")
        (self.folder / "base.py").write_text(BASE.format(package=name))

    def add(self, file: str, name: str, kind: str, doc: str = "A label.") -> None:
        (self.folder / file).write_text(ENTRY.format(package=self.name, name=name, kind=kind, doc=doc))

    def install(self, package: str, code: str, points: str) -> None:
        """Install another package, with entry points for the registry's group."""
        (self.folder.parent / f"{package}.py").write_text(code.format(package=self.name))
        info = self.folder.parent / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[workbench.things]\n{points}\n")

    @property
    def registry(self) -> Registry[object]:
        base = __import__(f"{self.name}.base", fromlist=["things"])
        registry: Registry[object] = base.things
        return registry


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugins]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Plugins(tmp_path, "plugins_for_a_test")
    for name in [name for name in sys.modules if name.startswith(("plugins_for_a_test", "other_for_a_test"))]:
        del sys.modules[name]


def test_a_file_in_the_package_is_discovered(plugins: Plugins) -> None:
    plugins.add("one.py", "one", "One", "The first line.\n\n    More.")
    plugins.add("two.py", "two", "Two")
    registry = plugins.registry
    assert registry.names() == ["one", "two"]
    assert registry.label("one") == "The first line."
    assert "one" in registry
    assert "three" not in registry
    assert [name for name, _ in registry.items()] == ["one", "two"]
    assert registry.get("one").name == "one"  # type: ignore[attr-defined]


def test_an_unknown_name_is_an_error_with_a_suggestion(plugins: Plugins) -> None:
    plugins.add("one.py", "classify", "Classify")
    with pytest.raises(UnknownNameError, match=r"There is no thing 'clasify'. Did you mean 'classify'"):
        plugins.registry.get("clasify")


def test_two_files_cannot_use_the_same_name(plugins: Plugins) -> None:
    """The first file keeps the name, even if the second is a copy with the same class name."""
    plugins.add("one.py", "same", "Same")
    plugins.add("two.py", "same", "Same")
    registry = plugins.registry
    assert registry.get("same").__module__ == "plugins_for_a_test.one"
    [problem] = registry.problems()
    assert problem.source == "plugins_for_a_test.two"
    assert problem.message == "thing 'same' is already plugins_for_a_test.one.Same"


def test_a_broken_file_is_reported_and_does_not_stop_the_others(plugins: Plugins) -> None:
    plugins.add("one.py", "one", "One")
    plugins.add("half.py", "half", "Half")
    with open(plugins.folder / "half.py", "a", encoding="utf-8") as file:
        file.write("\nimport no_such_package\n")
    (plugins.folder / "syntax.py").write_text("def broken(:\n")
    registry = plugins.registry
    assert registry.names() == ["one"], "entries of a broken file are removed again"
    assert [problem.source for problem in registry.problems()] == [
        "plugins_for_a_test.half",
        "plugins_for_a_test.syntax",
    ]
    assert "No module named 'no_such_package'" in registry.problems()[0].message
    with pytest.raises(UnknownNameError) as raised:
        registry.get("half")
    assert "There are: one." in raised.value.hint and "plugins_for_a_test.half was not loaded" in raised.value.hint


OTHER_PACKAGE = """
from {package}.base import things

@things.register("decorated")
class Decorated:
    "A thing that registers itself."

class Plain:
    "A thing that its entry point names."

class Taken:
    "A thing whose name is taken."
"""


def test_another_package_adds_entries_through_entry_points(plugins: Plugins) -> None:
    plugins.add("one.py", "one", "One")
    points = [
        "decorated = other_for_a_test:Decorated",
        "plain = other_for_a_test:Plain",
        "one = other_for_a_test:Taken",
        "missing = other_for_a_test:Missing",
        "gone = no_such_package",
    ]
    plugins.install("other_for_a_test", OTHER_PACKAGE, "\n".join(points))
    registry = plugins.registry
    assert registry.names() == ["decorated", "one", "plain"]
    assert registry.label("plain") == "A thing that its entry point names."
    assert registry.get("plain").name == "plain"  # type: ignore[attr-defined]
    assert registry.get("one").__module__ == "plugins_for_a_test.one"
    problems = {problem.source: problem.message for problem in registry.problems()}
    assert problems == {
        "other_for_a_test:Taken of other_for_a_test": "thing 'one' is already plugins_for_a_test.one.One",
        "other_for_a_test:Missing of other_for_a_test": (
            "AttributeError: module 'other_for_a_test' has no attribute 'Missing'"
        ),
        "no_such_package of other_for_a_test": "ModuleNotFoundError: No module named 'no_such_package'",
    }


def test_an_entry_point_may_name_a_module(plugins: Plugins) -> None:
    plugins.install("other_for_a_test", OTHER_PACKAGE, "any = other_for_a_test")
    assert plugins.registry.names() == ["decorated"] and plugins.registry.problems() == []


def test_our_own_registries_load_completely() -> None:
    from workbench.data.readers.formats.base import formats
    from workbench.explain.base import explainers
    from workbench.models.base import models
    from workbench.tasks.base import tasks
    from workbench.teach.exercises import exercises
    from workbench.tuning.base import tunings

    groups = {registry.group: registry.problems() for registry in (explainers, formats, models, tasks, tunings)}
    groups[exercises.group] = exercises.problems()
    assert groups == {
        f"workbench.{name}": [] for name in ("explainers", "formats", "models", "tasks", "tunings", "exercises")
    }


def test_label_without_a_docstring_is_the_name() -> None:
    registry: Registry[object] = Registry("thing", package="workbench.teach")

    @registry.register("bare")
    class Bare:
        pass

    @registry.register("empty")
    class Empty:
        """ """

    assert registry.label("bare") == "bare"
    assert registry.label("empty") == "empty"
