"""``workbench data``: the catalogue of data sets and models, what is cached of it, and a check of one's own data."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from workbench.cli.output import Finished, Json, console, download_bars, errors, print_result, table
from workbench.errors import RequestError
from workbench.i18n import _
from workbench.workspace import Workspace
from workbench.yaml_text import dump_yaml

app = typer.Typer(help="List, download and check data sets and models.", no_args_is_help=True)

EntryName = Annotated[str, typer.Argument(metavar="NAME", help="A name of `workbench data list`.")]
EntryNames = Annotated[list[str], typer.Argument(metavar="NAME...", help="Names of `workbench data list`.")]


@app.command("list")
def list_command(as_json: Json = False) -> None:
    """List the data sets, models and other files that can be downloaded."""
    from workbench.data.catalogue.sources import list_entries

    entries = list_entries(Workspace.current())
    rows = [{**entry, "megabytes": f"{entry['bytes'] / 1e6:.1f}"} for entry in entries]
    columns = {
        "name": _("name"),
        "label": _("description"),
        "kind": _("kind"),
        "task": _("task"),
        "language": _("language"),
        "megabytes": ">" + _("MB"),
        "cached": _("cached"),
        "licence": _("licence"),
    }
    print_result(entries, as_json, lambda: table(rows, columns, _("The catalogue is empty.")))


@app.command("show")
def show_command(name: EntryName, as_json: Json = False) -> None:
    """Show an entry of the catalogue: licence, citation, columns, sources."""
    from workbench.data.catalogue.sources import describe

    entry = describe(name, Workspace.current())
    text = dump_yaml(entry)
    print_result(entry, as_json, lambda: console.print(text, markup=False))


@app.command("fetch")
def fetch_command(
    names: EntryNames,
    accept_terms: Annotated[
        bool, typer.Option("--accept-terms", help="Accept the terms of use of models that have some.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Download entries of the catalogue into the cache, and verify them.

    Some models may be used only under terms that you accept once: they are shown before the download.
    """
    from workbench.cli.terms import settle_terms
    from workbench.data.catalogue.sources import fetch

    workspace, rows = Workspace.current(), []
    settle_terms(names, accept_terms, workspace)
    with download_bars() as progress:
        for name in names:
            rows.append({"name": name, "path": str(fetch(name, workspace, progress))})
    columns = {"name": _("name"), "path": _("path")}
    print_result(rows, as_json, lambda: table(rows, columns, _("No name was given.")))


@app.command("check")
def check_command(
    name: Annotated[str, typer.Argument(metavar="FILE|NAME", help="A file, or a data set of the catalogue.")],
    task: Annotated[str | None, typer.Option(help="What a model will learn. Default: the data set's own task.")] = None,
    test: Annotated[str | None, typer.Option(help="A file with test examples. Default: some are held out.")] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="ROLE=COLUMN, when columns cannot be matched by name. Repeatable.")
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="Sheet of an Excel file. Default: the first one.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding of the file. Default: detected.")] = None,
    delimiter: Annotated[str | None, typer.Option(help=r"CSV delimiter, \t for a tab. Default: detected.")] = None,
    on_bad_rows: Annotated[
        str | None, typer.Option(help="Rows that cannot be used: refuse the data, or drop them. Default: refuse.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="Column whose values never appear in two splits.")] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="A field of the data or the task: --set data.encoding=cp1252. Repeatable.",
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="The model whose languages and tokenizer are compared with the texts.")
    ] = "minilm",
    similarity: Annotated[
        float, typer.Option("--similarity", "--alike", help="From this similarity on, two texts are near-duplicates.")
    ] = 0.8,
    as_json: Json = False,
) -> None:
    """Check data before training: rows, labels, lengths, language, duplicates, and near-duplicates across splits."""
    from workbench.cli.checking import check_data, show_report

    fields = {"sheet": sheet, "encoding": encoding, "delimiter": delimiter, "on_bad_rows": on_bad_rows, "group": group}
    report = check_data(name, task, test, column or [], model, similarity, sets or [], fields)
    print_result(report, as_json, lambda: show_report(report, similarity))


@app.command("clean")
def clean_command(
    shared: Annotated[
        bool, typer.Option("--shared", help="Also empty the folder of WORKBENCH_CACHE, which others may use.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Empty the cache. What is needed again is downloaded again; runs and uploads stay.

    It shows how much is deleted, and asks.
    """
    from workbench.data.catalogue.cache import downloads
    from workbench.data.storage import clean_cache, cleanable

    workspace = Workspace.current()
    if not shared and downloads(workspace) != workspace.cache:
        text = _("The downloads in {folder} stay: other workspaces may use them. Delete them with --shared.")
        errors.print(text.format(folder=downloads(workspace)), markup=False, soft_wrap=True)
    for usage in cleanable(workspace, shared):
        text = _("{folder}: {megabytes:.1f} MB in {files:,} files")
        errors.print(
            text.format(folder=usage.path, megabytes=usage.bytes / 1e6, files=usage.files), markup=False, soft_wrap=True
        )
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise RequestError(_("Nothing was deleted: nobody can be asked here."), _("Add --yes to delete it."))
        if not typer.confirm(_("Delete what can be downloaded or computed again?"), err=True):
            raise Finished(1)
    freed = clean_cache(workspace, shared)
    text = _("Freed {megabytes:.1f} MB.").format(megabytes=freed / 1e6)
    print_result({"freed_bytes": freed}, as_json, lambda: console.print(text))
