"""Fine-tuning methods from step to step: rank allocation, unfreezing, rates of layers; and model structure."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from torch import nn
from transformers import AutoModelForSequenceClassification, DistilBertConfig, T5Config

from tests.unit.tuning.test_tuning_methods import BATCH, LAYERS, SIZES, base_model, make, take_steps, tuned
from workbench.errors import SpecError
from workbench.models.networks.transformer import EncoderDecoderConfig
from workbench.training.core.checkpoint import trainable_state
from workbench.tuning.structure import ModelStructure

# -- AdaLoRA ---------------------------------------------------------------------------------------------------------

STEPS = 20
RANKS: dict[str, Any] = {"rank": 2, "initial_rank": 6, "targets": "attention", "start": 0.2, "end": 0.3, "dropout": 0}
MATRICES = 2 * LAYERS


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_ranks_fall_to_the_budget_as_in_the_paper(name: str) -> None:
    tuning, model = tuned("adalora", base_model(name), **RANKS)
    matrices = MATRICES if name == "bert" else LAYERS
    optimizer = None
    for step in range(1, STEPS + 1):
        optimizer = take_steps(tuning, model, STEPS, first=step, until=step, optimizer=optimizer)
        total = tuning.report(model)["total_rank"]
        if step <= 4:
            assert total == 6 * matrices
        elif step < 14:
            left = 1 - (step - 4) / (STEPS - 6 - 4)
            assert total == int(4 * matrices * left**3 + 2 * matrices)  # equation 12
        else:
            assert total == 2 * matrices
    ranks = tuning.report(model)["ranks"]
    assert len(ranks) == matrices and sum(ranks.values()) == 2 * matrices
    assert all(hasattr(model.base_model.model.get_submodule(module), "lora_E") for module in ranks)


@pytest.mark.parametrize("checkpoint_step", [3, 9, 17])
def test_ranks_are_the_same_after_a_checkpoint(checkpoint_step: int) -> None:
    """A checkpoint contains the whole state of the method."""
    tuning, uninterrupted = tuned("adalora", base_model("bert"), **RANKS)
    take_steps(tuning, uninterrupted, STEPS)
    tuning, first = tuned("adalora", base_model("bert"), **RANKS)
    optimizer = take_steps(tuning, first, STEPS, until=checkpoint_step)
    tuning, second = tuned("adalora", base_model("bert"), **RANKS)
    second.load_state_dict(trainable_state(first), strict=False)
    second_optimizer = torch.optim.AdamW([p for p in second.parameters() if p.requires_grad], lr=0.02, weight_decay=0)
    second_optimizer.load_state_dict(optimizer.state_dict())
    take_steps(tuning, second, STEPS, first=checkpoint_step + 1, optimizer=second_optimizer)
    before, after = trainable_state(uninterrupted), trainable_state(second)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[n], after[n]) for n in before)
    assert tuning.report(second) == make("adalora", **RANKS).report(uninterrupted)


def test_a_very_short_run_keeps_its_ranks() -> None:
    tuning, model = tuned("adalora", base_model("bert"), **RANKS)
    take_steps(tuning, model, 2)
    assert tuning.report(model)["total_rank"] == 6 * MATRICES


def test_the_gradient_of_orthogonality_follows_the_paper() -> None:
    _, model = tuned("adalora", base_model("bert"), **RANKS)
    tuning = make("adalora", **RANKS, orthogonal=0.5)
    pairs = [(n, p) for n, p in model.named_parameters() if "lora_A" in n or "lora_B" in n]
    for _, weight in pairs:
        weight.grad = torch.ones_like(weight)
    tuning.before_step(model, 1, STEPS, scale=lambda: 4.0)
    term = torch.stack([
        torch.linalg.norm((p @ p.T if "lora_A" in n else p.T @ p) - torch.eye(6)) for n, p in pairs
    ]).mean()  # fmt: skip
    expected = torch.autograd.grad(0.5 * 4.0 * term, [p for _, p in pairs])
    for (_, weight), gradient in zip(pairs, expected, strict=True):
        torch.testing.assert_close(weight.grad, 1 + gradient)


@pytest.mark.parametrize(("options", "message"), [
    ({"rank": 12}, "initial_rank .12. must be above rank .12."),
    ({"start": 0.6, "end": 0.5}, "together must be below 1"),
])  # fmt: skip
def test_ranks_that_cannot_fall_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make("adalora", **options)


# -- freeze ----------------------------------------------------------------------------------------------------------


def test_lower_layers_have_lower_rates() -> None:
    model = base_model("bert")
    tuning = make("freeze", layers=0, embeddings=False, rate_decay=0.5)
    rates = tuning.lr_multipliers(tuning.apply(model, "SEQ_CLS"))
    multipliers = {name: rates.get(name, 1.0) for name, _ in model.named_parameters()}
    assert {multipliers[n] for n in multipliers if "layer.1." in n} == {0.5}
    assert {multipliers[n] for n in multipliers if "layer.0." in n} == {0.25}
    assert {multipliers[n] for n in multipliers if "embeddings" in n} == {0.125}
    assert {multipliers[n] for n in multipliers if n.startswith(("classifier", "bert.pooler"))} == {1.0}
    assert make("freeze", layers=0).lr_multipliers(model) == {}


def test_only_trainable_weights_have_a_multiplier() -> None:
    tuning = make("freeze", layers=1, rate_decay=0.5)
    rates = tuning.lr_multipliers(tuning.apply(base_model("bert"), "SEQ_CLS"))
    assert rates and all(".layer.1." in name for name in rates)


def test_layers_are_unfrozen_one_by_one_from_the_last() -> None:
    model = base_model("bert")
    tuning = make("freeze", layers=0, embeddings=False, gradual=0.8)
    tuning.apply(model, "SEQ_CLS")
    groups = {"head": "classifier", "last": "layer.1.", "first": "layer.0.", "embeddings": "word_embeddings"}
    moved: dict[str, int] = {}
    optimizer = None
    for step in range(1, 11):
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        optimizer = take_steps(tuning, model, 10, first=step, until=step, optimizer=optimizer)
        for group, pattern in groups.items():
            if any(pattern in n and not torch.equal(p, before[n]) for n, p in model.named_parameters()):
                moved.setdefault(group, step)
    # 8 steps and four groups: the head at once, and each further group two steps later.
    assert moved == {"head": 1, "last": 3, "first": 5, "embeddings": 7}


def test_everything_is_trained_at_once_by_default() -> None:
    model = base_model("bert")
    tuning = make("freeze", layers=1)
    tuning.apply(model, "SEQ_CLS")
    model(**BATCH).loss.backward()
    tuning.before_step(model, 1, 10)
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    with pytest.raises(SpecError, match="has 2 layers"):
        make("freeze", layers=3).apply(model, "SEQ_CLS")


# -- structure ---------------------------------------------------------------------------------------------------------


def encoder_decoder() -> Any:
    return transformers.AutoModelForSeq2SeqLM.from_config(EncoderDecoderConfig(**SIZES, positions="learned"))


@pytest.mark.parametrize(
    ("model", "attention", "feed_forward"),
    [
        (lambda: base_model("bert"), "attention.output.dense", "output.dense"),
        (lambda: base_model("gpt2"), "attn.c_proj", "mlp.c_proj"),
        (lambda: base_model("our-encoder"), "attention.output", "feed_forward.down"),
        (lambda: AutoModelForSequenceClassification.from_config(
            DistilBertConfig(dim=8, n_layers=2, n_heads=2, hidden_dim=8, vocab_size=9)
        ), "attention.out_lin", "ffn.lin2"),
        (lambda: AutoModelForSequenceClassification.from_config(transformers.LlamaConfig(
            hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8, vocab_size=9
        )), "self_attn.o_proj", "mlp.down_proj"),
    ],
)  # fmt: skip
def test_output_projections_are_recognized(model: Any, attention: str, feed_forward: str) -> None:
    projections = ModelStructure.of(model()).output_projections()
    for names, suffix in zip(projections, (attention, feed_forward), strict=True):
        assert len(names) == 2 and all(name.endswith(f".{number}.{suffix}") for number, name in enumerate(names))


@pytest.mark.parametrize("model", [
    encoder_decoder,
    lambda: transformers.AutoModelForSeq2SeqLM.from_config(
        T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=2, num_decoder_layers=2, num_heads=2, vocab_size=9)
    ),
])  # fmt: skip
def test_both_stacks_of_an_encoder_decoder_are_recognized(model: Any) -> None:
    structure = ModelStructure.of(model())
    assert len(structure.layers) == 2 and len(structure.all_layers) == 4
    attention, feed_forward = structure.output_projections()
    assert len(attention) == 2 + 2 * 2 and len(feed_forward) == 4  # the decoder attends to itself and to the encoder
    names = {id(p): name for name, p in structure.model.named_parameters()}
    after = {names[id(p)] for p in structure.post_layers}
    assert all("norm" in name for name in after) and not any("embed" in name or "shared" in name for name in after)
    parameters = [
        *structure.embeddings,
        *structure.post_layers,
        *(p for layer in structure.all_layers for p in layer.parameters()),
    ]
    assert len(parameters) == len({id(p) for p in parameters}) == len(list(structure.model.base_model.parameters()))


def test_a_head_that_shares_the_embeddings_cannot_be_trained_alone() -> None:
    with pytest.raises(SpecError, match="no weights on top of its body"):
        make("head").apply(encoder_decoder_without_final_norms(), "SEQ_2_SEQ_LM")


def encoder_decoder_without_final_norms() -> nn.Module:
    config = EncoderDecoderConfig(**SIZES, norm="post")
    return transformers.AutoModelForSeq2SeqLM.from_config(config)  # type: ignore[no-any-return]
