"""The JSON that commands print and that runs write keeps its names and types."""

from __future__ import annotations

import json
from typing import Any

import typer

from tests.contracts.update_json_schemas import PATH, json_schemas
from workbench.cli.app import app


def test_json_schemas_do_not_change_by_accident() -> None:
    """Scripts read these names: removing or renaming one breaks them."""
    assert json.loads(json.dumps(json_schemas())) == json.loads(PATH.read_text(encoding="utf-8")), (
        "The JSON of a command or of a run's file has changed. If this is intended, describe it in CHANGELOG.md "
        "and run: python -m tests.contracts.update_json_schemas"
    )


def test_every_command_with_json_is_listed() -> None:
    """Each command's document is part of the contract, except for the few that print a list of names or one value."""
    unlisted = {"tag", "merge", "delete", "presets", "data fetch", "data clean"}
    listed = {
        command.removeprefix("workbench ").removesuffix(" --json").removesuffix(" NAME")
        for documents in json_schemas()["documents"]
        for command in documents.split(", ")
        if not command.endswith(".json")
    }
    assert listed | unlisted == set(_commands(typer.main.get_command(app)))
    assert not listed & unlisted


def _commands(command: Any, path: str = "") -> list[str]:
    """Return the commands at and below this one that accept ``--json``."""
    own = [path] if any("--json" in parameter.opts for parameter in command.params) else []
    children = getattr(command, "commands", {}).items()
    return own + [each for name, child in children for each in _commands(child, f"{path} {name}".strip())]
