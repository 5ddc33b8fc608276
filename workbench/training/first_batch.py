"""The first batch that a run will train on, made by the code that training uses, to be looked at before launch."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from workbench.check import resolve
from workbench.data.load import Dataset, load_data
from workbench.data.overview import input_texts
from workbench.data.progress import Progress
from workbench.data.text.tokens import fast_backend
from workbench.spec import RunSpec
from workbench.training.loop import seed_batch
from workbench.training.splits import EncodedSplit, encode_splits
from workbench.training.state import TrainState
from workbench.training.steps import StepSchedule
from workbench.workspace import Workspace

IGNORED = -100  # torch's mark of a place that has no target


@dataclass(frozen=True)
class Row:
    """A row of a batch.

    Attributes:
        text: what the model reads of the example; empty where a row is not one example (packed texts).
        tokens: T tokens, padding included.
        real: how many of them are no padding.
        full: tokens of the text before it was cut; more than ``real`` where ``max_length`` cut it.
        label: its target in words; empty where targets stand at tokens.
        targets: T targets, empty where a token has none; None where the row has one target or none.
    """

    text: str
    tokens: list[str]
    real: int
    full: int
    label: str = ""
    targets: list[str] | None = None

    @property
    def cut(self) -> int:
        """Tokens that ``max_length`` cuts off."""
        return max(0, self.full - self.real)


@dataclass(frozen=True)
class FirstBatch:
    """The first batch of a run, and what it was made with.

    Attributes:
        rows: of the batch, in its order.
        shapes: of each tensor that the model is given.
        batches: in the first epoch.
        padding: share of the batch's tokens that are padding.
        lengths: for each part, the report on lengths in tokens (:func:`workbench.data.report.length_report`).
        tokenizer: the model's.
        dataset: what was read.
    """

    rows: list[Row]
    shapes: dict[str, tuple[int, ...]]
    batches: int
    padding: float
    lengths: dict[str, dict[str, Any]]
    tokenizer: Any = field(repr=False)
    dataset: Dataset = field(repr=False)


def first_batch(
    spec: RunSpec, workspace: Workspace, confined: bool = False, progress: Progress | None = None
) -> FirstBatch:
    """The first batch of the run that ``spec`` describes; nothing is trained and nothing is kept.

    Args:
        spec: what would be launched.
        workspace: whose cache and uploads are used.
        confined: only files inside the workspace's uploads are allowed.
        progress: called while something is downloaded.

    Raises:
        SpecError, DataError, FetchError, RequestError: what would make the run fail before its first step.
    """
    resolved = resolve(spec, workspace, confined)
    task, settings = resolved.task, resolved.spec.training
    dataset = load_data(resolved.spec.data, task.columns(), workspace, progress)
    task.fit(dataset.train)
    with tempfile.TemporaryDirectory(dir=workspace.cache) as folder, torch.random.fork_rng(devices=[]):
        resolved.model.prepare(lambda: task.texts(dataset.train), Path(folder) / "tokenizer", progress)
        torch.manual_seed(settings.seed)
        loaded = resolved.model.load(task.head, task.model_options(), progress)
        task.configure(loaded.model)
        parts, lengths = encode_splits(task, loaded.tokenizer, dataset, resolved.spec)
        train = parts["train"]
        steps = StepSchedule.from_spec(
            train.batches, settings, lambda indices: int(train.encoded.lengths[indices].sum())
        )
        indices = next(iter(steps.optimizer_steps(TrainState()))).batches[0]
        seed_batch(settings.seed, 0, 0)
        batch = task.collate(train.encoded, indices, loaded.tokenizer.pad_token_id, 64 if settings.compile else 1)
    rows = _rows(batch, train, indices, input_texts(dataset.train, task.columns()), loaded.tokenizer, task.labels)
    ids = batch["input_ids"]
    real = batch["attention_mask"].sum() if "attention_mask" in batch else ids.numel()
    shapes = {name: tuple(tensor.shape) for name, tensor in batch.items()}
    batches = train.batches.count(0)
    return FirstBatch(rows, shapes, batches, 1 - float(real) / ids.numel(), lengths, loaded.tokenizer, dataset)


def pieces(tokenizer: Any, text: str, max_length: int | None = None) -> list[dict[str, Any]]:
    """How a text is cut into tokens: ``{"token", "id", "text", "kept"}`` each.

    ``text`` is the part of the text that the token stands for, empty for a special token; ``kept`` is whether
    ``max_length`` leaves it there.

    Raises:
        RequestError: the tokenizer is not one of the tokenizers library.
    """
    backend = fast_backend(tokenizer)
    backend.no_truncation()
    whole = backend.encode(text)
    kept = len(whole)
    if max_length is not None and kept > max_length:
        kept = max_length - sum(whole.special_tokens_mask[1:])  # those at the end move forward
    return [
        {"token": token, "id": number, "text": text[begin:end], "kept": i < kept or bool(special)}
        for i, (token, number, (begin, end), special) in enumerate(
            zip(whole.tokens, whole.ids, whole.offsets, whole.special_tokens_mask, strict=True)
        )
    ]


def _rows(
    batch: dict[str, torch.Tensor],
    part: EncodedSplit,
    indices: Any,
    texts: list[str],
    tokenizer: Any,
    labels: list[str],
) -> list[Row]:
    """The rows of ``batch`` in words. A row of several texts (choices) stands there as several rows."""
    ids = batch["input_ids"].reshape(-1, batch["input_ids"].shape[-1])
    mask = batch.get("attention_mask", torch.ones_like(batch["input_ids"])).reshape(ids.shape)
    one_each = len(ids) == len(indices) and len(part.encoded) == len(part.examples)
    numbers = part.encoded.texts_of(indices)
    rows = []
    for i in range(len(ids)):
        real = int(mask[i].sum())
        full = int(part.encoded.tokens.full_lengths[numbers[i]]) if len(numbers) == len(ids) else real
        label, targets = _targets(batch.get("labels"), i, ids.shape, tokenizer, labels)
        tokens = [str(token) for token in tokenizer.convert_ids_to_tokens(ids[i].tolist())]
        rows.append(Row(texts[int(indices[i])] if one_each else "", tokens, real, full, label, targets))
    return rows


def _targets(
    targets: torch.Tensor | None, i: int, shape: torch.Size, tokenizer: Any, labels: list[str]
) -> tuple[str, list[str] | None]:
    """The target of row ``i`` in words, and those at its tokens."""
    if targets is None or len(targets) != shape[0]:
        return "", None
    row = targets[i]
    if row.dim() == 1 and row.is_floating_point() and len(row) == len(labels):  # several labels
        return " | ".join(label for label, given in zip(labels, row.tolist(), strict=True) if given), None
    if row.dim() == 1 and not row.is_floating_point():
        return "", ["" if v == IGNORED else _named(v, labels, tokenizer) for v in row.tolist()]
    value = row.item() if row.dim() == 0 else row.tolist()
    return (labels[value] if isinstance(value, int) and 0 <= value < len(labels) else str(value)), None


def _named(value: int, labels: list[str], tokenizer: Any) -> str:
    if labels:
        return labels[value] if 0 <= value < len(labels) else str(value)
    return str(tokenizer.convert_ids_to_tokens(value))
