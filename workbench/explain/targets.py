"""What is explained of an answer: a label, the label of one word, an answer's span, a masked word, the next token.

A user names it in words; here it becomes a :class:`~workbench.tasks.base.Target`, which a task reads off its model's
output (``Task.target_score``). Nothing named means: what the model itself says.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from workbench.errors import RequestError, UnknownNameError
from workbench.tasks.base import Target

if TYPE_CHECKING:
    from workbench.explain.instance import Subject

CANDIDATES = 10  # tokens of the vocabulary that are told beside the one that is explained
LONGEST_ANSWER = 30  # tokens of an answer's span
Place = int | str | None


@dataclass(frozen=True)
class Aim:
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


def aim(subject: Subject, wanted: str | None = None, place: Place = None) -> Aim:
    """What is explained of the model's answer to ``subject``.

    Args:
        wanted: the label, the token or the answer; what the model says if left out.
        place: where labels stand at words: the word whose label is explained, itself or its number from 0. By default
            the first one with a label other than the most frequent.

    Raises:
        UnknownNameError: there is no such label.
        RequestError: there is no such word, token or answer in the text; or the task cannot be explained.
    """
    if subject.task.target_kind is None:
        raise RequestError(
            f"Answers of the task {subject.task.name} cannot be explained.",
            f"Choose a run of a task that answers with one of: {', '.join(AIMS)}.",
        )
    find = AIMS[subject.task.target_kind]
    if place is not None and find is not _word_label:
        raise RequestError(
            f"A place ({place!r}) was named, and an answer for {subject.task.name} stands at none.", "Leave it out."
        )
    with torch.no_grad():
        return find(subject, subject.answer(), wanted, place)


def _label(subject: Subject, output: Any, wanted: str | None, _place: Place) -> Aim:
    """A label of the whole text."""
    probabilities = subject.task.outputs(output, subject.encoded.inputs).double().cpu().numpy()
    prediction: dict[str, Any] = subject.task.decode(probabilities)[0]
    label = str(prediction["label"] if wanted is None else wanted)
    return Aim(Target(_number(subject.labels, label)), label, prediction)


def _next_token(subject: Subject, output: Any, wanted: str | None, _place: Place) -> Aim:
    """The token that the model writes next."""
    return _word_of(subject, output.logits[0, -1], wanted, None)


def _masked_token(subject: Subject, output: Any, wanted: str | None, _place: Place) -> Aim:
    """What stands behind the first mask."""
    masks = [i for i, token in enumerate(subject.encoded.tokens) if token == subject.tokenizer.mask_token]
    if not masks:
        raise RequestError(
            f"The text has no {subject.tokenizer.mask_token}.",
            f"Write {subject.tokenizer.mask_token} in the place of the word whose guess is explained.",
        )
    found = getattr(output, "prediction_logits", None)
    logits = output.logits if found is None else found
    return _word_of(subject, logits[0, masks[0]], wanted, masks[0])


def _word_of(subject: Subject, logits: torch.Tensor, wanted: str | None, place: int | None) -> Aim:
    """A token of the vocabulary by its ``logits`` [V]; the most probable ones stand beside it."""
    probabilities = logits.float().softmax(-1)
    best = probabilities.topk(min(CANDIDATES, len(probabilities))).indices.tolist()
    index = best[0] if wanted is None else _token(subject.tokenizer, wanted)
    names = [index, *best] if index not in best else best
    scores: dict[str, float] = {}
    label = ""
    for one in names:
        name = _word(subject.tokenizer, one, scores)
        scores[name] = float(probabilities[one])
        label = name if one == index else label
    scores = dict(sorted(scores.items(), key=lambda item: -item[1]))
    first = next(iter(scores))
    return Aim(Target(index, place), label, {"label": first, "score": scores[first], "scores": scores})


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


def _word_label(subject: Subject, output: Any, wanted: str | None, place: Place) -> Aim:
    """The label of one word, which stands at its first token."""
    probabilities = output.logits[0].float().softmax(-1)  # [T, labels]
    best = probabilities.argmax(-1).tolist()
    at = _position(subject, place) if place is not None else _telling(subject, best)
    scores = {label: float(p) for label, p in zip(subject.labels, probabilities[at], strict=True)}
    scores = dict(sorted(scores.items(), key=lambda item: -item[1]))
    first = next(iter(scores))
    label = first if wanted is None else wanted
    return Aim(
        Target(_number(subject.labels, label), at), label, {"label": first, "score": scores[first], "scores": scores}
    )


def _telling(subject: Subject, best: list[int]) -> int:
    """The first word whose label is not the usual one ("O", or else the most frequent here)."""
    firsts = [i for i in subject.positions.tolist() if _begins_word(subject, i)]
    found = [best[i] for i in firsts]
    usual = subject.labels.index("O") if "O" in subject.labels else max(found, key=found.count)
    return int(next((i for i in firsts if best[i] != usual), firsts[0]))


def _begins_word(subject: Subject, position: int) -> bool:
    key = (subject.encoded.segments[position], subject.encoded.words[position])
    before = position - 1
    return before < 0 or (subject.encoded.segments[before], subject.encoded.words[before]) != key


def _position(subject: Subject, place: int | str) -> int:
    """The position of the first token of a word, which is given by its number or as it is written."""
    firsts = [i for i in subject.positions.tolist() if _begins_word(subject, i)]
    words = [_written(subject, i) for i in firsts]
    if isinstance(place, str) and place in words:
        return int(firsts[words.index(place)])
    number = int(place) if str(place).isdigit() else -1
    if not 0 <= number < len(firsts):
        raise RequestError(
            f"There is no word {place!r} in the text.",
            f"Its words are: {', '.join(f'{i} {word}' for i, word in enumerate(words[:40]))}.",
        )
    return int(firsts[number])


def _written(subject: Subject, position: int) -> str:
    """The whole word that begins at a token, as it stands in the text."""
    encoded = subject.encoded
    end = position
    while end + 1 < len(encoded.words) and not _begins_word(subject, end + 1) and not encoded.special[end + 1]:
        end += 1
    text = subject.texts[encoded.segments[position] or 0]
    return text[encoded.offsets[position][0] : encoded.offsets[end][1]]


def _span(subject: Subject, output: Any, wanted: str | None, _place: Place) -> Aim:
    """An answer: a span of the second text."""
    start = output.start_logits[0].float().softmax(-1)
    end = output.end_logits[0].float().softmax(-1)
    encoded = subject.encoded
    allowed = [i for i in subject.positions.tolist() if encoded.segments[i] == 1]
    if not allowed:
        raise RequestError("There is no text to look for the answer in.", "Give a longer context.")
    spans = [(i, j) for i in allowed for j in allowed if i <= j < i + LONGEST_ANSWER]
    joint = [float(start[i] * end[j]) for i, j in spans]
    best = max(range(len(spans)), key=joint.__getitem__)
    chosen = best if wanted is None else _span_named(subject, spans, joint, wanted)
    names = {place: _answer(subject, *spans[place]) for place in (best, chosen)}
    scores = {names[place]: joint[place] for place in (best, chosen)}
    prediction = {"label": names[best], "score": joint[best], "scores": scores}
    return Aim(Target(0, *spans[chosen]), names[chosen], prediction)


def _answer(subject: Subject, start: int, end: int) -> str:
    offsets = subject.encoded.offsets
    return subject.texts[1][offsets[start][0] : offsets[end][1]]


def _span_named(subject: Subject, spans: list[tuple[int, int]], joint: list[float], wanted: str) -> int:
    """The likeliest span that reads as ``wanted``."""
    found = [place for place, span in enumerate(spans) if _answer(subject, *span).strip() == wanted.strip()]
    if not found:
        raise RequestError(f"{wanted!r} does not stand in the text as words.", "Name an answer as it is written there.")
    return max(found, key=joint.__getitem__)


def _number(labels: list[str], label: str) -> int:
    if label not in labels:
        raise UnknownNameError("label", label, labels)
    return labels.index(label)


AIMS: dict[str, Callable[[Any, Any, str | None, Place], Aim]] = {
    "label": _label,
    "label of a word": _word_label,
    "span": _span,
    "next token": _next_token,
    "masked token": _masked_token,
}
