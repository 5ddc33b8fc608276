"""The Transformers as transformers models: saving, loading, generation, tuning with peft, and invalid inputs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tests.unit.models.tiny_transformers import SMALL, STRONG, build, padded, tokens
from workbench.errors import RequestError, SpecError
from workbench.models.networks.heads import HEADS, DecoderForCausalLM, EncoderForMaskedLM, EncoderForPreTraining
from workbench.models.networks.transformer import (
    DecoderConfig,
    DecoderModel,
    EncoderConfig,
    EncoderDecoderConfig,
)

# -- as models of transformers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("config", "auto"), [(c, auto) for c, output in HEADS.items() for auto in output])
def test_saved_and_loaded_by_the_auto_class(config: Any, auto: str, tmp_path: Path) -> None:
    model = build(auto, config(**STRONG, num_labels=4, positions="sinusoidal"))
    model.save_pretrained(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} <= {"config.json", "model.safetensors", "generation_config.json"}
    loaded, info = getattr(transformers, auto).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert type(loaded) is type(model)
    inputs = {"input_ids": tokens(2, 8)}
    if auto == "AutoModelForMultipleChoice":
        inputs = {"input_ids": tokens(4, 8).view(2, 2, 8)}
    if config is EncoderDecoderConfig:
        inputs["decoder_input_ids"] = tokens(2, 4)
    for a, b in zip(loaded.eval()(**inputs).to_tuple(), model(**inputs).to_tuple(), strict=True):
        if isinstance(a, torch.Tensor):
            assert torch.equal(a, b)


def test_a_saved_body_loads_with_another_head(tmp_path: Path) -> None:
    """A classifier loads body and pooler of a model pretrained on masked words and next sentences."""
    pretrained = build("AutoModelForPreTraining", EncoderConfig(**STRONG))
    pretrained.save_pretrained(tmp_path)
    model, info = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path, num_labels=3, output_loading_info=True
    )
    assert set(info["missing_keys"]) == {"classifier.weight", "classifier.bias"}
    assert torch.equal(model.model.pooler.weight, pretrained.model.pooler.weight)


@pytest.mark.parametrize(
    "options",
    [
        {"do_sample": False},
        {"num_beams": 3, "do_sample": False},
        {"do_sample": True, "temperature": 0.7, "top_k": 5},
        {"do_sample": True, "top_p": 0.8},
        {"do_sample": False, "repetition_penalty": 1.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("config", [DecoderConfig, EncoderDecoderConfig])
def test_generate_with_and_without_the_cache(config: Any, options: dict[str, Any]) -> None:
    auto = "AutoModelForCausalLM" if config is DecoderConfig else "AutoModelForSeq2SeqLM"
    model = build(auto, config(**STRONG))
    ids, mask = padded()
    if config is DecoderConfig:
        ids, mask = ids.flip(1), mask.flip(1)  # a decoder is padded on the left
    generated = []
    for use_cache in (True, False):
        torch.manual_seed(7)
        generated.append(
            model.generate(ids, attention_mask=mask, max_new_tokens=8, min_new_tokens=8, use_cache=use_cache, **options)
        )
    assert torch.equal(*generated)
    if options == {"do_sample": False} and config is DecoderConfig:
        for row in range(3):  # padding on the left changes nothing
            alone = model.generate(ids[row : row + 1, 2 * row :], max_new_tokens=8, min_new_tokens=8, do_sample=False)
            assert torch.equal(alone[0, -8:], generated[0][row, -8:])


@pytest.mark.parametrize(
    ("config", "auto", "kind"),
    [
        (EncoderConfig, "AutoModelForSequenceClassification", "SEQ_CLS"),
        (DecoderConfig, "AutoModelForCausalLM", "CAUSAL_LM"),
        (EncoderDecoderConfig, "AutoModelForSeq2SeqLM", "SEQ_2_SEQ_LM"),
    ],
)
def test_lora_trains_and_loads(config: Any, auto: str, kind: str, tmp_path: Path) -> None:
    from workbench.tuning.base import tunings

    labels = torch.tensor([0, 1]) if kind == "SEQ_CLS" else tokens(2, 8)
    model = build(auto, config(**STRONG))
    before = model(tokens(2, 8), labels=labels).loss
    entry = tunings.get("lora")
    tuned = entry(entry.Config(dropout=0.0)).apply(model, kind)
    torch.testing.assert_close(tuned(input_ids=tokens(2, 8), labels=labels).loss, before)
    optimizer = torch.optim.AdamW([p for p in tuned.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(15):
        optimizer.zero_grad()
        loss = tuned(input_ids=tokens(2, 8), labels=labels).loss
        loss.backward()
        optimizer.step()
    assert loss.item() < before.item() * 0.9
    tuned.save_pretrained(tmp_path)
    from peft import PeftModel

    loaded = PeftModel.from_pretrained(build(auto, config(**STRONG)), tmp_path)
    torch.testing.assert_close(
        loaded(input_ids=tokens(2, 8), labels=labels).loss, tuned.eval()(input_ids=tokens(2, 8), labels=labels).loss
    )


def test_bertviz_draws_the_attention() -> None:
    from bertviz import head_view

    model = build("AutoModel", EncoderConfig(**STRONG))
    attentions = model(tokens(1, 6), output_attentions=True).attentions
    assert len(attentions) == 3
    assert attentions[0].shape == (1, 4, 6, 6)
    html = head_view(attentions, list("abcdef"), html_action="return").data
    assert "bertviz" in html


def test_cross_attention_is_returned() -> None:
    model = build("AutoModelForSeq2SeqLM", EncoderDecoderConfig(**STRONG))
    source, mask = padded()
    output = model(source, mask, tokens(3, 4), output_attentions=True)
    assert len(output.cross_attentions) == len(output.decoder_attentions) == len(output.encoder_attentions) == 3
    cross = output.cross_attentions[0]
    assert cross.shape == (3, 4, 4, 11)
    torch.testing.assert_close(cross.sum(-1), torch.ones(3, 4, 4))
    assert (cross.masked_select((mask == 0)[:, None, None].expand_as(cross)) == 0).all()


def test_only_masked_words_get_logits() -> None:
    model = build("AutoModelForMaskedLM", EncoderConfig(**STRONG))
    ids = tokens()
    labels = ids.masked_fill(torch.arange(11) % 5 > 0, -100)
    sparse = model(ids, labels=labels)
    model.config.sparse_prediction = False
    full = model(ids, labels=labels)
    torch.testing.assert_close(sparse.loss, full.loss)
    assert sparse.logits.shape == (9, 53)
    torch.testing.assert_close(sparse.logits, full.logits[labels != -100])


@pytest.mark.parametrize("kind", ["masked", "causal", "both"])
def test_the_fused_loss_equals_the_loss_of_the_logits(kind: str) -> None:
    """Training computes no logits, but the loss and the gradients are those of the logits."""
    small = {**STRONG, "dropout": 0.0, "attention_dropout": 0.0}
    ids = tokens()
    labels = ids.masked_fill(torch.arange(11) % 4 > 0, -100) if kind == "masked" else ids
    auto, config = {
        "masked": ("AutoModelForMaskedLM", EncoderConfig(**small)),
        "causal": ("AutoModelForCausalLM", DecoderConfig(**small)),
        "both": ("AutoModelForSeq2SeqLM", EncoderDecoderConfig(**small)),
    }[kind]
    results = []
    for training in (False, True):
        model = build(auto, config).train(training)
        output = model(ids, labels=labels)
        assert (output.logits is None) is training
        output.loss.backward()
        results.append([output.loss.detach(), *(p.grad for p in model.parameters())])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_weights_are_initialized_as_published() -> None:
    torch.manual_seed(0)
    model = DecoderForCausalLM(DecoderConfig(**{**SMALL, "hidden_size": 128, "num_hidden_layers": 8}))
    block = model.model.layers[0]
    assert block.feed_forward.up.weight.std().item() == pytest.approx(0.02, rel=0.1)
    smaller = 0.02 / math.sqrt(2 * 8)  # 8 layers, two additions each
    assert block.feed_forward.down.weight.std().item() == pytest.approx(smaller, rel=0.1)
    assert block.attention.output.weight.std().item() == pytest.approx(smaller, rel=0.1)
    assert block.attention.query_key_value.bias.abs().max() == 0
    encoder = EncoderForMaskedLM(EncoderConfig(**{**SMALL, "hidden_size": 128}))
    assert encoder.model.layers[0].feed_forward.down.weight.std().item() == pytest.approx(0.02, rel=0.1)


# -- bad input --------------------------------------------------------------------------------------------------------


def test_heads_that_do_not_divide_the_width() -> None:
    with pytest.raises(SpecError, match=r"5 heads do not divide the width 24.*1, 2, 3, 4, 6, 8, 12, 24"):
        EncoderConfig(**{**SMALL, "num_attention_heads": 5})
    with pytest.raises(SpecError, match="24 / 8 = 3"):
        EncoderConfig(**{**SMALL, "num_attention_heads": 8, "positions": "rotary"})


@pytest.mark.parametrize("name", ["positions", "norm", "activation", "pooling"])
def test_unknown_options_are_refused(name: str) -> None:
    with pytest.raises(SpecError, match=rf"{name} is 'odd'.*Allowed"):
        EncoderConfig(**SMALL, **{name: "odd"})


def test_a_text_longer_than_the_positions() -> None:
    model = build("AutoModelForCausalLM", DecoderConfig(**SMALL))
    with pytest.raises(RequestError, match=r"33 tokens.*32 positions"):
        model(tokens(1, 33))
    past = model(tokens(1, 30), use_cache=True).past_key_values
    with pytest.raises(RequestError, match="33 tokens"):
        model(tokens(1, 3), past_key_values=past)
    build("AutoModel", DecoderConfig(**SMALL, positions="rotary"))(tokens(1, 40))  # rotary positions have no limit
    with pytest.raises(RequestError, match="either"):
        DecoderModel(DecoderConfig(**SMALL))()


@pytest.mark.parametrize("config", [DecoderConfig, EncoderDecoderConfig])
def test_generating_past_the_positions(config: Any) -> None:
    is_encoder_decoder = config is EncoderDecoderConfig
    model = build("AutoModelForSeq2SeqLM" if is_encoder_decoder else "AutoModelForCausalLM", config(**SMALL))
    for options in ({"use_cache": True}, {"use_cache": False}):
        inputs = tokens(2, 10 if is_encoder_decoder else 28)
        with pytest.raises(RequestError, match=r"33 tokens.*32 positions"):
            model.generate(inputs, max_new_tokens=40, min_new_tokens=40, do_sample=False, **options)


@pytest.mark.parametrize("config", [EncoderConfig, DecoderConfig])
def test_positions_beyond_the_table_are_refused(config: Any) -> None:
    """Positions are checked if passed explicitly and in the longest document of packed rows."""
    model = build("AutoModel", config(**SMALL))
    with pytest.raises(RequestError, match=r"41 tokens.*32 positions"):
        model(tokens(1, 3), position_ids=torch.tensor([[0, 40, 1]]))
    documents = torch.tensor([[1] * 20 + [2] * 33])
    with pytest.raises(RequestError, match=r"33 tokens.*32 positions"):
        model(tokens(1, 53), document_ids=documents)
    model(tokens(1, 53), document_ids=torch.tensor([[1] * 21 + [2] * 32]))  # a row may be longer than its documents


def test_a_cached_call_on_a_device_is_checked_by_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """The values of positions on a device cannot be read without synchronization."""
    model = build("AutoModelForCausalLM", DecoderConfig(**SMALL))
    past = model(tokens(1, 30), use_cache=True).past_key_values
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    with pytest.raises(RequestError, match="33 tokens"):
        model(tokens(1, 3), past_key_values=past, position_ids=torch.tensor([[30, 31, 32]]))


def test_pretraining_on_pairs_needs_first_token_pooling(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match=r"pooling is 'mean'.*pooling: first"):
        EncoderForPreTraining(EncoderConfig(**SMALL, pooling="mean"))
    model, pooled = build("AutoModelForPreTraining", EncoderConfig(**SMALL)), []
    model.model.pooler.register_forward_hook(lambda *_: pooled.append(1))
    model(tokens())
    assert pooled == [1], "the pooler runs once"


# -- options ----------------------------------------------------------------------------------------------------------


def test_a_decoder_of_another_depth(tmp_path: Path) -> None:
    config = EncoderDecoderConfig(**{**STRONG, "num_hidden_layers": 3}, decoder_layers=1)
    model = build("AutoModelForSeq2SeqLM", config)
    assert (len(model.model.encoder.layers), len(model.model.decoder.layers)) == (3, 1)
    model.save_pretrained(tmp_path)
    loaded = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    source, mask = padded()
    generated = [
        m.generate(source, attention_mask=mask, max_new_tokens=6, do_sample=False, use_cache=cache).tolist()
        for m, cache in ((model, True), (loaded, True), (loaded, False))
    ]
    assert generated[0] == generated[1] == generated[2]
    deeper = EncoderDecoderConfig(**{**STRONG, "num_hidden_layers": 1}, decoder_layers=3)
    model = build("AutoModelForSeq2SeqLM", deeper)
    model.generate(source, max_new_tokens=4, do_sample=False)
    assert EncoderDecoderConfig(**STRONG).decoder_layers == 3, "as deep as the encoder by default"


def test_the_base_of_rotary_positions() -> None:
    """Compare with the formula: pair i of the token at position p is rotated by p base^(-2i/K)."""
    model = build("AutoModel", EncoderConfig(**SMALL, positions="rotary", rotary_base=500.0))
    expected = torch.tensor([500.0 ** (-2 * i / 6) for i in range(3)])
    torch.testing.assert_close(model.rotary.frequencies, expected)
