"""Rules for every entry of every registry. Entries are discovered, so a new file is tested automatically."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from workbench.check import check, presets, resolve
from workbench.cli.commands.entries import list_entries
from workbench.explain import explainers
from workbench.models.base import models
from workbench.registry import Registry
from workbench.spec import RunSpec
from workbench.tasks.base import tasks
from workbench.tuning.base import tunings
from workbench.workspace import Workspace

REGISTRIES: dict[str, Registry[Any]] = {"task": tasks, "model": models, "tuning": tunings, "explainer": explainers}
ENTRIES = [(kind, name) for kind, registry in REGISTRIES.items() for name in registry.names()]
UNIT = re.compile(r"second|token|example|step|share|index|rank|probab|GB|epoch|layer|scale", re.IGNORECASE)
OPTIONS = Path(__file__).parent / "options.json"

every_entry = pytest.mark.parametrize(("kind", "name"), ENTRIES, ids=[f"{k}-{n}" for k, n in ENTRIES])


def test_there_are_entries() -> None:
    for kind, registry in REGISTRIES.items():
        assert registry.names(), f"there is no {kind}"
    assert {"full", "head", "freeze", "lora"} <= set(tunings.names())


@every_entry
def test_label_is_one_sentence(kind: str, name: str) -> None:
    label = REGISTRIES[kind].label(name)
    assert 10 <= len(label) <= 120, label
    assert label != name and "\n" not in label
    assert not re.search(r"[.!?] [A-Z]", label), f"more than one sentence: {label}"


@every_entry
def test_config_documents_every_option(kind: str, name: str) -> None:
    config = REGISTRIES[kind].get(name).Config
    assert issubclass(config, BaseModel)
    for option, field in config.model_fields.items():
        assert_described(f"{name}.{option}", field)
    config.model_validate({})  # the defaults
    config.model_validate(config().model_dump())
    assert config.model_config.get("extra") == "forbid"


def assert_described(option_name: str, field: FieldInfo) -> None:
    assert field.description and len(field.description) > 10, f"{option_name} has no description"
    numeric = field.annotation is not bool and re.search(r"\b(int|float)\b", str(field.annotation))
    assert not numeric or field.metadata or UNIT.search(field.description), f"{option_name} has neither unit nor range"


@pytest.mark.parametrize(("kind", "name"), [entry for entry in ENTRIES if entry[0] != "explainer"])
def test_an_unknown_option_is_refused_with_the_allowed_ones(kind: str, name: str, workspace: Workspace) -> None:
    entry = REGISTRIES[kind].get(name)
    key = {"task": "name", "model": "source", "tuning": "method"}[kind]
    value = f"{name}:a/b@c" if getattr(entry, "argument_form", "") else name
    spec = RunSpec.parse({"task": "text-classification", "data": "rotten-tomatoes", "model": "minilm"})
    spec = spec.changed({kind: {key: value, "no_such_option": 1}})
    (problem,) = [each for each in check(spec, workspace) if each.field == f"{kind}.no_such_option"]
    assert problem.severity == "error"
    for option in entry.Config.model_fields:
        assert option in problem.hint


@pytest.mark.parametrize("kind", ["task", "model", "tuning"])
def test_an_unknown_name_is_refused_with_the_nearest(kind: str, workspace: Workspace) -> None:
    name = {"task": "text-clasification", "model": "minilmm", "tuning": "lorra"}[kind]
    near = {"task": "text-classification", "model": "minilm", "tuning": "lora"}[kind]
    spec = RunSpec.parse({"task": "text-classification", "data": "rotten-tomatoes", "model": "minilm"})
    (problem,) = check(spec.changed({kind: name}), workspace)
    assert problem.field == kind and problem.severity == "error"
    assert repr(name) in problem.message and f"Did you mean {near!r}" in problem.message
    assert all(known in problem.hint for known in REGISTRIES[kind].names())


@every_entry
def test_entries_can_be_listed_as_json(kind: str, name: str) -> None:
    """``workbench tasks --json`` and its like: names, labels and options as JSON."""
    (entry,) = [each for each in list_entries(REGISTRIES[kind]) if each["name"] == name]
    assert json.loads(json.dumps(entry)) == entry
    assert set(entry) == {"name", "label", "options"}


@pytest.mark.parametrize("name", sorted(presets()))
def test_presets_can_be_run(name: str, workspace: Workspace) -> None:
    assert check(presets()[name], workspace) == []
    resolved = resolve(presets()[name], workspace).spec
    assert resolved.training.learning_rate is not None
    assert resolve(resolved, workspace).spec == resolved, "resolving is idempotent"


# -- the public options ---------------------------------------------------------------------------------------------


def surface() -> dict[str, Any]:
    """Return every field of a spec and every option of every entry, with its default."""
    options: dict[str, Any] = {"spec": _fields("", RunSpec)}
    for kind, name in ENTRIES:
        options[f"{kind} {name}"] = _fields("", REGISTRIES[kind].get(name).Config)
    return options


def _fields(prefix: str, model: type[BaseModel]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            options |= _fields(f"{prefix}{name}.", inner)
        else:
            default = "required" if field.is_required() else field.get_default(call_default_factory=True)
            options[prefix + name] = default
    return options


def test_options_do_not_change_by_accident() -> None:
    """Users' specs contain these names: removing or renaming one breaks them."""
    now = json.loads(json.dumps(surface()))
    before = json.loads(OPTIONS.read_text(encoding="utf-8"))
    assert now == before, (
        "The options that users write have changed. If this is intended, describe it in CHANGELOG.md, raise the schema "
        "version if old specs no longer load, and run: python tests/contracts/update_options.py"
    )
