"""The page of the command line, generated from its commands."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click
import typer.main

from docs.site.markdown import cell


def command_line() -> str:
    """Describe every command.

    Returns:
        A page with usage, arguments and options of each command.
    """
    from workbench.cli.app import app

    root = typer.main.get_command(app)
    lines = [
        "# Command line",
        "",
        "Every command that prints results accepts `--json`: standard output is then one JSON document. Exit codes: "
        "0 done; 1 the run failed while training; 2 the request or its data was wrong. `--debug` shows the traceback "
        "of an error.",
        "",
    ]
    for path, command in _commands(root, "workbench"):
        context = click.Context(command, info_name=path)
        usage = " ".join([path, *command.collect_usage_pieces(context)])
        lines += [f"## {path}", "", inspect.cleandoc(command.help or ""), "", f"```text\n{usage}\n```", ""]
        rows = [
            _parameter(parameter, context) for parameter in command.params if not getattr(parameter, "hidden", False)
        ]
        rows = [row for row in rows if row]
        if rows:
            lines += ["| option | meaning |", "|---|---|", *rows, ""]
    return "\n".join(lines) + "\n"


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
        return
    for name in sorted(below):
        if not below[name].hidden:
            yield from _commands(below[name], f"{path} {name}")


def _parameter(parameter: click.Parameter, context: click.Context) -> str:
    record = parameter.get_help_record(context)
    if record is None:  # an argument without help
        return f"| `{parameter.make_metavar(context)}` | |"
    name = record[0].replace("|", "\\|")
    return f"| `{name}` | {cell(record[1])} |"
