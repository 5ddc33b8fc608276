"""New baselines: is a Transformer worth it?

model: {source: lstm, bidirectional: true, attention: true, tokenizer: {train: wordpiece, vocab_size: 8000}}

Train one of these and a Transformer on the same data and split: ``workbench compare RUN RUN`` shows the difference and
its interval.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from workbench.data.progress import Progress
from workbench.errors import SpecError
from workbench.models.base import HeadOptions, LoadedModel, models
from workbench.models.sources.scratch import Scratch, ScratchConfig, special_token_ids
from workbench.types import JsonObject, Tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


class Baseline(Scratch):
    """Base of the baselines. None of them has positions: a text may have any length."""

    heads = frozenset({"AutoModel", "AutoModelForSequenceClassification"})

    def build_config(self, tokenizer: Tokenizer, options: HeadOptions) -> PreTrainedConfig:
        fields = {**self._config_fields(), **special_token_ids(tokenizer), "vocab_size": len(tokenizer), **options}
        return self.config_class()(**fields)

    @abstractmethod
    def config_class(self) -> Callable[..., PreTrainedConfig]:
        """Return the class of the configuration."""

    def _config_fields(self) -> JsonObject:
        """Return the options under the names of the configuration's fields."""
        names = {"layers": "num_hidden_layers", "tied": "tie_word_embeddings"}
        options = self.config.model_dump(exclude={"tokenizer"})
        return {names.get(name, name): value for name, value in options.items()}


class BagOptions(ScratchConfig):
    """Options of a bag of embeddings."""

    embedding_size: int = Field(256, ge=1, le=65_536, description="Width of a token's vector.")
    hidden_size: int = Field(256, ge=1, le=65_536, description="Width of the layers after the mean.")
    layers: int = Field(2, ge=0, le=100, description="Layers after the mean; 0 for a linear model of the mean.")
    dropout: float = Field(0.3, ge=0, lt=1, description="Dropout before each layer and before the head.")
    word_dropout: float = Field(
        0.3, ge=0, lt=1, description="Probability of leaving a whole token out of the mean during training."
    )


@models.register("bag-of-embeddings")
class BagOfEmbeddings(Baseline):
    """A new bag of embeddings: the mean of the tokens' vectors and an MLP; word order is lost (Iyyer et al. 2015)."""

    has_layers = False
    Config = BagOptions

    def config_class(self) -> Callable[..., PreTrainedConfig]:
        from workbench.models.networks.baselines.bag_of_embeddings import BagOfEmbeddingsConfig

        return BagOfEmbeddingsConfig


class TextCNNOptions(ScratchConfig):
    """Options of a TextCNN."""

    embedding_size: int = Field(256, ge=1, le=65_536, description="Width of a token's vector.")
    filters: int = Field(100, ge=1, le=65_536, description="Number of filters of each width.")
    narrowest: int = Field(3, ge=1, le=100, description="Consecutive tokens that the narrowest filters see.")
    widest: int = Field(5, ge=1, le=100, description="Consecutive tokens that the widest filters see.")
    dropout: float = Field(0.5, ge=0, lt=1, description="Dropout before the head.")


@models.register("textcnn")
class TextCNN(Baseline):
    """A new TextCNN: convolutions over tokens, and each filter's largest value (Kim 2014)."""

    has_layers = False
    Config = TextCNNOptions
    config: TextCNNOptions

    def problem(self, confined: bool) -> str | None:
        narrowest, widest = self.config.narrowest, self.config.widest
        if narrowest > widest:
            return f"narrowest ({narrowest} tokens) must not be above widest ({widest} tokens)."
        return super().problem(confined)

    def config_class(self) -> Callable[..., PreTrainedConfig]:
        from workbench.models.networks.baselines.textcnn import TextCNNConfig

        return TextCNNConfig

    def _config_fields(self) -> JsonObject:
        options = self.config
        return {
            "embedding_size": options.embedding_size,
            "filters": options.filters,
            "widths": list(range(options.narrowest, options.widest + 1)),
            "dropout": options.dropout,
        }


class RecurrentOptions(ScratchConfig):
    """Options of a recurrent network."""

    embedding_size: int = Field(256, ge=1, le=65_536, description="Width of a token's vector.")
    hidden_size: int = Field(256, ge=1, le=65_536, description="Width of a state; half of it for each of 2 directions.")
    layers: int = Field(1, ge=1, le=100, description="Layers, each reading the output of the one below.")
    bidirectional: bool = Field(False, description="Add a second network that reads from the end.")
    attention: bool = Field(
        False, description="Represent the text by a weighted sum of all states (additive attention), not the last one."
    )
    dropout: float = Field(0.3, ge=0, lt=1, description="Dropout before each layer and before the head.")
    tied: bool = Field(True, description="A language model's output layer shares the embeddings' weights.")


class Recurrent(Baseline):
    """Base of the LSTM and the GRU."""

    Config = RecurrentOptions
    config: RecurrentOptions
    _TOKEN_HEADS: ClassVar = (
        "AutoModelForTokenClassification",
        "AutoModelForCausalLM",
        "AutoModelForQuestionAnswering",
    )
    heads = Baseline.heads.union(_TOKEN_HEADS, {"AutoModelForMultipleChoice"})

    def problem(self, confined: bool) -> str | None:
        width = self.config.hidden_size
        if self.config.bidirectional and width % 2:
            return f"hidden_size is {width}, which two directions cannot share equally. Use {width + 1}."
        return super().problem(confined)

    def load(self, head: str, options: HeadOptions, progress: Progress | None = None) -> LoadedModel:
        if self.config.attention and head in self._TOKEN_HEADS:
            raise SpecError(
                f"model.attention reduces a text to one vector, but {head} reads the state of each token.",
                "Set model.attention to false.",
            )
        return super().load(head, options, progress)

    def num_layers(self) -> int | None:
        return self.config.layers

    def config_class(self) -> Callable[..., PreTrainedConfig]:
        from workbench.models.networks.baselines.recurrent import RecurrentConfig

        return RecurrentConfig

    def _config_fields(self) -> JsonObject:
        return {**super()._config_fields(), "cell": self.name}


@models.register("lstm")
class LSTM(Recurrent):
    """A new LSTM: a state is passed from token to token (Hochreiter and Schmidhuber 1997)."""


@models.register("gru")
class GRU(Recurrent):
    """A new GRU: like the LSTM with one gate fewer (Cho et al. 2014)."""
