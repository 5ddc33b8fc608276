"""Translation and summarization: the tokens of the loss, truncation, generation, and its metrics."""

from __future__ import annotations

import json
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from pydantic import ValidationError

import workbench.models.networks.heads  # noqa: F401 - makes the Auto classes know our models
from tests.tiny import assert_gains_agree
from tests.unit.tasks.predicting import predict_json
from workbench.data.examples import Examples
from workbench.data.text.tokenizers import TokenizerSpec, train_tokenizer
from workbench.errors import DataError, SpecError
from workbench.metrics import measures
from workbench.models.networks.transformer import DecoderConfig, EncoderDecoderConfig
from workbench.tasks.base import tasks
from workbench.tasks.contexts import FinishContext, InferenceContext
from workbench.tasks.shared.baselines.lexicon import Lexicon
from workbench.tasks.summarization import lead

ROWS = Path(__file__).parents[2] / "rows"
ROLES = {"translation": ("source", "target"), "summarization": ("text", "summary")}
KINDS = list(product(ROLES, ["encoder-decoder", "decoder"]))
LENGTH = 96


def examples(name: str) -> Examples:
    rows = [json.loads(line) for line in (ROWS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    columns = {role: [row[role] for row in rows] for role in ROLES[name]}
    return Examples(columns, [f"r:{i}" for i in range(len(rows))], list(range(len(rows))))


@pytest.fixture(scope="module")
def tokenizer():
    texts = [text for name in ROLES for column in examples(name).columns.values() for text in column]
    flat = [each for text in texts for each in ([text] if isinstance(text, str) else text)]
    return train_tokenizer(flat, TokenizerSpec(train="bpe", vocab_size=400))


def make(name: str, architecture: str, tokenizer: Any, **options: Any) -> tuple[Any, Any]:
    """Return a task fitted to its examples and an untrained Workbench model for it."""
    torch.manual_seed(0)
    entry = tasks.get(name)
    task = entry(entry.Config(architecture=architecture, **options))
    config = {"encoder-decoder": EncoderDecoderConfig, "decoder": DecoderConfig}[architecture](
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=LENGTH,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        decoder_start_token_id=2,
    )
    model = getattr(transformers, task.head).from_config(config).eval()
    task.fit(examples(name))
    task.configure(model)
    return task, model


def decoded_labels(batch: dict[str, torch.Tensor], tokenizer: Any) -> list[str]:
    """Return the text of each row's labels."""
    return [tokenizer.decode(row[row >= 0], skip_special_tokens=True) for row in batch["labels"]]


def collated(task: Any, encoded: Any, indices: list[int]) -> dict[str, torch.Tensor]:
    return task.collate(encoded, np.array(indices), pad_id=0)


@pytest.mark.parametrize(("name", "architecture"), KINDS)
def test_labels_are_the_target_and_its_end_token(name, architecture, tokenizer):
    task, _ = make(name, architecture, tokenizer)
    data = examples(name)
    encoded = task.encode(tokenizer, data, LENGTH)
    batch = collated(task, encoded, list(range(len(data))))
    expected = [texts[0] for texts in task.references(data)]
    assert decoded_labels(batch, tokenizer) == expected
    for row, labels in zip(batch["input_ids"], batch["labels"], strict=True):
        real = labels[labels >= 0]
        assert real[-1] == tokenizer.eos_token_id and tokenizer.bos_token_id not in real
        if architecture == "decoder":  # labels are at the positions of their tokens
            assert labels.shape == row.shape and torch.equal(row[labels >= 0], real)
    sources = data.columns[task.source_role]
    for text, row in zip(sources, batch["input_ids"], strict=True):
        assert tokenizer.decode(row, skip_special_tokens=True).startswith(text)
    assert encoded.note == encoded.truncation == ""


@pytest.mark.parametrize(("name", "architecture"), KINDS)
def test_padding_and_prompt_have_no_loss(name, architecture, tokenizer):
    """The loss is the mean over the target's tokens, computed from the logits; longer neighbors do not change it."""
    task, model = make(name, architecture, tokenizer)
    encoded = task.encode(tokenizer, examples(name), LENGTH)
    order = np.argsort(encoded.tokens.lengths).tolist()
    short, long = order[0], order[-1]
    assert encoded.tokens.lengths[short] < encoded.tokens.lengths[long]
    with torch.no_grad():
        alone = collated(task, encoded, [short])
        output = model(**alone)
        padded = collated(task, encoded, [long, short])
        outputs = task.outputs(model(**padded), padded)
        (sums,) = task.outputs(output, alone)
    torch.testing.assert_close(outputs[1], sums, rtol=1e-5, atol=1e-5)
    shift = 1 if architecture == "decoder" else 0
    labels = alone["labels"][0, shift:]
    scores = output.logits[0, : len(labels)].log_softmax(-1)
    by_hand = [-float(scores[i, label]) for i, label in enumerate(labels.tolist()) if label >= 0]
    assert float(output.loss) == pytest.approx(np.mean(by_hand), rel=1e-5)
    assert sums[0] == pytest.approx(sum(by_hand), rel=1e-5) and sums[1] == len(by_hand)
    assert task.loss_weight(encoded, np.array([short])) == len(by_hand)


def test_bos_stays_a_label_if_the_decoder_starts_with_another_token(tokenizer):
    """BART's decoder starts with </s> and predicts <s> first; only the start token itself is no label."""
    task, _ = make("translation", "encoder-decoder", tokenizer)
    task.start_id = tokenizer.eos_token_id
    labels = collated(task, task.encode(tokenizer, examples("translation"), LENGTH), [0])["labels"][0]
    assert labels[0] == tokenizer.bos_token_id and labels[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize("architecture", ["encoder-decoder", "decoder"])
def test_cut_texts_are_noted_and_have_no_end_token(architecture, tokenizer):
    task, _ = make("translation", architecture, tokenizer, max_target=5, prompt="{source}\n")
    encoded = task.encode(tokenizer, examples("translation"), 24)
    batch = collated(task, encoded, list(range(32)))
    full = [len(tokenizer(text)["input_ids"]) - 1 for text in examples("translation").columns["target"]]
    for labels, length in zip(batch["labels"], full, strict=True):
        real = labels[labels >= 0]
        assert len(real) == min(length, 4 if length > 5 else 5)
        assert (real[-1] == tokenizer.eos_token_id) == (length <= 5)
    assert int(encoded.tokens.lengths.max()) <= 24
    cut = sum(length > 5 for length in full)
    assert cut and f"{cut} of 32 targets" in encoded.truncation
    assert (encoded.tokens.full_lengths >= encoded.tokens.lengths).all()


def test_a_long_source_leaves_the_target_half_of_a_decoders_row(tokenizer):
    task, _ = make("summarization", "decoder", tokenizer)
    encoded = task.encode(tokenizer, examples("summarization"), 40)
    assert (encoded.tokens.lengths == 40).all() and "32 of 32 sources" in encoded.truncation
    whole = [len(tokenizer(texts[0])["input_ids"]) - 1 for texts in examples("summarization").columns["summary"]]
    assert encoded.targets.predicted.tolist() == whole  # all shorter than half of the row
    shorter = task.encode(tokenizer, examples("summarization"), 20)
    room = 20 - sum(len(part) for part in task._prompt_tokens(tokenizer))
    assert (shorter.tokens.lengths[np.array(whole) > room // 2] == 19).all()  # half each, without an end token
    assert set(shorter.targets.predicted.tolist()) == {room // 2}


def test_no_room_at_all(tokenizer):
    task, _ = make("translation", "decoder", tokenizer)
    with pytest.raises(SpecError, match=r"the prompt alone takes"):
        task.encode(tokenizer, examples("translation"), 4)


def test_training_uses_every_reference_and_evaluation_one_row_each(tokenizer):
    task, _ = make("summarization", "encoder-decoder", tokenizer)
    data = examples("summarization")
    count = sum(len(texts) for texts in data.columns["summary"])
    train, test = (task.encode(tokenizer, data, LENGTH, training=each) for each in (True, False))
    assert len(train) == count > len(test) == len(data)
    flat = [text for texts in data.columns["summary"] for text in texts]
    assert decoded_labels(collated(task, train, list(range(count))), tokenizer) == flat
    assert test.targets.references == data.columns["summary"]


@pytest.mark.parametrize(("name", "architecture"), KINDS)
@pytest.mark.parametrize("written", [500, 7])
def test_report_and_predictions_cover_the_generated_examples(name, architecture, written, tokenizer):
    task, model = make(name, architecture, tokenizer, written=written, max_new_tokens=4)
    data = examples(name)
    encoded = task.encode(tokenizer, data, LENGTH)
    everything = collated(task, encoded, list(range(len(data))))
    progress: list[tuple[int, int]] = []
    with torch.no_grad():
        sums = task.outputs(model(**everything), everything).numpy()
        outputs = task.finish(
            FinishContext(model, tokenizer, LENGTH, data, encoded, sums, lambda *done: progress.append(done))
        )
    count = min(written, len(data))
    assert progress[-1] == (count, count) and len(outputs.texts) == count
    report = task.report(outputs, encoded.targets, task.encode(tokenizer, data, LENGTH, training=True).targets)
    assert_gains_agree(report)
    assert task.primary_metric in report["gain"]
    assert set(report["metrics"]) == set(report["baseline"]) == set(report["measures"])
    assert next(iter(report["metrics"])) == task.primary_metric
    rows = task.prediction_rows(data, outputs, encoded.targets)
    assert rows["id"] == [data.ids[i] for i in outputs.chosen] and len(set(map(len, rows.values()))) == 1
    again = measures.metric_values({c: rows[c] for c in measures.columns(report["measures"])}, report["measures"])
    for metric, value in report["metrics"].items():
        assert value["value"] == pytest.approx(again[metric]) and value["low"] <= value["value"] <= value["high"]
    assert bool(report["notes"]) == (written == 7)
    assert report["metrics"]["loss"]["value"] == pytest.approx(
        sums[outputs.chosen, 0].sum() / sums[outputs.chosen, 1].sum()
    )
    (answer,) = predict_json(
        task, model, tokenizer, [{task.source_role: rows[f"input:{task.source_role}"][0]}], LENGTH, {}
    )
    assert answer["text"] == rows["prediction"][0]


def test_the_unigram_baseline_by_hand(tokenizer):
    """Count the target tokens again and compute the baseline from their frequencies."""
    task, model = make("translation", "decoder", tokenizer, max_new_tokens=2)
    data = examples("translation")
    train, test = data.take(range(20)), data.take(range(20, 32))
    encoded = task.encode(tokenizer, test, LENGTH)
    outputs = task.finish(FinishContext(model, tokenizer, LENGTH, test, encoded, np.zeros((12, 3))))
    report = task.report(outputs, encoded.targets, task.encode(tokenizer, train, LENGTH, training=True).targets)
    counts = Counter(i for text in train.columns["target"] for i in tokenizer(text)["input_ids"][1:])
    test_tokens = [i for text in test.columns["target"] for i in tokenizer(text)["input_ids"][1:]]
    nll = [-np.log((counts[i] + 1) / (counts.total() + len(tokenizer))) for i in test_tokens]
    assert report["baseline"]["loss"] == pytest.approx(np.mean(nll))
    most_common = counts.most_common(1)[0][0]
    assert report["baseline"]["token_accuracy"] == pytest.approx(test_tokens.count(most_common) / len(test_tokens))


def test_perfect_and_empty_texts(tokenizer):
    task, _ = make("translation", "encoder-decoder", tokenizer)
    references = ["Le chat dort.", "Le chien mange une pomme."]
    perfect = measures.metric_values(task.counts(references, [[text] for text in references]), task.text_measures)
    empty = measures.metric_values(task.counts(["", ""], [[text] for text in references]), task.text_measures)
    assert perfect == {"chrf": 1.0, "bleu": 1.0} and empty == {"chrf": 0.0, "bleu": 0.0}


# -- predictions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "architecture"), KINDS)
def test_answers_come_in_the_order_of_the_inputs(name, architecture, tokenizer):
    task, model = make(name, architecture, tokenizer, max_new_tokens=6)
    texts = examples(name).columns[task.source_role][:5]
    together = predict_json(task, model, tokenizer, [{task.source_role: text} for text in texts], LENGTH, {})
    alone = [predict_json(task, model, tokenizer, [{"text": text}], LENGTH, {})[0] for text in texts]
    assert together == alone and next(iter(alone[0])) == "text"


@pytest.mark.parametrize("architecture", ["encoder-decoder", "decoder"])
def test_unread_tokens_of_a_long_source_are_reported(architecture, tokenizer):
    task, model = make("translation", architecture, tokenizer, max_new_tokens=4)
    (answer,) = predict_json(task, model, tokenizer, [{"source": "The dog sleeps. " * 60}], 24, {})
    whole = len(tokenizer("The dog sleeps. " * 60)["input_ids"])
    assert whole - 24 <= answer["unread_tokens"] < whole


def test_unusable_inputs_and_options_are_refused(tokenizer):
    task, model = make("translation", "encoder-decoder", tokenizer)
    assert [column.role for column in task.inputs()] == ["source"]
    with pytest.raises(DataError, match="Input 2 has no source"):
        predict_json(task, model, tokenizer, [{"source": "x"}, {"source": " "}], LENGTH, {})
    with pytest.raises(SpecError, match="max_new_tokens"):
        predict_json(task, model, tokenizer, [{"source": "x"}], LENGTH, {"max_new_tokens": 0})


def test_samples_are_generated_for_training_sources(tokenizer):
    task, model = make("translation", "encoder-decoder", tokenizer, max_new_tokens=3)
    task.encode(tokenizer, examples("translation"), LENGTH, training=True)
    assert [row["prompt"] for row in task.samples(InferenceContext(model, tokenizer, LENGTH))] == examples(
        "translation"
    ).columns["source"][:3]


@pytest.mark.parametrize("prompt", ["no placeholder", "{source} and {source}"])
def test_a_prompt_has_one_placeholder_for_the_source(prompt):
    with pytest.raises(ValidationError, match=r"\{source\} exactly once"):
        tasks.get("translation").Config(prompt=prompt)


def test_a_seq2seq_model_without_a_decoder_start_token_is_refused(tokenizer):
    task, model = make("translation", "encoder-decoder", tokenizer)
    model.config.decoder_start_token_id = None
    with pytest.raises(SpecError, match="the token that its decoder starts with"):
        task.configure(model)


# -- what needs no model ---------------------------------------------------------------------------------------------


def test_word_by_word_by_hand():
    english = ["the cat sleeps .", "the dog sleeps .", "the dog eats .", "a cat eats ."]
    french = ["le chat dort .", "le chien dort .", "le chien mange .", "un chat mange ."]
    lexicon = Lexicon.learn(english, french)
    assert lexicon.entries == {
        "the": "le", "cat": "chat", "sleeps": "dort", ".": ".", "dog": "chien", "eats": "mange", "a": "un",
    }  # fmt: skip
    assert lexicon.translate("A dog sleeps, zebra.") == "Un chien dort, zebra."


def test_word_by_word_into_chinese_takes_the_longest_match():
    lexicon = Lexicon.learn(
        ["Tom sleeps.", "Tom eats.", "He eats.", "He sleeps."], ["汤姆睡觉。", "汤姆吃。", "他吃。", "他睡觉。"]
    )
    assert lexicon.entries["tom"] == "汤姆" and lexicon.entries["sleeps"] == "睡觉" and lexicon.entries["he"] == "他"
    assert lexicon.translate("Tom sleeps.") == "汤姆睡觉。"
    back = Lexicon.learn(
        ["汤姆睡觉。", "汤姆吃。", "他吃。", "他睡觉。"], ["Tom sleeps.", "Tom eats.", "He eats.", "He sleeps."]
    )
    assert back.entries["他"] == "he" and back.entries["吃"] == "eats"


def test_the_best_dice_is_that_of_brute_force():
    generator = np.random.default_rng(0)
    sources = [" ".join(generator.choice(list("abcdef"), 4)) for _ in range(60)]
    targets = [" ".join(generator.choice(list("uvwxyz"), 5)) for _ in range(60)]
    lexicon = Lexicon.learn(sources, targets)
    pairs = [(set(a.split()), set(b.split())) for a, b in zip(sources, targets, strict=True)]

    def dice(one: str, other: str) -> float:
        both = sum(one in a and other in b for a, b in pairs)
        return 2 * both / (sum(one in a for a, _ in pairs) + sum(other in b for _, b in pairs))

    for word in "abcdef":
        assert dice(word, lexicon.entries[word]) == max(dice(word, other) for other in "uvwxyz")


def test_an_empty_lexicon_leaves_words_unchanged():
    assert Lexicon.learn([], []).translate("as it is") == "As it is"
    assert Lexicon.learn(["?"], ["..."]).translate("as it is") == "As it is"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("We show it. Then more.", "We show it."),
        ("No end", "No end"),
        ("第一句。第二句。", "第一句。"),
        ("Really?! Yes.", "Really?!"),
    ],
)
def test_the_lead_sentence(text, first):
    assert lead(text) == first


def test_word_segmentation_of_bleu_and_rouge_follows_the_targets():
    task = tasks.get("translation")()
    task.fit(Examples({"source": ["a"], "target": ["汤姆不在家。"]}, ["1"], [1]))
    assert task.details() == {"bleu_signature": "nrefs:1|case:mixed|eff:no|tok:zh|smooth:exp"}
    fixed = tasks.get("translation")(tasks.get("translation").Config(bleu_words="char"))
    fixed.fit(Examples({"source": ["a"], "target": ["汤姆不在家。"]}, ["1"], [1]))
    assert "tok:char" in fixed.details()["bleu_signature"]
    summaries = tasks.get("summarization")()
    summaries.fit(Examples({"text": ["a"], "summary": [["汤姆不在家。"]]}, ["1"], [1]))
    assert "words:unicode" in summaries.details()["rouge_signature"]
