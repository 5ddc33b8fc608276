"""Training steps of our models and transformers' models with the same weights and batch, on CPU and GPU.

Apart from the workbench's models, this module needs only torch and transformers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from workbench.models.convert import from_transformers

IGNORE_INDEX = -100
MASKED_SHARE = 0.15  # of the tokens, as for BERT

Batch = dict[str, torch.Tensor]

# Width, layers and vocabulary size of our sizes; the vocabulary of the first is typical of a small corpus.
SIZES = {"tiny": (128, 2, 8_000), "small": (512, 4, 30_522), "base": (768, 12, 30_522), "gpt2": (768, 12, 50_304)}


def encoder_pair(size: str, positions: int, dropout: float, attention_dropout: float) -> dict[str, Any]:
    """Return transformers' BertForMaskedLM with SDPA, and our model with the same weights."""
    width, layers, vocab_size = SIZES[size]
    config = BertConfig(
        vocab_size=vocab_size,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 64),
        intermediate_size=4 * width,
        max_position_embeddings=positions,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=attention_dropout,
        attn_implementation="sdpa",
    )
    torch.manual_seed(0)
    theirs = BertForMaskedLM(config)
    ours = from_transformers(theirs)
    ours.config.sparse_prediction = True  # the workbench's default: logits at masked positions only
    return {"ours": ours, "transformers": theirs}


def decoder_pair(size: str, positions: int, dropout: float, attention_dropout: float) -> dict[str, Any]:
    """Return transformers' GPT2LMHeadModel with SDPA, and our model with the same weights."""
    width, layers, vocab_size = SIZES[size]
    config = GPT2Config(
        vocab_size=vocab_size,
        n_embd=width,
        n_layer=layers,
        n_head=max(1, width // 64),
        n_positions=positions,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=attention_dropout,
        attn_implementation="sdpa",
        use_cache=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    torch.manual_seed(0)
    theirs = GPT2LMHeadModel(config)
    return {"ours": from_transformers(theirs), "transformers": theirs}


def masked_batch(vocab_size: int, rows: int, length: int, device: str = "cpu") -> Batch:
    """Return full rows of random tokens with 15% of them masked, the same number in each row as in our tasks."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, vocab_size, (rows, length), generator=generator)
    order = torch.rand(rows, length, generator=generator).argsort(dim=1)
    labels = ids.masked_fill(order >= round(MASKED_SHARE * length), IGNORE_INDEX)
    return {"input_ids": ids.to(device), "labels": labels.to(device)}


def causal_batch(vocab_size: int, rows: int, length: int, device: str = "cpu") -> Batch:
    """Return full rows of random tokens, each predicted from the ones before it."""
    ids = torch.randint(5, vocab_size, (rows, length), generator=torch.Generator().manual_seed(0)).to(device)
    return {"input_ids": ids, "labels": ids}


def assert_same_loss(models: dict[str, Any], batch: Batch, tolerance: float = 1e-4) -> float:
    """Return the loss of the models without dropout in fp32; exit if they differ, as times would be meaningless."""
    losses = {}
    for name, model in models.items():
        model.eval()
        with torch.no_grad():
            losses[name] = float(model(**batch).loss)
        model.train()
    first, *others = losses.values()
    if any(abs(first - other) > tolerance * abs(first) for other in others):
        raise SystemExit(f"The losses differ, so the models are not the same: {losses}")
    return first


def training_step(model: Any, batch: Batch, bf16: bool = False, compiled: bool = False) -> Callable[[], torch.Tensor]:
    """Return a function that does forward, backward and fused AdamW, and returns the loss, still on the device."""
    device = batch["input_ids"].device.type
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    forward = torch.compile(model) if compiled else model

    def step() -> torch.Tensor:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=bf16):
            loss: torch.Tensor = forward(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    return step


def seconds_per_step(step: Callable[[], torch.Tensor], count: int, device: str) -> float:
    """Return the mean seconds per step of ``count`` steps in a row."""
    synchronize(device)
    start = time.perf_counter()
    for _ in range(count):
        step()
    synchronize(device)
    return (time.perf_counter() - start) / count


def synchronize(device: str) -> None:
    """Wait until the device has finished all its work."""
    if device == "cuda":
        torch.cuda.synchronize()
