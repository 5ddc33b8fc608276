"""The importance of each head: what is lost without it, over many texts (Michel et al. 2019, "Are Sixteen Heads ...").

A head is switched off by multiplying its output by 0, before the heads are concatenated. A factor of 1 changes nothing;
the gradient of that factor is the second, cheaper measure.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypedDict

import numpy as np
import torch

from workbench.errors import RequestError
from workbench.explain.display import HtmlDisplay
from workbench.explain.examples import NO_TEXTS, TextInputs
from workbench.explain.hooks import AttentionFunction, differentiable, evaluating, intercept_attention
from workbench.explain.instance import BATCH, Instance
from workbench.explain.internals.queries import attention_modules
from workbench.explain.predictor import Predictor
from workbench.explain.targets import resolve_target
from workbench.i18n import _
from workbench.models.networks.attention import MultiHeadAttention
from workbench.types import Floats, JsonObject, Model

Measure = Literal["ablation", "gradient"]


class RankedHead(TypedDict):
    """A head and its importance."""

    layer: int
    head: int
    importance: float


@dataclass(frozen=True)
class HeadImportance(HtmlDisplay):
    """The importance of every head.

    Attributes:
        measure: ``ablation``: how far the predicted label's probability falls without the head, on average (0 to 1);
            ``gradient``: the mean size of the gradient of that label's log probability with respect to the head's
            factor.
        texts: the number of texts.
        importance: [layers][heads].
        order: all heads, the least important first: the order to prune in.
    """

    measure: str
    texts: int
    importance: list[list[float]]
    order: list[RankedHead]

    def as_dict(self) -> JsonObject:
        """Return all fields, for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return sentences: the most and the least important heads."""
        names = [f"{head['layer']}.{head['head']} ({head['importance']:+.4f})" for head in self.order]
        return [
            _("By {measure}, over {n} texts (layer.head):").format(measure=self.measure, n=self.texts),
            _("most important: {heads}").format(heads=", ".join(reversed(names[-8:]))),
            _("least important: {heads}").format(heads=", ".join(names[:8])),
        ]


def head_importance(
    predictor: Predictor,
    examples: Sequence[TextInputs],
    measure: Measure = "ablation",
    progress: Callable[[int, int], None] | None = None,
) -> HeadImportance:
    """Measure every head over texts, each for the label that is predicted.

    Args:
        predictor: a loaded run.
        examples: the texts.
        measure: ``ablation`` (as many forward passes for a text as there are heads) or ``gradient`` (one).
        progress: receives the number of texts done, and of all.

    Raises:
        RequestError: there are no examples, or the model's heads cannot be switched off.
    """
    if not examples:
        raise RequestError(NO_TEXTS, "Pass at least one text.")
    scores = []
    for number, example in enumerate(examples):
        instance = Instance(predictor, example["text"], example.get("text_pair"))
        scores.append((_ablation if measure == "ablation" else _gradient_sizes)(instance))
        if progress is not None:
            progress(number + 1, len(examples))
    mean = np.sum(scores, axis=0) / len(examples)
    indices = sorted(np.ndindex(*mean.shape), key=lambda index: float(mean[index]))
    order = [RankedHead(layer=a, head=b, importance=float(mean[a, b])) for a, b in indices]
    return HeadImportance(measure, len(examples), mean.tolist(), order)


@contextlib.contextmanager
def switched_heads(model: Model, modules: list[torch.nn.Module], factors: torch.Tensor) -> Iterator[None]:
    """Multiply the output of each head by its factor.

    Args:
        model: the model.
        modules: as :func:`~workbench.explain.internals.queries.attention_modules` returns them.
        factors: [layers, heads]; or [layers, B, heads] for other factors in each row of the batch.
    """

    def multiply(layer: int, output: torch.Tensor) -> torch.Tensor:
        of_layer = factors[layer]
        return output * (of_layer[:, None, :, None] if of_layer.dim() == 2 else of_layer[None, None, :, None])

    with intercept_heads(model, modules, multiply):
        yield


@contextlib.contextmanager
def intercept_heads(
    model: Model, modules: list[torch.nn.Module], change: Callable[[int, torch.Tensor], torch.Tensor]
) -> Iterator[None]:
    """Change the outputs of every layer's heads in this thread's forward passes.

    Args:
        model: the model.
        modules: as :func:`~workbench.explain.internals.queries.attention_modules` returns them.
        change: takes the layer's index and the outputs [B, T, H, K], and returns the outputs to use instead.
    """
    thread, layer_of = threading.get_ident(), {id(module): layer for layer, module in enumerate(modules)}

    def wrap(function: AttentionFunction) -> AttentionFunction:
        def changed(
            module: torch.nn.Module, *args: object, **kwargs: object
        ) -> tuple[torch.Tensor, torch.Tensor | None]:
            output, weights = function(module, *args, **kwargs)
            return (change(layer_of[id(module)], output) if id(module) in layer_of else output), weights

        return changed

    def projection_hook(attention: MultiHeadAttention) -> Callable[..., tuple[torch.Tensor] | None]:
        def before(_module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor] | None:
            if threading.get_ident() != thread:
                return None
            separate = args[0].view(*args[0].shape[:-1], attention.num_heads, -1)
            return (change(layer_of[id(attention)], separate).flatten(-2),)

        return before

    with contextlib.ExitStack() as stack:
        own = [module for module in modules if isinstance(module, MultiHeadAttention)]
        for module in own:
            stack.callback(module.output.register_forward_pre_hook(projection_hook(module)).remove)
        if not own:
            stack.enter_context(intercept_attention(wrap))
        yield


def heads_of(instance: Instance) -> tuple[list[torch.nn.Module], int]:
    """Return the model's attention modules and their number of heads.

    Args:
        instance: the text and its model.

    Raises:
        RequestError: the heads cannot be switched off one by one.
    """
    modules = attention_modules(instance.model, instance.encoded.inputs)
    heads = getattr(instance.model.config, "num_attention_heads", 0)
    if getattr(instance.model.config, "kept_heads", None) is not None:
        raise RequestError(
            "The layers of this model differ in their number of heads, because it was pruned.",
            "Use the run that it was pruned from.",
        )
    if not modules or not heads:
        raise RequestError(
            f"The heads of {type(instance.model).__name__} cannot be switched off one by one.",
            "The model has no attention, or a kind that cannot be intercepted.",
        )
    return modules, int(heads)


def _ablation(instance: Instance) -> Floats:
    """Return [layers, heads]: how far the answer's probability falls without each head."""
    modules, heads = heads_of(instance)
    count = len(modules) * heads
    # Row 0 has all heads; row i + 1 is without the i-th.
    factors = torch.cat([torch.ones(1, count), 1 - torch.eye(count)]).view(count + 1, len(modules), heads)
    factors = factors.to(instance.device, next(instance.model.parameters()).dtype)
    target, batches = resolve_target(instance).target, []
    for batch in torch.split(factors, BATCH):
        switched = switched_heads(instance.model, modules, batch.transpose(0, 1))
        with evaluating(instance.model), torch.no_grad(), switched:
            scores = instance.target_score(instance.repeated(len(batch)), target)
        batches.append(scores.probability.double().cpu().numpy())
    probabilities: Floats = np.concatenate(batches)
    falls: Floats = (probabilities[0] - probabilities[1:]).reshape(len(modules), heads)
    return falls


def _gradient_sizes(instance: Instance) -> Floats:
    """Return the size of the gradient of the predicted label's log probability for each factor, [layers, heads]."""
    modules, heads = heads_of(instance)
    dtype = next(instance.model.parameters()).dtype
    target = resolve_target(instance).target
    factors = torch.ones(len(modules), heads, device=instance.device, dtype=dtype, requires_grad=True)
    with differentiable(instance.model), switched_heads(instance.model, modules, factors):
        log_probability = instance.target_score(instance.encoded.inputs, target).probability.log().sum()
        (gradient,) = torch.autograd.grad(log_probability, factors)
    sizes: Floats = gradient.abs().double().cpu().numpy()
    return sizes
