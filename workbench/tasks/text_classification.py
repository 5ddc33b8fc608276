"""Put each text into one of several classes, or into any number of them.

    workbench run demo-full        # sentiment of film reviews, two classes

Single-label: the softmax of the head's logits, cross-entropy. Multi-label: a sigmoid for each label, binary
cross-entropy. Pairs of texts: both go into one input, divided by the tokenizer's separator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.tokens import TokenTable, tokenize
from workbench.errors import DataError
from workbench.metrics import scores
from workbench.spec import SpecModel
from workbench.tasks.base import Array, Encoded, ScoringTask, Target, TargetScore, tasks

if TYPE_CHECKING:
    import torch

MOST_SCORE_COLUMNS = 100  # more labels than this, and predictions keep the best score only

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
LABEL_GUESSES = ("label", "category", "class", "sentiment", "intent", "target", "topic", "tag")


@tasks.register("text-classification")
class TextClassification(ScoringTask):
    """Text classification: put each text into one of several classes."""

    head = "AutoModelForSequenceClassification"
    target_kind = "label"
    peft_type = "SEQ_CLS"

    class Config(SpecModel):
        pairs: bool = Field(False, description="Each example is a pair of texts (columns text and text_pair).")
        multi_label: bool = Field(False, description="An example may have several labels, or none; parted by | or ;.")
        threshold: float = Field(0.5, gt=0, lt=1, description="Multi-label: probability from which a label is given.")

    config: Config

    @property
    def primary_metric(self) -> str:  # type: ignore[override]
        return "macro_f1" if self.config.multi_label else "accuracy"

    # -- data ----------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        text = Column("text", "The text to classify.", TEXT_GUESSES)
        pair = Column("text_pair", "The second text of the pair.", ("text_pair", "text2", "sentence2", "hypothesis"))
        if self.config.multi_label:
            label = Column("label", "Its labels, parted by | or ;", ("labels", *LABEL_GUESSES), kind="labels")
        else:
            label = Column("label", "Its class.", LABEL_GUESSES, kind="label")
        return [text, pair, label] if self.config.pairs else [text, label]

    def fit(self, train: Examples) -> None:
        found = train.columns["label"]
        names = {name for given in found for name in given} if self.config.multi_label else set(found)
        if len(names) < 2 and not self.config.multi_label:
            raise DataError(
                f"The training data has one class only: {sorted(names)}.", "At least two are needed to learn anything."
            )
        divided = sorted(name for name in names if "|" in name) if self.config.multi_label else []
        if divided:
            raise DataError(
                f"The label {divided[0]!r} holds '|', which parts labels from each other.", "Rename it, without '|'."
            )
        if not names:
            raise DataError("The training data has no label at all.", "Check the column that is mapped to 'label'.")
        self.labels = sorted(names)

    def encode(self, tokenizer: Any, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        pairs = examples.columns["text_pair"] if self.config.pairs else None
        tokens = tokenize(tokenizer, examples.columns["text"], pairs, max_length)
        number = {label: i for i, label in enumerate(self.labels)}
        if self.config.multi_label:
            targets = np.zeros((len(examples), len(self.labels)), dtype=np.float32)
            for row, given in enumerate(examples.columns["label"]):
                targets[row, [number[label] for label in given]] = 1
            return Encoded(tokens, targets)
        return Encoded(tokens, np.array([number[label] for label in examples.columns["label"]], dtype=np.int64))

    def encode_inputs(self, tokenizer: Any, inputs: Sequence[dict[str, Any]], max_length: int) -> TokenTable:
        needed = ["text", "text_pair"] if self.config.pairs else ["text"]
        for place, given in enumerate(inputs, start=1):
            missing = [role for role in needed if not str(given.get(role, "")).strip()]
            if missing:
                raise DataError(f"Input {place} has no {' and no '.join(missing)}.", "Write some text to classify.")
        pairs = [str(i["text_pair"]) for i in inputs] if self.config.pairs else None
        return tokenize(tokenizer, [str(i["text"]) for i in inputs], pairs, max_length)

    def collate(self, encoded: Encoded, indices: Array, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        import torch

        batch = encoded.tokens.pad(indices, pad_id, multiple)
        return {name: torch.from_numpy(a) for name, a in {**batch, "labels": encoded.targets[indices]}.items()}

    # -- model ---------------------------------------------------------------------------------------------------

    def model_options(self) -> dict[str, Any]:
        kind = "multi_label_classification" if self.config.multi_label else "single_label_classification"
        return {
            "num_labels": len(self.labels),
            "id2label": dict(enumerate(self.labels)),
            "label2id": {label: i for i, label in enumerate(self.labels)},
            "problem_type": kind,
        }

    def outputs(self, model_output: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return self.label_probabilities(model_output.logits.float())

    def label_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.sigmoid() if self.config.multi_label else logits.softmax(dim=-1)

    def target_score(self, model_output: Any, batch: Mapping[str, torch.Tensor], target: Target) -> TargetScore:
        if self.config.multi_label:
            logit = model_output.logits.float()[:, target.index]
            return TargetScore(logit, logit.sigmoid())
        return TargetScore.choice(model_output.logits, target.index)

    # -- results -------------------------------------------------------------------------------------------------

    def confusion(self, outputs: Array, targets: Array) -> Array | None:
        return None if self.config.multi_label else self._counts(outputs, targets)

    def _counts(self, outputs: Array, targets: Array) -> Array:
        """The confusion matrix [labels, labels] of single labels."""
        return scores.confusion_matrix(targets, outputs.argmax(axis=1), len(self.labels))

    def metrics(self, outputs: Array, targets: Array) -> dict[str, float]:
        if self.config.multi_label:
            return scores.label_scores(targets > 0.5, outputs >= self.config.threshold)
        return scores.class_scores(self._counts(outputs, targets))

    def report(self, outputs: Array, targets: Array, train_targets: Array) -> dict[str, Any]:
        if self.config.multi_label:
            return self._multi_label_report(outputs, targets, train_targets)
        confusion = self._counts(outputs, targets)
        majority = np.bincount(train_targets, minlength=len(self.labels)).argmax()
        always = scores.confusion_matrix(targets, np.full_like(targets, majority), len(self.labels))
        return {
            "metrics": _with_intervals(scores.class_scores(confusion), scores.bootstrap_intervals(confusion)),
            "baseline": scores.class_scores(always),
            "baseline_name": f"always {self.labels[majority]!r} (most frequent in training)",
            "labels": self.labels,
            "confusion": confusion.tolist(),
            "per_class": scores.per_class(confusion, self.labels),
        }

    def _multi_label_report(self, outputs: Array, targets: Array, train_targets: Array) -> dict[str, Any]:
        gold, given = targets > 0.5, outputs >= self.config.threshold
        usual = np.broadcast_to(train_targets.mean(axis=0) >= 0.5, gold.shape)
        return {
            "metrics": _with_intervals(scores.label_scores(gold, given), scores.bootstrap_label_intervals(gold, given)),
            "baseline": scores.label_scores(gold, usual),
            "baseline_name": "the labels that more than half of the training examples have",
            "labels": self.labels,
            "per_class": scores.per_label(scores.label_counts(gold, given), self.labels),
        }

    def prediction_rows(self, examples: Examples, outputs: Array, targets: Array) -> dict[str, list[Any]]:
        readable = self.decode(outputs)
        if self.config.multi_label:
            gold = ["|".join(sorted(given)) for given in examples.columns["label"]]
            predicted = ["|".join(sorted(r["labels"])) for r in readable]
        else:
            gold = [self.labels[i] for i in targets]
            predicted = [r["label"] for r in readable]
        texts = examples.columns["text"]
        if self.config.pairs:
            texts = [f"{a} ⟂ {b}" for a, b in zip(texts, examples.columns["text_pair"], strict=True)]
        rows: dict[str, list[Any]] = {
            "id": list(examples.ids),
            "input": list(texts),
            "gold": gold,
            "prediction": predicted,
            "score": [r["score"] for r in readable],
            "correct": [g == p for g, p in zip(gold, predicted, strict=True)],
        }
        if len(self.labels) <= MOST_SCORE_COLUMNS:
            for i, label in enumerate(self.labels):
                rows[f"score:{label}"] = outputs[:, i].astype(float).tolist()
        return rows

    def decode(self, outputs: Array) -> list[dict[str, Any]]:
        results = []
        for row in outputs.astype(float):
            by_label = dict(sorted(zip(self.labels, row.tolist(), strict=True), key=lambda item: -item[1]))
            best = next(iter(by_label))
            result: dict[str, Any] = {"label": best, "score": by_label[best], "scores": by_label}
            if self.config.multi_label:
                result["labels"] = [label for label, score in by_label.items() if score >= self.config.threshold]
            results.append(result)
        return results


def _with_intervals(values: dict[str, float], intervals: dict[str, tuple[float, float]]) -> dict[str, dict[str, float]]:
    return {
        name: {"value": value, "low": intervals[name][0], "high": intervals[name][1]} for name, value in values.items()
    }
