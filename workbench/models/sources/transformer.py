"""New Transformers: an encoder, a decoder, or both, of any size, to be trained from nothing.

model: {source: transformer-encoder, size: tiny, tokenizer: {train: bpe, vocab_size: 8000}}
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from workbench.errors import SpecError
from workbench.models.base import DECODER_HEADS, ENCODER_HEADS, divisors, models
from workbench.models.scratch import Scratch, ScratchConfig, special_token_ids

HEAD_SIZE = 64  # numbers a head, in every size of the published models

# width, layers: BERT's small sizes are those of Turc et al. 2019 (arXiv 1908.08962), base of Devlin et al. 2018 and
# Radford et al. 2019; of the encoder-decoder of Vaswani et al. 2017, layers on each side.
SIZES: dict[str, tuple[int, int]] = {"tiny": (128, 2), "small": (512, 4), "base": (768, 12)}
TWO_SIDED_SIZES: dict[str, tuple[int, int]] = {"tiny": (128, 2), "small": (256, 3), "base": (512, 6)}

Size = Literal["tiny", "small", "base"]


class TransformerOptions(ScratchConfig):
    """Options of every new Transformer: a size, and any number by itself."""

    size: Size = Field("tiny", description="Dial that sets the numbers left open: tiny, small or base.")
    hidden_size: int | None = Field(
        None, ge=2, le=65_536, description="Width of a token's vector; empty for the size's."
    )
    layers: int | None = Field(None, ge=1, le=1_000, description="Layers; empty for the size's.")
    heads: int | None = Field(None, ge=1, description="Heads of attention; empty for one for every 64 of width.")
    intermediate_size: int | None = Field(
        None, ge=1, description="Width inside the feed-forward network; empty for 4 times the width."
    )
    positions: Literal["learned", "sinusoidal", "rotary", "none"] | None = Field(
        None, description="How a token knows its place; empty for the published model's way."
    )
    max_positions: int = Field(512, ge=4, le=1_000_000, description="Longest text in tokens.")
    norm: Literal["post", "pre"] | None = Field(
        None, description="Norms after each part, or before it (steadier); empty for the published model's way."
    )
    activation: Literal["gelu", "gelu_tanh", "relu"] | None = Field(
        None, description="Bend in the feed-forward network; empty for the published model's."
    )
    tied: bool = Field(True, description="The map to the vocabulary has the embeddings' own weights.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Dropout of embeddings and of what each part adds.")
    attention_dropout: float = Field(
        0.0, ge=0, lt=1, description="Dropout of attention weights; above 0 a CPU cannot use its fast kernel."
    )
    vocab_size: int | None = Field(
        None, ge=1, description="Rows of the embedding; empty for the tokenizer's number of tokens."
    )
    rotary_base: float | None = Field(
        None, gt=1, description="Base of rotary positions: larger for longer texts; empty for 10,000."
    )
    layer_norm_eps: float | None = Field(
        None, gt=0, lt=1, description="Added to variances before norms divide by them; empty for the published model's."
    )
    initializer_range: float | None = Field(
        None, gt=0, le=10, description="Standard deviation that weights begin with; empty for 0.02."
    )


class NewTransformer(Scratch):
    """Base of the three."""

    Config = TransformerOptions
    config: TransformerOptions
    sizes: ClassVar[dict[str, tuple[int, int]]] = SIZES
    config_name: ClassVar[str]  # the class in workbench.models.networks.transformer

    def problem(self, confined: bool) -> str | None:
        trouble = super().problem(confined)
        width, heads = self._width_and_heads()
        if trouble is None and width % heads:
            trouble = (
                f"{heads} heads do not divide the width {width}: each head takes an equal share of it. "
                f"Heads that do: {', '.join(map(str, divisors(width)))}."
            )
        return trouble

    def max_length(self) -> int | None:
        unlimited = self.config.positions in ("rotary", "none")
        return None if unlimited else self.config.max_positions

    def architecture(self, tokenizer: Any, options: dict[str, Any]) -> Any:
        from workbench.models.networks import transformer

        rows = self.config.vocab_size or len(tokenizer)
        if rows < len(tokenizer):
            raise SpecError(
                f"The tokenizer has {len(tokenizer):,} tokens, and the embedding (model.vocab_size) {rows:,} rows.",
                f"Leave model.vocab_size out, or set it to {len(tokenizer)} or more.",
            )
        given = {**self._numbers(), **special_token_ids(tokenizer), "vocab_size": rows, **options}
        return getattr(transformer, self.config_name)(**given)

    def _width_and_heads(self) -> tuple[int, int]:
        width = self.config.hidden_size or self.sizes[self.config.size][0]
        return width, self.config.heads or max(1, width // HEAD_SIZE)

    def _numbers(self) -> dict[str, Any]:
        """Every number of the configuration that the options decide."""
        options = self.config
        width, heads = self._width_and_heads()
        chosen = {
            "hidden_size": width,
            "num_hidden_layers": options.layers or self.sizes[options.size][1],
            "num_attention_heads": heads,
            "intermediate_size": options.intermediate_size or 4 * width,
            "max_position_embeddings": options.max_positions,
            "dropout": options.dropout,
            "attention_dropout": options.attention_dropout,
            "tie_word_embeddings": options.tied,
        }
        same = ("positions", "norm", "activation", "rotary_base", "layer_norm_eps", "initializer_range")
        return {**chosen, **_given(options, *same)}


def _given(options: Any, *names: str) -> dict[str, Any]:
    """The options that are set, for those that the configuration calls the same."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


class EncoderOptions(TransformerOptions):
    """And what only an encoder has."""

    pooling: Literal["first", "mean"] = Field(
        "first", description="What sums up a text: its first token (BERT), or the mean of all tokens."
    )
    type_vocab_size: int | None = Field(
        None, ge=0, le=100, description="Kinds of segment, told apart by a vector each; 0 for none, empty for 2."
    )


@models.register("transformer-encoder")
class Encoder(NewTransformer):
    """A new encoder as BERT is one: every token sees the whole text."""

    Config = EncoderOptions
    config: EncoderOptions
    config_name = "EncoderConfig"
    heads = ENCODER_HEADS

    def _numbers(self) -> dict[str, Any]:
        return {**super()._numbers(), "pooling": self.config.pooling, **_given(self.config, "type_vocab_size")}


@models.register("transformer-decoder")
class Decoder(NewTransformer):
    """A new decoder as GPT-2 is one: every token sees what stands before it, and the next is guessed."""

    config_name = "DecoderConfig"
    heads = DECODER_HEADS - {"AutoModelForQuestionAnswering"}


class EncoderDecoderOptions(TransformerOptions):
    """And what only an encoder-decoder has."""

    decoder_layers: int | None = Field(
        None, ge=1, le=1_000, description="Layers of the decoder; empty for as many as the encoder has."
    )


@models.register("transformer-encoder-decoder")
class EncoderDecoder(NewTransformer):
    """A new encoder and decoder, as in Attention Is All You Need: a text is written from a text."""

    Config = EncoderDecoderOptions
    config: EncoderDecoderOptions
    config_name = "EncoderDecoderConfig"
    heads = frozenset({"AutoModel", "AutoModelForSeq2SeqLM"})
    sizes = TWO_SIDED_SIZES

    def _numbers(self) -> dict[str, Any]:
        return {**super()._numbers(), **_given(self.config, "decoder_layers")}
