"""The baselines follow their papers' formulas, ignore padding, and are transformers models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from workbench.errors import SpecError
from workbench.models.networks.baselines import heads
from workbench.models.networks.baselines.bag_of_embeddings import BagOfEmbeddingsConfig, BagOfEmbeddingsModel
from workbench.models.networks.baselines.recurrent import RecurrentConfig, RecurrentModel, RecurrentState
from workbench.models.networks.baselines.textcnn import TextCNNConfig, TextCNNModel, window_starts

SIZES: dict[str, Any] = {"vocab_size": 30, "embedding_size": 8, "num_labels": 3}


def recurrent(**changes: Any) -> RecurrentConfig:
    return RecurrentConfig(**{**SIZES, "hidden_size": 12, "num_hidden_layers": 2, **changes})


CONFIGS = {
    "bag": BagOfEmbeddingsConfig(**SIZES, hidden_size=12),
    "bag-linear": BagOfEmbeddingsConfig(**SIZES, num_hidden_layers=0),
    "textcnn": TextCNNConfig(**SIZES, filters=5),
    "lstm": recurrent(),
    "gru": recurrent(cell="gru"),
    "lstm-both": recurrent(bidirectional=True),
    "gru-both": recurrent(cell="gru", bidirectional=True),
    "lstm-attention": recurrent(attention=True),
    "gru-both-attention": recurrent(cell="gru", bidirectional=True, attention=True),
}
every_baseline = pytest.mark.parametrize("name", CONFIGS)
every_recurrent = pytest.mark.parametrize("name", [n for n in CONFIGS if "lstm" in n or "gru" in n])


def make(auto: Any, config: Any, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return auto.from_config(config).eval()


def text(*lengths: int, width: int = 0, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask [B, T] of texts of these lengths, padded on the right."""
    width = max(width, *lengths)
    mask = torch.arange(width)[None, :] < torch.tensor(lengths)[:, None]
    ids = torch.randint(5, 30, mask.shape, generator=torch.Generator().manual_seed(seed))
    return ids * mask, mask.long()


# -- formulas -------------------------------------------------------------------------------------------------------


def test_bag_is_the_mean_through_the_layers() -> None:
    model = make(AutoModel, CONFIGS["bag"])
    ids, mask = text(4, 2)
    vectors = model.embeddings.weight
    for row, length in enumerate((4, 2)):
        z = sum(vectors[ids[row, t]] for t in range(length)) / length
        for i in range(2):
            layer = getattr(model.feed_forward, f"linear_{i}")
            z = (layer.weight @ z + layer.bias).relu()
        torch.testing.assert_close(model(ids, mask).pooler_output[row], z)


def test_only_the_bag_ignores_word_order() -> None:
    ids, mask = text(7)
    for name, config in CONFIGS.items():
        model = make(AutoModel, config)
        original, reordered = (model(order, mask).pooler_output for order in (ids, ids.flip(1)))
        assert torch.allclose(original, reordered, atol=1e-6) == name.startswith("bag"), name


def test_words_are_dropped_in_training_only() -> None:
    model = make(AutoModel, BagOfEmbeddingsConfig(**SIZES, num_hidden_layers=0, word_dropout=0.5))
    with torch.no_grad():
        model.embeddings.weight[5:].fill_(1.0)
        model.embeddings.weight[5] = 0.0
    ids, mask = torch.tensor([[5, 6] * 500]), torch.ones(1, 1000, dtype=torch.long)
    assert float(model(ids, mask).pooler_output[0, 0].detach()) == pytest.approx(0.5, abs=1e-6)
    torch.manual_seed(0)
    share = float(model.train()(ids, mask).pooler_output[0, 0].detach())
    # The mean of the remaining words.
    assert share != pytest.approx(0.5, abs=1e-6) and share == pytest.approx(0.5, abs=0.08)
    assert bool(torch.isfinite(model(ids[:, :1], mask[:, :1]).pooler_output).all())  # also if no word remains


def test_textcnn_is_the_largest_value_of_each_filter() -> None:
    model = make(AutoModel, CONFIGS["textcnn"])
    ids, mask = text(6, 4)
    for row, length in enumerate((6, 4)):
        words = model.embeddings.weight[ids[row, :length]]
        expected = []
        for width, convolution in zip((3, 4, 5), model.convolutions, strict=True):
            padded = torch.cat([words, torch.zeros(max(0, width - length), 8)])
            windows = [padded[i : i + width] for i in range(max(length, width) - width + 1)]
            for weight, bias in zip(convolution.weight, convolution.bias, strict=True):  # weight [E, width]
                expected.append(max(((weight.T * words_seen).sum() + bias).relu() for words_seen in windows))
        torch.testing.assert_close(model(ids, mask).pooler_output[row], torch.stack(expected))


def test_window_starts_are_inside_the_text() -> None:
    real = torch.tensor([[1, 1, 1, 1, 0], [0, 0, 1, 1, 1], [1, 0, 0, 0, 0]]).bool()
    assert window_starts(real, 3).int().tolist() == [[1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [1, 0, 0, 0, 0]]
    assert window_starts(real, 1).int().tolist() == [[1, 1, 1, 1, 0], [0, 0, 1, 1, 1], [1, 0, 0, 0, 0]]


def lstm_by_hand(cell: Any, x: torch.Tensor, suffix: str = "") -> list[torch.Tensor]:
    h = c = torch.zeros(cell.hidden_size)
    states = []
    for x_t in x:
        gates = getattr(cell, f"weight_ih_l0{suffix}") @ x_t + getattr(cell, f"bias_ih_l0{suffix}")
        gates = gates + getattr(cell, f"weight_hh_l0{suffix}") @ h + getattr(cell, f"bias_hh_l0{suffix}")
        i, f, g, o = gates.chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        states.append(h)
    return states


def gru_by_hand(cell: Any, x: torch.Tensor, suffix: str = "") -> list[torch.Tensor]:
    h = torch.zeros(cell.hidden_size)
    states = []
    for x_t in x:
        from_x = getattr(cell, f"weight_ih_l0{suffix}") @ x_t + getattr(cell, f"bias_ih_l0{suffix}")
        from_h = getattr(cell, f"weight_hh_l0{suffix}") @ h + getattr(cell, f"bias_hh_l0{suffix}")
        (r_x, z_x, n_x), (r_h, z_h, n_h) = from_x.chunk(3), from_h.chunk(3)
        n = (n_x + (r_x + r_h).sigmoid() * n_h).tanh()
        z = (z_x + z_h).sigmoid()
        h = (1 - z) * n + z * h
        states.append(h)
    return states


@every_recurrent
def test_states_follow_the_formulas(name: str) -> None:
    config = CONFIGS[name]
    model = make(AutoModel, config)
    by_hand = {"lstm": lstm_by_hand, "gru": gru_by_hand}[config.cell]
    ids, mask = text(5, 3)
    output = model(ids, mask)
    for row, length in enumerate((5, 3)):
        x = model.embeddings.weight[ids[row, :length]]
        for layer in model.layers:
            states = torch.stack(by_hand(layer.cell, x))
            if config.bidirectional:
                backward = torch.stack(by_hand(layer.cell, x.flip(0), "_reverse")).flip(0)
                states = torch.cat([states, backward], dim=1)
            x = states
        torch.testing.assert_close(output.last_hidden_state[row, :length], x, atol=1e-6, rtol=1e-4)
        if not config.attention:
            expected = torch.cat([x[-1, :6], x[0, 6:]]) if config.bidirectional else x[-1]
            torch.testing.assert_close(output.pooler_output[row], expected, atol=1e-6, rtol=1e-4)
            continue
        v, hidden = model.pooling.energy.weight[0], model.pooling.hidden
        weights = torch.stack([v @ (hidden.weight @ h + hidden.bias).tanh() for h in x]).softmax(0)
        torch.testing.assert_close(output.pooling_weights[row, :length], weights, atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(output.pooler_output[row], weights @ x, atol=1e-6, rtol=1e-4)


def test_attention_weights_are_in_the_output() -> None:
    model = make(AutoModelForSequenceClassification, CONFIGS["gru-both-attention"])
    ids, mask = text(5, 2)
    weights = model(ids, mask).pooling_weights
    assert weights.shape == (2, 5)
    torch.testing.assert_close(weights.sum(1), torch.ones(2))
    assert weights[1, 2:].tolist() == [0, 0, 0] and bool((weights[1, :2] > 0).all())
    assert make(AutoModelForSequenceClassification, CONFIGS["lstm"])(ids, mask).pooling_weights is None


# -- padding and words ----------------------------------------------------------------------------------------------


@every_baseline
def test_padding_on_either_side_changes_nothing(name: str) -> None:
    model = make(AutoModelForSequenceClassification, CONFIGS[name])
    for length in (1, 2, 6):
        ids, mask = text(length)
        alone = model(ids, mask).logits
        assert torch.equal(alone, model(ids).logits)  # no mask equals a mask of ones
        for left, right in ((0, 5), (5, 0), (2, 3)):
            padded, padded_mask = F.pad(ids, (left, right), value=9), F.pad(mask, (left, right))
            torch.testing.assert_close(model(padded, padded_mask).logits, alone, atol=1e-6, rtol=1e-5)
        other, other_mask = text(11, seed=2)
        batch = torch.cat([F.pad(ids, (0, 11 - length)), other])
        batch_mask = torch.cat([F.pad(mask, (0, 11 - length)), other_mask])
        torch.testing.assert_close(model(batch, batch_mask).logits[:1], alone, atol=1e-6, rtol=1e-5)


@every_recurrent
def test_padding_changes_no_tokens_label(name: str) -> None:
    model = make(AutoModelForTokenClassification, CONFIGS[name])
    assert model.model.pooling is None
    ids, mask = text(6)
    padded, padded_mask = F.pad(ids, (3, 4), value=9), F.pad(mask, (3, 4))
    torch.testing.assert_close(model(padded, padded_mask).logits[:, 3:9], model(ids).logits, atol=1e-6, rtol=1e-5)


@every_baseline
def test_a_text_of_padding_only_has_finite_logits(name: str) -> None:
    model = make(AutoModelForSequenceClassification, CONFIGS[name])
    ids, mask = text(4, 3)
    mask[1] = 0
    assert bool(torch.isfinite(model(ids, mask).logits).all())


@every_baseline
def test_inputs_embeds_replace_input_ids(name: str) -> None:
    model = make(AutoModelForSequenceClassification, CONFIGS[name])
    ids, mask = text(6, 4)
    vectors = model.get_input_embeddings()(ids)
    torch.testing.assert_close(
        model(inputs_embeds=vectors, attention_mask=mask).logits, model(ids, mask, torch.ones_like(ids)).logits
    )
    with pytest.raises(SpecError, match="got both"):
        model(ids, mask, inputs_embeds=vectors)
    with pytest.raises(SpecError, match="got neither"):
        model(attention_mask=mask)


# -- learning -------------------------------------------------------------------------------------------------------


@every_baseline
@pytest.mark.parametrize("kind", ["single_label_classification", "multi_label_classification"])
def test_the_loss_fits_the_task_and_every_weight_has_a_gradient(name: str, kind: str) -> None:
    config = type(CONFIGS[name]).from_dict({**CONFIGS[name].to_dict(), "problem_type": kind})
    model = make(AutoModelForSequenceClassification, config)
    ids, mask = text(6, 4)
    labels = torch.tensor([2, 0])
    if kind.startswith("multi"):
        labels = F.one_hot(labels, 3).float()
    output = model(ids, mask, labels=labels)
    loss_function = F.cross_entropy if kind.startswith("single") else F.binary_cross_entropy_with_logits
    torch.testing.assert_close(output.loss, loss_function(output.logits, labels))
    output.loss.backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


@every_baseline
def test_one_batch_can_be_memorized(name: str) -> None:
    config = type(CONFIGS[name]).from_dict({**CONFIGS[name].to_dict(), "dropout": 0.0, "word_dropout": 0.0})
    model = make(AutoModelForSequenceClassification, config).train()
    ids, mask = text(7, 5, 3, 6)
    labels = torch.tensor([0, 1, 2, 1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.03)
    for _ in range(60):
        loss = model(ids, mask, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.01


@every_baseline
def test_dropout_is_in_body_and_head_in_training_only(name: str) -> None:
    config = type(CONFIGS[name]).from_dict({**CONFIGS[name].to_dict(), "dropout": 0.5, "word_dropout": 0.0})
    model = make(AutoModelForSequenceClassification, config)
    ids, mask = text(6, 4)

    def is_random() -> bool:
        return not torch.equal(model(ids, mask).logits, model(ids, mask).logits)

    assert not is_random()
    model.dropout.train()
    assert is_random(), "the head has no dropout"
    model.dropout.eval()
    model.model.train()
    assert is_random() == (name not in ("textcnn", "bag-linear")), "these two only have the head's dropout"


def test_gradients_agree_with_finite_differences() -> None:
    for config in (recurrent(hidden_size=4, num_hidden_layers=1, bidirectional=True, attention=True), CONFIGS["bag"]):
        model = make(AutoModelForSequenceClassification, config).double()
        ids, mask = text(4, 2)
        vectors = model.get_input_embeddings()(ids).detach().requires_grad_()
        assert torch.autograd.gradcheck(
            lambda v, m=model, k=mask: m(inputs_embeds=v, attention_mask=k).logits, (vectors,), eps=1e-6, atol=1e-7
        )


def test_initial_weights() -> None:
    model = make(AutoModel, recurrent(hidden_size=64, embedding_size=200))
    cell = model.layers[0].cell
    forget = (cell.bias_ih_l0 + cell.bias_hh_l0).detach().view(4, 64)
    assert forget.unique(dim=1).flatten().tolist() == [0, 1, 0, 0]
    gram = cell.weight_hh_l0.T @ cell.weight_hh_l0
    torch.testing.assert_close(gram, torch.eye(64), atol=1e-5, rtol=0)
    assert model.embeddings.weight[0].abs().max() == 0
    assert float(model.embeddings.weight[1:].detach().std()) == pytest.approx(0.1, rel=0.05)


# -- as transformers models -----------------------------------------------------------------------------------------


@every_baseline
@pytest.mark.parametrize("auto", [AutoModel, AutoModelForSequenceClassification, AutoModelForTokenClassification,
                                  AutoModelForCausalLM], ids=lambda auto: auto.__name__)  # fmt: skip
def test_a_saved_model_loads_with_the_same_outputs(name: str, auto: Any, tmp_path: Path) -> None:
    config = CONFIGS[name]
    if auto in (AutoModelForTokenClassification, AutoModelForCausalLM) and not isinstance(config, RecurrentConfig):
        with pytest.raises(ValueError, match="Unrecognized configuration class"):
            auto.from_config(config)
        return
    if auto is AutoModelForCausalLM and config.bidirectional:
        with pytest.raises(SpecError, match="cannot read in two directions"):
            auto.from_config(config)
        return
    model = make(auto, config)
    model.save_pretrained(tmp_path)
    assert sorted(p.suffix for p in tmp_path.iterdir() if "generation" not in p.name) == [".json", ".safetensors"]
    for attention in ("sdpa", "eager"):
        loaded = auto.from_pretrained(tmp_path, attn_implementation=attention)
        assert loaded.state_dict().keys() == model.state_dict().keys()
        assert all(torch.equal(p, loaded.state_dict()[n]) for n, p in model.state_dict().items())
    ids, mask = text(6, 4)
    expected, actual = (m(ids, mask).to_tuple()[0] for m in (model, loaded.eval()))
    torch.testing.assert_close(expected, actual, atol=1e-6, rtol=1e-5)  # not bit-identical: memory alignment differs
    assert type(loaded.config) is type(config) and loaded.config.to_dict().items() >= {"vocab_size": 30}.items()


@every_baseline
def test_a_new_head_on_a_saved_body(name: str, tmp_path: Path) -> None:
    make(AutoModel, CONFIGS[name]).save_pretrained(tmp_path)
    torch.manual_seed(3)
    model, info = AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=5, output_loading_info=True)
    assert set(info["missing_keys"]) == {"classifier.weight", "classifier.bias"}
    assert model.classifier.weight.shape[0] == 5
    assert float(model.classifier.weight.detach().std()) > 0.1  # sampled, not left empty
    body = make(AutoModel, CONFIGS[name])
    assert all(torch.equal(p, model.model.state_dict()[n]) for n, p in body.state_dict().items())


# -- a recurrent language model -------------------------------------------------------------------------------------


def language_model(cell: str = "lstm", **changes: Any) -> Any:
    return make(AutoModelForCausalLM, recurrent(cell=cell, **changes))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_later_tokens_do_not_change_earlier_outputs(cell: str) -> None:
    model = language_model(cell)
    ids, _ = text(8)
    changed = ids.clone()
    changed[0, 5:] = 7
    torch.testing.assert_close(model(ids).logits[:, :5], model(changed).logits[:, :5])
    assert not torch.allclose(model(ids).logits[:, 5:], model(changed).logits[:, 5:])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_reading_step_by_step_equals_reading_at_once(cell: str) -> None:
    model = language_model(cell)
    ids, mask = text(8, 8)
    mask[1, :3] = 0  # padding on the left, as generate has it
    whole = model(ids, mask).logits
    state = None
    for start, end in ((0, 5), (5, 6), (6, 8)):
        output = model(ids[:, start:end], mask[:, :end], past_key_values=state, use_cache=True)
        state = output.past_key_values
        assert isinstance(state, RecurrentState) and state.get_seq_length() == end
        expected = whole[:, start:end]
        torch.testing.assert_close(output.logits[0], expected[0], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(output.logits[1, max(0, 3 - start) :], expected[1, max(0, 3 - start) :], atol=1e-6, rtol=1e-5)  # fmt: skip  # noqa: E501
    assert model(ids).past_key_values is None


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"do_sample": True, "top_k": 5, "num_return_sequences": 2}])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_generation_with_the_state_equals_generation_without(cell: str, options: dict[str, Any]) -> None:
    model = language_model(cell)
    with torch.no_grad():
        model.lm_head.weight.mul_(20)  # far from uniform: no choice depends on rounding
    ids, mask = text(5, 5)
    mask[1, :2] = 0
    generated = []
    for cached in (True, False):
        torch.manual_seed(0)
        generated.append(
            model.generate(ids, attention_mask=mask, max_new_tokens=12, use_cache=cached, pad_token_id=0, **options)
        )
    assert generated[0].shape[1] > 8 and torch.equal(generated[0], generated[1])
    alone = model.generate(ids[1:, 2:], max_new_tokens=12, pad_token_id=0) if not options else None
    if alone is not None:
        assert alone[0].tolist() == generated[0][1, 2:][: alone.shape[1]].tolist()


def test_a_language_model_predicts_the_next_word() -> None:
    model = language_model()
    ids, mask = text(6, 4)
    labels = ids.masked_fill(mask == 0, -100)
    output = model(ids, mask, labels=labels)
    pairs = [(row, t) for row, length in enumerate((6, 4)) for t in range(length - 1)]
    expected = [-output.logits[row, t].log_softmax(-1)[ids[row, t + 1]] for row, t in pairs]
    torch.testing.assert_close(output.loss, torch.stack(expected).mean())
    assert float(output.loss.detach()) == pytest.approx(torch.log(torch.tensor(30.0)).item(), rel=0.05)
    torch.testing.assert_close(model(ids, logits_to_keep=2).logits, model(ids).logits[:, -2:])
    last_two = model(ids, mask, labels=labels, logits_to_keep=2)
    torch.testing.assert_close(last_two.loss, output.loss)
    torch.testing.assert_close(last_two.logits, output.logits[:, -2:])


def test_the_output_layer_is_tied_to_the_embeddings(tmp_path: Path) -> None:
    tied, free = language_model(), language_model(tie_word_embeddings=False)
    assert tied.lm_head.weight is tied.model.embeddings.weight
    assert free.lm_head.weight is not free.model.embeddings.weight
    tied.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert loaded.lm_head.weight is loaded.model.embeddings.weight
    assert isinstance(language_model(hidden_size=8).transform, torch.nn.Identity)


# -- refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make_config", "message"),
    [
        (lambda: recurrent(hidden_size=13, bidirectional=True), "hidden_size is 13.*half of it each"),
        (lambda: recurrent(cell="rnn"), "'rnn'.*lstm, gru"),
        (lambda: recurrent(num_hidden_layers=0), "0 layers"),
        (lambda: TextCNNConfig(widths=[3, 0]), r"\[3, 0\].*at least 1 word"),
        (lambda: TextCNNConfig(widths=[]), "at least 1 word"),
    ],
)
def test_an_impossible_shape_is_refused(make_config: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        make_config()


def test_a_bidirectional_network_cannot_continue_from_a_state() -> None:
    model = make(AutoModel, CONFIGS["lstm-both"])
    with pytest.raises(SpecError, match="bidirectional network cannot continue"):
        model(text(4)[0], use_cache=True)


def test_models_are_registered_with_the_auto_classes() -> None:
    for body in (BagOfEmbeddingsModel, TextCNNModel, RecurrentModel):
        assert body.config_class.model_type.startswith("workbench-") and body.base_model_prefix == "model"
    assert heads.RecurrentForCausalLM.can_generate() and not heads.TextCNNForSequenceClassification.can_generate()
