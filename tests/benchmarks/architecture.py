"""Compare a training step of our models with transformers' BertForMaskedLM and GPT2LMHeadModel (SDPA) on CPU.

    python tests/benchmarks/architecture.py [--rounds 5] [--steps 5] [--sizes tiny,small] [--rows 8] [--length 128]

A step is forward, backward and fused AdamW in fp32, with the same weights, batch and labels. The script first checks
that the losses without dropout are equal. In each round all variants run in turn, and the speedup is computed per
round. ``all logits`` is our encoder when it computes logits at all positions, as BertForMaskedLM does, instead of only
at the masked ones. This takes about ten minutes on two cores.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from _common import machine, print_table, speedups, spread
from _steps import (
    SIZES,
    Batch,
    assert_same_loss,
    causal_batch,
    decoder_pair,
    encoder_pair,
    masked_batch,
    seconds_per_step,
    training_step,
)

# Dropout of each sublayer's output and of attention weights: as published, and the workbench's default.
DROPOUTS = {"dropout 0.1, also of attention": (0.1, 0.1), "dropout 0.1, not of attention": (0.1, 0.0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--sizes", default="tiny,small")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--length", type=int, default=128)
    options = parser.parse_args()
    print(f"{machine()}; {torch.get_num_threads()} threads; {options.rounds} rounds of {options.steps} steps, fp32\n")
    for size in options.sizes.split(","):
        for dropouts, rates in DROPOUTS.items():
            width, layers, vocab_size = SIZES[size]
            shape = (
                f"{size} ({layers} layers of {width}, {vocab_size:,} words), {options.rows} x {options.length} tokens"
            )
            models = encoder_pair(size, options.length, *rates)
            measure(
                f"Encoder, {shape}, {dropouts}", models, masked_batch(vocab_size, options.rows, options.length), options
            )
            models = decoder_pair(size, options.length, *rates)
            measure(
                f"Decoder, {shape}, {dropouts}", models, causal_batch(vocab_size, options.rows, options.length), options
            )


def measure(title: str, models: dict[str, Any], batch: Batch, options: argparse.Namespace) -> None:
    """Compare the losses, then time the variants in turn."""
    loss = assert_same_loss(models, batch)
    steps = {name: training_step(model, batch) for name, model in models.items()}
    if "masked" in type(models["ours"]).__name__.lower():
        all_logits = type(models["ours"])(models["ours"].config.__class__.from_dict(models["ours"].config.to_dict()))
        all_logits.config.sparse_prediction = False
        all_logits.load_state_dict(models["ours"].state_dict())
        steps["ours, all logits"] = training_step(all_logits.train(), batch)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        seconds_per_step(step, 2, "cpu")  # warm up: allocate memory, select kernels
    for number in range(options.rounds):
        for name in list(steps) if number % 2 == 0 else list(reversed(steps)):
            times[name].append(1000 * seconds_per_step(steps[name], options.steps, "cpu"))
    print(f"\n### {title}\n\nLoss of the models before training: {loss:.4f}\n")
    rows = [
        [name, spread(ms), spread(speedups(times["transformers"], ms), 2) if name != "transformers" else ""]
        for name, ms in times.items()
    ]
    print_table(["variant", "ms per step", "speedup over transformers"], rows)


if __name__ == "__main__":
    main()
