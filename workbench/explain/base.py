"""Explanations of one decision: the score of each token, and how faithful these scores are.

    >>> explanation = explain(predictor, "a great film", method="occlusion")
    >>> explanation.scores, explanation.faithfulness["sentence"]

A method is an :class:`Explainer`, one file each in :mod:`workbench.explain.methods`. Drawing is a separate step
(:mod:`workbench.explain.render`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from pydantic import ValidationError

from workbench.errors import RequestError
from workbench.explain.capture import Attention
from workbench.explain.display import HtmlDisplay
from workbench.explain.encoding import Offsets
from workbench.explain.faithfulness import Faithfulness, faithfulness
from workbench.explain.instance import Instance
from workbench.explain.predictor import Predictor
from workbench.explain.targets import TARGET_FINDERS, Prediction, WordRef, resolve_target
from workbench.registry import Registry
from workbench.spec import SpecModel
from workbench.tasks.base import Target, TargetKind
from workbench.types import Floats, JsonObject

explainers: Registry[Explainer] = Registry("explainer", package="workbench.explain.methods")


@dataclass(frozen=True)
class Scores:
    """The result of an explainer.

    Attributes:
        values: float64 [tokens]; the higher, the more important the token is for the target.
        attention: the attention weights that the scores are based on, if any.
        details: diagnostics of the method: errors, steps, samples.
        notes: what readers should know.
    """

    values: Floats
    attention: Attention | None = None
    details: JsonObject = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Explainer(ABC):
    """A method that scores how important each token is for a decision.

    A subclass's docstring begins with its label. ``reading`` says in plain words what its scores mean and what they do
    not; it is shown with every picture.
    """

    name: ClassVar[str]
    reading: ClassVar[str]
    signed: ClassVar[bool] = False  # whether a score below 0 means that the token is against the target
    slow: ClassVar[bool] = False  # whether it needs hundreds of forward passes for one text, or accepts only short ones
    kinds: ClassVar[tuple[TargetKind, ...]] = tuple(TARGET_FINDERS)  # the values of Task.target_kind that it explains

    class Config(SpecModel):
        """Options of the method."""

    # Any: each method reads the options of its own Config.
    def __init__(self, config: Any = None) -> None:
        self.config: Any = config if config is not None else self.Config()

    @classmethod
    def why_incompatible(cls, predictor: Predictor) -> str | None:
        """Return the reason why the method cannot explain a predictor; None when it can.

        Args:
            predictor: a loaded run.
        """
        task, kind = predictor.task.name, predictor.task.target_kind
        if kind is None:
            return f"answers of the task {task} cannot be explained yet"
        if kind not in cls.kinds:
            return f"{cls.name} explains a {', a '.join(cls.kinds)}; the answers of {task} are a {kind}"
        return None

    @abstractmethod
    def run(self, instance: Instance, target: Target) -> Scores:
        """Score every token.

        Args:
            instance: the text and its model.
            target: what is explained.
        """


@dataclass(frozen=True)
class Explanation(HtmlDisplay):
    """The explanation of a model's answer to a text.

    Attributes:
        text, text_pair: what the model read.
        tokens: the tokenizer's names of the tokens.
        shown: the same tokens as a person would read them.
        offsets: (start, end) characters of each token in the original text (for a pair, in its own: ``segments``).
        segments: 0 for the first text, 1 for the second, None for a special token.
        special: whether the tokenizer added the token.
        scores: how important each token is for ``target``.
        signed: whether scores below 0 are against it.
        prediction: the model's answer to the whole text.
        target: what is explained: the label, the answer, the next token.
        method: the explainer's name.
        reading: what its scores mean, in plain words.
        faithfulness: how faithful the scores are; ``["sentence"]`` sums it up.
        attention: all attention weights, for methods that are based on them.
        notes: what readers should know, such as that the text was truncated.
        details: diagnostics of the method: errors, steps, samples.
        position: the token whose label is explained, where labels belong to tokens.
    """

    text: str
    text_pair: str | None
    tokens: list[str]
    shown: list[str]
    offsets: Offsets
    segments: list[int | None]
    special: list[bool]
    scores: list[float]
    signed: bool
    prediction: Prediction
    target: str
    method: str
    reading: str
    faithfulness: Faithfulness
    attention: Attention | None = field(default=None, repr=False)
    notes: list[str] = field(default_factory=list)
    details: JsonObject = field(default_factory=dict)
    position: int | None = None

    def as_dict(self) -> JsonObject:
        """Return all fields but the attention weights, for JSON."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "attention"}
        return values | {"offsets": [list(pair) for pair in self.offsets]}


def explain(
    predictor: Predictor,
    text: str,
    method: str = "attention",
    text_pair: str | None = None,
    target: str | None = None,
    word: WordRef = None,
    **options: object,
) -> Explanation:
    """Explain a model's answer to a text, and measure how faithful the explanation is.

    Args:
        predictor: a loaded run (:class:`workbench.inference.predictor.Predictor`).
        text: the text.
        method: the name of an explainer; ``explainers.names()`` lists them.
        text_pair: the second text, for a model of text pairs.
        target: the label, the answer or the next token to explain; by default what the model predicts.
        word: for labels of words, the word or its index from 0.
        options: options of the method, the fields of its ``Config``.

    Raises:
        UnknownNameError: there is no such method or label.
        RequestError: the method does not fit the model, or the text has no tokens.
    """
    explainer = build_explainer(predictor, method, options)
    instance = Instance(predictor, text, text_pair)
    spec = resolve_target(instance, target, word)
    scores = explainer.run(instance, spec.target)
    encoded = instance.encoded
    return Explanation(
        text=text,
        text_pair=text_pair,
        tokens=encoded.tokens,
        shown=encoded.shown,
        offsets=encoded.offsets,
        segments=encoded.segments,
        special=encoded.special,
        scores=[float(value) for value in scores.values],
        signed=explainer.signed,
        prediction=spec.prediction,
        target=spec.label,
        method=method,
        reading=explainer.reading,
        faithfulness=faithfulness(instance, scores.values, spec.target, spec.label),
        attention=scores.attention,
        notes=[*encoded.notes, *scores.notes],
        details=scores.details,
        position=spec.target.position,
    )


def build_explainer(predictor: Predictor, method: str, options: Mapping[str, object]) -> Explainer:
    """Return an explainer with its options, ready for a predictor.

    Args:
        predictor: a loaded run.
        method: the explainer's name.
        options: the fields of its ``Config``.

    Raises:
        UnknownNameError: there is no such method.
        RequestError: it does not fit the model, or has no such option.
    """
    entry = explainers.get(method)
    reason = entry.why_incompatible(predictor)
    if reason is not None:
        names = compatible_methods(predictor)
        hint = f"Available methods: {', '.join(names)}." if names else "No method explains this task yet."
        raise RequestError(f"The method {method!r} cannot be used here: {reason}.", hint)
    try:
        return entry(entry.Config.model_validate(options))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        known = ", ".join(entry.Config.model_fields) or "none"
        raise RequestError(
            f"The options of {method!r} are not valid: {wrong}.", f"Its options are: {known}."
        ) from error


def compatibility(predictor: Predictor) -> dict[str, str | None]:
    """Return every explainer's name, with the reason why it cannot explain a predictor (None when it can).

    Args:
        predictor: a loaded run.
    """
    return {name: entry.why_incompatible(predictor) for name, entry in explainers.items()}


def compatible_methods(predictor: Predictor) -> list[str]:
    """Return the names of the explainers that can explain a predictor, fast ones first.

    Args:
        predictor: a loaded run.
    """
    names = [name for name, reason in compatibility(predictor).items() if reason is None]
    return sorted(names, key=lambda name: explainers.get(name).slow)
