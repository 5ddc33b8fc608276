"""The folder of a run, and what `workbench merge` writes, answer in plain transformers and peft as the run does.

Everything is loaded in other processes, in which the workbench cannot be imported. They are forked from one that has
imported transformers.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tiny import GOOD, OTHER, make_model, make_run, reviews
from workbench.check import resolve
from workbench.errors import RequestError
from workbench.files import read_json
from workbench.inference.merging import merge
from workbench.inference.predictor import Predictor
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

ROWS = Path(__file__).parent.parent / "rows"
SHORT = ["a great film", "the plot is boring and dull", "story with wonderful actors"]
LONG = [" ".join([*OTHER * 3, GOOD[0], *OTHER * n]) for n in (0, 2, 20)]  # up to 400 tokens, of 128 positions
TEXTS = [*SHORT, *LONG]
OUR_TOKENIZER = {"train": "wordpiece", "vocab_size": 200, "min_frequency": 1}
SMALL = {"size": "tiny", "hidden_size": 32, "heads": 2, "layers": 2, "max_positions": 64, "tokenizer": OUR_TOKENIZER}

PLAIN = """
import importlib.abc, json, sys

class BlockedImports(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("workbench", "dashboard", "tests"):
            raise ImportError(name)

sys.meta_path.insert(0, BlockedImports())
import torch, transformers
from transformers import AutoTokenizer, pipeline
"""
SERVE = (
    PLAIN
    + """
import os, traceback
for line in sys.stdin:
    request = json.loads(line)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.chdir(request["cwd"])
            exec(request["script"], {"__name__": "__main__", **request["names"]})
            sys.stdout.flush()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
)
HEAD = "import json, torch\nfrom transformers import AutoTokenizer, pipeline\n"
PIPELINE = HEAD + "print(json.dumps(pipeline(model=folder, **options)(inputs), default=float))"
SPANS = (
    HEAD
    + """
from transformers import AutoModelForQuestionAnswering
tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForQuestionAnswering.from_pretrained(folder).eval()
answers = []
for each in inputs:
    batch = tokenizer(each["question"], each["context"], truncation="only_second", return_tensors="pt",
                      return_offsets_mapping=True)
    offsets, second = batch.pop("offset_mapping")[0].tolist(), [i == 1 for i in batch.sequence_ids(0)]
    with torch.no_grad():
        output = model(**batch)
    inside = torch.tensor(second)
    start, end = (logits[0].masked_fill(~inside, -1e9) for logits in (output.start_logits, output.end_logits))
    joint = (start[:, None] + end[None, :]).masked_fill(~torch.ones(len(second), len(second)).triu().bool(), -1e9)
    best = int(joint.argmax())
    first, last = offsets[best // len(second)][0], offsets[best % len(second)][1]
    answers.append(each["context"][first:last])
print(json.dumps(answers))
"""
)
PEFT = (
    HEAD
    + """
from peft import PeftConfig, PeftModel
from transformers import AutoModelForSequenceClassification
config = PeftConfig.from_pretrained(folder)
base = AutoModelForSequenceClassification.from_pretrained(
    config.base_model_name_or_path, revision=config.revision, num_labels=options["num_labels"]
)
model, tokenizer = PeftModel.from_pretrained(base, folder).eval(), AutoTokenizer.from_pretrained(folder)
with torch.no_grad():
    batch = tokenizer(inputs, padding=True, truncation=True, return_tensors="pt")
    print(json.dumps(model(**batch).logits.softmax(-1).tolist()))
"""
)


def finished(workspace: Workspace, changes: dict[str, Any]) -> Run:
    run = make_run(workspace, {"training.epochs": 2, "data.max_length": 24, **changes})
    assert run_folder(run.folder) == 0, run.status()
    return run


def rows_run(workspace: Workspace, task: str, **changes: Any) -> Run:
    """Return a finished run on the rows of a task."""
    model = make_model(workspace.uploads / "tiny")
    document = {
        "task": task,
        "data": {"train": str(ROWS / f"{task}.jsonl"), "max_length": 24},
        "model": f"path:{model}",
        "training": {"epochs": 2, "batch_size": 8, "learning_rate": 1e-3, "device": "cpu", "precision": "fp32"},
    }
    run = Run.create(resolve(RunSpec.parse(document).changed(changes), workspace).spec, workspace)
    assert run_folder(run.folder) == 0, run.status()
    return run


def plain(folder: Path, inputs: Any, script: str = PIPELINE, **options: Any) -> Any:
    """Return what transformers answers in a process without the workbench."""
    log = folder.parent / "plain.log"
    names = {"folder": str(folder), "inputs": inputs, "options": options}
    request = {"script": script, "names": names, "log": str(log), "cwd": str(folder.parent.parent)}
    process = _server()
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    code, output = process.stdout.readline().strip(), log.read_text()
    log.unlink()
    assert code == "0", output[-3000:]
    return json.loads(output.splitlines()[-1])


@cache
def _server() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module", autouse=True)
def _close_server() -> Iterator[None]:
    yield
    if _server.cache_info().currsize:
        _server().communicate()
        _server.cache_clear()


def assert_same_classes(run: Run, folder: Path, inputs: list[Any] = TEXTS) -> None:
    """Check labels and scores of all texts, also those that are cut."""
    theirs = plain(folder, inputs, task="text-classification", truncation=True, top_k=None)
    ours = Predictor.load(run).predict([{"text": each} if isinstance(each, str) else each for each in inputs])
    for answer, scored in zip(ours, theirs, strict=True):
        assert scored[0]["label"] == answer.label
        assert {row["label"]: row["score"] for row in scored} == pytest.approx(answer.scores, abs=1e-5)


def test_the_other_process_cannot_import_the_workbench(tmp_path: Path) -> None:
    assert plain(tmp_path / "run", [], "print(len(folder) > 0 and 7)") == 7
    for module in ("workbench", "tests.tiny"):
        with pytest.raises(AssertionError, match="ImportError"):
            plain(tmp_path / "run", [], f"import {module}\nprint(0)")


def test_a_classifier_and_its_copy(workspace: Workspace) -> None:
    run = finished(workspace, {})
    assert_same_classes(run, run.model_folder)
    copy = merge(run)
    assert copy == run.merged_folder
    assert_same_classes(run, copy)
    assert (read_json(copy / "workbench.json") or {})["adapter"] is False
    for folder in (run.model_folder, copy):
        assert read_json(folder / "tokenizer_config.json")["model_max_length"] == 24
        assert read_json(folder / "tokenizer.json")["truncation"]["max_length"] == 24
    longer = finished(workspace, {"model": f"run:{run.id}", "data.max_length": 60})
    assert read_json(longer.model_folder / "tokenizer_config.json")["model_max_length"] == 60
    assert_same_classes(longer, longer.model_folder)


@pytest.mark.slow
def test_pairs_of_texts(workspace: Workspace) -> None:
    path = workspace.uploads / "pairs.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{text},{text[::-1] if i % 3 else text},{label}" for i, (text, label) in enumerate(reviews(60))]
    path.write_text("\n".join(["text,text_pair,label", *lines]))
    run = finished(workspace, {"data.train": str(path), "task.pairs": True})
    pairs = [{"text": a, "text_pair": b} for a, b in zip(TEXTS, TEXTS[::-1], strict=True)]
    assert_same_classes(run, run.model_folder, pairs)


def test_several_labels(workspace: Workspace) -> None:
    path = workspace.uploads / "many.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{text},{label}{'|long' if len(text) > 60 else ''}" for text, label in reviews(80)]
    path.write_text("\n".join(["text,label", *lines]))
    run = finished(workspace, {"data.train": str(path), "task.multi_label": True})
    theirs = plain(run.model_folder, TEXTS, task="text-classification", truncation=True, top_k=None)
    for answer, scored in zip(Predictor.load(run).predict([{"text": t} for t in TEXTS]), theirs, strict=True):
        assert {row["label"]: row["score"] for row in scored} == pytest.approx(answer.scores, abs=1e-5)


@pytest.mark.slow
def test_names(workspace: Workspace) -> None:
    run = rows_run(workspace, "token-classification", **{"training.epochs": 6})
    texts = ["Mary left New York", "Anna met Peter in Paris yesterday", " ".join(["Mary left New York and"] * 30)]
    theirs = plain(run.model_folder, texts[:2], task="token-classification", aggregation_strategy="none")
    labels = read_json(run.model_folder / "config.json")["id2label"]
    answers = Predictor.load(run).predict([{"text": text} for text in texts])
    for text, answer, tokens in zip(texts, answers, theirs, strict=False):
        offsets = [(t["start"], t["end"]) for t in tokens if t["entity"] != "O"]
        inside = [(s.start, s.end) for s in answer.spans]  # type: ignore[union-attr]
        assert all(any(a <= start and end <= b for a, b in inside) for start, end in offsets), (text, labels)
    long = plain(run.model_folder, texts[2], task="token-classification", aggregation_strategy="first", stride=6)
    assert isinstance(long, list), "a text longer than the model's positions must not raise an error"


@pytest.mark.slow
def test_answers_in_a_context(workspace: Workspace) -> None:
    lines = (ROWS / "question-answering.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["answers"]]
    path = workspace.uploads / "questions.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)))
    run = rows_run(
        workspace,
        "question-answering",
        **{
            "data.train": str(path),
            "data.max_length": 60,
            "model": {"source": "transformer-encoder", **SMALL},
            "training.epochs": 10,
        },
    )
    inputs = [{"question": row["question"], "context": row["context"]} for row in rows[:10]]
    theirs = plain(merge(run), inputs, SPANS)
    ours = [answer.text for answer in Predictor.load(run).predict(inputs)]  # type: ignore[union-attr]
    assert len(set(ours)) > 3 and theirs == ours


@pytest.mark.slow
def test_scores_of_liked_items(workspace: Workspace) -> None:
    run = rows_run(workspace, "recommendation")
    rows = [json.loads(line) for line in (ROWS / "recommendation.jsonl").read_text().splitlines()[:6]]
    assert read_json(run.model_folder / "tokenizer_config.json")["model_max_length"] == 24
    pairs = [{"text": "; ".join(row["history"]) if isinstance(row["history"], list) else row["history"],
              "text_pair": row["candidate"]} for row in rows if {"history", "candidate"} <= row.keys()]  # fmt: skip
    assert len(plain(run.model_folder, pairs, task="text-classification", truncation=True)) == len(pairs)


@pytest.mark.parametrize("source", ["transformer-encoder", "transformer-decoder"])
def test_our_own_architecture_becomes_one_of_transformers(workspace: Workspace, source: str) -> None:
    run = finished(workspace, {"model": {"source": source, **SMALL}})
    folder = merge(run)
    expected = {"transformer-encoder": "bert", "transformer-decoder": "gpt2"}[source]
    assert read_json(folder / "config.json")["model_type"] == expected
    assert_same_classes(run, folder)
    further = run.spec().changed({"model": f"path:{folder}", "tuning": "head"})
    assert not resolve(further, workspace).model.load("AutoModelForSequenceClassification", {}).newly_initialized


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"source": "transformer-encoder", "positions": "rotary", **SMALL}, "positions='rotary'"),
        ({"source": "transformer-encoder", "pooling": "mean", **SMALL}, "pooling='mean'"),
        ({"source": "gru", "hidden_size": 16, "embedding_size": 16, "tokenizer": OUR_TOKENIZER}, "like recurrent"),
    ],
)
def test_what_transformers_does_not_have_is_refused_with_the_reason(
    workspace: Workspace, model: dict[str, Any], message: str
) -> None:
    run = finished(workspace, {"model": model, "training.max_steps": 2})
    with pytest.raises(RequestError, match=message) as error:
        merge(run)
    assert "workbench predict" in error.value.hint and not run.merged_folder.exists()
    assert "workbench's own" in (run.model_folder / "README.md").read_text()


@pytest.mark.slow
def test_peft_finds_the_base_of_an_adapter(workspace: Workspace) -> None:
    run = finished(workspace, {"tuning": "lora"})
    rows = plain(run.model_folder, TEXTS, PEFT, num_labels=2)
    for answer, row in zip(Predictor.load(run).predict([{"text": text} for text in TEXTS]), rows, strict=True):
        assert list(answer.scores.values()) and sorted(answer.scores.values()) == pytest.approx(sorted(row), abs=1e-5)
    further = finished(workspace, {"tuning": "lora", "model": f"run:{finished(workspace, {}).id}"})
    assert plain(further.model_folder, SHORT, PEFT, num_labels=2)
    on_adapter = finished(workspace, {"tuning": "lora", "model": f"run:{run.id}"})
    assert read_json(on_adapter.model_folder / "adapter_config.json")["base_model_name_or_path"] is None
    assert "workbench merge" in (on_adapter.model_folder / "README.md").read_text()
    assert_same_classes(run, merge(run))


# -- model cards -----------------------------------------------------------------------------------------------------


def front_matter(card: str) -> dict[str, Any]:
    _, yaml_text, _ = card.split("---\n", 2)
    document: dict[str, Any] = yaml.safe_load(yaml_text)
    return document


def test_a_card_says_what_a_reader_needs(workspace: Workspace) -> None:
    run = finished(workspace, {"tuning": "lora"})
    report = run.report()
    assert report is not None
    for folder, library in ((run.model_folder, "peft"), (merge(run), "transformers")):
        card = (folder / "README.md").read_text(encoding="utf-8")
        matter = front_matter(card)
        assert matter["library_name"] == library and matter["pipeline_tag"] == "text-classification"
        assert "accuracy" in matter["metrics"]
        accuracy = report.metrics["accuracy"]
        assert f"| accuracy | {accuracy.value:.4f} | {accuracy.low:.4f} to {accuracy.high:.4f} |" in card
        for expected in (str(report.data_fingerprint), "reviews.csv", "0 = bad, 1 = good", "at most 24 tokens", run.id):
            assert expected in card, expected
        assert card.count("```") == 2
    whole = (run.merged_folder / "README.md").read_text(encoding="utf-8")
    assert str(workspace.root) not in whole, "a path of this machine"


def test_the_code_of_a_card_runs(workspace: Workspace) -> None:
    for changes in ({}, {"tuning": "lora"}):
        run = finished(workspace, changes)
        code = (run.model_folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
        script = f"FOLDER = folder\n{code}\nprint(0)"
        assert plain(run.model_folder, []) == 0 if not code else plain(run.model_folder, [], script) == 0


def test_hostile_names_are_escaped(workspace: Workspace) -> None:
    hostile = "x\n---\nlicense: evil\n# <script>alert(1)</script> [a](http://evil) `code` | cell"
    path = workspace.uploads / "reviews.csv"
    labels = {"good": "<img src=x onerror=alert(1)>", "bad": "](http://evil) | `bad`"}
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f'{text},"{labels[label]}"' for text, label in reviews(60)]
    path.write_text("\n".join(["text,label", *lines]))
    run = finished(workspace, {"name": hostile.replace("\n", " ")[:80], "training.max_steps": 2})
    card = (run.model_folder / "README.md").read_text(encoding="utf-8")
    assert "license" not in front_matter(card)
    outside_code = "".join(card.split("```")[::2])
    for raw in ("<script", "<img", "](http", "`bad`"):
        assert raw not in outside_code.replace("\\]", "").replace("\\`", ""), raw
    assert "&lt;img src=x" in card
