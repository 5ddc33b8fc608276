"""The one registry: entries are found by being there, names are unique, unknown ones are told."""

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

    @property
    def registry(self) -> Registry[object]:
        base = __import__(f"{self.name}.base", fromlist=["things"])
        found: Registry[object] = base.things
        return found


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugins]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Plugins(tmp_path, "plugins_for_a_test")
    for name in [name for name in sys.modules if name.startswith("plugins_for_a_test")]:
        del sys.modules[name]


def test_a_file_is_found_by_being_there(plugins: Plugins) -> None:
    plugins.add("one.py", "one", "One", "The first line.\n\n    More.")
    plugins.add("two.py", "two", "Two")
    registry = plugins.registry
    assert registry.names() == ["one", "two"]
    assert registry.label("one") == "The first line."
    assert "one" in registry
    assert "three" not in registry
    assert [name for name, _ in registry.items()] == ["one", "two"]
    assert registry.get("one").name == "one"  # type: ignore[attr-defined]


def test_unknown_name_is_an_error_that_says_what_there_is(plugins: Plugins) -> None:
    plugins.add("one.py", "classify", "Classify")
    with pytest.raises(UnknownNameError, match=r"There is no thing 'clasify'. Did you mean 'classify'"):
        plugins.registry.get("clasify")


def test_two_files_cannot_take_one_name(plugins: Plugins) -> None:
    """Also not when the file was copied and the class's name with it."""
    plugins.add("one.py", "same", "Same")
    plugins.add("two.py", "same", "Same")
    with pytest.raises(ValueError, match=r"'same' is already plugins_for_a_test.one.Same"):
        plugins.registry.names()


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
