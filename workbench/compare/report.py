"""A comparison as one HTML file that can be sent: it opens without network, server or script.

It holds what can be claimed and of what, figures and costs, pictures as SVG, the settings that differ, and examples
that only one of two runs gets right. Everything that a user, a file or a model wrote is escaped and cut, and the page
forbids itself to load or to run anything, so that a report from a stranger can be opened, too.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from workbench.compare import tradeoff
from workbench.compare.differences import compare, compare_settings, display_names
from workbench.compare.disagreements import disagreements
from workbench.compare.figures import curve_svg, interval_svg, scatter_svg
from workbench.compare.results import Comparison, SeedComparison
from workbench.compare.seeds import compare_seeds, has_seed_groups
from workbench.errors import RequestError, WorkbenchError
from workbench.files import write_text
from workbench.formatting import shorten
from workbench.metrics import measures
from workbench.runs.curves import overlaid_curves
from workbench.runs.documents import RunSummary
from workbench.runs.query import metric_names
from workbench.runs.run import Run

MAX_EXAMPLES = 20  # of each kind
MAX_TEXT_LENGTH, MAX_NAME_LENGTH = 600, 90  # characters of an example, of a name
MAX_SETTINGS = 200
_TIME = re.compile(r"^\d{8}-\d{6}-")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = (
    ":root{color-scheme:light dark;--ink:#24292f;--quiet:#59636e;--rule:#d8dde1;--page:#fff}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--quiet:#9aa5b1;--rule:#3a424b;--page:#15191e}}"
    "body{max-width:70em;margin:1.5em auto;padding:0 1em;font:15px/1.5 system-ui,sans-serif;color:var(--ink);"
    "background:var(--page)}h1{font-size:1.4em}h2{font-size:1.15em;margin:1.8em 0 .4em}"
    ".said{border-left:4px solid #3a94c4;padding:.3em .9em;margin:.5em 0}.quiet{color:var(--quiet)}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;margin:.6em 0}"
    "td,th{padding:.2em .9em .2em 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule);"
    "overflow-wrap:break-word;max-width:22em}td{min-width:5em}"
    ".figures td+td,.figures th+th{text-align:right;font-variant-numeric:tabular-nums}"
    ".figures td+td{white-space:nowrap}"
    "svg{max-width:100%;height:auto;display:block;margin:.6em 0}svg text{fill:var(--ink)}"
    "svg .quiet{fill:var(--quiet)}svg .grid{stroke:var(--rule)}"
)


def comparison_report(runs: Sequence[Run], metric: str | None = None) -> str:
    """The whole HTML document.

    Args:
        runs: two or more; the first is compared with the others.
        metric: as for :func:`workbench.compare.differences.compare`.

    Raises:
        RequestError: the runs cannot be compared, with the reason.
        UnknownNameError: no such metric.
        MissingPackageError: scipy or pyarrow is not installed.
    """
    found = compare(runs, metric)
    seeds = compare_seeds(runs, metric) if has_seed_groups(runs) else None
    names = _names(runs)
    summaries = [run.summary(with_spec=False) for run in runs]
    title = f"{len(runs)} runs compared by {found.metric.replace('_', ' ')}"
    body = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="quiet">{_text(_what(found, runs[0]))}</p>',
        _section("What can be claimed", _verdicts(found, seeds, names)),
        _section("Results", interval_svg(summaries, found.metric, names) + _metrics(summaries, names)),
        _section("Quality against cost", _costs(summaries, found.metric, names)),
        _section("Curves", _curves(runs, names)),
        _section("Settings that differ", _settings(runs, names)),
        _section("Examples that only one gets right", _examples(runs, names)),
        _section("How this was found", _how(found, seeds)),
        _section("The runs", _table(["Name", "Id"], [[names[run.id], run.id] for run in runs])),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def write_comparison(runs: Sequence[Run], path: Path, metric: str | None = None) -> None:
    """Write the report to ``path``. Raises RequestError as above, and where the folder does not exist."""
    if not path.parent.is_dir():
        raise RequestError(f"The folder {path.parent} does not exist.", "Make it first.")
    write_text(path, comparison_report(runs, metric))


# -- parts -----------------------------------------------------------------------------------------------------------


def _what(found: Comparison, run: Run) -> str:
    try:
        spec = run.spec()
        tested = f"{spec.task.name} on {spec.data.train}"
    except WorkbenchError:
        tested = "an unknown task"
    return f"{shorten(tested, 200)}; {found.examples:,} test examples, the same for all runs."


def _names(runs: Sequence[Run]) -> dict[str, str]:
    """What the report calls each run: its name, or its id without the time; the last section has the whole ids."""
    return {
        run.id: shorten(_TIME.sub("", name) if name == run.id else name, MAX_NAME_LENGTH)
        for run, name in zip(runs, display_names(runs), strict=True)
    }


def _named(sentence: str, names: dict[str, str]) -> str:
    for run_id, name in names.items():
        sentence = sentence.replace(run_id, name)
    return sentence


def _verdicts(found: Comparison, seeds: SeedComparison | None, names: dict[str, str]) -> str:
    said = "".join(f'<p class="said">{_text(_named(pair.verdict, names))}</p>' for pair in (seeds or found).pairs)
    if seeds is None:
        return said
    rows = [[g.name, len(g.runs), _span(g.mean, g.low, g.high), f"{g.deviation:.4g}"] for g in seeds.groups]
    notes = "".join(f'<p class="quiet">{_text(_named(note, names))}</p>' for note in seeds.notes)
    heads = ["Setting", "Seeds", "Mean (95% interval over seeds)", "Deviation over seeds"]
    return said + _table(heads, rows, "figures") + notes


def _metrics(summaries: Sequence[RunSummary], names: dict[str, str]) -> str:
    metrics = dict.fromkeys(name for summary in summaries if summary.report for name in summary.report.metrics)
    rows: list[list[Any]] = []
    for name in metrics:
        values = [summary.metric(name) for summary in summaries]
        cells = [_span(value.value, value.low, value.high) for value in values]
        rows.append([name.replace("_", " ") + measures.scale_note(name), *cells])
    for key, (label, unit, scale) in tradeoff.COSTS.items():
        spent = [getattr(summary.cost, key) for summary in summaries]
        cells = ["-" if value is None else _number(value / scale) for value in spent]
        rows.append([f"{label} ({unit})" if unit else label, *cells])
    return _table(["Figure", *(names[summary.id] for summary in summaries)], rows, "figures")


def _costs(summaries: Sequence[RunSummary], metric: str, names: dict[str, str]) -> str:
    parts = []
    for cost in tradeoff.COSTS:
        points = tradeoff.tradeoff_points(summaries, metric, cost)
        if len(points) > 1:
            said = tradeoff.summary_sentence(points, names, metric, cost)
            parts.append(scatter_svg(points, names, metric, cost) + f"<p>{_text(said)}</p>")
    if parts:
        parts.append('<p class="quiet">Time and memory are those of the machine that each run was on.</p>')
    return "".join(parts)


def _curves(runs: Sequence[Run], names: dict[str, str]) -> str:
    known = metric_names(runs)
    wanted = [name for name in ("train/loss", "eval/loss", "eval/accuracy") if name in known]
    drawn = []
    for name in wanted:
        try:
            drawn.append(curve_svg(overlaid_curves(runs, name), names, name))
        except WorkbenchError as error:
            drawn.append(f'<p class="quiet">{_text(str(error))}</p>')
    return "".join(drawn)


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
        found = [one for one in every if one.first_is_right == right]
        if found:
            heads = ["Text", "Right", names[first.id], names[second.id]]
            rows = [[one.text, one.gold, one.first, one.second] for one in found[:MAX_EXAMPLES]]
            shown = f", {MAX_EXAMPLES} of them here" if len(found) > MAX_EXAMPLES else ""
            said = f"Only {names[own.id]} is right on {len(found):,} examples{shown}; the surest mistakes come first."
            parts.append(f"<p>{_text(said)}</p>{_table(heads, rows)}")
    return "".join(parts)


def _how(found: Comparison, seeds: SeedComparison | None) -> str:
    said = [
        "Run by run: " + "; ".join(dict.fromkeys(pair.test for pair in found.pairs)) + ". The 95% intervals are those "
        "of a paired bootstrap over the test examples: would other examples of the same kind give the same?"
    ]
    if seeds:
        dealt = ", ".join(f"{pair.permutation:.3g}" for pair in seeds.pairs)
        said.append(
            "Over seeds: " + "; ".join(dict.fromkeys(pair.test for pair in seeds.pairs)) + ": would other seeds give "
            f"the same, on these test examples? The exact permutation test gives p = {dealt}."
        )
    said.append("A difference is claimed where its interval leaves out zero and p, corrected by Holm's method where "
                "several are compared, is below 0.05. What would be needed is told for 80% power.")  # fmt: skip
    return "".join(f"<p>{_text(sentence)}</p>" for sentence in said)


# -- elements --------------------------------------------------------------------------------------------------------


def _section(title: str, content: str) -> str:
    return f"<section><h2>{_text(title)}</h2>{content}</section>" if content else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]], kind: str = "") -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table class="{kind}"><tr>{head}</tr>{body}</table></div>'


def _span(value: Any, low: Any, high: Any) -> str:
    if not isinstance(value, int | float):
        return "-"
    between = f" ({low:.4g} to {high:.4g})" if isinstance(low, int | float) and isinstance(high, int | float) else ""
    return f"{value:.4g}{between}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _text(value: object) -> str:
    return f"<bdi>{html.escape(shorten(value, MAX_TEXT_LENGTH))}</bdi>"
