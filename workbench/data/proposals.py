"""Which column probably has which role, where names leave a doubt: a proposal that a user accepts or corrects."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import yaml

from workbench.data.readers.file_types import DELIMITED, EXCEL, MARKDOWN
from workbench.errors import DataError
from workbench.types import Json

if TYPE_CHECKING:
    from workbench.data.readers.table import Table

ROWS = 3  # shown with a proposal
_READ = 500  # rows whose values are looked at
_MOST_CLASSES = 50
_SENTENCE_WORDS = 4  # if all names have so many, they are texts; questions of a survey are names
_FILLED = 0.8  # share of the rows in which a column of labels has a value
_WORD = re.compile(r"[^\W_]+")
_LONGEST_NAME = 60  # characters in the name of a column; a longer one is a text
_SHOWN = 60  # characters of a value


class Role(Protocol):
    """What is read of a role; see :class:`workbench.data.columns.Column`."""

    @property
    def role(self) -> str: ...

    @property
    def guesses(self) -> tuple[str, ...]: ...

    @property
    def required(self) -> bool: ...

    @property
    def kind(self) -> str: ...


class UnclearColumnsError(DataError):
    """The names of a table's columns do not say which has which role.

    Args:
        message: what is unclear.
        hint: what to do.
        proposal: role -> column for every role that needs one; empty if none can be proposed.
        rows: the first rows, by column.
    """

    def __init__(self, message: str, hint: str, proposal: Mapping[str, str], rows: Sequence[Mapping[str, str]]) -> None:
        super().__init__(message, hint)
        self.proposal = dict(proposal)
        self.rows = [dict(row) for row in rows]


def unclear_columns(
    message: str, hint: str, table: Table, columns: Sequence[Role], known: Mapping[str, str]
) -> UnclearColumnsError:
    """Return an error with a proposal, which its hint spells out for a spec and for the command line.

    Args:
        message: what is unclear.
        hint: what to do if nothing can be proposed.
        table: the rows.
        columns: the roles of the task.
        known: role -> column where it is clear.
    """
    proposal = propose_columns(table, columns, known)
    headless = is_data_header(table)
    unseparated = len(table.columns) == 1 and table.name.lower().endswith(DELIMITED) and len(_required(columns)) > 1
    if unseparated:
        proposal = {}
        hint = (
            "The file was read as one column, because no character separates fields in the same way on each line. Set "
            "data.delimiter to the character between them, or save the file as CSV."
        )
    elif headless:
        roles = {name: role for role, name in proposal.items()}
        names = [roles.get(column, f"column_{i}") for i, column in enumerate(table.columns, start=1)]
        message = f"{message} The first line seems to be data, not the names of the columns."
        hint = f"Name the columns in their order, such as data.header: [{', '.join(names)}]."
        proposal = {}
    elif table.name.lower().endswith(MARKDOWN):
        hint = "A .md file is read as texts. Save its table as CSV."
    rows = [
        {name: str(values[index])[:_SHOWN] for name, values in table.columns.items()}
        for index in range(min(ROWS, len(table)))
    ]
    if proposal:
        line = yaml.safe_dump(
            {"columns": proposal}, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True
        ).strip()
        hint = f"Probably: {line[1:-1]} in the data section, or on the command line {options_of(proposal)}."
    elif not headless and any(
        column.kind == "label" and column.required and column.role not in known for column in columns
    ):
        lists = [name for name, values in table.columns.items() if _are_lists(values[:_READ])]
        if lists:
            hint += f" If {lists[0]!r} holds several labels of each row, set task.multi_label to true."
    return UnclearColumnsError(message, hint, proposal, rows)


def _required(columns: Sequence[Role]) -> list[str]:
    return [column.role for column in columns if column.required]


def is_data_header(table: Table) -> bool:
    """Return whether the first line of a file, which was read as the names of the columns, seems to be a row.

    Args:
        table: the rows; only CSV and Excel files have names in a first line.
    """
    if not table.name.lower().endswith((*DELIMITED, *EXCEL)):
        return False
    if all(len(name.split()) >= _SENTENCE_WORDS and not name.rstrip().endswith("?") for name in table.columns):
        return True
    return any(
        len(name) > _LONGEST_NAME
        or _is_number(name)
        or sum(isinstance(value, str) and value.strip() == name for value in values[:_READ]) > 1
        for name, values in table.columns.items()
    )


def options_of(proposal: Mapping[str, str]) -> str:
    """Return the options of a command that accept a proposal.

    Args:
        proposal: role -> column.
    """
    return " ".join(f"--set {shlex.quote(f'data.columns.{role}={name}')}" for role, name in proposal.items())


def propose_columns(table: Table, columns: Sequence[Role], known: Mapping[str, str]) -> dict[str, str]:
    """Propose a column for every role that a task needs, by the values: a text is long, a label is repeated.

    Args:
        table: the rows.
        columns: the roles of the task.
        known: role -> column where it is clear.

    Returns:
        role -> column; empty if a role has no candidate.
    """
    proposal = dict(known)
    needed = [column for column in columns if column.required and column.role not in proposal]
    for column in sorted(needed, key=lambda column: column.kind == "text"):  # labels first: a text may be anything
        free = [name for name in table.columns if name not in proposal.values()]
        named = {column.role.casefold(), *(guess.casefold() for guess in column.guesses)}
        scores = {name: _fitness(column.kind, table.columns[name][:_READ]) for name in free}
        candidates = [name for name in free if scores[name] > 0]
        if not candidates:
            return {}
        proposal[column.role] = max(candidates, key=lambda name: (_likeness(name, named), scores[name]))
    _put_texts_in_order(table, needed, proposal)
    return {column.role: proposal[column.role] for column in columns if column.role in proposal}


def _put_texts_in_order(table: Table, needed: Sequence[Role], proposal: dict[str, str]) -> None:
    """Give texts that were chosen by their values alone to their roles in the order of the file."""
    roles = [
        column.role
        for column in needed
        if column.kind == "text"
        and proposal[column.role].casefold() not in {column.role.casefold(), *(g.casefold() for g in column.guesses)}
    ]
    order = list(table.columns)
    proposal.update(zip(roles, sorted((proposal[role] for role in roles), key=order.index), strict=True))


def _likeness(name: str, named: set[str]) -> int:
    """Return 2 for a usual name of a role, 1 for a name with such a word in it, else 0."""
    if name.casefold() in named:
        return 2
    return int(not named.isdisjoint(_WORD.findall(name.casefold())))


def _fitness(kind: str, values: Sequence[Json]) -> float:
    """Return how well values fit a kind of column; 0 if they do not."""
    filled = [value for value in values if value is not None and str(value).strip()]
    if not filled or any(isinstance(value, dict) for value in filled):
        return 0.0
    if kind == "text":
        texts = [value for value in filled if isinstance(value, str) and not _is_number(value)]
        if len(texts) <= len(filled) / 2:
            return 0.0
        return sum(map(len, texts)) / len(filled) * len(set(texts)) / len(texts)  # a text is rarely repeated
    if kind == "label":
        if any(isinstance(value, list) for value in filled) or len(filled) < _FILLED * len(values):
            return 0.0
        classes = len({str(value).strip() for value in filled})
        return 1 / classes if 2 <= classes <= min(_MOST_CLASSES, max(2, len(filled) // 2)) else 0.0
    if kind == "number":
        return float(all(_is_number(value) for value in filled))
    if kind in ("labels", "tags") and _are_lists(values):
        return 1 / (1 + len({str(item) for value in values if isinstance(value, list) for item in value}))
    if kind in ("words", "texts") and _are_lists(values):
        return float(len({str(item) for value in values if isinstance(value, list) for item in value}))
    return 0.0  # answers have to be named


def _are_lists(values: Sequence[Json]) -> bool:
    """Return whether a column holds lists of texts, and nothing else."""
    items = [item for value in values if isinstance(value, list) for item in value]
    only_lists = all(value is None or isinstance(value, list) for value in values)
    return only_lists and bool(items) and all(isinstance(item, str) for item in items)


def _is_number(value: Json) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True
