"""The report of ``workbench data check``: what a data set holds, and which of its texts are nearly the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from workbench.check import make_task
from workbench.check.contents import load_examples
from workbench.cli.options import change_spec
from workbench.cli.output import console, download_bars, show_notes
from workbench.cli.proposing import with_answers
from workbench.errors import DataError, FetchError, RequestError
from workbench.formatting import shorten
from workbench.i18n import _
from workbench.runs.report_notes import WarningNote, by_severity, from_json, to_json
from workbench.spec import RunSpec
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.data.load import Dataset
    from workbench.data.near_duplicates import OverlapRecord
    from workbench.data.overview import Overview

SHOWN = 5  # near-duplicates that are printed for each pair of splits; --json has more
MAX_TEXT = 100  # characters
_OPTIONS = {  # of fields that hints name
    "data.sheet": "--sheet NAME",
    "data.encoding": "--encoding NAME",
    "data.delimiter": "--delimiter CHARACTER",
    "data.on_bad_rows": "--on-bad-rows drop",
    "data.group": "--group COLUMN",
    "columns:": "--column ROLE=COLUMN",
}


def check_data(
    name: str,
    task: str | None = None,
    test: str | None = None,
    columns: Sequence[str] = (),
    model: str = "minilm",
    similarity: float = 0.8,
    sets: Sequence[str] = (),
    fields: Mapping[str, str | None] | None = None,
) -> Overview:
    """Check a file or a data set.

    Args:
        name: a file, or a data set of the catalogue.
        task: what a model will learn; the data set's own task by default.
        test: a file with test examples.
        columns: ``ROLE=COLUMN`` each.
        model: a model source; a note warns if it was not trained on the language of the texts.
        similarity: from which on two texts are near-duplicates, from 0 to 1.
        sets: other fields of a spec's data and task: ``data.FIELD=VALUE`` or ``task.OPTION=VALUE`` each.
        fields: fields of a spec's data that have an option of their own; None for their defaults.

    Raises:
        DataError: the data cannot be used, or not for this task.
        FetchError: it cannot be downloaded.
        RequestError: a column is not ``ROLE=COLUMN``, or a field is neither of the data nor of the task.
        SpecError: there is no such field, or a value is not allowed.
        UnknownNameError: there is no such task or model.
    """
    from workbench.check.language import warn_of_languages
    from workbench.data import overview
    from workbench.data.text.language import Languages
    from workbench.models.loading import make_source

    workspace = Workspace.current()
    spec = _spec(name, task, test, columns, sets, fields or {})
    chosen, source = make_task(spec), make_source(model, workspace)

    def load(each: RunSpec) -> Dataset:
        with download_bars() as progress:  # closed before anything is asked: it would erase the question
            return load_examples(each.data, chosen, workspace, progress)

    with _naming_options():
        dataset = with_answers(spec, load)
        report = overview.overview(dataset, chosen.columns())
        report["near_duplicates"] = overview.find_near_duplicates(dataset, chosen.columns(), similarity)
    languages = Languages(**report["languages"])
    texts = partial(overview.input_texts, dataset.train, chosen.columns())
    warnings = warn_of_languages(chosen, source, languages, texts)
    of_languages = [WarningNote(f"{warning.message} {warning.hint}") for warning in warnings]
    report["notes"] = to_json(by_severity([*from_json(report["notes"]), *of_languages]))
    return report


def _spec(
    name: str,
    task: str | None,
    test: str | None,
    columns: Sequence[str],
    sets: Sequence[str],
    fields: Mapping[str, str | None],
) -> RunSpec:
    """Return a spec with the data and the task that the options name."""
    from workbench.data.catalogue.naming import find_entry

    for option in sets:
        if option.partition(".")[0].strip() not in ("data", "task"):
            raise RequestError(
                f"--set {option!r} is neither a field of the data nor an option of the task.",
                "For example: --set data.encoding=cp1252 or --set task.multi_label=true.",
            )
    entry = find_entry(name)
    of_data = {"train": name, "columns": _columns(columns)}
    of_data |= {field: value for field, value in {"test": test, **fields}.items() if value is not None}
    document = {"task": task or (entry.task if entry else "text-classification"), "data": of_data, "model": "minilm"}
    return change_spec(RunSpec.parse(document), list(sets))


@contextmanager
def _naming_options() -> Iterator[None]:
    """Add to an error that names fields of a spec how to set them here; such an error ends with exit code 2."""
    try:
        yield
    except (DataError, FetchError) as error:
        error.exit_code = RequestError.exit_code
        error.hint += _options_hint(error.hint)
        raise


def _options_hint(hint: str) -> str:
    """Return the end of a hint that names fields of a spec: the options of this command that set them."""
    if "--set" in hint or not any(word in hint for word in ("data.", "columns:", "limit:", "task.")):
        return ""
    options = [option for field, option in _OPTIONS.items() if field in hint]
    named = _("With this command: {options}.").format(options=" ".join(options)) if options else ""
    return f" {named or _('With this command: --set data.FIELD=VALUE or --set task.OPTION=VALUE.')}"


def _columns(options: Sequence[str]) -> dict[str, str | list[str]]:
    """Return role -> column; a role that is named several times has a list of columns."""
    columns: dict[str, str | list[str]] = {}
    for option in options:
        role, _equals, column = option.partition("=")
        if not role or not column:
            raise RequestError(f"--column {option!r} is not ROLE=COLUMN.", "For example: --column text=review.")
        before = columns.get(role)
        columns[role] = column if before is None else [*([before] if isinstance(before, str) else before), column]
    return columns


def show_report(report: Overview, similarity: float) -> None:
    """Print a report.

    Args:
        report: the result of :func:`check_data`.
        similarity: from which on two texts are near-duplicates.
    """
    from workbench.data.text.language import Languages

    for split, summary in report["parts"].items():
        lengths = summary["characters"]
        counts = list((summary["labels"] or {}).items())[:10]
        labels = ", ".join(f"{label}: {count:,}" for label, count in counts)
        line = _(
            "{split}: {rows:,} rows{labels}; characters: median {median:,}, 95% up to {p95:,}, longest {longest:,}"
        )
        _print(
            line.format(
                split=split,
                rows=summary["rows"],
                labels=f" ({labels})" if labels else "",
                median=lengths["p50"],
                p95=lengths["p95"],
                longest=lengths["max"],
            )
        )
    _print(_("Language: {languages}").format(languages=Languages(**report["languages"]).describe()))
    show_notes(from_json(report["notes"]))
    if report["near_duplicates"] is None:
        _print(_("There are too many texts to look for near-duplicates."))
    for overlap in report["near_duplicates"] or []:
        _show_overlap(overlap, similarity)


def _show_overlap(overlap: OverlapRecord, similarity: float) -> None:
    first, second = overlap["between"]
    if overlap["unchecked"]:
        line = _("At least {count:,} of {total:,} texts of {second} have a near-duplicate in {first}")
    else:
        line = _("{count:,} of {total:,} texts of {second} have a near-duplicate in {first}")
    line = line.format(count=overlap["count"], total=overlap["of"], second=second, first=first)
    _print(line + " " + _("(at least {share:.0%} of their character 5-grams are shared).").format(share=similarity))
    for pair in overlap["pairs"][:SHOWN]:
        _print(f"  {pair['similarity']:.2f}  {pair['place']}: {shorten(pair['text'], MAX_TEXT)}")
        _print(f"        {pair['other_place']}: {shorten(pair['other_text'], MAX_TEXT)}")


def _print(text: str) -> None:
    console.print(text, markup=False, highlight=False)
