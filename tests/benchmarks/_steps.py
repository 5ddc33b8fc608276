"""Training steps of our models and of transformers', on the same weights and the same batch; used on CPU and GPU.

Needs torch and transformers only, and the models of the workbench.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from workbench.models.convert import from_transformers

IGNORED = -100
MASKED = 0.15  # share of the tokens that BERT guesses

Batch = dict[str, torch.Tensor]

# width, layers, words: of our sizes, the first with a small vocabulary as one trains it on a small corpus.
SIZES = {"tiny": (128, 2, 8_000), "small": (512, 4, 30_522), "base": (768, 12, 30_522), "gpt2": (768, 12, 50_304)}


def encoder_pair(size: str, positions: int, dropout: float, attention_dropout: float) -> dict[str, Any]:
    """A BERT for masked words of transformers, with SDPA, and ours with the same weights."""
    width, layers, words = SIZES[size]
    config = BertConfig(
        vocab_size=words,
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
    ours.config.sparse_prediction = True  # what the workbench does by itself: logits at masked places only
    return {"ours": ours, "transformers": theirs}


def decoder_pair(size: str, positions: int, dropout: float, attention_dropout: float) -> dict[str, Any]:
    """A GPT-2 of transformers, with SDPA, and ours with the same weights."""
    width, layers, words = SIZES[size]
    config = GPT2Config(
        vocab_size=words,
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


def masked_batch(words: int, rows: int, length: int, device: str = "cpu") -> Batch:
    """Full rows of random tokens, 15% of them to be guessed; as many in each row, as our tasks have it."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, words, (rows, length), generator=generator)
    order = torch.rand(rows, length, generator=generator).argsort(dim=1)
    labels = ids.masked_fill(order >= round(MASKED * length), IGNORED)
    return {"input_ids": ids.to(device), "labels": labels.to(device)}


def causal_batch(words: int, rows: int, length: int, device: str = "cpu") -> Batch:
    """Full rows of random tokens, each of them to be guessed from those before it."""
    ids = torch.randint(5, words, (rows, length), generator=torch.Generator().manual_seed(0)).to(device)
    return {"input_ids": ids, "labels": ids}


def check_same_loss(models: dict[str, Any], batch: Batch, tolerance: float = 1e-4) -> float:
    """The loss of both without dropout, in fp32. Ends the script when they differ: the times would mean nothing."""
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
    """Forward, backward and a step of fused AdamW, as a function; it returns the loss, still on the device."""
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


def seconds(step: Callable[[], torch.Tensor], steps: int, device: str) -> float:
    """Seconds a step, over so many steps in a row."""
    synchronize(device)
    began = time.perf_counter()
    for _ in range(steps):
        step()
    synchronize(device)
    return (time.perf_counter() - began) / steps


def synchronize(device: str) -> None:
    """Wait until the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
