"""Virtual tokens: vectors that the model reads before each text, and that nobody typed.

    prompt, p-tuning    vectors in the place of tokens' embeddings, in front of the text
    prefix              keys and values that every layer's attention sees before those of the text

The vectors, how they are made, saved and loaded are peft's. How the model gets to read them is written here: the body
takes them in, and gives out vectors of the text's own tokens only. A head then finds its tokens where they are,
whatever it does with them (peft's own way knows some heads, and reads padding for the last token in others). A text
of T tokens with v virtual ones:

    input_ids [B, T] -> body: [v virtual | T own] -> last_hidden_state [B, T, D] -> head

As in peft, a pooler reads the first place, which is a virtual token; and the text's positions begin at v.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from workbench.errors import RequestError, SpecError
from workbench.tuning.max_length import max_text_length

HIDDEN = -1e30  # added to the score of a place that must not be seen


class VirtualTokens(PeftModel):
    """A model that reads virtual tokens before each text.

    Args:
        model: a transformers model; its body is changed in place.
        peft_config: peft's configuration of prompt, prefix or p-tuning.
        adapter_name: peft's name for the weights.

    Raises:
        SpecError: the model cannot read them; found by trying it with two tokens.
    """

    base_model: Any

    def __init__(self, model: Any, peft_config: Any, adapter_name: str = "default") -> None:
        peft_config.num_transformer_submodules = 1
        # By the names that every configuration of transformers answers to; peft knows fewer.
        peft_config.token_dim = peft_config.token_dim or model.config.hidden_size
        peft_config.num_layers = peft_config.num_layers or model.config.num_hidden_layers
        peft_config.num_attention_heads = peft_config.num_attention_heads or model.config.num_attention_heads
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        super().__init__(model, peft_config, adapter_name)
        # peft keeps the embedding under a second name, by which checkpoints would hold it though it is frozen.
        self._modules.pop("word_embeddings", None)
        self.count = int(peft_config.num_virtual_tokens)
        self.as_prefix = str(getattr(peft_config.peft_type, "value", peft_config.peft_type)) == "PREFIX_TUNING"
        self.four_sided_mask = False
        self._reads = True
        self._open(_reader(model, self.as_prefix))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As the model's own."""
        return self.base_model(*args, **kwargs)

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """As the model's own."""
        return self.base_model.generate(*args, **kwargs)

    @contextmanager
    def disable_adapter(self) -> Iterator[None]:
        """The model without its virtual tokens, while this lasts."""
        self._reads = False
        try:
            yield
        finally:
            self._reads = True

    # -- how the body gets to read them ------------------------------------------------------------------------------

    def _open(self, reader: Any) -> None:
        """Let ``reader``, the part of the model that reads text, read the virtual tokens too."""
        own = reader.forward
        signature = inspect.signature(own)
        self._check_signature(reader, signature)
        rest = next((p.name for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD), None)

        @functools.wraps(own)
        def forward(*args: Any, **kwargs: Any) -> Any:
            if not self._reads:
                return own(*args, **kwargs)
            given = dict(signature.bind(*args, **kwargs).arguments)
            given |= given.pop(rest, {}) if rest else {}
            if self.as_prefix:
                return own(**self._with_prefix(given))
            taken, added = self._with_prompt(reader, given)
            output = own(**taken)
            return self._own_tokens(output) if added else output

        reader.forward = forward
        self._try(reader)

    def _with_prompt(self, reader: Any, given: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """What the reader is to be given, and whether the virtual tokens are in it (they may be in the cache)."""
        _refuse_packed(given)
        past = _length(given.get("past_key_values"))
        if past:
            return self._after_cache(given, past), False
        ids = given.pop("input_ids", None)
        vectors = given.pop("inputs_embeds", None)
        vectors = reader.get_input_embeddings()(ids) if vectors is None else vectors
        batch = len(vectors)
        prompt = self.get_prompt(batch).to(vectors.dtype)
        given["inputs_embeds"] = torch.cat((prompt, vectors), dim=1)
        _refuse_too_long(reader, given["inputs_embeds"].shape[1], self.count)
        given.pop("cache_position", None)  # counted anew by the model
        self._longer_mask(given)
        if given.get("token_type_ids") is not None:
            given["token_type_ids"] = _before(given["token_type_ids"], self.count, 0)
        if given.get("position_ids") is not None:
            first = torch.arange(self.count, device=vectors.device).expand(len(given["position_ids"]), -1)
            given["position_ids"] = torch.cat((first, given["position_ids"] + self.count), dim=1)
        return given, True

    def _with_prefix(self, given: dict[str, Any]) -> dict[str, Any]:
        """What the reader is to be given: keys and values in its cache."""
        _refuse_packed(given)
        past = _length(given.get("past_key_values"))
        if past:
            return self._after_cache(given, past)
        text = given.get("input_ids") if given.get("inputs_embeds") is None else given["inputs_embeds"]
        assert text is not None
        given["past_key_values"] = self.get_prompt(len(text))
        self._longer_mask(given)
        if self.four_sided_mask:
            _make_four_sided(given, len(text), self.count + text.shape[1])
        return self._moved(given)

    def _after_cache(self, given: dict[str, Any], past: int) -> dict[str, Any]:
        """Later tokens of a text that is being written: the virtual ones are in the cache already."""
        mask = given.get("attention_mask")
        tokens = given["input_ids"] if given.get("input_ids") is not None else given["inputs_embeds"]
        if mask is not None and mask.dim() == 2 and mask.shape[1] < past + tokens.shape[1]:
            self._longer_mask(given)
        return self._moved(given)

    def _moved(self, given: dict[str, Any]) -> dict[str, Any]:
        """The text's places, counted from behind the virtual tokens."""
        for name in ("position_ids", "cache_position"):
            if given.get(name) is not None:
                given[name] = given[name] + self.count
        return given

    def _longer_mask(self, given: dict[str, Any]) -> None:
        mask = given.get("attention_mask")
        if mask is None:
            return
        if mask.dim() != 2:
            raise RequestError(
                f"Virtual tokens need an attention mask of two dimensions, and this one has {mask.dim()}.",
                "Generate with the usual cache (cache_implementation: dynamic).",
            )
        given["attention_mask"] = _before(mask, self.count, 1)

    def _own_tokens(self, output: Any) -> Any:
        """The reader's output for the text's own tokens."""
        if isinstance(output, tuple):
            return (output[0][:, self.count :], *output[1:])
        output["last_hidden_state"] = output.last_hidden_state[:, self.count :]
        if output.get("hidden_states") is not None:
            output["hidden_states"] = tuple(states[:, self.count :] for states in output.hidden_states)
        return output

    # -- whether it can ----------------------------------------------------------------------------------------------

    def _check_signature(self, reader: Any, signature: inspect.Signature) -> None:
        needed = "past_key_values" if self.as_prefix else "inputs_embeds"
        if needed not in signature.parameters:
            self._refuse(reader, f"it takes no {needed}")

    def _try(self, reader: Any) -> None:
        """Read two tokens: with and without virtual ones, with and without padding. Raises SpecError."""
        modes = [(module, module.training) for module in reader.modules()]
        reader.eval()
        try:
            for four_sided in (False, True) if self.as_prefix else (False,):
                self.four_sided_mask = four_sided
                trouble = self._trouble(reader)
                if trouble is None:
                    return
        finally:
            for module, mode in modes:
                module.training = mode
        self._refuse(reader, trouble)

    @torch.no_grad()
    def _trouble(self, reader: Any) -> str | None:
        """What is wrong when the reader reads virtual tokens; None when nothing is."""
        ids = torch.tensor([[1, 2, 0]], device=next(reader.parameters()).device)
        mask = torch.tensor([[1, 1, 0]], device=ids.device)
        try:
            whole = reader(input_ids=ids[:, :2], attention_mask=mask[:, :2])[0]
            padded = reader(input_ids=ids, attention_mask=mask)[0]
            self._reads = False
            without = reader(input_ids=ids[:, :2], attention_mask=mask[:, :2])[0]
        except (RuntimeError, ValueError, TypeError, IndexError, AttributeError, RequestError) as error:
            return f"it fails with {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        finally:
            self._reads = True
        if whole.shape != without.shape:
            return f"it gives out {whole.shape[1]} vectors for 2 tokens"
        if torch.equal(whole, without):
            return "it does not look at them"
        if not torch.allclose(whole, padded[:, :2], atol=1e-4, rtol=1e-3):
            return "padding changes what it makes of them"
        return None

    def _refuse(self, reader: Any, reason: str | None) -> None:
        method = "Prefix tuning" if self.as_prefix else "A prompt of virtual tokens"
        raise SpecError(
            f"{method} does not work with {type(reader).__name__}: {reason}.",
            "Use `tuning: lora`, which works with every Transformer.",
        )


def _reader(model: Any, as_prefix: bool) -> Any:
    """The part of the model that reads the text: its body, of an encoder-decoder the encoder."""
    body = model.base_model
    if not getattr(model.config, "is_encoder_decoder", False):
        return body
    if as_prefix:
        raise SpecError(
            "Prefix tuning is made for an encoder or a decoder, and this model has both.",
            "Use `tuning: prompt` or `tuning: lora`.",
        )
    return body.get_encoder()


def _before(tensor: Tensor, count: int, value: int) -> Tensor:
    """[B, count + T] from [B, T]."""
    return torch.cat((tensor.new_full((len(tensor), count), value), tensor), dim=1)


def _length(cache: Any) -> int:
    return int(cache.get_seq_length()) if cache is not None else 0


def _make_four_sided(given: dict[str, Any], batch: int, keys: int) -> None:
    """The mask [B, S] as what is added to the scores, [B, 1, 1, S].

    transformers' encoders count a mask's columns by the text alone, unless the mask is complete.
    """
    mask = given.get("attention_mask")
    vectors = given["past_key_values"][0][0] if mask is None else mask
    mask = torch.ones(batch, keys, device=vectors.device) if mask is None else mask
    given["attention_mask"] = (1.0 - mask[:, None, None, :].float()) * HIDDEN


def _refuse_packed(given: dict[str, Any]) -> None:
    if given.get("document_ids") is not None:
        raise RequestError(
            "Virtual tokens stand before a row, and this row is packed with several documents.",
            "Set task.packing to false, or tune with lora.",
        )


def _refuse_too_long(reader: Any, length: int, count: int) -> None:
    positions = max_text_length(reader)
    if positions is not None and length > positions:
        raise RequestError(
            f"A text of {length - count} tokens and {count} virtual ones are {length}, and the model has {positions} "
            "positions.",
            f"Set data.max_length to {positions - count} or less, or tuning.tokens lower.",
        )
