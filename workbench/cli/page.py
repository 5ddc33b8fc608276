"""A run as one page of HTML that opens without network, server or script: figures, a range test's curve, samples."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from workbench.errors import RequestError
from workbench.files import write_text
from workbench.runs.documents import RangeTestResult, Report, RunError, RunSummary
from workbench.runs.run import Run

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:52em;margin:2em auto;padding:0 1em}"
    "body{color:#24292f;background:#fff}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em .2em 0;text-align:left;vertical-align:top;"
    "border-bottom:1px solid #e3e6e8}td+td{text-align:right}td.text{text-align:left;white-space:pre-wrap}"
    "svg{max-width:100%;height:auto}"
)


def write_page(run: Run, summary: RunSummary, path: Path) -> None:
    """Write the page of a run to ``path``.

    Args:
        run: whose page.
        summary: what ``Run.summary`` says of it.
        path: the file.

    Raises:
        RequestError: the folder does not exist.
        StorageError: it cannot be written.
    """
    if not path.parent.is_dir():
        raise RequestError(f"The folder {path.parent} does not exist.", "Make it first.")
    report = summary.report or Report()
    parts = [
        f"<h1>{escape(run.id)}</h1><p>{escape(summary.kind or '')}, {escape(summary.state)}</p>",
        _error(summary.error),
        _range_test(report.range_test),
        _figures(report),
        "".join(f"<p>{escape(str(note))}</p>" for note in report.notes),
        _samples(summary.samples),
    ]
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(run.id)}</title>'
    write_text(path, f"{head}<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n")


def _error(error: RunError | None) -> str:
    return f"<p><b>{escape(error.message)}</b> {escape(error.hint)}</p>" if error else ""


def _range_test(result: RangeTestResult | None) -> str:
    if not result:
        return ""
    from workbench.runs.lr_range_plot import range_svg

    return f"{range_svg(result)}<p>{escape(result.how)}</p>"


def _figures(report: Report) -> str:
    rows = []
    for name, metric in report.metrics.items():
        value = "-" if metric.value is None else f"{metric.value:.4f}"
        bounds = "" if metric.low is None else f"{metric.low:.4f} to {metric.high:.4f}"
        rows.append(f"<tr><td>{escape(name)}</td><td>{value}</td><td>{bounds}</td></tr>")
    table = f"<table><tr><th>Figure</th><th>Value</th><th>95% interval</th></tr>{''.join(rows)}</table>" if rows else ""
    cost = report.cost
    if cost.seconds is None:
        return table
    where = f"on {cost.device or 'an unknown device'} in {cost.precision or 'an unknown precision'}"
    return (
        f"{table}<p>{cost.seconds:,.0f} s of training, {cost.tokens_per_second:,.0f} tokens a second, "
        f"{cost.trained_parameters:,} of {cost.total_parameters:,} parameters trained, {escape(where)}.</p>"
    )


def _samples(samples: list[dict[str, Any]]) -> str:
    if not samples:
        return ""
    cells = (
        f"<tr><td class='text'>{escape(str(s.get('prompt') or ''))}</td><td class='text'>{escape(s['text'])}</td></tr>"
        for s in samples
    )
    heading = f"<h2>Written after step {escape(str(samples[0].get('step', '?')))}</h2>"
    return f"{heading}<table><tr><th>Given</th><th>Written</th></tr>{''.join(cells)}</table>"
