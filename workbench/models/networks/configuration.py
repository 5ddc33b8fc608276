"""Configurations of the Transformer: every number that decides its shape.

TransformerConfig      fields of all three, with BERT-base's defaults
EncoderConfig          Devlin et al. 2018, BERT-base
DecoderConfig          Radford et al. 2019, GPT-2 with 124 million weights
EncoderDecoderConfig   Vaswani et al. 2017, the base model of table 3
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from transformers import PreTrainedConfig

from workbench.errors import SpecError
from workbench.models.base import divisors

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
    "relu": nn.ReLU,
}


class TransformerConfig(PreTrainedConfig):
    """The shape of a Transformer. The defaults are BERT-base's.

    Attributes:
        hidden_size: D, the width of a token's vector.
        num_hidden_layers: number of blocks; in an encoder-decoder, of the encoder.
        num_attention_heads: H; must divide D.
        intermediate_size: width of the feed-forward network between its two layers; usually 4 D.
        positions: how a token's position is encoded: ``learned`` (one vector per position), ``sinusoidal`` (fixed
            waves), ``rotary`` (queries and keys are rotated) or ``none``.
        max_position_embeddings: longest text, in tokens, for learned and sinusoidal positions.
        type_vocab_size: number of segment types (first and second text of a pair); 0 for none.
        norm: ``post``, after the addition (BERT, the first Transformer), or ``pre``, before each sublayer (GPT-2),
            which trains stably without warm-up (Xiong et al. 2020, arXiv 2002.04745).
        embedding_norm: normalize the sum of the embeddings (BERT).
        scale_embeddings: multiply the token embeddings by √D (Vaswani et al. 2017, section 3.4).
        activation: ``gelu``, ``gelu_tanh`` (GPT-2's approximation of it) or ``relu``.
        dropout: dropout of the embeddings and of each sublayer's output.
        attention_dropout: dropout of the attention weights.
        tie_word_embeddings: the output layer shares the embeddings' weights.
        rotary_base: the larger, the slower the slowest pairs rotate, and the longer a text may be.
        classifier_dropout: dropout of the classifier's input; None for ``dropout``.
        pooling: what an encoder's pooler reads: the ``first`` token (BERT) or the ``mean`` of all tokens, for which no
            single token has to learn to summarize the text (Reimers and Gurevych 2019, section 3).
        kept_heads: number of heads left in each layer of a pruned model; None when no head was pruned.
        sparse_prediction: with labels, a masked-LM head computes logits at masked positions only, [M, V].
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
                f"Rotary positions rotate pairs of numbers, and a head of {self.hidden_size} / "
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
    """A decoder; the defaults are those of GPT-2 with 124 million weights."""

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
        decoder_layers: number of blocks of the decoder; None for as many as the encoder has.
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
        if self.decoder_layers is None:  # the name by which transformers' caches look for it
            self.decoder_layers = self.num_hidden_layers
