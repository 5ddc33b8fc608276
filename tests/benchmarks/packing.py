"""Compare pretraining on documents packed into full rows with padded rows: tokens of text per second.

    python tests/benchmarks/packing.py [--rounds 3] [--steps 40] [--corpora rotten-tomatoes,newsgroups-20]

All variants use the same documents, the same small encoder (4 layers of 512), masked language modeling, rows of at
most 128 tokens, and batches of 4,096 positions including padding. Only tokens of text are counted, not padding.

    packed             several documents per row; attention does not cross them
    padded             one document per row (long ones in chunks), padded to the longest of the batch, in random order
    padded, grouped    the same with texts of similar length in a batch: the library's default without packing

Packing gains more the shorter the documents are: reviews have 22 words, while newsgroup messages fill most rows on
their own. This takes about fifteen minutes on two cores.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from _common import fresh_workspace, machine, print_table, speedups, spread
from _runs import execute_run, tokens_per_second

VARIANTS: dict[str, dict[str, Any]] = {
    "packed": {"packing": True, "group_by_length": True},
    "padded": {"packing": False, "group_by_length": False},
    "padded, grouped": {"packing": False, "group_by_length": True},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--corpora", default="rotten-tomatoes,newsgroups-20")
    parser.add_argument("--size", default="small")
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--positions", type=int, default=4096, help="positions per batch, including padding")
    options = parser.parse_args()
    workspace = fresh_workspace()
    print(f"{machine()}; {torch.get_num_threads()} threads; {options.rounds} rounds of {options.steps} steps\n")
    for corpus in options.corpora.split(","):
        speeds: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
        for number in range(options.rounds):
            for variant in list(VARIANTS) if number % 2 == 0 else list(reversed(VARIANTS)):
                run = execute_run(make_spec(corpus, options, number, **VARIANTS[variant]), workspace)
                speeds[variant].append(tokens_per_second(run))
                print(f"<!-- round {number + 1}: {variant}: {speeds[variant][-1]:.0f} tokens/s -->", flush=True)
        print(f"\n### {corpus}\n")
        rows = [
            [
                variant,
                spread(speeds[variant], 0),
                "" if variant == "packed" else spread(speedups(speeds["packed"], speeds[variant]), 2),
            ]
            for variant in VARIANTS
        ]
        print_table(["variant", "tokens of text per second", "speedup of packing"], rows)


def make_spec(
    corpus: str, options: argparse.Namespace, seed: int, packing: bool, group_by_length: bool
) -> dict[str, Any]:
    """Return the spec of one variant, which evaluates on a few documents and only at its end."""
    return {
        "task": {"name": "masked-lm", "packing": packing},
        "data": {"train": corpus, "limit": {"valid": 8, "test": 8}, "max_length": options.length},
        "model": {
            "source": "transformer-encoder",
            "size": options.size,
            "tokenizer": {"train": "wordpiece", "vocab_size": 8000},
        },
        "training": {
            "max_steps": options.steps,
            "epochs": 1000,
            "max_tokens_per_batch": options.positions,
            "group_by_length": group_by_length,
            "learning_rate": 1e-4,
            "log_every": 1,
            "eval_every": options.steps,
            "checkpoint_every": options.steps,
            "precision": "fp32",
            "seed": seed,
        },
    }


if __name__ == "__main__":
    main()
