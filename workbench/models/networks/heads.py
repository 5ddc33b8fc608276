"""The heads of the Transformer, and the Auto classes under which transformers finds them.

    from transformers import AutoModelForMaskedLM
    model = AutoModelForMaskedLM.from_config(EncoderConfig(hidden_size=128, ...))

Importing this module registers the models of :mod:`workbench.models.networks.transformer` with ``AutoModelFor...``.

    outputs.py             forward methods that several heads share
    transformer_heads.py   the base of all heads here
    encoder_heads.py       on the encoder
    decoder_heads.py       on the decoder, and on both
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import transformers
from transformers import PreTrainedConfig, PreTrainedModel

from workbench.models.networks.configuration import (
    DecoderConfig,
    EncoderConfig,
    EncoderDecoderConfig,
    TransformerConfig,
)
from workbench.models.networks.decoder_heads import (
    DecoderForCausalLM,
    DecoderForSequenceClassification,
    DecoderForTokenClassification,
    EncoderDecoderForSeq2SeqLM,
    next_tokens,
)
from workbench.models.networks.encoder_heads import (
    EncoderForMaskedLM,
    EncoderForMultipleChoice,
    EncoderForPreTraining,
    EncoderForQuestionAnswering,
    EncoderForSequenceClassification,
    EncoderForTokenClassification,
)
from workbench.models.networks.stack import TransformerModel
from workbench.models.networks.transformer import DecoderModel, EncoderDecoderModel, EncoderModel

__all__ = [
    "HEADS",
    "DecoderForCausalLM",
    "DecoderForSequenceClassification",
    "DecoderForTokenClassification",
    "EncoderDecoderForSeq2SeqLM",
    "EncoderForMaskedLM",
    "EncoderForMultipleChoice",
    "EncoderForPreTraining",
    "EncoderForQuestionAnswering",
    "EncoderForSequenceClassification",
    "EncoderForTokenClassification",
    "next_tokens",
    "register_with_auto_classes",
]

Config = TypeVar("Config", bound=PreTrainedConfig)

HEADS: dict[type[TransformerConfig], dict[str, type[TransformerModel]]] = {
    EncoderConfig: {
        "AutoModel": EncoderModel,
        "AutoModelForMaskedLM": EncoderForMaskedLM,
        "AutoModelForPreTraining": EncoderForPreTraining,
        "AutoModelForSequenceClassification": EncoderForSequenceClassification,
        "AutoModelForTokenClassification": EncoderForTokenClassification,
        "AutoModelForQuestionAnswering": EncoderForQuestionAnswering,
        "AutoModelForMultipleChoice": EncoderForMultipleChoice,
    },
    DecoderConfig: {
        "AutoModel": DecoderModel,
        "AutoModelForCausalLM": DecoderForCausalLM,
        "AutoModelForPreTraining": DecoderForCausalLM,
        "AutoModelForSequenceClassification": DecoderForSequenceClassification,
        "AutoModelForTokenClassification": DecoderForTokenClassification,
    },
    EncoderDecoderConfig: {
        "AutoModel": EncoderDecoderModel,
        "AutoModelForSeq2SeqLM": EncoderDecoderForSeq2SeqLM,
    },
}


def register_with_auto_classes(
    heads: Mapping[type[Config], Mapping[str, type[PreTrainedModel]]],
) -> None:
    """Register models with transformers' Auto classes.

    Args:
        heads: for each configuration class, the model class of each Auto class, by its name.
    """
    for config, models in heads.items():
        transformers.AutoConfig.register(config.model_type, config, exist_ok=True)
        for name, model in models.items():
            getattr(transformers, name).register(config, model, exist_ok=True)


register_with_auto_classes(HEADS)
