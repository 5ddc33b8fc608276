"""The Workbench Transformer computes exactly what published models do, and converts to them and back."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from tests.unit.models.tiny_transformers import SMALL, STRONG, build, padded, real, tokens
from workbench.errors import SpecError
from workbench.models import from_transformers, to_transformers
from workbench.models.networks.transformer import (
    EncoderConfig,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    EncoderModel,
)

BERT = transformers.BertConfig(
    vocab_size=53, hidden_size=24, num_hidden_layers=3, num_attention_heads=4, intermediate_size=40,
    max_position_embeddings=32, initializer_range=0.3, num_labels=4,
)  # fmt: skip
GPT2 = transformers.GPT2Config(
    vocab_size=53, n_embd=24, n_layer=3, n_head=4, n_positions=32, initializer_range=0.3, num_labels=4,
    bos_token_id=2, eos_token_id=3, pad_token_id=0,
)  # fmt: skip
PUBLISHED = {
    "BertModel": BERT,
    "BertForMaskedLM": BERT,
    "BertForPreTraining": BERT,
    "BertForSequenceClassification": BERT,
    "BertForTokenClassification": BERT,
    "BertForQuestionAnswering": BERT,
    "BertForMultipleChoice": BERT,
    "GPT2Model": GPT2,
    "GPT2LMHeadModel": GPT2,
    "GPT2ForSequenceClassification": GPT2,
    "GPT2ForTokenClassification": GPT2,
}


def published(name: str) -> Any:
    """Return the published model with random weights, including biases and norms."""
    torch.manual_seed(0)
    config = copy.deepcopy(PUBLISHED[name])
    if name.endswith("QuestionAnswering"):
        config.num_labels = 2
    model = getattr(transformers, name)(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter += 0.2 * torch.randn_like(parameter)
    model.set_attn_implementation("eager")
    return model.eval()


def inputs_for(name: str) -> dict[str, torch.Tensor]:
    ids, mask = padded()
    inputs = {"input_ids": ids, "attention_mask": mask}
    if name.startswith("Bert"):
        inputs["token_type_ids"] = (torch.arange(11) > 4).long().expand_as(ids)
    if name.endswith("MultipleChoice"):
        return {key: value[:, None].repeat(1, 2, 1) for key, value in inputs.items()} | {
            "input_ids": tokens(6).view(3, 2, 11), "labels": torch.tensor([0, 1, 1])
        }  # fmt: skip
    labels = {
        "BertForMaskedLM": ids.masked_fill(torch.arange(11) % 3 > 0, -100),
        "BertForPreTraining": ids.masked_fill(torch.arange(11) % 3 > 0, -100),
        "GPT2LMHeadModel": ids.masked_fill(mask == 0, -100),
        "BertForSequenceClassification": torch.tensor([0, 3, 1]),
        "GPT2ForSequenceClassification": torch.tensor([0, 3, 1]),
        "BertForTokenClassification": (ids % 4).masked_fill(mask == 0, -100),
        "GPT2ForTokenClassification": (ids % 4).masked_fill(mask == 0, -100),
    }
    if name in labels:
        inputs["labels"] = labels[name]
    if name == "BertForPreTraining":
        inputs["next_sentence_label"] = torch.tensor([0, 1, 1])
    if name == "BertForQuestionAnswering":
        inputs |= {"start_positions": torch.tensor([1, 2, 3]), "end_positions": torch.tensor([4, 3, 5])}
    return inputs


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_outputs_equal_the_published_model(name: str, implementation: str) -> None:
    theirs = published(name)
    ours = from_transformers(theirs)
    ours.set_attn_implementation(implementation)
    inputs = inputs_for(name)
    mask = inputs["attention_mask"].flatten(0, -2)
    expected = theirs(**inputs, output_hidden_states=True, output_attentions=True)
    output = ours(**inputs, output_hidden_states=True, output_attentions=implementation == "eager")
    for a, b in zip(output.hidden_states, expected.hidden_states, strict=True):
        torch.testing.assert_close(real(a, mask), real(b, mask), atol=1e-4, rtol=1e-4)
    if implementation == "eager":
        for a, b in zip(output.attentions, expected.attentions, strict=True):
            rows = mask.bool()[:, None, :, None]
            torch.testing.assert_close(a * rows, b * rows, atol=1e-4, rtol=1e-4)
    for key in ("logits", "prediction_logits", "seq_relationship_logits", "start_logits", "end_logits", "loss"):
        if key in expected and key == "logits" and expected[key].shape[:2] == mask.shape:
            torch.testing.assert_close(real(output[key], mask), real(expected[key], mask), atol=1e-4, rtol=1e-4)
        elif key in expected:
            torch.testing.assert_close(output[key], expected[key], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in PUBLISHED if "For" in name or "LMHead" in name])
def test_gradients_equal_the_published_model(name: str) -> None:
    theirs = published(name)
    ours = from_transformers(theirs)
    for model in (theirs, ours):
        model(**inputs_for(name)).loss.backward()
    gradients = {n: p.grad if p.grad is not None else torch.zeros_like(p) for n, p in theirs.named_parameters()}
    with torch.no_grad():  # convert a model whose weights are the gradients
        for n, p in theirs.named_parameters():
            p.copy_(gradients[n])
    expected = dict(from_transformers(theirs).named_parameters())
    assert expected.keys() == {n for n, _ in ours.named_parameters()}
    for n, p in ours.named_parameters():
        grad = p.grad if p.grad is not None else torch.zeros_like(p)
        # The published model trains the vector of padding, which is never attended to.
        if n.endswith("embeddings.tokens.weight"):
            grad, expected[n] = grad[1:], expected[n][1:]
        torch.testing.assert_close(grad, expected[n], atol=1e-4, rtol=1e-4, msg=lambda m, n=n: f"{n}: {m}")


@pytest.mark.parametrize("name", PUBLISHED)
def test_conversion_round_trip_is_the_identity(name: str) -> None:
    theirs = published(name)
    back = to_transformers(from_transformers(theirs))
    assert type(back) is type(theirs)
    state, expected = back.state_dict(), theirs.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[n], expected[n]) for n in expected)
    for field in ("hidden_size", "num_labels", "vocab_size", "max_position_embeddings", "bos_token_id"):
        assert getattr(back.config, field) == getattr(theirs.config, field)


def test_a_body_without_a_pooler_round_trips() -> None:
    torch.manual_seed(0)
    theirs = transformers.BertModel(BERT, add_pooling_layer=False).eval()
    ours = from_transformers(theirs)
    assert ours.pooler is None and ours(tokens()).pooler_output is None
    torch.testing.assert_close(ours(tokens())[0], theirs(tokens())[0], atol=1e-4, rtol=1e-4)
    back = to_transformers(ours)
    assert back.state_dict().keys() == theirs.state_dict().keys()


@pytest.mark.parametrize("name", ["BertForSequenceClassification", "GPT2LMHeadModel"])
def test_settings_besides_weights_round_trip(name: str) -> None:
    theirs = published(name).to(torch.bfloat16)
    theirs.config.classifier_dropout = 0.37
    theirs.generation_config = transformers.GenerationConfig(max_new_tokens=7, top_k=3)
    ours = from_transformers(theirs)
    back = to_transformers(ours)
    for model in (ours, back):
        assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
        assert model.config.classifier_dropout == 0.37
        assert (model.generation_config.max_new_tokens, model.generation_config.top_k) == (7, 3)
    if name.startswith("Bert"):
        assert ours.dropout.p == back.dropout.p == 0.37
    assert torch.equal(next(back.parameters()), next(theirs.parameters()))


def test_our_model_round_trips() -> None:
    config = EncoderConfig(**STRONG, classifier_dropout=0.2, dropout=0.15)
    for sparse in (True, False):
        config.sparse_prediction = sparse
        ours = build("AutoModelForMaskedLM", config)
        back = from_transformers(to_transformers(ours))
        assert type(back) is type(ours)
        changed = {"_name_or_path", "architectures", "dtype", "transformers_version"}
        expected, output = ours.config.to_dict(), back.config.to_dict()
        assert {k: v for k, v in output.items() if k not in changed and expected.get(k) != v} == {}
        assert all(torch.equal(back.state_dict()[n], w) for n, w in ours.state_dict().items())


def test_a_model_without_counterpart_is_refused() -> None:
    with pytest.raises(SpecError, match="type_vocab_size=0"):
        to_transformers(EncoderModel(EncoderConfig(**SMALL, type_vocab_size=0)))
    with pytest.raises(SpecError, match="BertLMHeadModel has no counterpart"):
        from_transformers(transformers.BertLMHeadModel(BERT))
    with pytest.raises(SpecError, match="rotary"):
        to_transformers(EncoderModel(EncoderConfig(**SMALL, positions="rotary")))
    with pytest.raises(SpecError, match="mean"):
        to_transformers(EncoderModel(EncoderConfig(**SMALL, pooling="mean")))
    with pytest.raises(SpecError, match="scale_attn_by_inverse_layer_idx"):
        config = transformers.GPT2Config(**{**GPT2.to_dict(), "scale_attn_by_inverse_layer_idx": True})
        from_transformers(transformers.GPT2Model(config))


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_the_encoder_decoder_agrees_with_torch(norm: str, implementation: str) -> None:
    """Compare outputs and gradients with torch.nn.Transformer, an independent implementation, with the same weights."""
    config = EncoderDecoderConfig(**STRONG, norm=norm, decoder_layers=2)
    torch.manual_seed(1)
    ours = EncoderDecoderModel(config).eval()
    ours.set_attn_implementation(implementation)
    theirs = torch_transformer(ours, norm == "pre")
    source, mask = padded()
    target, target_mask = tokens(3, 7, seed=5), torch.ones(3, 7, dtype=torch.long)
    target_mask[1, 5:] = target_mask[2, 3:] = 0
    expected = theirs(
        ours.encoder.embeddings(source, None, torch.arange(11)[None], None).detach(),
        ours.decoder.embeddings(target, None, torch.arange(7)[None], None).detach(),
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(7) == -torch.inf,
        tgt_key_padding_mask=target_mask == 0,
        src_key_padding_mask=mask == 0,
        memory_key_padding_mask=mask == 0,
    )
    output = ours(source, mask, target, target_mask).last_hidden_state
    torch.testing.assert_close(real(output, target_mask), real(expected, target_mask), atol=1e-4, rtol=1e-4)
    for states in (output, expected):
        real(states, target_mask).pow(3).mean().backward()
    with torch.no_grad():  # convert our model again, with the gradients as its weights
        for parameter in ours.parameters():
            parameter.copy_(parameter.grad if parameter.grad is not None else torch.zeros_like(parameter))
    expected_gradients = dict(torch_transformer(ours, norm == "pre").named_parameters())
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(
            expected_gradients[name], parameter.grad, atol=1e-4, rtol=1e-3, msg=lambda m, n=name: f"{n}: {m}"
        )


def torch_transformer(ours: EncoderDecoderModel, pre: bool) -> nn.Transformer:
    """Return torch's Transformer with the weights of ours."""
    config = ours.config
    shape = (config.hidden_size, config.num_attention_heads, config.intermediate_size, 0.0)
    options = {"batch_first": True, "norm_first": pre, "layer_norm_eps": config.layer_norm_eps}
    last = {"norm": nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)} if pre else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(*shape, **options), config.num_hidden_layers, **last)
        last = {"norm": nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)} if pre else {}
        decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(*shape, **options), config.decoder_layers, **last)
        theirs = nn.Transformer(custom_encoder=encoder, custom_decoder=decoder, d_model=shape[0], nhead=shape[1],
                                batch_first=True)  # fmt: skip
    for mine, other in ((ours.encoder, encoder), (ours.decoder, decoder)):
        for block, layer in zip(mine.layers, other.layers, strict=True):
            copy_block(block, layer)
        if pre:
            other.norm.load_state_dict(mine.final_norm.state_dict())
    return theirs.eval()


def copy_block(block: Any, layer: Any) -> None:
    cross = hasattr(block, "cross_attention")
    with torch.no_grad():
        copy_attention(layer.self_attn, block.attention.query_key_value, block.attention.output)
        if cross:
            query, rest = block.cross_attention.query, block.cross_attention.key_value
            layer.multihead_attn.in_proj_weight.copy_(torch.cat((query.weight, rest.weight)))
            layer.multihead_attn.in_proj_bias.copy_(torch.cat((query.bias, rest.bias)))
            layer.multihead_attn.out_proj.load_state_dict(block.cross_attention.output.state_dict())
        layer.linear1.load_state_dict(block.feed_forward.up.state_dict())
        layer.linear2.load_state_dict(block.feed_forward.down.state_dict())
        norms = [block.attention_norm, *([block.cross_attention_norm] if cross else []), block.feed_forward_norm]
        for number, norm in enumerate(norms, start=1):
            getattr(layer, f"norm{number}").load_state_dict(norm.state_dict())


def copy_attention(theirs: Any, together: Any, output: Any) -> None:
    theirs.in_proj_weight.copy_(together.weight)
    theirs.in_proj_bias.copy_(together.bias)
    theirs.out_proj.load_state_dict(output.state_dict())
