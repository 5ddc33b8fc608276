"""What the heads of all three Transformers share."""

from __future__ import annotations

from torch import nn

from workbench.models.networks.configuration import TransformerConfig
from workbench.models.networks.outputs import ModelWithHead
from workbench.models.networks.stack import TransformerModel
from workbench.models.networks.transformer import DecoderModel, EncoderDecoderModel, EncoderModel


class TransformerWithHead(TransformerModel, ModelWithHead):
    """Base of every Transformer with a head.

    Attributes:
        model: the body.
    """

    model: EncoderModel | DecoderModel | EncoderDecoderModel

    def get_input_embeddings(self) -> nn.Module:
        return self.model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.model.set_input_embeddings(value)


def head_dropout(config: TransformerConfig) -> nn.Dropout:
    """Return the dropout that is applied to a head's input.

    Args:
        config: configuration of the model.
    """
    return nn.Dropout(config.dropout if config.classifier_dropout is None else config.classifier_dropout)
