"""Tables with arbitrary cells: they are read, or refused with an error that people can read; nothing crashes."""

from __future__ import annotations

import random
from typing import Any

import pytest

from workbench.data.columns import map_columns
from workbench.data.normalize import normalize_targets
from workbench.data.readers.table import Table
from workbench.data.roles import Roles
from workbench.data.shapes import apply_shapes
from workbench.errors import WorkbenchError
from workbench.spec import DataSpec
from workbench.tasks.base import tasks

TEXTS = (
    *(
        "",
        "Ada",
        "Ada lives in Oslo",
        "O",
        "B-PER",
        "['a', 'b']",
        "[0, 1]",
        "{'en': 'a', 'de': 'b'}",
        "['a",
        "{",
        "user",
    ),
    *(
        "[{'role': 'user', 'content': 'x'}]",
        "[[0, 3, 'PER']]",
        "🙂 Ada",
        "a|b;c,d",
        "{'a'",
        "()",
        "array(['a'])",
        "0 1 1",
    ),
)
PLAIN = ("Ada", "Oslo", "a b", "<e1>Ada</e1> in <e2>Oslo</e2>")
KEYS = (
    *("role", "content", "from", "value", "start", "end", "label", "text", "answer_start", "pos", "name", "en", "de"),
    *("head", "tail", "type", "entities", "result", "from_id", "to_id", "tokens"),
)
COLUMNS = {
    "token-classification": ("text", "words", "tokens", "tags", "label", "entities", "spans", "data", "sentence_id"),
    "text-classification": ("text", "label", "labels", "a", "b"),
    "dialogue": ("messages", "conversations", "turns", "instruction", "input", "output", "prompt", "history", "system"),
    "question-answering": ("question", "context", "answers", "answer_text", "answer_start", "answer"),
    "relation-extraction": (
        "text",
        "tokens",
        "head",
        "tail",
        "h",
        "t",
        "relation",
        "relations",
        "entities",
        "e1",
        "e2",
    ),
    "translation": ("translation", "en", "de", "fr"),
}


def make_cell(random_: random.Random, depth: int = 0) -> Any:
    kind = random_.randrange(12 if depth < 3 else 7)
    if kind < 2:
        return random_.choice([None, 0, 1, -1, 10**30, True, 0.5, float("nan")])
    if kind < 7:
        return random_.choice(TEXTS)
    if kind < 9:
        return [make_cell(random_, depth + 1) for _ in range(random_.randrange(4))]
    if kind < 10:
        return [random_.choice([0, 3, -1, 10**12]), random_.choice([3, 4, 9]), random_.choice(["PER", None])]
    return {random_.choice(KEYS): make_cell(random_, depth + 1) for _ in range(random_.randrange(5))}


def make_column(random_: random.Random, rows: int) -> list[Any]:
    """Return equal cells, which make a shape likely, plain texts, or any cells."""
    kind, cell = random_.randrange(3), make_cell(random_)
    if kind == 0:
        return [cell] * rows
    return [random_.choice(PLAIN) if kind == 1 else make_cell(random_) for _ in range(rows)]


@pytest.mark.parametrize("task", sorted(COLUMNS))
def test_any_table_is_read_or_refused(task: str) -> None:
    random_ = random.Random(task)
    roles = tasks.get(task)().columns()
    read = 0
    for _ in range(250):
        names = random_.sample(COLUMNS[task], random_.randrange(2, len(COLUMNS[task])))
        rows = random_.choice([1, 3, 12])
        tables = {"train": Table("a", {name: make_column(random_, rows) for name in names}, list(range(rows)))}
        tables["test"] = Table("b", {name: make_column(random_, 2) for name in names}, [0, 1])
        spec = DataSpec(
            train="a",
            label_names=random_.choice([None, ["O", "B-X"]]),
            first_speaker=random_.choice([None, "assistant"]),
        )
        try:
            shaped, chosen = apply_shapes(tables, roles, {}, spec)
            mapping, _ = map_columns(shaped["train"], roles, chosen)
            result = normalize_targets(shaped, Roles.of(roles, mapping), spec)
        except WorkbenchError as error:
            assert error.message and error.hint
            continue
        read += 1
        for table in result.values():
            assert {len(values) for values in table.columns.values()} <= {len(table.rows)}
    assert read > 5
