"""Arguments and options that several commands share, and how they are read."""

from __future__ import annotations

from typing import Annotated

import typer
import yaml

from workbench.errors import RequestError
from workbench.spec import RunSpec
from workbench.types import JsonObject

SpecName = Annotated[
    str, typer.Argument(metavar="SPEC", help="A YAML file, or the name of a preset: `workbench presets`.")
]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or its beginning, its end or the run's name.")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a field: --set training.epochs=2")
]


def read_spec(name: str, sets: list[str] | None) -> RunSpec:
    """Load the spec that a command names, with the changes of its ``--set`` options.

    Args:
        name: a YAML file or a preset.
        sets: ``FIELD=VALUE`` each.

    Raises:
        SpecError: it is not a spec.
        UnknownNameError: there is no such preset.
    """
    from workbench.check import load_spec

    spec = load_spec(name)
    changes = read_changes(sets)
    return spec.changed(changes) if changes else spec


def read_changes(sets: list[str] | None) -> JsonObject:
    """Read ``--set FIELD=VALUE`` options, whose values are YAML.

    Args:
        sets: ``FIELD=VALUE`` each.

    Returns:
        The values by field.

    Raises:
        RequestError: one has no ``=``, or its value is not YAML.
    """
    changes: JsonObject = {}
    for item in sets or []:
        field, equals, value = item.partition("=")
        if not equals:
            raise RequestError(f"--set {item!r} has no '='.", "Write it as --set training.epochs=2.")
        try:
            changes[field.strip()] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise RequestError(f"--set {item!r} has a value that is not YAML: {reason}", "Put it in quotes.") from error
    return changes
