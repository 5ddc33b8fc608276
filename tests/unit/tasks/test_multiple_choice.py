"""Multiple choice: any number of choices for each example, compared with transformers' head where all have the same."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import BertConfig, BertForMultipleChoice

from tests.tiny import make_model
from tests.unit.tasks.predicting import predict_json
from workbench.data.examples import Examples
from workbench.errors import DataError
from workbench.models.loading import load_tokenizer
from workbench.tasks.contexts import Encoded
from workbench.tasks.multiple_choice import Choices, MultipleChoice
from workbench.training.frozen import FrozenPrefix
from workbench.tuning.structure import ModelStructure

ROWS = [
    ("the film is", ["great", "a dull story with awful actors", "very boring"], "0"),
    ("a story", ["of the plot", "wonderful"], "1"),
    ("the music is quite", ["lovely", "clumsy", "charming", "really superb", "dull"], "3"),
]


def make_task(**options: Any) -> MultipleChoice:
    return MultipleChoice(MultipleChoice.Config(**options))


def examples(rows: list[tuple[str, list[str], str]]) -> Examples:
    names = ("context", "choices", "label")
    columns = {name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
    return Examples(columns, [f"own.csv:{i + 2}" for i in range(len(rows))], list(range(2, len(rows) + 2)))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_tokenizer(make_model(tmp_path_factory.mktemp("model") / "tiny"))


@cache
def model() -> Any:
    torch.manual_seed(0)
    config = BertConfig(vocab_size=60, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    return BertForMultipleChoice(config).eval()


def encode(tokenizer: Any, rows: list[tuple[str, list[str], str]], max_length: int = 32, **options: Any) -> Encoded:
    return make_task(**options).encode(tokenizer, examples(rows), max_length)


def test_loss_and_probabilities_are_those_of_the_head(tokenizer: Any) -> None:
    """Compare examples with the same number of choices with transformers' own head, which takes [B, C, T]."""
    rows = [(context, choices[:2], "1") for context, choices, _ in ROWS]
    encoded, task = encode(tokenizer, rows), make_task()
    batch = task.collate(encoded, np.arange(3), 0)
    inputs = {name: batch[name].reshape(3, 2, -1) for name in ("input_ids", "attention_mask", "token_type_ids")}
    expected = model()(**inputs, labels=batch["labels"])
    output = task.forward(model(), batch)
    assert output.loss.item() == pytest.approx(expected.loss.item(), rel=1e-5)
    torch.testing.assert_close(task.outputs(output, batch), expected.logits.softmax(-1))


def test_examples_with_fewer_choices_are_not_padded_with_choices(tokenizer: Any) -> None:
    encoded, task = encode(tokenizer, ROWS), make_task()
    order = np.array([2, 0, 1])
    batch = task.collate(encoded, order, 0)
    assert batch["input_ids"].shape[:2] == (10, 1) and len(encoded) == 3
    output = task.forward(model(), batch)
    together = task.outputs(output, batch)
    losses = []
    for row, example in enumerate(order):
        alone = task.collate(encoded, np.array([example]), 0)
        single_output = task.forward(model(), alone)
        losses.append(single_output.loss.detach())
        count = len(ROWS[example][1])
        torch.testing.assert_close(together[row, :count], task.outputs(single_output, alone)[0], atol=1e-5, rtol=1e-4)
        assert together[row, count:].isnan().all() and together[row].nansum().item() == pytest.approx(1)
    assert output.loss.item() == pytest.approx(float(torch.stack(losses).mean()), rel=1e-4)
    assert encoded.lengths.tolist() == [encoded.tokens.lengths[a:b].sum() for a, b in [(0, 3), (3, 5), (5, 10)]]


def test_loss_on_missing_choices_and_padding_is_zero(tokenizer: Any) -> None:
    """Other tokens in the padding change nothing, and no choice has a gradient from another example."""
    encoded, task = encode(tokenizer, ROWS), make_task()
    batch = task.collate(encoded, np.arange(3), 0)
    padded = batch["attention_mask"] == 0
    assert padded.any()
    other = {**batch, "input_ids": batch["input_ids"].masked_fill(padded, 17)}
    assert task.forward(model(), other).loss.item() == pytest.approx(task.forward(model(), batch).loss.item(), rel=1e-5)
    logits = torch.randn(10, 1, requires_grad=True)

    class FixedLogits(torch.nn.Module):
        def forward(self, **_: Any) -> Any:
            from transformers.modeling_outputs import MultipleChoiceModelOutput

            return MultipleChoiceModelOutput(None, logits)

    task.forward(FixedLogits(), batch).loss.backward()
    per_example = zip(logits.detach().flatten().split([3, 2, 5]), [0, 1, 3], strict=True)
    expected = [
        (scores.softmax(0) - functional.one_hot(torch.tensor(right), len(scores))) / 3 for scores, right in per_example
    ]
    torch.testing.assert_close(logits.grad.flatten(), torch.cat(expected))


@pytest.mark.parametrize("depth", [1, 2])
def test_frozen_layers_are_replayed_for_each_choice(tokenizer: Any, depth: int) -> None:
    encoded, task = encode(tokenizer, ROWS), make_task()
    prefix = FrozenPrefix(model(), ModelStructure.of(model()), depth, task.forward)

    def collate(indices: Any) -> dict[str, torch.Tensor]:
        return task.collate(encoded, indices, 0)

    store = prefix.compute(
        encoded.tokens.offsets,
        [np.array([1]), np.array([2, 0])],
        collate,
        torch.device("cpu"),
        texts_of=encoded.texts_of,
    )
    order = np.array([2, 1])
    batch, texts = collate(order), encoded.texts_of(order)
    assert texts.tolist() == [5, 6, 7, 8, 9, 3, 4]
    full = task.forward(model(), batch).loss
    with prefix.replaying():
        prefix.show(store.batch(texts, batch["input_ids"].shape[-1]))
        assert task.forward(model(), batch).loss.item() == pytest.approx(full.item(), rel=1e-5)
    assert prefix.agrees(store, batch, texts)
    store.values[:] = torch.randn(store.values.shape)
    assert not prefix.agrees(store, batch, texts)


# -- labels ---------------------------------------------------------------------------------------------------------


def test_labels_are_indices_or_texts(tokenizer: Any) -> None:
    assert encode(tokenizer, ROWS).targets.right.tolist() == [0, 1, 3]
    texts = [(context, choices, f" {choices[int(label)]} ") for context, choices, label in ROWS]
    task = make_task()
    task.fit(examples(texts))
    assert not task.numbered
    assert task.encode(tokenizer, examples(texts), 32).targets.right.tolist() == [0, 1, 3]
    task.fit(examples(ROWS))
    assert task.numbered
    numeric = [("2 + 1", ["1", "2", "3"], "3"), ("1 + 0", ["1", "2"], "1")]
    task.fit(examples(numeric))
    assert task.encode(tokenizer, examples(numeric), 32).targets.right.tolist() == [2, 0], (
        "3 is a text: three choices have the indices 0 to 2"
    )
    assert encode(tokenizer, [("a", ["b", "c"], "1.0")]).targets.right.tolist() == [1]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("a", ["b", "c"], "2"), "own.csv, line 3: the label is '2', but the 2 choices have the numbers 0 to 1"),
        (("a", ["b", "c"], "-1"), "line 3: the label is '-1'"),
        (("a", ["b", "c"], " "), "line 3: the label is missing"),
        (("a", ["b"], "0"), "line 3: there is only 1 choice"),
        (("a", [], "0"), "line 3: there is no choice"),
        (("a", ["b", "c", "b"], "0"), "line 3: the choice 'b' occurs twice"),
    ],
)
def test_unusable_rows_are_refused_with_their_line(
    tokenizer: Any, row: tuple[str, list[str], str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        encode(tokenizer, [ROWS[0], row], labels="number")


def test_a_label_that_is_no_choice_is_refused(tokenizer: Any) -> None:
    task = make_task(labels="text")
    with pytest.raises(DataError, match="line 2: the label 'e' is none of the 2 choices"):
        task.encode(tokenizer, examples([("a", ["b", "c"], "e")]), 32)


# -- metrics and answers ---------------------------------------------------------------------------------------------


def test_metrics_and_baselines_of_choices() -> None:
    targets = Choices(np.array([0, 1, 3, 2]), np.array([2, 2, 4, 4]), np.array([0, 1, 3, 1]))
    outputs = np.full((4, 4), np.nan)
    outputs[0, :2], outputs[1, :2] = [0.9, 0.1], [0.6, 0.4]
    outputs[2], outputs[3] = [0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]
    report = make_task().report(outputs, targets, targets)
    assert report["metrics"]["accuracy"]["value"] == make_task().metrics(outputs, targets)["accuracy"] == 0.5
    assert report["baselines"] == {"chance": (1 / 2 + 1 / 2 + 1 / 4 + 1 / 4) / 4, "the longest choice": 0.75}
    assert report["baseline"] == {"accuracy": 0.75} and report["baseline_name"] == "the longest choice"


def test_answers(tokenizer: Any) -> None:
    task = make_task()
    inputs = [{"context": context, "choices": choices} for context, choices, _ in ROWS]
    answers = predict_json(task, model(), tokenizer, inputs, 32, {})
    for answer, example in zip(answers, inputs, strict=True):
        assert answer["choice"] == example["choices"][int(answer["label"])] == next(iter(answer["scores"]))
        assert set(answer["scores"]) == set(example["choices"])
        assert sum(answer["scores"].values()) == pytest.approx(1) and answer["score"] == max(answer["scores"].values())
    encoded = encode(tokenizer, ROWS)
    batch = task.collate(encoded, np.array([1]), 0)
    expected = task.outputs(task.forward(model(), batch), batch)[0].max().item()
    assert answers[1]["score"] == pytest.approx(expected, rel=1e-4), "in the order of the inputs"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"choices": ["a", "b"]}, "Input 2 has no context"),
        ({"context": "a"}, "Input 2: there is no choice"),
        ({"context": "a", "choices": ["b"]}, "Input 2: there is only 1 choice"),
        ({"context": "a", "choices": 7}, "Input 2: choices holds a int"),
        ({"context": "a", "choices": ["b", "\ud800"]}, "half a character"),
    ],
)
def test_unusable_inputs_are_refused(tokenizer: Any, inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        predict_json(make_task(), model(), tokenizer, [{"context": "a", "choices": ["b", "c"]}, inputs], 32, {})
