"""Messages and hints of errors name fields of a spec that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_origin

import pytest
from pydantic import BaseModel

import workbench
from workbench.data.columns import Column
from workbench.data.examples import SPLITS, Examples
from workbench.data.extract import Extracted
from workbench.data.roles import Roles
from workbench.data.splitting.sizes import check_sizes
from workbench.errors import DataError
from workbench.models.base import models
from workbench.spec import DataSpec, RunSpec
from workbench.tasks.base import tasks
from workbench.tuning.base import tunings

SOURCE = Path(workbench.__file__).parent
OPTIONS = {
    section: set().union(*(entry.Config.model_fields for _, entry in registry.items()))
    for section, registry in (("task", tasks), ("model", models), ("tuning", tunings))
}
FIELD = re.compile(r"(?<![\w./-])((?:data|training|model|tuning|task|range_test)(?:\.[a-z_]+)+)(?![\w(/-])")
FILES = {"data.json"}


def unknown_fields(text: str) -> list[str]:
    """Return the fields in a text that no spec has."""
    return [path for path in FIELD.findall(text) if path not in FILES and not exists(path)]


def exists(path: str) -> bool:
    section, *keys = path.split(".")
    annotation: Any = RunSpec.model_fields[section].annotation
    if keys[0] in OPTIONS.get(section, ()):
        return True
    for key in keys:
        if get_origin(annotation) is dict:
            return True
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return False
        if key not in annotation.model_fields:
            return False
        annotation = annotation.model_fields[key].annotation
    return True


def error_texts() -> Iterator[tuple[str, str]]:
    """Yield every text in the arguments of an error or a problem, and where it is."""
    for path in sorted(SOURCE.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(call.func, "id", "") if isinstance(call, ast.Call) else ""
            if not name.endswith(("Error", "Problem")):
                continue
            for node in ast.walk(call):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield f"{path.relative_to(SOURCE)}:{node.lineno}", node.value


def test_every_error_names_fields_that_exist() -> None:
    texts = list(error_texts())
    assert sum(len(FIELD.findall(text)) for _, text in texts) > 50, "nothing was checked"
    assert [(where, field) for where, text in texts for field in unknown_fields(text)] == []


def test_the_check_finds_a_field_that_does_not_exist() -> None:
    assert unknown_fields("Set data.holdout.train, data.columns.label or task.prompt.") == ["data.holdout.train"]
    assert unknown_fields("Set training.clip. See model.embeddings.weight.") == [
        "training.clip",
        "model.embeddings.weight",
    ]


@pytest.mark.parametrize("empty", ["train", "valid", "test"])
def test_the_hint_for_a_split_without_examples(empty: str) -> None:
    everything = Examples(
        {"text": [f"text {i}" for i in range(30)]}, [f"a.csv:{i}" for i in range(30)], list(range(30))
    )
    splits = {name: everything.take(() if name == empty else range(10)) for name in SPLITS}
    roles = Roles({"text": "text"}, (Column("text", "the text"),))
    with pytest.raises(DataError) as error:
        check_sizes(splits, {"train": Extracted(everything, None, [], [])}, DataSpec(train="a.csv"), roles, None)
    assert "data.holdout" in error.value.hint and unknown_fields(error.value.hint) == []
