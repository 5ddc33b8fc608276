"""NaN and infinity are errors of a model, not answers: what damaged weights compute must not look like a result."""

from __future__ import annotations

import math
from typing import Any

from workbench.errors import NonFiniteOutputError
from workbench.types import Model

_CHECKED = "_workbench_checks_outputs"  # attribute of a model whose outputs are checked


def check_outputs(model: Model) -> None:
    """Let a model raise an error when its outputs contain NaN or an infinity.

    Args:
        model: with any head, or a peft model around one. Generating texts calls the model inside, so that one is
            watched.
    """
    base: Any = getattr(model, "get_base_model", None)
    inner = model if base is None else base()
    if not getattr(inner, _CHECKED, False):
        setattr(inner, _CHECKED, True)
        inner.register_forward_hook(_refuse_non_finite)


def _refuse_non_finite(module: object, inputs: object, outputs: object) -> None:
    for name in ("logits", "start_logits", "end_logits", "prediction_logits", "last_hidden_state"):
        tensor: Any = getattr(outputs, name, None)
        if tensor is None or not tensor.numel():
            continue
        # A mask may make a logit minus infinity on purpose; nothing makes it NaN or plus infinity.
        largest = float(tensor.detach().max())  # NaN if any value is
        if math.isnan(largest) or largest == math.inf:
            raise NonFiniteOutputError(
                f"The model computed NaN or infinity ({name}), so it has no answer.",
                "Its weights are damaged, or too large for this precision. Start the run again, or use another model.",
            )
