"""Tasks that learn from plain text: the content of a batch, packing that changes no loss, and metrics that equal the
model's own loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import workbench.models.networks.heads  # noqa: F401 - makes the Auto classes know our models
from tests.tiny import make_model, reviews
from tests.unit.tasks.predicting import predict_json
from workbench.data.examples import Examples
from workbench.data.text.tokenizers import TokenizerSpec, train_tokenizer
from workbench.errors import DataError, SpecError
from workbench.models.loading import load_tokenizer
from workbench.models.networks.transformer import DecoderConfig, EncoderConfig, EncoderDecoderConfig
from workbench.tasks.base import tasks
from workbench.tasks.contexts import InferenceContext
from workbench.tasks.masked_lm import MaskedLM
from workbench.tasks.shared.sentence_pairs import OtherDocuments
from workbench.tasks.shared.token_sums import token_sums

TASKS = ["masked-lm", "masked-lm-nsp", "causal-lm", "seq2seq-denoising"]
PACKED = ["masked-lm", "masked-lm-nsp", "causal-lm"]
LENGTH = 32
CONFIGS = {
    "masked-lm": EncoderConfig,
    "masked-lm-nsp": EncoderConfig,
    "causal-lm": DecoderConfig,
    "seq2seq-denoising": EncoderDecoderConfig,
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    loaded = load_tokenizer(make_model(tmp_path_factory.mktemp("model")))
    loaded.bos_token, loaded.eos_token = loaded.cls_token, loaded.sep_token
    return loaded


def texts(count: int, sentences: int = 1, seed: int = 0) -> Examples:
    rows = [text for text, _ in reviews(count * sentences, seed)]
    joined = [". ".join(rows[i : i + sentences]) for i in range(0, len(rows), sentences)]
    return Examples({"text": joined}, [f"t:{i}" for i in range(count)], list(range(count)))


def make(name: str, tokenizer: Any, **options: Any) -> tuple[Any, Any]:
    """Return a task and an untrained Workbench model for it."""
    torch.manual_seed(0)
    task = tasks.get(name)(tasks.get(name).Config(**options))
    config = CONFIGS[name](
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        decoder_start_token_id=2,
    )
    model = getattr(transformers, task.head).from_config(config).eval()
    task.configure(model)
    return task, model


def full_batch(task: Any, encoded: Any) -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    return task.collate(encoded, np.arange(len(encoded)), pad_id=0)


@pytest.mark.parametrize("name", TASKS)
def test_an_untrained_models_loss_is_the_log_of_the_vocabulary_size(name, tokenizer):
    task, model = make(name, tokenizer)
    encoded = task.encode(tokenizer, texts(60, 2), LENGTH, training=True)
    expected = math.log(len(tokenizer)) + (math.log(2) if name == "masked-lm-nsp" else 0)
    with torch.no_grad():
        assert float(model(**full_batch(task, encoded)).loss) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("sparse", [True, False])
def test_the_metrics_equal_the_models_own_loss(name, sparse, tokenizer):
    task, model = make(name, tokenizer)
    model.config.sparse_prediction = sparse
    examples = texts(40, 2)
    encoded = task.encode(tokenizer, examples, LENGTH)
    batch = full_batch(task, encoded)
    with torch.no_grad():
        output = model(**batch)
        outputs = task.outputs(output, batch).numpy()
    assert outputs.shape == (len(encoded), len(task.output_columns))
    assert outputs[:, 1].sum() == task.loss_weight(encoded, np.arange(len(encoded)))
    metrics = task.metrics(outputs, encoded.targets)
    assert metrics["loss"] == pytest.approx(float(output.loss), rel=1e-5)
    rows = task.prediction_rows(examples, outputs, encoded.targets)
    assert rows["id"] == examples.ids and sum(rows["predicted"]) == outputs[:, 1].sum()
    assert rows["bytes"] == [len(t.encode()) for t in examples.columns["text"]]
    report = task.report(outputs, encoded.targets, encoded.targets)
    assert set(report["metrics"]) == set(report["baseline"]) == set(task.metric_names)
    for metric, value in report["metrics"].items():
        assert value["low"] <= value["value"] <= value["high"], metric
        assert value["value"] == pytest.approx(metrics[metric])


def test_token_sums_equal_a_loop_over_the_rows(monkeypatch):
    """Compare with a loop: a few positions at a time, with all logits and with those of the labels only."""
    monkeypatch.setattr("workbench.tasks.shared.token_sums.SCORED_AT_ONCE", 3)
    torch.manual_seed(0)
    logits, labels = torch.randn(4, 6, 9), torch.randint(9, (4, 6))
    labels[torch.rand(4, 6) < 0.4] = -100
    labels[2] = -100
    expected = []
    for row, targets in zip(logits, labels, strict=True):
        indices = [i for i in range(6) if targets[i] != -100]
        nll = sum(-float(row[i].log_softmax(dim=0)[targets[i]]) for i in indices)
        expected.append([nll, len(indices), sum(int(row[i].argmax() == targets[i]) for i in indices)])
    sparse = logits.flatten(0, 1)[labels.flatten() != -100]
    for scores in (logits, sparse):
        assert torch.allclose(token_sums(scores, labels), torch.tensor(expected, dtype=torch.float64), atol=1e-5)


def test_outputs_of_a_packed_row_do_not_cross_documents(tokenizer):
    task, model = make("causal-lm", tokenizer)
    packed, alone = (task.encode(tokenizer, texts(40), LENGTH, training=training) for training in (True, False))
    sums = []
    for encoded in (packed, alone):
        batch = full_batch(task, encoded)
        with torch.no_grad():
            sums.append(task.outputs(model(**batch), batch).sum(dim=0))
    assert torch.allclose(sums[0], sums[1], rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_pairs_follow_or_come_from_another_document(training, tokenizer, monkeypatch):
    """Read every pair of a batch back from its tokens: half are continuous, the others use another document's text."""
    monkeypatch.setattr(MaskedLM, "mask", lambda self, batch, words, n_masked: {**batch, "words": words})
    task, _ = make("masked-lm-nsp", tokenizer)
    examples = texts(300, 4)
    encoded = task.encode(tokenizer, examples, LENGTH, training=training)
    whole_ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in examples.columns["text"]]
    corpus = "|".join(" ".join(map(str, ids)) for ids in whole_ids)
    batch = full_batch(task, encoded)
    other = task.collate(encoded, np.arange(len(encoded)), pad_id=0)
    ids, labels = batch["input_ids"], batch["next_sentence_label"]
    assert not torch.equal(labels, other["next_sentence_label"]), "sampled again for each batch"
    assert ((batch["words"] == -1) == torch.isin(ids, torch.tensor([0, 2, 3]))).all()
    document_ids = encoded.tokens.documents if training else np.ones(len(encoded.tokens.ids), np.int32)
    numbers = encoded.tokens.pad_values(document_ids, np.arange(len(encoded)), 0)
    continuous, kinds = 0, []
    for row in range(len(ids)):
        for number in range(1, numbers[row].max() + 1):
            in_pair = numbers[row] == number
            kind = int(labels[row][in_pair][0]) if training else int(labels[row])
            _, a, b, _ = _split_pair(ids[row][in_pair].tolist())
            joined = " ".join(map(str, a + b)) in corpus
            assert kind == 1 or joined, "a pair labelled as continuous is continuous"
            assert " ".join(map(str, b)) in corpus, "the second text always is a stretch of some document"
            continuous += joined
            kinds.append(kind)
    error = 4 * (0.25 / len(kinds)) ** 0.5
    assert len(kinds) > 200 and abs(np.mean(kinds) - 0.5) < error
    assert continuous < 0.6 * len(kinds), "the other pairs are continuous only by chance"


def test_replaced_texts_are_never_of_the_same_document(tokenizer, monkeypatch):
    """Each document has a word of its own, which shows where a stretch of text comes from."""
    monkeypatch.setattr(MaskedLM, "mask", lambda self, batch, words, n_masked: batch)
    task, _ = make("masked-lm-nsp", tokenizer)
    words = [word for word in tokenizer.get_vocab() if word.isalpha()]
    rows = [". ".join([" ".join([word] * 5)] * (3 + i % 4)) for i, word in enumerate(words)]
    examples = Examples({"text": rows}, [str(i) for i in range(len(rows))], list(range(len(rows))))
    encoded = task.encode(tokenizer, examples, LENGTH, training=True)
    batch = full_batch(task, encoded)
    ids, numbers = batch["input_ids"], batch["document_ids"]
    for row in range(len(ids)):
        for number in range(1, int(numbers[row].max()) + 1):
            in_pair = numbers[row] == number
            _, a, b, _ = _split_pair(ids[row][in_pair].tolist())
            same = set(a) - {1} == set(b) - {1} or not set(b) - {1} or not set(a) - {1}
            kind = int(batch["next_sentence_label"][row][in_pair][0])
            assert same if kind == 0 else (set(a) - {1} != set(b) - {1} or not set(b) - {1})


def test_replaced_texts_keep_their_word_numbers(monkeypatch):
    """A subword that continues a word, ##..., has the word number of the subword before it."""
    seen = {}

    def record(self, batch, words, n_masked):
        seen.update(ids=batch["input_ids"], words=words)
        return batch

    monkeypatch.setattr(MaskedLM, "mask", record)
    examples = texts(80, 3)
    subword_tokenizer = train_tokenizer(examples.columns["text"], TokenizerSpec(vocab_size=50))
    task, _ = make("masked-lm-nsp", subword_tokenizer, whole_words=True)
    task.collate(task.encode(subword_tokenizer, examples, 64, training=True), np.arange(30), pad_id=0)
    continues = torch.tensor(
        [token.startswith("##") for token in subword_tokenizer.convert_ids_to_tokens(range(len(subword_tokenizer)))]
    )
    inside = continues[seen["ids"][:, 1:]] & (seen["words"][:, :-1] != -1)
    same = (seen["words"][:, 1:] == seen["words"][:, :-1]) & (seen["words"][:, 1:] != -1)
    assert inside.sum() > 300 and torch.equal(inside, same)


def _split_pair(ids):
    assert ids[0] == 2 and ids.count(3) == 2 and ids[-1] == 3
    middle = ids.index(3)
    return 2, ids[1:middle], ids[middle + 1 : -1], 3


@pytest.mark.parametrize("name", PACKED)
def test_packing_does_not_change_the_loss(name, tokenizer, monkeypatch):
    """Compare the same unmasked texts packed into rows and each in a row of its own."""
    task, model = make(name, tokenizer)
    examples = texts(40, 2)
    packed, alone = (task.encode(tokenizer, examples, 64, training=training) for training in (True, False))
    assert len(packed) < len(alone) and "packed" in packed.note
    assert packed.tokens.ids.size == alone.tokens.ids.size
    sums = []
    if name == "masked-lm-nsp":  # replaced texts would differ: replace none
        monkeypatch.setattr(OtherDocuments, "sample", lambda self, document, *_: np.full(len(document), -1))
    for encoded in (packed, alone):
        batch = full_batch(task, encoded)
        if name != "causal-lm":  # masks would differ: predict every token, unmasked
            batch["input_ids"] = torch.from_numpy(encoded.tokens.pad(np.arange(len(encoded)), 0)["input_ids"])
            batch["labels"] = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
            del batch["label_positions"]  # of the masks
        count = (
            batch["labels"].ne(-100).sum()
            if name != "causal-lm"
            else task.loss_weight(encoded, np.arange(len(encoded)))
        )
        with torch.no_grad():
            output = model(**batch)
        lm_loss = output.loss
        if name == "masked-lm-nsp":
            labels = batch["next_sentence_label"]
            kinds = labels[labels != -100]
            assert len(output.seq_relationship_logits) == len(kinds)
            pairs = torch.nn.functional.cross_entropy(output.seq_relationship_logits, kinds)
            lm_loss = lm_loss - pairs
        sums.append((float(lm_loss * count), int(count)))
    half = len(sums) // 2
    for one, other in zip(sums[:half], sums[half:], strict=True):
        assert one == pytest.approx(other, rel=1e-4)


@pytest.mark.parametrize("name", ["masked-lm", "causal-lm"])
def test_a_changed_document_changes_nothing_in_its_neighbours(name, tokenizer):
    task, model = make(name, tokenizer)
    encoded = task.encode(tokenizer, texts(30), LENGTH, training=True)
    batch = {**encoded.tokens.pad(np.arange(len(encoded)), 0)}
    if not task.model_inputs.token_types:
        batch.pop("token_type_ids", None)
    batch = {key: torch.from_numpy(value) for key, value in batch.items()}
    row = int(batch["document_ids"].max(dim=1).values.argmax())
    in_document = batch["document_ids"][row] == 2
    assert in_document.any() and batch["document_ids"][row].max() >= 2
    changed = {**batch, "input_ids": batch["input_ids"].clone()}
    changed["input_ids"][row, in_document] = 7
    with torch.no_grad():
        before, after = model(**batch).logits, model(**changed).logits
    same = (batch["document_ids"] != 0) & ~((torch.arange(len(batch["input_ids"])) == row)[:, None] & in_document)
    assert torch.allclose(before[same], after[same], atol=1e-6)
    assert not torch.allclose(before[row, in_document], after[row, in_document], atol=1e-3)


@pytest.mark.parametrize("name", PACKED)
def test_without_packing_a_row_is_one_chunk(name, tokenizer):
    task, _ = make(name, tokenizer, packing=False)
    encoded = task.encode(tokenizer, texts(30, 2), LENGTH, training=True)
    assert encoded.tokens.documents is None and (encoded.targets.document >= 0).all()
    task, _ = make(name, tokenizer)
    task.configure(transformers.AutoModelForPreTraining.from_config(transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )))  # fmt: skip
    assert task.encode(tokenizer, texts(30, 2), LENGTH, training=True).tokens.documents is None


@pytest.mark.parametrize("whole_words", [False, True])
@pytest.mark.parametrize("name", ["masked-lm", "masked-lm-nsp"])
def test_masking_statistics_through_the_task(name, whole_words, tokenizer, monkeypatch):
    monkeypatch.setattr(OtherDocuments, "sample", lambda self, document, *_: np.full(len(document), -1))  # texts stay
    task, _ = make(name, tokenizer, whole_words=whole_words)
    encoded = task.encode(tokenizer, texts(800, 3), 64, training=True)
    plain = torch.from_numpy(encoded.tokens.pad(np.arange(len(encoded)), 0)["input_ids"])
    batch = full_batch(task, encoded)
    masked = batch["labels"] != -100
    special = torch.isin(plain, torch.tensor([0, 2, 3, 4]))  # an unknown word (1) is text
    assert batch["label_positions"].tolist() == masked.flatten().nonzero().squeeze(1).tolist()
    assert not (masked & special).any(), "special tokens and padding are never masked"
    assert (batch["labels"][masked] == plain[masked]).all() and (batch["input_ids"][~masked] == plain[~masked]).all()
    assert float(masked.sum() / (~special).sum()) == pytest.approx(0.15, abs=0.005)  # a row's count is rounded
    shown = batch["input_ids"][masked]
    error = 4 * (0.8 * 0.2 / int(masked.sum())) ** 0.5
    assert float((shown == 4).double().mean()) == pytest.approx(0.8, abs=error)
    assert not torch.isin(shown, torch.tensor([0, 2, 3])).any(), "no special token replaces a word"
    assert float((shown == 1).double().mean()) < 0.05, "nor an unknown word"


@pytest.mark.parametrize("name", ["masked-lm", "masked-lm-nsp", "seq2seq-denoising"])
def test_masks_differ_each_time_and_repeat_with_the_same_seed(name, tokenizer):
    task, _ = make(name, tokenizer)
    encoded = task.encode(tokenizer, texts(40, 2), LENGTH, training=True)
    one, same = full_batch(task, encoded), full_batch(task, encoded)
    other = task.collate(encoded, np.arange(len(encoded)), pad_id=0)
    assert all(torch.equal(one[key], same[key]) for key in one)
    key = "input_ids" if name == "seq2seq-denoising" else "labels"
    assert one[key].shape != other[key].shape or not torch.equal(one[key], other[key])


def test_pairs_are_marked_where_they_begin(tokenizer):
    task, _ = make("masked-lm-nsp", tokenizer)
    encoded = task.encode(tokenizer, texts(60, 4), LENGTH, training=True)
    batch = full_batch(task, encoded)
    labels, ids = batch["next_sentence_label"], batch["document_ids"]
    firsts = (ids != 0) & torch.cat([torch.ones(len(ids), 1, dtype=torch.bool), ids[:, 1:] != ids[:, :-1]], dim=1)
    assert ((labels != -100) == firsts).all()
    assert (batch["input_ids"][firsts] == 2).all(), "a pair begins with [CLS]"
    types = batch["token_type_ids"]
    for number in range(1, int(ids[0].max()) + 1):
        pair_types = types[0][ids[0] == number]
        assert pair_types[0] == 0 and pair_types[-1] == 1 and (pair_types.diff() >= 0).all()
    assert float((labels[firsts] == 0).double().mean()) == pytest.approx(0.5, abs=0.2)


def test_a_causal_document_has_one_end_token_however_many_chunks(tokenizer):
    task, _ = make("causal-lm", tokenizer)
    encoded = task.encode(tokenizer, texts(20, 6), 16)
    chunks = np.split(encoded.tokens.ids, encoded.tokens.offsets[1:-1])
    assert len(chunks) > 20 and sum(int(p[-1] == 3) for p in chunks) == 20
    assert all(p[0] == 2 for p in chunks)
    assert encoded.targets.tokens.sum() == encoded.tokens.ids.size - len(chunks)


def test_the_baseline_is_the_token_frequencies_of_training(tokenizer):
    """For independently sampled words nothing beats their frequencies: the baseline's loss is their entropy."""
    generator = np.random.default_rng(0)
    words = ["the", "film", "a", "story"]
    probability = [0.5, 0.25, 0.125, 0.125]

    def sample(count: int) -> Examples:
        rows = [" ".join(generator.choice(words, p=probability, size=60)) for _ in range(count)]
        return Examples({"text": rows}, [str(i) for i in range(count)], list(range(count)))

    task, _ = make("masked-lm", tokenizer)
    train, test = (task.encode(tokenizer, sample(count), 64) for count in (400, 200))
    baseline = task.report(np.ones((len(test), 3)), test.targets, train.targets)["baseline"]
    assert baseline["loss"] == pytest.approx(1.75 * math.log(2), rel=0.02)
    assert baseline["masked_accuracy"] == pytest.approx(0.5, abs=0.02)
    assert baseline["perplexity"] == pytest.approx(math.exp(baseline["loss"]))


# -- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
def test_a_corpus_shorter_than_one_sequence_is_refused_with_the_numbers(name, tokenizer):
    task, _ = make(name, tokenizer)
    short = Examples({"text": ["the film is", "a story"]}, ["1", "2"], [1, 2])
    with pytest.raises(DataError, match=r"5 tokens in 2 documents, less than one sequence of 32 tokens"):
        task.encode(tokenizer, short, LENGTH, training=True)
    assert len(task.encode(tokenizer, short, LENGTH)) >= 1, "a test split may be that short"


@pytest.mark.parametrize("name", TASKS)
def test_a_corpus_of_no_tokens_is_refused(name, tokenizer):
    task, _ = make(name, tokenizer)
    with pytest.raises(DataError, match="contain no tokens"):
        task.encode(tokenizer, Examples({"text": ["\t", "  "]}, ["1", "2"], [1, 2]), LENGTH)


def test_pairs_need_two_documents_and_enough_length(tokenizer):
    task, _ = make("masked-lm-nsp", tokenizer)
    with pytest.raises(DataError, match="1 document"):
        task.encode(tokenizer, Examples({"text": ["the film. a story"]}, ["1"], [1]), LENGTH)
    with pytest.raises(SpecError, match="needs 3 special tokens and two others"):
        task.encode(tokenizer, texts(20), 4)


def test_a_tokenizer_without_a_mask_token_is_refused(tokenizer):
    import copy

    task, _ = make("masked-lm", tokenizer)
    bare = copy.deepcopy(tokenizer)
    bare.mask_token = None
    with pytest.raises(SpecError, match="no mask token"):
        task.encode(bare, texts(20), LENGTH)


def test_pairs_need_a_head_for_pairs(tokenizer):
    task, _ = make("masked-lm-nsp", tokenizer)
    config = transformers.RobertaConfig(
        vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    with pytest.raises(SpecError, match="RobertaForMaskedLM has no head"):
        task.configure(transformers.AutoModelForPreTraining.from_config(config))


# -- predictions ----------------------------------------------------------------------------------------------------


def test_masked_words_are_filled_in(tokenizer):
    for name in ("masked-lm", "masked-lm-nsp"):
        task, model = make(name, tokenizer, candidates=3)
        first, second = predict_json(
            task, model, tokenizer, [{"text": "the [MASK] is [MASK]"}, {"text": "a [MASK]"}], LENGTH, {}
        )
        assert [len(each) for each in first["masks"]] == [3, 3] and len(second["masks"]) == 1
        scores = [candidate["score"] for candidate in first["masks"][0]]
        assert scores == sorted(scores, reverse=True) and 0 < sum(scores) <= 1
        assert first["text"].split()[0] == "the" and first["text"].split()[2] == "is"
        with pytest.raises(DataError, match=r"Input 1 has no \[MASK\]"):
            predict_json(task, model, tokenizer, [{"text": "the film"}], LENGTH, {})


@pytest.mark.parametrize("name", ["causal-lm", "seq2seq-denoising"])
def test_generation_follows_its_options(name, tokenizer):
    task, model = make(name, tokenizer)

    def generate(**options: Any) -> dict[str, Any]:
        return predict_json(task, model, tokenizer, [{"text": "the film is"}], LENGTH, options)[0]

    assert generate(max_new_tokens=5)["tokens"] <= 5
    assert generate(temperature=0) == generate(temperature=0, writing_seed=7), "greedy decoding samples nothing"
    assert generate() == generate() and len({generate(temperature=5, writing_seed=i)["text"] for i in range(4)}) > 1
    assert isinstance(generate(beams=3, repetition_penalty=1.2)["text"], str)
    state = torch.random.get_rng_state()
    generate()
    assert torch.equal(state, torch.random.get_rng_state()), "generation leaves the global random state unchanged"
    with pytest.raises(SpecError, match="no_such"):
        generate(no_such=1)
    with pytest.raises(SpecError, match="temperature"):
        generate(temperature=-1)


def test_generation_stops_at_the_last_position(tokenizer):
    task, model = make("causal-lm", tokenizer)
    long = " ".join(["film"] * 100)
    (answer,) = predict_json(
        task, model, tokenizer, [{"text": long}], LENGTH, {"max_new_tokens": 500, "temperature": 0}
    )
    assert answer["tokens"] <= 63


def test_a_prompt_longer_than_the_positions_is_refused_with_the_numbers(tokenizer):
    task, model = make("masked-lm", tokenizer)
    long = " ".join(["film"] * 70) + " [MASK]"
    with pytest.raises(DataError, match=r"Input 2 has 73 tokens, but the model accepts at most 64"):
        predict_json(task, model, tokenizer, [{"text": "a [MASK]"}, {"text": long}], LENGTH, {})
    task.excerpts = [long.removesuffix(" [MASK]"), "the film is dull"]
    assert len(task.samples(InferenceContext(model, tokenizer, LENGTH))) == 1, (
        "a sample that does not fit is skipped and does not fail the run"
    )


def test_positions_with_an_offset_and_positions_without_a_limit(tokenizer):
    """RoBERTa counts from 2: 64 of its 66 positions are for text. Rotary positions have no limit."""
    task, _ = make("masked-lm", tokenizer)
    options = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    roberta = transformers.RobertaForMaskedLM(
        transformers.RobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=66, pad_token_id=1, **options)
    ).eval()
    longest = {"text": " ".join(["film"] * 61) + " [MASK]"}
    assert predict_json(task, roberta, tokenizer, [longest], LENGTH, {})[0]["masks"]
    with pytest.raises(DataError, match=r"65 tokens, but the model accepts at most 64"):
        predict_json(task, roberta, tokenizer, [{"text": f"film {longest['text']}"}], LENGTH, {})
    ours = EncoderConfig(vocab_size=len(tokenizer), max_position_embeddings=8, positions="rotary", **options)
    rotary = transformers.AutoModelForMaskedLM.from_config(ours).eval()
    assert predict_json(task, rotary, tokenizer, [longest], LENGTH, {})[0]["masks"]


def test_generation_is_not_limited_where_positions_are_not(tokenizer):
    task, _ = make("causal-lm", tokenizer)
    config = DecoderConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=8, positions="rotary", pad_token_id=0, bos_token_id=2, eos_token_id=None,
    )  # fmt: skip
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    model.generation_config.eos_token_id = None
    options = {"max_new_tokens": 20, "temperature": 0, "beams": 1}
    written = predict_json(task, model, tokenizer, [{"text": "the film is"}], LENGTH, options)[0]["tokens"]
    assert written > 8


def test_what_a_tokenizer_loses_is_noted_with_bits_per_byte():
    """By hand: the snowman occurs in no training text, and the tokenizer converts capitals to lower case."""
    corpus = ["the snow and the film"] * 5
    examples = Examples({"text": ["the snow ☃ AND", "the film ☃ and"]}, ["a", "b"], [0, 1])
    lossy = train_tokenizer(corpus, TokenizerSpec(train="wordpiece", vocab_size=80, lowercase=True))
    lossless = train_tokenizer(corpus, TokenizerSpec(train="bpe", vocab_size=300))
    reports = []
    for each_tokenizer in (lossy, lossless):
        task, model = make("causal-lm", each_tokenizer)
        encoded = task.encode(each_tokenizer, examples, LENGTH)
        batch = full_batch(task, encoded)
        with torch.no_grad():
            outputs = task.outputs(model(**batch), batch).numpy()
        reports.append(task.report(outputs, encoded.targets, encoded.targets))
    count = sum(len(lossy(text, add_special_tokens=False)["input_ids"]) for text in examples.columns["text"])
    assert reports[0]["tokenizer"] == {"unknown": 2 / count, "lowercase": True}
    assert "are unknown and it converts text to lower case" in reports[0]["notes"][0]
    assert reports[1]["tokenizer"] == {"unknown": 0.0, "lowercase": False} and reports[1]["notes"] == []


def test_packed_texts_do_not_see_each_other(tokenizer, monkeypatch):
    """The loss of packed rows is that of the single texts, and a text's neighbors do not affect it."""
    mask_every_third = lambda ids, text, mask_id, *_: np.where(text & (np.arange(len(ids)) % 3 == 1), mask_id, ids)[:-2]  # noqa: E731
    monkeypatch.setattr("workbench.tasks.seq2seq_denoising.take_spans", mask_every_third)
    task, model = make("seq2seq-denoising", tokenizer)
    assert task.packs
    packed, alone = (task.encode(tokenizer, texts(40), LENGTH, training=training) for training in (True, False))
    assert len(packed) < len(alone) == 40
    losses = []
    for encoded in (packed, alone):
        batch = full_batch(task, encoded)
        count = (batch["labels"] != -100).sum()
        assert count == task.loss_weight(encoded, np.arange(len(encoded)))
        with torch.no_grad():
            losses.append(float(model(**batch).loss * count))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    batch = full_batch(task, packed)
    second = batch["decoder_document_ids"] == 2
    with torch.no_grad():
        before = model(**batch).logits[second]
        for ids, numbers in (("input_ids", "document_ids"), ("decoder_input_ids", "decoder_document_ids")):
            first = batch[numbers] == 1
            batch[ids] = torch.where(first, (batch[ids] + 7) % 20 + 5, batch[ids])
        after = model(**batch).logits
    assert second.sum() > 50 and torch.equal(before, after[second])
