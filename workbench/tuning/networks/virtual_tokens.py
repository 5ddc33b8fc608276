"""Virtual tokens: learned vectors that the model reads before each text.

    prompt, p-tuning    vectors in place of token embeddings, before the text
    prefix              keys and values that every layer's attention sees before those of the text

peft creates, saves and loads the vectors. How the model reads them is written here: the body reads them, but returns
vectors of the text's own tokens only. So every head finds its tokens where it expects them. (peft supports some heads,
and takes padding for the last token in others.) A text of T tokens with v virtual ones:

    input_ids [B, T] -> body: [v virtual | T own] -> last_hidden_state [B, T, D] -> head

As in peft, a pooler reads the first position, which is a virtual token, and the text's positions start at v.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import torch
from peft import PeftConfig, PeftModel
from torch import Tensor
from transformers import Cache
from transformers.utils.generic import ModelOutput

from workbench.errors import RequestError, SpecError
from workbench.tuning.max_length import max_text_length
from workbench.types import Model

MASKED = -1e30  # added to the attention score of a position that must not be seen

# Keyword arguments of a body's forward.
Inputs: TypeAlias = "dict[str, Any]"
Output: TypeAlias = "ModelOutput | tuple[Any, ...]"


class VirtualTokens(PeftModel):
    """A model that reads virtual tokens before each text.

    Args:
        model: a transformers model; its body is changed in place.
        peft_config: configuration of prompt tuning, prefix tuning or p-tuning.
        adapter_name: peft's name for the weights.

    Raises:
        SpecError: the model cannot read them, which is tested with two tokens.
    """

    base_model: Any

    def __init__(self, model: Model, peft_config: PeftConfig, adapter_name: str = "default") -> None:
        config: Any = peft_config
        config.num_transformer_submodules = 1
        # By the names that every configuration of transformers supports; peft tries fewer.
        config.token_dim = config.token_dim or model.config.hidden_size
        config.num_layers = config.num_layers or model.config.num_hidden_layers
        config.num_attention_heads = config.num_attention_heads or model.config.num_attention_heads
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        super().__init__(model, peft_config, adapter_name)
        # peft registers the embedding under a second name, and checkpoints would save it although it is frozen.
        self._modules.pop("word_embeddings", None)
        self.num_virtual_tokens = int(config.num_virtual_tokens)
        self.as_prefix = str(getattr(config.peft_type, "value", config.peft_type)) == "PREFIX_TUNING"
        self.complete_mask = False
        self._enabled = True
        self._wrap(_text_reader(model, self.as_prefix))

    def forward(self, *args: Any, **kwargs: Any) -> Output:
        """Call the model's own forward.

        Args:
            *args: passed on.
            **kwargs: passed on.
        """
        return cast("Output", self.base_model(*args, **kwargs))

    def generate(self, *args: Any, **kwargs: Any) -> Tensor:
        """Call the model's own generate.

        Args:
            *args: passed on.
            **kwargs: passed on.
        """
        return cast("Tensor", self.base_model.generate(*args, **kwargs))

    @contextmanager
    def disable_adapter(self) -> Iterator[None]:
        """Use the model without its virtual tokens inside the context."""
        self._enabled = False
        try:
            yield
        finally:
            self._enabled = True

    # -- how the body reads them -------------------------------------------------------------------------------------

    def _wrap(self, reader: Model) -> None:
        """Let the module that reads text read the virtual tokens as well."""
        original = reader.forward
        signature = inspect.signature(original)
        self._check_signature(reader, signature)
        rest = next((p.name for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD), None)

        @functools.wraps(original)
        def forward(*args: Any, **kwargs: Any) -> Output:
            if not self._enabled:
                return cast("Output", original(*args, **kwargs))
            inputs = dict(signature.bind(*args, **kwargs).arguments)
            inputs |= inputs.pop(rest, {}) if rest else {}
            if self.as_prefix:
                return cast("Output", original(**self._with_prefix(inputs)))
            extended, added = self._with_prompt(reader, inputs)
            output = cast("Output", original(**extended))
            return self._own_tokens(output) if added else output

        setattr(reader, "forward", forward)  # noqa: B010 - no assignment to a method
        self._test(reader)

    def _with_prompt(self, reader: Model, inputs: Inputs) -> tuple[Inputs, bool]:
        """Return the inputs with the virtual tokens, and whether these were added (they may be in the cache)."""
        _refuse_packed(inputs)
        past = _cache_length(inputs.get("past_key_values"))
        if past:
            return self._after_cache(inputs, past), False
        ids = inputs.pop("input_ids", None)
        vectors = inputs.pop("inputs_embeds", None)
        vectors = reader.get_input_embeddings()(ids) if vectors is None else vectors
        batch = len(vectors)
        prompt = self.get_prompt(batch).to(vectors.dtype)
        inputs["inputs_embeds"] = torch.cat((prompt, vectors), dim=1)
        _refuse_too_long(reader, inputs["inputs_embeds"].shape[1], self.num_virtual_tokens)
        inputs.pop("cache_position", None)  # the model counts it again
        self._extend_mask(inputs)
        if inputs.get("token_type_ids") is not None:
            inputs["token_type_ids"] = _prepend(inputs["token_type_ids"], self.num_virtual_tokens, 0)
        if inputs.get("position_ids") is not None:
            first = torch.arange(self.num_virtual_tokens, device=vectors.device)
            first = first.expand(len(inputs["position_ids"]), -1)
            inputs["position_ids"] = torch.cat((first, inputs["position_ids"] + self.num_virtual_tokens), dim=1)
        return inputs, True

    def _with_prefix(self, inputs: Inputs) -> Inputs:
        """Return the inputs with keys and values in the cache."""
        _refuse_packed(inputs)
        past = _cache_length(inputs.get("past_key_values"))
        if past:
            return self._after_cache(inputs, past)
        text = inputs.get("input_ids") if inputs.get("inputs_embeds") is None else inputs["inputs_embeds"]
        assert text is not None
        inputs["past_key_values"] = self.get_prompt(len(text))
        self._extend_mask(inputs)
        if self.complete_mask:
            _complete_mask(inputs, len(text), self.num_virtual_tokens + text.shape[1])
        return self._shift_positions(inputs)

    def _after_cache(self, inputs: Inputs, past: int) -> Inputs:
        """Return the inputs for later tokens of a generated text: the virtual ones are in the cache already."""
        mask = inputs.get("attention_mask")
        tokens = inputs["input_ids"] if inputs.get("input_ids") is not None else inputs["inputs_embeds"]
        if mask is not None and mask.dim() == 2 and mask.shape[1] < past + tokens.shape[1]:
            self._extend_mask(inputs)
        return self._shift_positions(inputs)

    def _shift_positions(self, inputs: Inputs) -> Inputs:
        """Count the text's positions from after the virtual tokens."""
        for name in ("position_ids", "cache_position"):
            if inputs.get(name) is not None:
                inputs[name] = inputs[name] + self.num_virtual_tokens
        return inputs

    def _extend_mask(self, inputs: Inputs) -> None:
        mask = inputs.get("attention_mask")
        if mask is None:
            return
        if mask.dim() != 2:
            raise RequestError(
                f"Virtual tokens need an attention mask of two dimensions, but this one has {mask.dim()}.",
                "Generate with the default cache (cache_implementation: dynamic).",
            )
        inputs["attention_mask"] = _prepend(mask, self.num_virtual_tokens, 1)

    def _own_tokens(self, output: Output) -> Output:
        """Return the output for the text's own tokens."""
        skip = self.num_virtual_tokens
        if isinstance(output, tuple):
            return (output[0][:, skip:], *output[1:])
        output["last_hidden_state"] = output["last_hidden_state"][:, skip:]
        if output.get("hidden_states") is not None:
            output["hidden_states"] = tuple(states[:, skip:] for states in output["hidden_states"])
        return output

    # -- whether the model supports them -----------------------------------------------------------------------------

    def _check_signature(self, reader: Model, signature: inspect.Signature) -> None:
        needed = "past_key_values" if self.as_prefix else "inputs_embeds"
        if needed not in signature.parameters:
            self._refuse(reader, f"it takes no {needed}")

    def _test(self, reader: Model) -> None:
        """Read two tokens: with and without virtual ones, with and without padding. Raises SpecError."""
        modes = [(module, module.training) for module in reader.modules()]
        reader.eval()
        try:
            for complete in (False, True) if self.as_prefix else (False,):
                self.complete_mask = complete
                problem = self._problem(reader)
                if problem is None:
                    return
        finally:
            for module, mode in modes:
                module.training = mode
        self._refuse(reader, problem)

    @torch.no_grad()
    def _problem(self, reader: Model) -> str | None:
        """Return what is wrong when the module reads virtual tokens; None if nothing is."""
        ids = torch.tensor([[1, 2, 0]], device=next(reader.parameters()).device)
        mask = torch.tensor([[1, 1, 0]], device=ids.device)
        try:
            with_tokens = reader(input_ids=ids[:, :2], attention_mask=mask[:, :2])[0]
            padded = reader(input_ids=ids, attention_mask=mask)[0]
            self._enabled = False
            without = reader(input_ids=ids[:, :2], attention_mask=mask[:, :2])[0]
        except (RuntimeError, ValueError, TypeError, IndexError, AttributeError, RequestError) as error:
            return f"it fails with {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        finally:
            self._enabled = True
        if with_tokens.shape != without.shape:
            return f"it returns {with_tokens.shape[1]} vectors for 2 tokens"
        if torch.equal(with_tokens, without):
            return "it ignores them"
        if not torch.allclose(with_tokens, padded[:, :2], atol=1e-4, rtol=1e-3):
            return "its result for them depends on padding"
        return None

    def _refuse(self, reader: Model, reason: str | None) -> None:
        method = "Prefix tuning" if self.as_prefix else "A prompt of virtual tokens"
        raise SpecError(
            f"{method} does not work with {type(reader).__name__}: {reason}.",
            "Use `tuning: lora`, which works with every Transformer.",
        )


def _text_reader(model: Model, as_prefix: bool) -> Model:
    """Return the module that reads the text: the model's body; in an encoder-decoder, the encoder."""
    body = model.base_model
    if not getattr(model.config, "is_encoder_decoder", False):
        return body
    if as_prefix:
        raise SpecError(
            "Prefix tuning works with an encoder or a decoder, but this model has both.",
            "Use `tuning: prompt` or `tuning: lora`.",
        )
    return cast("Model", body.get_encoder())


def _prepend(tensor: Tensor, count: int, value: int) -> Tensor:
    """[B, count + T] from [B, T]."""
    return torch.cat((tensor.new_full((len(tensor), count), value), tensor), dim=1)


def _cache_length(cache: Cache | None) -> int:
    return int(cache.get_seq_length()) if cache is not None else 0


def _complete_mask(inputs: Inputs, batch: int, keys: int) -> None:
    """Replace the mask [B, S] by what is added to the scores, [B, 1, 1, S].

    transformers' encoders compute a mask's columns from the text alone, unless the mask is complete.
    """
    mask = inputs.get("attention_mask")
    vectors = inputs["past_key_values"][0][0] if mask is None else mask
    mask = torch.ones(batch, keys, device=vectors.device) if mask is None else mask
    inputs["attention_mask"] = (1.0 - mask[:, None, None, :].float()) * MASKED


def _refuse_packed(inputs: Inputs) -> None:
    if inputs.get("document_ids") is not None:
        raise RequestError(
            "Virtual tokens come before a row, but this row is packed with several documents.",
            "Set task.packing to false, or tune with lora.",
        )


def _refuse_too_long(reader: Model, length: int, count: int) -> None:
    positions = max_text_length(reader)
    if positions is not None and length > positions:
        raise RequestError(
            f"A text of {length - count} tokens and {count} virtual ones are {length}, but the model has {positions} "
            "positions.",
            f"Set data.max_length to {positions - count} or less, or reduce tuning.tokens.",
        )
