"""Explanations of one decision: how much each token counts for it, and how far that can be believed.

    >>> explanation = explain(predictor, "a great film", method="occlusion")
    >>> explanation.scores, explanation.faithfulness["sentence"]

A method is an :class:`Explainer`, one file each in this package; drawing what it finds is a separate step
(:mod:`workbench.explain.render`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from workbench.errors import RequestError
from workbench.explain.capture import Attention
from workbench.explain.faithfulness import faithfulness
from workbench.explain.instance import Instance, Predictor
from workbench.explain.targets import TARGET_FINDERS, Place, resolve_target
from workbench.registry import Registry
from workbench.spec import SpecModel
from workbench.tasks.base import Target

explainers: Registry[Explainer] = Registry("explainer", package="workbench.explain.methods")


@dataclass(frozen=True)
class Scores:
    """What an explainer finds.

    Attributes:
        values: float64 [tokens]; the higher, the more the token counts for the target.
        attention: the attention that they come from, where they do.
        details: what the method tells of itself, as JSON: errors, steps, samples.
        notes: what a reader has to know.
    """

    values: NDArray[np.float64]
    attention: Attention | None = None
    details: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Explainer(ABC):
    """One way of telling how much each token counts for a decision.

    A subclass's docstring begins with its label; ``reading`` says in plain words what its scores mean and where they
    end, and is shown with every picture.
    """

    name: ClassVar[str]
    reading: ClassVar[str]
    signed: ClassVar[bool] = False  # whether a score below 0 means that the token speaks against the target
    slow: ClassVar[bool] = False  # whether it asks the model hundreds of times for one text, or only takes short ones
    kinds: ClassVar[tuple[str, ...]] = tuple(TARGET_FINDERS)  # the values of Task.target_kind that it explains

    class Config(SpecModel):
        """The method's own options."""

    def __init__(self, config: Any = None) -> None:
        self.config: Any = config if config is not None else self.Config()

    @classmethod
    def fits(cls, predictor: Predictor) -> str | None:
        """Why the method cannot explain this predictor; None when it can."""
        task, kind = predictor.task.name, predictor.task.target_kind
        if kind is None:
            return f"answers of the task {task} cannot be explained yet"
        if kind not in cls.kinds:
            return f"{cls.name} explains answers that are a {', a '.join(cls.kinds)}; those of {task} are a {kind}"
        return None

    @abstractmethod
    def run(self, instance: Instance, target: Target) -> Scores:
        """How much each token of ``instance`` counts for ``target``."""


@dataclass(frozen=True)
class Explanation:
    """Why a model answers a text as it does.

    Attributes:
        tokens: the tokenizer's names of the tokens; ``shown``: the same as a person would read them.
        offsets: (start, end) characters of each token in the original text (for a pair, in its own: ``segments``).
        segments: 0 for the first text, 1 for the second, None for a special token.
        special: whether the tokenizer added the token.
        scores: how much each token counts for ``target``.
        signed: whether scores below 0 speak against it.
        prediction: ``{"label", "score", "scores": {label: probability}}`` for the whole text.
        target: what is explained: the label, the answer, the next token.
        method: the explainer's name, and ``reading``: what its scores mean, in plain words.
        faithfulness: see :func:`workbench.explain.faithfulness.faithfulness`; ``["sentence"]`` sums it up.
        attention: all the attention weights, for the methods that come from them.
        notes: what a reader has to know, such as that the text was cut off.
        details: what the method tells of itself: errors, steps, samples.
        place: the token that the explained label stands at, where it stands at one.
    """

    text: str
    text_pair: str | None
    tokens: list[str]
    shown: list[str]
    offsets: list[tuple[int, int]]
    segments: list[int | None]
    special: list[bool]
    scores: list[float]
    signed: bool
    prediction: dict[str, Any]
    target: str
    method: str
    reading: str
    faithfulness: dict[str, Any]
    attention: Attention | None = field(default=None, repr=False)
    notes: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    place: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """All but the attention weights, for JSON."""
        found = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "attention"}
        return found | {"offsets": [list(pair) for pair in self.offsets]}

    def _repr_html_(self) -> str:
        from workbench.explain.render.static import token_heat_html

        return token_heat_html(self)


def explain(
    predictor: Predictor,
    text: str,
    method: str = "attention",
    text_pair: str | None = None,
    target: str | None = None,
    place: Place = None,
    **options: Any,
) -> Explanation:
    """Explain the answer that ``predictor`` gives to ``text``, and measure how faithful the explanation is.

    Args:
        predictor: a loaded run (:class:`workbench.inference.predictor.Predictor`).
        text: what it reads.
        method: the name of an explainer; ``explainers.names()`` are all.
        text_pair: the second text, for a model of text pairs.
        target: the label, the answer or the next token to explain; by default what the model says.
        place: for labels of words, the word or its number.
        options: the method's own, as its ``Config`` has them.

    Raises:
        UnknownNameError: there is no such method or label.
        RequestError: the method does not fit the model, or the text holds no token.
    """
    explainer = configured(predictor, method, options)
    instance = Instance(predictor, text, text_pair)
    spec = resolve_target(instance, target, place)
    found = explainer.run(instance, spec.target)
    encoded = instance.encoded
    return Explanation(
        text=text,
        text_pair=text_pair,
        tokens=encoded.tokens,
        shown=encoded.shown,
        offsets=encoded.offsets,
        segments=encoded.segments,
        special=encoded.special,
        scores=[float(value) for value in found.values],
        signed=explainer.signed,
        prediction=spec.prediction,
        target=spec.label,
        method=method,
        reading=explainer.reading,
        faithfulness=faithfulness(instance, found.values, spec.target, spec.label),
        attention=found.attention,
        notes=[*encoded.notes, *found.notes],
        details=found.details,
        place=spec.target.position,
    )


def configured(predictor: Predictor, method: str, options: dict[str, Any]) -> Explainer:
    """The explainer with its options, ready for ``predictor``.

    Raises:
        UnknownNameError: there is no such method.
        RequestError: it does not fit the model, or has no such option.
    """
    entry = explainers.get(method)
    reason = entry.fits(predictor)
    if reason is not None:
        raise RequestError(f"The method {method!r} cannot be used here: {reason}.", _fitting(predictor))
    return entry(_options(entry, options))


def fitting(predictor: Predictor) -> dict[str, str | None]:
    """Every explainer's name, with the reason why it cannot explain ``predictor`` (None when it can)."""
    return {name: entry.fits(predictor) for name, entry in explainers.items()}


def offered(predictor: Predictor) -> list[str]:
    """The names of the explainers that can explain what ``predictor`` answers, the quick ones first."""
    names = [name for name, reason in fitting(predictor).items() if reason is None]
    return sorted(names, key=lambda name: explainers.get(name).slow)


def _fitting(predictor: Predictor) -> str:
    names = offered(predictor)
    return f"These can be used: {', '.join(names)}." if names else "No method explains this task yet."


def _options(entry: type[Explainer], options: dict[str, Any]) -> Any:
    try:
        return entry.Config(**options)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        known = ", ".join(entry.Config.model_fields) or "none"
        raise RequestError(
            f"The options of {entry.name!r} cannot be used: {wrong}.", f"Its options are: {known}."
        ) from error
