"""Head options shared by several tasks."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.tasks.base import HeadOptions


def label_options(labels: Sequence[str]) -> HeadOptions:
    """Return the options of a head with one output for each label.

    Args:
        labels: label names, in the order of the outputs.
    """
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: i for i, label in enumerate(labels)},
    }
