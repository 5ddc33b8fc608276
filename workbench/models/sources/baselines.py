"""Baselines to be trained from nothing: what does a Transformer buy?

model: {source: lstm, bidirectional: true, attention: true, tokenizer: {train: wordpiece, vocab_size: 8000}}

A run of one of these beside a Transformer's, on the same data and split, answers it:
``workbench compare RUN RUN`` gives the difference with its interval.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from pydantic import Field

from workbench.data.progress import Progress
from workbench.errors import SpecError
from workbench.models.base import Loaded, models
from workbench.models.scratch import Scratch, ScratchConfig, special_token_ids


class Baseline(Scratch):
    """Base of the baselines. None of them has positions: a text may be of any length."""

    heads = frozenset({"AutoModel", "AutoModelForSequenceClassification"})

    def architecture(self, tokenizer: Any, options: dict[str, Any]) -> Any:
        return self.shape()(
            **{**self._numbers(), **special_token_ids(tokenizer), "vocab_size": len(tokenizer), **options}
        )

    @abstractmethod
    def shape(self) -> Any:
        """The class of the configuration."""

    def _numbers(self) -> dict[str, Any]:
        """The options as the configuration calls them."""
        given = self.config.model_dump(exclude={"tokenizer"})
        named = {"layers": "num_hidden_layers", "tied": "tie_word_embeddings"}
        return {named.get(name, name): value for name, value in given.items()}


class BagOptions(ScratchConfig):
    """Options of a bag of embeddings."""

    embedding_size: int = Field(256, ge=1, le=65_536, description="Width of a token's vector.")
    hidden_size: int = Field(256, ge=1, le=65_536, description="Width of the layers after the mean.")
    layers: int = Field(2, ge=0, le=100, description="Layers after the mean; 0 for a linear model of it.")
    dropout: float = Field(0.3, ge=0, lt=1, description="Dropout before each layer and before the head.")
    word_dropout: float = Field(
        0.3, ge=0, lt=1, description="Probability with which a whole token is left out of the mean in training."
    )


@models.register("bag-of-embeddings")
class BagOfEmbeddings(Baseline):
    """A new bag of embeddings: the mean of the tokens' vectors and an MLP; word order is lost (Iyyer et al. 2015)."""

    Config = BagOptions

    def shape(self) -> Any:
        from workbench.models.networks.baselines.bag_of_embeddings import BagOfEmbeddingsConfig

        return BagOfEmbeddingsConfig


class TextCNNOptions(ScratchConfig):
    """Options of a TextCNN."""

    embedding_size: int = Field(256, ge=1, le=65_536, description="Width of a token's vector.")
    filters: int = Field(100, ge=1, le=65_536, description="Filters of each width.")
    narrowest: int = Field(3, ge=1, le=100, description="Tokens in a row that the narrowest filters see.")
    widest: int = Field(5, ge=1, le=100, description="Tokens in a row that the widest filters see.")
    dropout: float = Field(0.5, ge=0, lt=1, description="Dropout before the head.")


@models.register("textcnn")
class TextCNN(Baseline):
    """A new TextCNN: convolutions over tokens, and each filter's largest value (Kim 2014)."""

    Config = TextCNNOptions
    config: TextCNNOptions

    def problem(self, confined: bool) -> str | None:
        narrowest, widest = self.config.narrowest, self.config.widest
        if narrowest > widest:
            return (
                f"The narrowest filters see {narrowest} tokens and the widest {widest}: give the smaller number first."
            )
        return super().problem(confined)

    def shape(self) -> Any:
        from workbench.models.networks.baselines.textcnn import TextCNNConfig

        return TextCNNConfig

    def _numbers(self) -> dict[str, Any]:
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
    hidden_size: int = Field(256, ge=1, le=65_536, description="Width of a state; two directions have half of it each.")
    layers: int = Field(1, ge=1, le=100, description="Layers, each reading what the one below puts out.")
    bidirectional: bool = Field(False, description="A second network reads from the end.")
    attention: bool = Field(
        False, description="The text is a weighted sum of all states (additive attention), not the last one."
    )
    dropout: float = Field(0.3, ge=0, lt=1, description="Dropout before each layer and before the head.")
    tied: bool = Field(True, description="A language model's output has the embeddings' own weights.")


class Recurrent(Baseline):
    """Base of the two."""

    Config = RecurrentOptions
    config: RecurrentOptions
    _EACH_TOKEN: ClassVar = (
        "AutoModelForTokenClassification",
        "AutoModelForCausalLM",
        "AutoModelForQuestionAnswering",
    )
    heads = Baseline.heads.union(_EACH_TOKEN, {"AutoModelForMultipleChoice"})

    def problem(self, confined: bool) -> str | None:
        width = self.config.hidden_size
        if self.config.bidirectional and width % 2:
            return f"hidden_size is {width}, and two directions cannot have half of it each: take {width + 1}."
        return super().problem(confined)

    def load(self, head: str, options: dict[str, Any], progress: Progress | None = None) -> Loaded:
        if self.config.attention and head in self._EACH_TOKEN:
            raise SpecError(
                f"model.attention sums a text up to one vector, and {head} reads the state of each token.",
                "Set model.attention to false.",
            )
        return super().load(head, options, progress)

    def shape(self) -> Any:
        from workbench.models.networks.baselines.recurrent import RecurrentConfig

        return RecurrentConfig

    def _numbers(self) -> dict[str, Any]:
        return {**super()._numbers(), "cell": self.name}


@models.register("lstm")
class LSTM(Recurrent):
    """A new LSTM: a state is carried from token to token (Hochreiter and Schmidhuber 1997)."""


@models.register("gru")
class GRU(Recurrent):
    """A new GRU: as the LSTM with one gate less (Cho et al. 2014)."""
