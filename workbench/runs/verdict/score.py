"""The score that a run is judged by, in a sentence and in a picture, beside those of simple baselines.

A metric that counts examples becomes 100 dots, 20 columns of 5: filled dots are right, and the paler ones are within
the 95% interval. Other metrics become a bar with their interval. Both pictures are SVG without scripts, with a text
alternative.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from workbench.formatting import shorten
from workbench.i18n import _
from workbench.metrics.measures import SMALLER_IS_BETTER, scale_note
from workbench.runs.documents import Number, Report
from workbench.runs.verdict.assessment import PROPORTIONS

BLUE, PALE, EMPTY, ORANGE = "#0072B2", "#8CC3E6", "#8C959F", "#B54708"
MAX_NAME = 60  # characters of a baseline's name
COLUMNS, ROWS, PITCH, LEFT, TOP = 20, 5, 21, 12, 12  # of the dots; PITCH, LEFT and TOP in pixels
LABEL_HEIGHT = 17  # of a line of text below a picture, in pixels
_MOST_FREQUENT = re.compile(r"always .+ \(most frequent in training\)", re.DOTALL)


@dataclass(frozen=True)
class Baseline:
    """A simple baseline.

    Attributes:
        name: its name in words, translated.
        value: its value of the metric.
    """

    name: str
    value: float


@dataclass(frozen=True)
class Score:
    """The metric that a run is judged by.

    Attributes:
        metric: its name.
        value: its value.
        low, high: its 95% interval; None if there is none.
        baselines: simple baselines, the weakest first.
        examples: what was counted, translated: ``new texts``.
    """

    metric: str
    value: float
    low: float | None
    high: float | None
    baselines: tuple[Baseline, ...]
    examples: str

    @property
    def is_proportion(self) -> bool:
        """Whether it is the share of examples that are right."""
        return self.metric in PROPORTIONS and 0 <= self.value <= 1

    @property
    def name(self) -> str:
        """The metric in words, with a note if smaller is better."""
        text = _(self.metric.replace("_", " ")) + scale_note(self.metric)
        return _("{metric} (lower is better)").format(metric=text) if self.metric in SMALLER_IS_BETTER else text


def score_of(report: Report, task: str | None = None) -> Score | None:
    """Return the score of a run; None before it has one.

    Args:
        report: report of the run.
        task: name of its task.
    """
    metric, name = report.primary, report.primary_metric
    if metric is None or metric.value is None or name is None:
        return None
    values: dict[str, Number | None] = {}
    for baseline, result in report.baselines.items():
        values[baseline] = result.get(name) if isinstance(result, dict) else result
    values.setdefault(report.baseline_name or _("simple baseline"), report.baseline.get(name))
    baselines = [Baseline(baseline_name(key), float(value)) for key, value in values.items() if value is not None]
    baselines.sort(key=lambda each: each.value, reverse=bool(report.smaller_is_better))
    low, high = (None if end is None else float(end) for end in (metric.low, metric.high))
    is_validation = report.evaluated_on == "valid"
    texts = _("validation texts") if is_validation else _("new texts")
    if task not in (None, "text-classification"):
        texts = _("validation examples") if is_validation else _("new examples")
    return Score(name, float(metric.value), low, high, tuple(baselines), texts)


def baseline_name(name: str) -> str:
    """Return the name of a baseline in plain words.

    Args:
        name: as a report has it: ``TF-IDF of words with logistic regression, trained on the same examples``.
    """
    if _MOST_FREQUENT.fullmatch(name):
        return _("always guessing the most frequent label")
    if name.startswith("TF-IDF of words"):
        return _("counting words (TF-IDF)")
    if name.startswith("TF-IDF of characters"):
        return _("counting characters (TF-IDF)")
    return shorten(_(name), MAX_NAME)


def sentence(score: Score) -> str:
    """Return the score in words: ``Right in 80 of 100 new texts (between 78 and 83).``

    Args:
        score: the score.
    """
    if not score.is_proportion:
        text = _("{metric}: {value}").format(metric=_capital(score.name), value=_number(score.value))
        if score.low is not None and score.high is not None:
            text += " " + _("(between {low} and {high})").format(low=_number(score.low), high=_number(score.high))
        return f"{text}."
    text = _("Right in {n} of 100 {examples}").format(n=hundredths(score.value), examples=score.examples)
    if score.low is not None and score.high is not None:
        ends = {"low": hundredths(score.low), "high": hundredths(score.high)}
        text += " " + _("(between {low} and {high})").format(**ends)
    return f"{text}."


def comparison(score: Score) -> str:
    """Return the baselines in words: ``Always guessing the most frequent label: 58.``; empty without one.

    Args:
        score: the score.
    """
    values = [hundredths(each.value) if score.is_proportion else _number(each.value) for each in score.baselines]
    parts = [f"{each.name}: {value}" for each, value in zip(score.baselines, values, strict=True)]
    return _capital("; ".join(parts)) + "." if parts else ""


def hundredths(share: float) -> str:
    """Return a share as a number of 100. Only a share of 0 is 0 and only one of 1 is 100.

    Args:
        share: 0 to 1.
    """
    count = round(100 * share)
    if (count == 100 and share < 1) or (count == 0 and share > 0):
        return f"{100 * share:.1f}"
    return str(count)


def picture(score: Score, ink: str = "currentColor") -> str:
    """Return the score as an SVG element.

    Args:
        score: the score.
        ink: colour of the texts.
    """
    return (_dots(score) if score.is_proportion else _bar(score)).replace("currentColor", ink)


def _dots(score: Score) -> str:
    low = score.value if score.low is None else score.low
    high = score.value if score.high is None else score.high
    parts = []
    for index in range(COLUMNS * ROWS):
        x, y = LEFT + PITCH * (index // ROWS), TOP + PITCH * (index % ROWS)
        share = (index + 0.5) / (COLUMNS * ROWS)
        colour = BLUE if share < min(low, score.value) else PALE if share < max(high, score.value) else ""
        filled = f'fill="{colour}"' if colour else f'fill="none" stroke="{EMPTY}" stroke-width="1.2"'
        if colour == PALE and share < score.value:
            filled = f'fill="{PALE}" stroke="{BLUE}" stroke-width="1.6"'
        parts.append(f'<circle cx="{x}" cy="{y}" r="7" {filled}/>')
    width, bottom = 2 * LEFT + PITCH * (COLUMNS - 1), TOP + PITCH * (ROWS - 1) + 9
    return _with_baselines(score, parts, LEFT - PITCH / 2, PITCH * COLUMNS, width, bottom, (0.0, 1.0))


def _bar(score: Score) -> str:
    values = [0.0, score.value, *(each.value for each in score.baselines)]
    values += [end for end in (score.low, score.high) if end is not None]
    least, most = min(values), max(values)
    if least >= 0 and most <= 1 and score.metric not in SMALLER_IS_BETTER:
        most = 1.0
    span = (most - least) or 1.0
    width = 2 * LEFT + PITCH * (COLUMNS - 1)
    length = width - 2 * LEFT

    def at(value: float) -> float:
        return LEFT + length * (value - least) / span

    start, end = sorted((at(0.0), at(score.value)))
    parts = [
        f'<rect x="{LEFT}" y="{TOP}" width="{length}" height="26" rx="4" fill="none" stroke="{EMPTY}"/>',
        f'<rect x="{start:.1f}" y="{TOP}" width="{end - start:.1f}" height="26" rx="4" fill="{BLUE}"/>',
    ]
    if score.low is not None and score.high is not None:
        low, high = at(score.low), at(score.high)
        parts.append(f'<rect x="{low:.1f}" y="{TOP}" width="{high - low:.1f}" height="26" fill="{PALE}"/>')
        parts.append(f'<path d="M{at(score.value):.1f} {TOP}v26" stroke="{BLUE}" stroke-width="3"/>')
    return _with_baselines(score, parts, LEFT, length, width, TOP + 30, (least, least + span))


def _with_baselines(
    score: Score, parts: list[str], left: float, length: float, width: float, bottom: float, ends: tuple[float, float]
) -> str:
    """Add a line with its value for each baseline, whose names are in the text alternative; close the picture."""
    for row, each in enumerate(score.baselines):
        x = left + length * (each.value - ends[0]) / (ends[1] - ends[0])
        y = bottom + LABEL_HEIGHT * (row + 1)
        value = hundredths(each.value) if score.is_proportion else _number(each.value)
        anchor = "end" if x > width / 2 else "start"
        parts.append(f'<path d="M{x:.1f} 1V{y - 9:.1f}" stroke="{ORANGE}" stroke-width="2" stroke-dasharray="4 2"/>')
        x += -5 if anchor == "end" else 5
        parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{value}</text>')
    height = bottom + LABEL_HEIGHT * len(score.baselines) + 8
    label = html.escape(f"{sentence(score)} {comparison(score)}".strip(), quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" width="{width}" '
        f'role="img" aria-label="{label}" font-family="system-ui,sans-serif" font-size="13" fill="currentColor" '
        f'style="max-width:100%;height:auto"><title>{label}</title>{"".join(parts)}</svg>'
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
