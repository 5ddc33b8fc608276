"""How much each head matters: what is lost without it, over many texts (Michel et al. 2019, "Are Sixteen Heads ...").

A head is switched off by multiplying its output by 0, before the heads are put together. With 1 in place of 0 nothing
changes; the gradient by that number is the second, cheaper measure.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import RequestError
from workbench.explain.embeddings import differentiable
from workbench.explain.hooks import attention_functions
from workbench.explain.instance import BATCH, Instance, Predictor, evaluating
from workbench.explain.queries import attention_modules
from workbench.explain.targets import resolve_target
from workbench.models.networks.attention import MultiHeadAttention

Measure = Literal["ablation", "gradient"]


@dataclass(frozen=True)
class HeadImportance:
    """How much each head matters.

    Attributes:
        measure: ``ablation``: how far the predicted label's probability falls without the head, on average (0 to 1);
            ``gradient``: the mean size of the gradient of that label's log probability by the head's switch.
        texts: over how many.
        importance: [layers][heads].
        order: ``{"layer", "head", "importance"}``, the least important first: the order to prune in.
    """

    measure: str
    texts: int
    importance: list[list[float]]
    order: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people: the heads that matter most, and those that matter least."""
        names = [f"{one['layer']}.{one['head']} ({one['importance']:+.4f})" for one in self.order]
        return [
            f"By {self.measure}, over {self.texts} texts (layer.head):",
            f"matter most: {', '.join(reversed(names[-8:]))}",
            f"matter least: {', '.join(names[:8])}",
        ]

    def _repr_html_(self) -> str:
        from workbench.explain.render.maps import importance_map
        from workbench.explain.render.report import notebook

        return notebook([], [importance_map(self)])


def head_importance(
    predictor: Predictor,
    examples: Sequence[dict[str, str]],
    measure: Measure = "ablation",
    progress: Callable[[int, int], None] | None = None,
) -> HeadImportance:
    """Measure every head over ``examples``, each by the label that is predicted for it.

    Args:
        predictor: a loaded run.
        examples: ``{"text": ...}``, of pairs also ``"text_pair"``.
        measure: ``ablation`` (as many passes for a text as there are heads) or ``gradient`` (one).
        progress: told how many of how many are done.

    Raises:
        RequestError: there are no examples, or the model's heads cannot be switched off.
    """
    if not examples:
        raise RequestError("There are no texts to measure heads on.", "Give a list of some.")
    total: NDArray[np.float64] | None = None
    for number, example in enumerate(examples):
        instance = Instance(predictor, example["text"], example.get("text_pair"))
        found = (_ablated if measure == "ablation" else _gradients)(instance)
        total = found if total is None else total + found
        if progress is not None:
            progress(number + 1, len(examples))
    assert total is not None
    mean = total / len(examples)
    places = sorted(np.ndindex(*mean.shape), key=lambda place: float(mean[place]))
    order = [{"layer": a, "head": b, "importance": float(mean[a, b])} for a, b in places]
    return HeadImportance(measure, len(examples), [[float(value) for value in row] for row in mean], order)


@contextlib.contextmanager
def switched_heads(model: Any, modules: list[Any], switches: torch.Tensor) -> Iterator[None]:
    """Within, the output of each head is multiplied by its number in ``switches`` [layers, heads].

    Or [layers, texts, heads]: another number for each text of the batch.

    Args:
        modules: as :func:`~workbench.explain.queries.attention_modules` gives them.
    """

    def times(layer: int, output: torch.Tensor) -> torch.Tensor:
        numbers = switches[layer]
        return output * (numbers[:, None, :, None] if numbers.dim() == 2 else numbers[None, None, :, None])

    with head_outputs(model, modules, times):
        yield


@contextlib.contextmanager
def head_outputs(model: Any, modules: list[Any], change: Callable[[int, torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """Within, the outputs of each layer's heads [B, T, H, K] go through ``change`` (layer, outputs), in this thread.

    Args:
        modules: as :func:`~workbench.explain.queries.attention_modules` gives them.
    """
    me, layer_of = threading.get_ident(), {id(module): layer for layer, module in enumerate(modules)}

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def changed(module: Any, *rest: Any, **named: Any) -> Any:
            output, weights = function(module, *rest, **named)
            return (change(layer_of[id(module)], output) if id(module) in layer_of else output), weights

        return changed

    with contextlib.ExitStack() as stack:
        own = [module for module in modules if isinstance(module, MultiHeadAttention)]
        for module in own:

            def before(_output: Any, args: tuple[torch.Tensor, ...], module: Any = module) -> Any:
                if threading.get_ident() != me:
                    return None
                apart = args[0].view(*args[0].shape[:-1], module.num_heads, -1)
                return (change(layer_of[id(module)], apart).flatten(-2),)

            stack.callback(module.output.register_forward_pre_hook(before).remove)
        if not own:
            stack.enter_context(attention_functions(wrap))
        yield


def heads_of(instance: Instance) -> tuple[list[Any], int]:
    """The modules of attention and their number of heads. Raises RequestError where they cannot be switched."""
    modules = attention_modules(instance.model, instance.encoded.inputs)
    heads = getattr(instance.model.config, "num_attention_heads", 0)
    if getattr(instance.model.config, "kept_heads", None) is not None:
        raise RequestError(
            "Heads were cut out of this model: its layers have not as many heads as each other.",
            "Ask the run that it was pruned from.",
        )
    if not modules or not heads:
        raise RequestError(
            f"The heads of {type(instance.model).__name__} cannot be switched off one by one.",
            "Its attention is of a kind that cannot be listened to, or it has none.",
        )
    return modules, int(heads)


def _ablated(instance: Instance) -> NDArray[np.float64]:
    """[layers, heads]: how far the answer's probability falls without each head."""
    modules, heads = heads_of(instance)
    count = len(modules) * heads
    # Row 0 has all heads; row i + 1 is without the i-th.
    switches = torch.cat([torch.ones(1, count), 1 - torch.eye(count)]).view(count + 1, len(modules), heads)
    switches = switches.to(instance.device, next(instance.model.parameters()).dtype)
    target, found = resolve_target(instance).target, []
    for part in torch.split(switches, BATCH):
        inputs = {name: value.expand(len(part), -1) for name, value in instance.encoded.inputs.items()}
        switched = switched_heads(instance.model, modules, part.transpose(0, 1))
        with evaluating(instance.model), torch.no_grad(), switched:
            found.append(instance.explained(inputs, target).probability.double().cpu().numpy())
    probabilities: NDArray[np.float64] = np.concatenate(found)
    falls: NDArray[np.float64] = (probabilities[0] - probabilities[1:]).reshape(len(modules), heads)
    return falls


def _gradients(instance: Instance) -> NDArray[np.float64]:
    """[layers, heads]: the size of the gradient of the predicted label's log probability by each head's switch."""
    modules, heads = heads_of(instance)
    dtype = next(instance.model.parameters()).dtype
    target = resolve_target(instance).target
    switches = torch.ones(len(modules), heads, device=instance.device, dtype=dtype, requires_grad=True)
    with differentiable(instance.model), switched_heads(instance.model, modules, switches):
        log_probability = instance.explained(instance.encoded.inputs, target).probability.log().sum()
        (gradient,) = torch.autograd.grad(log_probability, switches)
    sizes: NDArray[np.float64] = gradient.abs().double().cpu().numpy()
    return sizes
