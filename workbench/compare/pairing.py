"""Which test examples of two runs are the same: by what the model reads, and not by their ids.

An id is the name of a file and a row in it. Another file of this name has the same ids and other examples.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from workbench.runs.documents import Report
from workbench.runs.predictions import EXAMPLE, INPUT, Predictions, example_inputs, input_text, read_predictions
from workbench.runs.run import Run


@dataclass(frozen=True)
class EvaluatedExamples:
    """The examples that a run was tested on.

    Attributes:
        run: the run.
        ids: ids of the examples, [N].
        stored: fingerprint of each example's inputs, [N]; None in predictions of earlier versions.
    """

    run: Run
    ids: list[str]
    stored: list[str] | None

    @classmethod
    def of(cls, run: Run, columns: Predictions) -> EvaluatedExamples:
        """Return the examples in predictions.

        Args:
            run: the run.
            columns: its predictions, at least ``id`` and, if the file has it, ``example``.
        """
        ids = [str(value) for value in columns["id"]]
        stored = columns.get(EXAMPLE)
        return cls(run, ids, None if stored is None or None in stored else stored)

    def take(self, order: Sequence[int]) -> EvaluatedExamples:
        """Return the examples in another order.

        Args:
            order: their indices.
        """
        stored = None if self.stored is None else [self.stored[i] for i in order]
        return EvaluatedExamples(self.run, [self.ids[i] for i in order], stored)

    @cached_property
    def from_inputs(self) -> list[str]:
        """A fingerprint of the inputs that the predictions hold; ids where they hold none."""
        columns = read_predictions(self.run, ("id", INPUT))
        if set(columns) == {"id"}:
            return self.ids
        texts = map(input_text, example_inputs(columns))
        return [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest() for text in texts]

    @cached_property
    def file(self) -> str | None:
        """The hash of the file that the examples are from; None where the run did not record it."""
        splits, report = self.run.splits(), self.run.report() or Report()
        files = (splits.files if splits is not None else None) or {}
        return files.get(report.evaluated_on or "test", files.get("train"))


def pair_examples(runs: Sequence[EvaluatedExamples]) -> list[list[str]]:
    """Return a key for each example of each run: the same example has the same key in every run.

    Examples are the same if the model reads the same. Where runs read other columns of one file (only the first text of
    a pair, say), its rows are the same examples.

    Args:
        runs: the examples of each run.

    Returns:
        A list of different keys for each run, in the order of its predictions.
    """
    exact = all(run.stored is not None for run in runs)
    contents = [_numbered((run.stored if exact else None) or run.from_inputs, run.ids) for run in runs]
    if all(set(keys) == set(contents[0]) for keys in contents):
        return contents
    one_file = bool(runs[0].file) and all(run.file == runs[0].file for run in runs)
    if one_file and all(set(run.ids) == set(runs[0].ids) for run in runs):
        return [run.ids for run in runs]
    return contents


def same_examples(first: Run, second: Run) -> bool:
    """Return whether two runs have predictions for the same examples in the same order.

    Args:
        first: a finished run.
        second: another.

    Raises:
        RequestError: a run has no predictions.
        DataError: a file is damaged.
    """
    one, other = (EvaluatedExamples.of(run, read_predictions(run, ("id", EXAMPLE))) for run in (first, second))
    keys = pair_examples([one, other])
    return keys[0] == keys[1]


def _numbered(contents: Sequence[str], ids: Sequence[str]) -> list[str]:
    """Return keys that are different for equal contents: they are counted in the order of their ids."""
    seen: Counter[str] = Counter()
    keys = [""] * len(contents)
    for index in sorted(range(len(contents)), key=ids.__getitem__):
        keys[index] = f"{contents[index]}#{seen[contents[index]]}"
        seen[contents[index]] += 1
    return keys
