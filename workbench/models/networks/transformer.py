"""The Transformer: encoder (BERT), decoder (GPT-2), and the two together (Attention Is All You Need), from one block.

    Block       attention, then a small network on each token; each adds to what came in ("residual")
    Encoder     every token sees the whole text         Devlin et al. 2018, arXiv 1810.04805
    Decoder     every token sees what stands before it  Radford et al. 2019 (GPT-2)
    both        the decoder also looks at the encoder   Vaswani et al. 2017, arXiv 1706.03762

What is put on top for a task is in :mod:`workbench.models.networks.heads`; attention itself, and what the letters of
the shapes
mean, in :mod:`workbench.models.networks.attention`. All models here are transformers models: they are saved, loaded,
generate,
and are tuned by peft like any other. :mod:`workbench.models.convert` loads published weights into them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, EncoderDecoderCache, PreTrainedConfig, PreTrainedModel, initialization
from transformers.modeling_outputs import (
    BaseModelOutputWithPastAndCrossAttentions,
    BaseModelOutputWithPoolingAndCrossAttentions,
    Seq2SeqModelOutput,
)

from workbench.errors import RequestError, SpecError
from workbench.models.base import divisors
from workbench.models.networks.attention import (
    CrossAttention,
    MultiHeadAttention,
    Rotary,
    causal_mask,
    cross_document_mask,
    document_mask,
    document_positions,
    padding_mask,
)

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
    "relu": nn.ReLU,
}


class TransformerConfig(PreTrainedConfig):
    """Every number of a Transformer. The defaults are BERT-base's.

    Attributes:
        hidden_size: D, the width of a token's vector.
        num_hidden_layers: blocks; of an encoder-decoder, those of the encoder.
        num_attention_heads: H; must divide D.
        intermediate_size: width of the network on each token, between its two maps; usually 4 D.
        positions: how a token knows its place: ``learned`` (a vector for each place), ``sinusoidal`` (waves, nothing
            learned), ``rotary`` (queries and keys are turned) or ``none``.
        max_position_embeddings: longest text, in tokens, for learned and sinusoidal positions.
        type_vocab_size: kinds of segment (first and second text of a pair); 0 for none.
        norm: ``post``, after the addition (BERT, the first Transformer), or ``pre``, before each part (GPT-2), which
            trains stably without warm-up (Xiong et al. 2020, arXiv 2002.04745).
        embedding_norm: normalise the sum of the embeddings (BERT).
        scale_embeddings: multiply the tokens' vectors by √D (Vaswani et al. 2017, section 3.4).
        activation: ``gelu``, ``gelu_tanh`` (GPT-2's approximation of it) or ``relu``.
        dropout: of embeddings and of what each part adds.
        attention_dropout: of the attention weights.
        tie_word_embeddings: the map to the vocabulary has the embeddings' own weights.
        rotary_base: of rotary positions: the larger, the slower the slowest pairs turn, and the longer a text may be.
        classifier_dropout: of what a classifier reads; None for ``dropout``.
        pooling: what an encoder's summary of a text is made of: its ``first`` token (BERT) or the ``mean`` of all, for
            which no token has to learn to gather the others (Reimers and Gurevych 2019, section 3).
        kept_heads: of each layer, the heads that it still has where some were cut out; None for all.
        sparse_prediction: with labels, a masked-word head computes logits at the masked places only, [M, V].
    """

    vocab_size: int = 30_522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3_072
    positions: str = "learned"
    max_position_embeddings: int = 512
    type_vocab_size: int = 0
    norm: str = "post"
    embedding_norm: bool = False
    scale_embeddings: bool = False
    activation: str = "gelu"
    dropout: float = 0.1
    attention_dropout: float = 0.1
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    tie_word_embeddings: bool = True
    use_cache: bool = True
    sparse_prediction: bool = True
    rotary_base: float = 10_000.0
    classifier_dropout: float | None = None
    pooling: str = "first"
    kept_heads: list[int] | None = None
    pad_token_id: int | None = 0
    bos_token_id: int | None = None
    eos_token_id: int | None = None
    decoder_start_token_id: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]
        if self.num_attention_heads < 1 or self.hidden_size % self.num_attention_heads:
            raise SpecError(
                f"{self.num_attention_heads} heads do not divide the width {self.hidden_size}: each head takes an "
                "equal share of it.",
                f"Heads that do: {', '.join(map(str, divisors(self.hidden_size)))}.",
            )
        if self.positions == "rotary" and (self.hidden_size // self.num_attention_heads) % 2:
            raise SpecError(
                f"Rotary positions turn pairs of numbers, and a head of {self.hidden_size} / "
                f"{self.num_attention_heads} = {self.hidden_size // self.num_attention_heads} numbers has no pairs.",
                "Choose heads of an even width.",
            )
        for name, allowed in _ALLOWED.items():
            if getattr(self, name) not in allowed:
                raise SpecError(f"{name} is {getattr(self, name)!r}.", f"Allowed: {', '.join(allowed)}.")


_ALLOWED: dict[str, tuple[str, ...]] = {
    "positions": ("learned", "sinusoidal", "rotary", "none"),
    "norm": ("post", "pre"),
    "pooling": ("first", "mean"),
    "activation": tuple(ACTIVATIONS),
}


class EncoderConfig(TransformerConfig):
    """An encoder; the defaults are BERT-base's."""

    model_type = "workbench-encoder"
    type_vocab_size: int = 2
    embedding_norm: bool = True


class DecoderConfig(TransformerConfig):
    """A decoder; the defaults are those of the 124 million weights of GPT-2."""

    model_type = "workbench-decoder"
    vocab_size: int = 50_257
    max_position_embeddings: int = 1_024
    norm: str = "pre"
    activation: str = "gelu_tanh"
    layer_norm_eps: float = 1e-5
    pad_token_id: int | None = None


class EncoderDecoderConfig(TransformerConfig):
    """An encoder and a decoder; the defaults are the base model of Attention Is All You Need (table 3).

    Attributes:
        decoder_layers: blocks of the decoder; None for as many as the encoder has.
    """

    model_type = "workbench-encoder-decoder"
    vocab_size: int = 37_000
    hidden_size: int = 512
    num_hidden_layers: int = 6
    num_attention_heads: int = 8
    intermediate_size: int = 2_048
    positions: str = "sinusoidal"
    scale_embeddings: bool = True
    activation: str = "relu"
    layer_norm_eps: float = 1e-5
    is_encoder_decoder: bool = True
    decoder_layers: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.decoder_layers is None:  # under this name transformers' caches ask for it
            self.decoder_layers = self.num_hidden_layers


# -- parts ----------------------------------------------------------------------------------------------------------


class Sinusoidal(nn.Module):
    """Waves of many lengths as positions (Vaswani et al. 2017, section 3.5): nothing is learned.

    Number 2i of the vector of place p is sin(p / 10000^(2i/D)), number 2i + 1 the cosine of the same.
    """

    table: Tensor

    def __init__(self, places: int, width: int) -> None:
        super().__init__()
        self.places, self.width = places, width
        self.register_buffer("table", self.make_table(), persistent=False)

    def make_table(self) -> Tensor:
        """[places, D]."""
        place = torch.arange(self.places, dtype=torch.float32)[:, None]
        even = torch.arange(0, self.width, 2, dtype=torch.float32)
        angles = place / 10_000 ** (even / self.width)
        return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, : self.width]

    def forward(self, positions: Tensor) -> Tensor:
        """[B, T, D] at ``positions`` [B, T]."""
        waves: Tensor = self.table[positions]
        return waves


class Embeddings(nn.Module):
    """Token numbers to vectors: the token's own, its place's and its segment's, added up."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, places = config.hidden_size, config.max_position_embeddings
        self.tokens = nn.Embedding(config.vocab_size, width)
        self.scale = math.sqrt(width) if config.scale_embeddings else 1.0
        makers = {"learned": nn.Embedding, "sinusoidal": Sinusoidal}
        self.places = places if config.positions in makers else None
        self.positions = makers[config.positions](places, width) if config.positions in makers else None
        self.types = nn.Embedding(config.type_vocab_size, width) if config.type_vocab_size else None
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps) if config.embedding_norm else None
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, input_ids: Tensor | None, inputs_embeds: Tensor | None, positions: Tensor, token_type_ids: Tensor | None
    ) -> Tensor:
        """[B, T, D] of tokens [B, T] (or of vectors [B, T, D] in their place)."""
        hidden = inputs_embeds if inputs_embeds is not None else self.tokens(input_ids)
        if self.scale != 1.0:
            hidden = hidden * self.scale
        if self.positions is not None:
            hidden = hidden + self.positions(positions)
        if self.types is not None:
            # Without segments (or with one kind), all is the first: one vector for all, no need to look it up.
            alike = token_type_ids is None or self.types.num_embeddings == 1
            hidden = hidden + (self.types.weight[0] if alike else self.types(token_type_ids))
        if self.norm is not None:
            hidden = self.norm(hidden)
        dropped: Tensor = self.dropout(hidden)
        return dropped

    def check_positions(self, positions: Tensor) -> None:
        """The same for given ``positions`` [B, T]: it is their largest that counts."""
        if self.places is not None and positions.numel():
            self.check_length(int(positions.max()) + 1)

    def check_length(self, length: int) -> None:
        """Raise RequestError when a text of ``length`` tokens is longer than there are positions."""
        if self.places is not None and length > self.places:
            raise RequestError(
                f"The text has {length} tokens, and the model has {self.places} positions.",
                "Cut the text, or build the model with more max_position_embeddings (or rotary positions).",
            )


class FeedForward(nn.Module):
    """A small network on each token by itself: D to 4 D and back (Vaswani et al. 2017, section 3.3)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACTIVATIONS[config.activation]()
        self.down = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """[B, T, D] to [B, T, D]."""
        out: Tensor = self.down(self.activation(self.up(hidden)))
        return out


class Block(nn.Module):
    """One layer: attention, in a decoder with an encoder also cross attention, then the feed-forward network.

    With ``post`` norm each part computes norm(x + part(x)); with ``pre`` norm x + part(norm(x)).
    """

    def __init__(self, config: TransformerConfig, layer: int, cross: bool = False) -> None:
        super().__init__()
        width, heads, dropout = config.hidden_size, config.num_attention_heads, config.attention_dropout
        self.pre = config.norm == "pre"
        own = heads if config.kept_heads is None else config.kept_heads[layer]
        self.attention = MultiHeadAttention(width, own, dropout, layer, width // heads)
        self.attention_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        if cross:
            self.cross_attention = CrossAttention(width, heads, dropout, layer)
            self.cross_attention_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)
        # A mark for _init_weights: these write to the sum.
        self.attention.output.is_residual_projection = self.feed_forward.down.is_residual_projection = True  # type: ignore[assignment]

    def forward(
        self,
        hidden: Tensor,
        mask: Tensor | None = None,
        causal: bool = False,
        rotary: tuple[Tensor, Tensor] | None = None,
        cache: Any = None,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
        output_attentions: bool = False,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The tokens' new vectors [B, T, D], the weights of attention and of cross attention (where wanted).

        Args: as of :class:`~workbench.models.networks.attention.MultiHeadAttention`, and the encoder's vectors as
        ``memory``.
        """
        own_cache = cache.self_attention_cache if isinstance(cache, EncoderDecoderCache) else cache
        change, weights = self.attention(
            self._before(self.attention_norm, hidden), mask, causal, rotary, own_cache, output_attentions
        )
        hidden = self._add(self.attention_norm, hidden, change)
        cross_weights = None
        if memory is not None:
            change, cross_weights = self.cross_attention(
                self._before(self.cross_attention_norm, hidden), memory, memory_mask, cache, output_attentions
            )
            hidden = self._add(self.cross_attention_norm, hidden, change)
        change = self.feed_forward(self._before(self.feed_forward_norm, hidden))
        return self._add(self.feed_forward_norm, hidden, change), weights, cross_weights

    def _before(self, norm: nn.LayerNorm, hidden: Tensor) -> Tensor:
        ready: Tensor = norm(hidden) if self.pre else hidden
        return ready

    def _add(self, norm: nn.LayerNorm, hidden: Tensor, change: Tensor) -> Tensor:
        total: Tensor = hidden + self.dropout(change)
        return total if self.pre else norm(total)


# -- the three models -----------------------------------------------------------------------------------------------


class TransformerModel(PreTrainedModel):
    """What the models here have in common: how weights begin, and how a text goes through the layers."""

    config: TransformerConfig
    base_model_prefix = "model"
    _supports_sdpa = True
    _supports_flash_attn = False
    _no_split_modules = ["Block"]  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Normal with standard deviation 0.02, zero biases, norms that change nothing (BERT, GPT-2).

        With norms before the parts, what each layer adds piles up: the maps that write to the sum begin smaller by
        √(number of additions) (Radford et al. 2019, section 2.3).
        """
        super()._init_weights(module)  # type: ignore[no-untyped-call]
        if isinstance(module, Sinusoidal):
            initialization.copy_(module.table, module.make_table())
        elif isinstance(module, Rotary):
            initialization.copy_(module.frequencies, module.make_frequencies())
        elif getattr(module, "is_residual_projection", False) and self.config.norm == "pre":
            std = self.config.initializer_range / math.sqrt(2 * self.depth)
            initialization.normal_(module.weight, 0.0, std)  # type: ignore[arg-type]

    @property
    def depth(self) -> int:
        """Layers that a text goes through."""
        return self.config.num_hidden_layers

    def uses_eager_attention(self, output_attentions: bool | None) -> bool:
        """Whether attention is to be written out: when its weights are asked for, or ``eager`` attention is set."""
        asked = self.config.output_attentions if output_attentions is None else output_attentions
        return bool(asked) or self.config._attn_implementation == "eager"


class Stack(TransformerModel):
    """Embeddings and layers: the part that encoder and decoder share.

    Args:
        config: every number.
        cross: each layer also attends to an encoder.
    """

    def __init__(self, config: TransformerConfig, cross: bool = False) -> None:
        super().__init__(config)
        self.cross = cross  # and so the layers are those of the decoder
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Block(config, i, cross) for i in range(self.depth))
        self.final_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps) if config.norm == "pre" else None
        head_size = config.hidden_size // config.num_attention_heads
        self.rotary = Rotary(head_size, config.rotary_base) if config.positions == "rotary" else None

    @property
    def depth(self) -> int:
        decoder: int | None = getattr(self.config, "decoder_layers", None) if self.cross else None
        return decoder or self.config.num_hidden_layers

    def get_input_embeddings(self) -> nn.Module:
        return self.embeddings.tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.embeddings.tokens = value  # type: ignore[assignment]

    def run(
        self,
        input_ids: Tensor | None,
        inputs_embeds: Tensor | None,
        token_type_ids: Tensor | None,
        positions: Tensor,
        mask: Tensor | None,
        causal: bool,
        cache: Any = None,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
    ) -> dict[str, Any]:
        """A text through all layers.

        Returns:
            ``last_hidden_state`` [B, T, D]; ``hidden_states`` (before the first layer and after each),
            ``attentions`` and ``cross_attentions`` (of each layer), where they were asked for.
        """
        want = self.uses_eager_attention(output_attentions)
        keep = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        hidden = self.embeddings(input_ids, inputs_embeds, positions, token_type_ids)
        rotary = self.rotary(positions) if self.rotary is not None else None
        states, weights, cross_weights = [], [], []
        for layer in self.layers:
            if keep:
                states.append(hidden)
            hidden, own, cross = layer(hidden, mask, causal, rotary, cache, memory, memory_mask, want)
            weights.append(own)
            cross_weights.append(cross)
        if self.final_norm is not None:
            hidden = self.final_norm(hidden)
        told = want and output_attentions is not False
        return {
            "last_hidden_state": hidden,
            "hidden_states": (*states, hidden) if keep else None,
            "attentions": tuple(weights) if told else None,
            "cross_attentions": tuple(cross_weights) if told and memory is not None else None,
        }

    def place(
        self,
        input_ids: Tensor | None,
        inputs_embeds: Tensor | None,
        position_ids: Tensor | None,
        document_ids: Tensor | None,
        past: int,
    ) -> tuple[Tensor, int]:
        """The place of each token [B or 1, T], and T. Raises RequestError where a place is beyond the positions."""
        if (input_ids is None) == (inputs_embeds is None):
            raise RequestError("A model takes either input_ids or inputs_embeds.", "Give one of the two.")
        given = input_ids if input_ids is not None else inputs_embeds
        assert given is not None
        length = given.shape[1]
        if position_ids is None and document_ids is not None:
            position_ids = document_positions(document_ids)
        if position_ids is None:
            self.embeddings.check_length(past + length)
            return torch.arange(past, past + length, device=given.device)[None], length
        if position_ids.device.type == "cpu" and not torch.compiler.is_compiling():
            self.embeddings.check_positions(position_ids)
        elif past:  # a GPU would make the host wait for the places themselves; how many tokens there are is known here
            self.embeddings.check_length(past + length)
        return position_ids, length


class EncoderModel(Stack):
    """Every token sees the whole text, before and after it.

    Args:
        config: every number.
        add_pooling_layer: with the map that sums up a text (BERT's pooler).
    """

    config_class = EncoderConfig

    def __init__(self, config: TransformerConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.pooler = nn.Linear(config.hidden_size, config.hidden_size) if add_pooling_layer else None
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        document_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        past_key_values: Any = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        pooled: bool = True,
        return_dict: bool | None = None,
        **_: Any,
    ) -> Any:
        """What each token has become.

        Args:
            input_ids: [B, T].
            attention_mask: [B, T], 1 on text and 0 on padding.
            token_type_ids: [B, T], 0 in the first text of a pair, 1 in the second.
            position_ids: [B, T]; counted from 0 if left out.
            document_ids: [B, T], for rows that several documents are packed into: the number of each token's document,
                0 on padding. Attention does not cross documents, and positions begin anew in each.
            inputs_embeds: [B, T, D] in place of ``input_ids``.
            past_key_values: keys and values to be seen before the text (prefix tuning); they take no positions.
            pooled: sum up the text; a head that pools by itself does without.

        Returns:
            ``last_hidden_state`` [B, T, D] and ``pooler_output`` [B, D] (of the row's first token, or their mean).
        """
        positions, _length = self.place(input_ids, inputs_embeds, position_ids, document_ids, past=0)
        mask = padding_mask(attention_mask) if document_ids is None else document_mask(document_ids)
        found = self.run(
            input_ids,
            inputs_embeds,
            token_type_ids,
            positions,
            mask,
            causal=False,
            cache=past_key_values,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
        )
        summary = None
        if self.pooler is not None and pooled:
            summary = self.pool(self._gathered(found["last_hidden_state"], attention_mask))
        output = BaseModelOutputWithPoolingAndCrossAttentions(pooler_output=summary, **found)
        return output if return_dict is not False else output.to_tuple()

    def pool(self, gathered: Tensor) -> Tensor:
        """The summary [..., D] of a text by its first token's vector, or the mean of all, [..., D] (BERT's pooler)."""
        assert self.pooler is not None
        return torch.tanh(self.pooler(gathered))

    def _gathered(self, hidden: Tensor, attention_mask: Tensor | None) -> Tensor:
        """[B, D] of each row's tokens [B, T, D]; padding does not count."""
        if self.config.pooling == "first":
            return hidden[:, 0]
        if attention_mask is None:
            return hidden.mean(1)
        seen = attention_mask[:, -hidden.shape[1] :, None].to(hidden.dtype)  # virtual tokens stand before the text's
        return (hidden * seen).sum(1) / seen.sum(1).clamp(min=1)


class DecoderModel(Stack):
    """Every token sees what stands before it, and in a decoder with an encoder, the encoder's text."""

    config_class = DecoderConfig

    def __init__(self, config: TransformerConfig, cross: bool = False) -> None:
        super().__init__(config, cross)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        document_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        encoder_document_ids: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **_: Any,
    ) -> Any:
        """What each token has become.

        Args:
            input_ids, position_ids, document_ids, inputs_embeds: as of :class:`EncoderModel`.
            attention_mask: [B, S], 1 on text and 0 on padding, the tokens in the cache included.
            past_key_values: keys and values of the tokens before these (transformers' Cache).
            use_cache: make such a cache when none is given.
            encoder_hidden_states: what to attend to, [B, S', D].
            encoder_attention_mask: [B, S'].
            encoder_document_ids: [B, S'], where both rows are packed: which document each token is of.

        Returns:
            ``last_hidden_state`` [B, T, D] and ``past_key_values``.
        """
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
            if encoder_hidden_states is not None:
                past_key_values = EncoderDecoderCache(past_key_values, DynamicCache(config=self.config))
        past = int(past_key_values.get_seq_length()) if past_key_values is not None else 0
        positions, length = self.place(input_ids, inputs_embeds, position_ids, document_ids, past)
        mask, causal = self._mask(attention_mask, document_ids, length, past, positions.device)
        memory_mask = padding_mask(encoder_attention_mask)
        if document_ids is not None and encoder_document_ids is not None:
            memory_mask = cross_document_mask(document_ids, encoder_document_ids)
        found = self.run(
            input_ids,
            inputs_embeds,
            None,
            positions,
            mask,
            causal,
            cache=past_key_values,
            memory=encoder_hidden_states,
            memory_mask=memory_mask,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
        )
        output = BaseModelOutputWithPastAndCrossAttentions(past_key_values=past_key_values, **found)
        return output if return_dict is not False else output.to_tuple()

    def _mask(
        self, attention_mask: Tensor | None, document_ids: Tensor | None, length: int, past: int, device: torch.device
    ) -> tuple[Tensor | None, bool]:
        """The mask, and whether to leave it to the kernel's own causal form, which is faster."""
        if attention_mask is not None and attention_mask.dim() == 4:
            return attention_mask, False
        hidden_places = padding_mask(attention_mask) if document_ids is None else document_mask(document_ids)
        if hidden_places is None:
            if length == 1:  # the newest token sees all that is there
                return None, False
            if past == 0:
                return None, True
        causal = causal_mask(length, past + length, device)
        if hidden_places is None:
            return causal, False
        # A token always sees itself: padding on the left would else have nothing to look at, and give no number.
        itself = torch.eye(past + length, dtype=torch.bool, device=device)[past:]
        return (causal & hidden_places) | itself, False


class EncoderDecoderModel(TransformerModel):
    """An encoder reads one text, a decoder writes another while it looks at the first."""

    config_class = EncoderDecoderConfig
    _tied_weights_keys = {  # noqa: RUF012
        "decoder.embeddings.tokens.weight": "encoder.embeddings.tokens.weight"
    }

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.encoder = EncoderModel(config, add_pooling_layer=False)
        self.decoder = DecoderModel(config, cross=True)
        self.post_init()  # type: ignore[no-untyped-call]

    def get_encoder(self, *_: Any, **__: Any) -> EncoderModel:
        return self.encoder

    def get_decoder(self) -> DecoderModel:
        return self.decoder

    def get_input_embeddings(self) -> nn.Module:
        return self.encoder.embeddings.tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.encoder.embeddings.tokens = value  # type: ignore[assignment]
        self.decoder.embeddings.tokens = value  # type: ignore[assignment]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        encoder_outputs: Any = None,
        inputs_embeds: Tensor | None = None,
        decoder_inputs_embeds: Tensor | None = None,
        decoder_position_ids: Tensor | None = None,
        document_ids: Tensor | None = None,
        decoder_document_ids: Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **_: Any,
    ) -> Any:
        """What each token of the second text has become.

        Args:
            input_ids, attention_mask: of the text that is read, [B, S].
            decoder_input_ids, decoder_attention_mask: of the text that is written, [B, T].
            encoder_outputs: of an earlier call, in place of ``input_ids``.
            document_ids, decoder_document_ids: [B, S] and [B, T], of rows that several texts are packed into: what is
                written in one document sees nothing of another, on either side.

        Returns:
            ``last_hidden_state`` [B, T, D], and what encoder and decoder return by themselves.
        """
        wishes = {"output_attentions": output_attentions, "output_hidden_states": output_hidden_states}
        if encoder_outputs is None:
            encoder_outputs = self.encoder(
                input_ids, attention_mask, document_ids=document_ids, inputs_embeds=inputs_embeds, **wishes
            )
        memory = encoder_outputs[0]
        decoded = self.decoder(
            decoder_input_ids,
            decoder_attention_mask,
            position_ids=decoder_position_ids,
            document_ids=decoder_document_ids,
            inputs_embeds=decoder_inputs_embeds,
            past_key_values=past_key_values,
            use_cache=use_cache,
            encoder_hidden_states=memory,
            encoder_attention_mask=attention_mask,
            encoder_document_ids=document_ids,
            **wishes,
        )
        output = Seq2SeqModelOutput(
            last_hidden_state=decoded.last_hidden_state,
            past_key_values=decoded.past_key_values,
            decoder_hidden_states=decoded.hidden_states,
            decoder_attentions=decoded.attentions,
            cross_attentions=decoded.cross_attentions,
            encoder_last_hidden_state=memory,
            encoder_hidden_states=getattr(encoder_outputs, "hidden_states", None),
            encoder_attentions=getattr(encoder_outputs, "attentions", None),
        )
        return output if return_dict is not False else output.to_tuple()
