"""Short descriptions of the fields and types of JSON documents: pydantic classes, TypedDicts, dataclasses, examples."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from pydantic import BaseModel, TypeAdapter

Fields = dict[str, str]
NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
JSON = {"Json": Any, "JsonObject": dict[str, Any]}  # the aliases of workbench.types, which refer to themselves


class Shapes:
    """Collects the fields of every class that a document contains.

    Attributes:
        classes: the type of each field of each class.
    """

    def __init__(self) -> None:
        self.classes: dict[str, Fields] = {}
        self._names: dict[Any, str] = {}  # of TypedDicts and dataclasses

    def of_type(self, kind: Any) -> str:
        """Return a type in a few words: ``list of number``, ``Interval | null``.

        Args:
            kind: an annotation, or a class whose instances are printed.
        """
        origin, arguments = get_origin(kind), get_args(kind)
        if kind is Any:
            return "any"
        if kind in NAMES:
            return NAMES[kind]
        if origin is NotRequired:
            return f"{self.of_type(arguments[0])}, optional"
        if origin is Literal:
            return " | ".join(json.dumps(value) for value in arguments)
        if origin in (Union, types.UnionType):
            return " | ".join(map(self.of_type, arguments))
        if origin is tuple and arguments[-1] is not ...:
            return f"{len(arguments)} values"
        if origin in (list, tuple):
            return f"list of {_grouped(self.of_type(arguments[0]))}"
        if isinstance(origin, type) and issubclass(origin, Mapping):
            values = self.of_type(arguments[1])
            return "object" if values == "any" else f"object of {_grouped(values)}"
        return self._of_class(kind)

    def of_examples(self, name: str, kinds: Mapping[str, Any], *documents: Mapping[str, Any]) -> str:
        """Return the name of documents that a method builds, so that no class has exactly their keys.

        Args:
            name: of the document, for its entry in ``classes``.
            kinds: the type of each key; the types of other keys follow from their values, which must not be objects.
            documents: examples that together have every key.
        """
        fields: Fields = {}
        for key in dict.fromkeys(key for document in documents for key in document):
            values = [document[key] for document in documents if key in document]
            described = self.of_type(kinds[key]) if key in kinds else " | ".join(dict.fromkeys(map(_of_value, values)))
            fields[key] = described + ", optional" * (len(values) < len(documents))
        self._add(name, fields)
        return name

    def _of_class(self, kind: Any) -> str:
        name = str(kind.__name__)
        if issubclass(kind, BaseModel):
            schema = TypeAdapter(kind).json_schema()
            for title, definition in {**schema.get("$defs", {}), name: schema}.items():
                self._add(title, {field: of_schema(value) for field, value in definition["properties"].items()})
            return name
        assert is_typeddict(kind) or is_dataclass(kind), f"{kind!r} is not the class of a document"
        if kind in self._names:
            return self._names[kind]
        if name in self.classes:  # another class of this name
            name = f"{kind.__module__.rpartition('.')[2]}.{name}"
        self._names[kind] = name
        self._add(name, {field: self.of_type(hint) for field, hint in type_hints(kind).items()})
        return name

    def _add(self, name: str, fields: Fields) -> None:
        assert self.classes.get(name, fields) == fields, f"two documents are named {name}"
        self.classes[name] = fields


def _grouped(text: str) -> str:
    return f"({text})" if " | " in text else text


def type_hints(kind: type) -> dict[str, Any]:
    """Return the types of the keys of a TypedDict or of the fields of a dataclass.

    Args:
        kind: the class; a key that a document may lack is ``NotRequired``.
    """
    hints = get_type_hints(kind, localns=JSON, include_extras=True)
    return hints if getattr(kind, "__total__", True) else {key: NotRequired[hint] for key, hint in hints.items()}


def assert_keys(kind: Any, value: Any) -> None:
    """Assert that the objects in a document have the keys of their classes.

    Args:
        kind: what the document should be; a dictionary has the types of some keys.
        value: the document, or a part of it.
    """
    if isinstance(kind, dict):
        for key in set(kind) & set(value):
            assert_keys(kind[key], value[key])
    elif get_origin(kind) in (Union, types.UnionType):
        for each in get_args(kind):
            assert_keys(each, value)
    elif get_origin(kind) is list:
        for item in value:
            assert_keys(get_args(kind)[0], item)
    elif isinstance(value, dict) and (is_typeddict(kind) or is_dataclass(kind)):
        hints = type_hints(kind)
        required = {key for key, hint in hints.items() if get_origin(hint) is not NotRequired}
        assert required <= set(value) <= set(hints), f"{kind}: {sorted(set(value) ^ set(hints))}"
        assert_keys(hints, value)
    elif get_origin(kind) is NotRequired:
        assert_keys(get_args(kind)[0], value)


def _of_value(value: Any) -> str:
    if isinstance(value, list):
        return f"list of {_of_value(value[0])}"
    return NAMES[type(value)]


def of_schema(schema: Mapping[str, Any]) -> str:
    """Return the type of a JSON schema in a few words.

    Args:
        schema: of a field, as pydantic writes it.
    """
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(map(of_schema, schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {of_schema(schema['items'])}" if "items" in schema else f"{len(schema['prefixItems'])} values"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {of_schema(schema['additionalProperties'])}"
    return str(kind)
