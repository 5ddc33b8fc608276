"""Does pretraining pay? A tiny encoder pretrained on the domain's text against the same one from random weights.

    python tests/benchmarks/pretraining_pays.py [--seeds 5] [--pretraining-epochs 20] [--labelled 500]

Two specs through the library. The first learns masked words from the training part of the film reviews, without their
labels; the second fine-tunes it on 500 labelled reviews (``model: run:...``). Against it stands the second spec with a
new encoder of the same shape and the same tokenizer. Each seed is a pretraining, a fine-tuning and a training from
nothing of its own; test reviews are of films that no training has seen, which the script checks. Told is the mean
difference of accuracy over seeds with Student's 95% interval, and the library's own comparison for each seed.
About an hour on two cores.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from _common import fresh_workspace, machine, print_table
from _runs import whole_run
from scipy import stats

from workbench.files import read_json
from workbench.runs.compare import compare
from workbench.runs.run import Run

DATA = {"train": "rotten-tomatoes", "max_length": 64, "split_seed": 0, "holdout": {"valid": 0.1, "test": 0.2}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--labelled", type=int, default=500)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--pretraining-epochs", type=float, default=20)
    parser.add_argument("--epochs", type=float, default=10)
    parser.add_argument("--pretraining-texts", type=int, help="fewer texts, to try the script out")
    given = parser.parse_args()
    workspace = fresh_workspace()
    print(f"{machine()}; {given.seeds} seeds, {given.labelled} labelled reviews\n")
    rows, differences = [], []
    for seed in range(given.seeds):
        pretrained = whole_run(pretraining(given, seed), workspace)
        name = f"run:{pretrained.id}"
        tuned = whole_run(fine_tuning(given, seed, {"source": name}), workspace)
        shape = {"source": "transformer-encoder", "size": "tiny", "tokenizer": {"source": name}}
        fresh = whole_run(fine_tuning(given, seed, shape), workspace)
        check_nothing_leaks(pretrained, tuned, fresh)
        pair = compare([tuned, fresh], "accuracy").pairs[0]
        differences.append(pair.values[0] - pair.values[1])
        rows.append([str(seed), *(f"{value:.3f}" for value in pair.values), _difference(pair), cost(pretrained)])
        print(f"<!-- seed {seed}: {pair.verdict} -->", flush=True)
    print_table(["seed", "pretrained", "from nothing", "difference (95% over reviews)", "pretraining took"], rows)
    print(f"\nMean difference over seeds: {over_seeds(differences)}")


def pretraining(given: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Masked words of the training part; its validation and test part are the other spec's, and stay unseen."""
    return {
        "name": f"pretraining-{seed}",
        "task": "masked-lm",
        "data": {**DATA, "limit": {"train": given.pretraining_texts, "valid": 200, "test": 200}},
        "model": {
            "source": "transformer-encoder",
            "size": "tiny",
            "tokenizer": {"train": "wordpiece", "vocab_size": 4000, "lowercase": True},
        },
        "training": {"epochs": given.pretraining_epochs, "learning_rate": 2e-3, "batch_size": 32, "seed": seed},
    }


def fine_tuning(given: argparse.Namespace, seed: int, model: dict[str, Any]) -> dict[str, Any]:
    """The labelled part: the same for both, but for the model."""
    return {
        "name": f"{'pretrained' if model['source'].startswith('run:') else 'from-nothing'}-{seed}",
        "task": "text-classification",
        "data": {**DATA, "limit": {"train": given.labelled, "valid": 200, "test": given.test}},
        "model": model,
        "training": {"epochs": given.epochs, "learning_rate": 5e-4, "batch_size": 16, "seed": seed},
    }


def check_nothing_leaks(pretrained: Run, *others: Run) -> None:
    """No text of a test part was met in pretraining, and both others were tested on the same ones."""
    seen, *tested = (read_json(run.folder / "splits.json")["ids"] for run in (pretrained, *others))
    for ids in tested:
        met = set(ids["test"]) & set(seen["train"])
        if met or ids["test"] != tested[0]["test"]:
            raise SystemExit(f"{len(met)} test reviews were in the pretraining text, or the test parts differ.")


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
    report = run.report() or {}
    return f"{report['cost']['seconds']:.0f} s"


def _difference(pair: Any) -> str:
    return f"{100 * pair.difference:+.1f} ({100 * pair.low:+.1f} to {100 * pair.high:+.1f})"


if __name__ == "__main__":
    main()
