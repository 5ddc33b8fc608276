"""Tasks that continue a prompt: prompts and padding have no loss, and the oldest tokens are cut first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import workbench.models.networks.heads  # noqa: F401 - makes the Auto classes know our models
from tests.unit.tasks.predicting import predict_json
from workbench.data.examples import Examples
from workbench.data.text.tokenizers import TokenizerSpec, train_tokenizer
from workbench.errors import DataError, SpecError
from workbench.metrics import measures
from workbench.models.networks.transformer import DecoderConfig
from workbench.tasks.base import tasks
from workbench.tasks.contexts import FinishContext
from workbench.tasks.shared.generation import evenly_spaced
from workbench.tasks.shared.prompts import Prompt

NAMES = ["dialogue", "code-generation", "controlled-generation"]
ROWS = Path(__file__).resolve().parents[2] / "rows"
TARGETS = {"dialogue": "turns", "code-generation": "body", "controlled-generation": "text"}


def examples_of(name: str, count: int | None = None) -> Examples:
    rows = [json.loads(line) for line in (ROWS / f"{name}.jsonl").read_text().splitlines()][:count]
    columns = {role: [row[role] for row in rows] for role in rows[0]}
    return Examples(columns, [f"{name}.jsonl:{i}" for i in range(1, len(rows) + 1)], list(range(1, len(rows) + 1)))


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    texts: list[str] = []
    for name in NAMES:
        task = make_task(name)
        examples = examples_of(name)
        task.fit(examples)
        texts += list(task.texts(examples))
    return train_tokenizer(texts, TokenizerSpec(train="bpe", vocab_size=400))


def make_task(name: str, **options: Any) -> Any:
    entry = tasks.get(name)
    return entry(entry.Config(**options))


def make_model(kind: str, size: int) -> Any:
    torch.manual_seed(0)
    if kind == "ours":
        config: Any = DecoderConfig(
            vocab_size=size,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=128,
            pad_token_id=0,
            bos_token_id=2,
            eos_token_id=3,
        )
    else:
        config = transformers.LlamaConfig(
            vocab_size=size,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=64,
            max_position_embeddings=128,
            pad_token_id=0,
        )
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def ready(name: str, tokenizer: Any, kind: str = "ours", max_length: int = 96, **options: Any) -> tuple[Any, ...]:
    task, examples = make_task(name, **options), examples_of(name)
    task.fit(examples)
    model = make_model(kind, len(tokenizer))
    task.configure(model)
    return task, model, examples, task.encode(tokenizer, examples, max_length)


# -- loss on the target only -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ours", "llama"])
@pytest.mark.parametrize("name", NAMES)
def test_prompt_and_padding_have_no_loss(name: str, kind: str, tokenizer: Any) -> None:
    """Compare with cross-entropy computed token by token, for each text alone, without padding."""
    task, model, _, encoded = ready(name, tokenizer, kind)
    indices = np.arange(6)
    batch = task.collate(encoded, indices, pad_id=0)
    table, prompts = encoded.tokens, encoded.targets.more
    nll, count = [], 0
    with torch.no_grad():
        output = task.forward(model, batch)
        sums = task.outputs(output, batch)
        for row in indices:
            ids = torch.tensor(table.ids[table.offsets[row] : table.offsets[row + 1]], dtype=torch.long)
            log_probabilities = model(input_ids=ids[None]).logits[0].log_softmax(-1)
            positions = range(int(prompts[row]), len(ids))
            nll.append(-sum(float(log_probabilities[index - 1, ids[index]]) for index in positions))
            count += len(positions)
    assert sums[:, 0].tolist() == pytest.approx(nll, rel=1e-4)
    assert float(output.loss) == pytest.approx(sum(nll) / count, rel=1e-4)
    assert task.loss_weight(encoded, indices) == count == int(sums[:, 1].sum())


@pytest.mark.parametrize("name", NAMES)
def test_padding_does_not_change_the_loss(name: str, tokenizer: Any) -> None:
    task, model, _, encoded = ready(name, tokenizer, "llama")
    losses = []
    for fill in (0, 7):
        batch = task.collate(encoded, np.arange(4), pad_id=0)
        batch["input_ids"] = torch.where(batch["attention_mask"] == 1, batch["input_ids"], fill)
        losses.append(float(task.forward(model.train(), batch).loss.detach()))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_skipping_the_logits_of_prompts_changes_nothing(name: str, tokenizer: Any) -> None:
    task, model, _, encoded = ready(name, tokenizer, "llama")
    assert task.selects_logits and not ready(name, tokenizer, "ours")[0].selects_logits
    batch = task.collate(encoded, np.arange(5), pad_id=0)
    model.train()
    short = task.forward(model, batch)
    task.selects_logits = False
    full = task.forward(model, batch)
    assert short.logits.shape[1] < full.logits.shape[1]
    assert short.loss.item() == pytest.approx(full.loss.item(), rel=1e-5)
    assert torch.allclose(task.outputs(short, batch), task.outputs(full, batch), rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_targets_are_the_texts_and_an_end_token(name: str, tokenizer: Any) -> None:
    task, _, examples, encoded = ready(name, tokenizer)
    table, targets = encoded.tokens, encoded.targets
    for row in range(len(encoded)):
        ids = table.ids[table.offsets[row] + targets.more[row] : table.offsets[row + 1]]
        assert ids[-1] == tokenizer.eos_token_id
    example = int(targets.document[-1])
    gold = task.example_target(examples, example)
    last = table.ids[table.offsets[-2] + targets.more[-1] : -1]
    assert tokenizer.decode(last).strip() == gold.strip()
    assert targets.bytes.sum() == sum(
        len(text.encode())
        for value in examples.columns[TARGETS[name]]
        for text in (value[1::2] if name == "dialogue" else [value])
    )


# -- cutting -----------------------------------------------------------------------------------------------------------


def test_the_oldest_tokens_of_a_prompt_are_cut_first() -> None:
    prompt = Prompt.of([1], np.arange(10, 30, dtype=np.int32))
    assert prompt.length == 21
    assert prompt.within(6).tolist() == [1, 25, 26, 27, 28, 29]
    assert prompt.within(50).tolist() == [1, *range(10, 30)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [8, 16, 24])
def test_rows_fit_into_any_length(name: str, length: int, tokenizer: Any) -> None:
    _, _, _, encoded = ready(name, tokenizer, max_length=length)
    assert encoded.tokens.lengths.max() <= length
    assert (encoded.targets.predicted >= 1).all() and (encoded.targets.more >= 1).all()
    assert "data.max_length" in encoded.truncation and encoded.note == ""


def test_a_cut_target_has_no_end_token(tokenizer: Any) -> None:
    _, _, _, encoded = ready("code-generation", tokenizer, max_length=16)
    lasts = encoded.tokens.ids[encoded.tokens.offsets[1:] - 1]
    predicted, full = encoded.targets.predicted, encoded.targets.tokens
    assert (predicted < full).any()
    assert ((lasts == tokenizer.eos_token_id) == (predicted == full)).all()


def test_a_too_short_length_is_refused(tokenizer: Any) -> None:
    with pytest.raises(SpecError, match="too few for a prompt"):
        ready("dialogue", tokenizer, max_length=7)


# -- results ---------------------------------------------------------------------------------------------------


def test_the_model_before_training_is_the_baseline(tokenizer: Any) -> None:
    task, model, examples, encoded = ready("code-generation", tokenizer, written=4, max_new_tokens=4)
    batch = task.collate(encoded, np.arange(len(encoded)), 0)
    with torch.no_grad():
        outputs = task.outputs(task.forward(model, batch), batch).numpy()
    task.on_untrained_outputs(outputs * [2.0, 1.0, 1.0], 0.0, from_scratch=False)
    finished = task.finish(FinishContext(model, tokenizer, 64, examples, encoded, outputs))
    report = task.report(finished, encoded.targets, encoded.targets)
    value = report["metrics"]["perplexity"]["value"]
    assert value == pytest.approx(np.exp(outputs[:, 0].sum() / outputs[:, 1].sum()))
    assert report["baseline"]["perplexity"] == pytest.approx(value**2)
    assert report["gain"]["perplexity"]["value"] == pytest.approx(value**2 - value)
    assert report["gain"]["perplexity"]["low"] <= report["gain"]["perplexity"]["value"]
    assert "before training" in report["baseline_name"]
    assert set(report["baseline"]) == set(report["metrics"])
    rows = task.prediction_rows(examples, finished, encoded.targets)
    assert len({len(column) for column in rows.values()}) == 1 and rows["id"] == examples.ids
    assert set(measures.columns(report["measures"])) <= set(rows)
    assert [i for i, text in enumerate(rows["functions"]) if text] == evenly_spaced(len(examples), 4).tolist()


def test_the_baseline_of_a_random_model_is_token_frequencies(tokenizer: Any) -> None:
    task, model, examples, encoded = ready("dialogue", tokenizer, written=0, ranked=0)
    outputs = np.ones((len(encoded), 3))
    task.on_untrained_outputs(outputs, 0.0, from_scratch=True)
    report = task.report(
        task.finish(FinishContext(model, tokenizer, 64, examples, encoded, outputs, print)),
        encoded.targets,
        encoded.targets,
    )
    counts = encoded.targets.counts
    share = (counts + 1) / (counts.sum() + len(counts))
    assert report["baseline"]["loss"] == pytest.approx(-(counts * np.log(share)).sum() / counts.sum())
    assert "frequencies" in report["baseline_name"] and "gain" not in report


def test_the_improvement_is_paired() -> None:
    """If every example improves by the same factor, the interval is narrow, however much the examples differ."""
    generator = np.random.default_rng(0)
    after = {"nats": generator.uniform(5, 50, 200), "predicted": np.full(200, 10.0)}
    before = {"nats": after["nats"] + 1.0, "predicted": after["predicted"]}
    definitions = {"perplexity": ("perplexity", "nats", "predicted"), "bits": ("ratio", "nats", "predicted")}
    improvements = measures.improvements(before, after, definitions)
    perplexity = improvements["perplexity"]
    assert improvements["bits"]["value"] == pytest.approx(-0.1), "positive where a larger value is better"
    expected = np.exp((after["nats"].sum() + 200) / 2000) - np.exp(after["nats"].sum() / 2000)
    assert perplexity["value"] == pytest.approx(expected)
    assert perplexity["low"] > 0


# -- predictions -----------------------------------------------------------------------------------------------

INPUTS: dict[str, list[dict[str, Any]]] = {
    "dialogue": [{"text": "How is the film?"}, {"turns": ["How is my bike?", "Old.", "Are you sure?"]}],
    "code-generation": [{"prompt": "def area(values):"}, {"text": 'def total(values):\n    """Add."""'}],
    "controlled-generation": [{"label": "good", "length": "short", "keyword": "Film"}, {"text": "a"}, {}],
}
UNUSABLE: dict[str, list[tuple[dict[str, Any], str]]] = {
    "dialogue": [
        ({"turns": ["Hello", "Hi"]}, "nothing to reply to"),
        ({"turns": []}, "empty turn"),
        ({"turns": ["Hello", " ", "x"]}, "empty turn"),
        ({"turns": 3}, "no turns"),
        ({}, "no turns"),
    ],
    "code-generation": [({"prompt": " "}, "no signature"), ({}, "no signature")],
    "controlled-generation": [
        ({"label": "so-so"}, "unknown label 'so-so'"),
        ({"length": "huge"}, "unknown length 'huge'"),
    ],
}


@pytest.mark.parametrize("name", NAMES)
def test_batched_answers_equal_single_answers(name: str, tokenizer: Any) -> None:
    task, model, _, _ = ready(name, tokenizer, temperature=0, max_new_tokens=6)
    together = predict_json(task, model, tokenizer, INPUTS[name], 64, {})
    alone = [predict_json(task, model, tokenizer, [example], 64, {})[0] for example in INPUTS[name]]
    assert together == alone and all(isinstance(answer["text"], str) for answer in together)
    with pytest.raises(SpecError, match="no_such"):
        predict_json(task, model, tokenizer, INPUTS[name], 64, {"no_such": 1})


@pytest.mark.parametrize(("name", "inputs", "message"), [(n, i, m) for n, cases in UNUSABLE.items() for i, m in cases])
def test_an_unusable_input_is_refused_with_its_number(
    name: str, inputs: dict[str, Any], message: str, tokenizer: Any
) -> None:
    task, model, _, _ = ready(name, tokenizer)
    with pytest.raises(DataError, match="Input 2") as error:
        predict_json(task, model, tokenizer, [INPUTS[name][0], inputs], 64, {})
    assert message in str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_longer_than_the_model_is_shortened(name: str, tokenizer: Any) -> None:
    task, model, _, _ = ready(name, tokenizer, temperature=0, max_new_tokens=6)
    long = {"text": "film " * 5_000}
    assert isinstance(predict_json(task, model, tokenizer, [long], 10_000, {})[0]["text"], str)
