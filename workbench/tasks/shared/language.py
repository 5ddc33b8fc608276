"""Base class of the self-supervised tasks: masked-lm, masked-lm-nsp, causal-lm and seq2seq-denoising.

    texts --> documents as tokens --> chunks of at most data.max_length --> rows (packed, for training)

Each task defines how to cut a document into chunks, which tokens can be predicted, and how to corrupt a batch so that
there is something to predict. Training rows are packed if the model can keep documents apart (``document_ids``).
Evaluation rows are not packed: each is a chunk of one document. So every metric is known for each document, and
intervals and comparisons of runs resample documents.
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from workbench import notes
from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.packing import (
    Documents,
    SpecialTokens,
    TokenSpan,
    join_chunks,
    pack_chunks,
    special_prefix_suffix,
    split_chunks,
    tokenize_documents,
)
from workbench.data.text.tokens import TokenTable
from workbench.errors import DataError, SpecError
from workbench.metrics import measures, text_scores
from workbench.spec import SpecModel
from workbench.tasks.answers import Answer, FilledMasks, GeneratedText
from workbench.tasks.base import ModelOutput, Outcome, PredictionRows, Task, TaskReport
from workbench.tasks.contexts import Array, Batch, Encoded, InferenceContext, TaskInput
from workbench.tasks.shared.inputs import with_options
from workbench.tasks.shared.results import prediction_table
from workbench.tasks.shared.token_sums import drops_capitals, row_sums, token_sums, unigram_sums
from workbench.types import Bools, Floats, Ints, Json, JsonObject, Model, Tokenizer

if TYPE_CHECKING:
    import torch

EXCERPT = 200  # characters of a document that predictions store
SAMPLES = 3  # texts that the model generates after each evaluation
SAMPLE_WORDS = 12  # words of a training text in a sample's prompt

TEXT_GUESSES = ("text", "sentence", "content", "document", "body", "article", "review", "comment", "docstring")

Plan: TypeAlias = Any  # data about the rows that a task needs in ``corrupt``


@dataclass(frozen=True)
class TextTargets:
    """The targets of N rows that were cut from D documents.

    Attributes:
        predicted: int64 [N], number of predicted tokens in each row.
        document: int64 [N], the document that a row was cut from; -1 if several documents are packed into it.
        tokens: int64 [D], number of tokens in each document that can be predicted.
        bytes: int64 [D], length of each document in UTF-8.
        counts: int64 [V], how often each token can be predicted: the unigram model.
        more: further data about the rows that the task needs.
        tokenizer: information that the tokenizer loses: ``unknown``, the share of unknown tokens, and
            ``lowercase``, whether it drops capitals; None if that was not measured.
    """

    predicted: Ints
    document: Ints
    tokens: Ints
    bytes: Ints
    counts: Ints
    more: Plan = None
    tokenizer: JsonObject | None = None


@dataclass(frozen=True)
class ModelInputs:
    """The inputs that a model accepts besides tokens and labels.

    Attributes:
        packed: ``document_ids``, for rows that contain several documents.
        token_types: token type ids, which tell the two texts of a pair apart.
        label_positions: positions of the labels, for heads that compute only those logits.
    """

    packed: bool = False
    token_types: bool = False
    label_positions: bool = False

    @classmethod
    def of(cls, model: Model) -> ModelInputs:
        """Inspect the inputs of a model.

        Args:
            model: the loaded model.
        """
        names = {*signature(model.forward).parameters, *signature(model.base_model.forward).parameters}
        return cls(
            packed="document_ids" in names,
            token_types="token_type_ids" in names and getattr(model.config, "type_vocab_size", 0) > 1,
            label_positions="label_positions" in names,
        )


class LanguageModel(Task):
    """Base class of the tasks that learn from unlabelled text."""

    peft_type = "FEATURE_EXTRACTION"
    primary_metric = "loss"
    smaller_is_better = True
    stochastic_inputs = True
    generates = True
    metric_names: ClassVar[Sequence[str]]  # of text_scores.measures
    baseline_name = "the token frequencies in training, without any context"

    def __init__(self, config: SpecModel | None = None) -> None:
        super().__init__(config)
        self.model_inputs = ModelInputs()
        self.excerpts: list[str] = []

    # -- data ----------------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        return [Column("text", "The text to learn from.", TEXT_GUESSES)]

    def fit(self, train: Examples) -> None:
        self.excerpts = [" ".join(text.split()[:SAMPLE_WORDS]) for text in train.columns["text"][:SAMPLES]]

    def configure(self, model: Model) -> None:
        self.model_inputs = ModelInputs.of(model)

    @property
    def packs(self) -> bool:
        """Whether training rows hold several documents."""
        return self.model_inputs.packed and bool(getattr(self.config, "packing", False))

    def encode(self, tokenizer: Tokenizer, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        self.read_special_tokens(tokenizer)
        documents, sentence_ends = self.read(tokenizer, examples)
        _check_corpus(documents, max_length, training)
        chunks, owner, plan = self.cut_chunks(documents, sentence_ends, tokenizer, max_length)
        tokens = self.tokens_by_document(documents, chunks, owner)
        counts = np.bincount(chunks.ids[self.predictable(chunks)], minlength=len(tokenizer))
        rows, note = chunks, ""
        order, first = np.arange(len(chunks)), np.arange(len(chunks) + 1)  # each row is a chunk
        if training and self.packs:
            rows, order, first = pack_chunks(chunks, max_length)
            owner = np.full(len(rows), -1, dtype=np.int64)
            full = int(rows.offsets[-1]) / (len(rows) * max_length)
            note = notes.PACKED.format(
                documents=f"{len(documents):,}", rows=f"{len(rows):,}", length=max_length, share=f"{full:.1%}"
            )
        size = np.array([len(text.encode("utf-8")) for text in examples.columns["text"]], dtype=np.int64)
        more = None if plan is None else plan.placed(chunks.lengths, order, first)
        lost: JsonObject = {
            "unknown": float((documents.ids == tokenizer.unk_token_id).mean()),
            "lowercase": drops_capitals(tokenizer),
        }
        targets = TextTargets(self.predicted(rows), owner, tokens, size, counts, more, lost)
        return Encoded(rows, targets, note)

    @property
    def needs_words(self) -> bool:
        """Whether the task needs the word index of each token."""
        return False

    def read_special_tokens(self, tokenizer: Tokenizer) -> None:
        """Store the special tokens that the task uses.

        Args:
            tokenizer: the model's tokenizer.

        Raises:
            SpecError: the tokenizer lacks one.
        """

    def read(self, tokenizer: Tokenizer, examples: Examples) -> tuple[Documents, list[Ints]]:
        """Return the documents' tokens, and the sentence offsets of each document, if the task needs them.

        Args:
            tokenizer: the model's tokenizer.
            examples: examples of one split.
        """
        return tokenize_documents(tokenizer, examples.columns["text"], words=self.needs_words), []

    def cut_chunks(
        self, documents: Documents, sentence_ends: list[Ints], tokenizer: Tokenizer, max_length: int
    ) -> tuple[TokenTable, Ints, Plan]:
        """Cut documents into P chunks.

        Args:
            documents: tokens of D documents.
            sentence_ends: sentence offsets from ``read``.
            tokenizer: the model's tokenizer.
            max_length: maximum number of tokens in a chunk.

        Returns:
            The chunks; the document of each, int64 [P]; and a plan whose method ``placed`` takes the rows that the
            chunks were packed into, or None if the task needs no plan.
        """
        prefix, suffix = self.special_tokens(tokenizer)
        document, begin, lengths = split_chunks(documents.lengths, _room(max_length, len(prefix) + len(suffix)))
        span = TokenSpan(documents.offsets[document] + begin, lengths)
        last = None
        if self.ends_documents:  # a generating model must not learn to stop where a text was merely cut
            last = begin + lengths == documents.lengths[document]
        return (
            join_chunks(documents, len(lengths), [SpecialTokens(prefix), span, SpecialTokens(suffix, where=last)]),
            document,
            None,
        )

    ends_documents: ClassVar[bool] = False  # whether only the last chunk of a document ends with special tokens

    def special_tokens(self, tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
        """Return the special tokens before and after each chunk.

        Args:
            tokenizer: the model's tokenizer.
        """
        return special_prefix_suffix(tokenizer)

    def predictable(self, table: TokenTable) -> Bools:
        """Return which tokens can be predicted, [total tokens].

        Args:
            table: chunks or rows.
        """
        assert table.words is not None
        return np.asarray(table.words != -1)

    def predicted(self, rows: TokenTable) -> Ints:
        """Return the number of tokens predicted in each row at a time, int64 [N].

        Args:
            rows: N rows.
        """
        return row_sums(rows, self.predictable(rows))

    def tokens_by_document(self, documents: Documents, chunks: TokenTable, owner: Ints) -> Ints:
        """Return the number of tokens in each document that can be predicted, int64 [D].

        Args:
            documents: D documents.
            chunks: P chunks.
            owner: the document of each chunk, [P].
        """
        counts = np.bincount(owner, row_sums(chunks, self.predictable(chunks)), minlength=len(documents))
        return counts.astype(np.int64)

    def loss_weight(self, encoded: Encoded, indices: Ints) -> int:
        return int(encoded.targets.predicted[indices].sum())

    def collate(self, encoded: Encoded, indices: Ints, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        import torch

        arrays = encoded.tokens.pad(indices, pad_id, multiple)
        batch = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return self.corrupt(batch, encoded, indices, multiple)

    @abstractmethod
    def corrupt(
        self, batch: dict[str, torch.Tensor], encoded: Encoded, indices: Ints, multiple: int
    ) -> dict[str, torch.Tensor]:
        """Corrupt a batch of original texts so that there is something to predict, and add ``labels``.

        Args:
            batch: the original texts, [B, T].
            encoded: the encoded split.
            indices: indices of the batch's rows, [B].
            multiple: rows are padded to a multiple of this length.
        """

    # -- model ---------------------------------------------------------------------------------------------------------

    def outputs(self, model_output: ModelOutput, batch: Batch) -> torch.Tensor:
        # For each row, the loss in nats, the number of predicted tokens and the number of correct ones, [B, 3].
        return token_sums(model_output.logits, batch["labels"])

    # -- results -------------------------------------------------------------------------------------------------------

    output_columns: ClassVar[tuple[str, ...]] = ("nats", "predicted", "right")

    def by_document(self, outputs: Array, targets: TextTargets) -> dict[str, Floats]:
        """Return the sums of each document, columns [D] of :mod:`workbench.metrics.text_scores`.

        Args:
            outputs: the outputs for all rows, [N, columns].
            targets: targets of the split.
        """
        documents = len(targets.bytes)
        table = {
            name: np.bincount(targets.document, outputs[:, i], minlength=documents).astype(np.float64)
            for i, name in enumerate(self.output_columns)
        }
        return table | {"tokens": targets.tokens.astype(np.float64), "bytes": targets.bytes.astype(np.float64)}

    def metrics(self, outputs: Array, targets: TextTargets) -> dict[str, float]:
        return measures.metric_values(self.by_document(outputs, targets), text_scores.measures(self.metric_names))

    def report(self, outcome: Outcome, targets: TextTargets, train_targets: TextTargets) -> TaskReport:
        table = self.by_document(outcome, targets)
        known = text_scores.measures(self.metric_names)
        baseline = self.baseline(table, targets, train_targets)
        lost = text_scores.describe_lost_text(targets.tokenizer)
        note = f"{text_scores.LOSES_TEXT} ({lost}): bits per byte cover only the remaining text and are too low."
        return {
            "metrics": measures.intervals(table, known),
            "measures": known,
            "baseline": {name: float(measures.metric_value(measure, baseline)) for name, measure in known.items()},
            "baseline_name": self.baseline_name,
            "documents": len(targets.bytes),
            "tokenizer": targets.tokenizer,
            "notes": [note] if lost and "bits_per_byte" in known else [],
        }

    def baseline(
        self, table: Mapping[str, Floats], targets: TextTargets, train_targets: TextTargets
    ) -> dict[str, float]:
        """Return the sums of a unigram model of the training tokens (add-one smoothing).

        Args:
            table: the sums of the model, by document.
            targets: targets of the split that is reported on.
            train_targets: targets of the training split.
        """
        return {
            **unigram_sums(targets.counts, train_targets.counts),
            "tokens": float(targets.tokens.sum()),
            "bytes": float(targets.bytes.sum()),
        }

    def prediction_rows(self, examples: Examples, outcome: Outcome, targets: TextTargets) -> PredictionRows:
        # A row for each document; ``score`` is its loss per token.
        table = self.by_document(outcome, targets)
        return prediction_table(
            examples.ids,
            {"text": [text[:EXCERPT] for text in examples.columns["text"]]},
            gold=[""] * len(examples),
            prediction=[""] * len(examples),
            score=measures.ratio(table["nats"], table["predicted"]).tolist(),
            columns=table,
        )


class SingleTextTask(LanguageModel):
    """Base class of language modeling tasks whose input is one text."""

    def predict(
        self, context: InferenceContext, inputs: Sequence[TaskInput], options: Mapping[str, Json] | None = None
    ) -> list[Answer]:
        import torch

        config = with_options(self.config, options, self.name)
        with torch.inference_mode():
            return [
                self.answer(context, str(each.get("text", "")), number, config)
                for number, each in enumerate(inputs, start=1)
            ]

    @abstractmethod
    def answer(self, context: InferenceContext, text: str, number: int, config: Any) -> GeneratedText | FilledMasks:
        """Return the answer to one text.

        Args:
            context: a finished model.
            text: the text.
            number: the input's number, from 1.
            config: the task's options for this answer.

        Raises:
            DataError: the text cannot be used.
        """

    def samples(self, context: InferenceContext) -> list[dict[str, str]]:
        import torch

        samples = []
        with torch.inference_mode():
            for number, prompt in enumerate(self.prompts(context.tokenizer), start=1):
                with contextlib.suppress(DataError):  # a prompt too long for the model is no reason to end a run
                    text = self.answer(context, prompt, number, self.config).text
                    samples.append({"prompt": prompt, "text": text})
        return samples

    def prompts(self, tokenizer: Tokenizer) -> Iterator[str]:
        """Yield the prompts of samples, from the first training texts.

        Args:
            tokenizer: the model's tokenizer.
        """
        yield from self.excerpts


# -- helpers -----------------------------------------------------------------------------------------------------------


def _room(max_length: int, special: int) -> int:
    if max_length <= special:
        raise SpecError(
            f"data.max_length is {max_length} tokens, but the special tokens of a chunk take {special} of them.",
            f"Set data.max_length to {special + 1} or more.",
        )
    return max_length - special


def _check_corpus(documents: Documents, max_length: int, training: bool) -> None:
    total, count = int(documents.offsets[-1]), len(documents)
    if total == 0:
        raise DataError(f"The {count:,} texts of a split contain no tokens.", "Use a corpus with text in it.")
    if training and total < max_length:
        raise DataError(
            f"The training texts have {total:,} tokens in {count:,} documents, less than one sequence of "
            f"{max_length:,} tokens (data.max_length).",
            f"Add more text, or set data.max_length to {max(4, total)} or less.",
        )
