"""What the tasks share that learn from text alone: masked-lm, masked-lm-nsp, causal-lm and seq2seq-denoising.

    texts --> documents as tokens --> pieces of at most data.max_length --> rows (packed, where trained on)

A task of this kind says how a document is cut into pieces, which tokens can be predicted, and how a batch is spoiled so
that there is something to predict. What is trained on is packed where the model keeps documents apart
(``document_ids``). What is evaluated is not: a row is then a piece of one document, and every figure is known by
document, which is what intervals and comparisons of runs draw from.
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

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
from workbench.tasks.base import Array, Encoded, Task

if TYPE_CHECKING:
    import torch

IGNORED = -100  # the label of a token that is not to be predicted
EXCERPT = 200  # characters of a document that predictions keep
SAMPLES = 3  # texts that the model writes after each evaluation
SAMPLE_WORDS = 12  # how many words of a training text a sample's prompt is made of
PLACES_AT_ONCE = 4096  # predictions scored at a time: float32 logits of all of them would not fit

GUESSES = ("text", "sentence", "content", "document", "body", "article", "review", "comment", "docstring")

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class TextTargets:
    """What the figures need to know of N rows that were cut from D documents.

    Attributes:
        predicted: int64 [N], how many tokens of each row are predicted.
        document: int64 [N], the document that a row was cut from; -1 where several are packed into it.
        tokens: int64 [D], tokens of each document that can be predicted.
        bytes: int64 [D], length of each document in UTF-8.
        counts: int64 [V], how often each token can be predicted: the unigram model.
        more: what the task itself needs to know of the rows.
        tokenizer: what of the texts does not come back from their tokens: ``unknown``, the share of tokens that stand
            for anything the tokenizer does not know, and ``lowercase``, whether capitals are made small; None where
            that was not looked at.
    """

    predicted: Ints
    document: Ints
    tokens: Ints
    bytes: Ints
    counts: Ints
    more: Any = None
    tokenizer: dict[str, Any] | None = None


class LanguageModel(Task):
    """Base of the tasks that learn from text alone."""

    peft_type = "FEATURE_EXTRACTION"
    primary_metric = "loss"
    smaller_is_better = True
    stochastic_inputs = True
    generates = True
    figures: ClassVar[Sequence[str]]  # names of text_scores.measures
    baseline_name = "the frequencies of the tokens in training, whatever the text around"

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.packs = False
        self.takes_types = False
        self.takes_places = False
        self.model_name = ""
        self.excerpts: list[str] = []

    # -- data ----------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        return [Column("text", "The text to learn from.", GUESSES)]

    def fit(self, train: Examples) -> None:
        self.excerpts = [" ".join(text.split()[:SAMPLE_WORDS]) for text in train.columns["text"][:SAMPLES]]

    def configure(self, model: Any) -> None:
        takes = {*signature(model.forward).parameters, *signature(model.base_model.forward).parameters}
        self.packs = "document_ids" in takes and bool(getattr(self.config, "packing", False))
        self.takes_types = "token_type_ids" in takes and getattr(model.config, "type_vocab_size", 0) > 1
        self.takes_places = "label_positions" in takes
        self.model_name = type(model).__name__

    def encode(self, tokenizer: Any, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        self.learn_tokens(tokenizer)
        documents, borders = self.read(tokenizer, examples)
        _check_corpus(documents, max_length, training)
        pieces, owner, plan = self.cut_pieces(documents, borders, tokenizer, max_length)
        tokens = self.tokens_by_document(documents, pieces, owner)
        counts = np.bincount(pieces.ids[self.predictable(pieces)], minlength=len(tokenizer))
        rows, note = pieces, ""
        order, first = np.arange(len(pieces)), np.arange(len(pieces) + 1)  # a row is a piece
        if training and self.packs:
            rows, order, first = pack_chunks(pieces, max_length)
            owner = np.full(len(rows), -1, dtype=np.int64)
            full = int(rows.offsets[-1]) / (len(rows) * max_length)
            note = (
                f"{len(documents):,} documents were packed into {len(rows):,} rows of {max_length} tokens, "
                f"{full:.1%} full."
            )
        size = np.array([len(text.encode("utf-8")) for text in examples.columns["text"]], dtype=np.int64)
        more = None if plan is None else plan.placed(pieces.lengths, order, first)
        lost = {
            "unknown": float((documents.ids == tokenizer.unk_token_id).mean()),
            "lowercase": makes_small(tokenizer),
        }
        targets = TextTargets(self.predicted(rows), owner, tokens, size, counts, more, lost)
        return Encoded(rows, targets, note)

    @property
    def needs_words(self) -> bool:
        """Whether the words that tokens are pieces of have to be known."""
        return False

    def learn_tokens(self, tokenizer: Any) -> None:
        """Note the special tokens that the task writes. Raises SpecError when the tokenizer lacks one."""

    def read(self, tokenizer: Any, examples: Examples) -> tuple[Documents, list[Ints]]:
        """The documents' tokens, and for each where its sentences begin and end (nothing where nobody asks)."""
        return tokenize_documents(tokenizer, examples.columns["text"], words=self.needs_words), []

    def cut_pieces(
        self, documents: Documents, borders: list[Ints], tokenizer: Any, max_length: int
    ) -> tuple[TokenTable, Ints, Any]:
        """Documents cut into P pieces; the document of each, int64 [P]; and a plan that is told, through ``placed``,
        which piece came into which row. None where the task needs no plan."""
        before, after = self.ends(tokenizer)
        document, begin, lengths = split_chunks(documents.lengths, _room(max_length, len(before) + len(after)))
        span = TokenSpan(documents.offsets[document] + begin, lengths)
        last = None
        if self.ends_documents:  # a model that writes must not learn to stop where a text was merely cut
            last = begin + lengths == documents.lengths[document]
        return (
            join_chunks(documents, len(lengths), [SpecialTokens(before), span, SpecialTokens(after, where=last)]),
            document,
            None,
        )

    ends_documents: ClassVar[bool] = False  # the tokens behind a text stand at a document's end only

    def ends(self, tokenizer: Any) -> tuple[list[int], list[int]]:
        """The special tokens before and behind each piece."""
        return special_prefix_suffix(tokenizer)

    def predictable(self, table: TokenTable) -> NDArray[np.bool_]:
        """Which tokens of the table can be predicted, [total tokens]."""
        assert table.words is not None
        found: NDArray[np.bool_] = table.words != -1
        return found

    def predicted(self, rows: TokenTable) -> Ints:
        """How many tokens of each row are predicted at a time, int64 [N]."""
        return row_sums(rows, self.predictable(rows))

    def tokens_by_document(self, documents: Documents, pieces: TokenTable, owner: Ints) -> Ints:
        """How many tokens can be predicted of each document, int64 [D]."""
        found = np.bincount(owner, row_sums(pieces, self.predictable(pieces)), minlength=len(documents))
        return found.astype(np.int64)

    def loss_weight(self, encoded: Encoded, indices: Array) -> int:
        return int(encoded.targets.predicted[indices].sum())

    def collate(self, encoded: Encoded, indices: Array, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        import torch

        arrays = encoded.tokens.pad(indices, pad_id, multiple)
        batch = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return self.corrupt(batch, encoded, indices, multiple)

    @abstractmethod
    def corrupt(
        self, batch: dict[str, torch.Tensor], encoded: Encoded, indices: Array, multiple: int
    ) -> dict[str, torch.Tensor]:
        """Make a batch of whole texts one that has something to predict: with ``labels``."""

    # -- model ---------------------------------------------------------------------------------------------------

    def model_options(self) -> dict[str, Any]:
        return {}

    def outputs(self, model_output: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Nats, predicted tokens, and how many of them are right, of each row: [B, 3]."""
        return token_sums(model_output.logits, batch["labels"])

    # -- results -------------------------------------------------------------------------------------------------

    output_columns: ClassVar[tuple[str, ...]] = ("nats", "predicted", "right")

    def by_document(self, outputs: Array, targets: TextTargets) -> dict[str, NDArray[np.float64]]:
        """The sums of each document, columns [D] of :mod:`workbench.metrics.text_scores`."""
        documents = len(targets.bytes)
        table = {
            name: np.bincount(targets.document, outputs[:, i], minlength=documents).astype(np.float64)
            for i, name in enumerate(self.output_columns)
        }
        return table | {"tokens": targets.tokens.astype(np.float64), "bytes": targets.bytes.astype(np.float64)}

    def metrics(self, outputs: Array, targets: TextTargets) -> dict[str, float]:
        return measures.metric_values(self.by_document(outputs, targets), text_scores.measures(self.figures))

    def report(self, outputs: Any, targets: TextTargets, train_targets: TextTargets) -> dict[str, Any]:
        table = self.by_document(outputs, targets)
        known = text_scores.measures(self.figures)
        baseline = self.baseline(table, targets, train_targets)
        lost = text_scores.describe_lost_text(targets.tokenizer)
        note = f"{text_scores.LOSES_TEXT} ({lost}): bits per byte are those of what is left, and too low."
        return {
            "metrics": measures.intervals(table, known),
            "measures": known,
            "baseline": {name: float(measures.metric_value(measure, baseline)) for name, measure in known.items()},
            "baseline_name": self.baseline_name,
            "documents": len(targets.bytes),
            "tokenizer": targets.tokenizer,
            "notes": [note] if lost and "bits_per_byte" in known else [],
        }

    def baseline(self, table: Mapping[str, Any], targets: TextTargets, train_targets: TextTargets) -> dict[str, float]:
        """The sums of a model that knows how often each token stands in training (add-one smoothing), and no more."""
        known, asked = train_targets.counts, targets.counts
        nats = -np.log((known + 1.0) / (known.sum() + len(known)))
        return {
            "nats": float((asked * nats).sum()),
            "predicted": float(asked.sum()),
            "right": float(asked[known.argmax()]),
            "tokens": float(targets.tokens.sum()),
            "bytes": float(targets.bytes.sum()),
        }

    def prediction_rows(self, examples: Examples, outputs: Any, targets: TextTargets) -> dict[str, list[Any]]:
        """A row for each document: nothing of it is right or wrong as a whole, ``score`` is its loss per token."""
        table = self.by_document(outputs, targets)
        return {
            "id": list(examples.ids),
            "input": [text[:EXCERPT] for text in examples.columns["text"]],
            "gold": [""] * len(examples),
            "prediction": [""] * len(examples),
            "score": measures.ratio(table["nats"], table["predicted"]).tolist(),
            "correct": [None] * len(examples),
            **{name: column.tolist() for name, column in table.items()},
        }


class SingleTextTask(LanguageModel):
    """Base of the tasks that are asked with one text, and write one for each."""

    def predict(
        self,
        model: Any,
        tokenizer: Any,
        inputs: Sequence[dict[str, str]],
        max_length: int,
        options: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        import torch

        settings = self.changed(options)
        with torch.inference_mode():
            return [
                self.answer(model, tokenizer, str(given.get("text", "")), place, settings)
                for place, given in enumerate(inputs, start=1)
            ]

    @abstractmethod
    def answer(self, model: Any, tokenizer: Any, text: str, place: int, settings: Any) -> dict[str, Any]:
        """What the model writes for one text, the ``place``-th of its request. Raises DataError."""

    def samples(self, model: Any, tokenizer: Any) -> list[dict[str, str]]:
        import torch

        found = []
        with torch.inference_mode():
            for place, prompt in enumerate(self.prompts(tokenizer), start=1):
                with contextlib.suppress(DataError):  # too long for a model of few positions: no reason to end a run
                    text = self.answer(model, tokenizer, prompt, place, self.config)["text"]
                    found.append({"prompt": prompt, "text": text})
        return found

    def prompts(self, tokenizer: Any) -> Iterator[str]:
        """What samples begin with; made of the first training texts."""
        yield from self.excerpts


# -- small parts ---------------------------------------------------------------------------------------------------


def _room(max_length: int, special: int) -> int:
    if max_length <= special:
        raise SpecError(
            f"data.max_length is {max_length} tokens, and the special tokens of a piece take {special} of them.",
            f"Set data.max_length to {special + 1} or more.",
        )
    return max_length - special


def _check_corpus(documents: Documents, max_length: int, training: bool) -> None:
    total, count = int(documents.offsets[-1]), len(documents)
    if total == 0:
        raise DataError(f"The {count:,} texts of a part hold no token at all.", "Give a corpus with text in it.")
    if training and total < max_length:
        raise DataError(
            f"The training texts are {total:,} tokens in {count:,} documents: less than one sequence of "
            f"{max_length:,} tokens (data.max_length).",
            f"Give more text, or set data.max_length to {max(4, total)} or less.",
        )


def makes_small(tokenizer: Any) -> bool:
    """Whether a capital and its small letter are one token to the tokenizer."""
    capital, small = (tokenizer.encode(letter, add_special_tokens=False) for letter in ("A", "a"))
    return bool(capital) and capital == small and tokenizer.unk_token_id not in capital


def row_sums(table: TokenTable, values: NDArray[Any]) -> Ints:
    """``values`` [total tokens] added up over each row, int64 [N]."""
    ends = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    return np.asarray(ends[table.offsets[1:]] - ends[table.offsets[:-1]])


def first_tokens(table: TokenTable) -> NDArray[np.bool_]:
    """Which tokens begin a document (or a piece of one), [total tokens]."""
    found = np.zeros(len(table.ids), dtype=bool)
    found[table.offsets[:-1]] = True
    if table.documents is not None:
        found[1:] |= table.documents[1:] != table.documents[:-1]
    return found


def token_sums(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Sum of losses in nats, number of labels, and how many are the most probable token, of each row.

    Args:
        logits: [B, T, V], or [M, V] of the M places with a label, in reading order.
        labels: [B, T], -100 where there is nothing to predict.

    Returns:
        float64 [B, 3].
    """
    import torch
    from torch.nn import functional

    places = (labels.flatten() != IGNORED).nonzero().squeeze(1)
    rows, wanted = places // labels.shape[1], labels.flatten()[places]
    sums = torch.zeros(len(labels), 3, dtype=torch.float64)
    for part in torch.split(torch.arange(len(places), device=labels.device), PLACES_AT_ONCE):
        scores = logits[part] if logits.dim() == 2 else logits.flatten(0, 1)[places[part]]
        nats = functional.cross_entropy(scores.float(), wanted[part], reduction="none")
        right = scores.argmax(dim=-1) == wanted[part]
        found = torch.stack([nats.double(), torch.ones_like(nats).double(), right.double()], dim=1)
        sums.index_add_(0, rows[part].cpu(), found.cpu())
    return sums
