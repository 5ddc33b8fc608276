"""``workbench runs``, ``show``, ``tag``, ``merge`` and ``delete``: the runs of a workspace."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import views
from workbench.cli.options import RunId
from workbench.cli.output import Json, console, print_result
from workbench.cli.page import write_page
from workbench.i18n import _
from workbench.jobs import reviving
from workbench.runs.run import Run
from workbench.workspace import Workspace


def runs_command(
    where: Annotated[
        str | None, typer.Option(help="Only runs that match an SQL condition: \"accuracy > 0.8 AND tuning = 'lora'\".")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only runs with this tag. Repeatable.")] = None,
    archived: Annotated[bool, typer.Option(help="Include archived runs.")] = False,
    sort: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Sort by FIELD; prefix with `-` for descending order.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write all fields to this .csv or .parquet file.")] = None,
    as_json: Json = False,
) -> None:
    """List all runs, oldest first."""
    from workbench.runs.export import export
    from workbench.runs.query import list_runs
    from workbench.runs.selection import select_runs

    reviving.revive(Workspace.current())
    summaries = {summary.id: summary for summary in list_runs(Workspace.current())}
    rows = select_runs(Workspace.current(), where or "", tag or [], archived, sort or "", settings=out is not None)
    if out is not None:
        export(rows, out.expanduser())
    selected = [summaries[row["id"]].model_copy(update={"tags": row["tags"]}) for row in rows if row["id"] in summaries]
    empty = _("No run matches.") if summaries else ""
    print_result(selected, as_json, lambda: views.show_runs(selected, empty))
    views.show_strangers(Run.strangers(Workspace.current()))


def tag_command(
    run_id: RunId,
    tag: Annotated[list[str] | None, typer.Option(help="Add this tag. Repeatable.")] = None,
    untag: Annotated[list[str] | None, typer.Option(help="Remove this tag. Repeatable.")] = None,
    note: Annotated[str | None, typer.Option(help="Replace the run's note.")] = None,
    archive: Annotated[bool | None, typer.Option(help="Hide the run from lists, or show it again.")] = None,
    as_json: Json = False,
) -> None:
    """Tag, annotate or archive a run."""
    from workbench.runs import tags

    run = Run.open(run_id, Workspace.current())
    tags.update_tags(run, notes=note, archived=archive)
    result = tags.tag(run, tag or [], untag or [])
    text = f"{run.id}: {', '.join(result.tags) or _('no tags')}" + (f", {_('archived')}" if result.archived else "")
    print_result({"id": run.id, **asdict(result)}, as_json, lambda: console.print(text, markup=False, soft_wrap=True))


def show_command(
    run_id: RunId,
    html: Annotated[
        Path | None, typer.Option(help="Write its metrics, curve and texts to this file, as an HTML page.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a run: state, settings, results, cost and samples."""
    reviving.revive(Workspace.current())
    run = Run.open(run_id, Workspace.current())
    summary = run.summary()
    if html is not None:
        write_page(run, summary, html)
    print_result(summary, as_json, lambda: views.show_run(summary, page=html, data_notes=run.data_notes()))


def merge_command(
    run_id: RunId,
    out: Annotated[Path | None, typer.Option(help="Folder to write. Default: merged/ in the run's folder.")] = None,
    as_json: Json = False,
) -> None:
    """Write a run's result as one model that transformers loads without the workbench.

    An adapter is merged into its base, and an architecture of the workbench becomes a BERT or a GPT-2.
    """
    from workbench.inference.merging import merge

    folder = merge(Run.open(run_id, Workspace.current()), out.expanduser() if out else None)
    text = _("The model is in {folder}").format(folder=folder)
    print_result({"folder": str(folder)}, as_json, lambda: console.print(text, soft_wrap=True))


def delete_command(
    run_ids: Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids of runs.")], as_json: Json = False
) -> None:
    """Delete runs that are not running, with all their files."""
    workspace = Workspace.current()
    runs = [Run.open(run_id, workspace) for run_id in run_ids]
    for run in runs:
        run.delete()
    text = _("Deleted {n}.").format(n=len(runs))
    print_result([run.id for run in runs], as_json, lambda: console.print(text))
