"""The table of runs: helpful and safe filters, tags, groups, exports."""

from __future__ import annotations

import contextlib
import csv
import io
import operator
import os
import time
from pathlib import Path
from typing import Any

import pytest

from workbench import files
from workbench.errors import RequestError, UnknownNameError
from workbench.files import read_json_cached, write_json
from workbench.runs import settings
from workbench.runs.export import as_csv, as_parquet, export
from workbench.runs.filters import filter as filters
from workbench.runs.filters.filter import EXAMPLES, filter_rows
from workbench.runs.run import Run
from workbench.runs.table import group_rows, run_table, sort_rows, with_tags
from workbench.runs.tags import Tags, read_tags, tag, update_tags
from workbench.spec import RunSpec
from workbench.workspace import Workspace


def make_run(workspace: Workspace, accuracy: float | None = None, **fields: Any) -> Run:
    run = Run.create(RunSpec.parse({"task": "t", "data": "d.csv", "model": "m", **fields}), workspace)
    if accuracy is not None:
        metrics = {"accuracy": {"value": accuracy, "low": accuracy - 0.1, "high": accuracy + 0.1}}
        cost = {"seconds": 100 * accuracy, "peak_memory_bytes": 10**9}
        write_json(run.report_file, {"metrics": metrics, "primary_metric": "accuracy", "cost": cost})
        run.transition(("queued",), "succeeded")
    return run


@pytest.fixture
def rows(workspace: Workspace) -> list[dict[str, Any]]:
    make_run(workspace, 0.7, name="low", training={"seed": 0, "learning_rate": 1e-3})
    tag(make_run(workspace, 0.9, name="high", tuning={"method": "lora"}, training={"seed": 1}), ["paper", "best"])
    make_run(workspace, name="waiting")
    return run_table(workspace)


def titles(rows: list[dict[str, Any]]) -> list[str]:
    return [row["title"] for row in rows]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("accuracy > 0.8", ["high"]),
        ("accuracy > 0.8 OR state = 'queued'", ["waiting", "high"]),
        ("training.learning_rate = 1e-3", ["low"]),
        ("TRAINING.LEARNING_RATE = 1e-3 and Accuracy < 1", ["low"]),
        ("list_contains(tags, 'paper')", ["high"]),
        ("title LIKE '%training.seed%'", []),  # in quotes it is a string
        ("created > now() - INTERVAL 1 DAY AND seconds < 80", ["low"]),
        ("accuracy IS NULL", ["waiting"]),
        ("", ["waiting", "high", "low"]),
        ("NOT archived", ["waiting", "high", "low"]),
        ("accuracy = (SELECT max(accuracy) FROM runs)", ["high"]),
    ],
)
def test_a_filter_is_sql(rows: list[dict[str, Any]], condition: str, expected: list[str]) -> None:
    assert titles(filter_rows(rows, condition)) == expected


def test_the_examples_work(rows: list[dict[str, Any]]) -> None:
    for example in EXAMPLES:
        filter_rows(rows, example)


@pytest.mark.parametrize(
    ("condition", "message"),
    [("acuracy > 0.8", "Did you mean accuracy"), ("accuracy >", "WHERE"), ('tuning = "lora"', "single quotes"),
     ("accuracy > 'high'", "WHERE"), ("select 1", "WHERE"), ("'open", "WHERE")],
)  # fmt: skip
def test_an_invalid_filter_is_explained(rows: list[dict[str, Any]], condition: str, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        filter_rows(rows, condition)
    assert "LINE 1" not in str(caught.value)


SECRET = "the-secret-of-this-file"
HOSTILE = [
    "(SELECT count(*) FROM read_text('{file}')) = 1",
    "(SELECT content FROM read_text('{file}')) LIKE '%secret%'",
    "EXISTS (SELECT 1 FROM read_csv('{file}'))",
    "EXISTS (SELECT 1 FROM '{file}')",
    "EXISTS (SELECT 1 FROM glob('/*'))",
    "1=1; COPY runs TO '{out}'; --",
    "1=1) TO '{out}'; --",
    "EXISTS (COPY runs TO '{out}')",
    "1=1; ATTACH '{out}' AS x; --",
    "1=1; INSTALL httpfs; LOAD httpfs; --",
    "1=1; SET enable_external_access = true; --",
    "1=1; DROP TABLE runs; --",
    "getenv('HOME') IS NOT NULL",
    "EXISTS (SELECT 1 FROM rows)",  # a variable of Python
    "EXISTS (SELECT 1 FROM sqlite_scan('{file}', 'x'))",
    "EXISTS (SELECT 1 FROM read_parquet('https://localhost:1/x'))",
    "EXISTS (SELECT 1 FROM read_blob('/proc/self/environ'))",
    "true UNION SELECT 1",
]
SLOW = [
    "(SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b) > 0",
    "regexp_matches(repeat('ab', 1000000), '(x?y?a?b?){1000}z')",  # the evaluation of one value cannot be interrupted
    "title LIKE concat('%', repeat('a%', 50)) OR regexp_matches(repeat('ab', 1000000), '(x?y?a?b?){1000}z')",
    "x = e'\\'' OR \"regexp_matches\"(repeat('ab', 1000000), '(x?y?a?b?){1000}z')",
]
NOT_SIMPLE = [
    "title LIKE '%a%a%a%b'", "title LIKE title", "title ~ 'a'", "title SIMILAR TO 'a'", "title GLOB '*a*'",
    "\"repeat\"('a', 9) = ''", "title.repeat(9) = ''", "'a'.repeat(9) = ''", "title || title = ''",
    "1=1 -- '\n OR repeat('a', 9) = ''", "title = e'\\'' OR repeat('a', 9) = ''", "(SELECT 1) = 1",
    "exists(FROM range(9))", "/* ' */ repeat('a', 9) = '' --'", "[x for x in tags] = tags",
    "'" * 901, "1" * 900 + ";", " " * 900 + ";",
]  # fmt: skip


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_filter_reads_and_writes_nothing(rows: list[dict[str, Any]], attack: str, tmp_path: Path) -> None:
    file, out = tmp_path / "secret.txt", tmp_path / "out.csv"
    file.write_text(SECRET)
    with pytest.raises(RequestError) as caught:
        filter_rows(rows, attack.format(file=file, out=out))
    assert SECRET not in str(caught.value)
    assert not out.exists() and file.read_text() == SECRET
    print(f"\nA11: {len(HOSTILE)} hostile filters refused")


@pytest.mark.parametrize("condition", SLOW)
def test_a_slow_filter_is_stopped(rows: list[dict[str, Any]], condition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "TIMEOUT_SECONDS", 0.3)
    for row in rows:
        row["x"] = "text"
    start = time.monotonic()
    with pytest.raises(RequestError, match="took more than"):
        filter_rows(rows, condition)
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("condition", NOT_SIMPLE)
def test_slow_conditions_are_evaluated_in_another_process(
    rows: list[dict[str, Any]], condition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = time.monotonic()
    monkeypatch.setattr(filters, "_in_own_process", lambda rows, condition: [1])
    monkeypatch.setattr(filters, "matching_indices", lambda rows, condition: pytest.fail("evaluated in this process"))
    assert filter_rows(rows, condition) == [rows[1]]
    assert time.monotonic() - start < 2


LONG = {
    "a list of ones": "(" + ",".join("1" * 100_000) + ")=(1)",
    "additions": "1" + "+1" * 50_000 + " > 0",
    "parentheses": "(" * 5_000 + "1" + ")" * 5_000 + " = 1",
    "an endless string": "title = '" + "x" * 1_000_000,
    "many conditions": " OR ".join(f"seconds = {i}" for i in range(2_000)),
}


@pytest.mark.parametrize("name", LONG)
def test_a_long_filter_is_refused_by_the_library_at_once(rows: list[dict[str, Any]], name: str) -> None:
    start = time.monotonic()
    with pytest.raises(RequestError, match="characters; at most 1,000 are allowed"):
        filter_rows(rows, LONG[name])
    assert time.monotonic() - start < 0.5


def test_the_longest_simple_filters_end_in_time(rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "_in_own_process", lambda *_: pytest.fail("it is simple"))
    many = [{**row, "title": "x" * 100_000} for row in rows] * 60
    for condition in (
        "(" + ",".join("1" * 490) + ")=(1)",
        "(" * 480 + "1" + ")" * 480 + " = 1",
        " OR ".join(["title ILIKE '%xxxxxxxxxxxxxxxxxxxxy%'"] * 20),
        "lower(" * 100 + "title" + ")" * 100 + " = 'x'",
    ):
        start = time.monotonic()
        with contextlib.suppress(RequestError):  # refused or stopped: both are in time
            filter_rows(many, condition)
        assert time.monotonic() - start < filters.TIMEOUT_SECONDS + 2, condition[:40]


def test_examples_are_evaluated_in_this_process(rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "_in_own_process", lambda *_: pytest.fail("a process for a simple filter"))
    for condition in EXAMPLES:
        filter_rows(rows, condition)
    monkeypatch.undo()
    assert titles(filter_rows(rows, "regexp_matches(title, '^h')")) == ["high"]


def test_a_filter_cannot_fill_the_memory(rows: list[dict[str, Any]]) -> None:
    with pytest.raises(RequestError):
        filter_rows(rows, "len((SELECT list(range) FROM range(400000000))) > 1")


def test_settings_are_read_once_and_again_when_a_spec_changes(
    workspace: Workspace, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(settings, "read_settings", lambda run: calls.append(run.id) or {"training.seed": 9})
    assert run_table(workspace) == rows and not calls
    new = make_run(workspace)
    assert run_table(workspace)[0]["training.seed"] == 9 and calls == [new.id]


# -- unchanged files are not read again -------------------------------------------------------------------------------


def age(workspace: Workspace, then: float = 1.7e9) -> None:
    """Set the time of every file to long ago."""
    for path in workspace.root.rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the names of the files that are read from now on."""
    names: list[str] = []

    def record(owner: Any, name: str) -> None:
        read = getattr(owner, name)

        def recorded_read(path: Path, *limit: int) -> bytes:
            names.append(path.name)
            return read(path, *limit)

        monkeypatch.setattr(owner, name, recorded_read)

    record(Path, "read_bytes")
    record(files, "read_limited")
    record(settings, "read_limited")
    return names


def test_an_unchanged_folder_is_not_read_again(
    workspace: Workspace, rows: list[dict[str, Any]], reads: list[str]
) -> None:
    age(workspace)
    run_table(workspace)  # writes the cache of the settings
    age(workspace)
    first = run_table(workspace)
    assert set(reads) >= {"status.json", "report.json", "notes.json", "spec.yaml"} and first == rows
    reads.clear()
    second = run_table(workspace)
    assert not reads and all(map(operator.is_, first, second))


def test_changes_are_seen_at_once(workspace: Workspace, rows: list[dict[str, Any]]) -> None:
    age(workspace)
    run = Run(workspace.runs / run_table(workspace)[0]["id"])
    run.update_status(progress={"step": 7, "steps": 9})
    assert run_table(workspace)[0]["step"] == 7
    run.update_status(progress={"step": 8, "steps": 9})  # of the same size, at the same time
    assert run_table(workspace)[0]["step"] == 8
    update_tags(run, notes="x")
    write_json(run.report_file, {"metrics": {"accuracy": {"value": 0.1}}, "primary_metric": "accuracy"})
    now = run_table(workspace)[0]
    assert (now["notes"], now["value"]) == ("x", 0.1)
    age(workspace, 1.6e9)
    assert run_table(workspace)[0] == now
    run.report_file.unlink()
    assert run_table(workspace)[0]["value"] is None
    run.delete()
    assert run.id not in [row["id"] for row in run_table(workspace)]


def test_a_change_with_equal_size_and_time_is_seen(tmp_path: Path) -> None:
    """A file system's clock may be too coarse to tell two changes apart."""
    file, moment = tmp_path / "a.json", time.time()
    for text in ("1", "2", "3"):
        file.write_text(text)
        os.utime(file, (moment, moment))
        assert read_json_cached(file) == int(text)


def test_a_filter_is_evaluated_again_only_when_a_row_has_changed(
    workspace: Workspace, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    evaluate = filters._evaluate
    monkeypatch.setattr(filters, "_evaluate", lambda *arguments: calls.append(1) or evaluate(*arguments))
    assert titles(filter_rows(rows, "accuracy > 0.8")) == titles(filter_rows(rows, "accuracy > 0.8")) == ["high"]
    assert len(calls) == 1
    low = next(row for row in rows if row["title"] == "low")
    metrics = {"metrics": {"accuracy": {"value": 0.95}}, "primary_metric": "accuracy"}
    write_json(workspace.runs / low["id"] / "report.json", metrics)
    assert titles(filter_rows(run_table(workspace), "accuracy > 0.8")) == ["high", "low"] and len(calls) == 2
    assert titles(filter_rows(rows[1:], "accuracy > 0.8")) == ["high"] and len(calls) == 3  # other rows
    for _ in range(2):  # a filter that depends on the time is never cached
        filter_rows(rows, "created > now() - INTERVAL 1 DAY")
    assert len(calls) == 5


def test_damaged_runs_stay_in_the_table(workspace: Workspace) -> None:
    run = make_run(workspace, 0.5)
    for name in ("status.json", "spec.yaml", "report.json", "notes.json"):
        (run.folder / name).write_text('{"metrics": [1], "tags": 3, [')
    assert [row["state"] for row in run_table(workspace)] == ["failed"]
    run.report_file.write_text('{"metrics": {"a": 1, "b": null}, "cost": [], "primary_metric": "a"}')
    assert filter_rows(run_table(workspace), "state = 'failed'")


def test_sorting_puts_missing_values_last(rows: list[dict[str, Any]]) -> None:
    assert titles(sort_rows(rows, "accuracy")) == ["low", "high", "waiting"]
    assert titles(sort_rows(rows, "accuracy", descending=True)) == ["high", "low", "waiting"]
    with pytest.raises(UnknownNameError, match="accuracy"):
        sort_rows(rows, "acuracy")


def test_groups_have_students_interval(workspace: Workspace) -> None:
    from scipy import stats

    values = [0.5, 0.6, 0.8]
    for seed, value in enumerate(values):
        make_run(workspace, value, training={"seed": seed})
    make_run(workspace, 0.9, tuning="lora")
    lora, full = group_rows(run_table(workspace), ["tuning"])
    assert (lora["runs"], lora["n"], lora["mean"], lora["low"]) == (1, 1, 0.9, None)
    low, high = stats.t.interval(0.95, 2, loc=sum(values) / 3, scale=stats.sem(values))
    assert (full["n"], full["low"], full["high"]) == (3, pytest.approx(low), pytest.approx(high))
    with pytest.raises(UnknownNameError):
        group_rows(run_table(workspace), ["tunning"])


def test_exports_round_trip(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    rows[0]["title"] = "=HYPERLINK('http://x')"
    from_csv = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert from_csv[0]["title"].startswith("'=") and float(from_csv[1]["accuracy"]) == 0.9
    assert from_csv[1]["tags"] == "paper, best"
    from_parquet = pq.read_table(io.BytesIO(as_parquet(rows))).to_pylist()
    assert [row["accuracy"] for row in from_parquet] == [None, 0.9, 0.7] and from_parquet[1]["tags"] == [
        "paper",
        "best",
    ]
    export(rows, tmp_path / "runs.parquet")
    export(rows, tmp_path / "runs.csv")
    assert (tmp_path / "runs.parquet").stat().st_size
    with pytest.raises(RequestError, match="neither"):
        export(rows, tmp_path / "runs.xlsx")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "\r=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    (_, cell) = csv.reader(io.StringIO(as_csv([{"a": text}])))
    assert cell[0].startswith("'")


# -- tags ------------------------------------------------------------------------------------------------------------


def test_tags_are_stored_in_the_folder(workspace: Workspace) -> None:
    run = make_run(workspace)
    assert read_tags(run) == Tags()
    update_tags(run, notes="good <b>", archived=True)
    tag(run, [" a  b ", "c", "c"], remove=["x"])
    assert read_tags(Run(run.folder)) == Tags(("a b", "c"), "good <b>", True)
    assert tag(run, remove=["c"]).tags == ("a b",)
    assert [row["title"] for row in with_tags(run_table(workspace), ["a b"])] == [""]
    run.notes_file.write_text("{")
    assert read_tags(run) == Tags()


@pytest.mark.parametrize("tags", [["a,b"], ["x" * 41], [str(i) for i in range(21)], ["a\0b"]])
def test_invalid_tags_are_refused(workspace: Workspace, tags: list[str]) -> None:
    run = make_run(workspace)
    with pytest.raises(RequestError):
        update_tags(run, tags=tags)
    with pytest.raises(RequestError):
        update_tags(run, notes="x" * 10_001)
    assert read_tags(run) == Tags()


def test_tagging_a_deleted_run_does_not_restore_it(workspace: Workspace) -> None:
    run = make_run(workspace)
    run.delete()
    with pytest.raises(UnknownNameError):
        update_tags(run, notes="late")
    assert not run.folder.exists()
