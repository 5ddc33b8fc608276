"""Attention, masks and positions, checked against formulas by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tests.unit.models.tiny_transformers import STRONG, build, padded, tokens
from workbench.models.networks.attention import (
    CrossAttention,
    causal_mask,
    document_positions,
    eager_attention,
    padding_mask,
    sdpa_attention,
)
from workbench.models.networks.transformer import (
    EncoderConfig,
    Sinusoidal,
)


def test_attention_by_hand() -> None:
    """Two tokens and one head of width 1: every number can be checked by hand."""
    query = torch.tensor([[[[0.0], [1.0]]]])
    key, value = torch.tensor([[[[1.0], [3.0]]]]), torch.tensor([[[[10.0], [20.0]]]])
    output, weights = eager_attention(query, key, value, None, 0.0)
    share = math.exp(3) / (math.exp(1) + math.exp(3))
    torch.testing.assert_close(weights, torch.tensor([[[[0.5, 0.5], [1 - share, share]]]]))
    torch.testing.assert_close(output, torch.tensor([[[[15.0], [10 + 10 * share]]]]))


@pytest.mark.parametrize("masked", ["nothing", "padding", "causal", "both"])
def test_eager_and_sdpa_attention_agree(masked: Any) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 5, 4) for _ in range(3))
    causal = causal_mask(5, 5, query.device)
    padding = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]]).bool()[:, None, None]
    mask = {
        "nothing": None,
        "padding": padding,
        "causal": causal,
        "both": causal & padding,
    }[masked]
    eager, weights = eager_attention(query, key, value, mask, 0.0)
    torch.testing.assert_close(eager, sdpa_attention(query, key, value, mask, 0.0))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 5))
    if mask is not None:
        assert (weights.masked_select(~mask.expand_as(weights)) == 0).all()
    if masked == "causal":
        torch.testing.assert_close(eager, sdpa_attention(query, key, value, None, 0.0, causal=True))


@pytest.mark.parametrize("masked", [False, True])
def test_eager_and_sdpa_cross_attention_agree(masked: Any) -> None:
    """With fewer queries than keys, compare the output and the gradients of both inputs and all weights."""
    torch.manual_seed(0)
    cross = CrossAttention(24, 4).eval()
    hidden, encoder_hidden_states = torch.randn(3, 4, 24), torch.randn(3, 11, 24)
    mask = padding_mask(padded()[1]) if masked else None
    results = []
    for eager in (False, True):
        inputs = [hidden.clone().requires_grad_(), encoder_hidden_states.clone().requires_grad_()]
        cross.zero_grad()
        output, weights = cross(*inputs, mask, output_attentions=eager)
        output.pow(2).sum().backward()
        results.append([output.detach(), *(x.grad for x in inputs), *(p.grad.clone() for p in cross.parameters())])
        assert (weights is not None) is eager
    assert weights.shape == (3, 4, 4, 11)
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_a_mask_for_new_tokens_after_a_cache() -> None:
    assert causal_mask(2, 5, torch.device("cpu"))[0, 0].tolist() == [
        [True, True, True, True, False],
        [True, True, True, True, True],
    ]


def test_sinusoids_by_the_formula() -> None:
    table = Sinusoidal(7, 6).table
    for position in range(7):
        for i in range(3):
            angle = position / 10_000 ** (2 * i / 6)
            assert table[position, 2 * i] == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[position, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-6)


def test_rotary_positions_depend_on_distances_only() -> None:
    """Outputs do not change if a text is shifted by 9 positions; with learned positions they do."""
    ids, positions = tokens(2, 8), torch.arange(8)[None].expand(2, -1)
    for kind, same in (("rotary", True), ("learned", False)):
        model = build("AutoModel", EncoderConfig(**STRONG, positions=kind))
        original, shifted = model(ids, position_ids=positions), model(ids, position_ids=positions + 9)
        assert torch.allclose(original[0], shifted[0], atol=1e-4) is same
        other_order = model(ids.flip(1), position_ids=positions)[0].flip(1)
        assert not torch.allclose(original[0], other_order, atol=1e-3)


def test_positions_restart_in_each_document() -> None:
    ids = torch.tensor([[1, 1, 1, 2, 2, 3, 0, 0], [1, 2, 2, 2, 2, 2, 2, 2]])
    assert document_positions(ids).tolist() == [[0, 1, 2, 0, 1, 0, 0, 1], [0, 0, 1, 2, 3, 4, 5, 6]]
