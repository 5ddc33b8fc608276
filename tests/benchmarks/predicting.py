"""Compare prediction with transformers' pipeline at its best settings, in one process, round by round.

    python tests/benchmarks/predicting.py [--texts 10000] [--rounds 3] [--profile]

A MiniLM classifier and short texts: snippets of film reviews (rotten-tomatoes), repeated with a number in front until
there are enough. The pipeline reads them sorted by length, in batches of 64, with weights in the same number format as
ours; sorting is not part of its time. Ours starts from the texts in their own order and ends with the answers in that
order. The labels of both are compared. ``--file`` also measures ``workbench predict --file`` with its start, and the
memory of that process. ``--profile`` prints where our time goes instead.
"""

from __future__ import annotations

import argparse
import cProfile
import csv
import os
import pstats
import resource
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from _common import fresh_workspace, machine, print_table, speedups, spread
from _runs import execute_run
from transformers import TextClassificationPipeline

from workbench.data.load import load_texts
from workbench.inference.predictor import Predictor
from workbench.inference.streaming import answer_windows
from workbench.spec import DataSpec
from workbench.training.core.device import Device

warnings.simplefilter("ignore")
WINDOW = 2048


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"], help="default: the native one, and fp32")
    parser.add_argument("--file", type=int, default=0, metavar="ROWS", help="rows of a file for workbench predict")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    workspace = fresh_workspace()
    run = execute_run(
        {
            "task": "text-classification",
            "data": {"train": "rotten-tomatoes", "limit": {"train": 300, "valid": 50, "test": 50}},
            "model": "minilm",
            "training": {"max_steps": 10, "device": options.device},
        },
        workspace,
    )
    snippets, _ = load_texts(DataSpec(train="rotten-tomatoes"), workspace)
    texts = [f"{i // len(snippets)} {snippets[i % len(snippets)]}" for i in range(options.texts)]
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the run has handled it
    native = Device.choose(options.device, "auto").precision
    print(f"{machine()}; {torch.get_num_threads()} threads; {len(texts):,} texts\n")
    if options.profile:
        profile(ours(Predictor.load(run, options.device, options.precision or "auto"), texts))
        return
    compare(
        run,
        options.device,
        texts,
        options.rounds,
        dict.fromkeys([options.precision] if options.precision else [native, "fp32"]),
    )
    if options.file:
        predict_file(run, [texts[i % len(texts)] for i in range(options.file)], workspace.root)


def compare(run: Any, device: str, texts: Sequence[str], rounds: int, precisions: dict[str, None]) -> None:
    """Time both in each number format, in turns."""
    rows = []
    for precision in precisions:
        predictor = Predictor.load(run, device, precision)
        variants = {"pipeline": pipeline(predictor, texts), "ours": ours(predictor, texts)}
        seconds: dict[str, list[float]] = {name: [] for name in variants}
        labels: dict[str, list[str]] = {}
        for number in range(rounds):
            for name in list(variants) if number % 2 == 0 else list(reversed(variants)):
                start = time.perf_counter()
                labels[name] = variants[name]()
                seconds[name].append(time.perf_counter() - start)
                print(f"<!-- round {number + 1}: {name}, {precision}: {seconds[name][-1]:.2f} s -->", flush=True)
        same = sum(a == b for a, b in zip(*labels.values(), strict=True)) / len(texts)
        for name, values in seconds.items():
            speed = spread([len(texts) / value for value in values], 0)
            ratio = spread(speedups(seconds["pipeline"], values), 2) if name == "ours" else ""
            rows.append([name, precision, spread(values), speed, ratio, f"{same:.2%}" if name == "ours" else ""])
    print_table(["variant", "precision", "seconds", "texts/s", "speedup over the pipeline", "same labels"], rows)


def pipeline(predictor: Predictor, texts: Sequence[str]) -> Callable[[], list[str]]:
    """Return a function that predicts with transformers' pipeline, with the same weights."""
    classify = TextClassificationPipeline(
        model=predictor.model, tokenizer=predictor.tokenizer, device=predictor.model.device
    )
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    in_order = [texts[i] for i in order]

    def predict() -> list[str]:
        answers = classify(in_order, batch_size=64, truncation=True, max_length=predictor.max_length, top_k=None)
        labels = [""] * len(texts)
        for i, answer in zip(order, answers, strict=True):
            labels[i] = answer[0]["label"]
        return labels

    return predict


def ours(predictor: Predictor, texts: Sequence[str]) -> Callable[[], list[str]]:
    """Return a function that predicts as ``workbench predict`` does."""

    def predict() -> list[str]:
        windows = ([{"text": text} for text in texts[i : i + WINDOW]] for i in range(0, len(texts), WINDOW))
        answered = answer_windows(predictor, windows)
        return [answer.label for window in answered for answer in window.answers]

    return predict


def predict_file(run: Any, texts: Sequence[str], folder: Path) -> None:
    """Time ``workbench predict --file`` in a process of its own, from its start to its end."""
    source, out = folder / "texts.csv", folder / "answers.csv"
    with open(source, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text"])
        writer.writerows([text] for text in texts)
    command = [sys.executable, "-m", "workbench", "predict", run.id, "--file", str(source), "--out", str(out)]
    start = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ}, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"\nworkbench predict --file: {len(texts):,} rows, {seconds:.1f} s with its start, at most {peak:.0f} MB")


def profile(work: Callable[[], object]) -> None:
    """Print the functions in which most time is spent."""
    work()
    profiler = cProfile.Profile()
    profiler.runcall(work)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
