"""Time the tokenization of 100,000 short texts: the first time, and from the cache.

    python tests/benchmarks/tokenization.py [--texts 100000] [--rounds 3] [--tokenizer minilm]

The texts are snippets of film reviews (rotten-tomatoes), repeated with a number in front until there are enough. The
tokenizer is MiniLM's, which uses its own threads (TOKENIZERS_PARALLELISM). For comparison, transformers' tokenizer is
called on the same texts with truncation, as in the usual example script. This takes about two minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "true"

from _common import fresh_workspace, machine, print_table, speedups, spread

from workbench.data.catalogue.sources import fetch_model
from workbench.data.load import load_texts
from workbench.data.text.token_cache import cache_folder
from workbench.data.text.tokens import tokenize
from workbench.models.loading import load_tokenizer
from workbench.spec import DataSpec

LENGTH = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokenizer", default="minilm", help="a model of the catalogue")
    options = parser.parse_args()
    workspace = fresh_workspace()
    snippets, _ = load_texts(DataSpec(train="rotten-tomatoes"), workspace)
    texts = [f"{i // len(snippets)} {snippets[i % len(snippets)]}" for i in range(options.texts)]
    tokenizer = load_tokenizer(fetch_model(options.tokenizer, workspace))
    print(f"{machine()}; {options.texts:,} texts, {sum(map(len, texts)) / len(texts):.0f} characters on average\n")
    seconds: dict[str, list[float]] = {"transformers": [], "first time": [], "from the cache": []}
    for _ in range(options.rounds):
        shutil.rmtree(cache_folder(workspace), ignore_errors=True)
        seconds["transformers"].append(timed(lambda: tokenizer(texts, truncation=True, max_length=LENGTH)))
        seconds["first time"].append(timed(lambda: tokenize(tokenizer, texts, max_length=LENGTH)))
        seconds["from the cache"].append(timed(lambda: tokenize(tokenizer, texts, max_length=LENGTH)))
    rows = [
        [variant, spread(values), spread(speedups(seconds["transformers"], values), 1)]
        for variant, values in seconds.items()
    ]
    print_table(["variant", "seconds", "speedup over transformers"], rows)


def timed(work: Any) -> float:
    """Return the seconds that ``work`` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
