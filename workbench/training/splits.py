"""The splits of a run's data, encoded and batched for the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench.data.examples import Examples
from workbench.data.load import Dataset
from workbench.data.report import LengthReport, length_report
from workbench.data.text.batching import Batches
from workbench.errors import SpecError
from workbench.runs.report_notes import WarningNote
from workbench.spec import RunSpec
from workbench.tasks.base import Task
from workbench.tasks.contexts import Encoded
from workbench.types import Ints, Tokenizer

if TYPE_CHECKING:
    from workbench.training.frozen import ActivationStore

EVALUATION_BATCH_FACTOR = 2  # evaluation keeps no activations for a backward pass, so larger batches fit


@dataclass
class EncodedSplit:
    """A split of the data, encoded and batched for the model.

    Attributes:
        examples: the examples of the split.
        encoded: the same as tokens and targets.
        batches: which rows form a batch.
        activations: cached activations of the frozen layers; None where there is no cache.
    """

    examples: Examples
    encoded: Encoded
    batches: Batches
    activations: ActivationStore | None = None

    def __len__(self) -> int:
        return len(self.encoded)

    def tokens(self, indices: Ints) -> int:
        """Return the number of tokens in a batch, without padding.

        Args:
            indices: the rows of the batch.
        """
        return int(self.encoded.lengths[indices].sum())

    def padded_tokens(self) -> int:
        """Return the number of tokens in all batches, with padding."""
        return self.batches.padded_tokens(self.batches.in_order())

    def subset(self, rows: list[int], encode: Callable[[Examples], Encoded]) -> EncodedSplit:
        """Return a split of some examples.

        Args:
            rows: indices of the examples.
            encode: encodes examples as this split was encoded.
        """
        examples = self.examples.take(rows)
        encoded = encode(examples)
        return EncodedSplit(examples, encoded, replace(self.batches, lengths=encoded.lengths))


def encode_splits(
    task: Task, tokenizer: Tokenizer, dataset: Dataset, spec: RunSpec
) -> tuple[dict[str, EncodedSplit], dict[str, LengthReport]]:
    """Encode every split that is not empty.

    Args:
        task: encodes the examples.
        tokenizer: the model's tokenizer.
        dataset: the examples.
        spec: a resolved spec.

    Returns:
        The splits by name, and for each the report on its lengths (:func:`workbench.data.report.length_report`).

    Raises:
        DataError: there are too few texts, or values that are not texts.
        SpecError: there is no split to evaluate on.
    """
    settings, max_length = spec.training, spec.data.max_length
    splits: dict[str, EncodedSplit] = {}
    lengths: dict[str, LengthReport] = {}
    for name, examples in (("train", dataset.train), ("valid", dataset.valid), ("test", dataset.test)):
        if not len(examples):
            continue
        encoded = task.encode(tokenizer, examples, max_length, training=name == "train")
        factor = 1 if name == "train" else EVALUATION_BATCH_FACTOR
        max_tokens = settings.max_tokens_per_batch * factor if settings.max_tokens_per_batch else None
        batches = Batches(
            encoded.lengths, settings.batch_size * factor, max_tokens, settings.group_by_length, settings.seed
        )
        splits[name] = EncodedSplit(examples, encoded, batches)
        lengths[name] = length_report(encoded.tokens.full_lengths.tolist(), max_length)
    if not splits.keys() & {"test", "valid"}:
        raise SpecError("There is nothing to evaluate on.", "Set data.test, or a share for data.holdout.test.")
    return splits, lengths


def reported_split(splits: dict[str, EncodedSplit]) -> str:
    """Return the name of the split that the report is about: the test split, or else the validation split.

    Args:
        splits: the splits by name.
    """
    return "test" if "test" in splits else "valid"


WARNING_SHARE = 0.01  # of the texts of a split: from here on, a note on truncation is a warning


def truncation_notes(
    splits: Mapping[str, EncodedSplit], lengths: Mapping[str, LengthReport], positions: int | None
) -> list[str]:
    """Return notes on texts that were truncated; none if the model reads all of every text.

    Args:
        splits: the encoded splits.
        lengths: the lengths of each split's inputs.
        positions: how many tokens the model can read at most; None for no limit.
    """
    own = {name: split.encoded.truncation for name, split in splits.items() if split.encoded.truncation}
    if own:
        return [WarningNote(f"{name}: {message}") for name, message in own.items()]
    truncated = {name: report for name, report in lengths.items() if report["truncated"]}
    if not truncated:
        return []
    max_length = next(iter(truncated.values()))["max_length"]
    shares = ", ".join(
        f"{name} {report['truncated']:,} of {report['count']:,} ({_percent(report['truncated_share'])})"
        for name, report in truncated.items()
    )
    longest = max(report["max"] for report in truncated.values())
    note = (
        f"Texts longer than {max_length:,} tokens (data.max_length) are truncated: {shares}. The model does not read "
        f"what is cut off. {_remedy(longest, max_length, positions)}"
    )
    share = max(report["truncated_share"] for report in truncated.values())
    return [WarningNote(note) if share >= WARNING_SHARE else note]


def _percent(share: float) -> str:
    return f"{share:.0%}" if 0.01 <= share <= 0.99 or share == 1 else f"{share:.1%}"


def _remedy(longest: int, max_length: int, positions: int | None) -> str:
    if positions is None or longest <= positions:
        return f"The longest text has {longest:,} tokens: data.max_length: {longest} reads everything."
    if max_length < positions:
        return (
            f"The longest text has {longest:,} tokens; this model can read {positions:,} at most: data.max_length: "
            f"{positions}."
        )
    return f"The longest text has {longest:,} tokens, which is more than this model can read."
