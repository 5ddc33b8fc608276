"""A training step of our encoder and decoder against transformers' BertForMaskedLM and GPT2LMHeadModel (SDPA), on CPU.

    python tests/benchmarks/architecture.py [--rounds 5] [--steps 5] [--sizes tiny,small] [--rows 8] [--length 128]

The same weights, the same batch, the same labels; forward, backward and a step of fused AdamW, in fp32. First the
losses of both are compared without dropout: they must be equal. In each round every way runs in turn, and the ratio is
taken round by round. ``all logits`` is our encoder when it computes the scores of all places, as BertForMaskedLM does,
and not of the masked ones alone. About ten minutes on two cores.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from _common import machine, print_table, ratios, spread
from _steps import (
    SIZES,
    Batch,
    causal_batch,
    check_same_loss,
    decoder_pair,
    encoder_pair,
    masked_batch,
    seconds,
    training_step,
)

# dropout of what each part adds, and of attention weights: as published, and as the workbench's default
DROPOUTS = {"dropout 0.1, of attention too": (0.1, 0.1), "dropout 0.1, none of attention": (0.1, 0.0)}


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
            width, layers, words = SIZES[size]
            shape = f"{size} ({layers} layers of {width}, {words:,} words), {options.rows} x {options.length} tokens"
            models = encoder_pair(size, options.length, *rates)
            measure(f"Encoder, {shape}, {dropouts}", models, masked_batch(words, options.rows, options.length), options)
            models = decoder_pair(size, options.length, *rates)
            measure(f"Decoder, {shape}, {dropouts}", models, causal_batch(words, options.rows, options.length), options)


def measure(title: str, models: dict[str, Any], batch: Batch, options: argparse.Namespace) -> None:
    """Compare the losses, then time the ways in turn."""
    loss = check_same_loss(models, batch)
    steps = {name: training_step(model, batch) for name, model in models.items()}
    if "masked" in type(models["ours"]).__name__.lower():
        everywhere = type(models["ours"])(models["ours"].config.__class__.from_dict(models["ours"].config.to_dict()))
        everywhere.config.sparse_prediction = False
        everywhere.load_state_dict(models["ours"].state_dict())
        steps["ours, all logits"] = training_step(everywhere.train(), batch)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        seconds(step, 2, "cpu")  # memory is taken, kernels are chosen
    for number in range(options.rounds):
        for name in list(steps) if number % 2 == 0 else list(reversed(steps)):
            times[name].append(1000 * seconds(steps[name], options.steps, "cpu"))
    print(f"\n### {title}\n\nLoss of both before training: {loss:.4f}\n")
    rows = [
        [name, spread(took), spread(ratios(times["transformers"], took), 2) if name != "transformers" else ""]
        for name, took in times.items()
    ]
    print_table(["way", "ms a step", "times the speed of transformers"], rows)


if __name__ == "__main__":
    main()
