"""Heads of the baselines, and the Auto classes under which transformers finds them.

    AutoModel, AutoModelForSequenceClassification     all three
    AutoModelForTokenClassification                   recurrent
    AutoModelForQuestionAnswering                     recurrent; better in two directions
    AutoModelForMultipleChoice                        recurrent
    AutoModelForCausalLM                              recurrent, one direction; ``generate`` works

Importing this module registers them: ``from_pretrained`` and ``save_pretrained`` then work like for any other model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast, SequenceClassifierOutput
from transformers.utils.generic import ModelOutput

from workbench.errors import SpecError
from workbench.models.networks.baselines.bag_of_embeddings import BagOfEmbeddingsConfig, BagOfEmbeddingsModel
from workbench.models.networks.baselines.common import BaselineConfig, BaselineModel
from workbench.models.networks.baselines.recurrent import RecurrentConfig, RecurrentModel, RecurrentState
from workbench.models.networks.baselines.textcnn import TextCNNConfig, TextCNNModel
from workbench.models.networks.heads import register_with_auto_classes
from workbench.models.networks.outputs import (
    ChoicePredictor,
    ModelWithHead,
    OutputFields,
    SequenceClassifier,
    SpanPredictor,
    TokenClassifier,
)


@dataclass
class WeightedClassifierOutput(SequenceClassifierOutput):
    """A classifier's output, and the weight of each token in the text's vector.

    Attributes:
        pooling_weights: [B, T], each row sums to 1; None for a body without attention.
    """

    pooling_weights: Tensor | None = None


class BaselineWithHead(BaselineModel, ModelWithHead):
    """Base of the baselines' heads."""

    def output_fields(self, body: ModelOutput) -> OutputFields:
        return {}  # no hidden states, no attentions


class ForSequenceClassification(BaselineWithHead, SequenceClassifier):
    """A linear layer from the text's vector [B, H] to the labels [B, L]."""

    body: ClassVar[type[BaselineModel]]
    output_class = WeightedClassifierOutput

    def __init__(self, config: BaselineConfig) -> None:
        super().__init__(config)
        self.num_labels: int = config.num_labels or 2
        self.model = type(self).body(config)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.hidden_size, self.num_labels)
        self.post_init()  # type: ignore[no-untyped-call]

    def output_fields(self, body: ModelOutput) -> OutputFields:
        return {"pooling_weights": body.get("pooling_weights")}


class BagOfEmbeddingsForSequenceClassification(ForSequenceClassification):
    """A bag of embeddings that classifies texts."""

    config_class = BagOfEmbeddingsConfig
    body = BagOfEmbeddingsModel


class TextCNNForSequenceClassification(ForSequenceClassification):
    """A TextCNN that classifies texts."""

    config_class = TextCNNConfig
    body = TextCNNModel


class RecurrentForSequenceClassification(ForSequenceClassification):
    """A recurrent network that classifies texts."""

    config_class = RecurrentConfig
    body = RecurrentModel


class RecurrentWithHead(BaselineWithHead):
    """Base of the recurrent network's other heads."""

    config_class = RecurrentConfig
    pooled: ClassVar[bool] = False  # whether the head reads the text's vector instead of its tokens' states

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        self.model = RecurrentModel(config, add_pooling=self.pooled)
        self.dropout = nn.Dropout(config.dropout)


class RecurrentForTokenClassification(RecurrentWithHead, TokenClassifier):
    """A linear layer from each token's state [B, T, H] to the labels [B, T, L]."""

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        self.num_labels: int = config.num_labels or 2
        self.classifier = nn.Linear(config.hidden_size, self.num_labels)
        self.post_init()  # type: ignore[no-untyped-call]


class RecurrentForQuestionAnswering(RecurrentWithHead, SpanPredictor):
    """Two numbers from each token's state [B, T, H]: whether the answer starts there, and whether it ends there.

    In one direction a state contains nothing of what follows it, such as whether an answer is about to end.
    """

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        self.span = nn.Linear(config.hidden_size, 2)
        self.post_init()  # type: ignore[no-untyped-call]

    def compute_logits(self, body: ModelOutput, attention_mask: Tensor | None) -> Tensor:
        logits: Tensor = self.span(self.dropout(body["last_hidden_state"]))
        return logits


class RecurrentForMultipleChoice(RecurrentWithHead, ChoicePredictor):
    """The best of several texts, from the vector [H] of each."""

    pooled = True

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, 1)
        self.post_init()  # type: ignore[no-untyped-call]


class RecurrentForCausalLM(RecurrentWithHead, GenerationMixin):
    """A language model: each state predicts the next word (Mikolov et al. 2010).

    The output layer [V, E] may share the table of word vectors (Press and Wolf 2017); ``transform`` [E, H] maps the
    state to their width where the two differ.

    Args:
        config: shape of the model.

    Raises:
        SpecError: the network reads in two directions.
    """

    _tied_weights_keys = {"lm_head.weight": "model.embeddings.weight"}  # noqa: RUF012 (so it is declared above)
    _is_stateful = True  # the state cannot go back to an earlier token

    def __init__(self, config: RecurrentConfig) -> None:
        if config.bidirectional:
            raise SpecError(
                "A language model cannot read in two directions: it would see the words that it has to predict.",
                "Set bidirectional to false.",
            )
        super().__init__(config)
        same_width = config.hidden_size == config.embedding_size
        self.transform = nn.Identity() if same_width else nn.Linear(config.hidden_size, config.embedding_size)
        self.lm_head = nn.Linear(config.embedding_size, config.vocab_size, bias=False)
        self.post_init()  # type: ignore[no-untyped-call]

    def get_output_embeddings(self) -> nn.Module:
        lm_head: nn.Module = self.lm_head
        return lm_head

    def set_output_embeddings(self, new_embeddings: nn.Linear) -> None:
        self.lm_head = new_embeddings

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        past_key_values: RecurrentState | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> CausalLMOutputWithPast:
        """Predict the next words.

        Args:
            input_ids: [B, T].
            attention_mask: [B, T], 1 on text and 0 on padding.
            token_type_ids: [B, T], ignored.
            inputs_embeds: [B, T, E], in place of ``input_ids``.
            past_key_values: the state after the tokens before these.
            labels: int64 [B, T], the input itself with -100 on padding; they are shifted here.
            use_cache: return the state, to continue from.
            logits_to_keep: return the logits of this many last tokens only; 0 for all.
            output_attentions: ignored.
            output_hidden_states: ignored.
            return_dict: ignored.

        Returns:
            Loss, logits [B, T, V], and the state.
        """
        body = self.model(
            input_ids,
            attention_mask,
            token_type_ids,
            inputs_embeds,
            past_key_values=past_key_values,
            use_cache=use_cache,
        )
        states = body.last_hidden_state
        if labels is None:  # the loss covers all tokens, however many logits are returned
            states = states[:, -logits_to_keep:]  # -0 is all of them
        logits = self.lm_head(self.transform(self.dropout(states)))
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size)
            logits = logits[:, -logits_to_keep:]
        return CausalLMOutputWithPast(loss=loss, logits=logits, past_key_values=body.past_key_values)

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        """Create no key-value cache: ``generate`` uses the state of the first step."""
        return False


HEADS: dict[type[BaselineConfig], dict[str, type[PreTrainedModel]]] = {
    BagOfEmbeddingsConfig: {
        "AutoModel": BagOfEmbeddingsModel,
        "AutoModelForSequenceClassification": BagOfEmbeddingsForSequenceClassification,
    },
    TextCNNConfig: {
        "AutoModel": TextCNNModel,
        "AutoModelForSequenceClassification": TextCNNForSequenceClassification,
    },
    RecurrentConfig: {
        "AutoModel": RecurrentModel,
        "AutoModelForSequenceClassification": RecurrentForSequenceClassification,
        "AutoModelForTokenClassification": RecurrentForTokenClassification,
        "AutoModelForQuestionAnswering": RecurrentForQuestionAnswering,
        "AutoModelForMultipleChoice": RecurrentForMultipleChoice,
        "AutoModelForCausalLM": RecurrentForCausalLM,
    },
}

register_with_auto_classes(HEADS)
