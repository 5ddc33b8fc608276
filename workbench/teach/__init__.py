"""The course's library: exercises that check themselves, sizes that fit the machine, pictures with descriptions."""

from workbench.teach.check import check, hint, solution
from workbench.teach.overview import done
from workbench.teach.sizes import scale, size

__all__ = ["check", "done", "hint", "scale", "size", "solution"]
