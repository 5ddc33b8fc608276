"""A run as one HTML page that opens without network, server or script: metrics, a range test's curve, samples."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from workbench.errors import RequestError
from workbench.files import SHARED, write_text
from workbench.i18n import _
from workbench.page_policy import policy_tag
from workbench.runs.documents import RangeTestResult, Report, RunError, RunSummary
from workbench.runs.report_notes import WarningNote
from workbench.runs.run import Run
from workbench.types import JsonObject

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:52em;margin:2em auto;padding:0 1em}"
    "body{color:#24292f;background:#fff}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em .2em 0;text-align:left;vertical-align:top;"
    "border-bottom:1px solid #e3e6e8}td+td{text-align:right}td.text{text-align:left;white-space:pre-wrap}"
    "svg{max-width:100%;height:auto}"
)


def write_page(run: Run, summary: RunSummary, path: Path) -> None:
    """Write the page of a run.

    Args:
        run: the run.
        summary: its summary.
        path: the file.

    Raises:
        RequestError: the folder does not exist.
        StorageError: it cannot be written.
    """
    if not path.parent.is_dir():
        raise RequestError(f"The folder {path.parent} does not exist.", "Create it first.")
    report = summary.report or Report()
    parts = [
        f"<h1>{escape(run.id)}</h1><p>{escape(summary.kind or '')}, {escape(summary.state)}</p>",
        _error(summary.error),
        _range_test(report.range_test),
        _metrics(report),
        _notes(report.marked_notes()),
        _samples(summary.samples),
    ]
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8">{policy_tag()}<title>{escape(run.id)}</title>'
    write_text(path, f"{head}<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n", SHARED)


def _error(error: RunError | None) -> str:
    return f"<p><b>{escape(error.message)}</b> {escape(error.hint)}</p>" if error else ""


def _range_test(result: RangeTestResult | None) -> str:
    if not result:
        return ""
    from workbench.runs.lr_range_plot import range_svg

    return f"{range_svg(result)}<p>{escape(result.how)}</p>"


def _metrics(report: Report) -> str:
    rows = []
    for name, metric in report.metrics.items():
        value = "-" if metric.value is None else f"{metric.value:.4f}"
        bounds = "" if metric.low is None else f"{metric.low:.4f} to {metric.high:.4f}"
        rows.append(f"<tr><td>{escape(name)}</td><td>{value}</td><td>{bounds}</td></tr>")
    heading = f"<tr><th>{_('Metric')}</th><th>{_('Value')}</th><th>{_('95% interval')}</th></tr>"
    table = f"<table>{heading}{''.join(rows)}</table>" if rows else ""
    cost = report.cost
    if cost.seconds is None:
        return table
    text = _(
        "{seconds:,.0f} s of training, {speed:,.0f} tokens/s, {trained:,} of {total:,} parameters trained, "
        "on {device} in {precision}."
    ).format(
        seconds=cost.seconds,
        speed=cost.tokens_per_second or 0,
        trained=cost.trained_parameters or 0,
        total=cost.total_parameters or 0,
        device=cost.device or _("an unknown device"),
        precision=cost.precision or _("an unknown precision"),
    )
    return f"{table}<p>{escape(text)}</p>"


def _notes(notes: Sequence[str]) -> str:
    return "".join(
        f"<p><b>{escape(_('Warning:'))}</b> {escape(note)}</p>"
        if isinstance(note, WarningNote)
        else f"<p>{escape(note)}</p>"
        for note in notes
    )


def _samples(samples: list[JsonObject]) -> str:
    if not samples:
        return ""
    texts = ((str(sample.get("prompt") or ""), str(sample["text"])) for sample in samples)
    cells = (
        f"<tr><td class='text'>{escape(prompt)}</td><td class='text'>{escape(text)}</td></tr>" for prompt, text in texts
    )
    step = escape(str(samples[0].get("step", "?")))
    heading = f"<h2>{escape(_('Generated after step {step}').format(step=step))}</h2>"
    return f"{heading}<table><tr><th>{_('Prompt')}</th><th>{_('Generated')}</th></tr>{''.join(cells)}</table>"
