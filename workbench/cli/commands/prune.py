"""``workbench prune``: remove attention heads from a run's model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from workbench.cli.options import RunId
from workbench.cli.output import Json, console, print_result
from workbench.i18n import _
from workbench.runs.run import Run
from workbench.workspace import Workspace


class Measure(StrEnum):
    """How the importance of a head is measured."""

    gradient = "gradient"
    ablation = "ablation"


def prune_command(
    run_id: RunId,
    heads: Annotated[str, typer.Option(metavar="NUMBER|SHARE", help="How many heads to remove: 12, or 30%.")],
    measure: Annotated[
        Measure, typer.Option(help="How importance is measured: by gradient (faster) or by ablation.")
    ] = Measure.gradient,
    texts: Annotated[int, typer.Option(min=1, help="How many texts importance is measured on.")] = 200,
    out: Annotated[Path | None, typer.Option(help="Also write the model to this folder.")] = None,
    as_json: Json = False,
) -> None:
    """Remove the least important attention heads of a model.

    The result is a new run.
    """
    from workbench.compress.pruning import describe_pruning, prune_run

    workspace = Workspace.current()
    run = Run.open(run_id, workspace)
    how: Literal["gradient", "ablation"] = "gradient" if measure is Measure.gradient else "ablation"
    pruned = prune_run(run, heads, workspace, how, texts, out.expanduser() if out else None)
    lines = [_("Pruned: {id}").format(id=pruned.id), *describe_pruning(pruned)]
    print_result(pruned.summary(), as_json, lambda: console.print("\n".join(lines), markup=False, soft_wrap=True))
