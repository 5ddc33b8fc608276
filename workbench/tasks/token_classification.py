"""Find entities (or slots) in texts: each word gets a tag, and consecutive tags form an entity.

    workbench run wikigold-entities

A word's tag is predicted at its first token. The predicted tags of a text are the most probable valid sequence: I-LOC
can only follow B-LOC or I-LOC (Viterbi search over the head's probabilities).

An entity is correct if its boundaries and its type are correct (entity F1 as computed by seqeval in "strict" mode).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from workbench.data.cells.words import split_words
from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.tokens import TokenTable, tokenize_words
from workbench.errors import DataError
from workbench.i18n import N_
from workbench.metrics import measures
from workbench.metrics.label_order import sort_labels
from workbench.spec import SpecModel
from workbench.tasks.answers import Answer, LabeledSpans, Span
from workbench.tasks.base import (
    HeadOptions,
    ModelOutput,
    PredictionRows,
    Split,
    Target,
    TargetScore,
    Task,
    TaskReport,
    missing_package,
    tasks,
)
from workbench.tasks.contexts import Array, Batch, Encoded, InferenceContext, TaskInput
from workbench.tasks.shared.baselines import crf
from workbench.tasks.shared.head_options import label_options
from workbench.tasks.shared.inputs import with_options
from workbench.tasks.shared.results import prediction_table
from workbench.tasks.shared.spans.entities import (
    OUTSIDE,
    SCHEME_NAMES,
    Entities,
    EntityCounts,
    Scheme,
    Tags,
    bio_labels,
    first_subwords,
    row_offsets,
    types_of,
)
from workbench.tasks.shared.spans.word_tags import read_rows, read_tags, word_logits
from workbench.types import IGNORE_INDEX, Ints, Json, Model, Tokenizer

if TYPE_CHECKING:
    import torch

WORD_GUESSES = ("words", "tokens")
TAG_GUESSES = ("tags", "ner_tags", "labels", "slots", "entities")

MEASURES: measures.Measures = {
    "entity_f1": ("f1", "hits", "found", "names"),
    "precision": ("ratio", "hits", "found"),
    "recall": ("ratio", "hits", "names"),
}


@dataclass(frozen=True)
class WordTargets:
    """The tags of N rows of words, and the positions of the words among the tokens.

    Attributes:
        words: the words of each row.
        offsets: int64 [N + 1]; row i has the words ``offsets[i]:offsets[i + 1]``.
        tags: int64 [words], BIO tag ids; types that the model does not know have ids above those of its labels.
        first: int64 [words], position of each word's first token in its row; -1 if the word has no token.
        labels: int64 [total tokens], the tag id to learn for each token; IGNORE_INDEX for none.
        learned: int64 [N], number of tokens in each row that have a label.
        types: names of the types in ``tags``.
    """

    words: Sequence[Sequence[str]]
    offsets: Ints
    tags: Ints
    first: Ints
    labels: Ints
    learned: Ints
    types: list[str]

    def tags_by_row(self) -> list[list[str]]:
        """Return the tag ids of each row as texts, [N]."""
        texts = self.tags.astype(str).tolist()
        return [texts[start:end] for start, end in pairwise(self.offsets.tolist())]

    def of_words(self, outputs: Array, missing: float) -> Array:
        """Return the outputs of the first token of each word, [words].

        Args:
            outputs: outputs of the tokens, [N, T].
            missing: the value for a word without tokens.
        """
        row = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        return np.where(self.first >= 0, outputs[row, np.maximum(self.first, 0)], missing)


@tasks.register("token-classification")
class TokenClassification(Task):
    """Token classification: find named entities or slots in texts."""

    example = N_("Which words of this text are names of people, places or products?")
    head = "AutoModelForTokenClassification"
    target_kind = "label of a word"
    peft_type = "TOKEN_CLS"
    primary_metric = "entity_f1"

    class Config(SpecModel):
        scheme: Literal["auto", "bio", "iob1", "io", "bioes", "plain"] = Field(
            "auto",
            description="The tagging scheme; plain means types without a prefix, auto detects the scheme.",
        )
        label_all_pieces: bool = Field(
            False, description="Train on the tag at every token of a word, not only at its first token."
        )
        constrained: bool = Field(
            True,
            description="Predict the most probable valid sequence of tags (I-LOC only after B-LOC or I-LOC); "
            "otherwise, "
            "predict the most probable tag of each word.",
        )

    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        self.scheme: Scheme = "bio"

    # -- data ----------------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        return [
            Column("words", "The words of a text.", WORD_GUESSES, kind="words"),
            Column(
                "tags",
                "A tag for each word: B-PER, I-PER, O.",
                TAG_GUESSES,
                kind="tags",
                verbatim=self.config.scheme == "plain",
            ),
        ]

    def fit(self, train: Examples) -> None:
        tags = self._read(train, ())
        if not tags.types:
            raise DataError(
                "Every word of the training data has the tag O, so there is no entity to learn.",
                "Check the column that is mapped to 'tags'.",
            )
        self.scheme = tags.scheme() if self.config.scheme == "auto" else self.config.scheme
        self._refuse_mixed(train, tags)
        self.labels = bio_labels(sort_labels(tags.types, types_of(self.labels)))

    def _read(self, examples: Examples, types: Sequence[str]) -> Tags:
        plain = self.config.scheme == "plain"
        return Tags.read(examples.columns["tags"], types, plain)

    def _refuse_mixed(self, examples: Examples, tags: Tags) -> None:
        """Raise DataError for a tag without a prefix among tags that have one."""
        bare = (tags.prefix < 0) if self.scheme != "plain" or (tags.prefix > 0).any() else np.zeros(1, dtype=bool)
        if not bare.any():
            return
        word = int(bare.argmax())
        row = int(np.searchsorted(tags.offsets, word, side="right")) - 1
        tag = examples.columns["tags"][row][word - int(tags.offsets[row])]
        raise DataError(
            f"{examples.locations()[row]}: the tag {tag!r} has no prefix such as B- or I-, but other tags have one.",
            "Write all tags in the same scheme. If the prefixes are part of the type names, set task.scheme to plain.",
        )

    def texts(self, examples: Examples) -> Iterator[str]:
        for words in examples.columns["words"]:
            yield " ".join(words)

    def encode(self, tokenizer: Tokenizer, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        words = examples.columns["words"]
        tags = self._read(examples, types_of(self.labels))
        self._refuse_mixed(examples, tags)
        gold, impossible = tags.to_bio(self.scheme)
        tokens = tokenize_words(tokenizer, words, max_length)
        first = first_subwords(tokens, tags.offsets)
        _refuse_unreadable(examples, first, tags.offsets)
        labels = self._token_labels(tokens, gold, first, tags.offsets)
        learned = np.add.reduceat(labels != IGNORE_INDEX, tokens.offsets[:-1])
        targets = WordTargets(words, tags.offsets, gold, first, labels, learned, tags.types)
        return Encoded(tokens, targets, " ".join(self._notes(tokens, targets, impossible, training)))

    def _token_labels(self, tokens: TokenTable, gold: Ints, first: Ints, offsets: Ints) -> Ints:
        """Return the tag id to learn for each token, int64 [total tokens]."""
        gold = np.where(gold < len(self.labels), gold, OUTSIDE)  # the model has no label for an unknown type
        labels = np.full(len(tokens.ids), IGNORE_INDEX, dtype=np.int64)
        if self.config.label_all_pieces:
            assert tokens.words is not None
            subwords = np.flatnonzero(tokens.words >= 0)
            row = np.repeat(np.arange(len(tokens)), tokens.lengths)[subwords]
            tags = gold[offsets[row] + tokens.words[subwords]]
            labels[subwords] = tags + (tags % 2)  # a later subword continues the entity that its word begins
        row = np.repeat(np.arange(len(tokens)), np.diff(offsets))
        readable = first >= 0
        labels[tokens.offsets[row[readable]] + first[readable]] = gold[readable]
        return labels

    def _notes(self, tokens: TokenTable, targets: WordTargets, impossible: int, training: bool) -> Iterator[str]:
        if training and self.scheme != "bio":
            yield f"Tags are read as {SCHEME_NAMES[self.scheme]}."
        if impossible:
            yield (
                f"{impossible:,} tags are invalid at their position (such as I-LOC after O); each was read as the "
                "beginning of an entity."
            )
        cut = tokens.full_lengths > tokens.lengths
        lost = int((targets.first < 0)[np.repeat(cut, np.diff(targets.offsets))].sum())
        if lost:
            what = "they are not trained on" if training else "their entities count as missed"
            yield f"{lost:,} words of {int(cut.sum()):,} rows were cut off by data.max_length: {what}."
        known = len(types_of(self.labels))
        unknown = int((Entities.read(targets.tags, targets.offsets).type >= known).sum())
        if unknown:
            names = ", ".join(targets.types[known:][:5])
            yield f"{unknown:,} entities have types that the training split lacks ({names}): they count as missed."

    def collate(self, encoded: Encoded, indices: Ints, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        import torch

        batch = encoded.tokens.pad(indices, pad_id, multiple)
        batch["labels"] = encoded.tokens.pad_values(encoded.targets.labels, indices, IGNORE_INDEX, multiple)
        return {name: torch.from_numpy(values) for name, values in batch.items()}

    def loss_weight(self, encoded: Encoded, indices: Ints) -> int:
        return int(encoded.targets.learned[indices].sum())

    # -- model ---------------------------------------------------------------------------------------------------------

    def model_options(self) -> HeadOptions:
        return label_options(self.labels)

    def init_head(self, model: Model, train: Encoded, new: Collection[str]) -> None:
        # Set the bias of each tag to the log of its share in the training data.
        #
        # Most words are outside any entity. A head that starts from equal probabilities learns this first, in large
        # steps in the same direction. In a small model, adapters and LoRA then make all tokens similar and do not
        # recover. Lin et al. 2017, "Focal Loss for Dense Object Detection", section 4.1, initialize the bias for the
        # same reason.
        import torch

        if "classifier.bias" not in new:
            return
        learned = train.targets.labels[train.targets.labels != IGNORE_INDEX]
        counts = np.bincount(learned, minlength=len(self.labels)) + 1.0  # add one: all words of a tag may be cut off
        bias = model.get_parameter("classifier.bias")
        with torch.no_grad():
            bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))

    def outputs(self, model_output: ModelOutput, batch: Batch) -> torch.Tensor:
        # For each token that has a label the tag, its probability, and the most probable tag of the token alone,
        # [B, T, 3]; NaN for the other tokens.
        import torch

        tagged, logits = batch["labels"] != IGNORE_INDEX, model_output.logits.float()
        tags, probability = read_tags(logits, tagged, self.config.constrained)
        outputs = torch.stack([tags.float(), probability, logits.argmax(-1).float()], dim=-1)
        return outputs.masked_fill(~tagged[..., None], float("nan"))

    def target_score(self, model_output: ModelOutput, batch: Batch, target: Target) -> TargetScore:
        return TargetScore.choice(model_output.logits[:, target.position], target.index)

    # -- results -------------------------------------------------------------------------------------------------------

    def metrics(self, outputs: Array, targets: WordTargets) -> dict[str, float]:
        return measures.metric_values(_columns(_counts(outputs, targets)), MEASURES)

    def report(self, outcome: Array, targets: WordTargets, train_targets: WordTargets) -> TaskReport:
        counts = _counts(outcome, targets)
        majority = EntityCounts.of(
            majority_tags(train_targets, targets), targets.tags, targets.offsets, len(targets.types)
        )
        return {
            "metrics": measures.intervals(_columns(counts), MEASURES),
            "measures": {name: list(measure) for name, measure in MEASURES.items()},
            "baseline": measures.metric_values(_columns(majority), MEASURES),
            "baseline_name": "each word's most frequent tag in training",
            "gain": measures.improvements(_columns(majority), _columns(counts), MEASURES),
            "labels": targets.types,
            "per_class": _per_type(counts, targets.types),
            "scheme": self.scheme,
            "notes": self._decoding_notes(outcome, targets, counts) if self.config.constrained else [],
        }

    def baseline_report(self, train: Split, reported: Split, outcome: Array) -> TaskReport | None:
        if len(train.examples) < crf.MIN_ROWS:
            return None
        if not crf.is_available():
            return missing_package("python-crfsuite", "a conditional random field on words and their shapes")
        known, targets = train.targets, reported.targets
        predicted = crf.predict_tags(known.words, known.tags_by_row(), targets.words)
        tags = np.array([int(tag) for row in predicted for tag in row], dtype=np.int64)
        before = _columns(EntityCounts.of(tags, targets.tags, targets.offsets, len(targets.types)))
        return {
            "baseline": measures.metric_values(before, MEASURES),
            "baseline_name": crf.NAME,
            "gain": measures.improvements(before, _columns(_counts(outcome, targets)), MEASURES),
        }

    def _decoding_notes(self, outcome: Array, targets: WordTargets, counts: EntityCounts) -> list[str]:
        """Return a sentence on what the search for valid tags contributes: plain transformers do without it."""
        alone = _counts(outcome[..., 2:], targets)
        searched, plain = (measures.metric_values(_columns(each), MEASURES)["entity_f1"] for each in (counts, alone))
        return [
            f"The answers are the most probable valid sequences of tags: entity_f1 {searched:.4f}. The most probable "
            f"tag of each token alone, as in a plain transformers pipeline, reaches {plain:.4f}."
        ]

    def prediction_rows(self, examples: Examples, outcome: Array, targets: WordTargets) -> PredictionRows:
        tags = targets.of_words(outcome[..., 0], OUTSIDE).astype(np.int64)
        columns = _columns(_counts(outcome, targets))
        score = targets.of_words(outcome[..., 1], np.nan)
        row = np.repeat(np.arange(len(examples)), np.diff(targets.offsets))
        tagged = ~np.isnan(score)
        sums = np.bincount(row[tagged], weights=score[tagged], minlength=len(examples))
        number = np.bincount(row[tagged], minlength=len(examples))
        right = (columns["hits"] == columns["found"]) & (columns["hits"] == columns["names"])
        return prediction_table(
            examples.ids,
            {"text": [" ".join(words) for words in targets.words]},
            gold=_entities_as_text(targets, targets.tags),
            prediction=_entities_as_text(targets, tags),
            score=(sums / np.maximum(number, 1)).tolist(),
            correct=right.tolist(),
            columns=columns,
        )

    # -- inference -----------------------------------------------------------------------------------------------------

    def inputs(self) -> Sequence[Column]:
        return [
            Column("text", "The text to find entities in."),
            Column("words", "The words of the text, as a list, instead of the text.", kind="words", required=False),
        ]

    def predict(
        self, context: InferenceContext, inputs: Sequence[TaskInput], options: Mapping[str, Json] | None = None
    ) -> list[Answer]:
        # Find the entities of each input.
        #
        # Character positions refer to the text, or to the words joined by spaces. The score of an entity is the mean
        # probability of its tags. A long text is read in overlapping windows.
        config = with_options(self.config, options, self.name)
        texts = [_text_and_words(each, number) for number, each in enumerate(inputs, start=1)]
        rows = [[text[start:end] for start, end in words] for text, words in texts]
        tags, scores = read_rows(word_logits(context, rows), config.constrained)
        first = row_offsets(rows)
        entities = Entities.read(np.concatenate(tags), first)
        flat = np.concatenate(scores)
        types = types_of(self.labels)
        spans: list[list[Span]] = [[] for _ in texts]
        for start, end, kind, row in zip(entities.start, entities.end, entities.type, entities.row, strict=True):
            text, words = texts[row]
            begin, stop = words[start - first[row]][0], words[end - 1 - first[row]][1]
            spans[row].append(Span(text[begin:stop], begin, stop, float(flat[start:end].mean()), types[kind]))
        return [LabeledSpans(text, tuple(own)) for (text, _), own in zip(texts, spans, strict=True)]


# -- helpers -----------------------------------------------------------------------------------------------------------


def _refuse_unreadable(examples: Examples, first: Ints, offsets: Ints) -> None:
    """Raise DataError for a row without tokens, which nothing can be learned from."""
    readable = np.add.reduceat(first >= 0, offsets[:-1])
    if readable.all():
        return
    row = int(readable.argmin())
    raise DataError(
        f"{examples.locations()[row]}: the tokenizer finds no tokens in "
        f"{' '.join(examples.columns['words'][row])[:60]!r}.",
        "Remove the row if it has only invisible characters, or use a model whose tokenizer supports this script.",
    )


def _counts(outputs: Array, targets: WordTargets) -> EntityCounts:
    tags = targets.of_words(outputs[..., 0], OUTSIDE).astype(np.int64)
    return EntityCounts.of(tags, targets.tags, targets.offsets, len(targets.types))


def _columns(counts: EntityCounts) -> dict[str, Ints]:
    return {"hits": counts.hits, "found": counts.predicted, "names": counts.gold}


def _per_type(counts: EntityCounts, types: Sequence[str]) -> dict[str, dict[str, float]]:
    hits, predicted, gold = counts.by_type.T
    columns = (
        measures.ratio(hits, predicted),
        measures.ratio(hits, gold),
        measures.f1(hits, predicted, gold),
        gold,
    )
    return {
        name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
        for name, p, r, f, n in zip(types, *columns, strict=True)
    }


def majority_tags(train: WordTargets, targets: WordTargets) -> Ints:
    """Return each word's most frequent tag in training, or O for an unknown word, int64 [words].

    Args:
        train: targets of the training split.
        targets: targets of another split.
    """
    counts: dict[str, Counter[int]] = {}
    for word, tag in zip((word for row in train.words for word in row), train.tags.tolist(), strict=True):
        counts.setdefault(word, Counter())[tag] += 1
    majority = {word: min(tags, key=lambda tag: (-tags[tag], tag)) for word, tags in counts.items()}
    return np.array([majority.get(word, OUTSIDE) for row in targets.words for word in row], dtype=np.int64)


def _entities_as_text(targets: WordTargets, tags: Ints) -> list[str]:
    """Return the entities of each row as text: ``"Empire State Building (LOC); Mary (PER)"``."""
    entities = Entities.read(tags, targets.offsets)
    texts: list[list[str]] = [[] for _ in targets.words]
    first = targets.offsets[entities.row]
    columns = (entities.row, entities.start - first, entities.end - first, entities.type)
    for row, start, end, kind in zip(*columns, strict=True):
        texts[row].append(f"{' '.join(targets.words[row][start:end])} ({targets.types[kind]})")
    return ["; ".join(each) for each in texts]


def _text_and_words(inputs: TaskInput, number: int) -> tuple[str, list[tuple[int, int]]]:
    """Return the text of an input, and the start and end of each word. Raise DataError if there is no text."""
    words = inputs.get("words") or inputs.get("text")
    if isinstance(words, list | tuple) and words and all(isinstance(w, str) and w.strip() for w in words):
        texts = [str(word) for word in words]
        ends = np.cumsum([len(word) + 1 for word in texts]) - 1
        return " ".join(texts), [(int(end) - len(word), int(end)) for word, end in zip(texts, ends, strict=True)]
    text = inputs.get("text")
    if not isinstance(text, str) or not text.strip():
        raise DataError(
            f"Input {number} has no text.", 'Write some text, or give its words: {"words": ["Mary", "sings"]}.'
        )
    return text, split_words(text)
