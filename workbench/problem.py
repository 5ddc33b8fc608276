"""A problem of a spec, found before a run starts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from workbench.errors import SpecError

Severity: TypeAlias = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Problem:
    """Something to know about a spec before a run starts.

    Attributes:
        severity: an ``error`` prevents the run; a ``warning`` or an ``info`` does not.
        field: dotted path in the spec.
        message: what is wrong, the value, and what is allowed.
        hint: what to do.
    """

    severity: Severity
    field: str
    message: str
    hint: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the problem as JSON."""
        return asdict(self)


def problems_of(error: SpecError) -> list[Problem]:
    """Return the problems behind an error, one for each wrong field.

    Args:
        error: raised for a document that is not a spec, or for a spec that cannot be run.
    """
    if error.problems and all(isinstance(problem, Problem) for problem in error.problems):
        return list(error.problems)
    lines = [str(problem).partition(": ") for problem in error.problems] or [("", "", error.message)]
    hints = [error.hint] + [""] * (len(lines) - 1)
    return [Problem("error", field, text, hint) for (field, _, text), hint in zip(lines, hints, strict=True)]
