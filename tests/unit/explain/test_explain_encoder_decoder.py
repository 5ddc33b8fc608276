"""The three kinds of attention of an encoder-decoder, and selected layers and heads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BartConfig, BartForConditionalGeneration

from tests.unit.explain.explain_models import bert, tokenizer
from workbench.errors import RequestError
from workbench.explain import capture_attention, capture_encoder_decoder, compatibility, explain
from workbench.explain.instance import Instance
from workbench.explain.render.bertviz import why_not_drawn
from workbench.explain.render.canvas import canvas_view
from workbench.explain.targets import resolve_target
from workbench.models.networks.heads import EncoderDecoderForSeq2SeqLM
from workbench.models.networks.transformer import EncoderDecoderConfig
from workbench.tasks.base import tasks

TEXT = "the film was good"


def workbench_model() -> Any:
    torch.manual_seed(0)
    return EncoderDecoderForSeq2SeqLM(
        EncoderDecoderConfig(
            vocab_size=40,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=32,
            initializer_range=0.5,
            decoder_start_token_id=2,
            eos_token_id=3,
        )
    ).eval()


def bart() -> Any:
    torch.manual_seed(0)
    layers = {"encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
    widths = {"d_model": 16, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "init_std": 0.5}
    ids = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 2}
    return BartForConditionalGeneration(BartConfig(vocab_size=40, **layers, **widths, **ids)).eval()


def predictor_of(model: Any) -> Any:
    entry = tasks.get("seq2seq-denoising")
    return SimpleNamespace(model=model, tokenizer=tokenizer(), task=entry(entry.Config()), labels=[], max_length=32)


@pytest.mark.parametrize("make", [workbench_model, bart])
def test_three_kinds_of_attention_equal_the_models_own(make: Any) -> None:
    model, words = make(), tokenizer()
    before = model.config._attn_implementation
    captured = capture_encoder_decoder(model, words, TEXT, "story good")
    assert model.config._attn_implementation == before
    inputs = words(TEXT, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    decoded = torch.tensor([[2, *words("story good", add_special_tokens=False)["input_ids"]]])
    eager = make()
    eager.set_attn_implementation("eager")
    with torch.no_grad():
        output = eager(**inputs, decoder_input_ids=decoded, output_attentions=True)
    for actual, expected in (
        (captured.encoder.weights, output.encoder_attentions),
        (captured.decoder.weights, output.decoder_attentions),
        (captured.cross, output.cross_attentions),
    ):
        np.testing.assert_allclose(actual, torch.stack(expected)[:, 0].numpy(), atol=1e-5)
        np.testing.assert_allclose(actual.sum(-1), 1, atol=1e-4)
    assert captured.cross.shape == (2, 4, 3, 6) and captured.decoder.is_causal and not captured.encoder.is_causal
    assert captured.decoder.tokens[1:] == ["story", "good"]


def test_the_default_text_is_what_the_model_generates() -> None:
    model, words = workbench_model(), tokenizer()
    inputs = words(TEXT, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    generated = model.generate(**inputs, max_new_tokens=24, do_sample=False)[0].tolist()
    assert len(capture_encoder_decoder(model, words, TEXT).decoder.tokens) == len(generated)
    assert capture_attention(model, words, TEXT).weights.shape == (2, 4, 6, 6)  # the encoder's


def test_cross_attention_as_a_pair_can_be_drawn() -> None:
    captured = capture_encoder_decoder(workbench_model(), tokenizer(), TEXT, "story")
    pair = captured.cross_as_pair()
    assert pair.second_text_start is not None
    np.testing.assert_array_equal(pair.weights[:, :, 6:, :6], captured.cross)
    assert not pair.weights[:, :, :6].any() and not pair.weights[:, :, 6:, 6:].any()
    assert "story" in canvas_view(pair) and why_not_drawn(pair, "head") is None


def test_the_first_generated_token_is_explained() -> None:
    loaded = predictor_of(workbench_model())
    with torch.no_grad():
        inputs = loaded.tokenizer(TEXT, return_tensors="pt")
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        logits = loaded.model(input_ids=ids, attention_mask=mask, decoder_input_ids=torch.tensor([[2]])).logits[0, -1]
        best = int(logits.argmax())
        masked_ids = ids.clone()
        masked_ids[0, 1] = loaded.tokenizer.mask_token_id
        masked_logits = loaded.model(
            input_ids=masked_ids, attention_mask=mask, decoder_input_ids=torch.tensor([[2]])
        ).logits[0, -1]
    instance = Instance(loaded, TEXT)
    assert resolve_target(instance).target.index == best
    explanation = explain(loaded, TEXT, "occlusion")
    assert explanation.scores[1] == pytest.approx(
        float(logits.softmax(-1)[best] - masked_logits.softmax(-1)[best]), abs=1e-6
    )
    by_attention = explain(loaded, TEXT, "attention")
    captured = capture_encoder_decoder(loaded.model, loaded.tokenizer, TEXT, "")
    np.testing.assert_allclose(by_attention.scores, captured.cross[-1, :, 0].mean(0), atol=1e-6)
    assert "three kinds" in str(compatibility(loaded)["rollout"]) and compatibility(loaded)["attention"] is None


def test_layers_and_heads_can_be_selected() -> None:
    whole = capture_attention(bert(), tokenizer(), TEXT)
    selected = capture_attention(bert(), tokenizer(), TEXT, layers=[2, 0], heads=[3])
    np.testing.assert_array_equal(selected.weights, whole.weights[[2, 0]][:, [3]])
    assert selected.layer_numbers == [2, 0] and selected.head_numbers == [3]
    with pytest.raises(RequestError, match="no layer 3"):
        capture_attention(bert(), tokenizer(), TEXT, layers=[3])
    with pytest.raises(RequestError, match="not have both an encoder"):
        capture_encoder_decoder(bert(), tokenizer(), TEXT)
