"""The sources bag-of-embeddings, textcnn, lstm and gru: options, fitting tunings and explainers, refused settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny import reviews
from workbench.check import check
from workbench.errors import RequestError, SpecError, UnknownNameError
from workbench.explain import compatibility, explain
from workbench.inference.predictor import Predictor
from workbench.models.base import models
from workbench.spec import RunSpec
from workbench.tasks.base import tasks
from workbench.tuning.base import tunings
from workbench.workspace import Workspace

BASELINES = ["bag-of-embeddings", "textcnn", "lstm", "gru"]
CLASSES = "AutoModelForSequenceClassification"
LABELS = {"num_labels": 2, "id2label": {0: "bad", 1: "good"}, "label2id": {"bad": 0, "good": 1}}
TEXT = "the film is superb and the music dull"

every_baseline = pytest.mark.parametrize("name", BASELINES)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder for the trained tokenizer, like that of a run."""
    return tmp_path_factory.mktemp("run") / "tokenizer"


def source(name: str, workspace: Workspace, folder: Any, **options: Any) -> Any:
    entry = models.get(name)
    config = entry.Config.model_validate({"tokenizer": {"train": "wordpiece", "vocab_size": 120}, **options})
    model_source = entry(config, "", workspace)
    model_source.prepare(lambda: (text for text, _ in reviews(80)), folder)
    return model_source


def load(name: str, workspace: Workspace, folder: Any, head: str = CLASSES, seed: int = 0, **options: Any) -> Any:
    torch.manual_seed(seed)
    return source(name, workspace, folder, **options).load(head, LABELS if head == CLASSES else {})


def predictor(loaded: Any) -> Predictor:
    task = tasks.get("text-classification")()
    task.labels = ["bad", "good"]
    return Predictor(loaded.model, loaded.tokenizer, task, max_length=64)


@every_baseline
def test_a_new_model_trains_a_tokenizer_on_its_texts(name: str, workspace: Workspace, tokenizers: Any) -> None:
    loaded = load(name, workspace, tokenizers)
    assert loaded.model.config.vocab_size == len(loaded.tokenizer) <= 120
    assert loaded.model.config.id2label == {0: "bad", 1: "good"}
    assert loaded.model.config.pad_token_id == loaded.tokenizer.pad_token_id == 0
    assert loaded.base["source"] == name
    same, other = (load(name, workspace, tokenizers, seed=seed).base["fingerprint"] for seed in (0, 1))
    assert same == loaded.base["fingerprint"] != other
    assert predictor(loaded).predict([{"text": TEXT}])[0].label in ("bad", "good")


def test_options_set_the_shape_of_the_model(workspace: Workspace, tokenizers: Any) -> None:
    bag = load("bag-of-embeddings", workspace, tokenizers, embedding_size=7, hidden_size=9, layers=3).model
    assert bag.model.embeddings.weight.shape[1] == 7 and bag.model.feed_forward.linear_2.weight.shape == (9, 9)
    cnn = load("textcnn", workspace, tokenizers, filters=6, narrowest=2, widest=3).model
    assert [tuple(c.weight.shape) for c in cnn.model.convolutions] == [(6, 256, 2), (6, 256, 3)]
    assert cnn.classifier.weight.shape == (2, 12)
    options = {"hidden_size": 10, "layers": 2, "bidirectional": True, "attention": True, "embedding_size": 5}
    for name, gates in (("lstm", 4), ("gru", 3)):
        model = load(name, workspace, tokenizers, **options).model
        assert len(model.model.layers) == 2 and model.model.pooling is not None
        assert model.model.layers[0].cell.weight_ih_l0_reverse.shape == (gates * 5, 5)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_recurrent_networks_generate_text(name: str, workspace: Workspace, tokenizers: Any) -> None:
    loaded = load(name, workspace, tokenizers, head="AutoModelForCausalLM", hidden_size=16, embedding_size=16)
    inputs = loaded.tokenizer("the film", return_tensors="pt")
    generated = loaded.model.eval().generate(**inputs, max_new_tokens=5, do_sample=False)
    assert generated.shape[1] > inputs["input_ids"].shape[1]
    assert loaded.model.generation_config.eos_token_id == loaded.tokenizer.eos_token_id
    loaded = load(name, workspace, tokenizers, head="AutoModelForTokenClassification")
    assert type(loaded.model).__name__ == "RecurrentForTokenClassification"


# -- refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lstm", {"hidden_size": 33, "bidirectional": True}, "hidden_size is 33.*Use 34"),
        ("textcnn", {"narrowest": 4, "widest": 3}, "narrowest \\(4 tokens\\) must not be above widest \\(3 tokens\\)"),
        ("gru", {"tokenizer": {"source": "nobody"}}, "nobody"),
        ("textcnn", {"filters": 0}, "greater than or equal to 1"),
    ],
)
def test_an_impossible_shape_is_reported_before_the_run(
    name: str, options: dict[str, Any], message: str, workspace: Workspace
) -> None:
    spec = RunSpec.parse(
        {"task": "text-classification", "data": "rotten-tomatoes", "model": {"source": name, **options}}
    )
    (problem,) = [p for p in check(spec, workspace) if p.severity == "error"]
    assert problem.field.startswith("model")
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(problem.message)


@every_baseline
@pytest.mark.parametrize("head", ["AutoModelForMaskedLM", "AutoModelForPreTraining", "AutoModelForSeq2SeqLM"])
def test_a_missing_head_is_refused(name: str, head: str, workspace: Workspace, tokenizers: Any) -> None:
    with pytest.raises(SpecError, match=f"The model {name} has no head of the kind {head}"):
        load(name, workspace, tokenizers, head=head)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_recurrent_networks_answer_questions_and_select_choices(
    name: str, workspace: Workspace, tokenizers: Any
) -> None:
    """Train both heads until they memorize a batch; padding changes nothing."""
    spans = load(name, workspace, tokenizers, "AutoModelForQuestionAnswering", bidirectional=True, dropout=0.0)
    choices = load(name, workspace, tokenizers, "AutoModelForMultipleChoice", attention=True, dropout=0.0)
    texts = [text for text, _ in reviews(8)]
    inputs = spans.tokenizer(texts, padding=True, return_tensors="pt")
    first = torch.arange(8) % 3 + 1
    several = {key: value.view(2, 4, -1) for key, value in inputs.items()}
    for model, batch in (
        (spans.model, {**inputs, "start_positions": first, "end_positions": first + 1}),
        (choices.model, {**several, "labels": torch.tensor([2, 1])}),
    ):
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        for _ in range(60):
            loss = model(**batch).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert float(loss.detach()) < 0.1
    spans.model.eval()
    output = spans.model(**inputs)
    assert output.start_logits.argmax(1).tolist() == first.tolist()
    alone = spans.model(**spans.tokenizer(texts[:1], return_tensors="pt"))
    width = alone.start_logits.shape[1]
    assert torch.allclose(alone.start_logits[0], output.start_logits[0, :width], atol=1e-4)
    assert choices.model(**several).logits.argmax(1).tolist() == [2, 1]


@pytest.mark.parametrize(
    "head", ["AutoModelForTokenClassification", "AutoModelForCausalLM", "AutoModelForQuestionAnswering"]
)
def test_attention_pooling_is_refused_for_token_heads(head: str, workspace: Workspace, tokenizers: Any) -> None:
    with pytest.raises(SpecError, match="reduces a text to one vector"):
        load("lstm", workspace, tokenizers, head=head, attention=True)


def test_a_bidirectional_language_model_is_refused(workspace: Workspace, tokenizers: Any) -> None:
    with pytest.raises(SpecError, match="cannot read in two directions"):
        load("gru", workspace, tokenizers, head="AutoModelForCausalLM", bidirectional=True)


# -- tunings --------------------------------------------------------------------------------------------------------


@every_baseline
@pytest.mark.parametrize("method", ["full", "head", "freeze", "lora"])
def test_a_tuning_works_or_explains_why_not(name: str, method: str, workspace: Workspace, tokenizers: Any) -> None:
    loaded = load(name, workspace, tokenizers, **({"layers": 3} if name in ("lstm", "gru") else {}))
    tuning = tunings.get(method)()
    recurrent = name in ("lstm", "gru")
    if method == "full" or (recurrent and not tuning.saves_adapter):
        model = tuning.apply(loaded.model, "SEQ_CLS")
        trained = {name for name, p in model.named_parameters() if p.requires_grad}
        assert {"classifier.weight", "classifier.bias"} <= trained
        assert ("model.embeddings.weight" in trained) == (method == "full")
    else:
        with pytest.raises(SpecError, match=r"tuning: full") as caught:
            tuning.apply(loaded.model, "SEQ_CLS")
        assert type(loaded.model.model).__name__ in str(caught.value) or type(loaded.model).__name__ in str(
            caught.value
        )


# -- explaining -----------------------------------------------------------------------------------------------------


@every_baseline
def test_explainers_that_need_attention_refuse_baselines(name: str, workspace: Workspace, tokenizers: Any) -> None:
    """Also with attention pooling: its weights summarize a text and are not attention between tokens."""
    options = {"attention": True} if name in ("lstm", "gru") else {}
    subject = predictor(load(name, workspace, tokenizers, **options))
    reasons = compatibility(subject)
    for method in ("attention", "rollout"):
        assert "no attention heads" in str(reasons[method])
        with pytest.raises(RequestError, match=r"no attention heads.*gradient-x-input.* occlusion"):
            explain(subject, TEXT, method)
    assert reasons["occlusion"] is None and reasons["gradient-x-input"] is None


@every_baseline
@pytest.mark.parametrize("method", ["occlusion", "gradient-x-input"])
def test_explainers_without_attention_work(name: str, method: str, workspace: Workspace, tokenizers: Any) -> None:
    subject = predictor(load(name, workspace, tokenizers))
    output = explain(subject, TEXT, method)
    assert len(output.scores) == len(output.tokens) and np.isfinite(output.scores).all()
    assert np.abs(output.scores)[~np.array(output.special)].max() > 0
    assert output.faithfulness["sentence"].startswith("Masking")


def test_gradients_of_a_linear_bag_are_its_weights(workspace: Workspace, tokenizers: Any) -> None:
    loaded = load("bag-of-embeddings", workspace, tokenizers, layers=0)
    output = explain(predictor(loaded), TEXT, "gradient-x-input", target="good")
    ids = loaded.tokenizer(TEXT)["input_ids"]
    model = loaded.model
    expected = (model.model.embeddings.weight[ids] @ model.classifier.weight[1] / len(ids)).tolist()
    np.testing.assert_allclose(output.scores, expected, atol=1e-6)


def test_a_misspelled_name_gets_a_suggestion(workspace: Workspace) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'textcnn'"):
        models.get("text-cnn")
