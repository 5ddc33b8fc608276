"""New Transformers: an encoder, a decoder, or both, of any size, trained from scratch.

model: {source: transformer-encoder, size: tiny, tokenizer: {train: bpe, vocab_size: 8000}}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workbench.data.text.tokenizers import train_tokenizer
from workbench.data.text.unknown_tokens import load_backend
from workbench.errors import SpecError
from workbench.models.base import DECODER_HEADS, ENCODER_HEADS, HeadOptions, divisors, models
from workbench.models.loading import make_source
from workbench.models.sources.scratch import Scratch, ScratchConfig, special_token_ids
from workbench.types import JsonObject, Tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

HEAD_DIM = 64  # in every size of the published models

# Width and layers. BERT's small sizes are those of Turc et al. 2019 (arXiv 1908.08962); base is that of Devlin et al.
# 2018, Radford et al. 2019 and, for the encoder-decoder, of Vaswani et al. 2017 (layers on each side).
SIZES: dict[str, tuple[int, int]] = {"tiny": (128, 2), "small": (512, 4), "base": (768, 12)}
ENCODER_DECODER_SIZES: dict[str, tuple[int, int]] = {"tiny": (128, 2), "small": (256, 3), "base": (512, 6)}

Size = Literal["tiny", "small", "base"]


class TransformerOptions(ScratchConfig):
    """Options of every new Transformer: a size, and numbers that override it."""

    size: Size = Field("tiny", description="The size that sets all numbers that are left empty: tiny, small or base.")
    hidden_size: int | None = Field(
        None, ge=2, le=65_536, description="Width of a token's vector. Default: from the size."
    )
    layers: int | None = Field(None, ge=1, le=1_000, description="Number of layers. Default: from the size.")
    heads: int | None = Field(None, ge=1, description="Number of attention heads. Default: the width divided by 64.")
    intermediate_size: int | None = Field(
        None, ge=1, description="Width inside the feed-forward network. Default: 4 times the width."
    )
    positions: Literal["learned", "sinusoidal", "rotary", "none"] | None = Field(
        None, description="How positions are encoded. Default: as in the published model."
    )
    max_positions: int = Field(512, ge=4, le=1_000_000, description="Longest text in tokens.")
    norm: Literal["post", "pre"] | None = Field(
        None, description="Norm after each sublayer, or before it (more stable). Default: as in the published model."
    )
    activation: Literal["gelu", "gelu_tanh", "relu"] | None = Field(
        None, description="Activation in the feed-forward network. Default: as in the published model."
    )
    tied: bool = Field(True, description="The output layer shares the embeddings' weights.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Dropout of the embeddings and of each sublayer's output.")
    attention_dropout: float = Field(
        0.0, ge=0, lt=1, description="Dropout of attention weights; above 0 a CPU cannot use its fast kernel."
    )
    vocab_size: int | None = Field(
        None, ge=1, description="Rows of the embedding. Default: the tokenizer's number of tokens."
    )
    rotary_base: float | None = Field(
        None, gt=1, description="Base of rotary positions; larger for longer texts. Default: 10,000."
    )
    layer_norm_eps: float | None = Field(
        None, gt=0, lt=1, description="Added to the variance in norms. Default: as in the published model."
    )
    initializer_range: float | None = Field(
        None, gt=0, le=10, description="Standard deviation of the initial weights. Default: 0.02."
    )


class NewTransformer(Scratch):
    """Base of the three."""

    Config = TransformerOptions
    config: TransformerOptions
    sizes: ClassVar[dict[str, tuple[int, int]]] = SIZES
    config_name: ClassVar[str]  # the class in workbench.models.networks.configuration

    def problem(self, confined: bool) -> str | None:
        message = super().problem(confined)
        width, heads = self._width_and_heads()
        if message is None and width % heads:
            message = (
                f"{heads} heads do not divide the width {width}: each head takes an equal share of it. "
                f"Heads that do: {', '.join(map(str, divisors(width)))}."
            )
        if message is None and self.config.positions == "rotary" and width // heads % 2:
            message = (
                f"Rotary positions rotate pairs of numbers, and a head of {width} / {heads} = {width // heads} numbers "
                "has no pairs. Choose heads of an even width."
            )
        return message

    def num_layers(self) -> int | None:
        return self.config.layers or self.sizes[self.config.size][1]

    def max_length(self) -> int | None:
        unlimited = self.config.positions in ("rotary", "none")
        return None if unlimited else self.config.max_positions

    def build_config(self, tokenizer: Tokenizer, options: HeadOptions) -> PreTrainedConfig:
        from workbench.models.networks import configuration

        rows = self._embedding_rows(len(tokenizer))
        config_class: Callable[..., PreTrainedConfig] = getattr(configuration, self.config_name)
        fields = {**self._config_fields(), **special_token_ids(tokenizer), "vocab_size": rows, **options}
        return config_class(**fields)

    def check_texts(self, texts: Callable[[], Iterator[str]]) -> None:
        super().check_texts(texts)
        spec, rows = self.config.tokenizer, self.config.vocab_size
        if rows is None:
            return
        if spec.source is not None:
            file = make_source(spec.source, self.workspace).tokenizer_file()
            backend = load_backend(file) if file is not None else None
            self._embedding_rows(backend.get_vocab_size() if backend is not None else 0)
        elif rows < spec.vocab_size:
            self._embedding_rows(len(train_tokenizer(texts(), spec)))

    def _embedding_rows(self, tokens: int) -> int:
        """Return the rows of the embedding; refuse fewer than the tokens of the tokenizer."""
        rows = self.config.vocab_size or tokens
        if rows < tokens:
            raise SpecError(
                f"The tokenizer has {tokens:,} tokens, but the embedding (model.vocab_size) has only {rows:,} rows.",
                f"Leave model.vocab_size out, or set it to {tokens} or more.",
            )
        return rows

    def _width_and_heads(self) -> tuple[int, int]:
        width = self.config.hidden_size or self.sizes[self.config.size][0]
        return width, self.config.heads or max(1, width // HEAD_DIM)

    def _config_fields(self) -> JsonObject:
        """Return the fields of the configuration that the options determine."""
        options = self.config
        width, heads = self._width_and_heads()
        fields: JsonObject = {
            "hidden_size": width,
            "num_hidden_layers": options.layers or self.sizes[options.size][1],
            "num_attention_heads": heads,
            "intermediate_size": options.intermediate_size or 4 * width,
            "max_position_embeddings": options.max_positions,
            "dropout": options.dropout,
            "attention_dropout": options.attention_dropout,
            "tie_word_embeddings": options.tied,
        }
        same_names = ("positions", "norm", "activation", "rotary_base", "layer_norm_eps", "initializer_range")
        return {**fields, **_set_options(options, *same_names)}


def _set_options(options: TransformerOptions, *names: str) -> JsonObject:
    """Return the options of these names that are set; the configuration has fields of the same names."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


class EncoderOptions(TransformerOptions):
    """Options of a new encoder."""

    pooling: Literal["first", "mean"] = Field(
        "first", description="What summarizes a text: its first token (BERT), or the mean of all tokens."
    )
    type_vocab_size: int | None = Field(
        None, ge=0, le=100, description="Number of segment types, each with its own vector; 0 for none. Default: 2."
    )


@models.register("transformer-encoder")
class Encoder(NewTransformer):
    """A new encoder like BERT: every token sees the whole text."""

    Config = EncoderOptions
    config: EncoderOptions
    config_name = "EncoderConfig"
    heads = ENCODER_HEADS

    def _config_fields(self) -> JsonObject:
        own: JsonObject = {"pooling": self.config.pooling, **_set_options(self.config, "type_vocab_size")}
        return {**super()._config_fields(), **own}


@models.register("transformer-decoder")
class Decoder(NewTransformer):
    """A new decoder like GPT-2: every token sees earlier tokens, and the next one is predicted."""

    config_name = "DecoderConfig"
    heads = DECODER_HEADS - {"AutoModelForQuestionAnswering"}


class EncoderDecoderOptions(TransformerOptions):
    """Options of a new encoder-decoder."""

    decoder_layers: int | None = Field(
        None, ge=1, le=1_000, description="Layers of the decoder. Default: as many as the encoder has."
    )


@models.register("transformer-encoder-decoder")
class EncoderDecoder(NewTransformer):
    """A new encoder and decoder, as in Attention Is All You Need: it generates a text from a text."""

    Config = EncoderDecoderOptions
    config: EncoderDecoderOptions
    config_name = "EncoderDecoderConfig"
    heads = frozenset({"AutoModel", "AutoModelForSeq2SeqLM"})
    sizes = ENCODER_DECODER_SIZES

    def num_layers(self) -> int | None:
        encoder = self.config.layers or self.sizes[self.config.size][1]
        return encoder + (self.config.decoder_layers or encoder)

    def _config_fields(self) -> JsonObject:
        return {**super()._config_fields(), **_set_options(self.config, "decoder_layers")}
