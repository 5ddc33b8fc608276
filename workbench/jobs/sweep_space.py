"""Which values a sweep tries: an axis for each field, written as people write it.

    training.learning_rate=1e-5..1e-3:log       between two numbers, evenly in the logarithm
    training.warmup_ratio=0..0.2                      between two numbers, evenly
    tuning.rank=2..16                           both whole: whole numbers only
    training.learning_rate=1e-5..1e-3:log:5     for a grid: five values, both ends among them
    tuning.method=full,lora                     these values

A grid is the product of all axes, the last one changing fastest.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator

from workbench.errors import RequestError
from workbench.spec import SpecModel, explain_validation

MOST_TRIALS = 10_000
_RANGE = re.compile(r"(?P<low>[^.,\s][^,\s]*?)\.\.(?P<high>[^,:\s]+)(?P<rest>(:[a-z0-9]+)*)")


class Axis(SpecModel):
    """The values of one field: those in ``values``, or the numbers from ``low`` to ``high``."""

    values: list[Any] | None = Field(None, min_length=1, max_length=1000, description="The values to try.")
    low: int | float | None = Field(None, description="Smallest number to try.")
    high: int | float | None = Field(None, description="Largest number to try.")
    log: bool = Field(
        False, description="Even in the logarithm: as many values between 1 and 10 as between 10 and 100."
    )
    points: int | None = Field(None, ge=2, le=1000, description="How many values a grid takes, both ends among them.")

    @model_validator(mode="after")
    def _is_one_kind(self) -> Axis:
        if (self.values is None) == (self.low is None and self.high is None):
            raise ValueError("give either values, or low and high")
        if self.values is not None:
            if len({_key(value) for value in self.values}) < len(self.values):
                raise ValueError("a value is given twice")
            return self
        if self.low is None or self.high is None or self.low >= self.high:
            raise ValueError("low must be given, and be below high")
        if self.log and self.low <= 0:
            raise ValueError("a logarithmic range must begin above 0")
        return self

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are tried."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def grid(self) -> list[Any]:
        """All values, or the evenly spaced ``points`` of a range.

        Raises:
            RequestError: a range of fractions does not say how many.
        """
        if self.values is not None:
            return list(self.values)
        assert self.low is not None and self.high is not None
        if self.points is None:
            if not self.whole or self.log:
                raise RequestError(
                    f"A grid needs to know how many values to take between {self.low:g} and {self.high:g}.",
                    f"Write the number at the end: {self.low:g}..{self.high:g}{':log' if self.log else ''}:5",
                )
            return list(range(int(self.low), int(self.high) + 1))
        return self._spaced(float(self.low), float(self.high), self.points)

    def _spaced(self, low: float, high: float, points: int) -> list[Any]:
        shares = [place / (points - 1) for place in range(points)]
        if self.log:
            found = [math.exp(math.log(low) + share * (math.log(high) - math.log(low))) for share in shares]
        else:
            found = [low + share * (high - low) for share in shares]
        if self.whole:
            return sorted({round(value) for value in found})
        rounded = [float(f"{value:.6g}") for value in found]  # 1e-4, not 0.00010000000000000009
        return [low, *rounded[1:-1], high]

    def told(self) -> str:
        """The axis as it is written on the command line."""
        if self.values is not None:
            return ",".join(_told(value) for value in self.values)
        log, points = ":log" if self.log else "", f":{self.points}" if self.points else ""
        return f"{self.low:g}..{self.high:g}{log}{points}"


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _told(value: Any) -> str:
    return str(yaml.safe_dump(value, default_flow_style=True, width=1000)).removesuffix("...\n").strip()


def parse_axis(given: Any, field: str) -> Axis:
    """An axis from ``"1e-5..1e-3:log"``, ``"4,8,16"``, a list of values, or ``{"low": ..., "high": ...}``.

    Raises:
        RequestError: it is none of these; the message names the field.
    """
    try:
        if isinstance(given, Axis):
            return given
        if isinstance(given, Mapping):
            return Axis.model_validate(dict(given))
        if isinstance(given, list | tuple):
            return Axis(values=list(given))
        found = _RANGE.fullmatch(str(given).strip())
        return Axis(values=_listed(given)) if found is None else _range(found)
    except (ValidationError, ValueError, yaml.YAMLError) as error:
        why = explain_validation(error)[0][1] if isinstance(error, ValidationError) else " ".join(str(error).split())
        raise RequestError(
            f"{field}: {str(given)[:80]!r} says no values to try: {why}.",
            "Write values with commas (4,8,16), or a range (1e-5..1e-3:log; 0..0.2; with :5 at the end for five).",
        ) from error


def _listed(given: Any) -> list[Any]:
    """``"full,{method: lora, rank: 8}"`` -> the two values. YAML knows where a value ends."""
    if not isinstance(given, str):
        return [given]
    values = yaml.safe_load(f"[{given}]")
    return [_number(value) for value in values]


def _number(value: Any) -> Any:
    """YAML takes 1e-5, which has no point, for a word."""
    if isinstance(value, str):
        try:
            return float(value) if re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value) else value
        except ValueError:
            return value
    return value


def _range(found: re.Match[str]) -> Axis:
    low, high = (_bound(found[name]) for name in ("low", "high"))
    words = [word for word in found["rest"].split(":") if word]
    points = [word for word in words if word.isdigit()]
    unknown = [word for word in words if word not in points and word != "log"]
    if unknown or len(points) > 1:
        raise ValueError(f"after a range stand :log and a number of values, not :{':'.join(words)}")
    return Axis(low=low, high=high, log="log" in words, points=int(points[0]) if points else None)


def _bound(text: str) -> int | float:
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)


def parse_over(given: Sequence[str] | Mapping[str, Any]) -> dict[str, Axis]:
    """Axes by field, from ``FIELD=VALUES`` texts or from a mapping as YAML holds it.

    Raises:
        RequestError: a text has no ``=``, a field comes twice, or values cannot be read.
    """
    pairs: list[tuple[str, Any]] = []
    for item in given.items() if isinstance(given, Mapping) else given:
        if isinstance(item, str):
            field, equals, values = item.partition("=")
            if not (field.strip() and equals and values.strip()):
                raise RequestError(
                    f"{item[:80]!r} names no field and values.", "Write: --over training.learning_rate=1e-5..1e-3:log"
                )
            pairs.append((field.strip(), values))
        else:
            pairs.append((str(item[0]), item[1]))
    fields = [field for field, _ in pairs]
    twice = {field for field in fields if fields.count(field) > 1}
    if twice:
        raise RequestError(
            f"{sorted(twice)[0]} is varied twice.", "Write: --over training.learning_rate=1e-5..1e-3:log"
        )
    return {field: parse_axis(values, field) for field, values in pairs}


def grid(axes: Mapping[str, Axis]) -> list[dict[str, Any]]:
    """Every combination, the last field changing fastest.

    Raises:
        RequestError: a range has no number of values, or there are more combinations than a sweep may have.
    """
    values = [axis.grid() for axis in axes.values()]
    size = math.prod(len(each) for each in values)
    if size > MOST_TRIALS:
        raise RequestError(
            f"The grid has {size:,} combinations; a sweep has {MOST_TRIALS:,} trials at most.",
            "Take fewer values, or --method random with --trials.",
        )
    return [dict(zip(axes, combination, strict=True)) for combination in itertools.product(*values)]
