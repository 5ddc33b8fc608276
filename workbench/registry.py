"""The one registry: tasks, models, tunings, explainers, formats, shapes, exercises are entries of a :class:`Registry`.

An entry is a class in a file of its own. The decorator makes it known, and its file is found automatically::

    tasks = Registry("task", package="workbench.tasks")

    @tasks.register("text-classification")
    class TextClassification(Task):
        "Assign each text to one of several classes."     # the first line is the label that users see

Adding an entry is adding one file to the package; there is no list to maintain.

Other packages add entries through entry points. The group is ``workbench.`` and the kind in the plural::

    [project.entry-points."workbench.tasks"]
    haiku = "my_package.haiku:Haiku"

A file or an entry point that cannot be loaded, or takes a name that is taken, is left out and reported by
:meth:`Registry.problems`; the others work.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from workbench.errors import UnknownNameError

T = TypeVar("T")

_SHOWN = 3  # problems in the hint of an error


@dataclass(frozen=True)
class RegistryProblem:
    """An entry that was left out.

    Attributes:
        source: the module, or the entry point and its package.
        message: what was wrong.
    """

    source: str
    message: str

    def __str__(self) -> str:
        return f"{self.source} was not loaded: {self.message}"


class Registry(Generic[T]):
    """Names of one kind of thing, and the classes behind them.

    Args:
        what: the kind, in the singular, for messages: ``"task"``.
        package: the package whose modules are imported at the first look-up, so that they can register.
    """

    def __init__(self, what: str, package: str) -> None:
        self.what = what
        self.group = f"workbench.{what}s"
        self._package = package
        self._entries: dict[str, type[T]] = {}
        self._problems: list[RegistryProblem] = []
        self._discovered = False

    def register(self, name: str) -> Callable[[type[T]], type[T]]:
        """Make a class known under a name, as a decorator.

        Args:
            name: the name that specs and commands use.

        Raises:
            ValueError: the name is taken by another class.
        """

        def add(entry: type[T]) -> type[T]:
            taken = self._entries.get(name)
            # The same class again, from a module that was reloaded, is no second entry.
            if taken is not None and _path(taken) != _path(entry):
                raise ValueError(f"{self.what} {name!r} is already {_path(taken)}")
            self._entries[name] = entry
            entry.name = name  # type: ignore[attr-defined]
            return entry

        return add

    def get(self, name: str) -> type[T]:
        """Return the class behind a name.

        Args:
            name: name of an entry.

        Raises:
            UnknownNameError: there is none; the error lists the names, and what could not be loaded.
        """
        self._discover()
        if name not in self._entries:
            error = UnknownNameError(self.what, name, self._entries)
            more = len(self._problems) - _SHOWN
            problems = [f"{problem}." for problem in self._problems[:_SHOWN]] + [f"{more} more were not loaded."] * (
                more > 0
            )
            error.hint = " ".join([error.hint, *problems]).strip()
            raise error
        return self._entries[name]

    def names(self) -> list[str]:
        """Return every name, sorted."""
        self._discover()
        return sorted(self._entries)

    def items(self) -> Iterator[tuple[str, type[T]]]:
        """Yield every name with its class, sorted by name."""
        for name in self.names():
            yield name, self._entries[name]

    def label(self, name: str) -> str:
        """Return the first line of an entry's docstring.

        Args:
            name: name of an entry.

        Raises:
            UnknownNameError: there is none.
        """
        return ((self.get(name).__doc__ or "").strip() or name).splitlines()[0]

    def problems(self) -> list[RegistryProblem]:
        """Return what was left out because it could not be loaded."""
        self._discover()
        return list(self._problems)

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._entries

    def _discover(self) -> None:
        """Load the package's modules, then the entry points of other packages."""
        if self._discovered:
            return
        package = importlib.import_module(self._package)
        problems = [
            self._try(module.name, partial(importlib.import_module, module.name))
            for module in pkgutil.iter_modules(package.__path__, package.__name__ + ".")
        ]
        for point in entry_points(group=self.group):
            origin = f" of {point.dist.name}" if point.dist else ""
            problems.append(self._try(f"{point.value}{origin}", partial(self._load, point)))
        self._problems = [problem for problem in problems if problem is not None]
        self._discovered = True

    def _load(self, point: EntryPoint) -> None:
        """Load an entry point: a class, or a module that registers its classes itself."""
        entry = point.load()
        if isinstance(entry, type) and entry not in self._entries.values():
            self.register(point.name)(entry)

    def _try(self, source: str, load: Callable[[], object]) -> RegistryProblem | None:
        """Load something; take back what it has registered when it fails."""
        before = dict(self._entries)
        try:
            load()
        except Exception as error:
            self._entries = before
            message = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            return RegistryProblem(source, " ".join(message.split()))
        return None


def _path(entry: type) -> str:
    return f"{entry.__module__}.{entry.__qualname__}"
