"""Predict how two marked expressions in a sentence are related, and in which direction.

    workbench run semeval-relations

    The <e1>burst</e1> has been caused by water hammer <e2>pressure</e2>.     ->     Cause-Effect(e2,e1)

The model sees the marks as punctuation characters around the two expressions
(:mod:`workbench.tasks.shared.spans.marked_pairs`), not as new tokens. No embedding is added, so every fine-tuning
method can train and save the model without changes.

The relation is a linear function of the concatenated hidden states of the two marks (Baldini Soares et al. 2019, arXiv
1906.03158, "entity start"). Such a function is a sum of two functions, one for each mark. It is therefore equivalent to
a token classification head with two scores for each relation, one as e1 and one as e2, so any model with such a head
can be used and saved unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.tokens import TokenTable, tokenize_words
from workbench.errors import DataError
from workbench.i18n import N_
from workbench.metrics import measures, scores
from workbench.metrics.label_order import sort_labels
from workbench.spec import SpecModel
from workbench.tasks.answers import Answer, Relation, ScoredLabels
from workbench.tasks.base import (
    HeadOptions,
    ModelOutput,
    PredictionRows,
    Split,
    Task,
    TaskReport,
    missing_package,
    tasks,
)
from workbench.tasks.contexts import Array, Batch, Encoded, InferenceContext, TaskInput, compute_in_batches
from workbench.tasks.shared.baselines import tfidf
from workbench.tasks.shared.head_options import label_options
from workbench.tasks.shared.labels import balanced_class_weights, weighted_cross_entropy
from workbench.tasks.shared.results import prediction_table, score_columns
from workbench.tasks.shared.spans.entities import first_subwords, row_offsets
from workbench.tasks.shared.spans.marked_pairs import NO_LIMIT, SIGNS, MarkedSentence, choose_signs, crop, marked_text
from workbench.types import IGNORE_INDEX, Floats32, Ints, Json, Tokenizer

if TYPE_CHECKING:
    import torch

_DIRECTED = re.compile(r"(?P<name>.+)\((?P<first>e[12]),(?P<second>e[12])\)", re.DOTALL)


@dataclass(frozen=True)
class RelationTargets:
    """The targets of N sentences.

    Attributes:
        classes: int64 [N], index of the label.
        marks: int64 [total tokens], 0 at the mark of e1, the number of labels at the mark of e2, else IGNORE_INDEX.
    """

    classes: Ints
    marks: Ints


@tasks.register("relation-extraction")
class RelationExtraction(Task):
    """Relation extraction: classify how two marked expressions are related."""

    example = N_("Does this sentence say that the person works for the company?")
    head = "AutoModelForTokenClassification"
    peft_type = "TOKEN_CLS"
    primary_metric = "macro_f1"
    weighs_classes = True
    class_weights: Floats32 | None = None

    class Config(SpecModel):
        other: str = Field(
            "Other",
            min_length=1,
            description="The label of unrelated expressions; F1 is computed over all other relations.",
        )

    config: Config

    # -- data ----------------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        text = "A sentence with <e1>...</e1> and <e2>...</e2> around two expressions."
        guesses = ("label", "relation", "class")
        return [
            Column("text", text, ("text", "sentence")),
            Column("label", "Their relation, such as Cause-Effect(e1,e2).", guesses, kind="label"),
            # These mark the text while the data are loaded, see workbench.data.shapes.relations.
            Column("head", "The first expression, if the text has no marks.", required=False, may_be_empty=True),
            Column("tail", "The second expression, if the text has no marks.", required=False, may_be_empty=True),
        ]

    def fit(self, train: Examples) -> None:
        self.labels = sort_labels(train.columns["label"], self.labels)
        if len(self.labels) < 2:
            raise DataError(f"The training data has only one label: {self.labels}.", "At least two labels are needed.")
        if not self.relations:
            raise DataError(
                f"The training data has no relation besides {self.config.other!r}.",
                "Set task.other to the label of unrelated expressions.",
            )

    def check_examples(self, examples: Examples) -> None:
        for text, where in zip(examples.columns["text"], examples.locations(), strict=True):
            MarkedSentence.read(text, where)

    @property
    def relations(self) -> list[str]:
        """The relations that the metrics count, without their direction."""
        return sorted({relation(label) for label in self.labels} - {self.config.other})

    def texts(self, examples: Examples) -> Iterator[str]:
        for text, where in zip(examples.columns["text"], examples.locations(), strict=True):
            yield " ".join(MarkedSentence.read(text, where).written(SIGNS[0]))

    def encode(self, tokenizer: Tokenizer, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        where = examples.locations()
        sentences = [MarkedSentence.read(*each) for each in zip(examples.columns["text"], where, strict=True)]
        tokens, marks, note = self._tokens(tokenizer, sentences, max_length, where)
        index = {label: i for i, label in enumerate(self.labels)}
        classes = np.array([index[label] for label in examples.columns["label"]], dtype=np.int64)
        return Encoded(tokens, RelationTargets(classes, marks), note)

    def _tokens(
        self, tokenizer: Tokenizer, sentences: Sequence[MarkedSentence], max_length: int, where: Sequence[str]
    ) -> tuple[TokenTable, Ints, str]:
        """Return the tokens of sentences, their marks (see :class:`RelationTargets`), and a note."""
        signs, note = choose_signs(tokenizer)
        rows = [each.written(signs) for each in sentences]
        tokens = tokenize_words(tokenizer, rows, NO_LIMIT)
        offsets = row_offsets(rows)
        chunks = offsets[:-1, None] + np.array([each.marks for each in sentences], dtype=np.int64)  # [N, 4]
        tokens, cut = crop(tokens, first_subwords(tokens, offsets)[chunks], max_length, where)
        if cut:
            note += f" Of {cut:,} sentences longer than data.max_length, the text around the marks was kept."
        positions = first_subwords(tokens, offsets)[chunks]
        marks = np.full(len(tokens.ids), IGNORE_INDEX, dtype=np.int64)
        marks[tokens.offsets[:-1] + positions[:, 0]] = 0
        marks[tokens.offsets[:-1] + positions[:, 2]] = len(self.labels)
        return tokens, marks, note.strip()

    def collate(self, encoded: Encoded, indices: Ints, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        # The ``labels``, [B, T], are the class at e1, and the class + the number of labels at e2.
        targets: RelationTargets = encoded.targets
        batch = self._batch(encoded.tokens, targets.marks, indices, pad_id, multiple)
        classes = batch["labels"].new_tensor(targets.classes[indices])
        batch["labels"] += (batch["labels"] != IGNORE_INDEX) * classes[:, None]
        return batch

    def _batch(
        self, tokens: TokenTable, marks: Ints, indices: Ints, pad_id: int, multiple: int = 1
    ) -> dict[str, torch.Tensor]:
        import torch

        batch = tokens.pad(indices, pad_id, multiple)
        batch["labels"] = tokens.pad_values(marks, indices, IGNORE_INDEX, multiple)
        return {name: torch.from_numpy(values) for name, values in batch.items()}

    # -- model ---------------------------------------------------------------------------------------------------------

    def model_options(self) -> HeadOptions:
        return label_options([f"{mark} {label}" for mark in ("e1", "e2") for label in self.labels])

    def forward(self, model: torch.nn.Module, batch: Batch) -> ModelOutput:
        # The loss is the cross-entropy of the relation; ``logits`` have the shape [B, relations].
        from torch.nn import functional
        from transformers.modeling_outputs import SequenceClassifierOutput

        output = model(**{name: values for name, values in batch.items() if name != "labels"})
        marks = batch["labels"]
        first = ((marks >= 0) & (marks < len(self.labels))).int().argmax(-1)
        second = (marks >= len(self.labels)).int().argmax(-1)
        logits = self._relation_logits(output.logits, first, second)
        classes = marks.gather(1, first[:, None])[:, 0]
        if self.class_weights is not None and model.training:
            loss = weighted_cross_entropy(logits, classes, self.class_weights)
        else:
            loss = functional.cross_entropy(logits, classes)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def balance_classes(self, train: Encoded) -> None:
        self.class_weights = balanced_class_weights(train.targets.classes, len(self.labels))

    def _relation_logits(self, logits: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return the logits of the relations, [B, relations], from the logits of each token, [B, T, 2 x relations]."""
        import torch

        count = len(self.labels)
        rows = torch.arange(len(logits), device=logits.device)
        return logits[rows, first, :count].float() + logits[rows, second, count:].float()

    def outputs(self, model_output: ModelOutput, batch: Batch) -> torch.Tensor:
        # The probability of each relation, [B, relations].
        probabilities: torch.Tensor = model_output.logits.softmax(dim=-1)
        return probabilities

    # -- results -------------------------------------------------------------------------------------------------------

    def measures(self) -> dict[str, tuple[str, ...]]:
        """Return the metrics as sums; macro F1 is the official metric of SemEval-2010 task 8.

        "(9+1)-way with directionality taken into account": for each relation, with both directions together, the sums
        count how often it was predicted, how often it is correct, and how often it was predicted with the correct
        direction. Macro F1 is the mean F1 of all relations except ``other`` (Hendrickx et al. 2010, section 3.4; the
        scorer published with the data).
        """
        macro = [f"{what}:{name}" for name in self.relations for what in ("hits", "found", "gold")]
        return {
            "macro_f1": ("macro_f1", *macro),
            "micro_f1": ("f1", "hits", "found", "relations"),
            "accuracy": ("ratio", "right", "examples"),
        }

    def _columns(self, predicted: Ints, gold: Ints) -> dict[str, Ints]:
        """Return the columns that the measures sum, [N] each, for labels given as indices."""
        names = self.relations
        index = np.array([names.index(n) if n in names else -1 for n in map(relation, self.labels)])
        predicted_name, gold_name, right = index[predicted], index[gold], predicted == gold
        columns = {
            "right": right,
            "examples": np.ones(len(gold)),
            "hits": right & (gold_name >= 0),
            "found": predicted_name >= 0,
            "relations": gold_name >= 0,
        }
        for i, name in enumerate(names):
            columns |= {
                f"hits:{name}": right & (gold_name == i),
                f"found:{name}": predicted_name == i,
                f"gold:{name}": gold_name == i,
            }
        return {name: values.astype(np.int64) for name, values in columns.items()}

    def confusion(self, outputs: Array, targets: RelationTargets) -> Ints:
        return scores.confusion_matrix(targets.classes, outputs.argmax(axis=1), len(self.labels))

    def metrics(self, outputs: Array, targets: RelationTargets) -> dict[str, float]:
        return measures.metric_values(self._columns(outputs.argmax(axis=1), targets.classes), self.measures())

    def report(self, outcome: Array, targets: RelationTargets, train_targets: RelationTargets) -> TaskReport:
        predicted = outcome.argmax(axis=1)
        columns = self._columns(predicted, targets.classes)
        majority = int(np.bincount(train_targets.classes, minlength=len(self.labels)).argmax())
        always = self._columns(np.full_like(predicted, majority), targets.classes)
        return {
            "metrics": measures.intervals(columns, self.measures()),
            "measures": {name: list(measure) for name, measure in self.measures().items()},
            "baseline": measures.metric_values(always, self.measures()),
            "baseline_name": f"always {self.labels[majority]!r} (most frequent in training)",
            "gain": measures.improvements(always, columns, self.measures()),
            "labels": self.labels,
            "confusion": self.confusion(outcome, targets).tolist(),
            "per_class": self._per_relation(columns),
        }

    def baseline_report(self, train: Split, reported: Split, outcome: Array) -> TaskReport | None:
        if len(train.examples) < tfidf.MIN_EXAMPLES:
            return None
        if not tfidf.is_available():
            return missing_package("scikit-learn", "TF-IDF with logistic regression")
        known, texts = train.examples.columns["text"], reported.examples.columns["text"]
        baseline = tfidf.predict_labels(known, train.targets.classes, texts, len(self.labels))
        before, after = (self._columns(each, reported.targets.classes) for each in (baseline, outcome.argmax(axis=1)))
        return {
            "baseline": measures.metric_values(before, self.measures()),
            "baseline_name": tfidf.describe(known),
            "gain": measures.improvements(before, after, self.measures()),
        }

    def _per_relation(self, columns: Mapping[str, Ints]) -> dict[str, dict[str, float]]:
        table = {}
        for name in self.relations:
            hits, predicted, gold = (int(columns[f"{what}:{name}"].sum()) for what in ("hits", "found", "gold"))
            table[name] = {
                "precision": float(measures.ratio(hits, predicted)),
                "recall": float(measures.ratio(hits, gold)),
                "f1": float(measures.f1(hits, predicted, gold)),
                "support": gold,
            }
        return table

    def prediction_rows(self, examples: Examples, outcome: Array, targets: RelationTargets) -> PredictionRows:
        predicted = outcome.argmax(axis=1)
        return prediction_table(
            examples.ids,
            {"text": examples.columns["text"]},
            gold=[self.labels[i] for i in targets.classes],
            prediction=[self.labels[i] for i in predicted],
            score=outcome.max(axis=1).astype(float).tolist(),
            correct=(predicted == targets.classes).tolist(),
            columns={**score_columns(self.labels, outcome), **self._columns(predicted, targets.classes)},
        )

    # -- inference -----------------------------------------------------------------------------------------------------

    def inputs(self) -> Sequence[Column]:
        return [
            Column(
                "text", "A sentence with <e1>...</e1> and <e2>...</e2>, or a sentence without them and head and tail."
            ),
            Column("head", "The expression in the sentence that is e1.", required=False),
            Column("tail", "The expression in the sentence that is e2.", required=False),
        ]

    def predict(
        self, context: InferenceContext, inputs: Sequence[TaskInput], options: Mapping[str, Json] | None = None
    ) -> list[Answer]:
        self.refuse_options(options)
        where = [f"Input {number}" for number in range(1, len(inputs) + 1)]
        sentences = [MarkedSentence.read(marked_text(*each), each[1]) for each in zip(inputs, where, strict=True)]
        tokens, marks, _ = self._tokens(context.tokenizer, sentences, context.max_length, where)

        def compute(indices: Ints) -> torch.Tensor:
            batch = context.to_device(self._batch(tokens, marks, indices, context.pad_id))
            return self.outputs(self.forward(context.model, batch), batch).float()

        probabilities = compute_in_batches(tokens.lengths, compute).astype(np.float64)
        return [self._answer(*each) for each in zip(probabilities, sentences, strict=True)]

    def truncated(self, context: InferenceContext, inputs: Sequence[TaskInput]) -> int:
        where = [f"Input {number}" for number in range(1, len(inputs) + 1)]
        sentences = [MarkedSentence.read(marked_text(*each), each[1]) for each in zip(inputs, where, strict=True)]
        tokens, _, _ = self._tokens(context.tokenizer, sentences, context.max_length, where)
        return int((tokens.full_lengths > tokens.lengths).sum())

    def _answer(self, probabilities: Array, sentence: MarkedSentence) -> Relation:
        best = ScoredLabels.of(dict(zip(self.labels, probabilities.tolist(), strict=True)))
        direction = _DIRECTED.fullmatch(best.label)
        if not direction:
            return Relation(best.label, best.score, best.scores)
        source, target = (sentence.expression(int(direction[side][1])) for side in ("first", "second"))
        return Relation(best.label, best.score, best.scores, relation=direction["name"], source=source, target=target)


def relation(label: str) -> str:
    """Return a label without its direction: ``"Cause-Effect(e2,e1)"`` as ``"Cause-Effect"``.

    Args:
        label: with or without a direction.
    """
    match = _DIRECTED.fullmatch(label)
    return match["name"] if match else label
