"""Fine-tune, compare and explain Transformers for NLP on one machine.

    import workbench as wb

    full, lora = wb.run("demo-full"), wb.run("demo-lora", training__epochs=2)
    lora.predict("A great film.")
    wb.compare(lora, full)

The names in ``__all__`` are the public API. They are imported when they are first used, so that ``import workbench``
loads neither torch nor pandas.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from workbench.version import __version__

if TYPE_CHECKING:
    from workbench.api import Comparison as Comparison
    from workbench.api import Run as Run
    from workbench.api import RunList as RunList
    from workbench.api import check as check
    from workbench.api import compare as compare
    from workbench.api import load_data as load_data
    from workbench.api import load_spec as load_spec
    from workbench.api import run as run
    from workbench.api import runs as runs
    from workbench.api import sweep as sweep
    from workbench.errors import WorkbenchError as WorkbenchError
    from workbench.spec import RunSpec as RunSpec
    from workbench.workspace import Workspace as Workspace

__all__ = [
    "Comparison",
    "Run",
    "RunList",
    "RunSpec",
    "WorkbenchError",
    "Workspace",
    "__version__",
    "check",
    "compare",
    "load_data",
    "load_spec",
    "run",
    "runs",
    "sweep",
]

_ELSEWHERE = {
    "RunSpec": "workbench.spec",
    "Workspace": "workbench.workspace",
    "WorkbenchError": "workbench.errors",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_ELSEWHERE.get(name, "workbench.api")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """This package, in which a public function wins over the submodule of the same name.

    Importing ``workbench.compare.seeds`` anywhere would otherwise replace the function ``workbench.compare`` with the
    package. ``from workbench.compare import ...`` is not affected.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
