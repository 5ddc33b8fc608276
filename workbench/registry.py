"""The one registry: tasks, models, tunings, explainers are all entries of a :class:`Registry`.

An entry is a class in a file of its own. It becomes known by the decorator, and its file is found by itself::

    tasks = Registry("task", package="workbench.tasks")

    @tasks.register("text-classification")
    class TextClassification(Task):
        "Put each text into one of several classes."      # the first line is the label that faces show

Adding an entry is adding one file to the package: nothing else lists it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from workbench.errors import UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """Names of one kind of thing, and the classes behind them.

    Args:
        what: the kind, in the singular, for messages: ``"task"``.
        package: the package whose modules are imported at the first look-up, so that they can register.
    """

    def __init__(self, what: str, package: str) -> None:
        self.what = what
        self._package = package
        self._entries: dict[str, type[T]] = {}
        self._discovered = False

    def register(self, name: str) -> Callable[[type[T]], type[T]]:
        """Decorator that makes a class known as ``name``. Raises ValueError when the name is taken."""

        def add(entry: type[T]) -> type[T]:
            taken = self._entries.get(name)
            # The same class again, from a module that was reloaded, is no second entry.
            if taken is not None and (taken.__module__, taken.__qualname__) != (entry.__module__, entry.__qualname__):
                raise ValueError(f"{self.what} {name!r} is already {taken.__module__}.{taken.__qualname__}")
            self._entries[name] = entry
            entry.name = name  # type: ignore[attr-defined]
            return entry

        return add

    def get(self, name: str) -> type[T]:
        """The class behind ``name``. Raises UnknownNameError, which lists what there is, for any other."""
        self._discover()
        if name not in self._entries:
            raise UnknownNameError(self.what, name, self._entries)
        return self._entries[name]

    def names(self) -> list[str]:
        """Every name, sorted."""
        self._discover()
        return sorted(self._entries)

    def items(self) -> Iterator[tuple[str, type[T]]]:
        """Every name with its class, sorted by name."""
        for name in self.names():
            yield name, self._entries[name]

    def label(self, name: str) -> str:
        """The first line of the class's docstring."""
        return ((self.get(name).__doc__ or "").strip() or name).splitlines()[0]

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._entries

    def _discover(self) -> None:
        if self._discovered:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)
        self._discovered = True
