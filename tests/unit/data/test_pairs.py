"""Pairs of texts as people have them: names of columns, labels in place of scores, and labels that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from workbench.data.load import Dataset, load_data
from workbench.data.proposals import UnclearColumnsError
from workbench.errors import DataError
from workbench.runs.report_notes import warnings_in
from workbench.spec import DataSpec
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

FIRST, SECOND = [f"first, {i}" for i in range(12)], [f'the "second {i}' for i in range(12)]


def load(path: Path, task: str, workspace: Workspace, names: list[str], *columns: list[str], **options: Any) -> Dataset:
    rows = zip(*columns, strict=True)
    path.write_text("\n".join("\t".join(row) for row in [tuple(names), *rows]))
    kind = tasks.get(task)
    spec = DataSpec(train=str(path), holdout={"valid": 0, "test": 0})
    return load_data(spec, kind(kind.Config(**options)).columns(), workspace)


@pytest.mark.parametrize(
    "names",
    [
        ("sentence1", "sentence2", "gold_label"),
        ("premise", "hypothesis", "label"),
        ("question1", "question2", "is_duplicate"),
        ("text_a", "text_b", "label"),
        ("question", "passage", "label"),
        ("Sentence1", "Sentence2", "category"),
    ],
)
@pytest.mark.parametrize("task", ["text-classification", "text-regression"])
def test_pairs_are_known_by_the_usual_names(
    task: str, names: tuple[str, str, str], tmp_path: Path, workspace: Workspace
) -> None:
    name = names[2] if task == "text-classification" else "score"
    labels = ["yes" if i % 2 else "no" for i in range(12)] if task == "text-classification" else ["0.5", "2"] * 6
    data = load(
        tmp_path / "a.tsv", task, workspace, ["id", *names[:2], name], list(map(str, range(12))), FIRST, SECOND, labels,
        pairs=True,
    )  # fmt: skip
    assert data.train.columns["text"] == FIRST and data.train.columns["text_pair"] == SECOND


@pytest.mark.parametrize("name", ["is_duplicate", "label", "similar"])
@pytest.mark.parametrize("values", [("1", "0"), ("true", "false"), ("True", "False")])
def test_a_label_of_0_and_1_is_the_score_of_a_pair(
    name: str, values: tuple[str, str], tmp_path: Path, workspace: Workspace
) -> None:
    """Otherwise pairs that do not match would be learned as pairs that do."""
    labels = [values[i % 2] for i in range(12)]
    names = ["sentence1", "sentence2", name]
    data = load(tmp_path / "a.tsv", "sentence-similarity", workspace, names, FIRST, SECOND, labels)
    assert data.train.columns["score"] == [1.0, 0.0] * 6 and any("is the score" in note for note in data.notes)
    scored = load(
        tmp_path / "a.tsv", "sentence-similarity", workspace, [*names, "score"], FIRST, SECOND, labels, ["0.25"] * 12
    )
    assert scored.train.columns["score"] == [0.25] * 12, "a score is used as it is"


def test_labels_of_inference_are_no_pairs_that_match(tmp_path: Path, workspace: Workspace) -> None:
    labels = ["entailment", "contradiction", "neutral"] * 4
    names = ["premise", "sentence2", "label"]
    with pytest.raises(DataError, match="says which pairs do not match"):
        load(tmp_path / "a.tsv", "sentence-similarity", workspace, names, FIRST, SECOND, labels)
    topics = load(tmp_path / "a.tsv", "sentence-similarity", workspace, names, FIRST, SECOND, ["sport"] * 12)
    assert "score" not in topics.train.columns


def test_a_sign_among_labels_that_are_words_is_pointed_out(tmp_path: Path, workspace: Workspace) -> None:
    labels = ["entailment", "neutral", "-"] * 4
    data = load(tmp_path / "a.tsv", "text-classification", workspace, ["text", "label"], FIRST, labels)
    assert any("'-' (4 rows)" in note for note in warnings_in(data.notes))
    signs = load(tmp_path / "a.tsv", "text-classification", workspace, ["text", "label"], FIRST, ["+", "-"] * 6)
    assert not any("sign" in note for note in signs.notes), "ratings can be signs"


def test_texts_are_proposed_in_the_order_of_the_file(tmp_path: Path, workspace: Workspace) -> None:
    """A text that is always the same, such as a licence, is not proposed, however long it is."""
    names = ["eins", "zwei", "lizenz"]
    with pytest.raises(UnclearColumnsError) as caught:
        load(tmp_path / "a.tsv", "translation", workspace, names, FIRST, SECOND, ["a very long licence"] * 12)
    assert caught.value.proposal == {"source": "eins", "target": "zwei"}
    names = ["标题", "内容", "标签"]
    with pytest.raises(UnclearColumnsError) as caught:
        load(tmp_path / "a.tsv", "text-classification", workspace, names, list("ab" * 6), SECOND, ["x", "y", "z"] * 4)
    assert "text: 内容" in caught.value.hint, "names in other scripts are shown as they are"
