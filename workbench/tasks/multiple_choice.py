"""Choose the best of several texts, such as the ending of a story or the answer to a question.

    workbench run multiple-choice
    workbench predict RUN --input '{"context": "It began to rain.", "choices": ["She opened her umbrella.", "He won."]}'

As in GPT (Radford et al. 2018, section 3.3) and BERT (Devlin et al. 2018, section 4.4): the model reads the context
with each choice, one at a time, and returns a score; the softmax is over the scores of one example. Examples may have
different numbers of choices: a batch has one row for each choice, without padding choices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from workbench.data.cells.values import as_texts
from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.batching import Batches
from workbench.data.text.tokens import tokenize
from workbench.errors import DataError
from workbench.i18n import N_
from workbench.metrics import measures
from workbench.spec import SpecModel
from workbench.tasks.answers import Answer, Choice
from workbench.tasks.base import ModelOutput, PredictionRows, Task, TaskReport, tasks
from workbench.tasks.contexts import Array, Batch, Encoded, InferenceContext, TaskInput
from workbench.tasks.shared.inputs import with_options
from workbench.tasks.shared.results import prediction_table
from workbench.types import Floats, Ints, Json, Tokenizer

if TYPE_CHECKING:
    import torch

PREDICTION_BATCH_SIZE = 16  # examples in a batch of predictions
MEASURES: measures.Measures = {"accuracy": ("ratio", "right", "examples")}


@dataclass(frozen=True)
class Choices:
    """The choices of N examples.

    Attributes:
        right: int64 [N], index of the correct choice.
        count: int64 [N], number of choices.
        longest: int64 [N], index of the longest choice, in characters.
    """

    right: Ints
    count: Ints
    longest: Ints


@tasks.register("multiple-choice")
class MultipleChoice(Task):
    """Multiple choice: choose the text that fits a context best."""

    example = N_("Which of four endings fits this story?")
    head = "AutoModelForMultipleChoice"
    peft_type = "SEQ_CLS"  # peft has no type for this head; SEQ_CLS keeps a new head and passes all inputs on
    primary_metric = "accuracy"

    class Config(SpecModel):
        labels: Literal["auto", "number", "text"] = Field(
            "auto",
            description="How labels identify the correct choice: by its number, from 0, or by its text; auto uses "
            "numbers if every training label is a valid one.",
        )

    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        self.numbered = self.config.labels != "text"

    # -- data ----------------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        contexts = ("context", "question", "prompt", "premise", "sent1", "startphrase", "text")
        return [
            Column("context", "The text that the choices belong to.", contexts),
            Column(
                "choices", "The texts to choose from.", ("choices", "options", "endings", "candidates"), kind="texts"
            ),
            # The kind is text: if labels are the texts of choices, there are nearly as many labels as rows.
            Column(
                "label",
                "The correct choice: its number, from 0, or its text.",
                ("label", "answer", "gold", "target"),
                target=True,
                may_be_empty=True,
            ),
        ]

    def inputs(self) -> Sequence[Column]:
        return [column for column in self.columns() if column.role != "label"]

    def texts(self, examples: Examples) -> Iterator[str]:
        yield from examples.columns["context"]
        for choices in examples.columns["choices"]:
            yield from choices

    def fit(self, train: Examples) -> None:
        if self.config.labels == "auto":
            rows = zip(train.columns["label"], train.columns["choices"], strict=True)
            self.numbered = all(_number(label) in range(len(choices)) for label, choices in rows)

    def check_examples(self, examples: Examples) -> None:
        self._right_choices(examples)

    def encode(self, tokenizer: Tokenizer, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        columns, right = examples.columns, self._right_choices(examples)
        return encode_choices(tokenizer, columns["context"], columns["choices"], right, max_length)

    def _right_choices(self, examples: Examples) -> list[int]:
        """Return the index of the correct choice of each example."""
        rows = zip(examples.locations(), examples.columns["choices"], examples.columns["label"], strict=True)
        return [self._right(where, choices, label) for where, choices, label in rows]

    def _right(self, where: str, choices: Sequence[str], label: str) -> int:
        """Return the index of the correct choice. Raise DataError with a message that begins with ``where``."""
        problem = choices_problem(choices)
        if problem:
            raise DataError(f"{where}: {problem}.", "Give each row at least two distinct choices.")
        if not label.strip():
            raise DataError(f"{where}: the label is missing.", "Give every row a label.")
        if self.numbered:
            number = _number(label)
            if number is not None and 0 <= number < len(choices):
                return number
            raise DataError(
                f"{where}: the label is {label[:60]!r}, but the {len(choices)} choices have the numbers 0 to "
                f"{len(choices) - 1}.",
                "Correct the label. If labels are the texts of choices, set task.labels: text.",
            )
        texts = [choice.strip() for choice in choices]
        if label.strip() not in texts:
            raise DataError(
                f"{where}: the label {label[:60]!r} is none of the {len(choices)} choices.",
                "Spell the label exactly like the choice. If labels are numbers from 0, set task.labels: number.",
            )
        return texts.index(label.strip())

    def collate(self, encoded: Encoded, indices: Ints, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        # Inputs [R, 1, T] of all R choices, the rows of each example's choices, and labels.
        import torch

        choices: Choices = encoded.targets
        padded = encoded.tokens.pad(encoded.texts_of(indices), pad_id, multiple)
        count = choices.count[indices]
        number = np.arange(int(count.max()))
        rows = np.where(number < count[:, None], (np.cumsum(count) - count)[:, None] + number, -1)
        arrays = {name: array[:, None] for name, array in padded.items()}
        arrays |= {"rows": rows, "labels": choices.right[indices]}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    # -- model ---------------------------------------------------------------------------------------------------------

    def forward(self, model: torch.nn.Module, batch: Batch) -> ModelOutput:
        from torch.nn import functional

        output = model(**{name: tensor for name, tensor in batch.items() if name not in ("rows", "labels")})
        output["loss"] = functional.cross_entropy(_by_example(output.logits, batch["rows"]), batch["labels"])
        return output

    def outputs(self, model_output: ModelOutput, batch: Batch) -> torch.Tensor:
        # The probability of each choice, [B, C]; NaN if an example has fewer choices.
        import torch

        rows = batch["rows"]
        return _by_example(model_output.logits, rows).softmax(dim=-1).masked_fill(rows < 0, torch.nan)

    # -- results -------------------------------------------------------------------------------------------------------

    def metrics(self, outputs: Array, targets: Choices) -> dict[str, float]:
        return measures.metric_values(_sums(np.nanargmax(outputs, axis=1), targets), MEASURES)

    def report(self, outcome: Array, targets: Choices, train_targets: Choices) -> TaskReport:
        baselines = {
            "chance": float((1 / targets.count).mean()),
            "the longest choice": float((targets.longest == targets.right).mean()),
        }
        better = max(baselines, key=baselines.__getitem__)
        right = 1 / targets.count if better == "chance" else (targets.longest == targets.right)
        before, after = {"right": right, "examples": np.ones(len(right))}, _sums(np.nanargmax(outcome, axis=1), targets)
        return {
            "metrics": measures.intervals(after, MEASURES),
            "measures": MEASURES,
            "baseline": {"accuracy": baselines[better]},
            "baseline_name": better,
            "baselines": baselines,
            "gain": measures.improvements(before, after, MEASURES),
        }

    def prediction_rows(self, examples: Examples, outcome: Array, targets: Choices) -> PredictionRows:
        chosen = np.nanargmax(outcome, axis=1)
        columns, table = examples.columns, _sums(chosen, targets)
        return prediction_table(
            examples.ids,
            {role: columns[role] for role in ("context", "choices")},
            gold=[texts[i] for texts, i in zip(columns["choices"], targets.right, strict=True)],
            prediction=[texts[i] for texts, i in zip(columns["choices"], chosen, strict=True)],
            score=np.nanmax(outcome, axis=1).astype(float).tolist(),
            correct=(table["right"] > 0).tolist(),
            columns=table,
        )

    # -- inference -----------------------------------------------------------------------------------------------------

    def predict(
        self, context: InferenceContext, inputs: Sequence[TaskInput], options: Mapping[str, Json] | None = None
    ) -> list[Answer]:
        with_options(self.config, options, self.name)
        rows = [_context_and_choices(number, each) for number, each in enumerate(inputs, start=1)]
        contexts, choices = zip(*rows, strict=True)
        encoded = encode_choices(context.tokenizer, contexts, choices, [0] * len(inputs), context.max_length)
        answers: list[Answer] = []
        for texts, row in zip(choices, self._probabilities(context, encoded), strict=True):
            best = int(np.argmax(row))
            scores = dict(sorted(zip(texts, row.tolist(), strict=True), key=lambda item: -item[1]))
            answers.append(Choice(texts[best], best, float(row[best]), scores))
        return answers

    def truncated(self, context: InferenceContext, inputs: Sequence[TaskInput]) -> int:
        rows = [_context_and_choices(number, each) for number, each in enumerate(inputs, start=1)]
        contexts, choices = zip(*rows, strict=True)
        encoded = encode_choices(context.tokenizer, contexts, choices, [0] * len(inputs), context.max_length)
        assert encoded.rows is not None
        cut = encoded.tokens.full_lengths > encoded.tokens.lengths
        return int(np.logical_or.reduceat(cut, encoded.rows[:-1]).sum())

    def _probabilities(self, context: InferenceContext, encoded: Encoded) -> list[Floats]:
        """Return the probabilities of each example's choices, in the order of the choices."""
        import torch

        rows: dict[int, Floats] = {}
        with torch.inference_mode():
            for indices in Batches(encoded.lengths, PREDICTION_BATCH_SIZE).in_order():
                batch = context.to_device(self.collate(encoded, indices, context.pad_id))
                outputs = self.outputs(self.forward(context.model, batch), batch).double().cpu().numpy()
                rows |= {int(i): row[: encoded.targets.count[i]] for i, row in zip(indices, outputs, strict=True)}
        return [rows[i] for i in range(len(encoded))]


# -- helpers -----------------------------------------------------------------------------------------------------------


def encode_choices(
    tokenizer: Tokenizer,
    contexts: Sequence[str],
    choices: Sequence[Sequence[str]],
    right: Sequence[int],
    max_length: int,
) -> Encoded:
    """Tokenize each context with each of its choices as a text pair; the longer of the two is truncated first.

    Args:
        tokenizer: the model's tokenizer.
        contexts: contexts of N examples.
        choices: choices of each example, two or more.
        right: index of each example's correct choice.
        max_length: maximum length of a pair in tokens.
    """
    count = np.array([len(each) for each in choices], dtype=np.int64)
    repeated = [context for context, each in zip(contexts, choices, strict=True) for _ in each]
    tokens = tokenize(tokenizer, repeated, [choice for each in choices for choice in each], max_length)
    longest = [max(range(len(each)), key=lambda i, each=each: len(each[i])) for each in choices]  # type: ignore[misc]
    targets = Choices(np.array(right, dtype=np.int64), count, np.array(longest, dtype=np.int64))
    return Encoded(tokens, targets, rows=np.concatenate([[0], np.cumsum(count)]))


def choices_problem(choices: Sequence[str]) -> str:
    """Return the problem with the choices of an example; an empty string if there is none.

    Args:
        choices: choices of one example.
    """
    if len(choices) < 2:
        return f"there {'is only 1 choice' if choices else 'is no choice'}, but at least two are needed"
    duplicate = next((choice for i, choice in enumerate(choices) if choice in choices[:i]), None)
    return "" if duplicate is None else f"the choice {duplicate[:60]!r} occurs twice"


def _context_and_choices(number: int, inputs: TaskInput) -> tuple[str, list[str]]:
    """Return the context and the choices of an input. Raise DataError."""
    example = '{"context": "It began to rain.", "choices": ["She opened her umbrella.", "The sun is hot."]}'
    context = str(inputs.get("context") or "")
    if not context.strip():
        raise DataError(f"Input {number} has no context.", f"Write context and choices, as in {example}.")
    try:
        choices = as_texts(inputs.get("choices"))
    except ValueError as error:
        raise DataError(f"Input {number}: choices {error}.", f"Write a list of texts, as in {example}.") from error
    problem = choices_problem(choices)
    if problem:
        raise DataError(f"Input {number}: {problem}.", f"Write two or more, as in {example}.")
    return context, choices


def _number(label: str) -> int | None:
    """Return a label as an integer, or None if it is not one; a table may have written 2 as 2.0."""
    text = label.strip().removesuffix(".0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _by_example(logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Arrange the scores of all choices, [R, 1], by example, [B, C]; -inf if an example has fewer choices."""
    import torch

    return logits.float().flatten()[rows.clamp(min=0)].masked_fill(rows < 0, -torch.inf)


def _sums(chosen: Ints, targets: Choices) -> dict[str, Floats]:
    """Return the columns that the measures sum over the examples, [N] each."""
    return {"right": (chosen == targets.right).astype(np.float64), "examples": np.ones(len(chosen))}
