"""Properties of every Transformer: attention masks, padding, packing, caches, gradients, learning."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tests.unit.models.tiny_transformers import POSITIONS, SMALL, STRONG, build, padded, tokens
from workbench.models.networks.heads import EncoderForPreTraining
from workbench.models.networks.transformer import (
    DecoderConfig,
    EncoderConfig,
    EncoderDecoderConfig,
    EncoderModel,
)


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_a_decoder_does_not_see_the_future(positions: str, implementation: str) -> None:
    model = build("AutoModelForCausalLM", DecoderConfig(**STRONG, positions=positions))
    model.set_attn_implementation(implementation)
    ids = tokens(2, 12)
    before = model(ids).logits
    for t in (0, 4, 11):
        changed = ids.clone()
        changed[:, t + 1 :] = (changed[:, t + 1 :] + 7) % 48 + 5
        torch.testing.assert_close(model(changed).logits[:, : t + 1], before[:, : t + 1])
    changed = ids.clone()
    changed[:, 0] = (changed[:, 0] + 7) % 48 + 5
    assert not torch.allclose(model(changed).logits[:, -1], before[:, -1], atol=1e-3)  # but it sees the past


def test_the_loss_covers_all_tokens_with_logits_to_keep() -> None:
    model = build("AutoModelForCausalLM", DecoderConfig(**STRONG))
    ids = tokens(2, 12)
    whole, last_three = model(ids, labels=ids), model(ids, labels=ids, logits_to_keep=3)
    torch.testing.assert_close(last_three.loss, whole.loss)
    torch.testing.assert_close(last_three.logits, whole.logits[:, -3:])
    torch.testing.assert_close(model(ids, logits_to_keep=3).logits, whole.logits[:, -3:])


def test_an_encoder_without_positions_ignores_order() -> None:
    model = build("AutoModel", EncoderConfig(**STRONG, positions="none"))
    ids, order = tokens(2, 9), torch.tensor([3, 1, 4, 0, 8, 2, 6, 5, 7])
    torch.testing.assert_close(model(ids[:, order])[0], model(ids)[0][:, order], atol=1e-5, rtol=1e-5)
    ordered = build("AutoModel", EncoderConfig(**STRONG))
    assert not torch.allclose(ordered(ids[:, order])[0], ordered(ids)[0][:, order], atol=1e-3)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("config", [EncoderConfig, DecoderConfig])
@pytest.mark.parametrize("positions", POSITIONS)
def test_padding_changes_nothing(config: Any, positions: str, implementation: str) -> None:
    model = build("AutoModel", config(**STRONG, positions=positions))
    model.set_attn_implementation(implementation)
    ids = tokens(1, 7)
    alone = model(ids)[0]
    padded_ids = torch.cat((ids, torch.full((1, 4), 9)), dim=1)
    mask = torch.tensor([[1] * 7 + [0] * 4])
    torch.testing.assert_close(model(padded_ids, attention_mask=mask)[0][:, :7], alone, atol=1e-5, rtol=1e-5)
    # Padding on the left as well, as in generation, with explicit positions.
    left, left_mask = torch.cat((torch.full((1, 4), 9), ids), dim=1), mask.flip(1)
    positions = (left_mask.cumsum(1) - 1).clamp(min=0)
    output = model(left, attention_mask=left_mask, position_ids=positions)[0]
    assert output.isfinite().all()
    torch.testing.assert_close(output[:, 4:], alone, atol=1e-5, rtol=1e-5)


def test_pooling_uses_the_first_token_or_the_mean() -> None:
    torch.manual_seed(0)
    ids = torch.randint(4, 53, (2, 7))
    seen = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
    for pooling in ("first", "mean"):
        model = EncoderModel(EncoderConfig(**SMALL, pooling=pooling)).eval()
        with torch.no_grad():
            output = model(ids, attention_mask=seen)
            alone = model(ids[1:, :4])
            hidden = alone.last_hidden_state[0]
            expected = torch.tanh(model.pooler(hidden[0] if pooling == "first" else sum(hidden) / 4))
        torch.testing.assert_close(output.pooler_output[1], expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(alone.pooler_output[0], expected, atol=1e-5, rtol=0)


def test_padding_changes_nothing_for_encoder_and_decoder() -> None:
    model = build("AutoModelForSeq2SeqLM", EncoderDecoderConfig(**STRONG))
    source, target = tokens(1, 7), tokens(1, 5, seed=2)
    padded_ids = torch.cat((source, torch.zeros(1, 3, dtype=torch.long)), dim=1)
    mask = torch.tensor([[1] * 7 + [0] * 3])
    torch.testing.assert_close(
        model(padded_ids, mask, target).logits, model(source, None, target).logits, atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("config", [EncoderConfig, DecoderConfig])
@pytest.mark.parametrize("positions", POSITIONS)
def test_packed_documents_do_not_see_each_other(config: Any, positions: str, implementation: str) -> None:
    model = build("AutoModel", config(**STRONG, positions=positions))
    model.set_attn_implementation(implementation)
    first, second = tokens(1, 5), tokens(1, 6, seed=3)
    row = torch.cat((first, second, torch.zeros(1, 2, dtype=torch.long)), dim=1)
    documents = torch.tensor([[1] * 5 + [2] * 6 + [0] * 2])
    output = model(row, document_ids=documents)[0]
    torch.testing.assert_close(output[:, :5], model(first)[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(output[:, 5:11], model(second)[0], atol=1e-5, rtol=1e-5)
    row[:, :5] = (row[:, :5] + 7) % 48 + 5  # another neighbor: bit-identical outputs
    assert torch.equal(model(row, document_ids=documents)[0][:, 5:11], output[:, 5:11])


def test_packing_does_not_change_the_loss() -> None:
    """Pack three pairs into two rows: the mean losses of both tasks equal those of the single pairs."""
    model = build("AutoModelForPreTraining", EncoderConfig(**STRONG))
    pairs = [tokens(1, n, seed=n) for n in (5, 6, 4)]
    labels = [p.masked_fill(torch.arange(p.shape[1]) % 2 == 0, -100) for p in pairs]
    follows = [0, 1, 1]
    row = torch.zeros(2, 11, dtype=torch.long)
    packed_labels, documents, next_label = row.clone() - 100, row.clone(), row.clone() - 100
    for (r, start, number), pair, label, nsp in zip(
        ((0, 0, 1), (0, 5, 2), (1, 0, 1)), pairs, labels, follows, strict=True
    ):
        position = slice(start, start + pair.shape[1])
        row[r, position], packed_labels[r, position], documents[r, position] = pair[0], label[0], number
        next_label[r, start] = nsp
    packed = model(row, document_ids=documents, labels=packed_labels, next_sentence_label=next_label)
    losses, counts, nsp_losses = [], [], []
    for pair, label, nsp in zip(pairs, labels, follows, strict=True):
        lm_loss = model(pair, labels=label).loss
        losses.append(lm_loss)
        counts.append((label != -100).sum())
        nsp_losses.append(model(pair, next_sentence_label=torch.tensor([nsp])).loss)
    expected = sum(a * n for a, n in zip(losses, counts, strict=True)) / sum(counts) + sum(nsp_losses) / 3
    torch.testing.assert_close(packed.loss, expected, atol=1e-5, rtol=1e-5)


def test_no_target_crosses_the_start_of_a_document() -> None:
    model = build("AutoModelForCausalLM", DecoderConfig(**STRONG))
    first, second = tokens(1, 5), tokens(1, 6, seed=3)
    documents = torch.tensor([[1] * 5 + [2] * 6])
    row = torch.cat((first, second), dim=1)
    packed = model(row, document_ids=documents, labels=row).loss
    alone = (4 * model(first, labels=first).loss + 5 * model(second, labels=second).loss) / 9
    torch.testing.assert_close(packed, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("chunk", [1, 3])
def test_the_cache_changes_nothing(positions: str, chunk: int) -> None:
    model = build("AutoModelForCausalLM", DecoderConfig(**STRONG, positions=positions))
    ids = tokens(2, 10)
    at_once, cache, chunks = model(ids).logits, None, []
    for start in range(0, 10, chunk):
        out = model(ids[:, start : start + chunk], past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        chunks.append(out.logits)
    torch.testing.assert_close(torch.cat(chunks, dim=1), at_once, atol=1e-5, rtol=1e-5)


def test_the_cache_changes_nothing_for_encoder_and_decoder() -> None:
    model = build("AutoModelForSeq2SeqLM", EncoderDecoderConfig(**STRONG))
    (source, mask), target = padded(), tokens(3, 6, seed=4)
    at_once, cache, steps = model(source, mask, target).logits, None, []
    for t in range(6):
        out = model(source, mask, target[:, t : t + 1], past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        steps.append(out.logits)
    torch.testing.assert_close(torch.cat(steps, dim=1), at_once, atol=1e-5, rtol=1e-5)


def test_gradients_against_finite_differences() -> None:
    """Compare autograd with finite differences of the loss for weights of a small model in float64."""
    tiny = {**STRONG, "vocab_size": 11, "hidden_size": 4, "num_attention_heads": 2, "intermediate_size": 6,
            "num_hidden_layers": 1, "max_position_embeddings": 6}  # fmt: skip
    torch.manual_seed(0)
    model = EncoderForPreTraining(EncoderConfig(**tiny)).double().eval()
    ids = torch.tensor([[5, 6, 7, 0], [8, 9, 10, 6]])
    inputs = {
        "input_ids": ids,
        "attention_mask": (ids > 0).long(),
        "labels": torch.tensor([[-100, 4, -100, -100], [3, -100, 7, -100]]),
        "next_sentence_label": torch.tensor([0, 1]),
    }
    model(**inputs).loss.backward()
    step, checked = 1e-6, 0
    for name, parameter in model.named_parameters():
        flat, grad = parameter.data.view(-1), parameter.grad.view(-1)
        for i in range(0, len(flat), max(1, len(flat) // 8)):
            original = flat[i].item()
            flat[i] = original + step
            above = model(**inputs).loss.item()
            flat[i] = original - step
            below = model(**inputs).loss.item()
            flat[i] = original
            assert grad[i].item() == pytest.approx((above - below) / (2 * step), rel=1e-4, abs=1e-7), (name, i)
            checked += 1
    assert checked > 100


@pytest.mark.parametrize("size", [200, 3000])
@pytest.mark.parametrize("kind", ["masked", "causal", "both"])
def test_an_untrained_model_predicts_uniformly(kind: str, size: int) -> None:
    """The loss is that of uniform predictions: ln(vocabulary) within 5%."""
    small = {**SMALL, "vocab_size": size, "hidden_size": 64}
    ids = torch.randint(5, size, (8, 32), generator=torch.Generator().manual_seed(0))
    model = {
        "masked": lambda: build("AutoModelForMaskedLM", EncoderConfig(**small)),
        "causal": lambda: build("AutoModelForCausalLM", DecoderConfig(**small)),
        "both": lambda: build("AutoModelForSeq2SeqLM", EncoderDecoderConfig(**small)),
    }[kind]()
    assert model(ids, labels=ids).loss.item() == pytest.approx(math.log(size), rel=0.05)


@pytest.mark.parametrize("kind", ["masked", "causal", "both", "rotary", "post-norm decoder"])
def test_a_tiny_model_memorizes_one_batch(kind: str) -> None:
    small = {**SMALL, "hidden_size": 48, "num_hidden_layers": 2, "dropout": 0.0, "attention_dropout": 0.0}
    ids = tokens(4, 12)
    labels = ids.masked_fill(torch.arange(12) % 4 > 0, -100) if kind == "masked" else ids
    model = {
        "masked": lambda: build("AutoModelForMaskedLM", EncoderConfig(**small)),
        "causal": lambda: build("AutoModelForCausalLM", DecoderConfig(**small)),
        "both": lambda: build("AutoModelForSeq2SeqLM", EncoderDecoderConfig(**small)),
        "rotary": lambda: build("AutoModelForCausalLM", DecoderConfig(**small, positions="rotary")),
        "post-norm decoder": lambda: build("AutoModelForCausalLM", DecoderConfig(**{**small, "norm": "post"})),
    }[kind]().train()
    inputs = ids.masked_fill(labels != -100, 4) if kind == "masked" else ids
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    for _ in range(400):
        loss = model(inputs, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.005:
            break
    assert model.eval()(inputs, labels=labels).loss.item() < 0.01
