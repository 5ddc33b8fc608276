"""Paired bootstrap of F1, BLEU, chrF and ROUGE: each resample equals what other packages compute for its examples.

A corpus metric is computed again from the examples of each resample. For BLEU, chrF and entity F1, a mean of the
sentences' own scores would differ; for ROUGE, which is such a mean, it is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer
from seqeval.metrics import f1_score

from tests.unit.compare.test_compare import make_run
from workbench.compare import differences as module
from workbench.compare.differences import compare
from workbench.files import write_json
from workbench.metrics import overlap, scores
from workbench.metrics.measures import Measure
from workbench.runs.predictions import write_predictions
from workbench.runs.run import Run
from workbench.workspace import Workspace

RESAMPLES = 40
WORDS = ["the", "a", "film", "plot", "actor", "shines", "bores", "moves", "slowly", "and", "never", "ends", "well"]


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESAMPLES", RESAMPLES)


def sentences(count: int, seed: int = 0) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, generator.integers(5, 14))) for _ in range(count)]


def rewritten(texts: Sequence[str], share: float, seed: int) -> list[str]:
    """Return the texts with a share of their words replaced, some of them cut."""
    generator = np.random.default_rng(seed)
    out = []
    for text in texts:
        words = [str(generator.choice(WORDS)) if generator.random() < share else word for word in text.split()]
        out.append(" ".join(words[: generator.integers(4, len(words) + 1)]))
    return out


def measured_run(workspace: Workspace, sums: dict[str, Any], measures: dict[str, Measure]) -> Run:
    count = len(next(iter(sums.values())))
    run = make_run(workspace, [])
    names = [f"{i:05d}" for i in range(count)]
    rows = {"id": names, "gold": names, "prediction": names, "tokens": [1.0] * count}
    write_predictions(run, rows | {name: list(map(float, column)) for name, column in sums.items()})
    write_json(run.report_file, {"measures": {name: list(each) for name, each in measures.items()}})
    return run


def resamples(count: int) -> list[list[int]]:
    """Return the examples of each resample, from the seed that the comparison uses."""
    chunks = scores.resample_counts(np.ones(count, dtype=np.int64), RESAMPLES, np.random.default_rng(module.SEED))
    return [np.repeat(np.arange(count), times).tolist() for times in np.concatenate(list(chunks))]


def assert_bootstrap_equals(
    runs: Sequence[Run], metric: str, count: int, score: Callable[[int, Sequence[int]], float]
) -> None:
    """Assert that every resample of the comparison equals ``score(run, examples)``."""
    result = compare(runs, metric)
    all_examples = range(count)
    assert result.values == pytest.approx([score(0, all_examples), score(1, all_examples)], abs=1e-9)
    differences = np.array([score(0, picks) - score(1, picks) for picks in resamples(count)])
    assert (result.low, result.high) == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=1e-9)
    fewer = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    assert result.p_value == pytest.approx(min(1, 2 * (fewer + 1) / (RESAMPLES + 1)))
    assert result.test == f"paired bootstrap, {RESAMPLES} resamples"


@pytest.fixture
def corpora() -> tuple[list[str], list[list[str]]]:
    references = sentences(50)
    return references, [rewritten(references, 0.25, 1), rewritten(references, 0.4, 2)]


def test_bleu_of_each_sample_agrees_with_sacrebleu(
    workspace: Workspace, corpora: tuple[list[str], list[list[str]]]
) -> None:
    references, written = corpora
    runs = [measured_run(workspace, overlap.bleu_counts(w, references, "13a"), {"bleu": overlap.BLEU}) for w in written]

    def bleu(run: int, picks: Sequence[int]) -> float:
        texts, chosen_references = [written[run][i] for i in picks], [references[i] for i in picks]
        return sacrebleu.corpus_bleu(texts, [chosen_references]).score / 100

    assert_bootstrap_equals(runs, "bleu", len(references), bleu)
    mean_of_sentences = np.mean([bleu(0, [i]) for i in range(len(references))])
    # A mean over sentences is a different metric.
    assert abs(mean_of_sentences - bleu(0, range(len(references)))) > 0.005


def test_chrf_of_each_sample_agrees_with_sacrebleu(
    workspace: Workspace, corpora: tuple[list[str], list[list[str]]]
) -> None:
    references, written = corpora
    runs = [measured_run(workspace, overlap.chrf_counts(w, references), {"chrf": overlap.CHRF}) for w in written]

    def chrf(run: int, picks: Sequence[int]) -> float:
        texts, chosen_references = [written[run][i] for i in picks], [references[i] for i in picks]
        return sacrebleu.corpus_chrf(texts, [chosen_references]).score / 100

    assert_bootstrap_equals(runs, "chrf", len(references), chrf)


@pytest.mark.parametrize("metric", ["rouge1", "rouge2", "rougeL"])
def test_rouge_of_each_sample_agrees_with_rouge_score(
    workspace: Workspace, corpora: tuple[list[str], list[list[str]]], metric: str
) -> None:
    references, written = corpora
    scorer = RougeScorer([metric], use_stemmer=False)
    single = [[scorer.score(r, w)[metric].fmeasure for r, w in zip(references, each, strict=True)] for each in written]
    count = len(references)
    runs = [
        measured_run(
            workspace,
            {**overlap.rouge_scores(w, [[r] for r in references]), "examples": np.ones(count)},
            {metric: ("ratio", metric, "examples")},
        )
        for w in written
    ]
    assert_bootstrap_equals(runs, metric, count, lambda run, picks: float(np.mean([single[run][i] for i in picks])))


def test_entity_f1_of_each_sample_agrees_with_seqeval(workspace: Workspace) -> None:
    """Every sentence has four words, and each entity is one word."""
    generator = np.random.default_rng(6)
    tags = np.array(["O", "B-PER", "B-LOC"])
    count = 60
    gold = tags[generator.choice(3, (count, 4), p=[0.7, 0.2, 0.1])]
    predictions = [
        np.where(generator.random(gold.shape) < p, gold, tags[generator.choice(3, gold.shape)]) for p in (0.9, 0.7)
    ]
    sums = [
        {
            "hits": ((gold == each) & (gold != "O")).sum(axis=1),
            "predicted": (each != "O").sum(axis=1),
            "gold_entities": (gold != "O").sum(axis=1),
        }
        for each in predictions
    ]
    measure = {"entity_f1": ("f1", "hits", "predicted", "gold_entities")}
    runs = [measured_run(workspace, each, measure) for each in sums]

    def f1(run: int, picks: Sequence[int]) -> float:
        return float(f1_score([gold[i].tolist() for i in picks], [predictions[run][i].tolist() for i in picks]))

    assert_bootstrap_equals(runs, "entity_f1", count, f1)


def test_both_runs_are_scored_on_the_same_samples(workspace: Workspace) -> None:
    """Two runs that differ in one example: unpaired resamples would make the interval a hundred times as wide."""
    generator = np.random.default_rng(7)
    hits = generator.integers(0, 2, 300)
    better = hits.copy()
    better[int(np.flatnonzero(hits == 0)[0])] = 1
    measure = {"exact": ("ratio", "hits", "examples")}
    first, second = (measured_run(workspace, {"hits": h, "examples": np.ones(300)}, measure) for h in (better, hits))
    result = compare([first, second], "exact")
    assert result.low >= 0 and result.high < 0.02
    assert result.difference == pytest.approx(1 / 300)
