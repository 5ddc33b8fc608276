"""The results of a comparison, as ``workbench compare --json`` prints them."""

from __future__ import annotations

from pydantic import Field

from workbench.runs.document import Document


class RunPair(Document):
    """The first run against another one.

    Attributes:
        runs: the two ids.
        values: the metric of each.
        difference: first minus second.
        low: lower end of its 95% interval.
        high: upper end.
        p_value: p-value of the test; corrected by Holm's method where there are several pairs.
        test: name of the test.
        verdict: one sentence.
    """

    runs: tuple[str, str]
    values: tuple[float, float]
    difference: float
    low: float
    high: float
    p_value: float
    test: str
    verdict: str


class SeedGroup(Document):
    """Runs of one setting with different seeds.

    Attributes:
        name: name of the setting.
        runs: their ids.
        values: the metric of each.
        mean: mean of the values.
        low: lower end of the mean's 95% interval, Student's t over the runs.
        high: upper end.
        deviation: standard deviation over the runs.
        repeated: ids of runs that are left out because another run has the same seed.
    """

    name: str
    runs: list[str]
    values: list[float]
    mean: float
    low: float
    high: float
    deviation: float
    repeated: list[str]


class SeedGroupPair(Document):
    """The first group against another one.

    Attributes:
        groups: the two names.
        difference: difference of the means, first minus second.
        low: lower end of its 95% interval (Welch).
        high: upper end.
        p_value: p-value of Welch's test; corrected by Holm's method where there are several pairs.
        permutation: p-value of the permutation test, corrected in the same way.
        least_permutation: the smallest p-value that so few runs can give.
        test: name of the test.
        verdict: one sentence.
    """

    groups: tuple[str, str]
    difference: float
    low: float
    high: float
    p_value: float
    permutation: float
    least_permutation: float
    test: str
    verdict: str


class SeedComparison(Document):
    """The first group against every other one.

    Attributes:
        metric: what was compared.
        examples: number of test examples, the same for all runs.
        groups: the settings, see :class:`SeedGroup`.
        pairs: see :class:`SeedGroupPair`.
        verdict: a sentence for each pair.
        notes: what was left out, and why; and what else may be a reason for a difference, such as other training data.
    """

    metric: str
    examples: int
    groups: list[SeedGroup]
    pairs: list[SeedGroupPair]
    verdict: str
    notes: list[str]


class Comparison(Document):
    """The first run against every other. ``difference`` to ``test`` are those of the first pair.

    Attributes:
        runs: ids, in the order given.
        metric: what was compared.
        values: the metric of each run.
        difference: first minus second.
        low: lower end of its 95% interval.
        high: upper end.
        p_value: p-value of the test; corrected by Holm's method where there are several pairs.
        test: name of the test.
        verdict: a sentence for each pair.
        examples: number of test examples.
        pairs: see :class:`RunPair`.
        notes: sentences on what else may be a reason for a difference, such as other training data.
        seeds: the comparison over seeds; None where the runs have too few of them.
    """

    runs: list[str]
    metric: str
    values: list[float]
    difference: float
    low: float
    high: float
    p_value: float
    test: str
    verdict: str
    examples: int
    pairs: list[RunPair]
    notes: list[str] = Field(default_factory=list)
    seeds: SeedComparison | None = None
