"""Faithfulness of a method over many texts, stored in the run's folder as ``explanations/METHOD.json``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np

from workbench.errors import RequestError
from workbench.explain.base import build_explainer
from workbench.explain.checks import attention_scores
from workbench.explain.examples import NO_TEXTS, TextInputs
from workbench.explain.faithfulness import faithfulness
from workbench.explain.instance import Instance
from workbench.explain.predictor import Predictor
from workbench.explain.targets import resolve_target
from workbench.files import read_json, write_json
from workbench.i18n import N_, _
from workbench.types import Floats, Ints, JsonObject

FOLDER = "explanations"


class Interval(TypedDict):
    """A mean and its 95% confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class DatasetFaithfulness:
    """The faithfulness of a method over many texts.

    Attributes:
        method: the explainer's name.
        examples: the number of texts.
        comprehensiveness, sufficiency: means over the texts.
        against_random: how much further masking the method's top-k tokens lowers the prediction than masking random
            tokens.
        against_attention: the same, compared with raw attention's top-k tokens; None for a model without attention.
        share: the share of a text that is the top k.
        sentence: the conclusion, in English.
    """

    method: str
    examples: int
    comprehensiveness: Interval
    sufficiency: Interval
    against_random: Interval
    against_attention: Interval | None
    share: float
    sentence: str

    def as_dict(self) -> JsonObject:
        """Return all fields, for JSON."""
        return asdict(self)

    def describe(self) -> str:
        """Return the conclusion in the reader's language."""
        return _sentence(self.method, self.examples, self.against_random, self.against_attention, _)

    def save(self, run_folder: Path) -> Path:
        """Write it into a run's folder, in place of an earlier evaluation of the method.

        Args:
            run_folder: the run's.

        Returns:
            The file.
        """
        path = run_folder / FOLDER / f"{self.method}.json"
        path.parent.mkdir(exist_ok=True)
        write_json(path, self.as_dict())
        return path


def read_dataset_faithfulness(run_folder: Path) -> dict[str, DatasetFaithfulness]:
    """Read the stored evaluations of a run; damaged files are left out.

    Args:
        run_folder: the run's.

    Returns:
        The evaluations by method.
    """
    result = {}
    for path in sorted((run_folder / FOLDER).glob("*.json")):
        try:
            result[path.stem] = DatasetFaithfulness(**(read_json(path) or {}))
        except TypeError:
            continue
    return result


def evaluate_dataset_faithfulness(
    predictor: Predictor,
    examples: Sequence[TextInputs],
    method: str,
    share: float = 0.2,
    draws: int = 5,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    options: Mapping[str, object] | None = None,
) -> DatasetFaithfulness:
    """Evaluate a method over texts, each for the label that is predicted.

    Args:
        predictor: a loaded run.
        examples: the texts.
        method: the name of an explainer.
        share: the share of a text's tokens that are the top k (at least one).
        draws: the number of random draws per text.
        seed: seed of the random draws and the bootstrap.
        progress: receives the number of texts done, and of all.
        options: the method's own.

    Raises:
        RequestError: there are no examples, or the method does not fit.
    """
    if not examples:
        raise RequestError(NO_TEXTS, "Pass at least one text.")
    explainer = build_explainer(predictor, method, options or {})
    rows = []
    for number, example in enumerate(examples):
        instance = Instance(predictor, example["text"], example.get("text_pair"))
        spec = resolve_target(instance)
        target, label = spec.target, spec.label
        own = faithfulness(instance, explainer.run(instance, target).values, target, label, share, draws, seed)
        raw = None if method == "attention" else attention_scores(predictor, instance, target)
        rival = np.nan
        if raw is not None:
            rival = faithfulness(instance, raw, target, label, share, 1, seed)["comprehensiveness"]
        rows.append((own["comprehensiveness"], own["sufficiency"], own["random_comprehensiveness"], rival))
        if progress is not None:
            progress(number + 1, len(examples))
    comprehensiveness, sufficiency, random, attention = np.array(rows, dtype=np.float64).T
    samples = np.random.default_rng(seed).integers(len(rows), size=(2000, len(rows)))
    against_random = _interval(comprehensiveness - random, samples)
    no_attention = bool(np.isnan(attention).any())
    against_attention = None if no_attention else _interval(comprehensiveness - attention, samples)
    return DatasetFaithfulness(
        method,
        len(rows),
        _interval(comprehensiveness, samples),
        _interval(sufficiency, samples),
        against_random,
        against_attention,
        share,
        _sentence(method, len(rows), against_random, against_attention, str),
    )


def _interval(values: Floats, samples: Ints) -> Interval:
    """Return the mean and its 95% interval over bootstrap ``samples`` [draws, examples]."""
    low, high = np.quantile(values[samples].mean(1), [0.025, 0.975])
    return Interval(value=float(values.mean()), low=float(low), high=float(high))


_RANDOM = (  # more, less, and not clearly more
    N_("more than masking random tokens: {interval}"),
    N_("less than masking random tokens: {interval}"),
    N_("not clearly more than masking random tokens: {interval}"),
)
_ATTENTION = (
    N_("more than masking the top tokens of raw attention: {interval}"),
    N_("less than masking the top tokens of raw attention: {interval}"),
    N_("not clearly more than masking the top tokens of raw attention: {interval}"),
)


def _sentence(
    method: str, count: int, random: Interval, attention: Interval | None, translate: Callable[[str], str]
) -> str:
    def compared(interval: Interval, texts: tuple[str, str, str]) -> str:
        text = texts[0 if interval["low"] > 0 else 1 if interval["high"] < 0 else 2]
        numbers = translate(N_("{value:+.3f} (95% interval {low:+.3f} to {high:+.3f})"))
        return translate(text).format(interval=numbers.format(**interval))

    if attention is None:
        text = translate(N_("Over {n} texts, masking the top tokens of {method} lowers the prediction {random}."))
        return text.format(n=count, method=method, random=compared(random, _RANDOM))
    text = translate(
        N_("Over {n} texts, masking the top tokens of {method} lowers the prediction {random}; {attention}.")
    )
    return text.format(
        n=count, method=method, random=compared(random, _RANDOM), attention=compared(attention, _ATTENTION)
    )
