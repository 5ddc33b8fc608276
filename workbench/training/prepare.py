"""Prepares the data and the model of a run, in one way for everything that needs them.

    prepared = prepare(resolve(spec, workspace), workspace, tokenizer_folder)

Training, the cost estimate, the first batch, pruning, the learning-rate range test and the comparison with the base
model all start here, so they see the same examples, the same tokens and the same initial weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from workbench.check import Resolved
from workbench.data.examples import Examples
from workbench.data.load import Dataset, load_data
from workbench.data.progress import Progress
from workbench.data.report import LengthReport
from workbench.data.text.tokens import fast_backend
from workbench.data.text.unknown_tokens import unknown_share
from workbench.errors import DataError, SpecError
from workbench.files import read_json
from workbench.models.base import LoadedModel
from workbench.runs.report_notes import WarningNote, by_severity
from workbench.runs.run import MAX_SPLITS_BYTES, Run
from workbench.spec import RunSpec
from workbench.tasks.base import Task
from workbench.tasks.contexts import Encoded
from workbench.training.splits import EncodedSplit, encode_splits, reported_split, truncation_notes
from workbench.tuning.max_length import max_text_length
from workbench.types import Model, Tokenizer
from workbench.workspace import Workspace

_COUNTED_TEXTS = 1_000  # training texts in which unknown tokens are counted
_MANY_UNKNOWN = 0.02  # share of unknown tokens that is noted


class PrepareHooks:
    """Receives the events of a preparation. The base class ignores them; a hook may raise to end the preparation."""

    def phase(self, name: str) -> None:
        """Receive the beginning of a phase.

        Args:
            name: the phase, in lower case.
        """

    def download(self, label: str, done: int, total: int | None) -> None:
        """Receive the progress of a download, or of training a tokenizer.

        Args:
            label: what is done.
            done: bytes or items done.
            total: bytes or items in all; None if unknown.
        """

    def data_loaded(self, dataset: Dataset) -> None:
        """Receive the data, before the task looks at them.

        Args:
            dataset: all splits.
        """

    def tokenizer_ready(self, dataset: Dataset, notes: list[str]) -> None:
        """Receive the data again, after the task has learned the labels and a tokenizer was trained where needed.

        Args:
            dataset: all splits.
            notes: sentences about the tokenizer.
        """

    def model_loaded(self, dataset: Dataset, loaded: LoadedModel) -> None:
        """Receive the model, before anything is encoded.

        Args:
            dataset: all splits.
            loaded: model, tokenizer and base.
        """


class DownloadHooks(PrepareHooks):
    """Passes the progress of downloads on, and ignores the other events.

    Args:
        progress: called during downloads; None to ignore them, too.
    """

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress

    def download(self, label: str, done: int, total: int | None) -> None:
        if self.progress is not None:
            self.progress(label, done, total)


@dataclass(frozen=True)
class Prepared:
    """The data and the model of a run before fine-tuning.

    Attributes:
        resolved: the spec with its task, model source and fine-tuning method; the task knows its labels.
        dataset: the examples.
        loaded: the model with its initialized head, its tokenizer and its base.
        splits: the encoded splits by name.
        lengths: the report on the lengths of each split.
        notes: sentences about the data and its encoding, warnings first.
    """

    resolved: Resolved
    dataset: Dataset
    loaded: LoadedModel
    splits: dict[str, EncodedSplit]
    lengths: dict[str, LengthReport]
    notes: list[str]

    @property
    def spec(self) -> RunSpec:
        """The resolved spec."""
        return self.resolved.spec

    @property
    def task(self) -> Task:
        """The run's task."""
        return self.resolved.task

    @property
    def model(self) -> Model:
        """The model with its head, before fine-tuning."""
        return self.loaded.model

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        return self.loaded.tokenizer

    @property
    def reported(self) -> str:
        """Name of the split that the report is about."""
        return reported_split(self.splits)

    def encode(self, split: EncodedSplit, rows: list[int]) -> EncodedSplit:
        """Return a split of some examples, encoded for evaluation.

        Args:
            split: the split to take from.
            rows: indices of its examples.
        """
        return split.subset(rows, lambda examples: self._encode_examples(examples))

    def _encode_examples(self, examples: Examples) -> Encoded:
        return self.task.encode(self.tokenizer, examples, self.spec.data.max_length)


def prepare(
    resolved: Resolved, workspace: Workspace, tokenizer_folder: Path, hooks: PrepareHooks | None = None
) -> Prepared:
    """Load the data, load the model, encode the data, and initialize the head.

    New weights are sampled from the run's seed; torch's global generator is changed.

    Args:
        resolved: a resolved spec. Its task learns the labels.
        workspace: its cache and uploads are used.
        tokenizer_folder: where a trained tokenizer is stored; one that exists there is used.
        hooks: receives the events.

    Raises:
        SpecError: the model does not fit the task, the texts or the fine-tuning method.
        DataError: the data cannot be used.
        FetchError: the data or the model could not be downloaded.
        RequestError: the model cannot be used.
    """
    hooks = hooks or PrepareHooks()
    task, spec = resolved.task, resolved.spec
    hooks.phase("reading the data")
    dataset = load_data(spec.data, task.columns(), workspace, hooks.download)
    hooks.data_loaded(dataset)
    _learn_labels(resolved, dataset.train)
    tokenizer_notes = resolved.model.prepare(lambda: task.texts(dataset.train), tokenizer_folder, hooks.download)
    hooks.tokenizer_ready(dataset, tokenizer_notes)
    dataset.notes += tokenizer_notes
    hooks.phase("loading the model")
    loaded = load_model(resolved, hooks)
    hooks.model_loaded(dataset, loaded)
    hooks.phase("tokenizing")
    splits, lengths = encode_splits(task, loaded.tokenizer, dataset, spec)
    notes = [f"{name}: {split.encoded.note}" for name, split in splits.items() if split.encoded.note]
    notes += _note_unknown_tokens(task, loaded.tokenizer, dataset.train)
    if spec.training.class_weights is not None:
        task.balance_classes(splits["train"].encoded)
    truncation = truncation_notes(splits, lengths, _longest_text(resolved, loaded))
    notes = by_severity([*dataset.notes, *truncation, *notes])
    task.init_head(loaded.model, splits["train"].encoded, loaded.newly_initialized)
    return Prepared(resolved, dataset, loaded, splits, lengths, notes)


def _note_unknown_tokens(task: Task, tokenizer: Tokenizer, train: Examples) -> list[str]:
    """Return a warning if the tokenizer does not know many characters of some training texts."""
    texts = list(islice(task.texts(train), _COUNTED_TEXTS))
    share = unknown_share(fast_backend(tokenizer), texts)
    if share is None or share < _MANY_UNKNOWN:
        return []
    return [
        WarningNote(
            f"{share:.0%} of the tokens of the training texts are unknown to the tokenizer ({tokenizer.unk_token}): "
            "the model cannot tell them apart. Use a model that was trained on their language."
        )
    ]


def _learn_labels(resolved: Resolved, train: Examples) -> None:
    """Let the task learn its labels. The order that the task or the model already knows is kept for equal labels."""
    task = resolved.task
    known = task.labels = task.labels or resolved.model.trained_labels(task.name)
    task.fit(train)
    if task.labels is known:  # the task did not learn labels
        task.labels = []


def load_model(resolved: Resolved, hooks: PrepareHooks) -> LoadedModel:
    """Load the model of a spec and check that it fits. New weights are sampled from the seed.

    Args:
        resolved: a resolved spec; its task knows the labels.
        hooks: receives the progress of downloads.

    Raises:
        SpecError: the model does not fit the task, the texts or the fine-tuning method.
        FetchError: the model could not be downloaded.
        RequestError: the model cannot be used.
    """
    task = resolved.task
    torch.manual_seed(resolved.spec.training.seed)
    loaded = resolved.model.load(task.head, task.model_options(), hooks.download)
    _check_fit(resolved, loaded)
    task.configure(loaded.model)
    return loaded


def load_base(resolved: Resolved, run: Run, progress: Progress | None = None) -> LoadedModel:
    """Load the model that a finished run began with, with the head that the run gave it.

    The run's data is read only if the task initializes new heads from them. Torch's global generator is changed.

    Args:
        resolved: the run's resolved spec; its task knows the labels.
        run: its folder holds the trained tokenizer, if there is one.
        progress: called during downloads.

    Raises:
        DataError: the data is needed, but cannot be read or has changed.
        FetchError: the base cannot be downloaded.
        RequestError, SpecError: the base cannot be used.
    """
    hooks, folder = DownloadHooks(progress), run.tokenizer_folder
    resolved.model.prepare(lambda: iter(()), folder, hooks.download)
    loaded = load_model(resolved, hooks)
    if not loaded.newly_initialized or type(resolved.task).init_head is Task.init_head:
        return loaded
    prepared = prepare(resolved, run.workspace, folder, hooks)
    stored = read_json(run.splits_file, MAX_SPLITS_BYTES)
    if isinstance(stored, dict) and stored.get("fingerprint") != prepared.dataset.fingerprint:
        raise DataError(
            f"The data of run {run.id} has changed: {resolved.spec.data.train} now has different examples. Its new "
            "head was initialized from them.",
            "Restore the file.",
        )
    prepared.task.finalize(prepared.model)
    return prepared.loaded


def _longest_text(resolved: Resolved, loaded: LoadedModel) -> int | None:
    """Return how many tokens of a text the model can read beside the method's virtual tokens; None for no limit."""
    positions = max_text_length(loaded.model)
    return None if positions is None else positions - resolved.tuning.num_virtual_tokens()


def _check_fit(resolved: Resolved, loaded: LoadedModel) -> None:
    """Raise SpecError for texts longer than the model's positions, and for a head that an adapter cannot hold."""
    spec, tuning = resolved.spec, resolved.tuning
    positions, virtual = max_text_length(loaded.model), tuning.num_virtual_tokens()
    if positions is not None and spec.data.max_length + virtual > positions:
        more = f" and {virtual} virtual ones" if virtual else ""
        raise SpecError(
            f"data.max_length is {spec.data.max_length} tokens{more}, but {spec.model.source} has {positions} "
            "positions.",
            f"Set data.max_length to {positions - virtual} or less.",
        )
    if tuning.saves_adapter and _has_new_tied_head(loaded):
        raise SpecError(
            f"{spec.model.source} has no head for {resolved.task.name}, and an adapter cannot hold a new one: it "
            "shares weights with the embeddings.",
            "Use tuning: full, head or freeze; or start from a model that has this head.",
        )


def _has_new_tied_head(loaded: LoadedModel) -> bool:
    """Return whether newly initialized weights are in a module with an output that is tied to the embeddings."""
    output = loaded.model.get_output_embeddings()
    if output is None or output.weight is not loaded.model.get_input_embeddings().weight:
        return False
    holders = (loaded.model.get_submodule(name.rpartition(".")[0]) for name in loaded.newly_initialized)
    return any(parameter is output.weight for module in holders for parameter in module.parameters())
