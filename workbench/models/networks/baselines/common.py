"""What the baselines share: configuration, embeddings, weight initialization, and how padding is left out.

Shapes, in this package:

    B   texts in a batch
    T   tokens of the longest text, including padding
    E   width of a token's embedding (``embedding_size``)
    H   width of the body's output (``hidden_size``)
    V   size of the tokenizer's vocabulary (``vocab_size``)
    L   labels

    input_ids        int64 [B, T]
    attention_mask   int64 [B, T], 1 on text and 0 on padding, on either side
    token_type_ids   int64 [B, T]; accepted and ignored: the separator shows where a second text starts
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import initialization as init

from workbench.errors import SpecError


class BaselineConfig(PreTrainedConfig):
    """Fields of every baseline.

    Attributes:
        vocab_size: V.
        embedding_size: E.
        hidden_size: H.
        dropout: probability of dropout, on the body's input and on the head's input.
        initializer_range: standard deviation of the initial embeddings. It is larger than a Transformer's 0.02 because
            no layer norm follows that would scale small vectors up.
        pad_token_id: the padding token; its embedding is zero.
    """

    vocab_size: int = 8000
    embedding_size: int = 256
    hidden_size: int = 256
    dropout: float = 0.3
    initializer_range: float = 0.1
    pad_token_id: int | None = 0
    bos_token_id: int | None = 2
    eos_token_id: int | None = 3


class BaselineModel(PreTrainedModel):
    """Base of every baseline's body and heads: how weights are initialized, and where the embeddings are."""

    config: Any
    config_class = BaselineConfig
    base_model_prefix = "model"
    _supports_sdpa = True  # there is no such attention here, so any implementation that is requested will do

    def get_input_embeddings(self) -> nn.Module:
        body: Any = self.base_model
        embeddings: nn.Module = body.embeddings
        return embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        body: Any = self.base_model
        body.embeddings = value

    def _init_weights(self, module: nn.Module) -> None:
        """Initialize one module. Weights that were loaded are left alone (transformers marks them)."""
        if isinstance(module, nn.Linear | nn.Conv1d):
            init.xavier_uniform_(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.LSTM | nn.GRU):
            _init_recurrent(module)
        else:
            super()._init_weights(module)  # type: ignore[no-untyped-call]


def _init_recurrent(module: nn.LSTM | nn.GRU) -> None:
    """Initialize the weights of a recurrent layer.

    Orthogonal maps from state to state preserve the size of gradients over many steps (Saxe et al. 2014). The bias of
    an LSTM's forget gate starts at 1, so that it remembers at first (Jozefowicz et al. 2015).
    """
    for name, parameter in module.named_parameters():
        if name.startswith("weight_hh"):
            init.orthogonal_(parameter)
        elif name.startswith("weight_ih"):
            init.xavier_uniform_(parameter)
        else:
            bias = torch.zeros_like(parameter)
            if isinstance(module, nn.LSTM) and name.startswith("bias_ih"):
                _, forget, _, _ = bias.chunk(4)  # the gates are stacked: input, forget, cell, output
                forget.fill_(1.0)
            init.copy_(parameter, bias)


class Embeddings(nn.Embedding):
    """The table of word vectors, [V, E]; padding is the zero vector.

    Args:
        config: shape of the model.
    """

    def __init__(self, config: BaselineConfig) -> None:
        super().__init__(config.vocab_size, config.embedding_size, padding_idx=config.pad_token_id)


def embed(
    table: nn.Module, input_ids: Tensor | None, attention_mask: Tensor | None, inputs_embeds: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Look up word vectors, and find out which of them belong to the text.

    Args:
        table: the embeddings.
        input_ids: [B, T].
        attention_mask: [B, T]; None without padding. A longer one also covers tokens that were read before.
        inputs_embeds: [B, T, E], in place of ``input_ids``.

    Returns:
        Vectors [B, T, E], and a mask [B, T], True where a token belongs to the text.

    Raises:
        SpecError: there are both ids and embeddings, or neither.
    """
    if (input_ids is None) == (inputs_embeds is None):
        count = "neither" if input_ids is None else "both"
        raise SpecError(f"A model takes either input_ids or inputs_embeds, but got {count}.", "Pass one of the two.")
    vectors: Tensor = table(input_ids) if inputs_embeds is None else inputs_embeds
    if attention_mask is None:
        return vectors, torch.ones(vectors.shape[:2], dtype=torch.bool, device=vectors.device)
    return vectors, attention_mask[:, -vectors.shape[1] :].bool()
