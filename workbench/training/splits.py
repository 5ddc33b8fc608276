"""The parts of a run's data, ready for the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workbench.data.examples import Examples
from workbench.data.load import Dataset
from workbench.data.report import length_report
from workbench.data.text.batching import Batches
from workbench.errors import SpecError
from workbench.spec import RunSpec
from workbench.tasks.base import Encoded, Task
from workbench.training.frozen import ActivationStore

EVALUATION_FACTOR = 2  # evaluation keeps nothing for a backward pass: larger batches fit


@dataclass
class EncodedSplit:
    """One part of the data, ready for the model."""

    examples: Examples
    encoded: Encoded
    batches: Batches
    features: ActivationStore | None = None

    def __len__(self) -> int:
        return len(self.encoded)


def encode_splits(
    task: Task, tokenizer: Any, dataset: Dataset, spec: RunSpec
) -> tuple[dict[str, EncodedSplit], dict[str, dict[str, Any]]]:
    """Every part that is not empty, as tokens and batches; and a report on the lengths of each.

    Raises:
        DataError: the texts are too few, or are no texts.
        SpecError: there is no part to evaluate on.
    """
    settings, longest = spec.training, spec.data.max_length
    parts: dict[str, EncodedSplit] = {}
    lengths: dict[str, dict[str, Any]] = {}
    for name, examples in (("train", dataset.train), ("valid", dataset.valid), ("test", dataset.test)):
        if not len(examples):
            continue
        encoded = task.encode(tokenizer, examples, longest, training=name == "train")
        larger = 1 if name == "train" else EVALUATION_FACTOR
        budget = settings.max_tokens_per_batch * larger if settings.max_tokens_per_batch else None
        batches = Batches(
            encoded.lengths, settings.batch_size * larger, budget, settings.group_by_length, settings.seed
        )
        parts[name] = EncodedSplit(examples, encoded, batches)
        lengths[name] = length_report(encoded.tokens.full_lengths.tolist(), longest)
    if not parts.keys() & {"test", "valid"}:
        raise SpecError("There is nothing to evaluate on.", "Give data.test, or a share for data.holdout.test.")
    return parts, lengths
