"""What is explained about an answer: a label, the label of one word, an answer's span, a masked word, the next token.

A user names it in words. :func:`resolve_target` turns that into a :class:`~workbench.tasks.base.Target`, which a task
reads off its model's output (``Task.target_score``). By default it is what the model itself predicts.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import NotRequired, TypeAlias, TypedDict

import torch
from transformers.utils.generic import ModelOutput

from workbench.errors import RequestError, UnknownNameError
from workbench.explain.encoding import Encoded
from workbench.explain.instance import Instance
from workbench.tasks.answers import ScoredLabels
from workbench.tasks.base import ScoringTask, Target, TargetKind
from workbench.types import Tokenizer

CANDIDATES = 10  # most probable tokens of the vocabulary that are reported with the one that is explained
LONGEST_ANSWER = 30  # tokens of an answer's span
WordRef: TypeAlias = int | str | None  # a word of the text, or its index from 0


class Prediction(TypedDict):
    """A model's answer to a whole text."""

    label: str
    score: float
    scores: dict[str, float]
    labels: NotRequired[list[str]]


@dataclass(frozen=True)
class TargetSpec:
    """What is explained, for the model and for people.

    Attributes:
        target: for the model.
        label: for people.
        prediction: the model's answer to the whole text; the label that is explained is among its scores.
    """

    target: Target
    label: str
    prediction: Prediction


def resolve_target(instance: Instance, label: str | None = None, word: WordRef = None) -> TargetSpec:
    """Find what is explained in the model's answer.

    Args:
        instance: the text and its model.
        label: the label, the token or the answer; by default what the model predicts.
        word: for labels of words, the word or its index from 0. By default the first word whose label is not the most
            frequent one.

    Raises:
        UnknownNameError: there is no such label.
        RequestError: the text has no such word, token or answer, or the task cannot be explained.
    """
    kind = instance.task.target_kind
    if kind is None:
        raise RequestError(
            f"Answers of the task {instance.task.name} cannot be explained.",
            f"Choose a run of a task that answers with one of: {', '.join(TARGET_FINDERS)}.",
        )
    find = TARGET_FINDERS[kind]
    if word is not None and find is not _word_label:
        raise RequestError(
            f"The word {word!r} was chosen, but the task {instance.task.name} does not label single words.",
            "Leave the word out.",
        )
    with torch.no_grad():
        return find(instance, instance.output(), label, word)


def _text_label(instance: Instance, output: ModelOutput, label: str | None, _word: WordRef) -> TargetSpec:
    """Find a label of the whole text."""
    task = instance.task
    assert isinstance(task, ScoringTask)  # what the kind "label" promises
    answer = task.decode(task.outputs(output, instance.encoded.inputs).double().cpu().numpy())[0]
    assert isinstance(answer, ScoredLabels)
    prediction = Prediction(label=answer.label, score=answer.score, scores=answer.scores)
    if answer.labels is not None:
        prediction["labels"] = list(answer.labels)
    name = answer.label if label is None else label
    return TargetSpec(Target(_label_index(instance.labels, name)), name, prediction)


def _next_token(instance: Instance, output: ModelOutput, label: str | None, _word: WordRef) -> TargetSpec:
    """Find the token that the model generates next."""
    return _vocabulary_target(instance.tokenizer, output["logits"][0, -1], label, None)


def _masked_token(instance: Instance, output: ModelOutput, label: str | None, _word: WordRef) -> TargetSpec:
    """Find the prediction for the first mask."""
    mask = instance.tokenizer.mask_token
    masks = [i for i, token in enumerate(instance.encoded.tokens) if token == mask]
    if not masks:
        raise RequestError(f"The text has no {mask}.", f"Write {mask} in place of the word to predict.")
    logits = output["prediction_logits"] if "prediction_logits" in output else output["logits"]
    return _vocabulary_target(instance.tokenizer, logits[0, masks[0]], label, masks[0])


def _vocabulary_target(
    tokenizer: Tokenizer, logits: torch.Tensor, label: str | None, position: int | None
) -> TargetSpec:
    """Find a token of the vocabulary by its ``logits`` [V]; the most probable tokens are reported with it."""
    probabilities = logits.float().softmax(-1)
    best = probabilities.topk(min(CANDIDATES, len(probabilities))).indices.tolist()
    chosen = best[0] if label is None else _token_id(tokenizer, label)
    scores: dict[str, float] = {}
    chosen_name = ""
    for index in best if chosen in best else [chosen, *best]:
        name = _token_name(tokenizer, index, scores)
        scores[name] = float(probabilities[index])
        chosen_name = name if index == chosen else chosen_name
    return TargetSpec(Target(chosen, position), chosen_name, _prediction(scores))


def _prediction(scores: Mapping[str, float]) -> Prediction:
    ordered = dict(sorted(scores.items(), key=lambda item: -item[1]))
    first = next(iter(ordered))
    return Prediction(label=first, score=ordered[first], scores=ordered)


def _token_name(tokenizer: Tokenizer, index: int, taken: Container[str]) -> str:
    """Return a token's text; its name in the vocabulary, or its index, where another token has the same text."""
    names = [tokenizer.decode([index]), tokenizer.convert_ids_to_tokens(index)] if index < len(tokenizer) else []
    return next((str(name) for name in names if name and name not in taken), f"[{index}]")


def _token_id(tokenizer: Tokenizer, name: str) -> int:
    """Return the index of a token, named as in the vocabulary or by its text (with the space before it)."""
    vocabulary = tokenizer.get_vocab()
    ids = [vocabulary[name]] if name in vocabulary else tokenizer.encode(name, add_special_tokens=False)
    if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
        tokens = ", ".join(repr(token) for token in tokenizer.convert_ids_to_tokens(ids))
        raise RequestError(
            f"{name!r} is not one token of this model; its tokens are {tokens or 'none'}.",
            "Name one token of the vocabulary.",
        )
    return int(ids[0])


def _word_label(instance: Instance, output: ModelOutput, label: str | None, word: WordRef) -> TargetSpec:
    """Find the label of one word, which is predicted at its first token."""
    probabilities = output["logits"][0].float().softmax(-1)  # [T, labels]
    best = probabilities.argmax(-1).tolist()
    position = _first_informative(instance, best) if word is None else _word_position(instance, word)
    labels = zip(instance.labels, probabilities[position].tolist(), strict=True)
    prediction = _prediction({name: float(probability) for name, probability in labels})
    name = prediction["label"] if label is None else label
    return TargetSpec(Target(_label_index(instance.labels, name), position), name, prediction)


def _first_informative(instance: Instance, best: list[int]) -> int:
    """Return the first word whose label is not the usual one: "O", or else the most frequent in this text."""
    starts = word_starts(instance.encoded)
    labels = [best[i] for i in starts]
    usual = instance.labels.index("O") if "O" in instance.labels else max(labels, key=labels.count)
    return next((i for i in starts if best[i] != usual), starts[0])


def word_starts(encoded: Encoded) -> list[int]:
    """Return the position of each word's first token, in order.

    Args:
        encoded: the tokens.
    """
    keys = list(zip(encoded.segments, encoded.words, strict=True))
    return [i for i, key in enumerate(keys) if not encoded.special[i] and (i == 0 or keys[i - 1] != key)]


def _word_position(instance: Instance, word: int | str) -> int:
    """Return the position of the first token of a word, given by itself or by its index."""
    starts = word_starts(instance.encoded)
    words = [_surface(instance, start, starts) for start in starts]
    if isinstance(word, str) and word in words:
        return starts[words.index(word)]
    index = int(word) if str(word).isdigit() else -1
    if not 0 <= index < len(starts):
        raise RequestError(
            f"There is no word {word!r} in the text.",
            f"Its words are: {', '.join(f'{i} {name}' for i, name in enumerate(words[:40]))}.",
        )
    return starts[index]


def _surface(instance: Instance, start: int, starts: list[int]) -> str:
    """Return the whole word whose first token is ``start``, as it is written in the text."""
    encoded = instance.encoded
    end = start
    while end + 1 < len(encoded.words) and end + 1 not in starts and not encoded.special[end + 1]:
        end += 1
    text = instance.texts[encoded.segments[start] or 0]
    return text[encoded.offsets[start][0] : encoded.offsets[end][1]]


def _span(instance: Instance, output: ModelOutput, label: str | None, _word: WordRef) -> TargetSpec:
    """Find an answer: a span of the second text."""
    start = output["start_logits"][0].float().softmax(-1)
    end = output["end_logits"][0].float().softmax(-1)
    allowed = [i for i in instance.maskable.tolist() if instance.encoded.segments[i] == 1]
    if not allowed:
        raise RequestError("The second text has no tokens to look for the answer in.", "Enter a longer context.")
    spans = [(i, j) for i in allowed for j in allowed if i <= j < i + LONGEST_ANSWER]
    joint = [float(start[i] * end[j]) for i, j in spans]
    best = max(range(len(spans)), key=joint.__getitem__)
    chosen = best if label is None else _named_span(instance, spans, joint, label)
    names = {index: _answer(instance, *spans[index]) for index in (best, chosen)}
    scores = {names[index]: joint[index] for index in (best, chosen)}
    prediction = Prediction(label=names[best], score=joint[best], scores=scores)
    return TargetSpec(Target(0, *spans[chosen]), names[chosen], prediction)


def _answer(instance: Instance, start: int, end: int) -> str:
    offsets = instance.encoded.offsets
    return instance.texts[1][offsets[start][0] : offsets[end][1]]


def _named_span(instance: Instance, spans: list[tuple[int, int]], joint: list[float], label: str) -> int:
    """Return the index of the most probable span with this text."""
    matches = [index for index, span in enumerate(spans) if _answer(instance, *span).strip() == label.strip()]
    if not matches:
        raise RequestError(f"{label!r} is not in the text as whole words.", "Copy an answer from the text.")
    return max(matches, key=joint.__getitem__)


def _label_index(labels: list[str], label: str) -> int:
    if label not in labels:
        raise UnknownNameError("label", label, labels)
    return labels.index(label)


TARGET_FINDERS: dict[TargetKind, Callable[[Instance, ModelOutput, str | None, WordRef], TargetSpec]] = {
    "label": _text_label,
    "label of a word": _word_label,
    "span": _span,
    "next token": _next_token,
    "masked token": _masked_token,
}
