"""One row with 100,000 words among ordinary ones, in every task: the run is finished all the same."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.test_tasks import rows, spec_of
from workbench.check import resolve
from workbench.inference.predictor import Predictor
from workbench.runs.run import Run
from workbench.tasks.base import tasks
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

WORDS = 100_000
SECONDS = 100  # the slowest takes a fifth of that on one core


def lengthen(row: dict[str, Any]) -> dict[str, Any]:
    """Make every text of a row long, as each could be by a missing quote; marks, answers and labels stay valid."""
    filler = " again" * WORDS
    if "words" in row:
        return {"words": [*row["words"], *["again"] * WORDS], "tags": [*row["tags"], *["O"] * WORDS]}
    if "body" in row:
        return {"prompt": row["prompt"], "body": row["body"] + "    # again\n" * (WORDS // 2)}
    if "turns" in row:
        return {"turns": [text + filler for text in row["turns"]]}
    result = dict(row)
    for role in ("text", "text_a", "text_b", "context", "question", "source", "target", "candidate"):
        if role in row:
            result[role] = row[role] + filler
    if "summary" in row:
        result["summary"] = [text + filler for text in row["summary"]]
    return result


@pytest.mark.parametrize("long_split", ["train", "test"])
@pytest.mark.parametrize("task", [pytest.param(name, marks=pytest.mark.slow) for name in tasks.names()])
def test_one_long_row_does_not_end_a_run(task: str, long_split: str, workspace: Workspace, tmp_path: Path) -> None:
    """The other splits are held out of the rows; the long row is among those to train on, or in a file to test on."""
    spec = spec_of(task, "full", workspace.create())
    ordinary = rows(task)
    splits = {"train": ordinary, "test": ordinary[-8:]}
    splits[long_split] = [lengthen(splits[long_split][0]), *splits[long_split][1:]]
    for split, content in splits.items():
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    files = {f"data.{split}": str(tmp_path / f"{split}.jsonl") for split in splits}
    changes = {**files, "data.holdout": {"valid": 0.1, "test": 0}, "training.max_steps": 5}
    run = Run.create(resolve(spec.changed({**changes, "training.checkpoint_every": None}), workspace).spec, workspace)
    begin = time.monotonic()
    assert run_folder(run.folder) == 0, (run.folder / "log.txt").read_text()[-2000:]
    assert time.monotonic() - begin < SECONDS
    report = run.report()
    assert report is not None and report.primary_metric in report.metrics


def test_a_long_row_of_words_is_trained_on_and_tagged(workspace: Workspace, tmp_path: Path) -> None:
    """The part of it that fits is trained on, the rest is counted; the finished model reads all of it in windows."""
    spec = spec_of("token-classification", "full", workspace.create())
    content = rows("token-classification")
    content[0] = lengthen(content[0])
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    changes = {"data.train": str(tmp_path / "train.jsonl"), "training.max_steps": 2}
    run = Run.create(resolve(spec.changed(changes), workspace).spec, workspace)
    assert run_folder(run.folder) == 0, run.status().error
    words = ["again"] * 2_000
    (answer,) = Predictor.load(run).predict([{"words": words}])
    assert answer.to_json()["text"] == " ".join(words)
