"""What a user gets who changes nothing: runs with `model: auto` and default settings, against the simple baseline.

    python tests/benchmarks/defaults.py [--only chinese-topics,films] [--rows 2000] [--tunings default,head]

Each set of the catalogue becomes a file as users have one (JSON lines, whose language is detected), with at
most --rows training rows. Each run is a process of its own. The table has the metric, the best simple baseline, the
paired improvement with its 95% interval, and what the report says if the interval is not above zero: the sentence must
be there whenever it is not. `--tunings head` measures the solved head on the model that `auto` chooses, and
`--tunings default,head` both; with --seeds, the seeds of the split and of the training vary. OMP_NUM_THREADS sets the
number of threads. One to thirty minutes a set on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

from _common import fresh_workspace, machine, print_table
from presets import with_interval

from workbench.check import resolve
from workbench.data.load import load_data
from workbench.runs.run import Run
from workbench.spec import DataSpec, RunSpec
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

# name: the task, the set of the catalogue, and settings that the task needs (generated texts have no model by default)
SETS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "intents": ("text-classification", "banking77", {"data.max_length": 64}),
    "films": ("text-classification", "rotten-tomatoes", {}),
    "chinese-topics": ("text-classification", "tnews", {}),
    "finance": ("text-classification", "financial-phrasebank", {}),
    "requests": ("text-classification", "snips", {"data.max_length": 64}),
    "hotels": ("text-classification", "chnsenticorp-hotel", {}),
    "wire": ("text-classification", "reuters-r8", {}),
    "newsgroups": ("text-classification", "newsgroups-20", {"data.max_length": 256}),
    "relations": ("relation-extraction", "semeval2010-task8", {}),
    "names": ("token-classification", "wikigold", {}),
    "slots": ("token-classification", "snips-slots", {}),
    "chinese-names": ("token-classification", "cluener", {}),
    "questions": ("question-answering", "xquad-en", {"data.max_length": 384}),
    "german-questions": ("question-answering", "xquad-de", {"data.max_length": 256}),
    "chinese-questions": ("question-answering", "xquad-zh", {"data.max_length": 256}),
    "answers": ("sentence-similarity", "chatterbot-faq-en", {}),
    "summaries": ("summarization", "scitldr", {"model": "smollm2", "task.architecture": "decoder", "tuning": "lora"}),
    "translation": ("translation", "tatoeba-en-zh", {"model": "transformer-encoder-decoder"}),
}
TEST_ROWS = 1_000
HEAD = ["set", "training rows", "model", "seconds", "metric", "model's", "baseline", "improvement", "the report says"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(SETS), help="comma-separated names")
    parser.add_argument("--rows", type=int, default=2_000, help="largest number of training rows")
    parser.add_argument("--tunings", default="default", help="comma-separated fine-tuning methods")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="another setting, for all")
    options = parser.parse_args()
    workspace = fresh_workspace()
    print(f"{machine()}; threads: {os.environ.get('OMP_NUM_THREADS', 'as torch chooses')}\n")
    changes = dict(pair.split("=", 1) for pair in options.set)
    rows = []
    for name in options.only.split(","):
        for tuning, seed in product(options.tunings.split(","), range(options.seeds)):
            seeds = {"training.seed": seed, "data.split_seed": seed} if options.seeds > 1 else {}
            method = {} if tuning == "default" else {"tuning": tuning}
            rows.append(measure(name, options.rows, {**method, **seeds, **changes}, workspace))
            print("<!-- " + " | ".join(rows[-1]) + " -->", flush=True)
    print()
    print_table(HEAD, rows)


def measure(name: str, count: int, more: dict[str, Any], workspace: Workspace) -> list[str]:
    """Run a set; return its row of the table."""
    task, dataset, changes = SETS[name]
    folder = workspace.root / name
    files = write_files(task, dataset, count, workspace, folder)
    spec = RunSpec.parse({"task": task, "data": files, "model": "auto"}).changed({**changes, **more})
    run = Run.create(resolve(spec, workspace).spec, workspace)
    start = time.monotonic()
    command = [sys.executable, "-m", "workbench", "run-folder", str(run.folder)]
    subprocess.run(command, check=False, capture_output=True)
    seconds, report = time.monotonic() - start, run.report()
    if report is None:
        return [name, "", "", f"{seconds:.0f}", "", f"{run.state}: {run.status().error}", "", "", ""]
    metric = report.primary_metric
    gain = report.gain.get(metric)
    notes = [note for note in report.notes if "simple baseline" in note]
    return [
        name,
        f"{report.examples['train']:,}",
        f"{run.spec().model.source}, {run.spec().tuning.method}, seed {run.spec().training.seed}",
        f"{seconds:.0f}",
        metric,
        with_interval(report.metrics[metric]),
        f"{report.baseline[metric]:.4g} ({report.baseline_name})",
        with_interval(gain) if gain is not None else "",
        notes[0].partition(f" ({metric} ")[0] if notes else "",
    ]


def write_files(task: str, dataset: str, count: int, workspace: Workspace, folder: Path) -> dict[str, str]:
    """Write the splits of a catalogued set as JSON lines with the task's own column names; return their paths."""
    folder.mkdir(exist_ok=True)
    columns = tasks.get(task)().columns()
    data = load_data(DataSpec.model_validate({"train": dataset}), columns, workspace)
    paths = {}
    for split, most in (("train", count), ("test", TEST_ROWS)):
        examples = data.split(split)  # type: ignore[arg-type]
        names = [column.role for column in columns if column.role in examples.columns]
        table = [dict(zip(names, row, strict=True)) for row in zip(*(examples.columns[n] for n in names), strict=True)]
        step = max(1, len(table) // most)  # evenly spaced: files are often sorted
        path = folder / f"{split}.jsonl"
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in table[::step][:most]]
        path.write_text("".join(lines), encoding="utf-8")
        paths[split] = str(path)
    return paths


if __name__ == "__main__":
    main()
