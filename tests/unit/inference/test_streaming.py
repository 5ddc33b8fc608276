"""Answers window by window, and in half of the bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.tiny import make_run, reviews
from workbench.errors import DataError
from workbench.inference.predictor import Predictor
from workbench.inference.streaming import answer_windows
from workbench.tasks.base import ScoringTask
from workbench.training.runner import run_folder

TEXTS = [{"text": text} for text, _ in reviews(90, seed=3)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from workbench.workspace import Workspace

    run = make_run(Workspace(tmp_path_factory.mktemp("home")).create(), {"training.epochs": 6})
    assert run_folder(run.folder) == 0
    return run


@pytest.fixture
def predictor(run):
    return Predictor.load(run)


def test_windows_have_the_answers_of_single_texts_in_their_order(predictor):
    alone = [predictor.predict([each])[0] for each in TEXTS]
    windows = [TEXTS[:50], [], TEXTS[50:]]
    answered = list(answer_windows(predictor, windows))
    assert [len(window.answers) for window in answered] == [50, 0, 40]
    together = [answer for window in answered for answer in window.answers]
    assert [answer.label for answer in together] == [answer.label for answer in alone]
    assert [answer.score for answer in together] == pytest.approx([answer.score for answer in alone], abs=1e-5)


def test_a_task_that_answers_in_its_own_way_answers_each_window(predictor, monkeypatch):
    class Own(type(predictor.task)):
        def predict(self, context, inputs, options=None):
            return ["own"] * len(inputs)

    predictor.task.__class__ = Own
    assert isinstance(predictor.task, ScoringTask)
    assert [window.answers for window in answer_windows(predictor, [TEXTS[:2], TEXTS[:1]])] == [["own"] * 2, ["own"]]


def test_truncated_texts_are_counted(predictor):
    predictor.max_length = 6
    lengths = [len(each["text"].split()) + 2 for each in TEXTS]
    windows = list(answer_windows(predictor, [TEXTS[:45], TEXTS[45:]]))
    assert sum(window.truncated for window in windows) == sum(length > 6 for length in lengths) > 0
    assert predictor.truncation_notes(2, 5) and not predictor.truncation_notes(0, 5)


def test_an_input_that_cannot_be_used_ends_with_its_window(predictor):
    windows = answer_windows(predictor, [TEXTS[:3], [TEXTS[0], {"text": " "}], TEXTS[:3]])
    assert len(next(windows).answers) == 3
    with pytest.raises(DataError, match="Input 2"):
        next(windows)


def test_bf16_weights_give_the_same_labels_except_ties(run, predictor):
    half = Predictor.load(run, precision="bf16")
    assert {parameter.dtype for parameter in half.model.parameters()} == {torch.bfloat16}
    exact, rounded = predictor.predict(TEXTS), half.predict(TEXTS)
    differences = np.array([abs(a.scores["good"] - b.scores["good"]) for a, b in zip(exact, rounded, strict=True)])
    assert 0 < differences.max() < 0.02
    for one, other in zip(exact, rounded, strict=True):
        assert one.label == other.label or one.score < 0.52
