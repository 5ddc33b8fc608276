"""Pretraining with documents packed into full rows against rows that are padded: tokens of text per second.

    python tests/benchmarks/packing.py [--rounds 3] [--steps 40] [--corpora rotten-tomatoes,newsgroups-20]

The same documents, the same small encoder (4 layers of 512), masked words, rows of at most 128 tokens, and as many
places in a batch (4,096, padding included) in each way. Only tokens of text are counted, never padding.

    packed             several documents in a row; attention does not cross them
    padded             one document a row (long ones in pieces), padded to the longest of its batch, in random order
    padded, buckets    the same with texts of like length in one batch: the library's way where nothing is packed

The shorter the documents, the more packing gains: reviews are 22 words long, newsgroup messages fill most rows by
themselves. About fifteen minutes on two cores.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from _common import fresh_workspace, machine, print_table, ratios, spread
from _runs import tokens_per_second, whole_run

WAYS: dict[str, dict[str, Any]] = {
    "packed": {"packing": True, "group_by_length": True},
    "padded": {"packing": False, "group_by_length": False},
    "padded, buckets": {"packing": False, "group_by_length": True},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--corpora", default="rotten-tomatoes,newsgroups-20")
    parser.add_argument("--size", default="small")
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--places", type=int, default=4096, help="tokens in a batch, padding included")
    options = parser.parse_args()
    workspace = fresh_workspace()
    print(f"{machine()}; {torch.get_num_threads()} threads; {options.rounds} rounds of {options.steps} steps\n")
    for corpus in options.corpora.split(","):
        speeds: dict[str, list[float]] = {way: [] for way in WAYS}
        for number in range(options.rounds):
            for way in list(WAYS) if number % 2 == 0 else list(reversed(WAYS)):
                run = whole_run(spec(corpus, options, number, **WAYS[way]), workspace)
                speeds[way].append(tokens_per_second(run))
                print(f"<!-- round {number + 1}: {way}: {speeds[way][-1]:.0f} tokens/s -->", flush=True)
        print(f"\n### {corpus}\n")
        rows = [
            [way, spread(speeds[way], 0), "" if way == "packed" else spread(ratios(speeds["packed"], speeds[way]), 2)]
            for way in WAYS
        ]
        print_table(["way", "tokens of text per second", "packed is so many times faster"], rows)


def spec(corpus: str, options: argparse.Namespace, seed: int, packing: bool, group_by_length: bool) -> dict[str, Any]:
    """The run of one way: it evaluates on a few documents, at its end only."""
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
            "max_tokens_per_batch": options.places,
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
