"""Measure size and time of our attention views against bertviz's head view, and the time of each explanation.

    python tests/benchmarks/explaining.py [RUN] [--examples 500] [--rounds 3]

RUN is a finished run of minilm on film reviews (``workbench run demo-full``), by default the newest of the workspace.
The views show a BERT-base with random weights, because their size does not depend on what was learned.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from _common import machine, spread
from transformers import BertConfig, BertModel

from workbench.explain import evaluate_dataset_faithfulness, explain
from workbench.explain.capture import Attention, attention_of
from workbench.explain.encoding import Encoded
from workbench.explain.render.canvas import canvas_view
from workbench.inference.predictor import Predictor
from workbench.runs.predictions import read_predictions
from workbench.runs.run import Run
from workbench.workspace import Workspace

SENTENCE = "a gripping , beautifully acted film that never loses its heart"
LENGTHS = (128, 256)  # tokens; bertviz fails on longer texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?")
    parser.add_argument("--examples", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(machine())
    measure_views(options.rounds)
    workspace = Workspace.current()
    finished = [run for run in Run.all(workspace) if run.state == "succeeded"]
    if options.run is None and not finished:
        print("There is no finished run. Name one to measure explanations.")
        return
    run = Run.open(options.run, workspace) if options.run else finished[-1]
    measure_explanations(run, options.rounds)
    measure_faithfulness(run, options.examples)


def timed(work: Callable[[], Any], rounds: int) -> tuple[Any, list[float]]:
    """Return the last result and the seconds of each round, after a warm-up round."""
    work()
    seconds, result = [], None
    for _ in range(rounds):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return result, seconds


def format_seconds(seconds: list[float]) -> str:
    """Format the median and spread."""
    return f"{spread(seconds, 2)} s"


def random_attention(length: int) -> Attention:
    """Return the attention of 12 layers x 12 heads over ``length`` random tokens."""
    torch.manual_seed(0)
    model = BertModel(BertConfig(), add_pooling_layer=False).eval()
    names = [f"token{i}" for i in range(length)]
    encoded = Encoded(
        names, names, [(8 * i, 8 * i + 7) for i in range(length)], [0] * length, [False] * length,
        list(range(length)), {"input_ids": torch.randint(1000, 30000, (1, length))},
    )  # fmt: skip
    return attention_of(model, encoded)


def measure_views(rounds: int) -> None:
    """Print size and time of our view and of bertviz's head view."""
    from bertviz import head_view

    for length in (*LENGTHS, 512):
        attention = random_attention(length)
        page, seconds = timed(lambda attention=attention: canvas_view(attention), rounds)
        size = len(page.encode())
        first_size = len(canvas_view(attention, source="/heads").encode())
        first_view = f"first view {first_size / 1e6:.2f} MB"
        print(f"{length} tokens: ours {size / 1e6:.1f} MB, {format_seconds(seconds)}; {first_view}")
        if length not in LENGTHS:
            continue
        layers = [torch.from_numpy(layer)[None] for layer in attention.weights]
        start = time.perf_counter()
        theirs = head_view(layers, attention.tokens, html_action="return").data
        elapsed = time.perf_counter() - start
        their_size = len(theirs.encode())
        print(
            f"    bertviz's head view: {their_size / 1e6:.0f} MB, {elapsed:.1f} s: "
            f"{their_size / size:.0f} times as large, {elapsed / statistics.median(seconds):.1f} times as slow"
        )


def measure_explanations(run: Run, rounds: int) -> None:
    """Print the time from click to heat map with a warm model, and of integrated gradients on 32 tokens."""
    from workbench.explain.render.static import token_heat_html

    predictor = Predictor.load(run)
    for method in ("attention", "rollout", "gradient-x-input", "occlusion", "integrated-gradients", "lime", "shapley"):
        _, seconds = timed(lambda method=method: token_heat_html(explain(predictor, SENTENCE, method)), rounds)
        print(f"{method}, a sentence: {format_seconds(seconds)} from click to heat map")
    words = " ".join([SENTENCE] * 4).split()
    explanation = None
    while explanation is None or len(explanation.tokens) > 32:
        explanation = explain(predictor, " ".join(words), "gradient-x-input")
        words.pop()
    text = explanation.text
    explanation, seconds = timed(lambda: explain(predictor, text, "integrated-gradients", tolerance=0.01), rounds)
    print(
        f"integrated gradients, {len(explanation.tokens)} tokens, tolerance 1%: {format_seconds(seconds)}, "
        f"{explanation.details['steps']} steps, completeness error {explanation.details['completeness_share']:.2%}"
    )


def measure_faithfulness(run: Run, count: int) -> None:
    """Print the faithfulness over a dataset, compared with random explanations, and its time."""
    predictor = Predictor.load(run)
    texts = [{"text": text} for text in read_predictions(run, ["input:text"])["input:text"][:count]]
    for method in ("gradient-x-input", "occlusion", "integrated-gradients"):
        start = time.perf_counter()
        result = evaluate_dataset_faithfulness(predictor, texts, method)
        print(f"{method}, faithfulness over {len(texts)}: {time.perf_counter() - start:.0f} s. {result.sentence}")


if __name__ == "__main__":
    main()
