"""The base class of JSON documents that are read tolerantly, see :mod:`workbench.runs.documents`."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

if TYPE_CHECKING:
    from workbench.types import Json, JsonObject


MAX_NAMED = 10  # values that a message about damage names
MAX_NAMES_LENGTH = 300  # characters


class Document(BaseModel):
    """A JSON document whose fields are all optional; unknown fields are kept.

    Documents that were read from disk are cached and shared, so they cannot be changed. Use ``model_copy``.
    """

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=(), allow_inf_nan=False)

    file_name: ClassVar[str] = "the document"  # named in messages about damage

    @classmethod
    def load(cls, content: JsonObject) -> Self:
        """Return the document in ``content``, without the values that have the wrong type.

        Args:
            content: the JSON object, as it was read.

        Returns:
            The document; :meth:`damaged` adds a message to it where values were ignored.
        """
        readable, ignored = content, dict[str, None]()
        # First the values themselves; then, where a part cannot do without them, the parts; then everything.
        for depth in (None, 1, 0):
            try:
                document = cls.model_validate(readable)
                break
            except ValidationError as error:
                paths = [_existing(readable, problem["loc"])[:depth] for problem in error.errors(include_url=False)]
            if readable is content:
                readable = copy.deepcopy(content)
            for path in paths:
                _remove(readable, path)
                ignored[".".join(path) or "the whole file"] = None
        else:
            document = cls()
        if not ignored:
            return document
        names = ", ".join(list(ignored)[:MAX_NAMED])[:MAX_NAMES_LENGTH]
        return document.damaged(f"{cls.file_name} is damaged: the value of {names} has the wrong type and was ignored.")

    def damaged(self, message: str) -> Self:
        """Return the document with a message about values that were ignored; by default it is dropped."""
        return self

    def as_dict(self) -> dict[str, Any]:
        """Return the document as JSON, with the fields that were set."""
        return self.model_dump(exclude_unset=True)


def _existing(content: Json, location: tuple[int | str, ...]) -> tuple[str, ...]:
    """Return the longest part of a validation error's location that is a path of keys in ``content``."""
    path: list[str] = []
    for key in location:
        if not isinstance(content, dict) or key not in content:
            break
        path.append(str(key))
        content = content[str(key)]
    return tuple(path)


def _remove(content: JsonObject, path: tuple[str, ...]) -> None:
    """Remove the value at a path of keys, if it is still there."""
    node: Json = content
    for key in path[:-1]:
        node = node.get(key) if isinstance(node, dict) else None
    if isinstance(node, dict) and path:
        node.pop(path[-1], None)
