"""Arguments and options that several commands share, and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from workbench.errors import RequestError
from workbench.formatting import shorten
from workbench.spec import RunSpec
from workbench.types import Json, JsonObject
from workbench.yaml_text import load_yaml

if TYPE_CHECKING:
    from workbench.cli.field_types import FieldType

SpecName = Annotated[
    str,
    typer.Argument(
        metavar="SPEC",
        help="A YAML file, the name of a preset (`workbench presets`), or a table whose texts to classify.",
    ),
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

    return change_spec(load_spec(name), sets)


def change_spec(spec: RunSpec, sets: list[str] | None) -> RunSpec:
    """Return a spec with the changes of ``--set`` options.

    Values are YAML, except those of fields that hold text: ``--set data.columns.label=no`` names the column "no".

    Args:
        spec: the spec.
        sets: ``FIELD=VALUE`` each.

    Raises:
        RequestError: one has no ``=``, or its value is not YAML.
        SpecError: there is no such field, or a value is not allowed.
    """
    from workbench.cli.field_types import field_type

    pairs = _split(sets)
    if not pairs:
        return spec
    types = {field: field_type(field, spec, pairs) for field in pairs}
    return spec.changed({field: _read_value(field, text, types[field]) for field, text in pairs.items()})


def read_changes(sets: list[str] | None) -> JsonObject:
    """Read ``--set FIELD=VALUE`` options, whose values are YAML.

    Args:
        sets: ``FIELD=VALUE`` each.

    Returns:
        The values by field.

    Raises:
        RequestError: one has no ``=``, or its value is not YAML.
    """
    return {field: _read_value(field, text) for field, text in _split(sets).items()}


def _split(sets: list[str] | None) -> dict[str, str]:
    """Return the text after ``=`` of each option by its field."""
    pairs: dict[str, str] = {}
    for item in sets or []:
        field, equals, value = item.partition("=")
        if not equals:
            raise RequestError(f"--set {item!r} has no '='.", "Write it as --set training.epochs=2.")
        pairs[field.strip()] = value
    return pairs


def _read_value(field: str, text: str, kind: FieldType | None = None) -> Json:
    """Return the value of an option: YAML, unless its field holds texts."""
    stripped = text.strip()
    if kind is not None and kind.optional and text.lower() in ("", "null", "~"):
        return None
    if kind is not None and kind.text and stripped[:1] not in (("'", '"', "[", "{") if kind.texts else ("'", '"')):
        return stripped or text  # a delimiter may be a space
    only_texts = kind is not None and (kind.text or kind.texts)
    origin = f"The value of --set {field}={shorten(text, 100)}"
    value = load_yaml(text, origin, error=RequestError, hint="Put it in quotes.", only_text=only_texts)
    is_short_form = kind is not None and kind.section and isinstance(value, bool | int | float)
    return stripped if is_short_form else value
