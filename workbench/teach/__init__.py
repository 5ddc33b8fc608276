"""What the course needs: exercises that check themselves, sizes that follow the machine, pictures with words."""

from workbench.teach.check import check, hint, solution
from workbench.teach.overview import done
from workbench.teach.sizes import scale, size

__all__ = ["check", "done", "hint", "scale", "size", "solution"]
