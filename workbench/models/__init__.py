"""Models: the Transformer written here, baselines, and where weights come from.

``from_transformers`` and ``to_transformers`` carry published weights into our Transformer and back. They are imported
when first asked for, so that listing models does not pay for torch.
"""

from typing import Any

__all__ = ["from_transformers", "to_transformers"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from workbench.models import convert

        return getattr(convert, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
