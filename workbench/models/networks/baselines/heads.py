"""What sits on a baseline's body, under the names by which transformers' Auto classes find it.

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

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    GenerationMixin,
)
from transformers.modeling_outputs import (
    CausalLMOutputWithPast,
    MultipleChoiceModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)

from workbench.errors import RequestError, SpecError
from workbench.models.networks.baselines.bag_of_embeddings import BagOfEmbeddingsConfig, BagOfEmbeddingsModel
from workbench.models.networks.baselines.common import BaselineConfig, BaselineModel
from workbench.models.networks.baselines.recurrent import RecurrentConfig, RecurrentModel, RecurrentState
from workbench.models.networks.baselines.textcnn import TextCNNConfig, TextCNNModel
from workbench.models.networks.losses import span_loss, upcast_to_fp32


@dataclass
class WeightedClassifierOutput(SequenceClassifierOutput):
    """A classifier's output, and how much each token counted in the text's vector.

    Attributes:
        pooling_weights: [B, T], each row sums to 1; None for a body without attention.
    """

    pooling_weights: Tensor | None = None


class ForSequenceClassification(BaselineModel):
    """A linear map from the text's vector [B, H] to the labels [B, L]."""

    body: ClassVar[type[BaselineModel]]

    def __init__(self, config: BaselineConfig) -> None:
        super().__init__(config)
        self.num_labels: int = config.num_labels or 2
        self.model = type(self).body(config)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.hidden_size, self.num_labels)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> WeightedClassifierOutput:
        """Logits [B, L], and the loss where ``labels`` are given: int64 [B], or of several labels float [B, L]."""
        body = self.model(input_ids, attention_mask, token_type_ids, inputs_embeds)
        logits = self.classifier(self.dropout(body.pooler_output))
        loss = None
        if labels is not None:
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return WeightedClassifierOutput(loss=loss, logits=logits, pooling_weights=body.get("pooling_weights"))


class BagOfEmbeddingsForSequenceClassification(ForSequenceClassification):
    """A bag of embeddings that puts texts into classes."""

    config_class = BagOfEmbeddingsConfig
    body = BagOfEmbeddingsModel


class TextCNNForSequenceClassification(ForSequenceClassification):
    """A TextCNN that puts texts into classes."""

    config_class = TextCNNConfig
    body = TextCNNModel


class RecurrentForSequenceClassification(ForSequenceClassification):
    """A recurrent network that puts texts into classes."""

    config_class = RecurrentConfig
    body = RecurrentModel


class RecurrentForTokenClassification(BaselineModel):
    """A linear map from each token's state [B, T, H] to the labels [B, T, L]."""

    config_class = RecurrentConfig

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        self.num_labels: int = config.num_labels or 2
        self.model = RecurrentModel(config, add_pooling=False)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.hidden_size, self.num_labels)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> TokenClassifierOutput:
        """Logits [B, T, L], and the loss where ``labels`` int64 [B, T] are given; -100 where nothing is asked."""
        states = self.model(input_ids, attention_mask, token_type_ids, inputs_embeds).last_hidden_state
        logits = self.classifier(self.dropout(states))
        loss = self.loss_function(logits, labels, self.config) if labels is not None else None
        return TokenClassifierOutput(loss=loss, logits=logits)


class RecurrentForQuestionAnswering(BaselineModel):
    """Two numbers for each token's state [B, T, H]: whether the answer begins there, and whether it ends there.

    In one direction a state knows nothing of what follows it: not whether an answer is about to end.
    """

    config_class = RecurrentConfig

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        self.model = RecurrentModel(config, add_pooling=False)
        self.dropout = nn.Dropout(config.dropout)
        self.span = nn.Linear(config.hidden_size, 2)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> QuestionAnsweringModelOutput:
        """Logits [B, T] of both ends, and the loss where the places [B] are given."""
        states = self.model(input_ids, attention_mask, token_type_ids, inputs_embeds).last_hidden_state
        start, end = self.span(self.dropout(states)).unbind(-1)
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = span_loss(start, end, start_positions, end_positions)
        return QuestionAnsweringModelOutput(loss=loss, start_logits=start, end_logits=end)


class RecurrentForMultipleChoice(BaselineModel):
    """The best of several texts: one number for the vector [H] of each, the highest wins."""

    config_class = RecurrentConfig

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        self.model = RecurrentModel(config)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.hidden_size, 1)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> MultipleChoiceModelOutput:
        """Logits [B, choices] of inputs [B, choices, T], and the loss where ``labels`` [B] say which is right."""
        given = input_ids if input_ids is not None else inputs_embeds
        if given is None:
            raise RequestError("A model takes either input_ids or inputs_embeds.", "Give one of the two.")
        flat = [None if x is None else x.flatten(0, 1) for x in (input_ids, attention_mask, None, inputs_embeds)]
        logits = self.classifier(self.dropout(self.model(*flat).pooler_output)).view(-1, given.shape[1])
        loss = None if labels is None else F.cross_entropy(upcast_to_fp32(logits), labels)
        return MultipleChoiceModelOutput(loss=loss, logits=logits)


class RecurrentForCausalLM(BaselineModel, GenerationMixin):
    """A language model: each state guesses the word that comes next (Mikolov et al. 2010).

    The output [V, E] may be the table of word vectors again (Press and Wolf 2017); ``transform`` [E, H] brings the
    state to their width where the two differ.

    Raises:
        SpecError: the network reads in two directions, or has attention, which this head would not use.
    """

    config_class = RecurrentConfig
    _tied_weights_keys = {"lm_head.weight": "model.embeddings.weight"}  # noqa: RUF012 (so it is declared above)
    _is_stateful = True  # the state cannot go back to an earlier token

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        if config.bidirectional:
            raise SpecError(
                "A language model cannot read in two directions: it would see the words that it has to predict.",
                "Set bidirectional to false.",
            )
        self.model = RecurrentModel(config, add_pooling=False)
        self.dropout = nn.Dropout(config.dropout)
        same = config.hidden_size == config.embedding_size
        self.transform = nn.Identity() if same else nn.Linear(config.hidden_size, config.embedding_size)
        self.lm_head = nn.Linear(config.embedding_size, config.vocab_size, bias=False)
        self.post_init()  # type: ignore[no-untyped-call]

    def get_output_embeddings(self) -> nn.Module:
        """The map to the words' logits."""
        head: nn.Module = self.lm_head
        return head

    def set_output_embeddings(self, new_embeddings: nn.Linear) -> None:
        """Put another map in its place."""
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
        """Logits [B, T, V], and the loss where ``labels`` are given.

        Args:
            past_key_values: the state after the tokens before these.
            labels: int64 [B, T], the input itself, -100 on padding; they are shifted here.
            use_cache: give back the state, to go on from.
            logits_to_keep: only for so many tokens at the end; 0 for all.
        """
        body = self.model(
            input_ids, attention_mask, token_type_ids, inputs_embeds, past_key_values=past_key_values,
            use_cache=use_cache,
        )  # fmt: skip
        states = body.last_hidden_state
        if labels is None:  # the loss is over all tokens, whatever is kept of their logits
            states = states[:, -logits_to_keep:]  # -0 is all of them
        logits = self.lm_head(self.transform(self.dropout(states)))
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size)
            logits = logits[:, -logits_to_keep:]
        return CausalLMOutputWithPast(loss=loss, logits=logits, past_key_values=body.past_key_values)

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        """The state is no key-value cache: ``generate`` shall not make one, and takes ours from the first step."""
        return False


def _register() -> None:
    for config, body, classifier in (
        (BagOfEmbeddingsConfig, BagOfEmbeddingsModel, BagOfEmbeddingsForSequenceClassification),
        (TextCNNConfig, TextCNNModel, TextCNNForSequenceClassification),
        (RecurrentConfig, RecurrentModel, RecurrentForSequenceClassification),
    ):
        AutoConfig.register(config.model_type, config, exist_ok=True)
        AutoModel.register(config, body, exist_ok=True)
        AutoModelForSequenceClassification.register(config, classifier, exist_ok=True)
    AutoModelForQuestionAnswering.register(RecurrentConfig, RecurrentForQuestionAnswering, exist_ok=True)
    AutoModelForMultipleChoice.register(RecurrentConfig, RecurrentForMultipleChoice, exist_ok=True)
    AutoModelForTokenClassification.register(RecurrentConfig, RecurrentForTokenClassification, exist_ok=True)
    AutoModelForCausalLM.register(RecurrentConfig, RecurrentForCausalLM, exist_ok=True)


_register()
