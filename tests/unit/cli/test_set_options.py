"""``--set FIELD=VALUE``: YAML, except for fields that hold text."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.cli.options import change_spec, read_changes
from workbench.errors import RequestError, SpecError
from workbench.spec import RunSpec

SPEC = RunSpec.parse({"task": "recommendation", "data": "reviews.csv", "model": "minilm"})


def changed(*options: str) -> dict[str, Any]:
    """Return the fields that were set, without those of the original spec that did not change."""
    return change_spec(SPEC, list(options)).model_dump(mode="json", exclude_unset=True)


@pytest.mark.parametrize(
    ("option", "section", "value"),
    [
        ("data.columns.label=no", "columns", {"label": "no"}),
        ("data.columns.label=1", "columns", {"label": "1"}),
        ("data.columns.label=2024-01-01", "columns", {"label": "2024-01-01"}),
        ("data.columns.label=null", "columns", {"label": "null"}),
        ("data.columns.label='null'", "columns", {"label": "null"}),
        ("data.columns.label=a: b #c", "columns", {"label": "a: b #c"}),
        ("data.columns={label: no, candidate: 1}", "columns", {"label": "no", "candidate": "1"}),
        (r"data.delimiter=\t", "delimiter", "\t"),
        ("data.delimiter=\t", "delimiter", "\t"),
        ('data.delimiter="\\t"', "delimiter", "\t"),
        ("data.delimiter=|", "delimiter", "|"),
        ("data.delimiter=,", "delimiter", ","),
        ("data.delimiter= ", "delimiter", " "),
        ("data.valid=null", "valid", None),
        ("data.valid=", "valid", None),
        ("data.group=1", "group", "1"),
        ("data.documents=line", "documents", "line"),
        ("data.train=2024.csv", "train", "2024.csv"),
        ("data=1", "train", "1"),
        ("data={train: x.csv, max_length: 64}", "max_length", 64),
    ],
)
def test_a_value_of_the_data(option: str, section: str, value: object) -> None:
    assert changed(option)["data"][section] == value


def test_other_values_are_yaml() -> None:
    assert changed("training.epochs=2", "training.compile=yes")["training"] == {"epochs": 2.0, "compile": True}
    assert changed("training.eval_every=", "training.device=cpu")["training"] == {"eval_every": None, "device": "cpu"}
    assert changed("name=2024")["name"] == "2024" and changed("name=null")["name"] is None
    assert changed("tuning={method: lora, rank: 4}")["tuning"] == {"method": "lora", "rank": 4}


def test_options_of_the_task_that_hold_text() -> None:
    assert changed("task.liked=yes")["task"] == {"name": "recommendation", "liked": "yes"}
    assert changed("task=relation-extraction", "task.other=0")["task"] == {"name": "relation-extraction", "other": "0"}
    assert changed("model=lstm", "model.dropout=0")["model"] == {"source": "lstm", "dropout": 0}
    assert changed("task=nothing", "task.other=0")["task"] == {"name": "nothing", "other": 0}


def test_errors_name_the_option() -> None:
    with pytest.raises(RequestError, match=r"training.epochs=\[1 is not valid YAML"):
        changed("training.epochs=[1")
    with pytest.raises(RequestError, match="has no '='"):
        changed("training.epochs")
    with pytest.raises(SpecError, match=r"data\.column: there is no such field"):
        changed("data.column=no")


def test_options_without_a_spec_are_yaml() -> None:
    assert read_changes(["layer=2", "on=true", "name=x"]) == {"layer": 2, "on": True, "name": "x"}
