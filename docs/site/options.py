"""Pages of the options of a run, of the presets and of the data sets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from docs.site.markdown import cell

ROOT = Path(__file__).resolve().parents[2]


def options() -> str:
    """Describe every field of a run's spec.

    Returns:
        A page with a table for each section of the spec.
    """
    from workbench.spec import RunSpec

    lines = [
        "# Options of a run",
        "",
        "A run is described by a YAML file, its *spec*. You can also set a field on the command line, "
        "`--set training.epochs=2`, or in Python, `wb.run(spec, training__epochs=2)`. "
        "On the command line a value is YAML, except in fields that hold text: `--set data.columns.label=no` names the "
        "column `no`. "
        "`workbench check SPEC` prints every field with the value that it has after defaults are filled in.",
        "",
        "`task`, `data`, `model` and `tuning` may be written short: `model: minilm` means `model: {source: minilm}`. "
        "The options of a task, a model or a fine-tuning method are written beside its name and are listed on "
        "its own page: [tasks](tasks/index.md), [models](models/index.md), [fine-tuning methods](tuning/index.md).",
        "",
    ]
    sections: dict[str, type[BaseModel]] = {}
    top: dict[str, FieldInfo] = {}
    for name, field in RunSpec.model_fields.items():
        model = _model_of(field)
        if model is None:
            top[name] = field
        else:
            sections[name] = model
    lines += ["## Top level", "", *_table(top)]
    for name, model in sections.items():
        lines += [f"## {name}", "", RunSpec.model_fields[name].description or "", ""]
        lines += option_table(model, nested=True)
    return "\n".join(lines) + "\n"


def option_table(model: type[BaseModel], nested: bool = False) -> list[str]:
    """Render the fields of a pydantic model as a table.

    Args:
        model: the model.
        nested: add the fields of models inside it, named ``outer.inner``.

    Returns:
        Lines of Markdown.
    """
    fields: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        inner = _model_of(field) if nested else None
        if inner is None:
            fields[name] = field
        else:
            fields |= {f"{name}.{below}": info for below, info in inner.model_fields.items()}
    return _table(fields)


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    for candidate in (field.annotation, *get_args(field.annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _table(fields: Mapping[str, FieldInfo]) -> list[str]:
    lines = ["| field | default | type | meaning |", "|---|---|---|---|"]
    for name, field in fields.items():
        default = "*required*" if field.is_required() else _value(field.get_default(call_default_factory=True))
        lines.append(f"| `{name}` | {default} | {cell(_type(field))} | {cell(field.description or '')} |")
    return [*lines, ""]


def _value(value: object) -> str:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_none=True)
    return "empty" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def _type(field: FieldInfo) -> str:
    text = str(field.annotation) if get_args(field.annotation) else getattr(field.annotation, "__name__", "")
    text = re.sub(r"\b(typing|types|collections\.abc|workbench[\w.]*)\.", "", text)
    choices = re.search(r"Literal\[([^\]]*)\]", text)
    if choices:
        return "one of " + choices[1].replace("'", "`")
    text = text.replace(" | None", " or empty").replace("NoneType", "empty")
    names = {"str": "text", "int": "whole number", "float": "number", "bool": "yes or no"}
    text = re.sub(r"\b(str|int|float|bool)\b", lambda m: names[m[1]], text)
    bounds = [
        f"{sign} {getattr(constraint, attribute):g}"
        for constraint in field.metadata
        for attribute, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
        if getattr(constraint, attribute, None) is not None
    ]
    return f"{text}, {', '.join(bounds)}" if bounds else text


def preset_files() -> list[Path]:
    """Return the presets' files, sorted by name."""
    return sorted((ROOT / "workbench" / "presets").glob("*.yaml"))


def presets() -> str:
    """Describe the presets.

    Returns:
        A page with each preset's YAML.
    """
    lines = [
        "# Presets",
        "",
        "A preset is a spec that comes with the workbench. Use its name where a command asks for a spec: "
        "`workbench run demo-lora`. `workbench presets` prints this list.",
        "",
    ]
    for path in preset_files():
        text = path.read_text(encoding="utf-8")
        comment = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
        body = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        lines += [f"## {path.stem}", "", comment, "", "```yaml", body.strip(), "```", ""]
    return "\n".join(lines)


def data_sets() -> str:
    """Describe the catalogue.

    Returns:
        A page with a table of data sets.
    """
    from workbench.data.catalogue.entries import catalogue

    lines = [
        "# Data sets",
        "",
        "The catalogue. Name a data set in `data.train`; it is fetched when it is first used, checked against its "
        "hash, and kept. `workbench data show NAME` prints columns, splits, licence and citation.",
        "",
        "| name | what it is | task | language | licence |",
        "|---|---|---|---|---|",
    ]
    for name, item in sorted(catalogue().datasets.items()):
        values = (f"`{name}`", item.label, f"`{item.task}`", item.language, item.licence)
        lines.append("| " + " | ".join(cell(str(value)) for value in values) + " |")
    return "\n".join(lines) + "\n"
