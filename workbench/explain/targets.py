"""What is explained of an answer: a label, the label of one word, an answer's span, a masked word, the next token.

A user names it in words; here it becomes a :class:`~workbench.tasks.base.Target`, which a task reads off its model's
output (``Task.target_score``). Nothing named means: what the model itself says.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any

import torch

from workbench.errors import RequestError, UnknownNameError
from workbench.explain.instance import Instance
from workbench.tasks.base import Target

CANDIDATES = 10  # tokens of the vocabulary that are told beside the one that is explained
LONGEST_ANSWER = 30  # tokens of an answer's span
Place = int | str | None


@dataclass(frozen=True)
class TargetSpec:
    """What is explained, for the model and for people.

    Attributes:
        target: for the model.
        label: for people.
        prediction: what the model says of the whole text: ``{"label", "score", "scores": {label: probability}}``; the
            label that is explained is among the scores.
    """

    target: Target
    label: str
    prediction: dict[str, Any]


def resolve_target(instance: Instance, wanted: str | None = None, place: Place = None) -> TargetSpec:
    """What is explained of the model's answer to ``instance``.

    Args:
        wanted: the label, the token or the answer; what the model says if left out.
        place: where labels stand at words: the word whose label is explained, itself or its number from 0. By default
            the first one with a label other than the most frequent.

    Raises:
        UnknownNameError: there is no such label.
        RequestError: there is no such word, token or answer in the text; or the task cannot be explained.
    """
    if instance.task.target_kind is None:
        raise RequestError(
            f"Answers of the task {instance.task.name} cannot be explained.",
            f"Choose a run of a task that answers with one of: {', '.join(TARGET_FINDERS)}.",
        )
    find = TARGET_FINDERS[instance.task.target_kind]
    if place is not None and find is not _word_label:
        raise RequestError(
            f"A place ({place!r}) was named, and an answer for {instance.task.name} stands at none.", "Leave it out."
        )
    with torch.no_grad():
        return find(instance, instance.answer(), wanted, place)


def _label(instance: Instance, output: Any, wanted: str | None, _place: Place) -> TargetSpec:
    """A label of the whole text."""
    probabilities = instance.task.outputs(output, instance.encoded.inputs).double().cpu().numpy()
    prediction: dict[str, Any] = instance.task.decode(probabilities)[0]
    label = str(prediction["label"] if wanted is None else wanted)
    return TargetSpec(Target(_number(instance.labels, label)), label, prediction)


def _next_token(instance: Instance, output: Any, wanted: str | None, _place: Place) -> TargetSpec:
    """The token that the model writes next."""
    return _word_of(instance, output.logits[0, -1], wanted, None)


def _masked_token(instance: Instance, output: Any, wanted: str | None, _place: Place) -> TargetSpec:
    """What stands behind the first mask."""
    masks = [i for i, token in enumerate(instance.encoded.tokens) if token == instance.tokenizer.mask_token]
    if not masks:
        raise RequestError(
            f"The text has no {instance.tokenizer.mask_token}.",
            f"Write {instance.tokenizer.mask_token} in the place of the word whose guess is explained.",
        )
    found = getattr(output, "prediction_logits", None)
    logits = output.logits if found is None else found
    return _word_of(instance, logits[0, masks[0]], wanted, masks[0])


def _word_of(instance: Instance, logits: torch.Tensor, wanted: str | None, place: int | None) -> TargetSpec:
    """A token of the vocabulary by its ``logits`` [V]; the most probable ones stand beside it."""
    probabilities = logits.float().softmax(-1)
    best = probabilities.topk(min(CANDIDATES, len(probabilities))).indices.tolist()
    index = best[0] if wanted is None else _token(instance.tokenizer, wanted)
    names = [index, *best] if index not in best else best
    scores: dict[str, float] = {}
    label = ""
    for one in names:
        name = _word(instance.tokenizer, one, scores)
        scores[name] = float(probabilities[one])
        label = name if one == index else label
    scores = dict(sorted(scores.items(), key=lambda item: -item[1]))
    first = next(iter(scores))
    return TargetSpec(Target(index, place), label, {"label": first, "score": scores[first], "scores": scores})


def _word(tokenizer: Any, index: int, taken: Container[str]) -> str:
    """A token as it is written; as the vocabulary has it, or its number, where that names another one already."""
    names = [tokenizer.decode([index]), tokenizer.convert_ids_to_tokens(index)] if index < len(tokenizer) else []
    return next((name for name in names if name and name not in taken), f"[{index}]")


def _token(tokenizer: Any, wanted: str) -> int:
    """The number of a token that is named as the vocabulary has it, or as it is written (with its space before)."""
    vocabulary = tokenizer.get_vocab()
    ids = [vocabulary[wanted]] if wanted in vocabulary else tokenizer.encode(wanted, add_special_tokens=False)
    if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
        pieces = ", ".join(repr(piece) for piece in tokenizer.convert_ids_to_tokens(ids))
        raise RequestError(
            f"{wanted!r} is not one token of this model: it is {pieces or 'none'}.", "Name one token of its vocabulary."
        )
    return int(ids[0])


def _word_label(instance: Instance, output: Any, wanted: str | None, place: Place) -> TargetSpec:
    """The label of one word, which stands at its first token."""
    probabilities = output.logits[0].float().softmax(-1)  # [T, labels]
    best = probabilities.argmax(-1).tolist()
    at = _position(instance, place) if place is not None else _telling(instance, best)
    scores = {label: float(p) for label, p in zip(instance.labels, probabilities[at], strict=True)}
    scores = dict(sorted(scores.items(), key=lambda item: -item[1]))
    first = next(iter(scores))
    label = first if wanted is None else wanted
    return TargetSpec(
        Target(_number(instance.labels, label), at), label, {"label": first, "score": scores[first], "scores": scores}
    )


def _telling(instance: Instance, best: list[int]) -> int:
    """The first word whose label is not the usual one ("O", or else the most frequent here)."""
    firsts = [i for i in instance.positions.tolist() if _begins_word(instance, i)]
    found = [best[i] for i in firsts]
    usual = instance.labels.index("O") if "O" in instance.labels else max(found, key=found.count)
    return int(next((i for i in firsts if best[i] != usual), firsts[0]))


def _begins_word(instance: Instance, position: int) -> bool:
    key = (instance.encoded.segments[position], instance.encoded.words[position])
    before = position - 1
    return before < 0 or (instance.encoded.segments[before], instance.encoded.words[before]) != key


def _position(instance: Instance, place: int | str) -> int:
    """The position of the first token of a word, which is given by its number or as it is written."""
    firsts = [i for i in instance.positions.tolist() if _begins_word(instance, i)]
    words = [_written(instance, i) for i in firsts]
    if isinstance(place, str) and place in words:
        return int(firsts[words.index(place)])
    number = int(place) if str(place).isdigit() else -1
    if not 0 <= number < len(firsts):
        raise RequestError(
            f"There is no word {place!r} in the text.",
            f"Its words are: {', '.join(f'{i} {word}' for i, word in enumerate(words[:40]))}.",
        )
    return int(firsts[number])


def _written(instance: Instance, position: int) -> str:
    """The whole word that begins at a token, as it stands in the text."""
    encoded = instance.encoded
    end = position
    while end + 1 < len(encoded.words) and not _begins_word(instance, end + 1) and not encoded.special[end + 1]:
        end += 1
    text = instance.texts[encoded.segments[position] or 0]
    return text[encoded.offsets[position][0] : encoded.offsets[end][1]]


def _span(instance: Instance, output: Any, wanted: str | None, _place: Place) -> TargetSpec:
    """An answer: a span of the second text."""
    start = output.start_logits[0].float().softmax(-1)
    end = output.end_logits[0].float().softmax(-1)
    encoded = instance.encoded
    allowed = [i for i in instance.positions.tolist() if encoded.segments[i] == 1]
    if not allowed:
        raise RequestError("There is no text to look for the answer in.", "Give a longer context.")
    spans = [(i, j) for i in allowed for j in allowed if i <= j < i + LONGEST_ANSWER]
    joint = [float(start[i] * end[j]) for i, j in spans]
    best = max(range(len(spans)), key=joint.__getitem__)
    chosen = best if wanted is None else _span_named(instance, spans, joint, wanted)
    names = {place: _answer(instance, *spans[place]) for place in (best, chosen)}
    scores = {names[place]: joint[place] for place in (best, chosen)}
    prediction = {"label": names[best], "score": joint[best], "scores": scores}
    return TargetSpec(Target(0, *spans[chosen]), names[chosen], prediction)


def _answer(instance: Instance, start: int, end: int) -> str:
    offsets = instance.encoded.offsets
    return instance.texts[1][offsets[start][0] : offsets[end][1]]


def _span_named(instance: Instance, spans: list[tuple[int, int]], joint: list[float], wanted: str) -> int:
    """The likeliest span that reads as ``wanted``."""
    found = [place for place, span in enumerate(spans) if _answer(instance, *span).strip() == wanted.strip()]
    if not found:
        raise RequestError(f"{wanted!r} does not stand in the text as words.", "Name an answer as it is written there.")
    return max(found, key=joint.__getitem__)


def _number(labels: list[str], label: str) -> int:
    if label not in labels:
        raise UnknownNameError("label", label, labels)
    return labels.index(label)


TARGET_FINDERS: dict[str, Callable[[Any, Any, str | None, Place], TargetSpec]] = {
    "label": _label,
    "label of a word": _word_label,
    "span": _span,
    "next token": _next_token,
    "masked token": _masked_token,
}
