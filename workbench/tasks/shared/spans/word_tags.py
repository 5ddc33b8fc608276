"""Decoding of token logits into word tags: constrained search for the best tags, and windows for long texts.

Tags are ids as in :mod:`workbench.tasks.shared.spans.entities`: 0 is O, odd ids begin an entity (B), even ids continue
it (I). Shapes: ``B`` rows, ``T`` tokens, ``C`` tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from workbench.data.text.batching import Batches
from workbench.data.text.tokens import tokenize_words
from workbench.tasks.contexts import INFERENCE_BATCH_SIZE, InferenceContext
from workbench.tasks.shared.spans.entities import OUTSIDE, first_subwords, row_offsets
from workbench.types import Floats32, Ints, Tokenizer

if TYPE_CHECKING:
    import torch

NO_LIMIT = 2**31 - 1
OVERLAP = 0.25  # share of a window that overlaps with the next window


# -- decoding ----------------------------------------------------------------------------------------------------------


def read_tags(logits: torch.Tensor, tagged: torch.Tensor, constrained: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the tag of each token, and its probability.

    Args:
        logits: float [B, T, C], logits of the tags.
        tagged: bool [B, T], which tokens have a tag; the others are skipped.
        constrained: return the most probable valid sequence of tags, not the most probable tag of each token.

    Returns:
        int64 and float, [B, T] each; undefined for tokens without a tag.
    """
    scores = logits.log_softmax(-1)
    tags = _best_possible(scores, tagged) if constrained else scores.argmax(-1)
    return tags, scores.gather(-1, tags[..., None])[..., 0].exp()


def _best_possible(scores: torch.Tensor, tagged: torch.Tensor) -> torch.Tensor:
    """Return the valid tags with the highest sum of ``scores``, [B, T]: I only continues an entity of its type.

    If the most probable tags of a row form a valid sequence, no other sequence has a higher sum, so only the other rows
    are searched.
    """
    import torch

    tags = scores.argmax(-1)
    positions = torch.arange(tagged.shape[1], device=tagged.device)
    last = torch.where(tagged, positions, -1).cummax(dim=1).values.roll(1, dims=1)  # the last tagged token before each
    last[:, :1] = -1
    before = tags.gather(1, last.clamp(min=0)).masked_fill(last < 0, OUTSIDE)
    inner = (tags > 0) & (tags % 2 == 0)
    broken = (tagged & inner & (before != tags) & (before != tags - 1)).any(dim=1).nonzero()[:, 0]
    if len(broken):
        tags[broken] = viterbi(scores[broken], tagged[broken])
    return tags


def viterbi(scores: torch.Tensor, tagged: torch.Tensor) -> torch.Tensor:
    """Return the valid tags with the highest sum of scores, where I only continues its own type (Viterbi 1967).

    Every tag except I may follow any other tag, so each step needs only two maxima instead of a C x C table.

    Args:
        scores: [B, T, C], log probabilities.
        tagged: bool [B, T], which tokens have a tag.

    Returns:
        int64 [B, T].
    """
    import torch

    batch, length, classes = scores.shape
    every = torch.arange(classes, device=scores.device)
    inner = (every > 0) & (every % 2 == 0)
    best = torch.full((batch, classes), float("-inf"), device=scores.device)
    best[:, OUTSIDE] = 0  # before the first token
    origins = []
    for t in range(length):
        highest, argmax = best.max(-1, keepdim=True)
        begun, continued = best[:, 1::2], best[:, 2::2]
        origin = argmax.expand(-1, classes).clone()
        before = highest.expand(-1, classes).clone()
        before[:, inner] = torch.maximum(begun, continued)
        origin[:, inner] = torch.where(begun >= continued, every[1::2], every[2::2])
        here = tagged[:, t, None]
        origins.append(torch.where(here, origin, every))
        best = torch.where(here, before + scores[:, t], best)
    tags = torch.empty((batch, length), dtype=torch.int64, device=scores.device)
    tag = best.argmax(-1, keepdim=True)
    for t in reversed(range(length)):
        tags[:, t] = tag[:, 0]
        tag = origins[t].gather(-1, tag)
    return tags


def read_rows(logits: Sequence[torch.Tensor], constrained: bool) -> tuple[list[Ints], list[Floats32]]:
    """Return the tags of each row's words and their probabilities; a word without tokens is O.

    Args:
        logits: logits of the words of each row, [words, C]; NaN for a word without tokens.
        constrained: see :func:`read_tags`.
    """
    import torch

    order = sorted(range(len(logits)), key=lambda row: len(logits[row]))
    tags: dict[int, Ints] = {}
    scores: dict[int, Floats32] = {}
    for start in range(0, len(order), INFERENCE_BATCH_SIZE):
        rows = order[start : start + INFERENCE_BATCH_SIZE]
        padded = torch.nn.utils.rnn.pad_sequence([logits[row] for row in rows], True, float("nan"))
        tagged = ~padded.isnan().any(-1)
        row_tags, probability = read_tags(padded.nan_to_num(0.0), tagged, constrained)
        row_tags = row_tags.masked_fill(~tagged, OUTSIDE)
        for i, row in enumerate(rows):
            tags[row] = row_tags[i, : len(logits[row])].numpy()
            scores[row] = probability[i, : len(logits[row])].numpy()
    return [tags[row] for row in range(len(logits))], [scores[row] for row in range(len(logits))]


# -- long texts --------------------------------------------------------------------------------------------------------


class Window(NamedTuple):
    """A span of words in a row that the model reads at once.

    Attributes:
        row: index of the row.
        begin: index of the first word.
        end: index after the last word.
    """

    row: int
    begin: int
    end: int


def word_logits(context: InferenceContext, rows: Sequence[Sequence[str]]) -> list[torch.Tensor]:
    """Return the logits of each row's words, [words, C], on the CPU; NaN for a word without tokens.

    A row that is too long for the model is read in overlapping windows. A word's logits come from the window that shows
    more context around it.

    Args:
        context: a finished model.
        rows: the words of each row.
    """
    import torch

    windows = split_windows(context.tokenizer, rows, context.max_length)
    shown = [rows[window.row][window.begin : window.end] for window in windows]
    tokens = tokenize_words(context.tokenizer, shown, context.max_length)
    offsets = row_offsets(shown)
    first = first_subwords(tokens, offsets)
    by_window: list[torch.Tensor | None] = [None] * len(windows)
    for indices in Batches(np.maximum(tokens.lengths, 1), INFERENCE_BATCH_SIZE).in_order():
        if not tokens.lengths[indices].any():
            continue  # only invisible characters
        arrays = tokens.pad(indices, context.pad_id)
        batch = context.to_device({name: torch.from_numpy(array) for name, array in arrays.items()})
        with torch.inference_mode():
            logits = context.model(**batch).logits.float().cpu()
        for i, window in enumerate(indices.tolist()):
            position = torch.from_numpy(first[offsets[window] : offsets[window + 1]])
            words = logits[i][position.clamp(min=0)]
            by_window[window] = words.masked_fill((position < 0)[:, None], float("nan"))
    return join_windows(windows, by_window, rows, int(context.model.config.num_labels or 0))


def split_windows(tokenizer: Tokenizer, rows: Sequence[Sequence[str]], max_length: int) -> list[Window]:
    """Split rows into windows of words that fit into ``max_length`` tokens.

    Args:
        tokenizer: the model's tokenizer.
        rows: the words of each row.
        max_length: maximum number of tokens in a window.
    """
    tokens = tokenize_words(tokenizer, rows, NO_LIMIT)
    assert tokens.words is not None
    windows: list[Window] = []
    for row, words in enumerate(rows):
        if tokens.lengths[row] <= max_length:
            windows.append(Window(row, 0, len(words)))
            continue
        own = tokens.words[tokens.offsets[row] : tokens.offsets[row + 1]]
        subwords = np.bincount(own[own >= 0], minlength=len(words))
        room = max(1, max_length - int((own < 0).sum()))
        ends = np.cumsum(subwords)
        starts = ends - subwords
        begin = 0
        while True:
            before = int(starts[begin])
            end = max(begin + 1, int(np.searchsorted(ends, before + room, side="right")))
            windows.append(Window(row, begin, end))
            if end >= len(words):
                break
            shared = int(np.searchsorted(starts, int(ends[end - 1]) - OVERLAP * room, side="right")) - 1
            fits = int(np.searchsorted(starts, int(ends[end]) - room))  # starting from there, the next word also fits
            begin = max(begin + 1, min(max(shared, fits), end))
    return windows


def join_windows(
    windows: Sequence[Window],
    by_window: Sequence[torch.Tensor | None],
    rows: Sequence[Sequence[str]],
    classes: int,
) -> list[torch.Tensor]:
    """Join the logits of windows into rows, [words, C]; each window provides the nearer half of an overlap.

    Args:
        windows: the windows, in the order of the rows.
        by_window: the logits of the words of each window; None for a window without tokens.
        rows: the words of each row.
        classes: number of tags, C.
    """
    import torch

    logits = [torch.full((len(words), classes), float("nan")) for words in rows]
    for i, (window, scores) in enumerate(zip(windows, by_window, strict=True)):
        if scores is None:
            continue
        start = window.begin
        if i and windows[i - 1].row == window.row:
            start = (window.begin + windows[i - 1].end) // 2
        logits[window.row][start : window.end] = scores[start - window.begin :]
    return logits
