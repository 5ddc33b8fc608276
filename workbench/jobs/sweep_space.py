"""Which values a sweep tries: an axis for each field, in the notation of the command line.

    training.learning_rate=1e-5..1e-3:log       between two numbers, evenly in the logarithm
    training.warmup_ratio=0..0.2                between two numbers, evenly
    tuning.rank=2..16                           both are integers: integers only
    training.learning_rate=1e-5..1e-3:log:5     for a grid: five values, both ends included
    tuning.method=full,lora                     these values

A grid is the product of all axes, the last one changing fastest.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import yaml
from pydantic import Field, ValidationError, model_validator

from workbench.errors import RequestError
from workbench.spec import SpecModel, explain_validation
from workbench.types import Json
from workbench.yaml_text import load_yaml

MAX_TRIALS = 10_000
_MAX_BOUND = 1e300
_RANGE = re.compile(r"(?P<low>[^.,\s][^,\s]*?)\.\.(?P<high>[^,:\s]+)(?P<rest>(:[a-z0-9]+)*)")
_EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")
_EXAMPLE = "Write: --over training.learning_rate=1e-5..1e-3:log"


class Axis(SpecModel):
    """The values of one field: those in ``values``, or the numbers from ``low`` to ``high``."""

    values: list[Any] | None = Field(None, min_length=1, max_length=1000, description="The values to try.")
    low: int | float | None = Field(None, description="Smallest number to try.")
    high: int | float | None = Field(None, description="Largest number to try.")
    log: bool = Field(
        False, description="Even in the logarithm: as many values between 1 and 10 as between 10 and 100."
    )
    points: int | None = Field(None, ge=2, le=1000, description="Number of values in a grid, both ends included.")

    @model_validator(mode="after")
    def _is_one_kind(self) -> Axis:
        if (self.values is None) == (self.low is None and self.high is None):
            raise ValueError("specify either values, or low and high")
        if self.values is not None:
            if len({_key(value) for value in self.values}) < len(self.values):
                raise ValueError("a value is listed twice")
            return self
        if any(bound is not None and not -_MAX_BOUND <= bound <= _MAX_BOUND for bound in (self.low, self.high)):
            raise ValueError(f"low and high must be between -{_MAX_BOUND:g} and {_MAX_BOUND:g}")
        if self.low is None or self.high is None or self.low >= self.high:
            raise ValueError("low must be given, and be below high")
        if self.log and self.low <= 0:
            raise ValueError("a logarithmic range must begin above 0")
        return self

    @property
    def is_integer(self) -> bool:
        """Whether only integers are tried."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def grid(self) -> list[Json]:
        """Return all values, or the evenly spaced ``points`` of a range.

        Raises:
            RequestError: a range of fractions does not say how many.
        """
        if self.values is not None:
            return list(self.values)
        assert self.low is not None and self.high is not None
        if self.points is None:
            if not self.is_integer or self.log:
                raise RequestError(
                    f"A grid needs the number of values to take between {self.low:g} and {self.high:g}.",
                    f"Write the number at the end: {self.low:g}..{self.high:g}{':log' if self.log else ''}:5",
                )
            _check_size(self.size())
            return list(range(int(self.low), int(self.high) + 1))
        return self._spaced(float(self.low), float(self.high), self.points)

    def size(self) -> int:
        """Return the number of values of :meth:`grid` at most, without making them; 1 for a range of fractions."""
        if self.values is not None:
            return len(self.values)
        if self.points is not None:
            return self.points
        return int(self.high or 0) - int(self.low or 0) + 1 if self.is_integer and not self.log else 1

    def _spaced(self, low: float, high: float, points: int) -> list[Json]:
        shares = [index / (points - 1) for index in range(points)]
        if self.log:
            values = [math.exp(math.log(low) + share * (math.log(high) - math.log(low))) for share in shares]
        else:
            values = [low + share * (high - low) for share in shares]
        if self.is_integer:
            return list(sorted({round(value) for value in values}))
        rounded = [float(f"{value:.6g}") for value in values]  # 1e-4, not 0.00010000000000000009
        return [low, *rounded[1:-1], high]

    def to_text(self) -> str:
        """Return the axis in the notation of the command line."""
        if self.values is not None:
            return ",".join(_value_text(value) for value in self.values)
        log, points = ":log" if self.log else "", f":{self.points}" if self.points else ""
        return f"{self.low:g}..{self.high:g}{log}{points}"


def _key(value: Json) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _value_text(value: Json) -> str:
    return str(yaml.safe_dump(value, default_flow_style=True, width=1000)).removesuffix("...\n").strip()


def parse_axis(value: object, field: str) -> Axis:
    """Read an axis.

    Args:
        value: ``"1e-5..1e-3:log"``, ``"4,8,16"``, a list of values, or ``{"low": ..., "high": ...}``.
        field: whose axis it is, for messages.

    Raises:
        RequestError: it is none of these.
    """
    try:
        if isinstance(value, Axis):
            return value
        if isinstance(value, Mapping):
            return Axis.model_validate(dict(value))
        if isinstance(value, list | tuple):
            return Axis(values=list(value))
        match = _RANGE.fullmatch(str(value).strip())
        return Axis(values=_listed(value)) if match is None else _range(match)
    except (ValidationError, ValueError, RequestError) as error:
        why = explain_validation(error)[0][1] if isinstance(error, ValidationError) else " ".join(str(error).split())
        raise RequestError(
            f"{field}: {str(value)[:80]!r} specifies no values to try: {why}.",
            "Write values with commas (4,8,16), or a range (1e-5..1e-3:log; 0..0.2; with :5 at the end for five).",
        ) from error


def _listed(value: object) -> list[Json]:
    """Split ``"full,{method: lora, rank: 8}"`` into its values; YAML knows where one ends."""
    if not isinstance(value, str):
        return [cast(Json, value)]
    return [_number(item) for item in cast("list[Json]", load_yaml(f"[{value}]", "The list", error=RequestError))]


def _number(value: Json) -> Json:
    """Return a number that YAML takes for a word: 1e-5, which has no point."""
    if isinstance(value, str) and _EXPONENT.fullmatch(value):
        return float(value)
    return value


def _range(match: re.Match[str]) -> Axis:
    low, high = (_bound(match[name]) for name in ("low", "high"))
    words = [word for word in match["rest"].split(":") if word]
    points = [word for word in words if word.isdigit()]
    unknown = [word for word in words if word not in points and word != "log"]
    if unknown or len(points) > 1:
        raise ValueError(f"a range may end in :log and a number of values, not in :{':'.join(words)}")
    return Axis(low=low, high=high, log="log" in words, points=int(points[0]) if points else None)


def _bound(text: str) -> int | float:
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)


def parse_over(over: Sequence[str] | Mapping[str, object]) -> dict[str, Axis]:
    """Read the axes of a sweep.

    Args:
        over: ``FIELD=VALUES`` each, or a mapping of fields as YAML holds it.

    Returns:
        The axes by field.

    Raises:
        RequestError: a text has no ``=``, a field comes twice, or values cannot be read.
    """
    pairs: list[tuple[str, object]] = []
    for item in over.items() if isinstance(over, Mapping) else over:
        if isinstance(item, str):
            field, equals, values = item.partition("=")
            if not (field.strip() and equals and values.strip()):
                raise RequestError(f"{item[:80]!r} is not of the form FIELD=VALUES.", _EXAMPLE)
            pairs.append((field.strip(), values))
        else:
            pairs.append((str(item[0]), item[1]))
    fields = [field for field, _ in pairs]
    twice = {field for field in fields if fields.count(field) > 1}
    if twice:
        raise RequestError(f"{sorted(twice)[0]} is varied twice.", _EXAMPLE)
    return {field: parse_axis(values, field) for field, values in pairs}


def grid(axes: Mapping[str, Axis]) -> list[dict[str, Json]]:
    """Return every combination, the last field changing fastest.

    Args:
        axes: by field.

    Raises:
        RequestError: a range has no number of values, or there are more combinations than a sweep may have.
    """
    _check_size(math.prod(axis.size() for axis in axes.values()))  # before any of it is made
    values = [axis.grid() for axis in axes.values()]
    return [dict(zip(axes, combination, strict=True)) for combination in itertools.product(*values)]


def _check_size(size: int) -> None:
    """Refuse a grid of more combinations than a sweep may have trials."""
    if size > MAX_TRIALS:
        raise RequestError(
            f"The grid has {size if size < 10**15 else float(size):,} combinations; a sweep can have at most "
            f"{MAX_TRIALS:,} trials.",
            "Use fewer values, or --method random with --trials.",
        )
