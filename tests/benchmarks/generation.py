"""Writing 256 new tokens with the key-value cache and without, our decoder on CPU.

    python tests/benchmarks/generation.py [--rounds 3] [--size small] [--prompt 32] [--new 256]

Greedy, one text, in one process; both ways must write the very same tokens. transformers' GPT2LMHeadModel with the same
weights, and the LSTM of the baselines, whose state is its cache, run beside it. About five minutes on two cores.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
from _common import machine, print_table, ratios, spread
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
    width, layers, words = SIZES[options.size]
    models = decoder_pair(options.size, options.prompt + options.new, 0.0, 0.0)
    config = RecurrentConfig(vocab_size=words, hidden_size=width, embedding_size=width, num_hidden_layers=layers)
    models["lstm"] = RecurrentForCausalLM(config)
    prompt = torch.randint(5, words, (1, options.prompt), generator=torch.Generator().manual_seed(0))
    print(f"{machine()}; {torch.get_num_threads()} threads; {options.rounds} rounds; {layers} layers of {width}, {words:,} words\n")  # fmt: skip  # noqa: E501
    times: dict[tuple[str, bool], list[float]] = {(name, cached): [] for name in models for cached in (True, False)}
    for _ in range(options.rounds):
        for name, model in models.items():
            written = []
            for cached in (True, False):
                took, tokens = write(model.eval(), prompt, options.new, cached)
                times[name, cached].append(took)
                written.append(tokens)
            if not torch.equal(*written):
                raise SystemExit(f"{name} writes something else with the cache than without.")
    rows = [
        [
            name,
            spread(times[name, True], 2),
            spread(times[name, False], 2),
            spread(ratios(times[name, False], times[name, True]), 2),
        ]
        for name in models
    ]
    print_table(["model", "with the cache, s", "without, s", "times faster"], rows)


def write(model: Any, prompt: torch.Tensor, new: int, cached: bool) -> tuple[float, torch.Tensor]:
    """Seconds, and what was written."""
    began = time.perf_counter()
    with torch.inference_mode():
        tokens = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            min_new_tokens=new,
            max_new_tokens=new,
            do_sample=False,
            use_cache=cached,
            pad_token_id=0,
        )
    return time.perf_counter() - began, tokens


if __name__ == "__main__":
    main()
