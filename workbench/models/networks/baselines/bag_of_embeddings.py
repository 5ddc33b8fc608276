"""The text as a bag: the mean of its words' vectors, through a few layers (deep averaging network).

Iyyer, Manjunatha, Boyd-Graber and Daumé 2015, "Deep Unordered Composition Rivals Syntactic Methods for Text
Classification", ACL, section 3. Word order is lost: what this model can do, a Transformer must beat to justify its
attention.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from workbench.models.networks.baselines.common import BaselineConfig, BaselineModel, Embeddings, embed


class BagOfEmbeddingsConfig(BaselineConfig):
    """Configuration of a bag of embeddings.

    Attributes:
        num_hidden_layers: layers between the mean and the head; 0 for a linear model of the mean.
        word_dropout: probability of leaving a whole word out of the mean during training (section 3.1).
    """

    model_type = "workbench-bag-of-embeddings"

    num_hidden_layers: int = 2
    word_dropout: float = 0.3

    def __post_init__(self, **kwargs: object) -> None:
        if self.num_hidden_layers == 0:
            self.hidden_size = self.embedding_size  # the head reads the mean itself
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]


class BagOfEmbeddingsModel(BaselineModel):
    """The mean of the word vectors, and an MLP on it.

        z_0 = 1/n  Σ_t  r_t x_t                 z_0 [B, E]; n = Σ_t r_t
        z_i = relu(W_i z_{i-1} + b_i)           z_i [B, H], i = 1 ... num_hidden_layers

    ``x_t`` is the vector of token t. ``r_t`` is 1, but 0 for padding and, during training, for each word with
    probability ``word_dropout``, so that no single word can decide alone.

    Args:
        config: shape of the model.
    """

    config_class = BagOfEmbeddingsConfig

    def __init__(self, config: BagOfEmbeddingsConfig) -> None:
        super().__init__(config)
        self.embeddings = Embeddings(config)
        widths = [config.embedding_size] + [config.hidden_size] * config.num_hidden_layers
        self.feed_forward = nn.Sequential()
        for number, (width_in, width_out) in enumerate(pairwise(widths)):
            self.feed_forward.add_module(f"dropout_{number}", nn.Dropout(config.dropout))
            self.feed_forward.add_module(f"linear_{number}", nn.Linear(width_in, width_out))
            self.feed_forward.add_module(f"relu_{number}", nn.ReLU())
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutputWithPooling:
        """Encode texts.

        Args:
            input_ids: [B, T].
            attention_mask: [B, T], 1 on text and 0 on padding.
            token_type_ids: [B, T], ignored.
            inputs_embeds: [B, T, E], in place of ``input_ids``.
            output_attentions: ignored.
            output_hidden_states: ignored.
            return_dict: ignored.

        Returns:
            Word vectors [B, T, E] as ``last_hidden_state``, the bag [B, H] as ``pooler_output``.
        """
        vectors, is_text = embed(self.embeddings, input_ids, attention_mask, inputs_embeds)
        bag = masked_mean(vectors, self._drop_words(is_text))
        return BaseModelOutputWithPooling(last_hidden_state=vectors, pooler_output=self.feed_forward(bag))

    def _drop_words(self, is_text: Tensor) -> Tensor:
        if not self.training or self.config.word_dropout == 0:
            return is_text
        remaining: Tensor = torch.rand(is_text.shape, device=is_text.device) >= self.config.word_dropout
        return is_text & remaining


def masked_mean(vectors: Tensor, mask: Tensor) -> Tensor:
    """Average the vectors where the mask is True.

    Args:
        vectors: [B, T, E].
        mask: [B, T].

    Returns:
        [B, E]; zero where the mask is nowhere True.
    """
    weight = mask.unsqueeze(-1).to(vectors.dtype)
    return (vectors * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
