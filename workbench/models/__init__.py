"""Models: our own Transformer, the baselines, and the sources of weights. See :mod:`workbench.models.base`.

``from_transformers`` and ``to_transformers`` convert published weights to our Transformer and back. They are imported
on first use, so that listing models does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.models.convert import from_transformers, to_transformers

__all__ = ["from_transformers", "to_transformers"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from workbench.models import convert

        return getattr(convert, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
