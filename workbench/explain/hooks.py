"""Temporary changes to a model: its mode, its attention, its embeddings, the outputs of its layers.

Every context manager here restores the model when it ends, and acts only on forward passes of its own thread: another
thread may be predicting with the same model.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TypeAlias

import torch

from workbench.errors import RequestError, SpecError
from workbench.tuning.structure import ModelStructure
from workbench.types import Model

# Explaining changes the model for a moment (its mode, its attention, a hook): one explanation at a time per process.
MODEL_LOCK = threading.RLock()

# An attention function of transformers: (module, query, key, value, mask, scaling=..., ...) -> (outputs, weights).
AttentionFunction: TypeAlias = Callable[..., tuple[torch.Tensor, torch.Tensor | None]]
LayerOutput: TypeAlias = torch.Tensor | tuple[torch.Tensor, ...]
Change: TypeAlias = Callable[[torch.Tensor], torch.Tensor]


@contextlib.contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode and hold ``MODEL_LOCK``; each module's own mode is restored afterwards.

    Args:
        model: any module.
    """
    with MODEL_LOCK:
        modes = [(module, module.training) for module in model.modules()]
        model.eval()
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode


@contextlib.contextmanager
def differentiable(model: torch.nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode with gradients, which also works for recurrent layers on a GPU.

    Args:
        model: any module.
    """
    # cuDNN's recurrent layers have no backward pass in evaluation mode, so PyTorch's own are used.
    with evaluating(model), torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        yield


@contextlib.contextmanager
def intercept_attention(wrap: Callable[[AttentionFunction], AttentionFunction]) -> Iterator[None]:
    """Wrap every attention function that transformers looks up in this thread. Hold ``MODEL_LOCK``.

    Args:
        wrap: takes the function that transformers would call, and returns the one to call instead. The heads' outputs
            have the shape [B, T, H, K], the weights [B, H, T, S].
    """
    from transformers import AttentionInterface

    thread, original = threading.get_ident(), AttentionInterface.get_interface

    def get_interface(self: AttentionInterface, name: str, default: AttentionFunction) -> AttentionFunction:
        function: AttentionFunction = original(self, name, default)
        return wrap(function) if threading.get_ident() == thread else function

    AttentionInterface.get_interface = get_interface  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        AttentionInterface.get_interface = original  # type: ignore[method-assign]


@contextlib.contextmanager
def intercept_embeddings(model: Model, change: Change) -> Iterator[None]:
    """Change the output [B, T, D] of the model's embedding layer at its first call.

    Args:
        model: a model with input embeddings.
        change: takes the embeddings and returns those to use instead.
    """
    thread, done = threading.get_ident(), False

    def hook(_module: torch.nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        nonlocal done
        if threading.get_ident() != thread or done:
            return output
        done = True
        return change(output)

    handle = model.get_input_embeddings().register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


# -- layers ----------------------------------------------------------------------------------------------------------


def layers_of(model: Model, *, single_stack: bool = False) -> torch.nn.ModuleList:
    """Return the list of the model's Transformer layers; of an encoder-decoder, its encoder's.

    Args:
        model: a transformers model or a peft model over one.
        single_stack: refuse an encoder-decoder.

    Raises:
        RequestError: the model has no list of layers, or two where one is required.
    """
    base = unwrapped(model)
    if single_stack and getattr(base.config, "is_encoder_decoder", False):
        raise RequestError(
            f"{type(base).__name__} has two stacks of layers, but this method reads only one.",
            "Use it on an encoder or a decoder.",
        )
    try:
        layers: torch.nn.ModuleList = ModelStructure.of(base).layers
    except SpecError as error:
        raise RequestError(
            f"{type(base).__name__} has no list of layers.", "Choose a Transformer, or another method."
        ) from error
    return layers


def unwrapped(model: Model) -> Model:
    """Return the model inside a peft model, or the model itself.

    Args:
        model: a transformers model or a peft model over one.
    """
    get_base_model: Callable[[], Model] | None = getattr(model, "get_base_model", None)
    return model if get_base_model is None else get_base_model()


@contextlib.contextmanager
def record_states(layers: torch.nn.ModuleList) -> Iterator[list[torch.Tensor]]:
    """Record the input of the first layer and the output of every layer, [B, T, D] each.

    Args:
        layers: as :func:`layers_of` returns them.

    Yields:
        The list that a forward pass appends to.
    """
    thread, states = threading.get_ident(), []

    def before(_module: torch.nn.Module, args: tuple[torch.Tensor, ...], kwargs: dict[str, torch.Tensor]) -> None:
        if threading.get_ident() == thread:
            states.append(args[0] if args else kwargs["hidden_states"])

    def after(_module: torch.nn.Module, _args: object, output: LayerOutput) -> None:
        if threading.get_ident() == thread:
            states.append(output[0] if isinstance(output, tuple) else output)

    handles = [layers[0].register_forward_pre_hook(before, with_kwargs=True)]
    handles += [layer.register_forward_hook(after) for layer in layers]
    try:
        yield states
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def intercept_layer(layers: torch.nn.ModuleList, number: int, change: Change) -> Iterator[None]:
    """Change the input of the first layer (number 0) or the output of layer ``number`` (from 1), [B, T, D].

    Args:
        layers: as :func:`layers_of` returns them.
        number: which state to change.
        change: takes the state and returns the one to use instead.
    """
    thread = threading.get_ident()

    def before(
        _module: torch.nn.Module, args: tuple[torch.Tensor, ...], kwargs: dict[str, torch.Tensor]
    ) -> tuple[tuple[torch.Tensor, ...], dict[str, torch.Tensor]] | None:
        if threading.get_ident() != thread:
            return None
        if args:
            return (change(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": change(kwargs["hidden_states"])}

    def after(_module: torch.nn.Module, _args: object, output: LayerOutput) -> LayerOutput:
        if threading.get_ident() != thread:
            return output
        return (change(output[0]), *output[1:]) if isinstance(output, tuple) else change(output)

    if number == 0:
        handle = layers[0].register_forward_pre_hook(before, with_kwargs=True)
    else:
        handle = layers[number - 1].register_forward_hook(after)
    try:
        yield
    finally:
        handle.remove()
