"""Choose the best of several texts: how a story goes on, which answer is right.

    workbench run multiple-choice
    workbench predict RUN --input '{"context": "It began to rain.", "choices": ["She opened her umbrella.", "He won."]}'

As in GPT (Radford et al. 2018, section 3.3) and BERT (Devlin et al. 2018, section 4.4): the model reads the context
with each choice, one at a time, and gives a number; the softmax is over the numbers of one example. Examples may have
different numbers of choices: those of a batch stand one below the other, and nothing is filled up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.batching import Batches
from workbench.data.text.tokens import tokenize
from workbench.data.values import as_texts
from workbench.errors import DataError
from workbench.metrics import measures
from workbench.spec import SpecModel
from workbench.tasks.base import Array, Encoded, Task, tasks

if TYPE_CHECKING:
    import torch

Ints = NDArray[np.int64]

EXAMPLES_AT_ONCE = 16  # when the model is asked
MEASURES: measures.Measures = {"accuracy": ("ratio", "right", "examples")}


@dataclass(frozen=True)
class Choices:
    """What there is to choose from.

    Attributes:
        right: int64 [N], number of the right choice, from 0.
        count: int64 [N], how many choices there are.
        longest: int64 [N], number of the longest choice, in characters.
    """

    right: Ints
    count: Ints
    longest: Ints


@tasks.register("multiple-choice")
class MultipleChoice(Task):
    """Multiple choice: find the text that goes with another one best."""

    head = "AutoModelForMultipleChoice"
    peft_type = "SEQ_CLS"  # peft has no type of its own for it; this one keeps the new head and passes all on
    primary_metric = "accuracy"

    class Config(SpecModel):
        labels: Literal["auto", "number", "text"] = Field(
            "auto",
            description="How the right choice is told: its number from 0, or its text; auto takes numbers where each "
            "training row has one that fits.",
        )

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.numbered = self.config.labels != "text"

    # -- data ----------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        contexts = ("context", "question", "prompt", "premise", "sent1", "startphrase", "text")
        return [
            Column("context", "What the choices are to go with.", contexts),
            Column(
                "choices", "The texts to choose from.", ("choices", "options", "endings", "candidates"), kind="texts"
            ),
            # As a text: rows that tell the right choice by its text have nearly as many labels as rows.
            Column(
                "label",
                "The right choice: its number from 0, or its text.",
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

    def encode(self, tokenizer: Any, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        columns = examples.columns
        rows = zip(examples.locations(), columns["choices"], columns["label"], strict=True)
        right = [self._right(place, choices, label) for place, choices, label in rows]
        return encode_choices(tokenizer, columns["context"], columns["choices"], right, max_length)

    def _right(self, place: str, choices: Sequence[str], label: str) -> int:
        """The number of the right choice. Raises DataError that begins with ``place``."""
        problem = trouble(choices)
        if problem:
            raise DataError(f"{place}: {problem}.", "Give each row two or more different choices.")
        if not label.strip():
            raise DataError(f"{place}: nothing says which choice is right.", "Give every row a label.")
        if self.numbered:
            number = _number(label)
            if number is not None and 0 <= number < len(choices):
                return number
            raise DataError(
                f"{place}: the label is {label[:60]!r}, and the {len(choices)} choices have the numbers 0 to "
                f"{len(choices) - 1}.",
                "Correct it; where labels are the choices' texts, set task.labels: text.",
            )
        texts = [choice.strip() for choice in choices]
        if label.strip() not in texts:
            raise DataError(
                f"{place}: the label {label[:60]!r} is none of the {len(choices)} choices.",
                "Write it as the choice is written; where labels are numbers from 0, set task.labels: number.",
            )
        return texts.index(label.strip())

    def collate(self, encoded: Encoded, indices: Array, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        """Texts [R, 1, T] of the R choices of all examples, where the choices of each are in them, and ``labels``."""
        import torch

        choices: Choices = encoded.targets
        padded = encoded.tokens.pad(encoded.texts_of(indices), pad_id, multiple)
        count = choices.count[indices]
        number = np.arange(int(count.max()))
        places = np.where(number < count[:, None], (np.cumsum(count) - count)[:, None] + number, -1)
        arrays = {name: array[:, None] for name, array in padded.items()}
        arrays |= {"places": places, "labels": choices.right[indices]}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    # -- model ---------------------------------------------------------------------------------------------------

    def model_options(self) -> dict[str, Any]:
        return {}

    def forward(self, model: Any, batch: Mapping[str, torch.Tensor]) -> Any:
        from torch.nn import functional

        output = model(**{name: tensor for name, tensor in batch.items() if name not in ("places", "labels")})
        output["loss"] = functional.cross_entropy(_side_by_side(output.logits, batch["places"]), batch["labels"])
        return output

    def outputs(self, model_output: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Probability of each choice, [B, C]; NaN where an example has fewer."""
        import torch

        places = batch["places"]
        return _side_by_side(model_output.logits, places).softmax(dim=-1).masked_fill(places < 0, torch.nan)

    # -- results -------------------------------------------------------------------------------------------------

    def metrics(self, outputs: Array, targets: Choices) -> dict[str, float]:
        return measures.metric_values(_sums(np.nanargmax(outputs, axis=1), targets), MEASURES)

    def report(self, outputs: Array, targets: Choices, train_targets: Choices) -> dict[str, Any]:
        simple = {
            "chance": float((1 / targets.count).mean()),
            "the longest choice": float((targets.longest == targets.right).mean()),
        }
        better = max(simple, key=simple.__getitem__)
        return {
            "metrics": measures.intervals(_sums(np.nanargmax(outputs, axis=1), targets), MEASURES),
            "measures": MEASURES,
            "baseline": {"accuracy": simple[better]},
            "baseline_name": better,
            "baselines": simple,
        }

    def prediction_rows(self, examples: Examples, outputs: Array, targets: Choices) -> dict[str, list[Any]]:
        chosen = np.nanargmax(outputs, axis=1)
        columns, table = examples.columns, _sums(chosen, targets)
        return {
            "id": list(examples.ids),
            "input": [f"{c} ⟂ {' | '.join(o)}" for c, o in zip(columns["context"], columns["choices"], strict=True)],
            "gold": [o[i] for o, i in zip(columns["choices"], targets.right, strict=True)],
            "prediction": [o[i] for o, i in zip(columns["choices"], chosen, strict=True)],
            "score": np.nanmax(outputs, axis=1).astype(float).tolist(),
            "correct": (table["right"] > 0).tolist(),
            **{name: column.tolist() for name, column in table.items()},
        }

    # -- asked -----------------------------------------------------------------------------------------------------

    def predict(
        self,
        model: Any,
        tokenizer: Any,
        inputs: Sequence[dict[str, Any]],
        max_length: int,
        options: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """``{"choice", "label", "score", "scores"}``: the choice, its number from 0, and all of them, best first."""
        self.changed(options)
        contexts, choices = zip(*(_asked(place, given) for place, given in enumerate(inputs, start=1)), strict=True)
        encoded = encode_choices(tokenizer, contexts, choices, [0] * len(inputs), max_length)
        results = []
        for texts, row in zip(choices, self._read(model, encoded, tokenizer.pad_token_id or 0), strict=True):
            best = int(np.argmax(row))
            scores = dict(sorted(zip(texts, row.tolist(), strict=True), key=lambda item: -item[1]))
            results.append({"choice": texts[best], "label": str(best), "score": float(row[best]), "scores": scores})
        return results

    def _read(self, model: Any, encoded: Encoded, pad_id: int) -> list[NDArray[np.float64]]:
        """The probabilities of the choices of each example, in their order; ``model`` in evaluation mode."""
        import torch

        device = next(model.parameters()).device
        found: dict[int, NDArray[np.float64]] = {}
        with torch.inference_mode():
            for indices in Batches(encoded.lengths, EXAMPLES_AT_ONCE).in_order():
                batch = {name: t.to(device) for name, t in self.collate(encoded, indices, pad_id).items()}
                rows = self.outputs(self.forward(model, batch), batch).double().cpu().numpy()
                for i, row in zip(indices.tolist(), rows, strict=True):
                    found[i] = row[: encoded.targets.count[i]]
        return [found[i] for i in range(len(encoded))]


# -- small parts ---------------------------------------------------------------------------------------------------


def encode_choices(
    tokenizer: Any, contexts: Sequence[str], choices: Sequence[Sequence[str]], right: Sequence[int], max_length: int
) -> Encoded:
    """Each context with each of its choices as a text of two parts; the longer part is cut first."""
    count = np.array([len(each) for each in choices], dtype=np.int64)
    repeated = [context for context, each in zip(contexts, choices, strict=True) for _ in each]
    tokens = tokenize(tokenizer, repeated, [choice for each in choices for choice in each], max_length)
    longest = [max(range(len(each)), key=lambda i, each=each: len(each[i])) for each in choices]  # type: ignore[misc]
    targets = Choices(np.array(right, dtype=np.int64), count, np.array(longest, dtype=np.int64))
    return Encoded(tokens, targets, rows=np.concatenate([[0], np.cumsum(count)]))


def trouble(choices: Sequence[str]) -> str:
    """What is wrong with the choices of an example; empty for nothing."""
    if len(choices) < 2:
        return f"there {'is 1 choice' if choices else 'is no choice'}, and two are needed to choose from"
    twice = next((choice for i, choice in enumerate(choices) if choice in choices[:i]), None)
    return "" if twice is None else f"the choice {twice[:60]!r} is there twice"


def _asked(place: int, given: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The context and the choices of an input. Raises DataError."""
    example = '{"context": "It began to rain.", "choices": ["She opened her umbrella.", "The sun is hot."]}'
    context = str(given.get("context") or "")
    if not context.strip():
        raise DataError(f"Input {place} has no context.", f"Give both, as in {example}.")
    try:
        choices = as_texts(given.get("choices"))
    except ValueError as error:
        raise DataError(f"Input {place}: choices {error}.", f"Give a list of texts, as in {example}.") from error
    problem = trouble(choices)
    if problem:
        raise DataError(f"Input {place}: {problem}.", f"Give two or more, as in {example}.")
    return context, choices


def _number(label: str) -> int | None:
    """A label as a whole number; a table may have written 2 as 2.0. None where it is none."""
    text = label.strip().removesuffix(".0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _side_by_side(logits: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """The numbers of all choices, [R, 1], as those of each example, [B, C]; -inf where an example has fewer."""
    import torch

    return logits.float().flatten()[places.clamp(min=0)].masked_fill(places < 0, -torch.inf)


def _sums(chosen: Ints, targets: Choices) -> dict[str, NDArray[np.float64]]:
    """Of each example what the measures add up, columns [N]."""
    return {"right": (chosen == targets.right).astype(np.float64), "examples": np.ones(len(chosen))}
