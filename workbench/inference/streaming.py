"""Answers to many inputs, window by window: memory does not grow with their number.

While the model computes one window, a thread tokenizes the next. Within a window, texts of similar length share a
batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from workbench.data.text.tokens import TokenTable
from workbench.inference.predictor import Predictor
from workbench.tasks.answers import Answer
from workbench.tasks.base import ScoringTask, count_truncated
from workbench.tasks.contexts import TaskInput
from workbench.types import Json


@dataclass(frozen=True)
class AnsweredWindow:
    """The answers to a window of inputs.

    Attributes:
        answers: one for each input, in their order.
        truncated: how many inputs are longer than the model reads.
    """

    answers: Sequence[Answer]
    truncated: int


def answer_windows(
    predictor: Predictor, windows: Iterable[Sequence[TaskInput]], options: Mapping[str, Json] | None = None
) -> Iterator[AnsweredWindow]:
    """Yield the answers to each window of inputs, in their order.

    Args:
        predictor: the model.
        windows: inputs, as for :meth:`workbench.inference.predictor.Predictor.predict`; a window may be empty.
        options: changes of the task's options, as for ``predict``.

    Raises:
        DataError: an input cannot be used; its number counts from the beginning of its window.
        SpecError: there is no such option.
        NonFiniteOutputError: the model computed NaN or infinity.
    """
    if not _answers_from_tokens(predictor):
        for window in windows:
            yield AnsweredWindow(predictor.predict(window, options), predictor.truncated(window))
        return
    predictor.task.refuse_options(options)
    with ThreadPoolExecutor(1, "tokenizer") as thread:
        waiting: Future[TokenTable | None] | None = None
        for window in windows:
            upcoming = thread.submit(_encode, predictor, window)
            if waiting is not None:
                yield _answer(predictor, waiting.result())
            waiting = upcoming
        if waiting is not None:
            yield _answer(predictor, waiting.result())


def _answers_from_tokens(predictor: Predictor) -> bool:
    """Return whether the task tokenizes inputs and decodes outputs in two steps of its own."""
    task = predictor.task
    return isinstance(task, ScoringTask) and type(task).predict is ScoringTask.predict


def _encode(predictor: Predictor, window: Sequence[TaskInput]) -> TokenTable | None:
    task = predictor.task
    assert isinstance(task, ScoringTask)
    predictor.check_inputs(window)
    return task.encode_inputs(predictor.tokenizer, window, predictor.max_length) if window else None


def _answer(predictor: Predictor, tokens: TokenTable | None) -> AnsweredWindow:
    task = predictor.task
    assert isinstance(task, ScoringTask)
    if tokens is None:
        return AnsweredWindow([], 0)
    return AnsweredWindow(task.decode(predictor.outputs(tokens)), count_truncated(tokens))
