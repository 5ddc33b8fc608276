"""``workbench compare``: is one run better than another?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.output import Json, print_result
from workbench.cli.views import show_comparison
from workbench.runs.run import Run
from workbench.workspace import Workspace


def compare_command(
    run_ids: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Two runs or more. The first is compared with the others.")
    ],
    metric: Annotated[str | None, typer.Option(help="accuracy, macro_f1, ... Default: the task's own.")] = None,
    page: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the comparison to this file, as an HTML page.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Test whether one run is better than another.

    Runs are compared on the same test examples, with an interval and a p-value.
    """
    from workbench.compare.differences import compare
    from workbench.compare.seeds import compare_seeds, has_seed_groups

    workspace = Workspace.current()
    runs = [Run.open(run_id, workspace) for run_id in run_ids]
    seeds = compare_seeds(runs, metric) if has_seed_groups(runs) else None
    comparison = compare(runs, metric).model_copy(update={"seeds": seeds})
    if page is not None:
        from workbench.compare.report import write_comparison

        write_comparison(runs, page.expanduser(), metric)
    print_result(comparison, as_json, lambda: show_comparison(comparison, runs))
