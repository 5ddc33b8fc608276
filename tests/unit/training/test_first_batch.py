"""The batch shown before launch is the first batch of training."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny import make_run, write_csv
from workbench.data.readers.limits import BATCH
from workbench.errors import DataError
from workbench.spec import RunSpec
from workbench.system.limited_process import call
from workbench.tasks.text_classification import TextClassification
from workbench.training.first_batch import first_batch, tokenize_text
from workbench.training.runner import run_folder
from workbench.workspace import Workspace


def test_the_shown_batch_is_the_first_batch_of_training(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(workspace, {"training.max_steps": 1, "data.max_length": 12})
    shown = first_batch(run.spec(), workspace)
    batches: list[dict[str, torch.Tensor]] = []
    forward = TextClassification.forward

    def spy(self: Any, model: Any, batch: Any) -> Any:
        batches.append(batch)
        return forward(self, model, batch)

    monkeypatch.setattr(TextClassification, "forward", spy)
    run_folder(run.folder)
    ids = batches[0]["input_ids"]
    assert [row.tokens for row in shown.rows] == [shown.tokenizer.convert_ids_to_tokens(r.tolist()) for r in ids]
    assert [row.label for row in shown.rows] == [["bad", "good"][int(i)] for i in batches[0]["labels"]]
    assert [row.real for row in shown.rows] == batches[0]["attention_mask"].sum(dim=1).tolist()
    assert shown.shapes["input_ids"] == tuple(ids.shape)
    assert shown.padding == pytest.approx(1 - float(batches[0]["attention_mask"].float().mean()))
    for row in shown.rows:  # cut counts the words and two special tokens beyond max_length, 12
        assert row.cut == max(0, len(row.text.split()) + 2 - 12)


def test_tokens_point_at_their_characters(workspace: Workspace) -> None:
    run = make_run(workspace)
    tokenizer = first_batch(run.spec(), workspace).tokenizer
    cells = tokenize_text(tokenizer, "a great <b> film", max_length=4)
    assert [cell.text for cell in cells] == ["", "a", "great", "<", "b", ">", "film", ""]
    assert [cell.token for cell in cells if cell.within_limit] == ["[CLS]", "a", "great", "[SEP]"]


def test_a_page_reads_the_first_batch_in_a_process_with_limits(workspace: Workspace, tmp_path: Path) -> None:
    """The file is an upload: nothing else may be named. The process may need memory for it, and no more."""
    file = workspace.uploads / "reviews.csv"
    file.write_bytes(write_csv(tmp_path / "reviews.csv").read_bytes())
    model = {"source": "transformer-encoder", "hidden_size": 32, "layers": 1, "heads": 2}
    spec = RunSpec.parse(
        {"task": "text-classification", "data": {"train": str(file)}, "model": model, "tuning": "full"}
    )
    arguments = {"spec": spec.model_dump(mode="json", exclude_unset=True), "root": str(workspace.root)}
    function = "workbench.training.first_batch:read_first_batch"
    shown: Any = call(function, arguments, BATCH)
    batch = first_batch(spec, workspace, confined=True)
    assert [row["tokens"] for row in shown["rows"]] == [row.tokens for row in batch.rows]
    assert shown["shape"] == list(batch.shapes["input_ids"]) and shown["padding"] == pytest.approx(batch.padding)
    cells = tokenize_text(batch.tokenizer, batch.rows[0].text, spec.data.max_length)
    assert shown["rows"][0]["cells"] == [dataclasses.asdict(cell) for cell in cells]
    with pytest.raises(DataError, match=r"needed more than 0\.0 GiB of memory"):
        call(function, arguments, dataclasses.replace(BATCH, memory=2**20))
