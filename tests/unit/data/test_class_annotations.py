"""Labels of texts as annotation tools export them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.data.load import Dataset, load_data
from workbench.errors import DataError
from workbench.spec import DataSpec
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

TEXTS = [f"a film, number {i}" for i in range(6)]
LABELS = ["pos", "neg"] * 3


def load(path: Path, rows: list[Any], workspace: Workspace, multi_label: bool = False, **more: Any) -> Dataset:
    lines = path.suffix == ".jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) if lines else json.dumps(rows), encoding="utf-8")
    spec = DataSpec(train=str(path), holdout={"valid": 0, "test": 0}, **more)
    kind = tasks.get("text-classification")
    return load_data(spec, kind(kind.Config(multi_label=multi_label)).columns(), workspace)


def label_studio(text: str, labels: list[str], key: str = "text") -> dict[str, Any]:
    result = [{"type": "choices", "from_name": "x", "to_name": "text", "value": {"choices": labels}}]
    old = {"result": [{"type": "choices", "value": {"choices": ["old"]}}], "was_cancelled": True}
    return {"id": 1, "data": {key: text, "n": "1"}, "annotations": [old, {"result": result}], "predictions": []}


def prodigy(text: str, labels: list[str]) -> dict[str, Any]:
    return {"text": text, "options": [{"id": "pos"}, {"id": "neg"}], "accept": labels, "answer": "accept"}


def spacy(text: str, labels: list[str]) -> dict[str, Any]:
    return {"text": text, "cats": {name: float(name in labels) for name in ("pos", "neg", "art")}}


def pair_of_spacy(text: str, labels: list[str]) -> list[Any]:
    return [text, {"cats": {name: name in labels for name in ("pos", "neg", "art")}}]


FORMS = [label_studio, lambda text, labels: label_studio(text, labels, "my words"), prodigy, spacy, pair_of_spacy]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_labels_of_annotation_tools(form: Any, name: str, tmp_path: Path, workspace: Workspace) -> None:
    rows = [form(text, [label]) for text, label in zip(TEXTS, LABELS, strict=True)]
    data = load(tmp_path / name, rows, workspace)
    assert data.train.columns == {"text": TEXTS, "label": LABELS}
    rows = [form(text, [label, "art"]) for text, label in zip(TEXTS, LABELS, strict=True)]
    several = load(tmp_path / name, rows, workspace, multi_label=True)
    assert several.train.columns["label"] == [sorted([label, "art"]) for label in LABELS]
    with pytest.raises(DataError, match="a list, but a single label"):
        load(tmp_path / name, rows, workspace)


def test_texts_that_nobody_has_annotated_are_skipped(tmp_path: Path, workspace: Workspace) -> None:
    rows = [label_studio(text, [label]) for text, label in zip(TEXTS, LABELS, strict=True)]
    rows[0]["annotations"] = []
    rows[1]["annotations"].pop()
    data = load(tmp_path / "a.json", rows, workspace)
    assert data.train.columns["text"] == TEXTS[2:]
    assert any("skipped 2 texts that nobody has annotated" in note for note in data.notes)


def test_a_rejected_label_is_not_the_label_of_the_text(tmp_path: Path, workspace: Workspace) -> None:
    answers = ["accept", "accept", "reject", "ignore", "accept", "accept"]
    rows = [{"text": t, "label": x, "answer": a} for t, x, a in zip(TEXTS, LABELS, answers, strict=True)]
    data = load(tmp_path / "a.jsonl", rows, workspace)
    assert data.train.columns["text"] == [TEXTS[i] for i in (0, 1, 4, 5)]
    assert any("skipped 2 rows whose answer is not accept" in note for note in data.notes)
    rows = [dict(row, label="pos") for row in rows]
    with pytest.raises(DataError, match="each row has the label 'pos'") as caught:
        load(tmp_path / "a.jsonl", rows, workspace)
    assert "label: answer" in caught.value.hint
    chosen = load(tmp_path / "a.jsonl", rows, workspace, columns={"label": "answer"})
    assert chosen.train.columns["label"] == answers


def test_answers_of_people_are_no_answers_of_a_tool(tmp_path: Path, workspace: Workspace) -> None:
    rows = [{"text": t, "label": x, "answer": "yes"} for t, x in zip(TEXTS, LABELS, strict=True)]
    assert len(load(tmp_path / "a.jsonl", rows, workspace).train) == 6


@pytest.mark.parametrize("name", ["a.txt", "a.csv"])
def test_texts_of_fasttext_after_their_labels(name: str, tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / name
    path.write_text("".join(f"__label__{x} {t}\n" for t, x in zip(TEXTS, LABELS, strict=True)))
    kind = tasks.get("text-classification")
    spec = DataSpec(train=str(path), holdout={"valid": 0, "test": 0})
    data = load_data(spec, kind().columns(), workspace)
    assert data.train.columns == {"text": TEXTS, "label": LABELS}
    path.write_text("".join(f"__label__{x} __label__art\t{t}\n\n" for t, x in zip(TEXTS, LABELS, strict=True)))
    several = load_data(spec, kind(kind.Config(multi_label=True)).columns(), workspace)
    assert several.train.columns["label"] == [sorted([x, "art"]) for x in LABELS] and several.train.rows[1] == 3
    with pytest.raises(DataError, match="a list, but a single label"):
        load_data(spec, kind().columns(), workspace)
    path.write_text(path.read_text() + "a text without a label\n")
    with pytest.raises(DataError, match="line 13: it does not begin with a label"):
        load_data(spec, kind(kind.Config(multi_label=True)).columns(), workspace)
