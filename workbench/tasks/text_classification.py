"""Assign one of several labels to each text, or any number of labels.

    workbench run demo-full        # sentiment of film reviews, two classes

:mod:`workbench.tasks.shared.labels` implements the two kinds of labels. With pairs, both texts form one input, joined
by the tokenizer's separator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.tokens import TokenTable, tokenize
from workbench.i18n import N_
from workbench.spec import SpecModel
from workbench.tasks.answers import ScoredLabels
from workbench.tasks.base import (
    HeadOptions,
    ModelOutput,
    PredictionRows,
    ScoringTask,
    Split,
    Target,
    TargetScore,
    TaskReport,
    missing_package,
    tasks,
)
from workbench.tasks.contexts import Array, Batch, Encoded, TaskInput
from workbench.tasks.shared.baselines import tfidf
from workbench.tasks.shared.head_options import label_options
from workbench.tasks.shared.inputs import refuse_missing_texts
from workbench.tasks.shared.labels import Labelling, MultiLabel, SingleLabel
from workbench.tasks.shared.results import prediction_table, score_columns
from workbench.tuning.linear_models import HeadTargets
from workbench.types import Floats32, Ints, Tokenizer

if TYPE_CHECKING:
    import torch

TEXT_GUESSES = (
    "text",
    "sentence",
    "review",
    "content",
    "comment",
    "message",
    "utterance",
    "document",
    "body",
    "question",
)

FIRST_TEXT_GUESSES = (
    *("text", "sentence1", "premise", "text1", "text_a", "question1", "query", "question", "string1", "#1 string"),
    *("sentence_1", "sentence_a", "s1"),
)
SECOND_TEXT_GUESSES = (
    *("text_pair", "sentence2", "hypothesis", "text2", "text_b", "question2", "passage", "string2", "#2 string"),
    *("sentence_2", "sentence_b", "s2"),
)


@tasks.register("text-classification")
class TextClassification(ScoringTask):
    """Text classification: assign one of several labels, or any number of them, to each text."""

    example = N_("Is this review positive or negative? Which team should answer this ticket?")
    head = "AutoModelForSequenceClassification"
    target_kind = "label"
    peft_type = "SEQ_CLS"
    weighs_classes = True

    class Config(SpecModel):
        pairs: bool = Field(False, description="Each example is a pair of texts (columns text and text_pair).")
        multi_label: bool = Field(
            False, description="An example may have several labels, separated by | or ;, or none."
        )
        threshold: float = Field(
            0.5, gt=0, lt=1, description="Multi-label: the lowest probability at which a label is assigned."
        )

    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        multi_label = self.config.multi_label
        self.labelling: Labelling = MultiLabel(self.config.threshold) if multi_label else SingleLabel()
        self.class_weights: Floats32 | None = None
        self.roles = ("text", "text_pair") if self.config.pairs else ("text",)

    @property
    def primary_metric(self) -> str:  # type: ignore[override]
        return self.labelling.primary_metric

    # -- data ----------------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        text = Column("text", "The text to classify.", FIRST_TEXT_GUESSES if self.config.pairs else TEXT_GUESSES)
        pair = Column("text_pair", "The second text of the pair.", SECOND_TEXT_GUESSES)
        return [*(column for column in (text, pair) if column.role in self.roles), self.labelling.column()]

    def fit(self, train: Examples) -> None:
        self.labels = self.labelling.names(train.columns["label"], self.labels)

    def encode(self, tokenizer: Tokenizer, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        texts = [examples.columns[role] for role in self.roles]
        tokens = tokenize(tokenizer, texts[0], texts[1] if self.config.pairs else None, max_length)
        return Encoded(tokens, self.labelling.encode(examples.columns["label"], self.labels))

    def encode_inputs(self, tokenizer: Tokenizer, inputs: Sequence[TaskInput], max_length: int) -> TokenTable:
        refuse_missing_texts(inputs, self.roles, "Write some text to classify.")
        texts = [[str(each[role]) for each in inputs] for role in self.roles]
        return tokenize(tokenizer, texts[0], texts[1] if self.config.pairs else None, max_length)

    def collate(self, encoded: Encoded, indices: Ints, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        import torch

        batch = encoded.tokens.pad(indices, pad_id, multiple)
        return {name: torch.from_numpy(a) for name, a in {**batch, "labels": encoded.targets[indices]}.items()}

    # -- model ---------------------------------------------------------------------------------------------------------

    def model_options(self) -> HeadOptions:
        return {**label_options(self.labels), "problem_type": self.labelling.problem_type}

    def balance_classes(self, train: Encoded) -> None:
        self.class_weights = self.labelling.balanced_weights(train.targets, len(self.labels))

    def head_targets(self, split: Encoded) -> HeadTargets:
        return self.labelling.head_targets(split.targets, self.class_weights)

    def forward(self, model: torch.nn.Module, batch: Batch) -> ModelOutput:
        output = model(**batch)
        if self.class_weights is not None and model.training:
            output.loss = self.labelling.weighted_loss(output.logits, batch["labels"], self.class_weights)
        return output

    def outputs(self, model_output: ModelOutput, batch: Batch) -> torch.Tensor:
        # The probability of each label, [B, labels].
        return self.label_probabilities(model_output.logits.float())

    def label_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        return self.labelling.probabilities(logits)

    def target_score(self, model_output: ModelOutput, batch: Batch, target: Target) -> TargetScore:
        return self.labelling.target_score(model_output.logits, target.index)

    # -- results -------------------------------------------------------------------------------------------------------

    def confusion(self, outputs: Array, targets: Array) -> Ints | None:
        return self.labelling.confusion(outputs, targets, len(self.labels))

    def metrics(self, outputs: Array, targets: Array) -> dict[str, float]:
        return self.labelling.metrics(outputs, targets)

    def report(self, outcome: Array, targets: Array, train_targets: Array) -> TaskReport:
        return self.labelling.report(outcome, targets, train_targets, self.labels)

    def baseline_report(self, train: Split, reported: Split, outcome: Array) -> TaskReport | None:
        if len(train.examples) < tfidf.MIN_EXAMPLES:
            return None
        if not tfidf.is_available():
            return missing_package("scikit-learn", "TF-IDF with logistic regression")
        known, texts = (self._joined_texts(split.examples) for split in (train, reported))
        return self.labelling.baseline_report(known, texts, train.targets, reported.targets, outcome)

    def simple_report(self, train: Examples, reported: Examples) -> TaskReport | None:
        if not tfidf.is_available():
            return None
        known, texts = self._joined_texts(train), self._joined_texts(reported)
        targets = self.labelling.encode(train.columns["label"], self.labels)
        outputs = self.labelling.simple_outputs(known, texts, targets, len(self.labels))
        gold = self.labelling.encode(reported.columns["label"], self.labels)
        report = self.labelling.report(outputs, gold, targets, self.labels)
        return {**report, "simple_model": tfidf.describe(known)}

    def _joined_texts(self, examples: Examples) -> list[str]:
        return [" ||| ".join(texts) for texts in zip(*(examples.columns[role] for role in self.roles), strict=True)]

    def prediction_rows(self, examples: Examples, outcome: Array, targets: Array) -> PredictionRows:
        answers = self.decode(outcome)
        gold = [self.labelling.gold_text(value) for value in examples.columns["label"]]
        predicted = [self.labelling.answer_text(answer) for answer in answers]
        return prediction_table(
            examples.ids,
            {role: examples.columns[role] for role in self.roles},
            gold=gold,
            prediction=predicted,
            score=[answer.score for answer in answers],
            correct=[a == b for a, b in zip(gold, predicted, strict=True)],
            columns=score_columns(self.labels, outcome),
        )

    def decode(self, outputs: Array) -> list[ScoredLabels]:
        rows = outputs.astype(float).tolist()
        return [self.labelling.decode(dict(zip(self.labels, row, strict=True))) for row in rows]
