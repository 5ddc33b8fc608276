"""Predict a number for each text: a rating, a price, a reading time.

    workbench run film-stars

The model learns numbers with mean 0 and standard deviation 1. Before it is saved, its last layer is rescaled, so the
saved model returns numbers on the scale of the data, in plain transformers, too. Where that layer has no bias (as in
most decoders), it cannot add the mean: there, the model learns numbers with a root mean square of 1.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.tokens import TokenTable, tokenize
from workbench.errors import DataError, SpecError
from workbench.i18n import N_
from workbench.metrics import measures
from workbench.spec import SpecModel
from workbench.tasks.answers import Number
from workbench.tasks.base import (
    HeadOptions,
    ModelOutput,
    PredictionRows,
    ScoringTask,
    Split,
    TaskReport,
    missing_package,
    tasks,
)
from workbench.tasks.contexts import Array, Batch, Encoded, TaskInput
from workbench.tasks.shared.baselines import tfidf
from workbench.tasks.shared.inputs import refuse_missing_texts
from workbench.tasks.shared.results import prediction_table
from workbench.tasks.text_classification import FIRST_TEXT_GUESSES, SECOND_TEXT_GUESSES, TEXT_GUESSES
from workbench.tuning.linear_models import HeadTargets
from workbench.types import Floats, Ints, Model, Tokenizer

if TYPE_CHECKING:
    import torch

MEASURES = {
    "r2": ("r2", "squared_error", "value", "squared_value", "examples"),
    "mae": ("ratio", "absolute_error", "examples"),
    "rmse": ("root_ratio", "squared_error", "examples"),
}
_HEADS = ("classifier", "score", "out_proj")  # the last layer of transformers' sequence classifiers


@tasks.register("text-regression")
class TextRegression(ScoringTask):
    """Text regression: predict a number for each text."""

    example = N_("How many stars does this review give?")
    head = "AutoModelForSequenceClassification"
    peft_type = "SEQ_CLS"
    primary_metric = "r2"

    class Config(SpecModel):
        pairs: bool = Field(False, description="Each example is a pair of texts (columns text and text_pair).")

    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        self.roles = ("text", "text_pair") if self.config.pairs else ("text",)
        self.train_mean, self.train_deviation = 0.0, 1.0
        self.offset, self.scale = 0.0, 1.0  # what turns the model's outputs into numbers; set while it trains

    # -- data ----------------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        text = Column("text", "The text.", FIRST_TEXT_GUESSES if self.config.pairs else TEXT_GUESSES)
        pair = Column("text_pair", "The second text of the pair.", SECOND_TEXT_GUESSES)
        guesses = ("value", "number", "score", "rating", "stars", "target", "price", "label")
        value = Column("value", "The number to predict.", guesses, kind="number", target=True)
        return [*(column for column in (text, pair) if column.role in self.roles), value]

    def fit(self, train: Examples) -> None:
        values = np.asarray(train.columns["value"], dtype=np.float64)
        self.train_mean, self.train_deviation = float(values.mean()), float(values.std())
        if not self.train_deviation > 0:
            raise DataError(
                f"Every training example has the number {values[0]:g}.",
                "Check that data.columns names the right column.",
            )

    def encode(self, tokenizer: Tokenizer, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        texts = [examples.columns[role] for role in self.roles]
        tokens = tokenize(tokenizer, texts[0], texts[1] if self.config.pairs else None, max_length)
        return Encoded(tokens, np.asarray(examples.columns["value"], dtype=np.float64))

    def encode_inputs(self, tokenizer: Tokenizer, inputs: Sequence[TaskInput], max_length: int) -> TokenTable:
        refuse_missing_texts(inputs, self.roles, "Write some text.")
        texts = [[str(each[role]) for each in inputs] for role in self.roles]
        return tokenize(tokenizer, texts[0], texts[1] if self.config.pairs else None, max_length)

    def collate(self, encoded: Encoded, indices: Ints, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        import torch

        batch = encoded.tokens.pad(indices, pad_id, multiple)
        labels = encoded.targets[indices].astype(np.float32)
        return {name: torch.from_numpy(array) for name, array in {**batch, "labels": labels}.items()}

    # -- model ---------------------------------------------------------------------------------------------------------

    def model_options(self) -> HeadOptions:
        return {"num_labels": 1, "problem_type": "regression"}

    def configure(self, model: Model) -> None:
        if not _last_layers(model):
            raise SpecError(
                f"text-regression does not know the last layer of {type(model).__name__}.", "Use another model."
            )

    def init_head(self, model: Model, train: Encoded, new: Collection[str]) -> None:
        self.offset, self.scale = self.train_mean, self.train_deviation
        if any(layer.bias is None for layer in _last_layers(model)):
            self.offset, self.scale = 0.0, math.hypot(self.train_mean, self.train_deviation)
        if not any(set(name.split(".")) & set(_HEADS) for name in new):  # the head of a finished run: undo ``finalize``
            _rescale(model, 1 / self.scale, -self.offset / self.scale)

    def head_targets(self, split: Encoded) -> HeadTargets:
        return HeadTargets("numbers", ((split.targets - self.offset) / self.scale).astype(np.float32))

    def forward(self, model: torch.nn.Module, batch: Batch) -> ModelOutput:
        # The loss is the squared error in standard deviations of the training split.
        output = model(**{name: values for name, values in batch.items() if name != "labels"})
        if "labels" in batch:
            output.loss = (((self.outputs(output, batch)[:, 0] - batch["labels"]) / self.train_deviation) ** 2).mean()
        return output

    def outputs(self, model_output: ModelOutput, batch: Batch) -> torch.Tensor:
        # The number, [B, 1].
        number: torch.Tensor = model_output.logits.float() * self.scale + self.offset
        return number

    def finalize(self, model: Model) -> None:
        _rescale(model, self.scale, self.offset)
        self.offset, self.scale = 0.0, 1.0

    # -- results -------------------------------------------------------------------------------------------------------

    def metrics(self, outputs: Array, targets: Floats) -> dict[str, float]:
        return measures.metric_values(_sums(outputs[:, 0], targets), MEASURES)

    def report(self, outcome: Array, targets: Floats, train_targets: Floats) -> TaskReport:
        mean = np.full(len(targets), train_targets.mean())
        return {
            "metrics": measures.intervals(_sums(outcome[:, 0], targets), MEASURES),
            "measures": {name: list(measure) for name, measure in MEASURES.items()},
            "baseline": measures.metric_values(_sums(mean, targets), MEASURES),
            "baseline_name": "always the mean of the training split",
            "gain": measures.improvements(_sums(mean, targets), _sums(outcome[:, 0], targets), MEASURES),
        }

    def baseline_report(self, train: Split, reported: Split, outcome: Array) -> TaskReport | None:
        if len(train.examples) < tfidf.MIN_EXAMPLES:
            return None
        if not tfidf.is_available():
            return missing_package("scikit-learn", "TF-IDF with ridge regression")
        known, texts = (list(self._texts(split.examples)) for split in (train, reported))
        before = _sums(tfidf.predict_numbers(known, train.targets, texts), reported.targets)
        return {
            "baseline": measures.metric_values(before, MEASURES),
            "baseline_name": tfidf.describe(known, "ridge regression"),
            "gain": measures.improvements(before, _sums(outcome[:, 0], reported.targets), MEASURES),
        }

    def simple_report(self, train: Examples, reported: Examples) -> TaskReport | None:
        if not tfidf.is_available():
            return None
        known, texts = list(self._texts(train)), list(self._texts(reported))
        targets, gold = (np.asarray(each.columns["value"], dtype=np.float64) for each in (train, reported))
        predicted = tfidf.predict_numbers(known, targets, texts)
        return {
            **self.report(predicted[:, None], gold, targets),
            "simple_model": tfidf.describe(known, "ridge regression"),
        }

    def _texts(self, examples: Examples) -> Iterator[str]:
        return (" ||| ".join(texts) for texts in zip(*(examples.columns[role] for role in self.roles), strict=True))

    def prediction_rows(self, examples: Examples, outcome: Array, targets: Floats) -> PredictionRows:
        predicted = outcome[:, 0].astype(float)
        return prediction_table(
            examples.ids,
            {role: examples.columns[role] for role in self.roles},
            gold=targets.tolist(),
            prediction=predicted.tolist(),
            score=(-np.abs(predicted - targets)).tolist(),  # the largest mistakes have the lowest score
            correct=(np.abs(predicted - targets) < np.abs(targets.mean() - targets)).tolist(),
            columns=_sums(predicted, targets),
        )

    def decode(self, outputs: Array) -> list[Number]:
        return [Number(float(value)) for value in outputs[:, 0]]


def _last_layers(model: Model) -> list[torch.nn.Linear]:
    """Return the trainable layers with one output; several only where a fine-tuning method keeps copies.

    Names with a number are inside the Transformer layers, where adapters can have one output, too.
    """
    from torch import nn

    layers = [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and module.out_features == 1
        and set(parts := name.split(".")) & set(_HEADS)
        and not any(part.isdigit() for part in parts)
    ]
    return [layer for layer in layers if layer.weight.requires_grad] or layers


def _rescale(model: Model, factor: float, offset: float) -> None:
    """Multiply the outputs of the last layer by a factor, and add an offset."""
    import torch

    with torch.no_grad():
        for layer in _last_layers(model):
            layer.weight.mul_(factor)
            if layer.bias is not None:
                layer.bias.mul_(factor).add_(offset)


def _sums(predicted: Array, targets: Floats) -> Mapping[str, Floats]:
    """Return the numbers [N] of which the measures are sums."""
    error = np.asarray(predicted, dtype=np.float64) - targets
    return {
        "absolute_error": np.abs(error),
        "squared_error": error**2,
        "value": targets,
        "squared_value": targets**2,
        "examples": np.ones(len(targets)),
    }
