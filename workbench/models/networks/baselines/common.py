"""What the baselines share: configuration, embeddings, first weights, and how padding is left out.

Shapes, in this package:

    B   texts in a batch
    T   tokens of the longest text, padding included
    E   width of a token's embedding (``embedding_size``)
    H   width of what the body puts out (``hidden_size``)
    V   words that the tokenizer knows (``vocab_size``)
    L   labels

    input_ids        int64 [B, T]
    attention_mask   int64 [B, T], 1 for a token of the text and 0 for padding, wherever the padding stands
    token_type_ids   int64 [B, T]; taken and not used: the separator tells where a second text begins
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
        dropout: probability of dropout, on what the body reads and on what the head reads.
        initializer_range: standard deviation of the first embeddings. It is larger than a Transformer's 0.02: no layer
            norm follows that would bring small vectors up to size.
        pad_token_id: the token that fills up; its embedding is zero.
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
    """Base of every baseline's body and heads: how weights begin, and where the embeddings are."""

    config: Any
    config_class = BaselineConfig
    base_model_prefix = "model"
    _supports_sdpa = True  # there is no such attention here: whichever way of computing it is asked for will do

    def get_input_embeddings(self) -> nn.Module:
        """The table of word vectors, [V, E]."""
        body: Any = self.base_model
        embeddings: nn.Module = body.embeddings
        return embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Put another table in its place."""
        body: Any = self.base_model
        body.embeddings = value

    def _init_weights(self, module: nn.Module) -> None:
        """The first weights of one module. What was read from a folder is left alone (transformers marks it)."""
        if isinstance(module, nn.Linear | nn.Conv1d):
            init.xavier_uniform_(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.LSTM | nn.GRU):
            _init_recurrent(module)
        else:
            super()._init_weights(module)  # type: ignore[no-untyped-call]


def _init_recurrent(module: nn.LSTM | nn.GRU) -> None:
    """Orthogonal maps from state to state keep gradients in size over many steps (Saxe et al. 2014); the bias of an
    LSTM's forget gate begins at 1, so that it remembers at first (Jozefowicz et al. 2015)."""
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
    """The table of word vectors, [V, E], where padding is the zero vector."""

    def __init__(self, config: BaselineConfig) -> None:
        super().__init__(config.vocab_size, config.embedding_size, padding_idx=config.pad_token_id)


def embed(
    table: nn.Module, input_ids: Tensor | None, attention_mask: Tensor | None, inputs_embeds: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Word vectors, and which of them are the text's own.

    Args:
        table: the embeddings.
        input_ids: [B, T].
        attention_mask: [B, T]; None where nothing is padding. A longer one covers tokens that were read before.
        inputs_embeds: [B, T, E], in place of ``input_ids``.

    Returns:
        vectors [B, T, E], and real [B, T], True where a token is the text's own.

    Raises:
        SpecError: neither ids nor vectors were given, or both.
    """
    if (input_ids is None) == (inputs_embeds is None):
        given = "neither" if input_ids is None else "both"
        raise SpecError(f"input_ids or inputs_embeds are needed, given {given}.", "Give one of the two.")
    vectors: Tensor = table(input_ids) if inputs_embeds is None else inputs_embeds
    if attention_mask is None:
        return vectors, torch.ones(vectors.shape[:2], dtype=torch.bool, device=vectors.device)
    return vectors, attention_mask[:, -vectors.shape[1] :].bool()
