"""Our Transformer is the published one, number for number; and what must hold for any."""

from __future__ import annotations

import copy
import math
import warnings

import pytest
import torch
import transformers
from torch import nn

from workbench.errors import RequestError, SpecError
from workbench.models import from_transformers, to_transformers
from workbench.models.networks.attention import (
    CrossAttention,
    causal_mask,
    document_positions,
    eager_attention,
    padding_mask,
    sdpa_attention,
)
from workbench.models.networks.heads import HEADS, DecoderForCausalLM, EncoderForMaskedLM, EncoderForPreTraining
from workbench.models.networks.transformer import (
    DecoderConfig,
    DecoderModel,
    EncoderConfig,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    EncoderModel,
    Sinusoidal,
)

SMALL = {
    "vocab_size": 53,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "decoder_start_token_id": 2,
}
# Larger than training's 0.02, so that attention is not flat and every weight has something to say.
STRONG = {**SMALL, "initializer_range": 0.3}


def tokens(rows: int = 3, length: int = 11, seed: int = 0) -> torch.Tensor:
    return torch.randint(5, 53, (rows, length), generator=torch.Generator().manual_seed(seed))


def padded(rows: int = 3, length: int = 11) -> tuple[torch.Tensor, torch.Tensor]:
    """Texts of different length, and their mask."""
    ids, mask = tokens(rows, length), torch.ones(rows, length, dtype=torch.long)
    for row in range(rows):
        mask[row, length - 2 * row :] = 0
    return ids.masked_fill(mask == 0, 0), mask


def build(auto: str, config, seed: int = 0):
    torch.manual_seed(seed)
    return getattr(transformers, auto).from_config(config).eval()


# -- against published implementations ------------------------------------------------------------------------------

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


def published(name: str):
    """The published model with weights that are all random, biases and norms too."""
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
    given = {"input_ids": ids, "attention_mask": mask}
    if name.startswith("Bert"):
        given["token_type_ids"] = (torch.arange(11) > 4).long().expand_as(ids)
    if name.endswith("MultipleChoice"):
        return {key: value[:, None].repeat(1, 2, 1) for key, value in given.items()} | {
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
        given["labels"] = labels[name]
    if name == "BertForPreTraining":
        given["next_sentence_label"] = torch.tensor([0, 1, 1])
    if name == "BertForQuestionAnswering":
        given |= {"start_positions": torch.tensor([1, 2, 3]), "end_positions": torch.tensor([4, 3, 5])}
    return given


def real(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Only what stands at text: at padding nobody looks."""
    return states[mask.bool()]


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_the_published_numbers(name, implementation):
    theirs = published(name)
    ours = from_transformers(theirs)
    ours.set_attn_implementation(implementation)
    given = inputs_for(name)
    mask = given["attention_mask"].flatten(0, -2)
    wanted = theirs(**given, output_hidden_states=True, output_attentions=True)
    found = ours(**given, output_hidden_states=True, output_attentions=implementation == "eager")
    for a, b in zip(found.hidden_states, wanted.hidden_states, strict=True):
        torch.testing.assert_close(real(a, mask), real(b, mask), atol=1e-4, rtol=1e-4)
    if implementation == "eager":
        for a, b in zip(found.attentions, wanted.attentions, strict=True):
            rows = mask.bool()[:, None, :, None]
            torch.testing.assert_close(a * rows, b * rows, atol=1e-4, rtol=1e-4)
    for key in ("logits", "prediction_logits", "seq_relationship_logits", "start_logits", "end_logits", "loss"):
        if key in wanted and key == "logits" and wanted[key].shape[:2] == mask.shape:
            torch.testing.assert_close(real(found[key], mask), real(wanted[key], mask), atol=1e-4, rtol=1e-4)
        elif key in wanted:
            torch.testing.assert_close(found[key], wanted[key], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in PUBLISHED if "For" in name or "LMHead" in name])
def test_the_published_gradients(name):
    theirs = published(name)
    ours = from_transformers(theirs)
    for model in (theirs, ours):
        model(**inputs_for(name)).loss.backward()
    wanted = {n: p.grad if p.grad is not None else torch.zeros_like(p) for n, p in theirs.named_parameters()}
    with torch.no_grad():  # a model whose weights are the gradients, carried over by the same names
        for n, p in theirs.named_parameters():
            p.copy_(wanted[n])
    carried = dict(from_transformers(theirs).named_parameters())
    assert carried.keys() == {n for n, _ in ours.named_parameters()}
    for n, p in ours.named_parameters():
        grad = p.grad if p.grad is not None else torch.zeros_like(p)
        if n.endswith("embeddings.tokens.weight"):  # theirs holds padding's vector still; nobody looks at it
            grad, carried[n] = grad[1:], carried[n][1:]
        torch.testing.assert_close(grad, carried[n], atol=1e-4, rtol=1e-4, msg=lambda m, n=n: f"{n}: {m}")


@pytest.mark.parametrize("name", PUBLISHED)
def test_there_and_back_is_the_identity(name):
    theirs = published(name)
    back = to_transformers(from_transformers(theirs))
    assert type(back) is type(theirs)
    state, wanted = back.state_dict(), theirs.state_dict()
    assert state.keys() == wanted.keys()
    assert all(torch.equal(state[n], wanted[n]) for n in wanted)
    for field in ("hidden_size", "num_labels", "vocab_size", "max_position_embeddings", "bos_token_id"):
        assert getattr(back.config, field) == getattr(theirs.config, field)


def test_a_body_without_a_pooler_there_and_back():
    torch.manual_seed(0)
    theirs = transformers.BertModel(BERT, add_pooling_layer=False).eval()
    ours = from_transformers(theirs)
    assert ours.pooler is None and ours(tokens()).pooler_output is None
    torch.testing.assert_close(ours(tokens())[0], theirs(tokens())[0], atol=1e-4, rtol=1e-4)
    back = to_transformers(ours)
    assert back.state_dict().keys() == theirs.state_dict().keys()


@pytest.mark.parametrize("name", ["BertForSequenceClassification", "GPT2LMHeadModel"])
def test_what_is_no_weight_goes_there_and_back_too(name):
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


def test_ours_goes_there_and_back():
    config = EncoderConfig(**STRONG, classifier_dropout=0.2, dropout=0.15)
    for sparse in (True, False):
        config.sparse_prediction = sparse
        ours = build("AutoModelForMaskedLM", config)
        back = from_transformers(to_transformers(ours))
        assert type(back) is type(ours)
        changed = {"_name_or_path", "architectures", "dtype", "transformers_version"}
        wanted, found = ours.config.to_dict(), back.config.to_dict()
        assert {k: v for k, v in found.items() if k not in changed and wanted.get(k) != v} == {}
        assert all(torch.equal(back.state_dict()[n], w) for n, w in ours.state_dict().items())


def test_what_has_no_counterpart_is_refused():
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
def test_the_encoder_decoder_agrees_with_torch(norm, implementation):
    """torch.nn.Transformer, given the same weights: a third implementation, by other people. Outputs and gradients."""
    config = EncoderDecoderConfig(**STRONG, norm=norm, decoder_layers=2)
    torch.manual_seed(1)
    ours = EncoderDecoderModel(config).eval()
    ours.set_attn_implementation(implementation)
    theirs = torch_transformer(ours, norm == "pre")
    source, mask = padded()
    target, target_mask = tokens(3, 7, seed=5), torch.ones(3, 7, dtype=torch.long)
    target_mask[1, 5:] = target_mask[2, 3:] = 0
    want = theirs(
        ours.encoder.embeddings(source, None, torch.arange(11)[None], None).detach(),
        ours.decoder.embeddings(target, None, torch.arange(7)[None], None).detach(),
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(7) == -torch.inf,
        tgt_key_padding_mask=target_mask == 0,
        src_key_padding_mask=mask == 0,
        memory_key_padding_mask=mask == 0,
    )
    found = ours(source, mask, target, target_mask).last_hidden_state
    torch.testing.assert_close(real(found, target_mask), real(want, target_mask), atol=1e-4, rtol=1e-4)
    for states in (found, want):
        real(states, target_mask).pow(3).mean().backward()
    with torch.no_grad():  # then ours, turned into theirs once more, has the gradients for its weights
        for parameter in ours.parameters():
            parameter.copy_(parameter.grad if parameter.grad is not None else torch.zeros_like(parameter))
    wanted = dict(torch_transformer(ours, norm == "pre").named_parameters())
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(
            wanted[name], parameter.grad, atol=1e-4, rtol=1e-3, msg=lambda m, n=name: f"{n}: {m}"
        )


def torch_transformer(ours: EncoderDecoderModel, pre: bool) -> nn.Transformer:
    """torch's own, with the weights of ours."""
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


def copy_block(block, layer) -> None:
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


def copy_attention(theirs, together, output) -> None:
    theirs.in_proj_weight.copy_(together.weight)
    theirs.in_proj_bias.copy_(together.bias)
    theirs.out_proj.load_state_dict(output.state_dict())


# -- attention ------------------------------------------------------------------------------------------------------


def test_attention_by_hand():
    """Two tokens, one head of width 1: every number can be checked with a pocket calculator."""
    query = torch.tensor([[[[0.0], [1.0]]]])
    key, value = torch.tensor([[[[1.0], [3.0]]]]), torch.tensor([[[[10.0], [20.0]]]])
    output, weights = eager_attention(query, key, value, None, 0.0)
    share = math.exp(3) / (math.exp(1) + math.exp(3))
    torch.testing.assert_close(weights, torch.tensor([[[[0.5, 0.5], [1 - share, share]]]]))
    torch.testing.assert_close(output, torch.tensor([[[[15.0], [10 + 10 * share]]]]))


@pytest.mark.parametrize("masked", ["nothing", "padding", "causal", "both"])
def test_the_two_paths_are_one(masked):
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 5, 4) for _ in range(3))
    causal = causal_mask(5, 5, query.device)
    padding = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]]).bool()[:, None, None]
    mask = {
        "nothing": None,
        "padding": padding,
        "causal": causal,
        "both": causal & padding,
    }[masked]
    slow, weights = eager_attention(query, key, value, mask, 0.0)
    torch.testing.assert_close(slow, sdpa_attention(query, key, value, mask, 0.0))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 5))
    if mask is not None:
        assert (weights.masked_select(~mask.expand_as(weights)) == 0).all()
    if masked == "causal":
        torch.testing.assert_close(slow, sdpa_attention(query, key, value, None, 0.0, causal=True))


@pytest.mark.parametrize("masked", [False, True])
def test_the_two_paths_of_cross_attention_are_one(masked):
    """With fewer queries than keys: output, and gradients by both texts and all weights."""
    torch.manual_seed(0)
    cross = CrossAttention(24, 4).eval()
    hidden, memory = torch.randn(3, 4, 24), torch.randn(3, 11, 24)
    mask = padding_mask(padded()[1]) if masked else None
    found = []
    for written_out in (False, True):
        given = [hidden.clone().requires_grad_(), memory.clone().requires_grad_()]
        cross.zero_grad()
        output, weights = cross(*given, mask, output_attentions=written_out)
        output.pow(2).sum().backward()
        found.append([output.detach(), *(x.grad for x in given), *(p.grad.clone() for p in cross.parameters())])
        assert (weights is not None) is written_out
    assert weights.shape == (3, 4, 4, 11)
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_a_mask_for_new_tokens_after_a_cache():
    assert causal_mask(2, 5, torch.device("cpu"))[0, 0].tolist() == [
        [True, True, True, True, False],
        [True, True, True, True, True],
    ]


def test_sinusoids_by_the_formula():
    table = Sinusoidal(7, 6).table
    for place in range(7):
        for i in range(3):
            angle = place / 10_000 ** (2 * i / 6)
            assert table[place, 2 * i] == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[place, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-6)


def test_rotary_sees_distances_only():
    """Moved along by 9 places, a text is read the same; with learned positions it is not."""
    ids, places = tokens(2, 8), torch.arange(8)[None].expand(2, -1)
    for way, same in (("rotary", True), ("learned", False)):
        model = build("AutoModel", EncoderConfig(**STRONG, positions=way))
        here, there = model(ids, position_ids=places), model(ids, position_ids=places + 9)
        assert torch.allclose(here[0], there[0], atol=1e-4) is same
        other_order = model(ids.flip(1), position_ids=places)[0].flip(1)
        assert not torch.allclose(here[0], other_order, atol=1e-3)


def test_document_positions_begin_anew():
    ids = torch.tensor([[1, 1, 1, 2, 2, 3, 0, 0], [1, 2, 2, 2, 2, 2, 2, 2]])
    assert document_positions(ids).tolist() == [[0, 1, 2, 0, 1, 0, 0, 1], [0, 0, 1, 2, 3, 4, 5, 6]]


# -- what must hold ---------------------------------------------------------------------------------------------------

POSITIONS = ["learned", "sinusoidal", "rotary"]


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_a_decoder_does_not_see_the_future(positions, implementation):
    model = build("AutoModelForCausalLM", DecoderConfig(**STRONG, positions=positions))
    model.set_attn_implementation(implementation)
    ids = tokens(2, 12)
    before = model(ids).logits
    for t in (0, 4, 11):
        changed = ids.clone()
        changed[:, t + 1 :] = (changed[:, t + 1 :] + 7) % 48 + 5
        torch.testing.assert_close(model(changed).logits[:, : t + 1], before[:, : t + 1])
    changed = ids.clone()
    changed[:, 0] = (changed[:, 0] + 7) % 48 + 5
    assert not torch.allclose(model(changed).logits[:, -1], before[:, -1], atol=1e-3)  # but the past


def test_the_loss_is_over_all_tokens_whatever_is_kept_of_their_logits():
    model = build("AutoModelForCausalLM", DecoderConfig(**STRONG))
    ids = tokens(2, 12)
    whole, kept = model(ids, labels=ids), model(ids, labels=ids, logits_to_keep=3)
    torch.testing.assert_close(kept.loss, whole.loss)
    torch.testing.assert_close(kept.logits, whole.logits[:, -3:])
    torch.testing.assert_close(model(ids, logits_to_keep=3).logits, whole.logits[:, -3:])


def test_without_positions_an_encoder_knows_no_order():
    model = build("AutoModel", EncoderConfig(**STRONG, positions="none"))
    ids, order = tokens(2, 9), torch.tensor([3, 1, 4, 0, 8, 2, 6, 5, 7])
    torch.testing.assert_close(model(ids[:, order])[0], model(ids)[0][:, order], atol=1e-5, rtol=1e-5)
    ordered = build("AutoModel", EncoderConfig(**STRONG))
    assert not torch.allclose(ordered(ids[:, order])[0], ordered(ids)[0][:, order], atol=1e-3)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("config", [EncoderConfig, DecoderConfig])
@pytest.mark.parametrize("positions", POSITIONS)
def test_padding_changes_nothing(config, positions, implementation):
    model = build("AutoModel", config(**STRONG, positions=positions))
    model.set_attn_implementation(implementation)
    ids = tokens(1, 7)
    alone = model(ids)[0]
    wide = torch.cat((ids, torch.full((1, 4), 9)), dim=1)
    mask = torch.tensor([[1] * 7 + [0] * 4])
    torch.testing.assert_close(model(wide, attention_mask=mask)[0][:, :7], alone, atol=1e-5, rtol=1e-5)
    # On the left as well, where generation puts it: places are then given.
    left, left_mask = torch.cat((torch.full((1, 4), 9), ids), dim=1), mask.flip(1)
    places = (left_mask.cumsum(1) - 1).clamp(min=0)
    found = model(left, attention_mask=left_mask, position_ids=places)[0]
    assert found.isfinite().all()
    torch.testing.assert_close(found[:, 4:], alone, atol=1e-5, rtol=1e-5)


def test_a_text_is_summed_up_by_its_first_token_or_by_the_mean():
    torch.manual_seed(0)
    ids = torch.randint(4, 53, (2, 7))
    seen = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
    for pooling in ("first", "mean"):
        model = EncoderModel(EncoderConfig(**SMALL, pooling=pooling)).eval()
        with torch.no_grad():
            found = model(ids, attention_mask=seen)
            alone = model(ids[1:, :4])
            hidden = alone.last_hidden_state[0]
            expected = torch.tanh(model.pooler(hidden[0] if pooling == "first" else sum(hidden) / 4))
        torch.testing.assert_close(found.pooler_output[1], expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(alone.pooler_output[0], expected, atol=1e-5, rtol=0)


def test_padding_changes_nothing_for_encoder_and_decoder():
    model = build("AutoModelForSeq2SeqLM", EncoderDecoderConfig(**STRONG))
    source, target = tokens(1, 7), tokens(1, 5, seed=2)
    wide = torch.cat((source, torch.zeros(1, 3, dtype=torch.long)), dim=1)
    mask = torch.tensor([[1] * 7 + [0] * 3])
    torch.testing.assert_close(
        model(wide, mask, target).logits, model(source, None, target).logits, atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("config", [EncoderConfig, DecoderConfig])
@pytest.mark.parametrize("positions", POSITIONS)
def test_packed_documents_do_not_see_each_other(config, positions, implementation):
    model = build("AutoModel", config(**STRONG, positions=positions))
    model.set_attn_implementation(implementation)
    first, second = tokens(1, 5), tokens(1, 6, seed=3)
    row = torch.cat((first, second, torch.zeros(1, 2, dtype=torch.long)), dim=1)
    documents = torch.tensor([[1] * 5 + [2] * 6 + [0] * 2])
    found = model(row, document_ids=documents)[0]
    torch.testing.assert_close(found[:, :5], model(first)[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[:, 5:11], model(second)[0], atol=1e-5, rtol=1e-5)
    row[:, :5] = (row[:, :5] + 7) % 48 + 5  # another neighbour: bit for bit the same
    assert torch.equal(model(row, document_ids=documents)[0][:, 5:11], found[:, 5:11])


def test_packing_changes_no_loss():
    """Three pairs in two rows: the mean losses of both tasks are those of the pairs one by one."""
    model = build("AutoModelForPreTraining", EncoderConfig(**STRONG))
    pairs = [tokens(1, n, seed=n) for n in (5, 6, 4)]
    labels = [p.masked_fill(torch.arange(p.shape[1]) % 2 == 0, -100) for p in pairs]
    follows = [0, 1, 1]
    row = torch.zeros(2, 11, dtype=torch.long)
    want, documents, next_label = row.clone() - 100, row.clone(), row.clone() - 100
    for (r, start, number), pair, label, nsp in zip(
        ((0, 0, 1), (0, 5, 2), (1, 0, 1)), pairs, labels, follows, strict=True
    ):
        place = slice(start, start + pair.shape[1])
        row[r, place], want[r, place], documents[r, place] = pair[0], label[0], number
        next_label[r, start] = nsp
    packed = model(row, document_ids=documents, labels=want, next_sentence_label=next_label)
    losses, counts, nsp_losses = [], [], []
    for pair, label, nsp in zip(pairs, labels, follows, strict=True):
        words = model(pair, labels=label).loss
        losses.append(words)
        counts.append((label != -100).sum())
        nsp_losses.append(model(pair, next_sentence_label=torch.tensor([nsp])).loss)
    wanted = sum(a * n for a, n in zip(losses, counts, strict=True)) / sum(counts) + sum(nsp_losses) / 3
    torch.testing.assert_close(packed.loss, wanted, atol=1e-5, rtol=1e-5)


def test_nothing_is_guessed_across_the_start_of_a_document():
    model = build("AutoModelForCausalLM", DecoderConfig(**STRONG))
    first, second = tokens(1, 5), tokens(1, 6, seed=3)
    documents = torch.tensor([[1] * 5 + [2] * 6])
    row = torch.cat((first, second), dim=1)
    packed = model(row, document_ids=documents, labels=row).loss
    alone = (4 * model(first, labels=first).loss + 5 * model(second, labels=second).loss) / 9
    torch.testing.assert_close(packed, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("chunk", [1, 3])
def test_the_cache_changes_nothing(positions, chunk):
    model = build("AutoModelForCausalLM", DecoderConfig(**STRONG, positions=positions))
    ids = tokens(2, 10)
    at_once, cache, parts = model(ids).logits, None, []
    for start in range(0, 10, chunk):
        out = model(ids[:, start : start + chunk], past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        parts.append(out.logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), at_once, atol=1e-5, rtol=1e-5)


def test_the_cache_changes_nothing_for_encoder_and_decoder():
    model = build("AutoModelForSeq2SeqLM", EncoderDecoderConfig(**STRONG))
    (source, mask), target = padded(), tokens(3, 6, seed=4)
    at_once, cache, parts = model(source, mask, target).logits, None, []
    for t in range(6):
        out = model(source, mask, target[:, t : t + 1], past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        parts.append(out.logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), at_once, atol=1e-5, rtol=1e-5)


def test_gradients_against_finite_differences():
    """In float64, for every weight of a small model: the derivative of the loss by hand, and by autograd."""
    tiny = {**STRONG, "vocab_size": 11, "hidden_size": 4, "num_attention_heads": 2, "intermediate_size": 6,
            "num_hidden_layers": 1, "max_position_embeddings": 6}  # fmt: skip
    torch.manual_seed(0)
    model = EncoderForPreTraining(EncoderConfig(**tiny)).double().eval()
    ids = torch.tensor([[5, 6, 7, 0], [8, 9, 10, 6]])
    given = {
        "input_ids": ids,
        "attention_mask": (ids > 0).long(),
        "labels": torch.tensor([[-100, 4, -100, -100], [3, -100, 7, -100]]),
        "next_sentence_label": torch.tensor([0, 1]),
    }
    model(**given).loss.backward()
    step, checked = 1e-6, 0
    for name, parameter in model.named_parameters():
        flat, grad = parameter.data.view(-1), parameter.grad.view(-1)
        for i in range(0, len(flat), max(1, len(flat) // 8)):
            kept = flat[i].item()
            flat[i] = kept + step
            above = model(**given).loss.item()
            flat[i] = kept - step
            below = model(**given).loss.item()
            flat[i] = kept
            assert grad[i].item() == pytest.approx((above - below) / (2 * step), rel=1e-4, abs=1e-7), (name, i)
            checked += 1
    assert checked > 100


@pytest.mark.parametrize("size", [200, 3000])
@pytest.mark.parametrize("kind", ["masked", "causal", "both"])
def test_an_untrained_model_knows_nothing(kind, size):
    """Its loss is that of guessing: ln(vocabulary) within 5%."""
    small = {**SMALL, "vocab_size": size, "hidden_size": 64}
    ids = torch.randint(5, size, (8, 32), generator=torch.Generator().manual_seed(0))
    model = {
        "masked": lambda: build("AutoModelForMaskedLM", EncoderConfig(**small)),
        "causal": lambda: build("AutoModelForCausalLM", DecoderConfig(**small)),
        "both": lambda: build("AutoModelForSeq2SeqLM", EncoderDecoderConfig(**small)),
    }[kind]()
    assert model(ids, labels=ids).loss.item() == pytest.approx(math.log(size), rel=0.05)


@pytest.mark.parametrize("kind", ["masked", "causal", "both", "rotary", "post-norm decoder"])
def test_a_tiny_model_learns_one_batch_by_heart(kind):
    small = {**SMALL, "hidden_size": 48, "num_hidden_layers": 2, "dropout": 0.0, "attention_dropout": 0.0}
    ids = tokens(4, 12)
    labels = ids.masked_fill(torch.arange(12) % 4 > 0, -100) if kind == "masked" else ids
    model = {
        "masked": lambda: build("AutoModelForMaskedLM", EncoderConfig(**small)),
        "causal": lambda: build("AutoModelForCausalLM", DecoderConfig(**small)),
        "both": lambda: build("AutoModelForSeq2SeqLM", EncoderDecoderConfig(**small)),
        "rotary": lambda: build("AutoModelForCausalLM", DecoderConfig(**small, positions="rotary")),
        "post-norm decoder": lambda: build("AutoModelForCausalLM", DecoderConfig(**{**small, "norm": "post"})),
    }[kind]().train()
    given = ids.masked_fill(labels != -100, 4) if kind == "masked" else ids
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    for _ in range(400):
        loss = model(given, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.005:
            break
    assert model.eval()(given, labels=labels).loss.item() < 0.01


# -- its place among transformers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("config", "auto"), [(c, auto) for c, found in HEADS.items() for auto in found])
def test_saved_and_loaded_by_the_auto_class(config, auto, tmp_path):
    model = build(auto, config(**STRONG, num_labels=4, positions="sinusoidal"))
    model.save_pretrained(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} <= {"config.json", "model.safetensors", "generation_config.json"}
    again, info = getattr(transformers, auto).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert type(again) is type(model)
    given = {"input_ids": tokens(2, 8)}
    if auto == "AutoModelForMultipleChoice":
        given = {"input_ids": tokens(4, 8).view(2, 2, 8)}
    if config is EncoderDecoderConfig:
        given["decoder_input_ids"] = tokens(2, 4)
    for a, b in zip(again.eval()(**given).to_tuple(), model(**given).to_tuple(), strict=True):
        if isinstance(a, torch.Tensor):
            assert torch.equal(a, b)


def test_a_body_serves_another_head(tmp_path):
    """Pretrained with masked words and next sentences, then a classifier: body and pooler come along."""
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
def test_generate_with_and_without_the_cache(config, options):
    auto = "AutoModelForCausalLM" if config is DecoderConfig else "AutoModelForSeq2SeqLM"
    model = build(auto, config(**STRONG))
    ids, mask = padded()
    if config is DecoderConfig:
        ids, mask = ids.flip(1), mask.flip(1)  # a decoder is padded on the left
    written = []
    for use_cache in (True, False):
        torch.manual_seed(7)
        written.append(
            model.generate(ids, attention_mask=mask, max_new_tokens=8, min_new_tokens=8, use_cache=use_cache, **options)
        )
    assert torch.equal(*written)
    if options == {"do_sample": False} and config is DecoderConfig:
        for row in range(3):  # padding on the left changes nothing
            alone = model.generate(ids[row : row + 1, 2 * row :], max_new_tokens=8, min_new_tokens=8, do_sample=False)
            assert torch.equal(alone[0, -8:], written[0][row, -8:])


@pytest.mark.parametrize(
    ("config", "auto", "kind"),
    [
        (EncoderConfig, "AutoModelForSequenceClassification", "SEQ_CLS"),
        (DecoderConfig, "AutoModelForCausalLM", "CAUSAL_LM"),
        (EncoderDecoderConfig, "AutoModelForSeq2SeqLM", "SEQ_2_SEQ_LM"),
    ],
)
def test_peft_tunes_it(config, auto, kind, tmp_path):
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

    again = PeftModel.from_pretrained(build(auto, config(**STRONG)), tmp_path)
    torch.testing.assert_close(
        again(input_ids=tokens(2, 8), labels=labels).loss, tuned.eval()(input_ids=tokens(2, 8), labels=labels).loss
    )


def test_bertviz_draws_its_attention():
    from bertviz import head_view

    model = build("AutoModel", EncoderConfig(**STRONG))
    attentions = model(tokens(1, 6), output_attentions=True).attentions
    assert len(attentions) == 3
    assert attentions[0].shape == (1, 4, 6, 6)
    html = head_view(attentions, list("abcdef"), html_action="return").data
    assert "bertviz" in html


def test_cross_attention_is_returned():
    model = build("AutoModelForSeq2SeqLM", EncoderDecoderConfig(**STRONG))
    source, mask = padded()
    out = model(source, mask, tokens(3, 4), output_attentions=True)
    assert len(out.cross_attentions) == len(out.decoder_attentions) == len(out.encoder_attentions) == 3
    cross = out.cross_attentions[0]
    assert cross.shape == (3, 4, 4, 11)
    torch.testing.assert_close(cross.sum(-1), torch.ones(3, 4, 4))
    assert (cross.masked_select((mask == 0)[:, None, None].expand_as(cross)) == 0).all()


def test_masked_words_alone_are_scored():
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
def test_training_without_scores_is_the_same_loss(kind):
    """While training no scores are held; loss and gradients are those of the scores."""
    small = {**STRONG, "dropout": 0.0, "attention_dropout": 0.0}
    ids = tokens()
    labels = ids.masked_fill(torch.arange(11) % 4 > 0, -100) if kind == "masked" else ids
    auto, config = {
        "masked": ("AutoModelForMaskedLM", EncoderConfig(**small)),
        "causal": ("AutoModelForCausalLM", DecoderConfig(**small)),
        "both": ("AutoModelForSeq2SeqLM", EncoderDecoderConfig(**small)),
    }[kind]
    found = []
    for training in (False, True):
        model = build(auto, config).train(training)
        out = model(ids, labels=labels)
        assert (out.logits is None) is training
        out.loss.backward()
        found.append([out.loss.detach(), *(p.grad for p in model.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_weights_begin_as_published():
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


def test_heads_that_do_not_divide_the_width():
    with pytest.raises(SpecError, match=r"5 heads do not divide the width 24.*1, 2, 3, 4, 6, 8, 12, 24"):
        EncoderConfig(**{**SMALL, "num_attention_heads": 5})
    with pytest.raises(SpecError, match="24 / 8 = 3"):
        EncoderConfig(**{**SMALL, "num_attention_heads": 8, "positions": "rotary"})


@pytest.mark.parametrize("name", ["positions", "norm", "activation", "pooling"])
def test_unknown_ways(name):
    with pytest.raises(SpecError, match=rf"{name} is 'odd'.*Allowed"):
        EncoderConfig(**SMALL, **{name: "odd"})


def test_a_text_longer_than_the_positions():
    model = build("AutoModelForCausalLM", DecoderConfig(**SMALL))
    with pytest.raises(RequestError, match=r"33 tokens.*32 positions"):
        model(tokens(1, 33))
    past = model(tokens(1, 30), use_cache=True).past_key_values
    with pytest.raises(RequestError, match="33 tokens"):
        model(tokens(1, 3), past_key_values=past)
    build("AutoModel", DecoderConfig(**SMALL, positions="rotary"))(tokens(1, 40))  # no limit there
    with pytest.raises(RequestError, match="either"):
        DecoderModel(DecoderConfig(**SMALL))()


@pytest.mark.parametrize("config", [DecoderConfig, EncoderDecoderConfig])
def test_generating_past_the_positions(config):
    both = config is EncoderDecoderConfig
    model = build("AutoModelForSeq2SeqLM" if both else "AutoModelForCausalLM", config(**SMALL))
    for options in ({"use_cache": True}, {"use_cache": False}):
        given = tokens(2, 10 if both else 28)
        with pytest.raises(RequestError, match=r"33 tokens.*32 positions"):
            model.generate(given, max_new_tokens=40, min_new_tokens=40, do_sample=False, **options)


@pytest.mark.parametrize("config", [EncoderConfig, DecoderConfig])
def test_places_beyond_the_positions(config):
    """Given outright, or counted in the longest document of packed rows."""
    model = build("AutoModel", config(**SMALL))
    with pytest.raises(RequestError, match=r"41 tokens.*32 positions"):
        model(tokens(1, 3), position_ids=torch.tensor([[0, 40, 1]]))
    documents = torch.tensor([[1] * 20 + [2] * 33])
    with pytest.raises(RequestError, match=r"33 tokens.*32 positions"):
        model(tokens(1, 53), document_ids=documents)
    model(tokens(1, 53), document_ids=torch.tensor([[1] * 21 + [2] * 32]))  # a row may be longer than its documents


def test_a_cached_call_on_a_device_is_judged_by_its_length(monkeypatch):
    """Where the values cannot be looked at without waiting for them."""
    model = build("AutoModelForCausalLM", DecoderConfig(**SMALL))
    past = model(tokens(1, 30), use_cache=True).past_key_values
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    with pytest.raises(RequestError, match="33 tokens"):
        model(tokens(1, 3), past_key_values=past, position_ids=torch.tensor([[30, 31, 32]]))


def test_pairs_are_summed_up_by_their_first_token_only(monkeypatch):
    with pytest.raises(SpecError, match=r"pooling is 'mean'.*pooling: first"):
        EncoderForPreTraining(EncoderConfig(**SMALL, pooling="mean"))
    model, pooled = build("AutoModelForPreTraining", EncoderConfig(**SMALL)), []
    model.model.pooler.register_forward_hook(lambda *_: pooled.append(1))
    model(tokens())
    assert pooled == [1], "once is enough"


# -- every number can be set ------------------------------------------------------------------------------------------


def test_a_decoder_of_another_depth(tmp_path):
    config = EncoderDecoderConfig(**{**STRONG, "num_hidden_layers": 3}, decoder_layers=1)
    model = build("AutoModelForSeq2SeqLM", config)
    assert (len(model.model.encoder.layers), len(model.model.decoder.layers)) == (3, 1)
    model.save_pretrained(tmp_path)
    again = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    source, mask = padded()
    written = [
        m.generate(source, attention_mask=mask, max_new_tokens=6, do_sample=False, use_cache=cache).tolist()
        for m, cache in ((model, True), (again, True), (again, False))
    ]
    assert written[0] == written[1] == written[2]
    deeper = EncoderDecoderConfig(**{**STRONG, "num_hidden_layers": 1}, decoder_layers=3)
    model = build("AutoModelForSeq2SeqLM", deeper)
    model.generate(source, max_new_tokens=4, do_sample=False)
    assert EncoderDecoderConfig(**STRONG).decoder_layers == 3, "as deep as the encoder where nothing is said"


def test_the_base_of_rotary_positions():
    """By the formula: pair i of the token at place p is turned by p base^(-2i/K)."""
    model = build("AutoModel", EncoderConfig(**SMALL, positions="rotary", rotary_base=500.0))
    wanted = torch.tensor([500.0 ** (-2 * i / 6) for i in range(3)])
    torch.testing.assert_close(model.rotary.frequencies, wanted)
