"""Write ``json_schemas.json`` after an intended change: ``python -m tests.contracts.update_json_schemas``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from workbench.check import Problem
from workbench.compare.results import Comparison
from workbench.runs import documents
from workbench.runs.documents import Estimate, RunSummary

PATH = Path(__file__).parent / "json_schemas.json"

PRINTED: dict[str, Any] = {
    "run, submit, resume, stop, show": RunSummary,
    "runs": list[RunSummary],
    "compare, demo": Comparison,
    "check": list[Problem],
    "estimate": Estimate,
}
FILES = (
    documents.Status,
    documents.Report,
    documents.Environment,
    documents.BaseNote,
    documents.Splits,
)


def json_schemas() -> dict[str, Any]:
    """Return what each command prints with ``--json`` and each file holds, and the fields of every class in them."""
    roots = {f"workbench {command} --json": kind for command, kind in PRINTED.items()}
    roots |= {document.file_name: document for document in FILES}
    names, classes = {}, {}
    for name, kind in roots.items():
        schema = TypeAdapter(kind).json_schema()
        definitions = schema.get("$defs", {})
        if "properties" in schema:
            definitions[schema["title"]] = schema
        names[name] = schema["title"] if "properties" in schema else _type(schema)
        for title, definition in definitions.items():
            classes[title] = {field: _type(value) for field, value in definition["properties"].items()}
    return {"documents": names, "fields": dict(sorted(classes.items()))}


def _type(schema: dict[str, Any]) -> str:
    """Return a JSON type in a few words: ``list of number``, ``Interval | null``."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(map(_type, schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema['items'])}" if "items" in schema else f"{len(schema['prefixItems'])} values"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return str(kind)


if __name__ == "__main__":
    PATH.write_text(json.dumps(json_schemas(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
