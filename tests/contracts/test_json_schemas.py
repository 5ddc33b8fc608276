"""The JSON that commands print and that runs write keeps its names and types."""

from __future__ import annotations

import json

from tests.contracts.update_json_schemas import PATH, json_schemas


def test_json_schemas_change_on_purpose_only() -> None:
    """Scripts read these names: what is removed or renamed breaks them."""
    assert json.loads(json.dumps(json_schemas())) == json.loads(PATH.read_text(encoding="utf-8")), (
        "The JSON of a command or of a run's file has changed. If that is meant, say so in CHANGELOG.md and run: "
        "python -m tests.contracts.update_json_schemas"
    )
