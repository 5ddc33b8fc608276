"""Convolutions over words: filters that look for a telling phrase, wherever it occurs.

Kim 2014, "Convolutional Neural Networks for Sentence Classification", EMNLP, section 2. A filter of width h sees h
words at a time: short phrases in order, but nothing across longer distances.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from workbench.errors import SpecError
from workbench.models.networks.baselines.common import BaselineConfig, BaselineModel, Embeddings, embed


class TextCNNConfig(BaselineConfig):
    """Configuration of a TextCNN.

    Attributes:
        filters: number of filters of each width.
        widths: how many consecutive words a filter sees; one group of filters for each width.
        hidden_size: number of all filters, H; computed from the other two.
    """

    model_type = "workbench-textcnn"

    filters: int = 100
    widths: list[int] | tuple[int, ...] = (3, 4, 5)
    dropout: float = 0.5

    def __post_init__(self, **kwargs: object) -> None:
        self.widths = list(self.widths)
        if not self.widths or min(self.widths) < 1:
            raise SpecError(f"widths are {self.widths}; each must be at least 1 word.", "For example, use [3, 4, 5].")
        self.hidden_size = self.filters * len(self.widths)
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]


class TextCNNModel(BaselineModel):
    """Convolutions of several widths, and the largest value of each filter in the text.

        c_i = relu(w · x_{i:i+h-1} + b)         for each position i where a window of h words starts
        z   = max_i c_i                         one number for each filter; z [B, H]

    ``x_{i:i+h-1}`` are the vectors of h consecutive words; ``w`` [h, E] and ``b`` are the filter. Windows that reach
    into padding do not count. A text shorter than h is padded with zero vectors and has one window.

    Args:
        config: shape of the model.
    """

    config_class = TextCNNConfig

    def __init__(self, config: TextCNNConfig) -> None:
        super().__init__(config)
        self.embeddings = Embeddings(config)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.embedding_size, config.filters, width) for width in config.widths
        )
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
            Word vectors [B, T, E] as ``last_hidden_state``, the filters' largest values [B, H] as ``pooler_output``.
        """
        vectors, is_text = embed(self.embeddings, input_ids, attention_mask, inputs_embeds)
        channels = (vectors * is_text.unsqueeze(-1)).transpose(1, 2)  # [B, E, T], zero vectors for padding
        maxima = []
        for convolution, width in zip(self.convolutions, self.config.widths, strict=True):
            values = convolution(F.pad(channels, (0, width - 1))).relu()  # [B, filters, T]: one for each position
            # relu returns nothing below 0, so a window that does not count cannot win as a 0.
            maxima.append((values * window_starts(is_text, width).unsqueeze(1)).amax(dim=2))
        return BaseModelOutputWithPooling(last_hidden_state=vectors, pooler_output=torch.cat(maxima, dim=1))


def window_starts(is_text: Tensor, width: int) -> Tensor:
    """Find where windows start that lie inside the text.

    Args:
        is_text: bool [B, T], True for the text's own tokens.
        width: width of the window, in words; at least 1.

    Returns:
        bool [B, T]; always True at the text's first token.
    """
    positions = torch.arange(is_text.shape[1], device=is_text.device)
    first = is_text.int().argmax(dim=1, keepdim=True)  # [B, 1]
    last = is_text.shape[1] - 1 - is_text.flip(1).int().argmax(dim=1, keepdim=True)
    return (positions >= first) & (positions <= torch.maximum(first, last - width + 1))
