"""Filter rows of runs with an SQL condition, in a sandbox.

A filter is untrusted input. DuckDB evaluates it in a database in memory that holds nothing but this table, without
access to files, network and settings, and within limits of time and memory.
"""

from __future__ import annotations

import difflib
import io
import operator
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, cast

from workbench.errors import MissingPackageError, RequestError
from workbench.runs.rows import INDEX, Row, column_names, to_arrow
from workbench.system.limited_process import Limits, call
from workbench.types import JsonObject

if TYPE_CHECKING:
    import pyarrow

EXAMPLES = (
    "accuracy > 0.8 AND tuning = 'lora'",
    "state = 'failed' AND created > now() - INTERVAL 1 DAY",
    "training.learning_rate BETWEEN 1e-5 AND 1e-4",
    "list_contains(tags, 'paper') AND NOT archived",
    "title ILIKE '%reviews%' OR seconds < 60",
)
TIMEOUT_SECONDS = 3.0  # for evaluating a filter
MAX_LENGTH = 1_000  # characters of a filter
_MEMORY = 2 * 1024**3  # bytes of address space of the process that evaluates one
_MAX_CACHED = 50  # conditions
_WORDS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+")
_DEPENDS_ON_TIME = re.compile(r"now|current|today|local|age|random|uuid|txid|time\s*\(", re.IGNORECASE)
_SIMPLER = "Write a simpler condition."
_LOCKS = (
    "SET memory_limit = '256MB'",
    "SET temp_directory = ''",
    "SET python_enable_replacements = false",
    "SET autoload_known_extensions = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


def filter_rows(rows: Sequence[Row], condition: str) -> list[Row]:
    """Return the rows for which an SQL condition holds, in their order.

    Args:
        rows: the result of :func:`workbench.runs.table.run_table`.
        condition: what follows ``WHERE`` in SQL; fields with dots need no quotes.

    Raises:
        RequestError: the condition cannot be evaluated (the message says why and names similar fields), has more than
            ``MAX_LENGTH`` characters, or takes more than ``TIMEOUT_SECONDS``.
        MissingPackageError: duckdb or pyarrow is not installed.
    """
    if not condition.strip() or not rows:
        return list(rows)
    if len(condition) > MAX_LENGTH:
        raise RequestError(
            f"The filter has {len(condition):,} characters; at most {MAX_LENGTH:,} are allowed.", _SIMPLER
        )
    cached = _results.get(condition)
    if cached is not None and cached.is_of(rows):
        return [rows[index] for index in cached.indices]
    indices = _evaluate(rows, condition)
    if not _DEPENDS_ON_TIME.search(condition):
        if len(_results) >= _MAX_CACHED:
            _results.clear()
        _results[condition] = _Result(list(rows), indices)
    return [rows[index] for index in indices]


@dataclass(frozen=True)
class _Result:
    """The rows that passed a filter. It is valid as long as the rows are the same objects."""

    rows: list[Row]
    indices: list[int]

    def is_of(self, rows: Sequence[Row]) -> bool:
        return len(rows) == len(self.rows) and all(map(operator.is_, rows, self.rows))


_results: dict[str, _Result] = {}


def _evaluate(rows: Sequence[Row], condition: str) -> list[int]:
    """Return the indices of the rows for which the condition holds, ascending."""
    names = column_names(rows)
    expression = _with_quoted_fields(condition, names)
    duckdb = _duckdb()
    table = to_arrow(rows)
    evaluate = matching_indices if _SIMPLE.fullmatch(expression) else _in_own_process
    try:
        return sorted(set(evaluate(table, expression)))
    except duckdb.Error as error:
        raise _as_request_error(condition, str(error), names) from error


# Fields, numbers, strings, comparisons and what joins them. A condition that calls a function, matches a pattern or
# queries the table again may take any time; it is evaluated in a process that can be killed. Whatever DuckDB would
# parse in another way (comments, escaped strings, quoted functions) is not simple. The quantifiers are possessive, so
# that this match itself takes linear time.
_SIMPLE = re.compile(
    r"(?>\s|'(?:[^']|'')*+'|\"[^\"]*+\"(?!\s*\()|[0-9.<>=!,+()]|-(?!-)"
    r"|(?!(?:like|ilike|similar|glob|select|from)\b)[a-z_][a-z0-9_.]*+(?!\s*\(|')"
    r"|(?:in|and|or|not|between|list_contains|now|lower|upper|contains)(?=\s*\()|i?like(?=\s*'%?[^%']*+%?'))++",
    re.IGNORECASE,
)


def matching_indices(table: pyarrow.Table, expression: str) -> list[int]:
    """Return the values of ``INDEX`` in the rows of an Arrow table for which an SQL expression holds.

    Args:
        table: the result of :func:`workbench.runs.rows.to_arrow`.
        expression: one SQL expression.

    Raises:
        duckdb.Error: the expression cannot be evaluated.
        RequestError: it takes more than ``TIMEOUT_SECONDS``.
    """
    duckdb = _duckdb()
    with duckdb.connect(":memory:", config={"threads": 1, "autoinstall_known_extensions": False}) as connection:
        connection.register("given", table)
        connection.execute("CREATE TABLE runs AS SELECT * FROM given")
        connection.unregister("given")
        for setting in _LOCKS:
            connection.execute(setting)
        # The relation parses one expression, whereas SQL text could hold several statements.
        timer = threading.Timer(TIMEOUT_SECONDS, connection.interrupt)
        timer.daemon = True
        timer.start()
        try:
            matches = connection.table("runs").filter(expression).project(INDEX).fetchall()
        except duckdb.InterruptException as error:
            raise _timed_out() from error
        finally:
            timer.cancel()
    return [index for (index,) in matches]


def _in_own_process(table: pyarrow.Table, expression: str) -> list[int]:
    """Evaluate as :func:`matching_indices` in a process that is killed after ``TIMEOUT_SECONDS``."""
    import pyarrow as pa

    payload = io.BytesIO()
    with pa.ipc.new_stream(payload, table.schema) as stream:
        stream.write_table(table)
    limits = Limits(_MEMORY, TIMEOUT_SECONDS, "The filter", _SIMPLER, RequestError)
    function = "workbench.runs.filters.process:evaluate"
    answer = cast("JsonObject", call(function, {"expression": expression}, limits, payload=payload.getvalue()))
    if "error" in answer:
        raise _duckdb().Error(str(answer["error"]))
    return [int(index) for index in cast("list[int]", answer["indices"])]


def _timed_out() -> RequestError:
    return RequestError(f"The filter took more than {TIMEOUT_SECONDS:g} s and was stopped.", _SIMPLER)


def _duckdb() -> ModuleType:
    try:
        import duckdb
    except ImportError as error:
        raise MissingPackageError("duckdb", "to filter runs") from error
    return duckdb


def _with_quoted_fields(condition: str, names: Sequence[str]) -> str:
    """Quote dotted names of fields, as SQL requires; leave what is quoted already as it is."""
    known = {name.lower(): name for name in names}

    def quoted(match: re.Match[str]) -> str:
        word = match[0]
        return f'"{known[word.lower()]}"' if word[0] not in "'\"" and word.lower() in known else word

    return _WORDS.sub(quoted, condition)


def _as_request_error(condition: str, message: str, names: Sequence[str]) -> RequestError:
    """Return DuckDB's error in one sentence, with a hint."""
    first = " ".join(message.split("\n\n")[0].split("\n")[0].split()).rstrip("!. ")
    missing = re.search(r'(?:column|table|binding) (?:named )?"?([\w.]+)"?', message, re.IGNORECASE)
    similar = difflib.get_close_matches(missing[1].lower(), names, n=3, cutoff=0.5) if missing else []
    guess = f" Did you mean {' or '.join(similar)}?" if similar else ""
    hint = f"Write a condition as after WHERE in SQL, with strings in single quotes. For example: {EXAMPLES[0]}"
    if '"' in condition and not similar:
        hint = "Strings are written in single quotes, names in double quotes. " + hint
    return RequestError(f"The filter {condition[:200]!r} does not work: {first[:300]}.{guess}", hint)
