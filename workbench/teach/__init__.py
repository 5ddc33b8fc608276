"""What the course needs: sizes that follow the machine, pictures with words, runs from a notebook."""

from workbench.teach.sizes import scale, size

__all__ = ["scale", "size"]
