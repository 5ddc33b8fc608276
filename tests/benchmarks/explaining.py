"""How large and how quick looking inside is: ours against bertviz's head view, and each explanation by itself.

    python tests/benchmarks/explaining.py [RUN] [--examples 500] [--rounds 3]

RUN is a finished run of minilm on film reviews (`workbench run demo-full`); by default the newest of the workspace. The
pictures are of a BERT-base with random weights: their size does not depend on what was learned.
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
LENGTHS = (128, 256)  # at which both are drawn; bertviz fails beyond


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?")
    parser.add_argument("--examples", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(machine())
    pictures(options.rounds)
    workspace = Workspace.current()
    result = [run for run in Run.all(workspace) if run.state == "succeeded"]
    if options.run is None and not result:
        print("There is no finished run: name one to measure explanations.")
        return
    run = Run.open(options.run, workspace) if options.run else result[-1]
    explanations(run, options.rounds)
    over_examples(run, options.examples)


def timed(work: Callable[[], Any], rounds: int) -> tuple[Any, list[float]]:
    """The last result, and the seconds of each round; one round before is not counted."""
    work()
    seconds, result = [], None
    for _ in range(rounds):
        began = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - began)
    return result, seconds


def messages(seconds: list[float]) -> str:
    """Median and spread."""
    return f"{spread(seconds, 2)} s"


def random_attention(length: int) -> Attention:
    """12 layers x 12 heads over ``length`` tokens."""
    torch.manual_seed(0)
    model = BertModel(BertConfig(), add_pooling_layer=False).eval()
    names = [f"token{i}" for i in range(length)]
    encoded = Encoded(
        names, names, [(8 * i, 8 * i + 7) for i in range(length)], [0] * length, [False] * length,
        list(range(length)), {"input_ids": torch.randint(1000, 30000, (1, length))},
    )  # fmt: skip
    return attention_of(model, encoded)


def pictures(rounds: int) -> None:
    from bertviz import head_view

    for length in (*LENGTHS, 512):
        attention = random_attention(length)
        page, seconds = timed(lambda attention=attention: canvas_view(attention), rounds)
        size = len(page.encode())
        first = len(canvas_view(attention, source="/heads").encode())
        print(f"{length} tokens: ours {size / 1e6:.1f} MB, {messages(seconds)}; first view {first / 1e6:.2f} MB")
        if length not in LENGTHS:
            continue
        layers = [torch.from_numpy(layer)[None] for layer in attention.weights]
        began = time.perf_counter()
        theirs = head_view(layers, attention.tokens, html_action="return").data
        spent = time.perf_counter() - began
        print(
            f"    bertviz's head view: {len(theirs.encode()) / 1e6:.0f} MB, {spent:.1f} s: "
            f"{len(theirs.encode()) / size:.0f} times as large, {spent / statistics.median(seconds):.1f} times as long"
        )


def explanations(run: Run, rounds: int) -> None:
    """From click to picture with a warm model, and integrated gradients of 32 tokens."""
    from workbench.explain.render.static import token_heat_html

    predictor = Predictor.load(run)
    for method in ("attention", "rollout", "gradient-x-input", "occlusion", "integrated-gradients", "lime", "shapley"):
        _, seconds = timed(lambda method=method: token_heat_html(explain(predictor, SENTENCE, method)), rounds)
        print(f"{method}, a sentence: {messages(seconds)} from click to picture")
    words = " ".join([SENTENCE] * 4).split()
    result = None
    while result is None or len(result.tokens) > 32:
        result = explain(predictor, " ".join(words), "gradient-x-input")
        words.pop()
    result, seconds = timed(lambda: explain(predictor, result.text, "integrated-gradients", tolerance=0.01), rounds)
    print(
        f"integrated gradients, {len(result.tokens)} tokens, tolerance 1%: {messages(seconds)}, "
        f"{result.details['steps']} steps, completeness error {result.details['completeness_share']:.2%}"
    )


def over_examples(run: Run, count: int) -> None:
    """Faithfulness over a data set, and a true explanation beside a random one."""
    predictor = Predictor.load(run)
    texts = [{"text": text} for text in read_predictions(run, ["input:text"])["input:text"][:count]]
    for method in ("gradient-x-input", "occlusion", "integrated-gradients"):
        began = time.perf_counter()
        result = evaluate_dataset_faithfulness(predictor, texts, method)
        print(f"{method}, faithfulness over {len(texts)}: {time.perf_counter() - began:.0f} s. {result.sentence}")


if __name__ == "__main__":
    main()
