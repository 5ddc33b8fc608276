"""The public Python API does not change by accident: ``public_api.json`` has its names and signatures."""

from __future__ import annotations

import inspect
import json

import workbench as wb
from tests.contracts.update_public_api import PATH, public_api


def test_all_lists_every_public_name() -> None:
    assert list(wb.__all__) == sorted(wb.__all__)
    assert set(wb.__all__) <= set(dir(wb))


def test_signatures_do_not_change_by_accident() -> None:
    """After an intended change, run ``python -m tests.contracts.update_public_api``."""
    assert public_api() == json.loads(PATH.read_text(encoding="utf-8"))


def test_everything_public_is_documented() -> None:
    for name in wb.__all__:
        assert name == "__version__" or inspect.getdoc(getattr(wb, name)), name


def test_every_parameter_is_documented() -> None:
    for name in wb.__all__:
        value = getattr(wb, name)
        if inspect.isfunction(value):
            doc = inspect.getdoc(value) or ""
            missing = [parameter for parameter in inspect.signature(value).parameters if f"{parameter}" not in doc]
            assert not missing, f"{name}: {missing}"
