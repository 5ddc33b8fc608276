"""The classes of answers that ``Task.predict`` returns, one answer for each input.

    answer = predictor.predict([{"text": "A great film."}])[0]
    answer.label, answer.score          # a ScoredLabels

A task returns instances of these classes. The command line, the dashboard and the course choose the display of an
answer by its class, so a task that uses one of them needs no changes anywhere else. ``to_json`` returns the object
that ``workbench predict --json`` prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from workbench.types import Json, JsonObject


@dataclass(frozen=True)
class ScoredLabels:
    """The predicted label or labels, with the probability of every label.

    Attributes:
        label: the most probable label.
        score: its probability, 0 to 1.
        scores: the probability of each label.
        labels: the labels that apply, if an input can have any number of them; otherwise None.
    """

    label: str
    score: float
    scores: dict[str, float]
    labels: tuple[str, ...] | None = None

    @classmethod
    def of(cls, scores: dict[str, float], threshold: float | None = None) -> ScoredLabels:
        """Build the answer from the probabilities of all labels.

        Args:
            scores: probability of each label.
            threshold: labels with at least this probability apply; None if exactly one label applies.
        """
        ordered = dict(sorted(scores.items(), key=lambda item: -item[1]))
        best = next(iter(ordered))
        labels = None if threshold is None else tuple(name for name, score in ordered.items() if score >= threshold)
        return cls(best, ordered[best], ordered, labels)

    def to_json(self) -> JsonObject:
        """Return the answer as JSON."""
        result: JsonObject = {"label": self.label, "score": self.score, "scores": {**self.scores}}
        if self.labels is not None:
            result["labels"] = [*self.labels]
        return result


@dataclass(frozen=True)
class Number:
    """A predicted number, on the scale of the training data."""

    value: float

    def to_json(self) -> JsonObject:
        """Return the answer as JSON."""
        return {"value": self.value}


@dataclass(frozen=True)
class Relation(ScoredLabels):
    """A relation between two marked expressions in a text.

    Attributes:
        relation: its name without the direction; None if the label has no direction.
        source: the expression that the relation starts from.
        target: the expression that the relation points to.
    """

    relation: str | None = None
    source: str = ""
    target: str = ""

    def to_json(self) -> JsonObject:
        """Return the answer as JSON."""
        result: JsonObject = {"label": self.label, "score": self.score}
        if self.relation is not None:
            result |= {"relation": self.relation, "from": self.source, "to": self.target}
        return result | {"scores": {**self.scores}}


@dataclass(frozen=True)
class Choice:
    """The text chosen from several candidates.

    Attributes:
        text: the chosen text.
        index: its index among the texts, from 0.
        score: its probability, 0 to 1.
        scores: the probability of each text, highest first.
    """

    text: str
    index: int
    score: float
    scores: dict[str, float]

    @property
    def label(self) -> str:
        """The index of the chosen text as a string, the way data sets write it."""
        return str(self.index)

    def to_json(self) -> JsonObject:
        """Return the answer as JSON."""
        return {"choice": self.text, "label": self.label, "score": self.score, "scores": {**self.scores}}


@dataclass(frozen=True)
class Span:
    """A span of characters in a text.

    Attributes:
        text: the characters from ``start`` up to ``end``.
        start: index of the first character.
        end: index after the last character.
        score: its probability, 0 to 1.
        label: its label, such as ``"PER"``; empty if spans have no labels.
    """

    text: str
    start: int
    end: int
    score: float
    label: str = ""


@dataclass(frozen=True)
class LabeledSpans:
    """The spans that the model found in a text.

    Attributes:
        text: the full text.
        spans: the spans, in text order.
    """

    text: str
    spans: tuple[Span, ...]

    def to_json(self) -> JsonObject:
        """Return the answer as JSON."""
        entities: list[Json] = [
            {"text": span.text, "label": span.label, "start": span.start, "end": span.end, "score": span.score}
            for span in self.spans
        ]
        return {"text": self.text, "entities": entities}


@dataclass(frozen=True)
class ExtractedAnswer:
    """The answer to a question, as a span of a context.

    Attributes:
        span: the answer; None if the model predicts that the context has none.
        score: probability of the answer, or of no answer, 0 to 1.
        candidates: the most probable spans, best first.
        context: the text that was searched.
    """

    span: Span | None
    score: float
    candidates: tuple[Span, ...]
    context: str

    @property
    def text(self) -> str:
        """The answer; empty if there is none."""
        return "" if self.span is None else self.span.text

    @property
    def no_answer(self) -> bool:
        """Whether the model predicts that the context has no answer."""
        return self.span is None

    def to_json(self) -> JsonObject:
        """Return the answer as JSON."""
        candidates: list[Json] = [
            {"answer": span.text, "start": span.start, "end": span.end, "score": span.score} for span in self.candidates
        ]
        return {
            "answer": self.text,
            "start": None if self.span is None else self.span.start,
            "end": None if self.span is None else self.span.end,
            "score": self.score,
            "no_answer": self.no_answer,
            "candidates": candidates,
        }


@dataclass(frozen=True)
class ScoredText:
    """A text with its score."""

    text: str
    score: float


@dataclass(frozen=True)
class Ranking:
    """Texts ranked by the model.

    Attributes:
        items: the texts, highest score first; a score is a probability or a cosine similarity (-1 to 1).
    """

    items: tuple[ScoredText, ...]

    @classmethod
    def of(cls, texts: Sequence[str], scores: Sequence[float]) -> Ranking:
        """Rank texts by their scores; ties keep their order.

        Args:
            texts: at least one text.
            scores: the score of each.
        """
        items = [ScoredText(text, float(score)) for text, score in zip(texts, scores, strict=True)]
        return cls(tuple(sorted(items, key=lambda item: -item.score)))

    @property
    def text(self) -> str:
        """The best text."""
        return self.items[0].text

    @property
    def score(self) -> float:
        """The score of the best text."""
        return self.items[0].score

    def to_json(self) -> JsonObject:
        """Return the answer as JSON."""
        ranked: list[Json] = [{"text": item.text, "score": item.score} for item in self.items]
        return {"text": self.text, "score": self.score, "ranked": ranked}


@dataclass(frozen=True)
class Similarity:
    """The similarity of two texts.

    Attributes:
        score: cosine similarity of the two texts' vectors, -1 to 1.
        text_a, text_b: the texts.
    """

    score: float
    text_a: str
    text_b: str

    def to_json(self) -> JsonObject:
        """Return the answer as JSON."""
        return {"similarity": self.score, "text_a": self.text_a, "text_b": self.text_b}


@dataclass(frozen=True)
class Embedding:
    """A text as a vector.

    Attributes:
        text: the text.
        vector: its coordinates; the vector has length 1.
    """

    text: str
    vector: tuple[float, ...]

    def to_json(self) -> JsonObject:
        """Return the answer as JSON."""
        return {"text": self.text, "embedding": [*self.vector]}


@dataclass(frozen=True)
class GeneratedText:
    """Text that the model generated.

    Attributes:
        text: the generated text.
        prompt: the text it continues; None if the task reports none.
        tokens: how many tokens were generated; None if the task does not count them.
        unread_tokens: how many tokens were cut from the end of the input to fit the model.
        is_code: whether the text is Python code.
    """

    text: str
    prompt: str | None = None
    tokens: int | None = None
    unread_tokens: int = 0
    is_code: bool = False

    def to_json(self) -> JsonObject:
        """Return the answer as JSON."""
        result: JsonObject = {} if self.prompt is None else {"prompt": self.prompt}
        result["text"] = self.text
        if self.tokens is not None:
            result["tokens"] = self.tokens
        if self.unread_tokens:
            result["unread_tokens"] = self.unread_tokens
        return result


@dataclass(frozen=True)
class FilledMasks:
    """A text with its mask tokens filled in.

    Attributes:
        text: the text with the most probable token in place of each mask.
        prompt: the text with the masks.
        masks: the most probable tokens for each mask, best first.
    """

    text: str
    prompt: str
    masks: tuple[tuple[ScoredText, ...], ...]

    def to_json(self) -> JsonObject:
        """Return the answer as JSON."""
        masks: list[Json] = [
            [{"token": candidate.text, "score": candidate.score} for candidate in candidates]
            for candidates in self.masks
        ]
        return {"prompt": self.prompt, "text": self.text, "masks": masks}


Answer: TypeAlias = (
    ScoredLabels
    | Number
    | Relation
    | Choice
    | LabeledSpans
    | ExtractedAnswer
    | Ranking
    | Similarity
    | Embedding
    | GeneratedText
    | FilledMasks
)
