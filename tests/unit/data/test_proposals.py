"""Where the names of columns leave a doubt, a mapping is proposed by the values, to be accepted or corrected."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from workbench.cli import proposing
from workbench.cli.options import change_spec
from workbench.cli.proposing import with_answers
from workbench.data.load import Dataset, load_data
from workbench.data.proposals import UnclearColumnsError
from workbench.data.readers.encodings.encoding import UncertainEncodingError
from workbench.spec import RunSpec
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

CLASSIFIER = tasks.get("text-classification")()


def spec(path: Path, header: str, rows: list[str]) -> RunSpec:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return RunSpec.parse({"task": "text-classification", "data": str(path), "model": "minilm"})


@pytest.fixture
def unclear(tmp_path: Path) -> RunSpec:
    rows = [f"2024-01-{i},a long film number {i},{'good' if i % 2 else 'bad'},{i % 5}" for i in range(10, 50)]
    return spec(tmp_path / "reviews.csv", "Zeit,Rezension,Das Urteil,sterne", rows)


def load(workspace: Workspace, each: RunSpec) -> Dataset:
    return load_data(each.data, CLASSIFIER.columns(), workspace)


def test_the_proposal_is_a_line_of_yaml_and_options_that_work(unclear: RunSpec, workspace: Workspace) -> None:
    with pytest.raises(UnclearColumnsError) as caught:
        load(workspace, unclear)
    error = caught.value
    assert error.kind == "Data" and error.exit_code == 2 and len(error.rows) == 3
    assert error.proposal == {"text": "Rezension", "label": "Das Urteil"}
    assert "columns: {text: Rezension, label: Das Urteil}" in error.hint
    options = shlex.split(error.hint.partition("command line ")[2].removesuffix("."))
    accepted = change_spec(unclear, options[1::2])
    assert load(workspace, accepted).mapping == error.proposal


def test_of_two_columns_that_fit_by_name_one_is_proposed(tmp_path: Path, workspace: Workspace) -> None:
    rows = [f"{i},a long film number {i},{'good' if i % 2 else 'bad'}" for i in range(40)]
    doubtful = spec(tmp_path / "two.csv", "content,review,label", rows)
    with pytest.raises(UnclearColumnsError, match="both match the role text") as caught:
        load(workspace, doubtful)
    assert caught.value.proposal == {"text": "review", "label": "label"}, "numbers are not texts"


def test_nothing_is_proposed_where_no_column_fits(tmp_path: Path, workspace: Workspace) -> None:
    with pytest.raises(UnclearColumnsError) as caught:
        load(workspace, spec(tmp_path / "numbers.csv", "a,b", [f"{i},{i + 1}" for i in range(40)]))
    assert not caught.value.proposal and "columns: {text: NAME}" in caught.value.hint


@pytest.mark.parametrize(("terminal", "answer"), [(False, True), (True, False), (True, True)])
def test_only_a_yes_in_a_terminal_accepts_the_proposal(
    terminal: bool,
    answer: bool,
    unclear: RunSpec,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream = SimpleNamespace(isatty=lambda: terminal)
    monkeypatch.setattr(proposing, "sys", SimpleNamespace(stdin=stream, stderr=stream))
    monkeypatch.setattr(proposing.typer, "confirm", lambda *args, **options: answer)
    if terminal and answer:
        assert with_answers(unclear, lambda each: load(workspace, each)).mapping["text"] == "Rezension"
    else:
        with pytest.raises(UnclearColumnsError):
            with_answers(unclear, lambda each: load(workspace, each))
    assert "Rezension: a long film number 10" in capsys.readouterr().err, "the first rows are shown"


@pytest.mark.parametrize(("terminal", "answer"), [(False, 2), (True, 0), (True, 2), (True, 7)])
def test_in_a_terminal_one_of_two_encodings_is_chosen(
    terminal: bool,
    answer: int,
    tmp_path: Path,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "a.csv"
    plain = "".join(f"plain {n},1,{'a' if n % 2 else 'b'}\n" for n in range(60))
    path.write_bytes(f"satz,zahl,urteil\n{plain}El desayuno estaba frío.,1,b\n".encode("mac_roman"))
    doubtful = RunSpec.parse({"task": "text-classification", "data": str(path), "model": "minilm"})
    stream = SimpleNamespace(isatty=lambda: terminal)
    monkeypatch.setattr(proposing, "sys", SimpleNamespace(stdin=stream, stderr=stream))
    monkeypatch.setattr(proposing.typer, "prompt", lambda *args, **options: answer)
    monkeypatch.setattr(proposing.typer, "confirm", lambda *args, **options: True)
    if terminal and answer == 2:
        dataset = with_answers(doubtful, lambda each: load(workspace, each))
        texts = [text for split in (dataset.train, dataset.valid, dataset.test) for text in split.columns["text"]]
        assert "El desayuno estaba frío." in texts and dataset.mapping["label"] == "urteil", "both questions are asked"
    else:
        with pytest.raises(UncertainEncodingError):
            with_answers(doubtful, lambda each: load(workspace, each))
    assert ("El desayuno estaba fr’o" in capsys.readouterr().err) == terminal


def test_columns_of_lists_are_proposed_for_several_labels(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "a.jsonl"
    rows = [json.dumps({"satz": f"a long text {n}", "arten": ["x", "y"] if n % 2 else ["x"]}) for n in range(40)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    lists = RunSpec.parse({"task": "text-classification", "data": str(path), "model": "minilm"})
    with pytest.raises(UnclearColumnsError) as caught:
        load(workspace, lists)
    assert not caught.value.proposal and "set task.multi_label to true" in caught.value.hint
    several = tasks.get("text-classification")(tasks.get("text-classification").Config(multi_label=True))
    with pytest.raises(UnclearColumnsError) as caught:
        load_data(lists.data, several.columns(), workspace)
    assert caught.value.proposal == {"text": "satz", "label": "arten"}


def test_a_table_is_a_spec_that_classifies_its_texts(unclear: RunSpec) -> None:
    from workbench.check import load_spec

    table = load_spec(unclear.data.train)
    assert (table.task.name, table.data.train, table.model.source) == (
        "text-classification", unclear.data.train, "auto"
    )  # fmt: skip


def test_a_column_whose_name_has_a_usual_word_is_proposed_before_others(tmp_path: Path, workspace: Workspace) -> None:
    """Tickets with three channels and four teams: 'Category / Team' says that it is the label, also with a few gaps."""
    rows = [f"a question number {i},{'' if i % 20 == 3 else 'abcd'[i % 4]},{'xyz'[i % 3]}" for i in range(80)]
    with pytest.raises(UnclearColumnsError) as caught:
        load(workspace, spec(tmp_path / "tickets.csv", "Customer Text (raw),Category / Team,Channel", rows))
    assert caught.value.proposal == {"text": "Customer Text (raw)", "label": "Category / Team"}


def test_a_column_that_is_mostly_empty_is_not_proposed(tmp_path: Path, workspace: Workspace) -> None:
    rows = [f"a question number {i},{'ab'[i % 2] if i % 3 == 0 else ''},{'xyz'[i % 3]}" for i in range(80)]
    with pytest.raises(UnclearColumnsError) as caught:
        load(workspace, spec(tmp_path / "tickets.csv", "Question,Old Label,Channel", rows))
    assert caught.value.proposal == {"text": "Question", "label": "Channel"}
