"""A pooler that was never trained passes the first token's vector on, instead of a random mixture of it.

BERT's pooler computes ``tanh(W h + b)`` of the first token's vector h, and a classifier reads the result. Models that
were trained to embed texts by the mean of their tokens have no trained pooler: theirs is missing, or random. A random W
hides what the model knows: classifiers on it need several times as many steps. With the unit matrix as W, and b = 0,
training begins at the vector itself, and the model is still an ordinary BERT that transformers loads.
"""

from __future__ import annotations

from dataclasses import replace

from workbench.models.base import LoadedModel
from workbench.types import Model

# Those whose classifiers read a pooler's output.
_POOLED_HEADS = ("AutoModelForSequenceClassification", "AutoModelForMultipleChoice", "AutoModelForPreTraining")


def init_pooler(loaded: LoadedModel, head: str, trained: bool) -> LoadedModel:
    """Let an untrained pooler pass the first token's vector on.

    Args:
        loaded: a pretrained model; it is changed.
        head: name of its Auto class.
        trained: whether the loaded weights of a pooler were ever trained.

    Returns:
        The model, with the pooler's weights among the newly initialized ones, so that an adapter saves them.
    """
    import torch

    names = _pooler_weights(loaded.model) if head in _POOLED_HEADS else ()
    if not names or (trained and not loaded.newly_initialized.issuperset(names)):
        return loaded
    weight, bias = (loaded.model.get_parameter(name) for name in names)
    with torch.no_grad():
        torch.nn.init.eye_(weight)
        bias.zero_()
    return replace(loaded, newly_initialized=loaded.newly_initialized | set(names))


def _pooler_weights(model: Model) -> tuple[str, ...]:
    """Return the names of weight and bias of BERT's pooler, in either implementation; none for another model."""
    from torch import nn

    for name, module in model.named_modules():
        is_pooler = f".{name}".endswith((".pooler", ".pooler.dense"))
        if is_pooler and isinstance(module, nn.Linear) and module.in_features == module.out_features:
            return f"{name}.weight", f"{name}.bias"
    return ()
