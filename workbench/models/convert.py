"""Published weights into our models, and back: BERT's into the encoder, GPT-2's into the decoder.

    ours = from_transformers(BertForMaskedLM.from_pretrained(...))     # the same numbers, in code you can read
    theirs = to_transformers(ours)                                     # the same again, for everyone else

Every weight has its place in both; where the two store it otherwise, a :class:`Pair` says how.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import Tensor

from workbench.errors import SpecError
from workbench.models.networks import heads
from workbench.models.networks.transformer import (
    DecoderConfig,
    DecoderModel,
    EncoderConfig,
    EncoderModel,
    TransformerConfig,
    TransformerModel,
)


@dataclass(frozen=True)
class Pair:
    """Where a weight stands in ours, and in theirs.

    Attributes:
        ours: its name.
        theirs: its name; several where ours holds theirs one above the other (queries, keys and values).
        turned: theirs is stored as its transpose.
    """

    ours: str
    theirs: tuple[str, ...]
    turned: bool = False

    def to_ours(self, weights: dict[str, Tensor]) -> Tensor:
        """Our weight, made of theirs."""
        parts = [weights[name].T if self.turned else weights[name] for name in self.theirs]
        return torch.cat(parts).contiguous()

    def to_theirs(self, weight: Tensor) -> dict[str, Tensor]:
        """Their weights, made of ours."""
        parts = weight.chunk(len(self.theirs))
        return {n: (p.T if self.turned else p).contiguous() for n, p in zip(self.theirs, parts, strict=True)}


def from_transformers(model: Any) -> TransformerModel:
    """Our model with the weights of a transformers BERT or GPT-2: the same outputs, number for number.

    Raises:
        SpecError: another architecture, or a variant of these that ours does not compute.
    """
    family = family_of(model)
    theirs_name = type(model).__name__
    if theirs_name not in family.heads_by_theirs():
        raise SpecError(f"{theirs_name} is ours already.", "Give a model of transformers.")
    ours = getattr(heads, family.heads_by_theirs()[theirs_name])(family.read_config(model.config), **_made_with(model))
    weights = model.state_dict()
    ours.load_state_dict({pair.ours: pair.to_ours(weights) for pair in family.pairs(ours, model)}, strict=True)
    return _as(ours, model)  # type: ignore[no-any-return]


def to_transformers(model: TransformerModel) -> Any:
    """The transformers BERT or GPT-2 with the weights of ours, to be saved and loaded without this project.

    Raises:
        SpecError: transformers has no such architecture (rotary positions in an encoder, say).
    """
    family = family_of(model)
    ours_name = type(model).__name__
    if ours_name not in family.heads:
        raise SpecError(f"{ours_name} is transformers' already.", "Give a model of the workbench.")
    if model.config.kept_heads is not None:
        raise SpecError(
            "Heads were cut out of this model, and transformers has no form for that.",
            "Convert the model that it was pruned from.",
        )
    family.refuse_others(model.config)
    theirs = getattr(transformers, family.heads[ours_name])(family.write_config(model.config), **_made_with(model))
    weights = model.state_dict()
    found: dict[str, Tensor] = {}
    for pair in family.pairs(model, theirs):
        found |= pair.to_theirs(weights[pair.ours])
    theirs.load_state_dict(found, strict=False)
    missing = theirs.state_dict().keys() - found.keys() - family.tied
    assert not missing, missing
    theirs.tie_weights()
    return _as(theirs, model)


def _made_with(model: Any) -> dict[str, Any]:
    """What the other side's body is made with beside its configuration: an encoder may go without a pooler."""
    return {"add_pooling_layer": model.pooler is not None} if hasattr(model, "pooler") else {}


def _as(made: Any, model: Any) -> Any:
    """``made`` on the device and in the numbers of ``model``, in its mode, and generating as it does."""
    made.generation_config = copy.deepcopy(getattr(model, "generation_config", None))
    return made.to(device=model.device, dtype=model.dtype).train(model.training)


# -- families -------------------------------------------------------------------------------------------------------


class Family(ABC):
    """One architecture that both sides have.

    Attributes:
        heads: our class -> their class.
        body: what their model calls its body.
        fields: our field -> theirs.
        fixed: our fields that their architecture fixes.
        tied: their names that repeat another weight.
    """

    heads: dict[str, str]
    body: str
    fields: dict[str, str]
    fixed: dict[str, Any]
    tied: frozenset[str] = frozenset()
    config: type[TransformerConfig]
    activations: dict[str, str]  # theirs -> ours
    unheard: dict[str, Any]  # their fields that must have this value

    def heads_by_theirs(self) -> dict[str, str]:
        return {theirs: ours for ours, theirs in self.heads.items()}

    def read_config(self, config: Any) -> TransformerConfig:
        """Our configuration of theirs. Raises SpecError for what ours does not compute."""
        for name, value in self.unheard.items():
            if getattr(config, name, value) != value:
                raise SpecError(f"{name} is {getattr(config, name)!r}.", f"Ours computes {value!r} only.")
        theirs = config.to_dict()
        activation = theirs[self.fields["activation"]]
        if activation not in self.activations:
            raise SpecError(f"The activation {activation!r} is not known.", f"Known: {', '.join(self.activations)}.")
        given = {ours: theirs[name] for ours, name in self.fields.items() if theirs.get(name) is not None}
        given["activation"] = self.activations[activation]
        given["sparse_prediction"] = getattr(config, "sparse_prediction", False)  # ours, where it was ours before
        given.setdefault("intermediate_size", 4 * given["hidden_size"])
        return self.config(**self.fixed, **given, **_common(config))

    def write_config(self, config: TransformerConfig) -> Any:
        """Their configuration of ours."""
        inverse = {ours: theirs for theirs, ours in self.activations.items()}
        given = {theirs: getattr(config, ours) for ours, theirs in self.fields.items()}
        given[self.fields["activation"]] = inverse[config.activation]
        given["sparse_prediction"] = config.sparse_prediction  # nothing to them, and kept for the way back
        return getattr(transformers, self.body_config())(**given, **_common(config))

    @abstractmethod
    def body_config(self) -> str:
        """The name of their configuration's class."""

    def refuse_others(self, config: TransformerConfig) -> None:
        """Raise SpecError when ``config`` is not what their architecture computes."""
        others = [name for name, value in self.fixed.items() if getattr(config, name) != value]
        if config.activation not in self.activations.values():
            others.append("activation")
        if others:
            told = ", ".join(f"{name}={getattr(config, name)!r}" for name in others)
            raise SpecError(f"transformers has no such architecture: {told}.", f"It has: {self.fixed}.")

    def pairs(self, ours: Any, theirs: Any) -> Iterator[Pair]:
        """Every weight of the two models."""
        has_head = not isinstance(ours, (EncoderModel, DecoderModel))
        mine, other = ("model.", f"{self.body}.") if has_head else ("", "")
        names = ours.state_dict().keys()
        for pair in self.weights(ours.config.num_hidden_layers):
            if (name := mine + pair.ours) in names:
                yield Pair(name, tuple(other + each for each in pair.theirs), pair.turned)
        if has_head:
            yield from (pair for pair in self.head_weights() if pair.ours in names)

    @abstractmethod
    def weights(self, layers: int) -> Iterator[Pair]:
        """Every weight of the body, by its name in the body."""

    @abstractmethod
    def head_weights(self) -> Iterator[Pair]:
        """Every weight that a head may have."""


def _both(ours: str, *theirs: str, turned: bool = False) -> Iterator[Pair]:
    """Weight and bias of a map or a norm."""
    yield Pair(f"{ours}.weight", tuple(f"{name}.weight" for name in theirs), turned)
    yield Pair(f"{ours}.bias", tuple(f"{name}.bias" for name in theirs))


class Bert(Family):
    """Devlin et al. 2018, as transformers has it."""

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
    unheard = {"is_decoder": False, "add_cross_attention": False}  # noqa: RUF012
    tied = frozenset({"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"})

    def refuse_others(self, config: TransformerConfig) -> None:
        super().refuse_others(config)
        if not config.type_vocab_size:
            raise SpecError(
                "transformers' BERT adds the vector of a segment to every token, and this model has none "
                "(type_vocab_size=0).",
                "Build the model with type_vocab_size=1 or more.",
            )

    def body_config(self) -> str:
        return "BertConfig"

    def weights(self, layers: int) -> Iterator[Pair]:
        for ours, theirs in (("tokens", "word"), ("positions", "position"), ("types", "token_type")):
            yield Pair(f"embeddings.{ours}.weight", (f"embeddings.{theirs}_embeddings.weight",))
        yield from _both("embeddings.norm", "embeddings.LayerNorm")
        for i in range(layers):
            mine, other = f"layers.{i}", f"encoder.layer.{i}"
            three = [f"{other}.attention.self.{name}" for name in ("query", "key", "value")]
            yield from _both(f"{mine}.attention.query_key_value", *three)
            yield from _both(f"{mine}.attention.output", f"{other}.attention.output.dense")
            yield from _both(f"{mine}.attention_norm", f"{other}.attention.output.LayerNorm")
            yield from _both(f"{mine}.feed_forward.up", f"{other}.intermediate.dense")
            yield from _both(f"{mine}.feed_forward.down", f"{other}.output.dense")
            yield from _both(f"{mine}.feed_forward_norm", f"{other}.output.LayerNorm")
        yield from _both("pooler", "pooler.dense")

    def head_weights(self) -> Iterator[Pair]:
        yield from _both("head.dense", "cls.predictions.transform.dense")
        yield from _both("head.norm", "cls.predictions.transform.LayerNorm")
        yield Pair("head.vocabulary.weight", ("cls.predictions.decoder.weight",))
        yield Pair("head.vocabulary.bias", ("cls.predictions.bias",))
        yield from _both("next_sentence", "cls.seq_relationship")
        yield from _both("classifier", "classifier")
        yield from _both("span", "qa_outputs")


class Gpt2(Family):
    """Radford et al. 2019, as transformers has it: its maps are stored as their transposes."""

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
    unheard = {  # noqa: RUF012
        "add_cross_attention": False,
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
    }
    tied = frozenset({"lm_head.weight"})

    def body_config(self) -> str:
        return "GPT2Config"

    def write_config(self, config: TransformerConfig) -> Any:
        theirs = super().write_config(config)
        theirs.activation_function = {"gelu_tanh": "gelu_new"}.get(config.activation, config.activation)
        theirs.embd_pdrop = config.dropout
        return theirs

    def weights(self, layers: int) -> Iterator[Pair]:
        yield Pair("embeddings.tokens.weight", ("wte.weight",))
        yield Pair("embeddings.positions.weight", ("wpe.weight",))
        for i in range(layers):
            mine, other = f"layers.{i}", f"h.{i}"
            yield from _both(f"{mine}.attention_norm", f"{other}.ln_1")
            yield from _both(f"{mine}.attention.query_key_value", f"{other}.attn.c_attn", turned=True)
            yield from _both(f"{mine}.attention.output", f"{other}.attn.c_proj", turned=True)
            yield from _both(f"{mine}.feed_forward_norm", f"{other}.ln_2")
            yield from _both(f"{mine}.feed_forward.up", f"{other}.mlp.c_fc", turned=True)
            yield from _both(f"{mine}.feed_forward.down", f"{other}.mlp.c_proj", turned=True)
        yield from _both("final_norm", "ln_f")

    def head_weights(self) -> Iterator[Pair]:
        yield Pair("vocabulary.weight", ("lm_head.weight",))
        yield Pair("score.weight", ("score.weight",))
        yield from _both("classifier", "classifier")


FAMILIES: tuple[Family, ...] = (Bert(), Gpt2())


def family_of(model: Any) -> Family:
    """The family of a model, ours or theirs. Raises SpecError when it has none."""
    name = type(model).__name__
    for family in FAMILIES:
        if name in family.heads or name in family.heads_by_theirs():
            return family
    known = ", ".join(n for f in FAMILIES for pair in f.heads.items() for n in pair)
    raise SpecError(f"{name} has no counterpart.", f"These have: {known}.")


def _common(config: Any) -> dict[str, Any]:
    """What every transformers configuration holds: special tokens, and the labels of a classifier."""
    tokens = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")
    names = (*tokens, "problem_type", "tie_word_embeddings", "classifier_dropout")
    given = {name: getattr(config, name, None) for name in names}
    return {**given, "id2label": dict(config.id2label), "label2id": dict(config.label2id)}
