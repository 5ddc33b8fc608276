"""``workbench check`` and ``workbench estimate``: what is wrong with a spec, and what it will cost."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli import views
from workbench.cli.options import Sets, SpecName, read_spec
from workbench.cli.output import Finished, Json, print_result
from workbench.cli.progress import progress_bar
from workbench.errors import SpecError
from workbench.workspace import Workspace


def check_command(
    spec: SpecName,
    sets: Sets = None,
    data: Annotated[
        bool, typer.Option("--data", help="Read all rows of large files, and download data that is not here yet.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Report every problem of a spec and of its data. Exit code 2 if it cannot run."""
    from workbench.check import check, problems_of, resolve

    workspace = Workspace.current()
    try:
        document = read_spec(spec, sets)
        problems = [problem.as_dict() for problem in check(document, workspace, whole=data)]
    except SpecError as error:  # it is not a spec at all; its problems have the same form
        problems = [problem.as_dict() for problem in problems_of(error)]
    failed = any(problem["severity"] == "error" for problem in problems)
    resolved = "" if failed else resolve(document, workspace).spec.to_yaml()
    print_result(problems, as_json, lambda: views.show_problems(problems, resolved))
    if failed:
        raise Finished(2)


def estimate_command(spec: SpecName, sets: Sets = None, as_json: Json = False) -> None:
    """Estimate a run's time and memory, from a few real steps."""
    import signal

    from workbench.jobs.estimate import estimate

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # however the command ends, the profiling run ends too
    with progress_bar(quiet=as_json) as update:
        result = estimate(read_spec(spec, sets), Workspace.current(), on_progress=update)
    print_result(result.as_dict(), as_json, lambda: views.show_estimate(result))
