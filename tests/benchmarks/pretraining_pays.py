"""Compare a tiny encoder pretrained on text of the domain with the same encoder trained from random weights.

    python tests/benchmarks/pretraining_pays.py [--seeds 5] [--pretraining-epochs 40] [--labelled 500]

The first spec trains a masked language model on the 10,003 training questions of banking77 without their labels. The
second fine-tunes it (``model: run:...``) on 500 labelled questions, six or seven for each of the 77 intents. The third
is the second with a new encoder of the same shape and the same tokenizer. All three run once for each seed. The test
questions are those of the dataset's own test split, which no training has seen. The script prints the mean difference
in accuracy over seeds with Student's 95% interval, and the library's own comparison for each seed.

RESULTS.md has the results of the five seeds and of earlier settings that did not pay off. Five seeds take about 45
minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from _common import fresh_workspace, machine, print_table
from _runs import execute_run
from scipy import stats

from workbench.compare.differences import compare
from workbench.runs.run import Run

DATA = "banking77"
# With pre-norm and rotary positions a model this small soon learns more than word frequencies. With BERT's own
# post-norm and learned positions it takes far longer.
SHAPE = {"source": "transformer-encoder", "size": "tiny", "norm": "pre", "positions": "rotary"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--labelled", type=int, default=500)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--pretraining-epochs", type=float, default=40)
    parser.add_argument("--epochs", type=float, default=30)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3, help="of both models on the labelled questions")
    options = parser.parse_args()
    workspace = fresh_workspace()
    print(f"{machine()}; {options.seeds} seeds, {options.labelled} labelled questions\n")
    rows, differences = [], []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        pretrained = execute_run(pretraining_spec(options, seed), workspace)
        source = f"run:{pretrained.id}"
        tuned = execute_run(fine_tuning_spec(options, seed, {"source": source}), workspace)
        from_scratch = execute_run(
            fine_tuning_spec(options, seed, {**SHAPE, "tokenizer": {"source": source}}), workspace
        )
        pair = compare([tuned, from_scratch], "accuracy").pairs[0]
        differences.append(pair.values[0] - pair.values[1])
        rows.append(
            [
                str(seed),
                *(f"{value:.3f}" for value in pair.values),
                difference_in_points(pair),
                training_time(pretrained),
            ]
        )
        print(f"<!-- seed {seed}: {pair.verdict} -->", flush=True)
    print_table(["seed", "pretrained", "from scratch", "difference (95% over questions)", "pretraining time"], rows)
    print(f"\nMean difference over seeds: {summarize_seeds(differences)}")


def pretraining_spec(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Return the spec of masked language modeling on the training questions; the test split only evaluates it."""
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


def fine_tuning_spec(options: argparse.Namespace, seed: int, model: dict[str, Any]) -> dict[str, Any]:
    """Return the spec of training on the labelled questions; only the model differs between the two."""
    return {
        "name": f"{'pretrained' if model['source'].startswith('run:') else 'from-scratch'}-{seed}",
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


def summarize_seeds(differences: list[float]) -> str:
    """Format the mean and Student's 95% interval; the seeds are treated as independent samples."""
    mean = statistics.mean(differences)
    if len(differences) < 2:
        return f"{100 * mean:+.1f} points (one seed: no interval)"
    error = statistics.stdev(differences) / len(differences) ** 0.5
    margin = float(stats.t.ppf(0.975, len(differences) - 1)) * error
    low, high = 100 * (mean - margin), 100 * (mean + margin)
    return f"{100 * mean:+.1f} points of accuracy (95% interval {low:+.1f} to {high:+.1f})"


def training_time(run: Run) -> str:
    report = run.report()
    return f"{report.cost.seconds:.0f} s"


def difference_in_points(pair: Any) -> str:
    return f"{100 * pair.difference:+.1f} ({100 * pair.low:+.1f} to {100 * pair.high:+.1f})"


if __name__ == "__main__":
    main()
