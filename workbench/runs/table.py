"""All runs as one table: filtered with SQL's WHERE, sorted, grouped, written as CSV and Parquet.

A filter is a stranger's input. DuckDB evaluates it in a database in memory that holds nothing but this table, with
files, network and settings locked away, within a limit of time and memory.
"""

from __future__ import annotations

import csv
import difflib
import functools
import io
import json
import operator
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import MissingPackageError, RequestError, UnknownNameError
from workbench.files import read_json_cached, waiting_lock, write_atomically, write_json
from workbench.runs.documents import Report, RunProgress, RunSummary
from workbench.runs.query import list_runs
from workbench.runs.run import Run
from workbench.runs.tags import Tags, read_tags
from workbench.spec_versions import SCHEMA_VERSION, upgrade
from workbench.workspace import Workspace

Row = dict[str, Any]
EXAMPLES = (
    "accuracy > 0.8 AND tuning = 'lora'",
    "state = 'failed' AND created > now() - INTERVAL 1 DAY",
    "training.learning_rate BETWEEN 1e-5 AND 1e-4",
    "list_contains(tags, 'paper') AND NOT archived",
    "title ILIKE '%reviews%' OR seconds < 60",
)
TIMEOUT_SECONDS = 3.0  # that a filter may take
_FIRST = ("id", "title", "state", "kind", "task", "model", "data", "tuning", "created", "tags", "notes", "archived")
_COSTS = ("seconds", "tokens_per_second", "peak_memory_bytes", "trained_parameters", "total_parameters")
_WORDS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+")


def run_table(workspace: Workspace, summaries: Sequence[RunSummary] | None = None, settings: bool = True) -> list[Row]:
    """Return every run as one flat row, newest first.

    Args:
        workspace: whose runs.
        summaries: of :func:`workbench.runs.query.list_runs`, where they were read already.
        settings: also the fields of the specs.

    Returns:
        Rows with the columns of ``_FIRST``; ``step`` and ``steps``; ``metric``, ``value``, ``low``, ``high`` of the
        metric that the run is judged by; each final metric by its name; what it cost; and, with ``settings``, each
        field of its spec by its dotted name (``training.learning_rate``). The row of a run that has not changed is the
        same object again: do not change it.
    """
    fields = _all_settings(workspace) if settings else {}
    runs = list_runs(workspace) if summaries is None else summaries
    return [_cached_row(workspace, summary, fields.get(summary.id, {})) for summary in runs]


_MAX_ROWS = 30_000
_rows: dict[str, tuple[tuple[RunSummary, Tags, Row], Row]] = {}


def _cached_row(workspace: Workspace, summary: RunSummary, fields: Row) -> Row:
    """Return the row that was built from the same documents before, or a new one."""
    run = Run(workspace.runs / summary.id)
    sources = (summary, read_tags(run, cached=True), fields)
    name = f"{run.folder}\n{bool(fields)}"
    cached = _rows.get(name)
    if cached is not None and cached[0] == sources:
        return cached[1]
    if len(_rows) >= _MAX_ROWS:
        _rows.clear()
    row = _row(summary, sources[1]) | fields
    _rows[name] = (sources, row)
    return row


def _row(summary: RunSummary, tags: Tags) -> Row:
    row = {name: getattr(summary, name, None) for name in _FIRST}
    row |= {"tags": list(tags.tags), "notes": tags.notes, "archived": tags.archived}
    progress, report = summary.progress or RunProgress(), summary.report or Report()
    row |= {"step": progress.step, "steps": progress.steps}
    primary = report.primary
    row["metric"] = report.primary_metric if primary else None
    row |= {name: getattr(primary, name, None) for name in ("value", "low", "high")}
    row |= {name: getattr(report.cost, name) for name in _COSTS}
    row |= {name: metric.value for name, metric in report.metrics.items() if name not in row}
    return row


# -- settings --------------------------------------------------------------------------------------------------------


def read_settings(run: Run) -> Row:
    """The run's spec as dotted fields; empty when it cannot be read."""
    try:
        stat = run.spec_file.stat()
    except OSError:
        return {}
    return dict(_read_settings(str(run.spec_file), stat.st_mtime_ns, stat.st_size))


@functools.lru_cache(maxsize=128)
def _read_settings(path: str, changed: int, size: int) -> Row:
    """By time and size: a spec is written once, so this is read once in a process."""
    import yaml

    try:  # not checked again: it was checked when it was written, and a damaged one has no fields
        found = yaml.load(Path(path).read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        return {}
    return dict(_flat(upgrade(found), "")) if isinstance(found, dict) else {}


def _flat(value: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if isinstance(item, dict):
            yield from _flat(item, f"{prefix}{name}.")
        elif prefix or name not in _FIRST:
            yield sys.intern(f"{prefix}{name}"), item  # the same in every run


def _all_settings(workspace: Workspace) -> dict[str, Row]:
    """The settings of all runs. Kept in the cache, for reading a thousand files of YAML takes seconds."""
    path = workspace.cache / f"settings-of-runs-{SCHEMA_VERSION}.json"
    kept = read_json_cached(path)
    kept = kept if isinstance(kept, dict) else {}
    found, new = {}, False
    for run in Run.all(workspace):
        try:
            stat = run.spec_file.stat()
        except OSError:
            continue
        mark = [stat.st_mtime_ns, stat.st_size]
        known = kept.get(run.id)
        if not (isinstance(known, dict) and known.get("mark") == mark):
            known, new = {"mark": mark, "fields": _plain(read_settings(run))}, True
        found[run.id] = known
    if new:
        with waiting_lock(path.with_suffix(".lock")):
            write_json(path, found)
    return {run_id: known["fields"] for run_id, known in found.items()}


def _plain(fields: Row) -> Row:
    return {name: value if isinstance(value, str | int | float | bool | None) else json.dumps(value, default=str)
            for name, value in fields.items()}  # fmt: skip


# -- filter and sort -------------------------------------------------------------------------------------------------


def filter_rows(rows: Sequence[Row], condition: str) -> list[Row]:
    """The rows for which an SQL condition holds, in their order.

    Args:
        rows: of :func:`run_table`.
        condition: what stands behind ``WHERE``; fields with dots need no quotes.

    Raises:
        RequestError: the condition cannot be evaluated; says why, with the nearest fields and examples.
        MissingPackageError: duckdb or pyarrow is not installed.
    """
    if not condition.strip() or not rows:
        return list(rows)
    known = _answers.get(condition)
    if known is not None and known.fits(rows):
        return [rows[place] for place in known.places]
    places = _places(rows, condition)
    if not _CHANGES_BY_ITSELF.search(condition):
        if len(_answers) >= _MOST_ANSWERS:
            _answers.clear()
        _answers[condition] = _Answer(list(rows), places)
    return [rows[place] for place in places]


_MOST_ANSWERS = 50
_CHANGES_BY_ITSELF = re.compile(r"now|current|today|local|age|random|uuid|txid|time\s*\(", re.IGNORECASE)


@dataclass(frozen=True)
class _Answer:
    """What a filter let through, of which rows: it holds as long as these are the same objects."""

    rows: list[Row]
    places: list[int]

    def fits(self, rows: Sequence[Row]) -> bool:
        return len(rows) == len(self.rows) and all(map(operator.is_, rows, self.rows))


_answers: dict[str, _Answer] = {}


def _places(rows: Sequence[Row], condition: str) -> list[int]:
    """The numbers of the rows for which the condition holds, ascending."""
    names = column_names(rows)
    expression = _with_quoted_fields(condition, names)
    duckdb = _duckdb()
    given = _arrow(rows, names)
    try:
        kept = matching_indices(given, expression) if _SIMPLE.fullmatch(expression) else _elsewhere(given, expression)
    except duckdb.Error as error:
        raise _explained(condition, str(error), names) from error
    return sorted(set(kept))


# Fields, numbers, texts, comparisons and what joins them. What calls a function, matches a pattern or asks the table
# again may take any time, and is evaluated in a process that can be ended. Whatever DuckDB would read otherwise than
# this does (comments, texts with escapes, quoted functions) is not simple. Possessive: this must not take long itself.
_SIMPLE = re.compile(
    r"(?>\s|'(?:[^']|'')*+'|\"[^\"]*+\"(?!\s*\()|[0-9.<>=!,+()]|-(?!-)"
    r"|(?!(?:like|ilike|similar|glob|select|from)\b)[a-z_][a-z0-9_.]*+(?!\s*\(|')"
    r"|(?:in|and|or|not|between|list_contains|now|lower|upper|contains)(?=\s*\()|i?like(?=\s*'%?[^%']*+%?'))++",
    re.IGNORECASE,
)


def matching_indices(given: Any, expression: str) -> list[int]:
    """The values of ``_place`` in the rows of an Arrow table for which an SQL expression holds. Raises duckdb.Error."""
    duckdb = _duckdb()
    with duckdb.connect(":memory:", config={"threads": 1, "autoinstall_known_extensions": False}) as connection:
        connection.register("given", given)
        connection.execute("CREATE TABLE runs AS SELECT * FROM given")
        connection.unregister("given")
        for setting in _LOCKS:
            connection.execute(setting)
        # The relation parses one expression, where SQL text could hold several statements.
        kept = connection.table("runs").filter(expression).project("_place").fetchall()
    return [place for (place,) in kept]


def _elsewhere(given: Any, expression: str) -> list[int]:
    """:func:`matching_indices` in a process of its own, which ends itself after ``SECONDS``."""
    import pyarrow as pa

    from workbench.runs.filter_process import TOO_LONG

    written = io.BytesIO(json.dumps({"expression": expression, "seconds": TIMEOUT_SECONDS}).encode() + b"\n")
    written.seek(0, io.SEEK_END)
    with pa.ipc.new_stream(written, given.schema) as stream:
        stream.write_table(given)
    command = [sys.executable, "-m", "workbench.runs.filter_process"]
    try:
        done = subprocess.run(command, input=written.getvalue(), capture_output=True, timeout=TIMEOUT_SECONDS + _START)
    except subprocess.TimeoutExpired as error:
        raise _too_long() from error
    if done.returncode == TOO_LONG:
        raise _too_long()
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        reason = done.stderr.decode("utf-8", errors="replace").strip()[-200:]
        raise RequestError(f"The filter was ended: {reason or 'it needed too much memory'}.", _SIMPLER) from error
    if "error" in answer:
        raise _duckdb().Error(answer["error"])
    return [int(place) for place in answer["places"]]


_START = 30.0  # seconds that a process may take to begin on a machine that has much to do
_SIMPLER = "Write a simpler condition."


def _too_long() -> RequestError:
    return RequestError(f"The filter took more than {TIMEOUT_SECONDS:g} s and was ended.", _SIMPLER)


_LOCKS = (
    "SET memory_limit = '256MB'",
    "SET temp_directory = ''",
    "SET python_enable_replacements = false",
    "SET autoload_known_extensions = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise MissingPackageError("duckdb", "to filter runs") from error
    return duckdb


def column_names(rows: Sequence[Row]) -> list[str]:
    """Every field that some row has, in the order in which they come."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _with_quoted_fields(condition: str, names: Sequence[str]) -> str:
    """Dotted names of fields in quotes, as SQL wants them; what stands in quotes already is left alone."""
    known = {name.lower(): name for name in names}

    def quoted(match: re.Match[str]) -> str:
        word = match[0]
        return f'"{known[word.lower()]}"' if word[0] not in "'\"" and word.lower() in known else word

    return _WORDS.sub(quoted, condition)


def _arrow(rows: Sequence[Row], names: Sequence[str]) -> Any:
    """The rows as an Arrow table with the row's number in ``_place``."""
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingPackageError("pyarrow", "to filter and export runs") from error
    found = {"_place": pa.array(range(len(rows)), pa.int64())}
    taken = {"_place"}
    for name in names:
        if name.lower() not in taken:  # SQL's names do not know upper case from lower
            taken.add(name.lower())
            found[name] = _column(pa, name, [row.get(name) for row in rows])
    return pa.table(found)


def _column(pa: Any, name: str, values: list[Any]) -> Any:
    there = [value for value in values if value is not None]
    if name == "tags":
        return pa.array([[str(tag) for tag in value or []] for value in values], pa.list_(pa.string()))
    if name == "created":
        return pa.array([_moment(value) for value in values], pa.timestamp("us", tz="UTC"))
    if there and all(isinstance(value, bool) for value in there):
        return pa.array(values, pa.bool_())
    if there and all(isinstance(value, int | float) and not isinstance(value, bool) for value in there):
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text.encode("utf-8", errors="replace").decode()


def _moment(value: Any) -> Any:
    from datetime import UTC, datetime

    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _explained(condition: str, said: str, names: Sequence[str]) -> RequestError:
    """DuckDB's error in a sentence, with what to do."""
    first = " ".join(said.split("\n\n")[0].split("\n")[0].split()).rstrip("!. ")
    missing = re.search(r'(?:column|table|binding) (?:named )?"?([\w.]+)"?', said, re.IGNORECASE)
    wrong = missing[1] if missing else ""
    near = difflib.get_close_matches(wrong.lower(), names, n=3, cutoff=0.5) if wrong else []
    guess = f" Did you mean {' or '.join(near)}?" if near else ""
    hint = f"Write what stands behind WHERE in SQL; texts in single quotes. For example: {EXAMPLES[0]}"
    if '"' in condition and near == []:
        hint = "A text stands in single quotes, a name in double ones. " + hint
    return RequestError(f"The filter {condition[:200]!r} does not work: {first[:300]}.{guess}", hint)


def with_tags(rows: Sequence[Row], tags: Sequence[str]) -> list[Row]:
    """The rows that have all of these tags."""
    return [row for row in rows if set(tags) <= set(row.get("tags") or ())]


def sort_rows(rows: Sequence[Row], by: str, descending: bool = False) -> list[Row]:
    """Sorted by one field; rows without it stand at the end. Raises UnknownNameError."""
    if rows and by not in column_names(rows):
        raise UnknownNameError("field", by, column_names(rows))
    there = [row for row in rows if row.get(by) is not None]
    numbers = all(isinstance(row[by], int | float) for row in there)
    there.sort(key=lambda row: row[by] if numbers else _text(row[by]), reverse=descending)
    return there + [row for row in rows if row.get(by) is None]


# -- group -----------------------------------------------------------------------------------------------------------


def group_rows(rows: Sequence[Row], by: Sequence[str], metric: str = "value") -> list[Row]:
    """Rows with the same values in the fields ``by`` as one: how many, and the metric's mean with its 95% interval.

    Returns:
        ``[{*by, "runs", "n", "mean", "low", "high", "ids"}]``, in the order of their first rows. ``n`` counts those
        that have the metric; with fewer than two there is no interval (Student's t over runs).

    Raises:
        UnknownNameError: there is no such field.
    """
    names = column_names(rows)
    for name in [*by, metric]:
        if rows and name not in names:
            raise UnknownNameError("field", name, names)
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(_text(row.get(name)) for name in by), []).append(row)
    return [
        {name: group[0].get(name) for name in by} | _mean(group, metric) | {"ids": [row["id"] for row in group]}
        for group in groups.values()
    ]


def _mean(group: Sequence[Row], metric: str) -> Row:
    values = [float(row[metric]) for row in group if isinstance(row.get(metric), int | float)]
    found: Row = {"runs": len(group), "n": len(values), "mean": None, "low": None, "high": None}
    if values:
        found["mean"] = statistics.fmean(values)
    if len(values) > 1:
        from workbench.runs.curves import t975

        half = t975(len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
        found |= {"low": found["mean"] - half, "high": found["mean"] + half}
    return found


# -- export ----------------------------------------------------------------------------------------------------------


def as_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV. A text that a spreadsheet would take for a formula begins with a single quote instead."""
    names = column_names(rows)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([_no_formula(name) for name in names])
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in names])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return _no_formula(", ".join(map(str, value)) if isinstance(value, list) else _text(value))


def _no_formula(text: str) -> str:
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") or text[:1] in ("\t", "\r", "\n") else text


def as_parquet(rows: Sequence[Row]) -> bytes:
    """The rows as a Parquet file, with types: numbers, texts, times, lists of tags."""
    table = _arrow(rows, column_names(rows)).drop_columns(["_place"])
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def export(rows: Sequence[Row], path: Path) -> None:
    """Write the rows to a ``.csv`` or ``.parquet`` file. Raises RequestError for another ending."""
    content = {".csv": lambda: as_csv(rows).encode("utf-8", errors="replace"), ".parquet": lambda: as_parquet(rows)}
    if path.suffix.lower() not in content:
        raise RequestError(f"{path.name} is neither CSV nor Parquet.", "Let the name end in .csv or .parquet.")
    written = content[path.suffix.lower()]()
    write_atomically(path, lambda file: file.write(written))
