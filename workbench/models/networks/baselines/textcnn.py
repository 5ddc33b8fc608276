"""Convolutions over words: filters that look for a telling phrase, wherever it stands.

Kim 2014, "Convolutional Neural Networks for Sentence Classification", EMNLP, section 2. A filter of width h sees h
words at a time: short phrases in their order, but nothing of what stands further apart.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from workbench.errors import SpecError
from workbench.models.networks.baselines.common import BaselineConfig, BaselineModel, Embeddings, embed


class TextCNNConfig(BaselineConfig):
    """Shape of a TextCNN.

    Attributes:
        filters: filters of each width.
        widths: how many words in a row a filter sees, one group of filters each.
        hidden_size: filters in all, H; it follows from the other two.
    """

    model_type = "workbench-textcnn"

    filters: int = 100
    widths: list[int] | tuple[int, ...] = (3, 4, 5)
    dropout: float = 0.5

    def __post_init__(self, **kwargs: object) -> None:
        self.widths = list(self.widths)
        if not self.widths or min(self.widths) < 1:
            raise SpecError(f"widths are {self.widths}; each must be 1 word or more.", "Set them to [3, 4, 5], say.")
        self.hidden_size = self.filters * len(self.widths)
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]


class TextCNNModel(BaselineModel):
    """Convolutions of several widths, and for each filter its largest value in the text.

        c_i = relu(w · x_{i:i+h-1} + b)         for each place i where h words begin
        z   = max_i c_i                         one number for each filter; z [B, H]

    with ``x_{i:i+h-1}`` the vectors of h words in a row, and ``w`` [h, E] and ``b`` the filter. Places whose words
    would be padding do not count; a text shorter than h is filled up with zero vectors and has one place.
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
        """Word vectors [B, T, E] as ``last_hidden_state``, the filters' largest values [B, H] as ``pooler_output``."""
        vectors, real = embed(self.embeddings, input_ids, attention_mask, inputs_embeds)
        channels = (vectors * real.unsqueeze(-1)).transpose(1, 2)  # [B, E, T], padding as zero vectors
        found = []
        for convolution, width in zip(self.convolutions, self.config.widths, strict=True):
            values = convolution(F.pad(channels, (0, width - 1))).relu()  # [B, filters, T]: one for each place
            # relu puts out nothing below 0, so a place that does not count cannot win as a 0.
            found.append((values * window_starts(real, width).unsqueeze(1)).amax(dim=2))
        return BaseModelOutputWithPooling(last_hidden_state=vectors, pooler_output=torch.cat(found, dim=1))


def window_starts(real: Tensor, width: int) -> Tensor:
    """Where ``width`` words in a row begin that all lie in the text, bool [B, T]; at least the text's first token.

    Args:
        real: bool [B, T], True for the text's own tokens.
        width: words in a row, at least 1.
    """
    places = torch.arange(real.shape[1], device=real.device)
    first = real.int().argmax(dim=1, keepdim=True)  # [B, 1]
    last = real.shape[1] - 1 - real.flip(1).int().argmax(dim=1, keepdim=True)
    return (places >= first) & (places <= torch.maximum(first, last - width + 1))
