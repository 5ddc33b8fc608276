"""Does pretraining pay? A tiny encoder pretrained on the domain's text against the same one from random weights.

    python tests/benchmarks/pretraining_pays.py [--seeds 5] [--pretraining-epochs 40] [--labelled 500]

Two specs through the library. The first learns masked words from the 10,003 training questions of banking77, without
their labels; the second fine-tunes it on 500 labelled ones, six or seven for each of 77 intents (``model: run:...``).
Against it stands the second spec with a new encoder of the same shape and the same tokenizer. Each seed is a
pretraining, a fine-tuning and a training from nothing of its own; tested are questions of the data set's own test part,
which no training has seen. Told is the mean difference of accuracy over seeds with Student's 95% interval, and the
library's own comparison for each seed.

RESULTS.md has the five seeds, and what was tried before and did not pay. Five seeds take about 45 minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from _common import fresh_workspace, machine, print_table
from _runs import whole_run
from scipy import stats

from workbench.compare.differences import compare
from workbench.runs.run import Run

DATA = "banking77"
# With norms before each part and rotary positions a model this small soon gets beyond the frequencies of words; in
# BERT's own way (norms behind, learned positions) it takes far longer.
SHAPE = {"source": "transformer-encoder", "size": "tiny", "norm": "pre", "positions": "rotary"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--labelled", type=int, default=500)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--pretraining-epochs", type=float, default=40)
    parser.add_argument("--epochs", type=float, default=30)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3, help="of both ways on the labelled questions")
    options = parser.parse_args()
    workspace = fresh_workspace()
    print(f"{machine()}; {options.seeds} seeds, {options.labelled} labelled questions\n")
    rows, differences = [], []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        pretrained = whole_run(pretraining(options, seed), workspace)
        name = f"run:{pretrained.id}"
        tuned = whole_run(fine_tuning(options, seed, {"source": name}), workspace)
        fresh = whole_run(fine_tuning(options, seed, {**SHAPE, "tokenizer": {"source": name}}), workspace)
        pair = compare([tuned, fresh], "accuracy").pairs[0]
        differences.append(pair.values[0] - pair.values[1])
        rows.append([str(seed), *(f"{value:.3f}" for value in pair.values), _difference(pair), cost(pretrained)])
        print(f"<!-- seed {seed}: {pair.verdict} -->", flush=True)
    print_table(["seed", "pretrained", "from nothing", "difference (95% over questions)", "pretraining took"], rows)
    print(f"\nMean difference over seeds: {over_seeds(differences)}")


def pretraining(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Masked words of the training questions; the test part is only measured on."""
    return {
        "name": f"pretraining-{seed}",
        "task": "masked-lm",
        "data": {
            "train": DATA,
            "max_length": 128,
            "holdout": {"valid": 0.02},
            "limit": {"valid": 100, "test": 100},
        },
        "model": {**SHAPE, "tokenizer": {"train": "wordpiece", "vocab_size": 2000, "lowercase": True}},
        "training": {"epochs": options.pretraining_epochs, "learning_rate": 2e-3, "batch_size": 16, "seed": seed},
    }


def fine_tuning(options: argparse.Namespace, seed: int, model: dict[str, Any]) -> dict[str, Any]:
    """The labelled part: the same for both, but for the model."""
    return {
        "name": f"{'pretrained' if model['source'].startswith('run:') else 'from-nothing'}-{seed}",
        "task": "text-classification",
        "data": {
            "train": DATA,
            "max_length": 128,
            "holdout": {"valid": 0.1},
            "limit": {"train": options.labelled, "valid": 300, "test": options.test},
        },
        "model": model,
        "training": {
            "epochs": options.epochs,
            "learning_rate": options.learning_rate,
            "batch_size": 16,
            "seed": seed,
        },
    }


def over_seeds(differences: list[float]) -> str:
    """Mean and Student's 95% interval; the differences of seeds are taken to be independent draws."""
    mean = statistics.mean(differences)
    if len(differences) < 2:
        return f"{100 * mean:+.1f} points (one seed: no interval)"
    error = statistics.stdev(differences) / len(differences) ** 0.5
    half = float(stats.t.ppf(0.975, len(differences) - 1)) * error
    return (
        f"{100 * mean:+.1f} points of accuracy (95% interval {100 * (mean - half):+.1f} to {100 * (mean + half):+.1f})"
    )


def cost(run: Run) -> str:
    report = run.report()
    return f"{report.cost.seconds:.0f} s"


def _difference(pair: Any) -> str:
    return f"{100 * pair.difference:+.1f} ({100 * pair.low:+.1f} to {100 * pair.high:+.1f})"


if __name__ == "__main__":
    main()
