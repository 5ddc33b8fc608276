"""The spec: short forms, complete round trips, and errors that name every wrong field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from workbench.errors import SpecError
from workbench.spec import SCHEMA_VERSION, RunSpec, SpecModel, TrainingSpec

SHORT = "task: text-classification\ndata: rotten-tomatoes\nmodel: minilm\ntuning: lora\n"
LONG: dict[str, Any] = {
    "task": {"name": "text-classification"},
    "data": {"train": "rotten-tomatoes"},
    "model": {"source": "minilm"},
    "tuning": {"method": "lora"},
}


def _spec_models(model: type[BaseModel]) -> list[type[BaseModel]]:
    below = [field.annotation for field in model.model_fields.values()]
    return [model, *(p for b in below if isinstance(b, type) and issubclass(b, BaseModel) for p in _spec_models(b))]


def test_short_and_long_form_are_the_same() -> None:
    assert RunSpec.from_yaml(SHORT) == RunSpec.parse(LONG)


def test_a_full_example_loads() -> None:
    spec = RunSpec.from_yaml(
        """
        name: reviews-lora
        task: text-classification
        data:
          train: reviews-train.csv
          test: reviews-test.csv
          columns: {text: text, label: label}
          limit: {train: 2000}
        model: {source: transformer-encoder, size: tiny, tokenizer: {train: bpe, vocab_size: 8000}}
        tuning: {method: lora, rank: 8}
        training: {epochs: 2, batch_size: 32, learning_rate: 5.0e-5, seed: 0}
        """
    )
    assert spec.model.options == {"size": "tiny", "tokenizer": {"train": "bpe", "vocab_size": 8000}}
    assert spec.tuning.options == {"rank": 8}
    assert spec.data.limit.train == 2000
    assert spec.data.limit.test is None


def test_learning_rate_without_a_dot() -> None:
    """YAML 1.1 reads 5e-5 as a string, although people often write it."""
    assert RunSpec.from_yaml(SHORT + "training: {learning_rate: 5e-5}").training.learning_rate == 5e-5


def test_a_saved_spec_has_every_default_and_loads_back() -> None:
    spec = RunSpec.from_yaml(SHORT)
    document = yaml.safe_load(spec.to_yaml())
    assert document["training"].keys() == TrainingSpec.model_fields.keys()
    assert document["data"]["limit"] == {"train": None, "valid": None, "test": None}
    assert RunSpec.from_yaml(spec.to_yaml()) == spec


_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_option = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | _text


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029", "\ufeff", "\t"])
def test_rare_line_breaks_are_preserved(end: str) -> None:
    spec = RunSpec.parse({**LONG, "notes": f"one{end}two{end}"})
    assert RunSpec.from_yaml(spec.to_yaml()).notes == f"one{end}two{end}"


@settings(max_examples=30)
@given(
    name=_text,
    notes=_text,
    train=_text,
    columns=st.dictionaries(_text, _text, max_size=3),
    rate=st.floats(1e-9, 10),
    options=st.dictionaries(st.from_regex(r"[a-z]{3,8}", fullmatch=True), _option | st.lists(_option, max_size=3)),
)
def test_any_spec_loads_back(
    name: str, notes: str, train: str, columns: dict[str, str], rate: float, options: dict[str, Any]
) -> None:
    """Fields may contain anything: quotes, colons, line breaks, 'no', '1e5', emoji."""
    spec = RunSpec.parse(
        {
            **LONG,
            "name": name,
            "notes": notes,
            "data": {"train": train, "columns": columns},
            "tuning": {**options, "method": "lora"},
            "training": {"learning_rate": rate},
        }
    )
    assert RunSpec.from_yaml(spec.to_yaml()) == spec


def test_every_field_has_a_description() -> None:
    for model in _spec_models(RunSpec):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name} has no description"
            assert field.description[0].isupper() or model is RunSpec or "`" in field.description


def test_every_wrong_field_is_reported_with_its_value() -> None:
    with pytest.raises(SpecError) as caught:
        RunSpec.parse({**LONG, "training": {"epochs": 0, "batchsize": 3}, "data": {}, "colour": 1})
    assert len(caught.value.problems) == 4
    message = caught.value.message
    assert "training.epochs: input should be greater than 0, given '0'" in message
    assert "training.batchsize: there is no such field" in message
    assert "data.train: is missing" in message
    assert "colour: there is no such field" in message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a mapping of fields is needed, and it is empty"),
        ("- a\n- b", "not list"),
        ("just words", "not str"),
        ("a: [1", "not valid YAML"),
        ("a: b: c", "line 1"),
        ("name: 2026-13-01\n" + SHORT, "month must be in"),
        ("[" * 5000, "not valid YAML"),
        (SHORT + "model: lstm\n", "'model' is given twice"),
        (SHORT + "training: {epochs: 1, epochs: 2}", "'epochs' is given twice"),
        ("a: &a [x]\nb: *a", "aliases"),
        ("!!python/object/apply:os.system [true]", "not valid YAML"),
        ("task: \x07", "not valid YAML"),
    ],
)
def test_invalid_documents(text: str, words: str) -> None:
    with pytest.raises(SpecError, match="the spec is not") as caught:
        RunSpec.from_yaml(text)
    assert words in caught.value.message


def test_aliases_cannot_expand_to_gigabytes() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    with pytest.raises(SpecError, match="aliases"):
        RunSpec.from_yaml("\n".join(lines))


def test_a_long_wrong_value_is_shortened() -> None:
    with pytest.raises(SpecError) as caught:
        RunSpec.parse({**LONG, "training": ["x" * 10_000] * 10_000})
    assert len(caught.value.message) < 500


def test_a_newer_schema_version_is_refused() -> None:
    with pytest.raises(SpecError, match=f"schema version {SCHEMA_VERSION + 1}") as caught:
        RunSpec.parse({**LONG, "schema_version": SCHEMA_VERSION + 1, "new_field": 1})
    assert "newer workbench" in caught.value.hint


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"name: caf\xe9")
    for path in (tmp_path / "missing.yaml", tmp_path, tmp_path / "latin", Path("a\0b")):
        with pytest.raises(SpecError, match="cannot be read"):
            RunSpec.load(path)


def test_a_json_spec_loads(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(RunSpec.parse(LONG).model_dump_json())
    assert RunSpec.load(tmp_path / "spec.json") == RunSpec.parse(LONG)


def test_a_holdout_of_everything_is_an_error() -> None:
    with pytest.raises(SpecError, match="leave something to train on"):
        RunSpec.parse({**LONG, "data": {"train": "x", "holdout": {"valid": 0.5, "test": 0.5}}})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(SpecError, match=r"training\.learning_rate"):
        RunSpec.parse({**LONG, "training": {"learning_rate": value}})


def test_changed_by_dotted_paths() -> None:
    spec = RunSpec.from_yaml(SHORT)
    changed = spec.changed(
        {"training.epochs": 1, "tuning.rank": 4, "data.limit.train": 100, "data.columns.text": "body"}
    )
    assert (changed.training.epochs, changed.data.limit.train, changed.data.columns) == (1, 100, {"text": "body"})
    assert (changed.tuning.method, changed.tuning.options) == ("lora", {"rank": 4})
    assert spec.training.epochs == TrainingSpec().epochs  # the original stays


def test_changed_understands_the_short_form_at_the_top_only() -> None:
    spec = RunSpec.from_yaml(SHORT)
    changed = spec.changed({"model": "lstm", "model.size": "tiny"})
    assert (changed.model.source, changed.model.options) == ("lstm", {"size": "tiny"})
    with pytest.raises(SpecError, match="'target' holds a value"):
        spec.changed({"tuning.target": "all", "tuning.target.layers": 1})


def test_changed_does_not_modify_the_callers_values() -> None:
    values = {"epochs": 1}
    RunSpec.from_yaml(SHORT).changed({"training": values, "training.epochs": 2})
    assert values == {"epochs": 1}


@pytest.mark.parametrize("path", ["training.epoch", "", "training.epochs.x", "nothing.here"])
def test_changed_refuses_unknown_fields(path: str) -> None:
    with pytest.raises(SpecError):
        RunSpec.from_yaml(SHORT).changed({path: 1})


def test_assignments_are_validated() -> None:
    section: SpecModel = RunSpec.from_yaml(SHORT).training
    with pytest.raises(ValueError, match="greater than 0"):
        section.epochs = -1  # type: ignore[attr-defined]
