"""Time the generation of 256 tokens with and without the key-value cache, with our decoder on CPU.

    python tests/benchmarks/generation.py [--rounds 3] [--size small] [--prompt 32] [--new 256]

Greedy decoding of one text in one process; the tokens must be the same with and without the cache. For comparison,
transformers' GPT2LMHeadModel with the same weights and the LSTM baseline, whose cache is its state, run as well. This
takes about five minutes on two cores.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
from _common import machine, print_table, speedups, spread
from _steps import SIZES, decoder_pair

from workbench.models.networks.baselines.heads import RecurrentForCausalLM
from workbench.models.networks.baselines.recurrent import RecurrentConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", default="small", choices=list(SIZES))
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--new", type=int, default=256)
    options = parser.parse_args()
    width, layers, vocab_size = SIZES[options.size]
    models = decoder_pair(options.size, options.prompt + options.new, 0.0, 0.0)
    config = RecurrentConfig(vocab_size=vocab_size, hidden_size=width, embedding_size=width, num_hidden_layers=layers)
    models["lstm"] = RecurrentForCausalLM(config)
    prompt = torch.randint(5, vocab_size, (1, options.prompt), generator=torch.Generator().manual_seed(0))
    print(f"{machine()}; {torch.get_num_threads()} threads; {options.rounds} rounds; {layers} layers of {width}, {vocab_size:,} words\n")  # fmt: skip  # noqa: E501
    times: dict[tuple[str, bool], list[float]] = {(name, cached): [] for name in models for cached in (True, False)}
    for _ in range(options.rounds):
        for name, model in models.items():
            generated = []
            for cached in (True, False):
                seconds, tokens = generate(model.eval(), prompt, options.new, cached)
                times[name, cached].append(seconds)
                generated.append(tokens)
            if not torch.equal(*generated):
                raise SystemExit(f"{name} generates different tokens with and without the cache.")
    rows = [
        [
            name,
            spread(times[name, True], 2),
            spread(times[name, False], 2),
            spread(speedups(times[name, False], times[name, True]), 2),
        ]
        for name in models
    ]
    print_table(["model", "with cache, s", "without cache, s", "speedup"], rows)


def generate(model: Any, prompt: torch.Tensor, count: int, cached: bool) -> tuple[float, torch.Tensor]:
    """Generate ``count`` tokens; return the seconds and the tokens."""
    start = time.perf_counter()
    with torch.inference_mode():
        tokens = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            min_new_tokens=count,
            max_new_tokens=count,
            do_sample=False,
            use_cache=cached,
            pad_token_id=0,
        )
    return time.perf_counter() - start, tokens


if __name__ == "__main__":
    main()
