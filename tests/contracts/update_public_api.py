"""Write ``public_api.json`` after an intended change: ``python -m tests.contracts.update_public_api``."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import workbench as wb

PATH = Path(__file__).parent / "public_api.json"
CLASSES = ("Comparison", "Run", "RunList")


def public_api() -> dict[str, list[str]]:
    """Return each public function, and each public method of the API's own classes, with its parameters."""
    api = {}
    for name in wb.__all__:
        value = getattr(wb, name)
        if inspect.isfunction(value):
            api[name] = _parameters(value)
        elif name in CLASSES:
            for member in vars(value):
                if not member.startswith("_") and callable(getattr(value, member)):
                    api[f"{name}.{member}"] = _parameters(getattr(value, member))
    return api


def _parameters(function: object) -> list[str]:
    assert callable(function)
    signature = inspect.signature(function)
    parameters = [str(parameter).replace("'", "") for parameter in signature.parameters.values()]
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        parameters.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    return [*parameters, f"-> {signature.return_annotation}"]


if __name__ == "__main__":
    PATH.write_text(json.dumps(public_api(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
