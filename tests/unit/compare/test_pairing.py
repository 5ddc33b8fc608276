"""Runs are compared on the same examples, by what the model reads and not by ids; other training data is mentioned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.tiny import make_run as make_real_run
from tests.tiny import reviews, write_csv
from workbench.compare.differences import compare
from workbench.compare.disagreements import disagreements
from workbench.compare.pairing import same_examples
from workbench.compare.seeds import compare_seeds
from workbench.errors import RequestError
from workbench.files import write_json
from workbench.runs.predictions import fingerprint_inputs, read_predictions, write_predictions
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

TEXTS = [f"text {i}" for i in range(20)]
GOLD = ["x", "y"] * 10
IDS = [f"test.csv:{i:02}" for i in range(20)]


def evaluated(
    workspace: Workspace,
    texts: Sequence[str] = TEXTS,
    gold: Sequence[str] = GOLD,
    predicted: Sequence[str] | None = None,
    ids: Sequence[str] = IDS,
    columns: dict[str, list[Any]] | None = None,
    file: str = "",
    data: str | None = None,
    **changes: Any,
) -> Run:
    """Return a run with these predictions.

    Args:
        columns: columns of inputs; by default the texts, and their fingerprints.
        file: hash of the test file.
        data: fingerprint of the data.
    """
    spec = RunSpec.parse({"task": "text-classification", "data": "d", "model": "m", **changes})
    run = Run.create(spec, workspace)
    predicted = list(predicted or gold)
    inputs = columns or {"example": fingerprint_inputs([(text,) for text in texts]), "input:text": list(texts)}
    correct = [a == b for a, b in zip(gold, predicted, strict=True)]
    rows = {"id": list(ids), **inputs, "gold": list(gold), "prediction": predicted, "correct": correct}
    write_predictions(run, rows)
    if file:
        write_json(run.splits_file, {"files": {"test": file, "train": "other"}})
    if data:
        write_json(run.environment_file, {"data_fingerprint": data})
    return run


def test_other_texts_under_the_same_ids_are_refused(workspace: Workspace) -> None:
    runs = [evaluated(workspace), evaluated(workspace, [f"other {text}" for text in TEXTS])]
    with pytest.raises(RequestError, match=r"20 \(20 of them not shared\).*not the same content") as error:
        compare(runs)
    assert "same test data" in error.value.hint
    assert not same_examples(*runs)
    assert disagreements(*runs) == []


def test_the_same_texts_under_other_ids_are_paired(workspace: Workspace) -> None:
    wrong = ["y", *GOLD[1:]]  # only text 0 is wrong
    first = evaluated(workspace)
    renamed = evaluated(workspace, TEXTS[::-1], GOLD[::-1], wrong[::-1], [f"copy.csv:{i}" for i in range(20)])
    result = compare([first, renamed])
    assert result.examples == 20 and result.difference == pytest.approx(1 / 20)
    same_ids = compare([first, evaluated(workspace, predicted=wrong)])
    assert (result.low, result.high, result.p_value) == (same_ids.low, same_ids.high, same_ids.p_value)
    (example,) = disagreements(first, renamed)
    assert (example.text, example.first, example.second) == ("text 0", "x", "y")
    assert same_examples(first, evaluated(workspace, predicted=wrong)) and not same_examples(first, renamed)


def test_another_gold_label_is_refused(workspace: Workspace) -> None:
    with pytest.raises(RequestError, match="1 test examples have a different gold label"):
        compare([evaluated(workspace), evaluated(workspace, gold=["y", *GOLD[1:]])])


def test_texts_that_occur_twice_are_paired_in_the_order_of_their_ids(workspace: Workspace) -> None:
    texts = ["same", "same", *TEXTS[2:]]
    first = evaluated(workspace, texts, predicted=["x", "x", *GOLD[2:]])
    second = evaluated(workspace, texts, predicted=["y", "x", *GOLD[2:]])
    assert compare([first, second]).difference == pytest.approx(1 / 20)
    three = evaluated(workspace, ["same", "same", "same", *TEXTS[3:]])
    with pytest.raises(RequestError, match="1 of them not shared"):
        compare([first, three])


def test_the_fingerprint_tells_texts_apart_that_are_stored_cut(workspace: Workspace) -> None:
    def run(end: str) -> Run:
        columns = {"example": fingerprint_inputs([(text + end,) for text in TEXTS]), "input:text": TEXTS}
        return evaluated(workspace, columns=columns)

    assert compare([run("a"), run("a")]).difference == 0
    with pytest.raises(RequestError, match="different examples"):
        compare([run("a"), run("b")])


def test_predictions_of_earlier_versions_are_paired_by_their_inputs(workspace: Workspace) -> None:
    roles = {"input:text": TEXTS, "input:text_pair": [f"pair {i}" for i in range(20)]}
    joined = {"input": [f"text {i} ⟂ pair {i}" for i in range(20)]}
    new = {"example": fingerprint_inputs(list(zip(*roles.values(), strict=True))), **roles}
    assert compare([evaluated(workspace, columns=columns) for columns in (new, roles, joined)]).difference == 0
    other = {"input": [f"text {i} ⟂ pair" for i in range(20)]}
    with pytest.raises(RequestError, match="different examples"):
        compare([evaluated(workspace, columns=new), evaluated(workspace, columns=other)])


def test_other_columns_of_one_file_are_the_same_examples(workspace: Workspace) -> None:
    only_second = {"input:text": [f"second {i}" for i in range(20)]}
    runs = [evaluated(workspace, file="abc"), evaluated(workspace, columns=only_second, file="abc")]
    assert compare(runs).examples == 20 and same_examples(*runs)
    for file in ("def", ""):
        with pytest.raises(RequestError, match="different examples"):
            compare([runs[0], evaluated(workspace, columns=only_second, file=file)])


def test_other_training_data_is_mentioned(workspace: Workspace) -> None:
    first = evaluated(workspace, data="1", name="first")
    same, changed = evaluated(workspace, data="1", name="same"), evaluated(workspace, data="2", name="changed")
    other = evaluated(workspace, data="3", name="other")
    assert compare([first, same]).notes == []
    (note,) = compare([first, changed]).notes
    assert note.startswith("first and changed were trained on different data: their settings are the same")
    spec = RunSpec.parse({"name": "limited", "task": "text-classification", "data": "d", "model": "m"})
    limited = Run.create(spec.changed({"data.limit.train": 10}), workspace)
    write_predictions(limited, read_predictions(first))
    write_json(limited.environment_file, {"data_fingerprint": "4"})
    (note,) = compare([first, limited]).notes
    assert "(data.limit.train differs)" in note
    assert len(compare([first, same, changed, limited, other]).notes) == 3
    assert compare([first, evaluated(workspace)]).notes == [], "unknown"


def test_other_training_data_is_mentioned_between_and_within_groups_of_seeds(workspace: Workspace) -> None:
    def group(epochs: int, fingerprints: Sequence[str]) -> list[Run]:
        return [
            evaluated(workspace, data=data, training={"seed": seed, "epochs": epochs}, name=f"e{epochs}-{seed}")
            for seed, data in enumerate(fingerprints)
        ]

    first = group(1, ["1", "1"])
    data_notes = [note for note in compare_seeds([*first, *group(2, ["1", "1"])]).notes if "data" in note]
    assert data_notes == []
    notes = compare_seeds([*first, *group(3, ["1", "2"])]).notes
    assert any("The runs of e3 were not all trained on the same data" in note for note in notes)
    notes = compare_seeds([*first, *group(4, ["2", "2"])]).notes
    assert any(note.startswith("e1 and e4 were trained on different data") for note in notes)


def test_whole_runs_are_paired_by_content(workspace: Workspace) -> None:
    def run(test: str, **changes: Any) -> Run:
        real = make_real_run(workspace, {"training.max_steps": 6, "data.test": str(workspace.root / test), **changes})
        assert run_folder(real.folder) == 0
        return real

    for folder, seed in (("v1", 1), ("v2", 2), ("copy", 1)):
        (workspace.root / folder).mkdir(parents=True)
        write_csv(workspace.root / folder / ("test.csv" if folder != "copy" else "again.csv"), 40, seed)
    first, other, copy = run("v1/test.csv"), run("v2/test.csv"), run("copy/again.csv")
    with pytest.raises(RequestError, match="not the same content"):
        compare([first, other])
    result = compare([first, copy])
    assert result.difference == 0 and result.examples == 40
    assert result.notes == [], "only the name of the test file differs"
    fewer = run("copy/again.csv", **{"data.limit.train": 30})
    (note,) = compare([first, fewer]).notes
    assert "(data.limit.train differs)" in note
    texts = [text for text, _ in reviews(40, 1)]
    assert read_predictions(first)["example"] == fingerprint_inputs([(text,) for text in texts])
    splits = first.splits()
    assert splits is not None and splits.files is not None and splits.files.keys() == {"train", "test"}
