"""Faithfulness evaluation of one explanation: every check, with its conclusion in words.

:mod:`workbench.explain.faithfulness` is the quick measure that comes with every explanation;
:mod:`workbench.explain.dataset_faithfulness` evaluates a method over many texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from workbench.errors import RequestError
from workbench.explain.base import build_explainer
from workbench.explain.checks import (
    CHECKS,
    Agreement,
    Check,
    Curves,
    Sanity,
    Stability,
    agreement,
    attention_scores,
    curves,
    sanity,
    stability,
)
from workbench.explain.display import HtmlDisplay
from workbench.explain.instance import Instance
from workbench.explain.predictor import Predictor
from workbench.explain.targets import WordRef, resolve_target
from workbench.i18n import _
from workbench.types import JsonObject


@dataclass(frozen=True)
class FaithfulnessEvaluation(HtmlDisplay):
    """The measurements of one explanation; checks that were not requested are None or empty.

    Attributes:
        method: the explainer's name.
        target: the label that is explained.
        curves: deletion and insertion.
        agreement: with each other method, by its name.
        stability: for each change of the text.
        sanity: with shuffled weights.
        sentences: the conclusions, in words.
    """

    method: str
    target: str
    curves: Curves | None = None
    agreement: dict[str, Agreement] = field(default_factory=dict)
    stability: list[Stability] = field(default_factory=list)
    sanity: Sanity | None = None
    sentences: list[str] = field(default_factory=list)

    def as_dict(self) -> JsonObject:
        """Return all fields, for JSON."""
        return asdict(self)


def evaluate_faithfulness(
    predictor: Predictor,
    text: str,
    method: str,
    text_pair: str | None = None,
    target: str | None = None,
    word: WordRef = None,
    checks: Sequence[Check] = CHECKS,
    seed: int = 0,
    options: Mapping[str, object] | None = None,
) -> FaithfulnessEvaluation:
    """Evaluate the explanation of one text.

    Args:
        predictor: a loaded run.
        text: the text.
        method: the name of an explainer.
        text_pair: the second text, for a model of text pairs.
        target: the label to explain; by default what the model predicts.
        word: for labels of words, the word or its index.
        checks: some of ``curves``, ``agreement``, ``stability``, ``sanity``.
        seed: seed of random orders and shuffled weights.
        options: the method's own.

    Raises:
        UnknownNameError: there is no such method or label.
        RequestError: the method does not fit the model, or there is no such check.
    """
    unknown = sorted(set(checks) - set(CHECKS))
    if unknown:
        raise RequestError(f"There is no check {', '.join(unknown)}.", f"Choose from: {', '.join(CHECKS)}.")
    explainer = build_explainer(predictor, method, options or {})
    instance = Instance(predictor, text, text_pair)
    spec = resolve_target(instance, target, word)
    scores = explainer.run(instance, spec.target).values
    texts = (text, text_pair)
    sentences: list[str] = []
    result = FaithfulnessEvaluation(method, spec.label, sentences=sentences)
    if "curves" in checks:
        rival = None if method == "attention" else attention_scores(predictor, instance, spec.target)
        measured = curves(instance, scores, spec.target, rival=rival, seed=seed)
        result = replace(result, curves=measured)
        sentences.append(_curves_sentence(measured.areas, spec.label))
    if "agreement" in checks:
        result.agreement.update(agreement(predictor, instance, explainer, scores, spec.target))
        sentences.append(_agreement_sentence(result.agreement))
    if "stability" in checks:
        result.stability.extend(stability(predictor, instance, texts, explainer, scores, spec.target))
        sentences.append(_stability_sentence(result.stability))
    if "sanity" in checks:
        shuffled = sanity(predictor, texts, explainer, scores, spec.target, seed=seed)
        result = replace(result, sanity=shuffled)
        sentences.append(_sanity_sentence(shuffled))
    return result


def _curves_sentence(areas: dict[str, float], label: str) -> str:
    own, random, attention = areas["deletion"], areas["random_deletion"], areas.get("attention_deletion")
    rivals = [random] if attention is None else [random, attention]
    if own < min(rivals) - 0.01:
        verdict = _("the explanation finds what the model relies on")
    elif own > max(rivals) + 0.01:
        verdict = _("the explanation does not find what the model relies on")
    else:
        verdict = _("the explanation is hardly better than these")
    if attention is None:
        text = _(
            "As tokens are masked one by one, the mean probability of {label!r} is {own:.2f} in the order of the "
            "explanation, in random order {random:.2f}: {verdict}."
        )
    else:
        text = _(
            "As tokens are masked one by one, the mean probability of {label!r} is {own:.2f} in the order of the "
            "explanation, in random order {random:.2f}, in the order of raw attention {attention:.2f}: {verdict}."
        )
    return text.format(label=label, own=own, random=random, attention=attention, verdict=verdict)


def _agreement_sentence(result: dict[str, Agreement]) -> str:
    correlations = {name: value for name, entry in result.items() if (value := entry["rank_correlation"]) is not None}
    if not correlations:
        return _("No other method can be compared here.")
    best, worst = max(correlations, key=correlations.__getitem__), min(correlations, key=correlations.__getitem__)
    if len(correlations) == 1:
        text = _("Its ranking of the tokens correlates {value:.2f} with that of {method}.")
        return text.format(value=correlations[best], method=best)
    text = _(
        "Compared with other methods, its ranking is most like that of {best} ({highest:.2f}) and least like that of "
        "{worst} ({lowest:.2f})."
    )
    return text.format(best=best, highest=correlations[best], worst=worst, lowest=correlations[worst])


def _stability_sentence(result: list[Stability]) -> str:
    harmless = [
        (value, entry["change"])
        for entry in result
        if entry["harmless"] and (value := entry["rank_correlation"]) is not None
    ]
    if not harmless:
        return _("Stability was not measured: the tokenizer ignores small changes, or they move the prediction.")
    value, change = min(harmless, key=lambda pair: pair[0])
    if value > 0.8:
        text = _("When only {change} changes, the ranking stays the same (correlation {value:.2f}).")
    elif value > 0.5:
        text = _("When only {change} changes, the ranking changes (correlation {value:.2f}).")
    else:
        text = _("When only {change} changes, the ranking changes much (correlation {value:.2f}).")
    return text.format(change=_(change), value=value)


def _sanity_sentence(result: Sanity) -> str:
    value = result["rank_correlation"]
    if value is None and not result["depends"]:
        return _("All tokens have the same score, which cannot show what was learned.")
    if value is None:
        return _("With shuffled weights nothing is left of the ranking: it shows what was learned.")
    if result["depends"]:
        text = _("With shuffled weights the ranking correlates {value:.2f} with this one: it shows what was learned.")
    else:
        text = _(
            "With shuffled weights the ranking correlates {value:.2f} with this one: it hardly depends on what was "
            "learned."
        )
    return text.format(value=value)
