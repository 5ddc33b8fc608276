"""The first batch of a run, made by the code that training uses, to be checked before launch."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import torch

from workbench.check import resolve
from workbench.data.load import Dataset
from workbench.data.overview import input_texts
from workbench.data.progress import Progress
from workbench.data.report import LengthReport
from workbench.data.text.tokens import fast_backend
from workbench.spec import RunSpec
from workbench.training.core.device import Device, compiles
from workbench.training.core.forward import Batch
from workbench.training.core.state import TrainState
from workbench.training.core.steps import StepSchedule
from workbench.training.evaluation import COMPILED_MULTIPLE
from workbench.training.loop import seed_batch
from workbench.training.prepare import DownloadHooks, Prepared, prepare
from workbench.types import IGNORE_INDEX, Ints, JsonObject, Tokenizer
from workbench.workspace import Workspace

SHOWN_TOKENS = 128  # of a row that a page shows
SHOWN_CHARACTERS = 20_000  # of the text of a row


@dataclass(frozen=True)
class Row:
    """A row of a batch.

    Attributes:
        text: the text of the example; empty where a row is not one example (packed texts).
        tokens: T tokens, with padding.
        real: number of tokens that are not padding.
        full: tokens of the text before it was cut; more than ``real`` where ``max_length`` cut it.
        label: its target in words; empty where tokens have targets.
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
        """Number of tokens that ``max_length`` cuts off."""
        return max(0, self.full - self.real)


@dataclass(frozen=True)
class FirstBatch:
    """The first batch of a run, and what it was made with.

    Attributes:
        rows: the rows of the batch, in order.
        shapes: the shape of each tensor in the batch.
        batches: number of batches in the first epoch.
        padding: share of the batch's tokens that are padding.
        lengths: for each split, the report on lengths in tokens (:func:`workbench.data.report.length_report`).
        tokenizer: the model's tokenizer.
        dataset: the examples.
    """

    rows: list[Row]
    shapes: dict[str, tuple[int, ...]]
    batches: int
    padding: float
    lengths: dict[str, LengthReport]
    tokenizer: Tokenizer = field(repr=False)
    dataset: Dataset = field(repr=False)


def first_batch(
    spec: RunSpec, workspace: Workspace, confined: bool = False, progress: Progress | None = None
) -> FirstBatch:
    """Return the first batch of a run. Nothing is trained, and nothing is stored.

    Args:
        spec: the spec to launch.
        workspace: its cache and uploads are used.
        confined: allow only files inside the workspace's uploads.
        progress: called during downloads.

    Raises:
        SpecError, DataError, FetchError, RequestError: the run would fail before its first step.
    """
    resolved = resolve(spec, workspace, confined)
    settings = resolved.spec.training
    with _scratch_folder(workspace) as folder, torch.random.fork_rng(devices=[]):
        prepared = prepare(resolved, workspace, Path(folder) / "tokenizer", DownloadHooks(progress))
        train = prepared.splits["train"]
        steps = StepSchedule.from_spec(train.batches, settings, train.tokens, prepared.task.min_steps())
        indices = next(steps.optimizer_steps(TrainState())).batches[0]
        seed_batch(settings.seed, 0, 0)
        device = Device.choose(settings.device, settings.precision)
        multiple = COMPILED_MULTIPLE if compiles(settings.compile, device, lambda: steps.total) else 1
        batch = prepared.task.collate(train.encoded, indices, prepared.tokenizer.pad_token_id, multiple)
    ids = batch["input_ids"]
    real = batch["attention_mask"].sum() if "attention_mask" in batch else ids.numel()
    return FirstBatch(
        rows=_rows(batch, prepared, indices),
        shapes={name: tuple(tensor.shape) for name, tensor in batch.items()},
        batches=train.batches.count(0),
        padding=1 - float(real) / ids.numel(),
        lengths=prepared.lengths,
        tokenizer=prepared.tokenizer,
        dataset=prepared.dataset,
    )


class ShownRow(TypedDict):
    """A :class:`Row` as a page shows it, cut to a size that fits a page.

    Attributes:
        cells: the tokens of its text, as :func:`tokenize_text` returns them; empty where the row has no text.
    """

    text: str
    tokens: list[str]
    targets: list[str] | None
    label: str
    real: int
    cut: int
    cells: list[JsonObject]


class ShownBatch(TypedDict):
    """A :class:`FirstBatch` as a page shows it."""

    rows: list[ShownRow]
    shape: list[int]
    batches: int
    padding: float


def read_first_batch(spec: JsonObject, root: str, progress: Progress | None = None) -> ShownBatch:
    """Return the first batch of a run as JSON, for :mod:`workbench.system.limited_process`.

    Args:
        spec: the spec to launch, which may name files inside the workspace's uploads only.
        root: the workspace.
        progress: called while files are read.

    Raises:
        SpecError, DataError, FetchError, RequestError: the run would fail before its first step.
    """
    parsed = RunSpec.model_validate(spec)
    batch = first_batch(parsed, Workspace(Path(root)), confined=True, progress=progress)
    rows: list[ShownRow] = [
        {
            "text": row.text[:SHOWN_CHARACTERS],
            "tokens": row.tokens[:SHOWN_TOKENS],
            "targets": row.targets[:SHOWN_TOKENS] if row.targets is not None else None,
            "label": row.label,
            "real": row.real,
            "cut": row.cut,
            "cells": [
                dataclasses.asdict(cell)
                for cell in tokenize_text(batch.tokenizer, row.text[:SHOWN_CHARACTERS], parsed.data.max_length)
            ]
            if row.text
            else [],
        }
        for row in batch.rows
    ]
    shape = list(batch.shapes["input_ids"])
    return {"rows": rows, "shape": shape, "batches": batch.batches, "padding": batch.padding}


@dataclass(frozen=True)
class TokenCell:
    """A token of a text.

    Attributes:
        token: its name in the vocabulary.
        id: its index in the vocabulary.
        text: the characters that it stands for; empty for a special token.
        within_limit: whether it stays within ``max_length``.
    """

    token: str
    id: int
    text: str
    within_limit: bool


def tokenize_text(tokenizer: Tokenizer, text: str, max_length: int | None = None) -> list[TokenCell]:
    """Return the tokens of a text.

    Args:
        tokenizer: a tokenizer of the tokenizers library.
        text: the text.
        max_length: longest input in tokens; None for no limit.

    Raises:
        RequestError: the tokenizer is not one of the tokenizers library.
    """
    backend = fast_backend(tokenizer)
    backend.no_truncation()
    encoding = backend.encode(text)
    cut_at = len(encoding)
    if max_length is not None and cut_at > max_length:
        cut_at = max_length - sum(encoding.special_tokens_mask[1:])  # those at the end move forward
    cells = zip(encoding.tokens, encoding.ids, encoding.offsets, encoding.special_tokens_mask, strict=True)
    return [
        TokenCell(token, number, text[begin:end], i < cut_at or bool(special))
        for i, (token, number, (begin, end), special) in enumerate(cells)
    ]


def _scratch_folder(workspace: Workspace) -> tempfile.TemporaryDirectory[str]:
    """Return a temporary folder in the cache, or where the system keeps them if the cache cannot be written."""
    try:
        return tempfile.TemporaryDirectory(dir=workspace.cache)
    except OSError:
        return tempfile.TemporaryDirectory()


def _rows(batch: Batch, prepared: Prepared, indices: Ints) -> list[Row]:
    """Return the rows of a batch in words. An example of several texts (choices) takes several rows."""
    split, task, tokenizer = prepared.splits["train"], prepared.task, prepared.tokenizer
    texts = input_texts(prepared.dataset.train, task.columns())
    ids = batch["input_ids"].reshape(-1, batch["input_ids"].shape[-1])
    mask = batch.get("attention_mask", torch.ones_like(batch["input_ids"])).reshape(ids.shape)
    one_each = len(ids) == len(indices) and len(split.encoded) == len(split.examples)
    text_indices = split.encoded.texts_of(indices)
    rows = []
    for i in range(len(ids)):
        real = int(mask[i].sum())
        full = int(split.encoded.tokens.full_lengths[text_indices[i]]) if len(text_indices) == len(ids) else real
        label, targets = _targets(batch.get("labels"), i, ids.shape, tokenizer, task.labels)
        tokens = [str(token) for token in tokenizer.convert_ids_to_tokens(ids[i].tolist())]
        rows.append(Row(texts[int(indices[i])] if one_each else "", tokens, real, full, label, targets))
    return rows


def _targets(
    targets: torch.Tensor | None, i: int, shape: torch.Size, tokenizer: Tokenizer, labels: list[str]
) -> tuple[str, list[str] | None]:
    """Return the target of row ``i`` in words, and the targets of its tokens."""
    if targets is None or len(targets) != shape[0]:
        return "", None
    row = targets[i]
    if row.dim() == 1 and row.is_floating_point() and len(row) == len(labels):  # several labels
        return " | ".join(label for label, present in zip(labels, row.tolist(), strict=True) if present), None
    if row.dim() == 1 and not row.is_floating_point():
        return "", ["" if v == IGNORE_INDEX else _target_name(v, labels, tokenizer) for v in row.tolist()]
    value = row.item() if row.dim() == 0 else row.tolist()
    return (labels[value] if isinstance(value, int) and 0 <= value < len(labels) else str(value)), None


def _target_name(value: int, labels: list[str], tokenizer: Tokenizer) -> str:
    if labels:
        return labels[value] if 0 <= value < len(labels) else str(value)
    return str(tokenizer.convert_ids_to_tokens(value))
