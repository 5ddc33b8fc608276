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
import csv
import statistics
from typing import Any

from _common import fresh_workspace, machine, print_table
from _runs import whole_run
from scipy import stats

from workbench.check import load_spec, resolve
from workbench.data.load import load_data
from workbench.runs.compare import compare
from workbench.runs.run import Run
from workbench.spec import DataSpec
from workbench.workspace import Workspace

REVIEWS = {"train": "rotten-tomatoes", "split_seed": 0, "holdout": {"valid": 0, "test": 0.2}}


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
    files = divide(workspace)
    rows, differences = [], []
    for seed in range(given.seeds):
        pretrained = whole_run(pretraining(given, seed, files), workspace)
        name = f"run:{pretrained.id}"
        tuned = whole_run(fine_tuning(given, seed, files, {"source": name}), workspace)
        shape = {"source": "transformer-encoder", "size": "tiny", "tokenizer": {"source": name}}
        fresh = whole_run(fine_tuning(given, seed, files, shape), workspace)
        pair = compare([tuned, fresh], "accuracy").pairs[0]
        differences.append(pair.values[0] - pair.values[1])
        rows.append([str(seed), *(f"{value:.3f}" for value in pair.values), _difference(pair), cost(pretrained)])
        print(f"<!-- seed {seed}: {pair.verdict} -->", flush=True)
    print_table(["seed", "pretrained", "from nothing", "difference (95% over reviews)", "pretraining took"], rows)
    print(f"\nMean difference over seeds: {over_seeds(differences)}")


def divide(workspace: Workspace) -> dict[str, str]:
    """The reviews of some films to learn from, and those of other films to test on, as two files.

    Both specs read the same files: what pretraining meets and what is tested cannot overlap, whatever they hold out.
    """
    columns = resolve(load_spec("demo-full"), workspace).task.columns()
    data = load_data(DataSpec.model_validate(REVIEWS), columns, workspace)
    overlap = set(data.train.columns["text"]) & set(data.test.columns["text"])
    if overlap:
        raise SystemExit(f"{len(overlap)} reviews are on both sides: {sorted(overlap)[:3]}")
    files = {}
    for name, part in (("train", data.train), ("test", data.test)):
        files[name] = str(workspace.uploads / f"reviews-{name}.csv")
        with open(files[name], "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            writer.writerows(zip(part.columns["text"], part.columns["label"], strict=True))
    return files


def pretraining(given: argparse.Namespace, seed: int, files: dict[str, str]) -> dict[str, Any]:
    """Masked words of the training file; nothing of the test file."""
    return {
        "name": f"pretraining-{seed}",
        "task": "masked-lm",
        "data": {
            "train": files["train"],
            "max_length": 64,
            "holdout": {"valid": 0.02, "test": 0.02},
            "limit": {"train": given.pretraining_texts},
        },
        "model": {
            "source": "transformer-encoder",
            "size": "tiny",
            "tokenizer": {"train": "wordpiece", "vocab_size": 4000, "lowercase": True},
        },
        "training": {"epochs": given.pretraining_epochs, "learning_rate": 2e-3, "batch_size": 32, "seed": seed},
    }


def fine_tuning(given: argparse.Namespace, seed: int, files: dict[str, str], model: dict[str, Any]) -> dict[str, Any]:
    """The labelled part: the same for both, but for the model."""
    return {
        "name": f"{'pretrained' if model['source'].startswith('run:') else 'from-nothing'}-{seed}",
        "task": "text-classification",
        "data": {
            **files,
            "max_length": 64,
            "holdout": {"valid": 0.1, "test": 0},
            "limit": {"train": given.labelled, "valid": 200, "test": given.test},
        },
        "model": model,
        "training": {"epochs": given.epochs, "learning_rate": 5e-4, "batch_size": 16, "seed": seed},
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
    report = run.report() or {}
    return f"{report['cost']['seconds']:.0f} s"


def _difference(pair: Any) -> str:
    return f"{100 * pair.difference:+.1f} ({100 * pair.low:+.1f} to {100 * pair.high:+.1f})"


if __name__ == "__main__":
    main()
