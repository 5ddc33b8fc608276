"""A run's own model: a changed file is refused by name, and NaN is an error, not an answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tiny import make_run
from workbench.errors import NonFiniteOutputError, RefusedError
from workbench.files import read_json, write_json
from workbench.inference.predictor import Predictor
from workbench.jobs.running import run_in_this_process
from workbench.models import integrity
from workbench.models.loading import make_source
from workbench.runs.run import Run
from workbench.workspace import Workspace

TEXTS = [{"text": "a fine film"}, {"text": "a dull film"}]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = make_run(Workspace(tmp_path_factory.mktemp("home")))
    run_in_this_process(run)
    assert run.state == "succeeded", run.log(4000)
    return run


@pytest.fixture
def model(trained: Run) -> Iterator[Run]:
    """The run, whose files are as they were after the test."""
    before = {path: path.read_bytes() for path in trained.model_folder.iterdir()}
    yield trained
    for path in trained.model_folder.iterdir():
        if path not in before:
            path.unlink()
    for path, content in before.items():
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)


def flip_bits(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for position in range(len(content) - 64, len(content)):
        content[position] ^= 0x40
    path.write_bytes(content)


def other_word(path: Path) -> None:
    path.write_text(path.read_text().replace("film", "filn"))


CHANGES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "64 flipped bits": ("model.safetensors", flip_bits, "model.safetensors was changed"),
    "another word": ("tokenizer.json", other_word, "tokenizer.json was changed"),
    "a missing file": ("tokenizer_config.json", Path.unlink, "tokenizer_config.json is missing"),
    "an added template": ("chat_template.jinja", lambda path: path.write_text("x"), "chat_template.jinja was added"),
    "another label": (
        "config.json", lambda path: path.write_text(path.read_text() + " "), "config.json was changed"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_file_is_refused_by_name(name: str, model: Run) -> None:
    file, change, message = CHANGES[name]
    assert Predictor.load(model).predict(TEXTS)
    change(model.model_folder / file)
    for load in (
        lambda: Predictor.load(model),
        lambda: make_source(f"run:{model.id}", model.workspace).load("AutoModel", {}),
    ):
        with pytest.raises(RefusedError, match=message):
            load()


def test_files_are_compared_once_in_a_process(model: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Predictor.load(model)
    monkeypatch.setattr(integrity, "_digest", lambda path: pytest.fail("compared again"))
    assert Predictor.load(model).predict(TEXTS)


def test_models_of_earlier_versions_have_no_hashes(model: Run) -> None:
    note = read_json(model.base_note_file)
    assert isinstance(note, dict) and len(note.pop("files")) >= 3
    write_json(model.base_note_file, note)
    (model.model_folder / "config.json").write_text((model.model_folder / "config.json").read_text() + " ")
    assert Predictor.load(model).predict(TEXTS)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinity_are_errors(model: Run, value: float) -> None:
    import torch

    predictor = Predictor.load(model)
    assert predictor.predict(TEXTS)
    with torch.no_grad():
        next(iter(reversed(list(predictor.model.parameters())))).fill_(value)
    with pytest.raises(NonFiniteOutputError, match="NaN or infinity") as caught:
        predictor.predict(TEXTS)
    assert json.dumps(caught.value.as_dict()) and caught.value.exit_code == 1
