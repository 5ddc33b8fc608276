"""The tree of errors: messages, pickling, and the drawing of the tree."""

from __future__ import annotations

import inspect
import pickle

import pytest

from workbench import errors


def _kinds() -> list[type[errors.WorkbenchError]]:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.WorkbenchError)]
    return sorted(kinds, key=lambda kind: kind.__name__)


def _example(kind: type[errors.WorkbenchError]) -> errors.WorkbenchError:
    if kind is errors.UnknownNameError:
        return errors.UnknownNameError("task", "clasify", ["classify", "tag"])
    if kind is errors.MissingPackageError:
        return errors.MissingPackageError("pyarrow", "to read Parquet files")
    return kind("What was wrong.", "What to do.")


@pytest.mark.parametrize("kind", _kinds(), ids=lambda kind: kind.__name__)
def test_the_drawing_contains_every_error(kind: type[errors.WorkbenchError]) -> None:
    """The tree in the docstring has each class, indented one step further than its parent."""
    lines = {line.strip(" │├└─").split()[0]: line for line in (errors.__doc__ or "").splitlines() if "Error " in line}

    def depth(name: str) -> int:
        return lines[name].index(name)

    assert kind.__name__ in lines
    if kind is not errors.WorkbenchError:
        parent = kind.__bases__[0].__name__
        assert depth(kind.__name__) == depth(parent) + 4


@pytest.mark.parametrize("kind", _kinds(), ids=lambda kind: kind.__name__)
def test_errors_can_be_pickled(kind: type[errors.WorkbenchError]) -> None:
    error = _example(kind)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert copy.as_dict() == error.as_dict()
    assert str(copy) == str(error)


def test_exit_codes() -> None:
    """2 means that the request was wrong, 1 that a run or the machine failed."""
    assert errors.SpecError("x").exit_code == 2
    assert errors.RefusedError("x").exit_code == 2
    assert errors.StorageError("x").exit_code == 1


def test_an_unknown_name_has_a_suggestion_and_a_list() -> None:
    error = errors.UnknownNameError("task", "clasify", ["tag", "classify"])
    assert error.message == "There is no task 'clasify'. Did you mean 'classify'?"
    assert error.hint == "There are: classify, tag."


def test_suggestions_ignore_case() -> None:
    assert "Did you mean 'lora'?" in errors.UnknownNameError("tuning", "LoRA", ["full", "lora"]).message


def test_a_long_list_of_names_is_shortened() -> None:
    hint = errors.UnknownNameError("run", "x", [f"run-{i}" for i in range(1000)]).hint
    assert len(hint) < 600
    assert "and 960 more" in hint
