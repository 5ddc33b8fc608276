"""Which vector of a text a classifier reads: the mean of its tokens, the first one, or what transformers' class reads.

transformers has no class that classifies the mean of a BERT's tokens. But the head is linear, so it does not matter
whether it reads the mean of the vectors, or the mean is taken of what it makes of each vector:

    W mean(h_t) + b  =  mean(W h_t + b)

So such a model is transformers' own token classifier, whose logits are averaged over the attention mask. Its folder is
a plain one for ``AutoModelForTokenClassification``, for any architecture that has this class; ``text_pooling`` in its
configuration says what to do with the logits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, TypeAlias, cast

from workbench.types import Model

Pooling: TypeAlias = Literal["cls", "mean", "pooler"]

FIELD = "text_pooling"  # in the configuration of a token classifier
TOKEN_HEAD = "AutoModelForTokenClassification"
POOLED_HEADS = ("AutoModelForSequenceClassification", "AutoModelForMultipleChoice")


def stored_pooling(config: object) -> Pooling | None:
    """Return the pooling of a saved classifier; None if it is that of transformers' own class.

    Args:
        config: the content of ``config.json``.
    """
    fields = config if isinstance(config, Mapping) else {}
    architectures = fields.get("architectures") or ()
    is_token_classifier = any(str(name).endswith("ForTokenClassification") for name in architectures)
    pooling = fields.get(FIELD) if is_token_classifier else None
    return cast("Pooling", pooling) if pooling in ("cls", "mean") else None


def token_head_options(head: str, options: Mapping[str, object]) -> dict[str, object]:
    """Return the options of a token classifier whose pooled logits are those of another head.

    Args:
        head: one of ``POOLED_HEADS``.
        options: its own options.
    """
    return {**options, "num_labels": 1} if head == "AutoModelForMultipleChoice" else dict(options)


def has_new_pooler(newly_initialized: Collection[str]) -> bool:
    """Return whether a model has a pooler that was not loaded.

    Args:
        newly_initialized: names of the model's weights that were not loaded.
    """
    return any("pooler" in name.split(".") for name in newly_initialized)


def with_pooling(model: Model, pooling: Pooling) -> Model:
    """Let a token classifier classify whole texts.

    Args:
        model: a token classifier of transformers or of ours; its class is changed in place.
        pooling: ``mean`` or ``cls``.

    Returns:
        The model; see :class:`workbench.models.networks.pooled.PooledClassifier`.
    """
    from workbench.models.networks.pooled import pooled_class

    setattr(model.config, FIELD, pooling)
    model.__class__ = pooled_class(type(model))
    return model


def pooling_of(model: Model) -> Pooling | None:
    """Return the pooling of a model of :func:`with_pooling`; None for another model.

    Args:
        model: with or without an adapter.
    """
    from workbench.models.networks.pooled import PooledClassifier

    model = getattr(model, "get_base_model", lambda: model)()
    return cast("Pooling", model.config.text_pooling) if isinstance(model, PooledClassifier) else None
