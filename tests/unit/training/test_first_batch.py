"""The batch shown before launch is the first batch of training."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.tiny import make_run
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
