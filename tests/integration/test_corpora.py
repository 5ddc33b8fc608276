"""Texts without labels, from the spec to examples: files, folders, the catalogue's corpora, rows from a hub.

Folders replace the hub; the datasets package reads them row by row, as it reads the hub's files.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.tiny import write_csv
from tests.unit.data.test_corpora import install
from workbench import jobs
from workbench.check import check, make_task
from workbench.data import storage
from workbench.data.catalogue import hub_rows, reach, site_packages, sources
from workbench.data.columns import Column
from workbench.data.load import TEXT, Dataset, load_data, load_texts
from workbench.errors import DataError, FetchError, RefusedError, WorkbenchError
from workbench.spec import DataSpec, RunSpec
from workbench.workspace import Workspace

LABELLED = (TEXT, Column("label", "its class", kind="label"))
COMMIT = "c" * 40


def load(workspace: Workspace, train: str | Path, roles=(TEXT,), **spec: object) -> Dataset:
    return load_data(DataSpec.model_validate({"train": str(train), **spec}), roles, workspace)


def problems(
    train: str | Path, workspace: Workspace, confined: bool = False, task: str = "text-classification", **data: object
) -> list[tuple[str, str]]:
    document = {"task": task, "data": {"train": str(train), **data}, "model": "minilm"}
    reported = check(RunSpec.parse(document), workspace, confined)
    return [(problem.field, problem.message) for problem in reported if problem.field.startswith("data")]


# -- files of texts ---------------------------------------------------------------------------------------------------


def write_book(path: Path, count: int = 40) -> Path:
    path.write_text("\n\n".join(f"Paragraph number {i},\nof two lines." for i in range(count)), encoding="utf-8")
    return path


def test_a_text_file_is_read_as_documents_if_only_text_is_needed(workspace: Workspace, tmp_path: Path) -> None:
    data = load(workspace, write_book(tmp_path / "book.txt"))
    assert (len(data.train), len(data.valid), len(data.test)) == (28, 4, 8)
    for text, row, key, location in zip(
        data.train.columns["text"], data.train.rows, data.train.ids, data.train.locations(), strict=True
    ):
        assert text == f"Paragraph number {row // 3},\nof two lines."
        assert key == f"book.txt:{row}" and location == f"book.txt, line {row}"
    assert data.mapping == {"text": "text"}
    assert data.report["parts"]["train"] == {
        "rows": 28,
        "labels": None,
        "duplicates": {"count": 0, "examples": []},
        "conflicts": {"count": 0, "examples": []},
    }
    assert any("40 documents, separated by empty lines" in note for note in data.notes)
    assert json.dumps(data.report)
    assert len(load(workspace, tmp_path / "book.txt", documents="line").train) == 56


def test_a_text_file_is_read_as_a_table_if_labels_are_needed(workspace: Workspace, tmp_path: Path) -> None:
    """Many tables have the suffix .txt."""
    path = tmp_path / "reviews.txt"
    path.write_text("text\tlabel\n" + "".join(f"review {i}\t{'good' if i % 2 else 'bad'}\n" for i in range(40)))
    data = load(workspace, path, LABELLED)
    assert data.mapping == {"text": "text", "label": "label"} and len(data.train) == 28


def test_equal_documents_stay_in_one_split(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_text("\n\n".join(f"Paragraph {i % 30}." for i in range(90)))
    data = load(workspace, path)
    splits = [set(split.columns["text"]) for split in (data.train, data.valid, data.test)]
    assert sum(map(len, splits)) == 30, "each text must be in one split only"
    assert data.report["overlaps"] == [] and data.report["parts"]["train"]["duplicates"]["count"] > 0
    assert data.report["parts"]["train"]["conflicts"]["count"] == 0, "there are no labels to contradict"


def test_the_paragraphs_of_a_file_stay_in_one_split(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "essays"
    folder.mkdir()
    for i in range(20):
        (folder / f"{i:02}.md").write_text("\n\n".join(f"Essay {i}, paragraph {j}." for j in range(5)))
    assert len(load(workspace, folder).train) == 14, "by default a file is a document"
    data = load(workspace, folder, documents="paragraph")
    essays = [{text.split(",")[0] for text in split.columns["text"]} for split in (data.train, data.valid, data.test)]
    assert sum(map(len, essays)) == 20 and len(data.train) == 70
    for unit in ({}, {"documents": "paragraph"}):
        assert problems(folder, workspace, task="masked-lm", **unit) == []
    ((field, message),) = problems(folder, workspace, task="text-classification")
    assert field == "data" and "its texts have no labels" in message


def test_one_document_cannot_be_split(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 2 are needed"):
        load(workspace, write_book(tmp_path / "book.txt"), documents="file")


def test_a_corpus_without_text_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.write_text('text\n" "\n""\n')
    with pytest.raises(DataError, match="every row is empty"):
        load(workspace, path)


# -- the catalogue's corpora ------------------------------------------------------------------------------------------


@pytest.mark.mirror
def test_wikitext(workspace: Workspace, mirror: Path) -> None:
    data = load(workspace, "wikitext-2")
    assert (len(data.train) + len(data.valid), len(data.test)) == (60, 60), "sizes as in its paper"
    for text in data.train.columns["text"] + data.test.columns["text"]:
        assert text.startswith(" = ") and not text.startswith(" = = ")
    words = sum(len(text.split()) for split in (data.train, data.valid) for text in split.columns["text"])
    lines = sum(text.count("\n") + 1 for split in (data.train, data.valid) for text in split.columns["text"])
    assert words == 213_886, "every word of the file" and lines > 2000


@pytest.mark.mirror
def test_shakespeare(workspace: Workspace, mirror: Path) -> None:
    data = load(workspace, "tinyshakespeare")
    texts = data.train.columns["text"] + data.valid.columns["text"] + data.test.columns["text"]
    speeches = [speech for text in texts for speech in text.split("\n\n")]
    assert len(speeches) == 7222 and max(map(len, texts)) < 5000
    assert len(load(workspace, "tinyshakespeare", documents="paragraph").train) > 5000
    with pytest.raises(DataError, match="banking77 is a table"):
        load(workspace, "banking77", documents="line")


@pytest.mark.mirror
def test_texts_of_a_labelled_dataset(workspace: Workspace, mirror: Path) -> None:
    """A dataset with labels can be used for a task without labels; they are ignored."""
    texts, _ = load_texts(DataSpec(train="chnsenticorp-hotel"), workspace)
    assert len(texts) > 5000 and max(map(len, texts)) > 500


def test_film_plots(workspace: Workspace, shared_cache: Path) -> None:
    """The plots come from the same file as rotten-tomatoes, which excludes them."""
    reviews = shared_cache / "datasets" / "rotten-tomatoes" / "reviews.csv"
    plots = shared_cache / "datasets" / "film-plots" / "reviews.csv"
    if not plots.exists():
        if not reviews.exists():
            pytest.skip("rotten-tomatoes is not in the tests' cache")
        plots.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(reviews, plots)
    data = load(workspace, "film-plots")
    assert (len(data.train), len(data.valid), len(data.test)) == (758, 108, 217)
    assert any("14 excluded: text is empty" in note for note in data.notes)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch) -> Path:
    """A folder of thirty packages with ten docstrings each."""
    folder = tmp_path / "site-packages"
    for i in range(30):
        functions = [f'def f{j}():\n    """Docstring {j} of package {i}, forty characters long."""\n    return {j}\n' for j in range(10)]  # fmt: skip # noqa: E501
        install(folder, f"package{i}", {f"package{i}.py": "\n".join(functions)}, metadata=f"License: L{i % 3}")
    monkeypatch.setattr(site_packages, "site_folders", lambda: [folder])
    return folder


def test_docstrings_of_the_installed_packages(workspace: Workspace, installed: Path) -> None:
    data = load(workspace, "python-docs")
    packages = [{text.split()[4] for text in split.columns["text"]} for split in (data.train, data.valid, data.test)]
    assert [len(names) for names in packages] == [21, 3, 6], "a package must be in one split only"
    assert not packages[0] & packages[1] and not packages[0] & packages[2] and not packages[1] & packages[2]
    origin = data.report["origin"]["train"]
    assert len(origin["packages"]) == 30
    counts = {"docstrings": 10, "documentation": 0}
    assert origin["packages"][0] == {"name": "package0", "version": "1.0", "licence": "L0", **counts}
    (listed,) = [entry for entry in sources.list_entries(workspace) if entry["name"] == "python-docs"]
    assert listed["cached"] is True
    fingerprint = data.fingerprint
    install(installed, "another", {"another.py": '"""One more package, which was installed in between."""'})
    assert load(workspace, "python-docs").fingerprint != fingerprint
    assert storage.clean_cache(workspace) > 0 and not sources.describe("python-docs", workspace)["cached"]


# -- rows of a hub ----------------------------------------------------------------------------------------------------


class Hub:
    """A folder of repositories that counts the rows that are read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.n_read = 0
        self.HfApi = lambda: SimpleNamespace(dataset_info=self.dataset_info)

    def add(self, name: str, files: dict[str, str]) -> None:
        for path, text in files.items():
            (self.folder / name / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name / path).write_text(text, encoding="utf-8")

    def dataset_info(self, repository: str, revision: str) -> Any:
        if not (self.folder / repository).exists():
            raise OSError("404 Not Found")
        return SimpleNamespace(sha=COMMIT, card_data=SimpleNamespace(license="cc-by-4.0"))

    def load_dataset_builder(self, repository, config, revision, cache_dir, download_config) -> Any:
        import datasets

        assert revision == COMMIT, "the revision must be pinned"
        assert Path(cache_dir).is_relative_to(os.environ["WORKBENCH_HOME"]), (
            "nothing must be written outside the workspace"
        )
        builder = datasets.load_dataset_builder(str(self.folder / repository), config, cache_dir=cache_dir)
        stream = builder.as_streaming_dataset
        builder.as_streaming_dataset = lambda split: stream(split=split).map(self._count)
        return builder

    def _count(self, row):
        self.n_read += 1
        return row


def json_lines(count: int, start: int = 0, **more: object) -> str:
    return "".join(json.dumps({"text": f"row {i} of the corpus", "n": i, **more}) + "\n" for i in range(start, start + count))  # fmt: skip # noqa: E501


@pytest.fixture
def hub(tmp_path: Path, monkeypatch) -> Hub:
    datasets = pytest.importorskip("datasets")
    hub = Hub(tmp_path / "hub")
    library = SimpleNamespace(load_dataset_builder=hub.load_dataset_builder, DownloadConfig=datasets.DownloadConfig)
    monkeypatch.setattr(hub_rows, "hub_library", lambda: hub)
    monkeypatch.setattr(hub_rows, "_datasets", lambda: library)
    hub.add("owner/corpus", {"train.jsonl": json_lines(5000), "validation.jsonl": json_lines(50, 9000)})
    return hub


def row_numbers(split) -> list[str]:
    return [text.split()[1] for text in split.columns["text"]]


def test_only_the_requested_rows_are_read(workspace: Workspace, hub: Hub) -> None:
    data = load(workspace, "hf:owner/corpus@main", limit={"train": 300})
    assert (len(data.train), len(data.valid), len(data.test)) == (210, 30, 60)
    assert 300 <= hub.n_read <= 300 + 10 * 300, "the rest of the corpus must not be read"
    sampled = [n for split in (data.train, data.valid, data.test) for n in map(int, row_numbers(split))]
    assert len(set(sampled)) == 300 and max(sampled) > 1500, "the rows must be sampled, not the first ones"
    more = load(workspace, "hf:owner/corpus@main", limit={"train": 500})
    assert len(more.train) == 350
    assert any("300 rows" in note and "sampled with seed 0" in note for note in data.notes)
    origin = data.report["origin"]["train"]
    assert (origin["commit"], origin["licence"], origin["rows"]) == (COMMIT, "cc-by-4.0", 300)
    assert origin["shuffle"] == {"seed": 0, "buffer": 3000} and origin["whole"] is False
    assert data.train.ids[0].startswith("owner/corpus:")


def test_sampled_rows_are_cached(workspace: Workspace, hub: Hub) -> None:
    first = load(workspace, "hf:owner/corpus", limit={"train": 300})
    shutil.rmtree(hub.folder)  # the hub is no longer available
    again = load(workspace, "hf:owner/corpus", limit={"train": 300})
    assert again.fingerprint == first.fingerprint and again.train.columns == first.train.columns
    assert storage.clean_cache(workspace) > 0
    with pytest.raises(FetchError, match=r"owner/corpus@main.*404"):
        load(workspace, "hf:owner/corpus", limit={"train": 300})


def test_the_fingerprint_depends_on_the_rows(workspace: Workspace, hub: Hub) -> None:
    first = load(workspace, "hf:owner/corpus", limit={"train": 300}).fingerprint
    storage.clean_cache(workspace)
    assert load(workspace, "hf:owner/corpus", limit={"train": 300}).fingerprint == first
    storage.clean_cache(workspace)
    hub.add("owner/corpus", {"train.jsonl": json_lines(5000, 1)})
    assert load(workspace, "hf:owner/corpus", limit={"train": 300}).fingerprint != first


def test_each_split_can_be_streamed(workspace: Workspace, hub: Hub) -> None:
    reference = "hf:owner/corpus@main?split=validation"
    data = load(workspace, "hf:owner/corpus", test=reference, limit={"train": 100, "test": 20})
    assert all(9000 <= int(n) < 9050 for n in row_numbers(data.test)) and len(data.test) == 20
    with pytest.raises(DataError, match=r"data\.limit\.test is not set"):
        load(workspace, "hf:owner/corpus", test=reference, limit={"train": 100})


@pytest.mark.parametrize("suffix", ["csv", "parquet", "txt"])
def test_supported_formats(workspace: Workspace, hub: Hub, suffix: str) -> None:
    import pyarrow
    import pyarrow.parquet

    texts = [f"row {i}, of many" for i in range(200)]
    hub.add("owner/other", {"README.md": "---\nlicense: mit\n---\n"})
    path = hub.folder / "owner" / "other" / f"train.{suffix}"
    if suffix == "parquet":
        table = {"text": texts, "tags": [["a", "b"]] * 200, "meta": [{"deep": 1}] * 200, "gone": [None] * 200}
        pyarrow.parquet.write_table(pyarrow.table(table), path)
    elif suffix == "csv":
        path.write_text("text\n" + "\n".join(f'"{text}"' for text in texts))
    else:
        path.write_text("\n".join(texts))
    data = load(workspace, "hf:owner/other", limit={"train": 150})
    loaded = data.train.columns["text"] + data.valid.columns["text"] + data.test.columns["text"]
    assert len(loaded) == len(set(loaded)) == 150 and set(loaded) < set(texts)


def test_fewer_rows_than_requested(workspace: Workspace, hub: Hub) -> None:
    data = load(workspace, "hf:owner/corpus?split=validation", limit={"train": 1000})
    assert len(data.train) + len(data.valid) + len(data.test) == 50
    assert any("all 50 rows" in note for note in data.notes)


def test_other_readers_and_loading_scripts_are_refused(workspace: Workspace, hub: Hub, tmp_path: Path) -> None:
    (hub.folder / "owner" / "tar").mkdir()
    import tarfile

    with tarfile.open(hub.folder / "owner" / "tar" / "train.tar", "w") as archive:
        archive.add(hub.folder / "owner" / "corpus" / "train.jsonl", "0.json")
    with pytest.raises(RefusedError, match="needs the reader 'webdataset'"):
        load(workspace, "hf:owner/tar", limit={"train": 10})
    marker = tmp_path / "marker"
    hub.add("owner/script", {"script.py": f"open({str(marker)!r}, 'w')"})
    with pytest.raises(FetchError):
        load(workspace, "hf:owner/script", limit={"train": 10})
    assert not marker.exists()


def test_rows_of_inconsistent_types_are_an_error(workspace: Workspace, hub: Hub) -> None:
    hub.add("owner/odd", {"train.jsonl": json_lines(1500) + '{"text": "last", "n": "not a number"}\n'})
    with pytest.raises((DataError, FetchError), match="owner/odd"):
        load(workspace, "hf:owner/odd", limit={"train": 2000})
    assert not list(workspace.cache.rglob("rows.parquet")), "no usable file must be left"


def test_an_unknown_split_is_an_error(workspace: Workspace, hub: Hub) -> None:
    with pytest.raises(FetchError, match="nosuch"):
        load(workspace, "hf:owner/corpus?split=nosuch", limit={"train": 10})


@pytest.mark.parametrize(
    "reference",
    ["hf:", "hf:owner", "hf:../x/y", "hf:owner/corpus?splits=x", "hf:owner/corpus?split=", "hf:owner/corpus?x",
     "hf:owner/corpus@../x", "hf:/etc/passwd", "hf:owner/corpus@main?config=a&more=b"],
)  # fmt: skip
def test_malformed_references(workspace: Workspace, hub: Hub, reference: str) -> None:
    with pytest.raises(RefusedError):
        load(workspace, reference, limit={"train": 10})
    assert [field for field, _ in problems(reference, workspace, limit={"train": 10})] == ["data.train"]


def test_a_reference_is_parsed() -> None:
    assert hub_rows.parse_reference(
        "hf:Owner/some.corpus-2@v1.0?config=20231101.en&split=train"
    ) == hub_rows.HubReference("Owner/some.corpus-2", "v1.0", "20231101.en", "train")


def test_check_requires_a_limit(workspace: Workspace, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert problems("hf:owner/corpus@main", workspace, limit={"train": 10}) == []
    assert hub.n_read == 0, "a check must not download rows"
    ((field, message),) = problems("hf:owner/corpus@main", workspace)
    assert field == "data.limit.train" and "needs a limit on its rows" in message


# -- the forms of data.train ------------------------------------------------------------------------------------------


def classes_folder(folder: Path) -> None:
    for label in ("bad", "good"):
        (folder / label).mkdir(parents=True)
        for number in range(20):
            (folder / label / f"{number}.txt").write_text(f"a {label} text, number {number}")


FORMS = {
    "file": ("text-classification", {"train": "reviews.csv"}),
    "file with a scheme in its name": ("text-classification", {"train": "hf-reviews.csv"}),
    "folder": ("text-classification", {"train": "classes"}),
    "catalogue": ("text-classification", {"train": "rotten-tomatoes", "limit": {"train": 50, "test": 20}}),
    "hub": ("causal-lm", {"train": "hf:owner/corpus@main", "limit": {"train": 100}}),
    "hub and file": (
        "causal-lm",
        {"train": "hf:owner/corpus@main?split=train", "test": "texts.jsonl", "limit": {"train": 100}},
    ),
}


@pytest.mark.mirror
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("confined", [False, True])
def test_each_form_of_data_goes_through_the_queue(
    form: str, confined: bool, workspace: Workspace, hub: Hub, shared_cache: Path, tmp_path: Path, monkeypatch
) -> None:
    """Check, submit and load must read data.train in the same way, also from another folder."""
    from dashboard.parts.shared.data.reports import changed

    monkeypatch.setattr(reach, "_hub_reason", lambda: "")  # folders replace it
    monkeypatch.delenv("WORKBENCH_CACHE")  # rows of the hub go into the workspace
    if form == "catalogue":
        monkeypatch.setenv("WORKBENCH_CACHE", str(shared_cache))
    here = workspace.uploads if confined else tmp_path / "here"
    here.mkdir(parents=True, exist_ok=True)
    for name in ("reviews.csv", "hf-reviews.csv"):
        write_csv(here / name, 60)
    (here / "texts.jsonl").write_text(json_lines(50), encoding="utf-8")
    classes_folder(here / "classes")
    task, data = FORMS[form]
    spec = RunSpec.parse({"task": task, "data": data, "model": "minilm" if "class" in task else "transformer-decoder"})
    monkeypatch.chdir(here)
    if form == "folder" and confined:  # uploads are files
        with pytest.raises(WorkbenchError, match="no uploaded file"):
            jobs.submit(spec, workspace, confined, start=False)
        return
    assert not [problem for problem in check(spec, workspace, confined) if problem.severity == "error"]
    run = jobs.submit(spec, workspace, confined, start=False)
    monkeypatch.chdir(tmp_path)
    stored = run.spec()
    is_file = form in ("file", "file with a scheme in its name", "folder")
    assert stored.data.train == (str(here / data["train"]) if is_file else data["train"])
    assert (changed(stored) > 0) == ((is_file and form != "folder") or form == "hub and file")
    dataset = load_data(stored.data, make_task(stored).columns(), workspace)
    assert len(dataset.train) >= 25
