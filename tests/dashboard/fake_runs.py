"""Writes run folders with the documented files, without training anything: python -m tests.dashboard.fake_runs HOME."""

from __future__ import annotations

import json
import math
import random
import shutil
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from workbench.files import append_line
from workbench.locks import Lock
from workbench.runs.lr_range_test import analyze, loss_curve
from workbench.runs.run import Run
from workbench.runs.tags import update_tags as note
from workbench.spec import RunSpec
from workbench.workspace import Workspace

LABELS = ["negative", "positive"]
_held: list[Lock] = []
PHASES = {"queued": 0.0, "running": 0.4, "succeeded": 1.0, "failed": 0.3, "stopped": 0.5, "interrupted": 0.6}
ERROR = {
    "kind": "OutOfMemory",
    "message": "The run needed 9.1 GB and the machine had 7.8 GB free.",
    "hint": "Lower training.batch_size, data.max_length or training.max_tokens_per_batch.",
}


def fake_run(
    workspace: Workspace,
    state: str = "succeeded",
    name: str | None = None,
    tuning: str = "full",
    seed: int = 0,
    labels: list[str] | None = None,
    log: str = "Epoch 1 of 2\nEpoch 2 of 2\n",
    notes: str = "",
    steps: int = 120,
    examples: int = 60,
    changes: dict[str, Any] | None = None,
) -> Run:
    """One run in ``state``, with curves, log, report and predictions as far as such a run has them."""
    labels = labels or LABELS
    spec = RunSpec.parse(
        {
            "name": name,
            "notes": notes,
            "task": "text-classification",
            "data": {"train": "rotten-tomatoes", "limit": {"train": 2000}},
            "model": "minilm",
            "tuning": {"method": tuning, **({"rank": 8} if tuning == "lora" else {})},
            "training": {"epochs": 2, "seed": seed},
        }
    )
    run = Run.create(spec.changed(changes) if changes else spec, workspace)
    done = int(steps * PHASES.get(state, 1.0))
    progress = {"step": done, "steps": steps, "epoch": 2 * done / steps, "seconds_left": 130.0, "phase": "training"}
    if state != "queued":
        _write_metrics(run, done, steps, seed)
        run.log_file.write_text(log, encoding="utf-8")
        _write(run, "data.json", data_report(labels))
    stored: dict[str, Any] = {"state": "running" if state == "interrupted" else state, "progress": progress}
    if state == "running":  # as its process would; freed when this process ends
        lock = run.process_lock()
        lock.acquire()
        _held.append(lock)
    if state == "failed":
        stored["error"] = ERROR
    run.update_status(**stored)
    if state == "succeeded":
        _write(run, "report.json", report(labels, seed, tuning))
        _write_predictions(run, labels, seed, examples)
    return run


def fake_range_test(workspace: Workspace, state: str = "succeeded", steps: int = 100) -> Run:
    """A range test whose loss falls from about 1e-4 on and explodes near 1e-1."""
    run = fake_run(workspace, "queued", changes={"kind": "learning-rate-range-test"})
    done = steps if state == "succeeded" else steps // 2
    random_ = random.Random(0)
    rows = []
    for step in range(done):
        rate = 1e-7 * 1e7 ** (step / (steps - 1))
        loss = 0.69 - 0.2 / (1 + (3e-3 / rate) ** 1.5) + (rate / 0.1) ** 2 + 0.01 * random_.random()
        rows.append({"step": step + 1, "epoch": step / 60, "time": 0.1 * step, "tokens": 600 * step})
        rows[-1] |= {"train/loss": loss, "train/learning_rate": rate, "train/gradient_norm": 1.0}
        run.append_metrics(rows[-1])
    run.update_status(state=state)
    if state == "succeeded":
        result = analyze(*loss_curve(rows)).as_dict()
        cost = report(LABELS)["cost"]
        _write(run, "report.json", {"metrics": {}, "primary_metric": None, "range_test": result, "cost": cost})
    return run


def fake_language_run(workspace: Workspace, state: str = "succeeded", name: str = "storyteller") -> Run:
    """A run of a language model: perplexity instead of accuracy, no labels, and samples of what it writes."""
    run = fake_run(workspace, "queued", name=name, changes={"task": "causal-lm"})
    for step in range(1, 101):
        loss = 2 + 6.98 * 0.97**step
        row = {"step": step, "epoch": step / 50, "time": 0.3 * step, "tokens": 4096 * step, "train/loss": loss}
        row |= {"train/learning_rate": 1e-3 * (1 - step / 100), "train/tokens_per_second": 13_000.0}
        if step % 25 == 0:
            row |= {"eval/loss": loss, "eval/perplexity": math.exp(loss), "eval/bits_per_byte": loss / 2.1}
            row |= {"eval/accuracy": 0.4 - 0.3 * 0.97**step}
            for prompt in ("A young man", "The war <b>", "名前は"):
                sample = {"step": step, "prompt": prompt, "text": f"{prompt} who <script>alert({step})</script> lives"}
                append_line(run.samples_file, sample)
        run.append_metrics(row)
    run.update_status(state=state)
    if state == "succeeded":
        values = {"loss": 2.33, "perplexity": 10.28, "bits_per_byte": 1.11, "accuracy": 0.386}
        metrics = {n: {"value": v, "low": 0.97 * v, "high": 1.03 * v} for n, v in values.items()}
        cost = report(LABELS)["cost"] | {"mfu": 0.123, "flops_per_token": 1e6, "peak_flops": 1e11}
        baseline = {"loss": 6.1, "perplexity": 446.0, "bits_per_byte": 2.9, "accuracy": 0.05}
        note = "train: 1,200 documents were packed into 310 rows of 64 tokens, 97.1% full."
        _write(
            run,
            "report.json",
            {"metrics": metrics, "baseline": baseline, "baseline_name": "token frequencies", "cost": cost}
            | {"primary_metric": "loss", "notes": [note]},
        )
    return run


LONG = "a name of eighty characters as people who vary one setting after another give it"[:80]


def many_runs(workspace: Workspace, count: int) -> list[Run]:
    """So many ended runs, an hour apart. A few are made, and the others are copies of these."""
    made = [fake_run(workspace, seed=0), fake_run(workspace, tuning="lora", seed=1), fake_run(workspace, "failed")]
    made += [fake_run(workspace, "stopped"), fake_run(workspace, seed=2), fake_run(workspace, tuning="lora", seed=3)]
    for index in range(count - len(made)):
        source, when = made[index % len(made)], datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=index)
        copy = Run(workspace.runs / f"{when:%Y%m%d-%H%M%S}-run-{index}-{index:04x}")
        shutil.copytree(source.folder, copy.folder)
        copy.update_status(created=when.isoformat(), title=f"run-{index}")
    return Run.all(workspace)


def long_names(workspace: Workspace) -> None:
    """Runs whose names, labels and tags are as long as can be."""
    labels = [f"{LONG}, first label", f"{LONG}, second label"]
    for number, state in enumerate(("succeeded", "succeeded", "failed", "stopped")):
        run = fake_run(workspace, state, name=f"{LONG[:78]} {number}", seed=number, labels=labels, notes=LONG)
        note(run, tags=[LONG[:40], LONG[-40:]], notes=LONG)


def damaged_run(workspace: Workspace) -> Run:
    """A folder whose status and spec are half written, and whose last metric line is torn."""
    run = fake_run(workspace, "stopped", name="damaged")
    run.status_file.write_text('{"state": "suc', encoding="utf-8")
    run.spec_file.write_text("task: [unclosed\n", encoding="utf-8")
    with open(run.metrics_file, "a", encoding="utf-8") as file:
        file.write('{"step": 99, "train/lo')
    return run


def report(labels: list[str], seed: int = 0, tuning: str = "full") -> dict[str, Any]:
    """``report.json`` of a finished run."""
    value = 0.79 + 0.004 * seed - (0.03 if tuning == "lora" else 0)
    metrics = {
        name: {"value": v, "low": v - 0.025, "high": v + 0.024}
        for name, v in (("accuracy", value), ("macro_f1", value - 0.01), ("matthews", 2 * value - 1))
    }
    trained = 22_713_986 if tuning == "full" else 148_226
    return {
        "metrics": metrics,
        "baseline": {"accuracy": 0.52, "macro_f1": 0.34, "matthews": 0.0},
        "baseline_name": "always 'fresh' (most frequent in training)",
        "cost": {
            "seconds": 71.5 if tuning == "full" else 58.2,
            "tokens_per_second": 2210.0,
            "peak_memory_bytes": 1_450_000_000,
            "trained_parameters": trained,
            "total_parameters": 22_713_986,
        },
        "primary_metric": "accuracy",
        "labels": labels,
        "confusion": [[400, 90], [110, 400]],
        "per_class": {label: {"precision": 0.79, "recall": 0.8, "f1": 0.795, "count": 500} for label in labels},
        "notes": [],
    }


def data_report(labels: list[str]) -> dict[str, Any]:
    """``data.json`` of a run."""
    return {"rows": {"train": 2000, "valid": 200, "test": 1000}, "labels": {label: 1000 for label in labels}}


def _write(run: Run, name: str, value: Any) -> None:
    (run.folder / name).write_text(json.dumps(value), encoding="utf-8")


def _write_metrics(run: Run, done: int, steps: int, seed: int) -> None:
    random_ = random.Random(seed)
    for step in range(1, done + 1):
        row: dict[str, Any] = {"step": step, "epoch": 2 * step / steps, "time": step * 0.6, "tokens": step * 800}
        row["train/loss"] = 0.7 * 0.985**step + 0.05 * random_.random()
        row["train/learning_rate"] = 5e-5 * (1 - step / steps)
        row["train/gradient_norm"] = 1 + random_.random()
        row["train/tokens_per_second"] = 2200 + 50 * random_.random()
        if step % 20 == 0:
            row |= {"eval/loss": 0.69 * 0.99**step, "eval/accuracy": min(0.8, 0.5 + 0.003 * step)}
        run.append_metrics(row)


def _write_predictions(run: Run, labels: list[str], seed: int, examples: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    random_ = random.Random(seed)
    gold = [labels[i % len(labels)] for i in range(examples)]
    right = [random_.random() < 0.8 for _ in gold]
    predicted = [g if r else labels[(labels.index(g) + 1) % len(labels)] for g, r in zip(gold, right, strict=True)]
    score = [0.55 + 0.4 * random_.random() for _ in gold]
    columns: dict[str, list[Any]] = {
        "id": [f"row-{i:04d}" for i in range(examples)],
        "input:text": [f"a fine film, number {i}, with a long second act" for i in range(examples)],
        "gold": gold,
        "prediction": predicted,
        "score": score,
        "correct": right,
    }
    for label in labels:
        columns[f"score:{label}"] = [
            s if p == label else (1 - s) / max(1, len(labels) - 1) for s, p in zip(score, predicted, strict=True)
        ]
    pq.write_table(pa.table(columns), run.folder / "predictions.parquet")


if __name__ == "__main__":
    home = Workspace(Path(sys.argv[1]).absolute()).create()
    fake_run(home)
    fake_run(home, tuning="lora", seed=1)
    for each in sys.argv[2:]:
        damaged_run(home) if each == "damaged" else fake_run(home, each, name=each)
    while _held:
        time.sleep(1)  # the runs that are running live as long as this does
