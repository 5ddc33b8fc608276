"""Answers as token spans: their positions in windows, and the best spans over all windows of a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from workbench.data.text.packing import offsets_within
from workbench.data.text.windows import Windows
from workbench.types import IGNORE_INDEX, Bools, Floats, Ints

NO_POSITION = 2**31  # above every position


def answer_positions(windows: Windows, answers: Sequence[Sequence[Mapping[str, str | int]]]) -> tuple[Ints, Ints]:
    """Return the first and the last token of each question's first answer in each window, int64 [W] both.

    The positions are 0 if the window does not contain all of the answer, or if there is no answer, and IGNORE_INDEX if
    no window of the question contains it. A token that is partly in the answer belongs to it.

    Args:
        windows: windows of all questions.
        answers: ``text`` and ``start`` (in characters of the context) of the answers to each question.
    """
    tokens, example, (begin, end) = windows.tokens, windows.example, windows.spans.T
    gold = np.array(
        [(int(a[0]["start"]), int(a[0]["start"]) + len(str(a[0]["text"]))) if a else (-1, -1) for a in answers]
    )
    wanted = gold.reshape(-1, 2)[example]  # [W, 2], characters
    left, right = np.repeat(wanted, tokens.lengths, axis=0).T
    context = begin >= 0
    inside = context & (begin < right) & (end > left)
    first, last = _ends(inside, tokens.offsets)
    context_first, context_last = _ends(context, tokens.offsets)
    exists = last >= 0
    row = tokens.offsets[:-1]
    # An answer that extends past the end of its window is cut off; past the end of the context there are only spaces.
    opens, closes = np.diff(example, prepend=-1) > 0, np.diff(example, append=len(answers)) > 0
    from_left = opens | (first > context_first) | (begin[np.where(exists, row + first, 0)] <= wanted[:, 0])
    to_right = closes | (last < context_last) | (end[np.where(exists, row + last, 0)] >= wanted[:, 1])
    whole = exists & from_left & to_right
    has_window = np.bincount(example, whole, minlength=len(answers)) > 0
    absent = np.where(has_window[example] | (wanted[:, 0] < 0), 0, IGNORE_INDEX)
    return np.where(whole, first, absent), np.where(whole, last, absent)


def _ends(chosen: Bools, offsets: Ints) -> tuple[Ints, Ints]:
    """Return the first and last position in each row where ``chosen`` is true; NO_POSITION and -1 if none is."""
    position = offsets_within(np.diff(offsets))
    first = np.minimum.reduceat(np.where(chosen, position, NO_POSITION), offsets[:-1])
    return first, np.maximum.reduceat(np.where(chosen, position, -1), offsets[:-1])


def best_of_windows(start: Ints, end: Ints, scores: Floats, windows: Ints, count: int) -> tuple[Ints, Ints, Floats]:
    """Return the ``count`` best spans of each question over all its windows; a span in two windows counts once.

    Args:
        start: first token of each window's spans, [W, C].
        end: their last token, [W, C].
        scores: their scores, [W, C].
        windows: int64 [N], number of windows of each question.
        count: maximum number of spans per question.

    Returns:
        First tokens, last tokens and scores, [N, count] each, best first; -1 and -inf if there are fewer spans.
    """
    width = int(windows.max()) * count
    row = np.repeat(np.arange(len(windows)), windows * count)
    column = offsets_within(windows * count)
    table = np.full((len(windows), width), -1, dtype=np.int64), np.full((len(windows), width), -1, dtype=np.int64)
    values = np.full((len(windows), width), -np.inf)
    table[0][row, column], table[1][row, column], values[row, column] = start.ravel(), end.ravel(), scores.ravel()
    order = np.lexsort((-values, *table[::-1]), axis=1)  # by span, and the best score of a span first
    start, end, values = (np.take_along_axis(each, order, axis=1) for each in (*table, values))
    duplicate = (np.diff(start, axis=1, prepend=-2) == 0) & (np.diff(end, axis=1, prepend=-2) == 0)
    values = np.where(duplicate, -np.inf, values)
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    start, end, values = (np.take_along_axis(each, order, axis=1) for each in (start, end, values))
    exists = np.isfinite(values)
    return np.where(exists, start, -1), np.where(exists, end, -1), values
