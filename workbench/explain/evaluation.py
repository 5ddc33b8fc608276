"""How far an explanation can be believed, in more than one number: for one text, and over many.

    curves      hide tokens one after the other in the order of the explanation, in random orders, in that of attention
    agreement   do other methods rank the tokens alike?
    stability   does a change that means nothing change the explanation?
    sanity      does it change when what was learned is destroyed? (Adebayo et al. 2018, "Sanity Checks ...")

The curves are those of Samek et al. 2017 and Petsiuk et al. 2018 ("RISE": deletion and insertion), with tokens in place
of pixels. :mod:`workbench.explain.faithfulness` is the quick check that comes with every explanation.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import RequestError
from workbench.explain.base import Explainer, configured, explainers, fitting
from workbench.explain.faithfulness import faithfulness
from workbench.explain.instance import Instance, Predictor
from workbench.explain.targets import Place, resolve_target
from workbench.files import read_json, write_json
from workbench.tasks.base import Target

HARMLESS = 0.05  # a change that moves the label's probability further than this is not harmless
DEPENDS = 0.5  # rank correlation below which an explanation has changed with the weights
CHECKS = ("curves", "agreement", "stability", "sanity")


@dataclass(frozen=True)
class FaithfulnessEvaluation:
    """What was measured of one explanation.

    Attributes:
        method, target: what was explained, and how.
        curves: see :func:`curves`; empty where it was not asked for, like the following.
        agreement: for each other method ``{"rank_correlation", "shared"}``: of -1 to 1, and the share of the marked
            tokens (a fifth of the text) that both mark.
        stability: for each change ``{"change", "text", "moved", "harmless", "rank_correlation"}``.
        sanity: ``{"rank_correlation", "draws", "depends"}`` with shuffled weights.
        sentences: what follows, in words.
    """

    method: str
    target: str
    curves: dict[str, Any] = field(default_factory=dict)
    agreement: dict[str, dict[str, float | None]] = field(default_factory=dict)
    stability: list[dict[str, Any]] = field(default_factory=list)
    sanity: dict[str, Any] = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)

    def _repr_html_(self) -> str:
        from workbench.explain.render.curves import faithfulness_curves
        from workbench.explain.render.report import notebook

        return notebook(self.sentences, faithfulness_curves(self.curves, self.target))


def evaluate_faithfulness(
    predictor: Predictor,
    text: str,
    method: str,
    text_pair: str | None = None,
    target: str | None = None,
    place: Place = None,
    checks: Sequence[str] = CHECKS,
    seed: int = 0,
    **options: Any,
) -> FaithfulnessEvaluation:
    """Measure the explanation of one text in every way that ``checks`` names.

    Args:
        predictor: a loaded run.
        text, text_pair, method, target, place, options: as :func:`workbench.explain.explain` takes them.
        checks: some of ``curves``, ``agreement``, ``stability``, ``sanity``.
        seed: of random orders and shuffled weights.

    Raises:
        UnknownNameError: there is no such method or label.
        RequestError: the method does not fit the model, or there is no such check.
    """
    wrong = sorted(set(checks) - set(CHECKS))
    if wrong:
        raise RequestError(f"There is no check {', '.join(wrong)}.", f"Choose from: {', '.join(CHECKS)}.")
    explainer = configured(predictor, method, options)
    instance = Instance(predictor, text, text_pair)
    spec = resolve_target(instance, target, place)
    index, label = spec.target, spec.label
    scores = explainer.run(instance, index).values
    found = FaithfulnessEvaluation(method, label)
    if "curves" in checks:
        rival = None if method == "attention" else attention_scores(predictor, instance, index)
        found.curves.update(curves(instance, scores, index, rival=rival, seed=seed))
        found.sentences.append(_curves_sentence(found.curves, label))
    if "agreement" in checks:
        found.agreement.update(agreement(predictor, instance, explainer, scores, index))
        found.sentences.append(_agreement_sentence(found.agreement))
    if "stability" in checks:
        found.stability.extend(stability(predictor, instance, (text, text_pair), explainer, scores, index))
        found.sentences.append(_stability_sentence(found.stability))
    if "sanity" in checks:
        found.sanity.update(sanity(predictor, (text, text_pair), explainer, scores, index, seed=seed))
        found.sentences.append(_sanity_sentence(found.sanity))
    return found


# -- curves ---------------------------------------------------------------------------------------------------------


def curves(
    instance: Instance,
    scores: NDArray[np.float64],
    target: Target,
    rival: NDArray[np.float64] | None = None,
    steps: int = 10,
    choices: int = 5,
    seed: int = 0,
) -> dict[str, Any]:
    """The label's probability while tokens are hidden (deletion) or shown (insertion), the highest scores first.

    Args:
        scores: [tokens].
        target: what is explained.
        rival: scores of another explanation, such as raw attention, to be compared with.
        steps: into which the text is divided, at most.
        choices: random orders.
        seed: of these.

    Returns:
        ``shares`` of the text's tokens (0 to 1), and at each the probabilities ``deletion``, ``insertion``,
        ``random_deletion`` and ``random_insertion`` (means), ``attention_deletion`` and ``attention_insertion`` (with a
        rival); ``areas``: under each curve, the mean probability: of a good explanation small for deletion and large
        for insertion.
    """
    count = len(instance.positions)
    draw = np.random.default_rng(seed)
    orders = [np.argsort(-scores[instance.positions], kind="stable")]
    orders += [draw.permutation(count) for _ in range(choices)]
    if rival is not None:
        orders.append(np.argsort(-rival[instance.positions], kind="stable"))
    many = np.unique(np.linspace(0, count, min(steps, count) + 1).round().astype(int))  # tokens at each point
    ranks = np.array(orders).argsort(1)  # [orders, count]
    marked = ranks[:, None, :] < many[None, :, None]  # [orders, points, count]
    rows = np.concatenate([~marked, marked]).reshape(-1, count)
    different, place = np.unique(rows, axis=0, return_inverse=True)  # the ends are the same for all
    asked = instance.masked_probabilities(instance.expand_mask(different), target)
    values = asked[place.reshape(-1)].reshape(2, len(orders), len(many))
    shares = many / count
    lines = {}
    for kind, found in zip(("deletion", "insertion"), values, strict=True):
        lines[kind] = found[0]
        lines[f"random_{kind}"] = found[1 : 1 + choices].mean(0)
        if rival is not None:
            lines[f"attention_{kind}"] = found[-1]
    areas = {name: float(np.trapezoid(line, shares)) for name, line in lines.items()}
    told = {name: [float(value) for value in line] for name, line in lines.items()}
    return {"shares": [float(share) for share in shares], **told, "areas": areas, "choices": choices, "seed": seed}


def attention_scores(predictor: Predictor, instance: Instance, target: Target) -> NDArray[np.float64] | None:
    """Raw attention's scores of a text, None for a model without."""
    entry = explainers.get("attention")
    return entry().run(instance, target).values if entry.fits(predictor) is None else None


# -- agreement ------------------------------------------------------------------------------------------------------


def agreement(
    predictor: Predictor, instance: Instance, explainer: Explainer, scores: NDArray[np.float64], target: Target
) -> dict[str, dict[str, float | None]]:
    """How far every other quick method that fits ranks the text's tokens alike.

    Where one of two methods has no sign (attention), both are compared by magnitude.
    """
    found: dict[str, dict[str, float | None]] = {}
    own = instance.positions
    for name, reason in fitting(predictor).items():
        entry = explainers.get(name)
        if reason is not None or entry.slow or name == explainer.name:
            continue
        theirs, mine = entry().run(instance, target).values[own], scores[own]
        if not (entry.signed and explainer.signed):
            theirs, mine = np.abs(theirs), np.abs(mine)
        found[name] = {"rank_correlation": rank_correlation(mine, theirs), "shared": _shared(mine, theirs)}
    return found


def rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Spearman's rank correlation, -1 to 1; ties have their mean rank. None where one of them is all the same."""
    ranks = [_ranks(values) for values in (first, second)]
    if len(first) < 2 or any(np.ptp(rank) == 0 for rank in ranks):
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (counts.cumsum() - (counts - 1) / 2)[place]
    return ranks


def _shared(first: NDArray[np.float64], second: NDArray[np.float64], share: float = 0.2) -> float:
    """The part of the marked tokens (the highest ``share`` of the text) that both mark."""
    count = max(1, int(share * len(first)))
    best = [set(np.argsort(-values, kind="stable")[:count].tolist()) for values in (first, second)]
    return len(best[0] & best[1]) / count


# -- stability ------------------------------------------------------------------------------------------------------


def _full_stop(text: str) -> str:
    bare = text.rstrip()
    return bare[:-1] if bare.endswith(".") else f"{bare}."


def _first_letter(text: str) -> str:
    return text[:1].swapcase() + text[1:]


CHANGES: dict[str, Callable[[str], str]] = {
    "a full stop at the end": _full_stop,
    "case of the first letter": _first_letter,
    "capital letters": str.upper,
    "a space more": lambda text: text.replace(" ", "  ", 1),
}


def stability(
    predictor: Predictor,
    instance: Instance,
    texts: tuple[str, str | None],
    explainer: Explainer,
    scores: NDArray[np.float64],
    target: Target,
) -> list[dict[str, Any]]:
    """The explanation of the same text with a change that means nothing, compared on the tokens that both have.

    A change that the tokenizer does not even see is left out; one that moves the prediction is told, and not judged.
    """
    before = _probability(instance, target)
    found = []
    for name, change in CHANGES.items():
        changed = change(texts[0])
        if not changed.strip():
            continue
        other = Instance(predictor, changed, texts[1])
        if other.encoded.tokens == instance.encoded.tokens:
            continue
        theirs = explainer.run(other, target).values
        pairs = _same_tokens(instance.encoded.tokens, other.encoded.tokens, set(instance.positions.tolist()))
        moved = _probability(other, target) - before
        found.append(
            {
                "change": name,
                "text": changed,
                "moved": moved,
                "harmless": abs(moved) <= HARMLESS,
                "rank_correlation": rank_correlation(
                    np.array([scores[mine] for mine, _ in pairs]), np.array([theirs[their] for _, their in pairs])
                ),
            }
        )
    return found


def _same_tokens(first: list[str], second: list[str], wanted: set[int]) -> list[tuple[int, int]]:
    """Pairs of places of tokens that both texts have, in order; of the first text only those ``wanted``."""
    lower = ([token.lower() for token in first], [token.lower() for token in second])
    blocks = difflib.SequenceMatcher(None, *lower, autojunk=False).get_matching_blocks()
    pairs = [(block.a + step, block.b + step) for block in blocks for step in range(block.size)]
    return [pair for pair in pairs if pair[0] in wanted]


def _probability(instance: Instance, target: Target) -> float:
    return float(instance.masked_probabilities(np.ones((1, len(instance.encoded.tokens)), dtype=bool), target)[0])


# -- sanity ---------------------------------------------------------------------------------------------------------


def sanity(
    predictor: Predictor,
    texts: tuple[str, str | None],
    explainer: Explainer,
    scores: NDArray[np.float64],
    target: Target,
    draws: int = 2,
    seed: int = 0,
) -> dict[str, Any]:
    """The same explanation of a model whose weights are shuffled: if it stays, it does not show what was learned."""
    correlations = []
    for draw in range(draws):
        ruined = SimpleNamespace(
            model=shuffled(predictor.model, seed + draw),
            tokenizer=predictor.tokenizer,
            task=predictor.task,
            labels=predictor.labels,
            max_length=predictor.max_length,
        )
        instance = Instance(ruined, *texts)
        own = instance.positions
        theirs = explainer.run(instance, target).values
        correlations.append(rank_correlation(np.abs(scores[own]), np.abs(theirs[own])))
    told = [value for value in correlations if value is not None]
    mean = float(np.mean(told)) if told else None
    says_nothing = np.ptp(scores[instance.positions]) == 0  # and so cannot change
    depends = not says_nothing and (mean is None or abs(mean) < DEPENDS)
    return {"rank_correlation": mean, "draws": draws, "depends": bool(depends)}


def shuffled(model: Any, seed: int) -> Any:
    """A copy of ``model`` in which the numbers of each matrix (of two and more dimensions) have changed places."""
    ruined = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in ruined.parameters():
            if parameter.dim() >= 2 and parameter.is_floating_point():
                order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return ruined


# -- in words -------------------------------------------------------------------------------------------------------


def _curves_sentence(found: dict[str, Any], label: str) -> str:
    areas = found["areas"]
    mine, random = areas["deletion"], areas["random_deletion"]
    attention = areas.get("attention_deletion")
    beside = "" if attention is None else f", in the order of raw attention {attention:.2f}"
    rivals = [random] if attention is None else [random, attention]
    if mine < min(rivals) - 0.01:
        verdict = "it finds what the model relies on"
    elif mine > max(rivals) + 0.01:
        verdict = "it does not find what the model relies on"
    else:
        verdict = "it is hardly better than these"
    return (
        f"Hidden token by token in the order of the explanation, {label!r} has {mine:.2f} on average; in random order "
        f"{random:.2f}{beside}: {verdict}."
    )


def _agreement_sentence(found: dict[str, dict[str, float | None]]) -> str:
    told = {name: value for name, one in found.items() if (value := one["rank_correlation"]) is not None}
    if not told:
        return "No other method can be compared here."
    best, worst = max(told, key=lambda name: told[name]), min(told, key=lambda name: told[name])
    if len(told) == 1:
        return f"It ranks the tokens as {best} does with a correlation of {told[best]:.2f}."
    return (
        f"Of other methods, {best} ranks the tokens most alike ({told[best]:.2f}), {worst} least ({told[worst]:.2f})."
    )


def _stability_sentence(found: list[dict[str, Any]]) -> str:
    judged = [one for one in found if one["harmless"] and one["rank_correlation"] is not None]
    if not judged:
        return "No harmless change was there to try: the tokenizer does not see them, or they move the prediction."
    worst = min(judged, key=lambda one: float(one["rank_correlation"]))
    value = float(worst["rank_correlation"])
    verdict = "stays" if value > 0.8 else "changes" if value > 0.5 else "changes much"
    return f"With {worst['change']} changed the ranking {verdict} (correlation {value:.2f})."


def _sanity_sentence(found: dict[str, Any]) -> str:
    value = found["rank_correlation"]
    if value is None and not found["depends"]:
        return "It gives every token the same: that cannot show what was learned."
    if value is None:
        return "With shuffled weights nothing is left of the ranking: it shows what was learned."
    verdict = "it shows what was learned" if found["depends"] else "it hardly depends on what was learned"
    return f"With shuffled weights the ranking correlates {value:.2f} with this one: {verdict}."


# -- over many texts ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DatasetFaithfulness:
    """How faithful a method is over many texts.

    Attributes:
        method: the explainer. examples: how many texts.
        comprehensiveness, sufficiency: ``{"value", "low", "high"}``: means with 95% confidence intervals.
        against_random, against_attention: how much further hiding what the method marks drops the prediction than
            hiding random tokens, or those that raw attention marks (None where there is none): as above.
        share: of the text that is marked.
        sentence: what follows.
    """

    method: str
    examples: int
    comprehensiveness: dict[str, float]
    sufficiency: dict[str, float]
    against_random: dict[str, float]
    against_attention: dict[str, float] | None
    share: float
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)

    def save(self, run_folder: Path) -> Path:
        """Write it into a run's folder, as ``explanations/METHOD.json``."""
        path = run_folder / "explanations" / f"{self.method}.json"
        path.parent.mkdir(exist_ok=True)
        write_json(path, self.as_dict())
        return path


def read_dataset_faithfulness(run_folder: Path) -> dict[str, DatasetFaithfulness]:
    """The proofs over a data set that are kept in a run's folder, by method; damaged files are left out."""
    found = {}
    for path in sorted((run_folder / "explanations").glob("*.json")):
        told: Any = read_json(path)
        try:
            found[path.stem] = DatasetFaithfulness(**told)
        except TypeError:
            continue
    return found


def evaluate_dataset_faithfulness(
    predictor: Predictor,
    examples: Sequence[dict[str, str]],
    method: str,
    share: float = 0.2,
    choices: int = 5,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> DatasetFaithfulness:
    """How faithful ``method`` is over ``examples``, each for the label that is predicted.

    Args:
        predictor: a loaded run.
        examples: ``{"text": ...}``, of pairs also ``"text_pair"``.
        method, options: as :func:`workbench.explain.explain` takes them.
        share: of a text's tokens that is marked (at least one).
        choices: random choices for each text.
        seed: of these, and of the bootstrap.
        progress: told how many of how many are done.

    Raises:
        RequestError: there are no examples, or the method does not fit.
    """
    if not examples:
        raise RequestError("There are no texts to measure explanations on.", "Give a list of some.")
    explainer = configured(predictor, method, options)
    rows = []
    for number, example in enumerate(examples):
        instance = Instance(predictor, example["text"], example.get("text_pair"))
        spec = resolve_target(instance)
        target, label = spec.target, spec.label
        found = faithfulness(instance, explainer.run(instance, target).values, target, label, share, choices, seed)
        raw = None if method == "attention" else attention_scores(predictor, instance, target)
        rival = np.nan
        if raw is not None:
            rival = faithfulness(instance, raw, target, label, share, 1, seed)["comprehensiveness"]
        rows.append((found["comprehensiveness"], found["sufficiency"], found["random_comprehensiveness"], rival))
        if progress is not None:
            progress(number + 1, len(examples))
    good, enough, random, attention = np.array(rows, dtype=np.float64).T
    draw = np.random.default_rng(seed).integers(len(rows), size=(2000, len(rows)))
    over_random = _interval(good - random, draw)
    over_attention = None if np.isnan(attention).any() else _interval(good - attention, draw)
    return DatasetFaithfulness(
        method,
        len(rows),
        _interval(good, draw),
        _interval(enough, draw),
        over_random,
        over_attention,
        share,
        _data_sentence(method, len(rows), over_random, over_attention),
    )


def _interval(values: NDArray[np.float64], draw: NDArray[np.int64]) -> dict[str, float]:
    """The mean and its 95% interval by the bootstrap ``draw`` [draws, examples]."""
    means = values[draw].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return {"value": float(values.mean()), "low": float(low), "high": float(high)}


def _data_sentence(method: str, count: int, random: dict[str, float], attention: dict[str, float] | None) -> str:
    def beside(found: dict[str, float], what: str) -> str:
        interval = f"{found['value']:+.3f} (95% interval {found['low']:+.3f} to {found['high']:+.3f})"
        if found["low"] > 0:
            return f"more than hiding {what}: {interval}"
        return (
            f"less than hiding {what}: {interval}" if found["high"] < 0 else f"not clearly more than {what}: {interval}"
        )

    told = f"Over {count} texts, hiding what {method} marks drops the prediction {beside(random, 'random tokens')}"
    return told + ("." if attention is None else f"; {beside(attention, 'what raw attention marks')}.")
