"""A comparison as one HTML file to share: it opens without network, server or script.

It contains the verdicts, metrics and costs, plots as SVG, the settings that differ, and examples that only one of two
runs gets right. Everything that a user, a file or a model wrote is escaped and shortened, and the page's content
security policy forbids it to load or run anything, so that a report from somebody else is safe to open.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from workbench.compare import tradeoff
from workbench.compare.differences import compare, compare_settings, display_names
from workbench.compare.disagreements import disagreements
from workbench.compare.figures import curve_svg, interval_svg, scatter_svg
from workbench.compare.results import Comparison, SeedComparison
from workbench.compare.seeds import compare_seeds, has_seed_groups
from workbench.errors import RequestError, WorkbenchError
from workbench.files import SHARED, write_text
from workbench.formatting import shorten
from workbench.metrics import measures
from workbench.page_policy import policy_tag
from workbench.runs.documents import Number, RunSummary
from workbench.runs.query import metric_names
from workbench.runs.run import Run
from workbench.runs.series.curves import overlaid_curves

MAX_EXAMPLES = 20  # of each kind
MAX_TEXT_LENGTH, MAX_NAME_LENGTH = 600, 90  # characters of an example, of a name
MAX_SETTINGS = 200
_TIME = re.compile(r"^\d{8}-\d{6}-")
_STYLE = (
    ":root{color-scheme:light dark;--ink:#24292f;--quiet:#59636e;--rule:#d8dde1;--page:#fff}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--quiet:#9aa5b1;--rule:#3a424b;--page:#15191e}}"
    "body{max-width:70em;margin:1.5em auto;padding:0 1em;font:15px/1.5 system-ui,sans-serif;color:var(--ink);"
    "background:var(--page)}h1{font-size:1.4em}h2{font-size:1.15em;margin:1.8em 0 .4em}"
    ".verdict{border-left:4px solid #3a94c4;padding:.3em .9em;margin:.5em 0}.quiet{color:var(--quiet)}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;margin:.6em 0}"
    "td,th{padding:.2em .9em .2em 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule);"
    "overflow-wrap:break-word;max-width:22em}td{min-width:5em}"
    ".figures td+td,.figures th+th{text-align:right;font-variant-numeric:tabular-nums}"
    ".figures td+td{white-space:nowrap}"
    "svg{max-width:100%;height:auto;display:block;margin:.6em 0}svg text{fill:var(--ink)}"
    "svg .quiet{fill:var(--quiet)}svg .grid{stroke:var(--rule)}"
)


def comparison_report(runs: Sequence[Run], metric: str | None = None) -> str:
    """Return the report as an HTML document.

    Args:
        runs: two or more; the first is compared with the others.
        metric: as for :func:`workbench.compare.differences.compare`.

    Raises:
        RequestError: the runs cannot be compared, with the reason.
        UnknownNameError: there is no such metric.
        MissingPackageError: scipy or pyarrow is not installed.
    """
    comparison = compare(runs, metric)
    seeds = compare_seeds(runs, metric) if has_seed_groups(runs) else None
    names = _names(runs)
    summaries = [run.summary(with_spec=False) for run in runs]
    title = f"{len(runs)} runs compared by {comparison.metric.replace('_', ' ')}"
    body = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="quiet">{_text(_subject(comparison, runs[0]))}</p>',
        _section("What can be claimed", _verdicts(comparison, seeds, names)),
        _section("Results", interval_svg(summaries, comparison.metric, names) + _metrics(summaries, names)),
        _section("Notes on the data and the runs", _notes(summaries, names)),
        _section("Quality against cost", _costs(summaries, comparison.metric, names)),
        _section("Curves", _curves(runs, names)),
        _section("Settings that differ", _settings(runs, names)),
        _section("Examples that only one gets right", _examples(runs, names)),
        _section("Methods", _methods(comparison, seeds)),
        _section("The runs", _table(["Name", "Id"], [[names[run.id], run.id] for run in runs])),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"{policy_tag()}"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def write_comparison(runs: Sequence[Run], path: Path, metric: str | None = None) -> None:
    """Write the report to a file.

    Args:
        runs: two or more; the first is compared with the others.
        path: the file.
        metric: as for :func:`comparison_report`.

    Raises:
        RequestError: as for :func:`comparison_report`, or the folder does not exist.
    """
    if not path.parent.is_dir():
        raise RequestError(f"The folder {path.parent} does not exist.", "Create it first.")
    write_text(path, comparison_report(runs, metric), SHARED)


# -- sections -----------------------------------------------------------------------------------------------------


def _subject(comparison: Comparison, run: Run) -> str:
    try:
        spec = run.spec()
        task = f"{spec.task.name} on {spec.data.train}"
    except WorkbenchError:
        task = "an unknown task"
    return f"{shorten(task, 200)}; {comparison.examples:,} test examples, the same for all runs."


def _names(runs: Sequence[Run]) -> dict[str, str]:
    """Return a name for each run: its own, or its id without the time. The last section lists the full ids."""
    return {
        run.id: shorten(_TIME.sub("", name) if name == run.id else name, MAX_NAME_LENGTH)
        for run, name in zip(runs, display_names(runs), strict=True)
    }


def _with_names(sentence: str, names: dict[str, str]) -> str:
    for run_id, name in names.items():
        sentence = sentence.replace(run_id, name)
    return sentence


def _verdicts(comparison: Comparison, seeds: SeedComparison | None, names: dict[str, str]) -> str:
    pairs = (seeds or comparison).pairs
    verdicts = "".join(f'<p class="verdict">{_text(_with_names(pair.verdict, names))}</p>' for pair in pairs)
    notes = "".join(f'<p class="quiet">{_text(_with_names(note, names))}</p>' for note in (seeds or comparison).notes)
    if seeds is None:
        return verdicts + notes
    rows = [[g.name, len(g.runs), _span(g.mean, g.low, g.high), f"{g.deviation:.4g}"] for g in seeds.groups]
    heads = ["Setting", "Seeds", "Mean (95% interval over seeds)", "Standard deviation over seeds"]
    return verdicts + _table(heads, rows, "figures") + notes


def _metrics(summaries: Sequence[RunSummary], names: dict[str, str]) -> str:
    metrics = dict.fromkeys(name for summary in summaries if summary.report for name in summary.report.metrics)
    rows: list[list[object]] = []
    for name in metrics:
        values = [summary.metric(name) for summary in summaries]
        cells = [_span(value.value, value.low, value.high) for value in values]
        rows.append([name.replace("_", " ") + measures.scale_note(name), *cells])
    for key, (label, unit, scale) in tradeoff.COSTS.items():
        spent = [getattr(summary.cost, key) for summary in summaries]
        cells = ["-" if value is None else _number(value / scale) for value in spent]
        rows.append([f"{label} ({unit})" if unit else label, *cells])
    return _table(["Metric", *(names[summary.id] for summary in summaries)], rows, "figures")


def _notes(summaries: Sequence[RunSummary], names: dict[str, str]) -> str:
    """Return the notes of all runs, warnings first; a note of several runs is listed once."""
    owners: dict[str, list[str]] = {}
    warnings: set[str] = set()
    for summary in summaries:
        if summary.report:
            warnings.update(summary.report.warnings)
            for note in dict.fromkeys(summary.report.notes):
                owners.setdefault(note, []).append(names[summary.id])
    paragraphs = []
    for note in sorted(owners, key=lambda note: note not in warnings):
        runs = "all runs" if len(owners[note]) == len(summaries) else ", ".join(owners[note])
        mark = "<b>Warning:</b> " if note in warnings else ""
        paragraphs.append(f'<p>{mark}{_text(note)} <span class="quiet">({_text(runs)})</span></p>')
    return "".join(paragraphs) or "<p>There are none.</p>"


def _costs(summaries: Sequence[RunSummary], metric: str, names: dict[str, str]) -> str:
    parts = []
    for cost in tradeoff.COSTS:
        points = tradeoff.tradeoff_points(summaries, metric, cost)
        if len(points) > 1:
            sentence = tradeoff.summary_sentence(points, names, metric, cost)
            parts.append(scatter_svg(points, names, metric, cost) + f"<p>{_text(sentence)}</p>")
    if parts:
        parts.append('<p class="quiet">Time and memory were measured on the machine of each run.</p>')
    return "".join(parts)


def _curves(runs: Sequence[Run], names: dict[str, str]) -> str:
    available = metric_names(runs)
    curves = []
    for name in ("train/loss", "eval/loss", "eval/accuracy"):
        if name not in available:
            continue
        try:
            curves.append(curve_svg(overlaid_curves(runs, name), names, name))
        except WorkbenchError as error:
            curves.append(f'<p class="quiet">{_text(str(error))}</p>')
    return "".join(curves)


def _settings(runs: Sequence[Run], names: dict[str, str]) -> str:
    rows = compare_settings(runs, only_different=True)[:MAX_SETTINGS]
    if not rows:
        return "<p>All settings are the same.</p>"
    heads = ["Setting", *(names[run.id] for run in runs)]
    return _table(heads, [[row["field"], *("-" if v is None else v for v in row["values"])] for row in rows])


def _examples(runs: Sequence[Run], names: dict[str, str]) -> str:
    first, second = runs[:2]
    every = disagreements(first, second)
    parts = []
    for right, own in ((True, first), (False, second)):
        examples = [one for one in every if one.first_is_right == right]
        if examples:
            heads = ["Text", "Gold", names[first.id], names[second.id]]
            rows = [[one.text, one.gold, one.first, one.second] for one in examples[:MAX_EXAMPLES]]
            shown = f" ({MAX_EXAMPLES} shown)" if len(examples) > MAX_EXAMPLES else ""
            sentence = (
                f"Only {names[own.id]} is right on {len(examples):,} examples{shown}; most confident errors first."
            )
            parts.append(f"<p>{_text(sentence)}</p>{_table(heads, rows)}")
    return "".join(parts)


def _methods(comparison: Comparison, seeds: SeedComparison | None) -> str:
    sentences = [
        "Run by run: " + "; ".join(dict.fromkeys(pair.test for pair in comparison.pairs)) + ". The 95% intervals come "
        "from a paired bootstrap over the test examples: would other examples of the same kind give the same result?"
    ]
    if seeds:
        permutations = ", ".join(f"{pair.permutation:.3g}" for pair in seeds.pairs)
        tests = "; ".join(dict.fromkeys(pair.test for pair in seeds.pairs))
        sentences.append(
            f"Over seeds: {tests}: would other seeds give the same result on these test examples? The exact "
            f"permutation test has p = {permutations}."
        )
    sentences.append(
        "A difference is claimed where its interval excludes zero and p, corrected by Holm's method for several "
        "comparisons, is below 0.05. Recommended sample sizes are for 80% power."
    )
    return "".join(f"<p>{_text(sentence)}</p>" for sentence in sentences)


# -- elements --------------------------------------------------------------------------------------------------------


def _section(title: str, content: str) -> str:
    return f"<section><h2>{_text(title)}</h2>{content}</section>" if content else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]], kind: str = "") -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table class="{kind}"><tr>{head}</tr>{body}</table></div>'


def _span(value: Number | None, low: Number | None, high: Number | None) -> str:
    if value is None:
        return "-"
    interval = "" if low is None or high is None else f" ({low:.4g} to {high:.4g})"
    return f"{value:.4g}{interval}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _text(value: object) -> str:
    return f"<bdi>{html.escape(shorten(value, MAX_TEXT_LENGTH))}</bdi>"
