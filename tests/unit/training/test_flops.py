"""FLOPs per token, checked by hand, and peak FLOPs from data sheets."""

from __future__ import annotations

import time

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration

from workbench.training.core import flops
from workbench.training.core.device import Device


def make_on_meta(make, config):
    """Create a model on the meta device, without memory for its weights."""
    with torch.device("meta"):
        return make(config)


def test_gpt2_of_124_million() -> None:
    model = make_on_meta(GPT2LMHeadModel, GPT2Config())
    # 12 layers of: two norms, 768 x 2304, 768 x 768, 768 x 3072 and 3072 x 768, with biases; the last norm; the output.
    layer = 4 * 768 + (768 + 1) * 2304 + (768 + 1) * 768 + (768 + 1) * 3072 + (3072 + 1) * 768
    n_matmul_weights = 12 * layer + 2 * 768 + 50257 * 768
    assert sum(p.numel() for p in model.parameters()) == n_matmul_weights + 1024 * 768 == 124_439_808
    expected = 6 * n_matmul_weights + 12 * 12 * 768 * 1024
    assert flops.flops_per_token(model, 1024) == expected == 855_166_464


def test_embeddings_that_are_only_looked_up_do_not_count() -> None:
    config = BertConfig(vocab_size=1000, hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
                        intermediate_size=128, max_position_embeddings=32)  # fmt: skip
    tied = make_on_meta(BertForMaskedLM, config)
    n_weights = sum(p.numel() for p in tied.parameters())
    assert flops.flops_per_token(tied, 16) == 6 * (n_weights - 34 * 64) + 12 * 2 * 64 * 16
    body = tied.bert
    n_body_weights = sum(p.numel() for p in body.parameters())
    assert flops.flops_per_token(body, 16) == 6 * (n_body_weights - 1034 * 64) + 12 * 2 * 64 * 16


def test_sparse_prediction_counts_only_masked_words() -> None:
    config = BertConfig(vocab_size=1000, hidden_size=64, num_hidden_layers=2, num_attention_heads=4)
    model = make_on_meta(BertForMaskedLM, config)
    saved = flops.flops_per_token(model, 16) - flops.flops_per_token(model, 16, predicted=0.15)
    assert saved == pytest.approx(0.85 * 6 * 1000 * 64)
    assert flops.flops_per_token(model.bert, 16, predicted=0.15) == flops.flops_per_token(model.bert, 16)  # no output


def test_frozen_weights_need_no_gradient() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(8, 8, bias=False), torch.nn.Linear(8, 2, bias=False))
    assert flops.flops_per_token(model, 100) == 6 * (64 + 16)  # without attention
    model[0].requires_grad_(False)
    assert flops.flops_per_token(model, 100) == 4 * 64 + 6 * 16


def test_a_decoder_with_cross_attention_has_twice_the_attention() -> None:
    config = T5Config(vocab_size=100, d_model=32, d_kv=8, num_heads=4, num_layers=2, num_decoder_layers=3, d_ff=64)
    model = make_on_meta(T5ForConditionalGeneration, config)
    longer = flops.flops_per_token(model, 11) - flops.flops_per_token(model, 10)
    assert longer == 12 * (2 + 2 * 3) * 32


@pytest.mark.parametrize(
    ("name", "format", "tera"),
    [
        ("NVIDIA H100 80GB HBM3", "bf16", 989.4),
        ("NVIDIA H100 PCIe", "bf16", 756.0),
        ("NVIDIA H200", "tf32", 494.7),
        ("NVIDIA A100-SXM4-80GB", "bf16", 312.0),
        ("NVIDIA A10", "bf16", 125.0),  # not matched as A100
        ("NVIDIA L4", "bf16", 121.0),
        ("NVIDIA L40S", "fp16", 362.05),
        ("Tesla T4", "fp16", 65.0),
        ("Tesla T4", "bf16", None),  # emulated: no meaningful peak
        ("NVIDIA GeForce RTX 4090", "fp32", 82.6),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "bf16", None),  # a seventh of a GPU
        ("NVIDIA RTX A4000", "bf16", None),  # not matched as A40
        ("NVIDIA GeForce RTX 3090 Ti", "bf16", 80.0),
        ("NVIDIA GeForce RTX 3080 Ti", "bf16", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "bf16", None),
        ("Some GPU of 2031", "bf16", None),
    ],
)
def test_peaks_of_data_sheets(name: str, format: str, tera: float | None) -> None:
    assert flops.listed_peak(name, format) == (None if tera is None else pytest.approx(tera * 1e12))


def test_the_peak_of_a_cpu_is_measured() -> None:
    start = time.perf_counter()
    peak, source = flops.peak_flops(Device("cpu", "fp32", "cpu"), "fp32")
    assert time.perf_counter() - start < 1
    assert source.startswith("measured") and "fp32" in source
    assert 1e9 < peak < 1e14
    assert flops.peak_flops("cpu", "fp32") == (peak, source)  # not measured twice
