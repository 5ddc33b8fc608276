"""Conversion of published weights to our models and back: BERT's to the encoder, GPT-2's to the decoder.

    ours = from_transformers(BertForMaskedLM.from_pretrained(...))     # the same numbers, in code you can read
    theirs = to_transformers(ours)                                     # and back, for everyone else

Every weight has a counterpart; where the two store it differently, a :class:`WeightPair` says how. In code and comments
here, "ours" is a model of this project and "theirs" one of transformers.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar, cast

import torch
import transformers
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from workbench.errors import SpecError
from workbench.models.networks import heads
from workbench.models.networks.configuration import DecoderConfig, EncoderConfig, TransformerConfig
from workbench.models.networks.stack import TransformerModel
from workbench.models.networks.transformer import DecoderModel, EncoderModel
from workbench.types import Model

M = TypeVar("M", bound=PreTrainedModel)


@dataclass(frozen=True)
class WeightPair:
    """The name of a weight in our model, and in theirs.

    Attributes:
        ours: its name in our model.
        theirs: its name in their model; several names if ours stacks several of theirs (queries, keys and values).
        transposed: whether theirs is stored as the transpose.
    """

    ours: str
    theirs: tuple[str, ...]
    transposed: bool = False

    def to_ours(self, weights: Mapping[str, Tensor]) -> Tensor:
        """Return our weight.

        Args:
            weights: all weights of their model.
        """
        tensors = [weights[name].T if self.transposed else weights[name] for name in self.theirs]
        return torch.cat(tensors).contiguous()

    def to_theirs(self, weight: Tensor) -> dict[str, Tensor]:
        """Return their weights.

        Args:
            weight: ours.
        """
        tensors = weight.chunk(len(self.theirs))
        return {
            name: (tensor.T if self.transposed else tensor).contiguous()
            for name, tensor in zip(self.theirs, tensors, strict=True)
        }


def from_transformers(model: Model) -> TransformerModel:
    """Convert a BERT or GPT-2 of transformers to our model, with exactly the same outputs.

    Args:
        model: a transformers model, with or without a head.

    Raises:
        SpecError: another architecture, or a variant of these that ours does not compute.
    """
    family = family_of(model)
    theirs_name = type(model).__name__
    if theirs_name not in family.heads_by_theirs():
        raise SpecError(f"{theirs_name} is already a workbench model.", "Pass a transformers model.")
    ours_class: type[TransformerModel] = getattr(heads, family.heads_by_theirs()[theirs_name])
    ours = ours_class(family.read_config(model.config), **_pooler_option(model))
    weights = model.state_dict()
    ours.load_state_dict({pair.ours: pair.to_ours(weights) for pair in family.pairs(ours, model)}, strict=True)
    return _like(ours, model)


def to_transformers(model: TransformerModel) -> Model:
    """Convert our model to the BERT or GPT-2 of transformers, which is saved and loaded without this project.

    Args:
        model: ours, with or without a head.

    Raises:
        SpecError: transformers has no such architecture (an encoder with rotary positions, for example).
    """
    family = family_of(model)
    ours_name = type(model).__name__
    if ours_name not in family.heads:
        raise SpecError(f"{ours_name} is already a transformers model.", "Pass a workbench model.")
    if model.config.kept_heads is not None:
        raise SpecError(
            "Heads were pruned from this model, but transformers has no format for that.",
            "Convert the model that it was pruned from.",
        )
    family.check_convertible(model.config)
    theirs_class: type[PreTrainedModel] = getattr(transformers, family.heads[ours_name])
    theirs = theirs_class(family.write_config(model.config), **_pooler_option(model))
    weights = model.state_dict()
    converted: dict[str, Tensor] = {}
    for pair in family.pairs(model, theirs):
        converted |= pair.to_theirs(weights[pair.ours])
    theirs.load_state_dict(converted, strict=False)
    missing = theirs.state_dict().keys() - converted.keys() - family.tied
    assert not missing, missing
    theirs.tie_weights()
    return cast("Model", _like(theirs, model))


def _pooler_option(model: PreTrainedModel) -> dict[str, bool]:
    """Arguments of the other body's constructor besides its configuration: an encoder may lack a pooler."""
    return {"add_pooling_layer": model.pooler is not None} if hasattr(model, "pooler") else {}


def _like(converted: M, model: PreTrainedModel) -> M:
    """Return the converted model with the device, dtype, mode and generation settings of the original."""
    setattr(converted, "generation_config", copy.deepcopy(getattr(model, "generation_config", None)))  # noqa: B010
    torch.nn.Module.to(converted, device=model.device, dtype=model.dtype)
    converted.train(model.training)
    return converted


# -- families -------------------------------------------------------------------------------------------------------


class Family(ABC):
    """One architecture that both sides have.

    Attributes:
        heads: the name of their class for each of our classes.
        body: the attribute of their model that holds its body.
        fields: the name of their configuration's field for each of our fields.
        fixed: values of our fields that their architecture implies.
        tied: names of their weights that share another weight.
        config: our configuration's class.
        activations: our name for each of their activations.
        required: values that fields of their configuration must have.
    """

    heads: ClassVar[Mapping[str, str]]
    body: ClassVar[str]
    fields: ClassVar[Mapping[str, str]]
    fixed: ClassVar[Mapping[str, str | int | bool]]
    tied: ClassVar[frozenset[str]] = frozenset()
    config: ClassVar[Callable[..., TransformerConfig]]
    activations: ClassVar[Mapping[str, str]]
    required: ClassVar[Mapping[str, bool]]

    def heads_by_theirs(self) -> dict[str, str]:
        """Return the name of our class for each of theirs."""
        return {theirs: ours for ours, theirs in self.heads.items()}

    def read_config(self, config: PreTrainedConfig) -> TransformerConfig:
        """Convert their configuration to ours.

        Args:
            config: theirs.

        Raises:
            SpecError: it asks for something that ours does not compute.
        """
        for name, value in self.required.items():
            if getattr(config, name, value) != value:
                raise SpecError(f"{name} is {getattr(config, name)!r}.", f"The workbench supports {value!r} only.")
        theirs = config.to_dict()
        activation = theirs[self.fields["activation"]]
        if activation not in self.activations:
            raise SpecError(
                f"The activation {activation!r} is not supported.", f"Supported: {', '.join(self.activations)}."
            )
        fields = {ours: theirs[name] for ours, name in self.fields.items() if theirs.get(name) is not None}
        fields["activation"] = self.activations[activation]
        fields["sparse_prediction"] = getattr(config, "sparse_prediction", False)  # set if it was converted from ours
        fields.setdefault("intermediate_size", 4 * fields["hidden_size"])
        return self.config(**self.fixed, **fields, **_common_fields(config))

    def write_config(self, config: TransformerConfig) -> PreTrainedConfig:
        """Convert our configuration to theirs.

        Args:
            config: ours.
        """
        inverse = {ours: theirs for theirs, ours in self.activations.items()}
        fields = {theirs: getattr(config, ours) for ours, theirs in self.fields.items()}
        fields[self.fields["activation"]] = inverse[config.activation]
        fields["sparse_prediction"] = config.sparse_prediction  # they ignore it; it is used when converted back
        config_class: Callable[..., PreTrainedConfig] = getattr(transformers, self.body_config())
        return config_class(**fields, **_common_fields(config))

    @abstractmethod
    def body_config(self) -> str:
        """Return the name of their configuration's class."""

    def check_convertible(self, config: TransformerConfig) -> None:
        """Check that their architecture computes what our configuration says.

        Args:
            config: ours.

        Raises:
            SpecError: it does not.
        """
        different = [name for name, value in self.fixed.items() if getattr(config, name) != value]
        if config.activation not in self.activations.values():
            different.append("activation")
        if different:
            values = ", ".join(f"{name}={getattr(config, name)!r}" for name in different)
            raise SpecError(f"transformers has no such architecture: {values}.", f"It has: {dict(self.fixed)}.")

    def pairs(self, ours: PreTrainedModel, theirs: PreTrainedModel) -> Iterator[WeightPair]:
        """Pair every weight of two models.

        Args:
            ours: our model of this family.
            theirs: transformers' model of this family.
        """
        has_head = not isinstance(ours, (EncoderModel, DecoderModel))
        our_prefix, their_prefix = ("model.", f"{self.body}.") if has_head else ("", "")
        names = ours.state_dict().keys()
        for pair in self.weights(ours.config.num_hidden_layers):
            if (name := our_prefix + pair.ours) in names:
                yield WeightPair(name, tuple(their_prefix + each for each in pair.theirs), pair.transposed)
        if has_head:
            yield from (pair for pair in self.head_weights() if pair.ours in names)

    @abstractmethod
    def weights(self, layers: int) -> Iterator[WeightPair]:
        """Pair every weight of the body, by its name within the body.

        Args:
            layers: number of layers.
        """

    @abstractmethod
    def head_weights(self) -> Iterator[WeightPair]:
        """Pair every weight that a head may have."""


def _weight_and_bias(ours: str, *theirs: str, transposed: bool = False) -> Iterator[WeightPair]:
    """Weight and bias of a linear layer or a norm."""
    yield WeightPair(f"{ours}.weight", tuple(f"{name}.weight" for name in theirs), transposed)
    yield WeightPair(f"{ours}.bias", tuple(f"{name}.bias" for name in theirs))


class Bert(Family):
    """BERT (Devlin et al. 2018), as implemented in transformers."""

    config = EncoderConfig
    body = "bert"
    heads = {  # noqa: RUF012
        "EncoderModel": "BertModel",
        "EncoderForMaskedLM": "BertForMaskedLM",
        "EncoderForPreTraining": "BertForPreTraining",
        "EncoderForSequenceClassification": "BertForSequenceClassification",
        "EncoderForTokenClassification": "BertForTokenClassification",
        "EncoderForQuestionAnswering": "BertForQuestionAnswering",
        "EncoderForMultipleChoice": "BertForMultipleChoice",
    }
    fields = {  # noqa: RUF012
        "vocab_size": "vocab_size",
        "hidden_size": "hidden_size",
        "num_hidden_layers": "num_hidden_layers",
        "num_attention_heads": "num_attention_heads",
        "intermediate_size": "intermediate_size",
        "max_position_embeddings": "max_position_embeddings",
        "type_vocab_size": "type_vocab_size",
        "activation": "hidden_act",
        "dropout": "hidden_dropout_prob",
        "attention_dropout": "attention_probs_dropout_prob",
        "layer_norm_eps": "layer_norm_eps",
        "initializer_range": "initializer_range",
    }
    fixed = {  # noqa: RUF012
        "positions": "learned",
        "norm": "post",
        "pooling": "first",
        "embedding_norm": True,
        "scale_embeddings": False,
    }
    activations = {"gelu": "gelu", "relu": "relu", "gelu_new": "gelu_tanh"}  # noqa: RUF012
    required = {"is_decoder": False, "add_cross_attention": False}  # noqa: RUF012
    tied = frozenset({"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"})

    def check_convertible(self, config: TransformerConfig) -> None:
        super().check_convertible(config)
        if not config.type_vocab_size:
            raise SpecError(
                "transformers' BERT adds a segment embedding to every token, but this model has none "
                "(type_vocab_size=0).",
                "Build the model with type_vocab_size=1 or more.",
            )

    def body_config(self) -> str:
        return "BertConfig"

    def weights(self, layers: int) -> Iterator[WeightPair]:
        for ours, theirs in (("tokens", "word"), ("positions", "position"), ("types", "token_type")):
            yield WeightPair(f"embeddings.{ours}.weight", (f"embeddings.{theirs}_embeddings.weight",))
        yield from _weight_and_bias("embeddings.norm", "embeddings.LayerNorm")
        for i in range(layers):
            mine, other = f"layers.{i}", f"encoder.layer.{i}"
            three = [f"{other}.attention.self.{name}" for name in ("query", "key", "value")]
            yield from _weight_and_bias(f"{mine}.attention.query_key_value", *three)
            yield from _weight_and_bias(f"{mine}.attention.output", f"{other}.attention.output.dense")
            yield from _weight_and_bias(f"{mine}.attention_norm", f"{other}.attention.output.LayerNorm")
            yield from _weight_and_bias(f"{mine}.feed_forward.up", f"{other}.intermediate.dense")
            yield from _weight_and_bias(f"{mine}.feed_forward.down", f"{other}.output.dense")
            yield from _weight_and_bias(f"{mine}.feed_forward_norm", f"{other}.output.LayerNorm")
        yield from _weight_and_bias("pooler", "pooler.dense")

    def head_weights(self) -> Iterator[WeightPair]:
        yield from _weight_and_bias("head.dense", "cls.predictions.transform.dense")
        yield from _weight_and_bias("head.norm", "cls.predictions.transform.LayerNorm")
        yield WeightPair("head.vocabulary.weight", ("cls.predictions.decoder.weight",))
        yield WeightPair("head.vocabulary.bias", ("cls.predictions.bias",))
        yield from _weight_and_bias("next_sentence", "cls.seq_relationship")
        yield from _weight_and_bias("classifier", "classifier")
        yield from _weight_and_bias("span", "qa_outputs")


class Gpt2(Family):
    """GPT-2 (Radford et al. 2019), as implemented in transformers: its linear layers store the transpose."""

    config = DecoderConfig
    body = "transformer"
    heads = {  # noqa: RUF012
        "DecoderModel": "GPT2Model",
        "DecoderForCausalLM": "GPT2LMHeadModel",
        "DecoderForSequenceClassification": "GPT2ForSequenceClassification",
        "DecoderForTokenClassification": "GPT2ForTokenClassification",
    }
    fields = {  # noqa: RUF012
        "vocab_size": "vocab_size",
        "hidden_size": "n_embd",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "intermediate_size": "n_inner",
        "max_position_embeddings": "n_positions",
        "activation": "activation_function",
        "dropout": "resid_pdrop",
        "attention_dropout": "attn_pdrop",
        "layer_norm_eps": "layer_norm_epsilon",
        "initializer_range": "initializer_range",
    }
    fixed = {  # noqa: RUF012
        "positions": "learned",
        "norm": "pre",
        "embedding_norm": False,
        "scale_embeddings": False,
        "type_vocab_size": 0,
    }
    activations = {  # noqa: RUF012
        "gelu_new": "gelu_tanh",
        "gelu_pytorch_tanh": "gelu_tanh",
        "gelu": "gelu",
        "relu": "relu",
    }
    required = {  # noqa: RUF012
        "add_cross_attention": False,
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
    }
    tied = frozenset({"lm_head.weight"})

    def body_config(self) -> str:
        return "GPT2Config"

    def write_config(self, config: TransformerConfig) -> PreTrainedConfig:
        theirs = super().write_config(config)
        theirs.activation_function = {"gelu_tanh": "gelu_new"}.get(config.activation, config.activation)
        theirs.embd_pdrop = config.dropout
        return theirs

    def weights(self, layers: int) -> Iterator[WeightPair]:
        yield WeightPair("embeddings.tokens.weight", ("wte.weight",))
        yield WeightPair("embeddings.positions.weight", ("wpe.weight",))
        for i in range(layers):
            mine, other = f"layers.{i}", f"h.{i}"
            yield from _weight_and_bias(f"{mine}.attention_norm", f"{other}.ln_1")
            yield from _weight_and_bias(f"{mine}.attention.query_key_value", f"{other}.attn.c_attn", transposed=True)
            yield from _weight_and_bias(f"{mine}.attention.output", f"{other}.attn.c_proj", transposed=True)
            yield from _weight_and_bias(f"{mine}.feed_forward_norm", f"{other}.ln_2")
            yield from _weight_and_bias(f"{mine}.feed_forward.up", f"{other}.mlp.c_fc", transposed=True)
            yield from _weight_and_bias(f"{mine}.feed_forward.down", f"{other}.mlp.c_proj", transposed=True)
        yield from _weight_and_bias("final_norm", "ln_f")

    def head_weights(self) -> Iterator[WeightPair]:
        yield WeightPair("vocabulary.weight", ("lm_head.weight",))
        yield WeightPair("score.weight", ("score.weight",))
        yield from _weight_and_bias("classifier", "classifier")


FAMILIES: tuple[Family, ...] = (Bert(), Gpt2())


def family_of(model: PreTrainedModel) -> Family:
    """Return the family of a model.

    Args:
        model: ours or theirs.

    Raises:
        SpecError: it belongs to none.
    """
    name = type(model).__name__
    for family in FAMILIES:
        if name in family.heads or name in family.heads_by_theirs():
            return family
    convertible = ", ".join(n for f in FAMILIES for pair in f.heads.items() for n in pair)
    raise SpecError(f"{name} has no counterpart.", f"These have one: {convertible}.")


def _common_fields(config: PreTrainedConfig) -> dict[str, object]:
    """Fields of every transformers configuration: special tokens, and the labels of a classifier."""
    tokens = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")
    names = (*tokens, "problem_type", "tie_word_embeddings", "classifier_dropout")
    fields = {name: getattr(config, name, None) for name in names}
    return {**fields, "id2label": dict(config.id2label or {}), "label2id": dict(config.label2id or {})}
