"""The targets of explanations: the next token, a masked word, a word's label, an answer's span."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForTokenClassification,
    GPT2Config,
    GPT2LMHeadModel,
)

from tests.unit.explain.explain_models import bert, predictor, tokenizer
from workbench.errors import RequestError, UnknownNameError
from workbench.explain import compatibility, compatible_methods, evaluate_faithfulness, explain
from workbench.explain.instance import Instance
from workbench.explain.targets import TARGET_FINDERS, resolve_target
from workbench.tasks.base import Task, tasks

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32}
TEXT = "the film with good actors"


def predictor_for(name: str, model: Any, labels: list[str] | None = None) -> Any:
    entry = tasks.get(name)
    task = entry(entry.Config())
    task.labels = labels or []
    return SimpleNamespace(model=model.eval(), tokenizer=tokenizer(), task=task, labels=task.labels, max_length=32)


def language_model() -> Any:
    torch.manual_seed(0)
    return predictor_for("causal-lm", GPT2LMHeadModel(GPT2Config(
        vocab_size=40, n_positions=64, n_embd=16, n_layer=2, n_head=4, initializer_range=0.5, bos_token_id=2
    )))  # fmt: skip


def of_bert(kind: Any, name: str, labels: list[str] | None = None, **more: Any) -> Any:
    torch.manual_seed(0)
    return predictor_for(name, kind(BertConfig(vocab_size=40, initializer_range=0.5, **SIZES, **more)), labels)


def test_the_next_token_is_the_models_prediction() -> None:
    model = language_model()
    ids = model.tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    prefix = model.task.special_tokens(model.tokenizer)[0]
    with torch.no_grad():
        probabilities = model.model(torch.tensor([[*prefix, *ids]])).logits[0, -1].softmax(-1)
    explanation = explain(model, TEXT, "occlusion")
    assert model.tokenizer.convert_tokens_to_ids(explanation.tokens) == [*prefix, *ids]  # nothing follows the text
    assert explanation.prediction["score"] == pytest.approx(float(probabilities.max()), abs=1e-6)
    masked_ids = [*prefix, *ids]
    masked_ids[2] = model.tokenizer.mask_token_id
    with torch.no_grad():
        masked_probabilities = model.model(torch.tensor([masked_ids])).logits[0, -1].softmax(-1)
    best = int(probabilities.argmax())
    assert explanation.scores[2] == pytest.approx(float(probabilities[best] - masked_probabilities[best]), abs=1e-6)


def test_another_next_token_can_be_named() -> None:
    model = language_model()
    explanation = explain(model, TEXT, "gradient-x-input", target="music")
    assert explanation.target == "music" and "music" in explanation.prediction["scores"]
    with pytest.raises(RequestError, match="is not one token"):
        explain(model, TEXT, "gradient-x-input", target="good film")
    with pytest.raises(RequestError, match="does not label single words"):
        explain(model, TEXT, "gradient-x-input", word="film")


def test_a_language_model_reads_the_end_of_a_long_text() -> None:
    model = language_model()
    explanation = explain(model, "film " * 40 + "good", "gradient-x-input")
    assert len(explanation.tokens) == 32 and explanation.tokens[-1] == "good" and "last" in explanation.notes[0]


@pytest.mark.parametrize("method", ["attention", "rollout", "integrated-gradients", "lime", "shapley", "flow"])
def test_every_method_explains_the_next_token(method: str) -> None:
    explanation = explain(language_model(), TEXT, method)
    assert len(explanation.scores) == len(explanation.tokens) and np.isfinite(explanation.scores).all()
    assert any(explanation.scores)


def test_exact_shapley_values_of_the_next_token_sum_to_the_difference() -> None:
    model = language_model()
    instance = Instance(model, TEXT)
    target = resolve_target(instance).target
    probabilities = instance.masked_probabilities(instance.expand_mask(np.array([[True] * 5, [False] * 5])), target)
    assert sum(explain(model, TEXT, "shapley").scores) == pytest.approx(probabilities[0] - probabilities[1], abs=1e-6)


def test_faithfulness_evaluation_of_a_next_token() -> None:
    evaluation = evaluate_faithfulness(language_model(), TEXT, "occlusion", checks=("curves", "stability"))
    assert evaluation.curves is not None
    assert evaluation.curves.lines["deletion"][0] == pytest.approx(evaluation.curves.lines["insertion"][-1])
    assert len(evaluation.sentences) == 2


def test_a_word_and_its_label() -> None:
    tagger = of_bert(BertForTokenClassification, "token-classification", ["B", "I", "O"], num_labels=3)
    with torch.no_grad():
        ids = tagger.tokenizer(TEXT, return_tensors="pt")
        probabilities = tagger.model(**ids).logits[0].softmax(-1)
    explanation = explain(tagger, TEXT, "occlusion", target="I", word="good")
    position = explanation.tokens.index("good")
    assert explanation.position == position and explanation.target == "I"
    masked_ids = ids["input_ids"].clone()
    masked_ids[0, 2] = tagger.tokenizer.mask_token_id
    with torch.no_grad():
        masked_probabilities = tagger.model(**{**ids, "input_ids": masked_ids}).logits[0, position].softmax(-1)
    assert explanation.scores[2] == pytest.approx(float(probabilities[position, 1] - masked_probabilities[1]), abs=1e-6)
    assert explain(tagger, TEXT, "occlusion", word=3).position == position  # words are counted from 0
    first = next((i for i in range(1, 6) if int(probabilities[i].argmax()) != 2), 1)
    assert explain(tagger, TEXT, "occlusion").position == first
    with pytest.raises(RequestError, match="There is no word 'bad'") as error:
        explain(tagger, TEXT, "occlusion", word="bad")
    assert "3 good" in error.value.hint
    with pytest.raises(UnknownNameError, match="B, I, O"):
        explain(tagger, TEXT, "occlusion", target="X")


def test_attention_is_read_at_the_explained_word() -> None:
    tagger = of_bert(BertForTokenClassification, "token-classification", ["B", "I", "O"], num_labels=3)
    explanation = explain(tagger, TEXT, "attention", word="good")
    assert explanation.attention is not None and explanation.position is not None
    np.testing.assert_allclose(
        explanation.scores, explanation.attention.weights[-1, :, explanation.position].mean(0), atol=1e-6
    )


def test_the_explained_span_is_the_most_probable() -> None:
    model = of_bert(BertForQuestionAnswering, "question-answering")
    question, context = "was the film good", "the music and the actors was unbelievable"
    with torch.no_grad():
        output = model.model(**model.tokenizer(question, context, return_tensors="pt"))
    start, end = output.start_logits[0].softmax(-1), output.end_logits[0].softmax(-1)
    explanation = explain(model, question, "occlusion", text_pair=context)
    inside = [i for i, segment in enumerate(explanation.segments) if segment == 1]
    best = max(
        ((i, j) for i in inside for j in inside if i <= j), key=lambda span: float(start[span[0]] * end[span[1]])
    )
    assert explanation.position == best[0]
    assert explanation.target == context[explanation.offsets[best[0]][0] : explanation.offsets[best[1]][1]]
    assert explanation.prediction["score"] == pytest.approx(float(start[best[0]] * end[best[1]]), abs=1e-6)
    other = explain(model, question, "gradient-x-input", text_pair=context, target="unbelievable")
    assert other.target == "unbelievable" and "unbelievable" in other.prediction["scores"]
    with pytest.raises(RequestError, match="is not in the text as whole words"):
        explain(model, question, "occlusion", text_pair=context, target="story")


def test_a_masked_word() -> None:
    model = of_bert(BertForMaskedLM, "masked-lm")
    explanation = explain(model, "the [MASK] was good", "gradient-x-input")
    assert explanation.position == 2 and explanation.tokens[2] == "[MASK]"
    with torch.no_grad():
        ids = model.tokenizer(explanation.text, return_tensors="pt")
        best = float(model.model(**ids).logits[0, 2].softmax(-1).max())
    assert explanation.prediction["score"] == pytest.approx(best, abs=1e-6)
    with pytest.raises(RequestError, match="has no \\[MASK\\]"):
        explain(model, "the film", "gradient-x-input")


def test_only_fitting_methods_are_offered() -> None:
    assert set(compatible_methods(predictor(bert(), tokenizer()))) == set(compatibility(predictor(bert(), tokenizer())))
    other = predictor(bert(), tokenizer())
    other.task = SimpleNamespace(name="sorting", target_kind=None)
    assert compatible_methods(other) == [] and "sorting" in str(compatibility(other)["occlusion"])
    other.task = SimpleNamespace(name="sorting", target_kind="order")
    assert compatible_methods(other) == [] and "the answers of sorting are a order" in str(
        compatibility(other)["occlusion"]
    )


def test_every_target_kind_of_a_task_can_be_explained() -> None:
    for name, entry in tasks.items():
        assert entry.target_kind is None or entry.target_kind in TARGET_FINDERS, name
        assert entry.target_kind is None or entry.target_score is not Task.target_score, name


@pytest.mark.parametrize("name", ["dialogue", "code-generation", "controlled-generation"])
def test_a_text_is_explained_within_its_prompt(name: str) -> None:
    model = predictor_for(name, language_model().model)
    model.tokenizer.eos_token = "[SEP]"
    text = f"  {TEXT}"
    with torch.no_grad():
        (prompt,) = model.task.encode_prompts(model.tokenizer, [{"text": text}])
        row = prompt.within(32).tolist()
        expected = model.model(torch.tensor([row])).logits[0, -1].softmax(-1)
    explanation = explain(model, text, "occlusion")
    assert model.tokenizer.convert_tokens_to_ids(explanation.tokens) == row
    maskable = [
        text[slice(*pair)]
        for pair, special in zip(explanation.offsets, explanation.special, strict=True)
        if not special
    ]
    assert maskable == TEXT.split()  # the task's prompt around the text is never masked
    assert explanation.prediction["score"] == pytest.approx(float(expected.max()), abs=1e-6)


def test_a_text_that_does_not_fit_its_prompt_is_an_error() -> None:
    model = predictor_for("code-generation", language_model().model)
    model.tokenizer.eos_token = "[SEP]"
    with pytest.raises(RequestError, match="fewer than 32 tokens"):
        explain(model, "film " * 40, "occlusion")
