"""Adapter methods on BERT, GPT-2 and Workbench models: they train only their own weights, save, load and merge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, BertConfig, DistilBertConfig, GPT2Config

from workbench.errors import RequestError, SpecError
from workbench.files import read_json
from workbench.models.loading import register_models
from workbench.models.networks.transformer import DecoderConfig, EncoderConfig, EncoderDecoderConfig
from workbench.tuning.adapters import load_adapter_onto, merge_adapter
from workbench.tuning.base import tunings

register_models()
D, LAYERS, WIDE, WORDS = 16, 2, 24, 40
SIZES: dict[str, Any] = {
    "hidden_size": D,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": WIDE,
    "vocab_size": WORDS,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
}
CONFIGS: dict[str, Callable[[], Any]] = {
    "bert": lambda: BertConfig(**SIZES, hidden_dropout_prob=0, attention_probs_dropout_prob=0),
    "gpt2": lambda: GPT2Config(
        n_embd=D, n_layer=LAYERS, n_head=2, n_inner=WIDE, n_positions=64, vocab_size=WORDS, initializer_range=0.3,
        resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, pad_token_id=0, bos_token_id=1, eos_token_id=1,
    ),
    "our-encoder": lambda: EncoderConfig(**SIZES, dropout=0, attention_dropout=0),
    "our-decoder": lambda: DecoderConfig(**SIZES, dropout=0, attention_dropout=0, pad_token_id=0),
}  # fmt: skip
ADAPTERS = [name for name in tunings.names() if tunings.get(name).saves_adapter]
VIRTUAL = ["p-tuning", "prefix", "prompt"]
HEAD = ("classifier", "score")
IDS = torch.randint(2, WORDS, (6, 9), generator=torch.Generator().manual_seed(0))
MASK = torch.ones_like(IDS)
MASK[1, 5:] = MASK[4, 7:] = 0
BATCH = {"input_ids": IDS * MASK, "attention_mask": MASK, "labels": torch.tensor([0, 1, 1, 0, 1, 0])}

every_adapter = pytest.mark.parametrize("method", ADAPTERS)
every_model = pytest.mark.parametrize("name", CONFIGS)


def base_model(name: str, auto: Any = AutoModelForSequenceClassification) -> Any:
    torch.manual_seed(1)
    return auto.from_config(CONFIGS[name](), attn_implementation="sdpa").eval()


def make(method: str, **options: Any) -> Any:
    entry = tunings.get(method)
    return entry(entry.Config(**options))


def tuned(method: str, model: Any, peft_type: str = "SEQ_CLS", **options: Any) -> tuple[Any, Any]:
    """Return the tuning, and the model ready for training."""
    torch.manual_seed(2)
    tuning = make(method, **options)
    new = {name for name, _ in model.named_parameters() if name.split(".")[0] in HEAD}
    return tuning, tuning.apply(model, peft_type, new)


def take_steps(tuning: Any, model: Any, steps: int = 20, rate: float = 0.02, until: int | None = None, first: int = 1,
               optimizer: Any = None) -> Any:  # fmt: skip
    """Train on one batch, with every hook that the loop calls."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = optimizer or torch.optim.AdamW(trained, lr=rate, weight_decay=0)
    model.train()
    for step in range(first, (until or steps) + 1):
        torch.manual_seed(step)
        model(**BATCH).loss.backward()
        tuning.before_step(model, step, steps)
        optimizer.step()
        tuning.after_step(model, step, steps)
        optimizer.zero_grad()
    model.eval()
    return optimizer


@torch.no_grad()
def logits(model: Any, **changes: Any) -> torch.Tensor:
    return model.eval()(**{k: v for k, v in (BATCH | changes).items() if k != "labels"}).logits


@torch.no_grad()
def loss(model: Any) -> float:
    return float(model.eval()(**BATCH).loss)


# -- every method, every model ---------------------------------------------------------------------------------------


@every_model
@every_adapter
def test_an_adapter_learns_and_changes_its_own_weights_only(method: str, name: str) -> None:
    model = base_model(name)
    tuning, wrapped = tuned(method, model)
    before, initial_loss = {n: p.detach().clone() for n, p in wrapped.named_parameters()}, loss(wrapped)
    take_steps(tuning, wrapped)
    assert loss(wrapped) < initial_loss - 0.05
    moved = {n for n, p in wrapped.named_parameters() if not torch.equal(p, before[n])}
    trained = {n for n, p in wrapped.named_parameters() if p.requires_grad}
    # AdaLoRA may prune all ranks of a matrix: its entries are then zero, as at the start.
    assert moved <= trained and {n for n in trained - moved if "lora_E" not in n} == set()
    original = dict(base_model(name).named_parameters())
    frozen = {n for n in original if not n.startswith(HEAD)}
    current = {n.replace("base_model.", "", 1).replace("model.", "", 1) if method not in VIRTUAL else n.removeprefix(
        "base_model."): p for n, p in wrapped.named_parameters()}  # fmt: skip
    current = {n.replace(".base_layer", "").replace(".original_module", ""): p for n, p in current.items()}
    assert frozen <= current.keys()
    assert all(torch.equal(current[n], original[n]) for n in frozen), "the base has changed"


@every_model
@every_adapter
def test_loaded_and_merged_adapters_have_the_same_outputs(method: str, name: str, tmp_path: Path) -> None:
    tuning, wrapped = tuned(method, base_model(name))
    take_steps(tuning, wrapped)
    expected = logits(wrapped)
    tuning.save(wrapped, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    config = read_json(tmp_path / "adapter_config.json")
    for modules in (config.get(key) for key in ("target_modules", "modules_to_save", "feedforward_modules")):
        assert modules is None or modules == sorted(modules), "a set has another order in each process"
    loaded = load_adapter_onto(base_model(name), tmp_path)
    torch.testing.assert_close(logits(loaded), expected, atol=1e-5, rtol=0)
    assert loaded(**BATCH).loss.isfinite()
    if not tuning.merges:
        with pytest.raises(RequestError, match="cannot be merged"):
            merge_adapter(loaded)
        return
    merged = merge_adapter(loaded)
    assert type(merged) is type(base_model(name))
    assert {n for n, _ in merged.named_parameters()} == {n for n, _ in base_model(name).named_parameters()}
    torch.testing.assert_close(logits(merged), expected, atol=1e-5, rtol=0)
    assert not torch.equal(logits(base_model(name)), expected)


@every_model
@every_adapter
def test_padding_changes_nothing(method: str, name: str) -> None:
    """A decoder's classifier reads the last token, also with virtual tokens before the text."""
    tuning, wrapped = tuned(method, base_model(name))
    take_steps(tuning, wrapped, 3)
    short = logits(wrapped, input_ids=IDS[1:2, :5], attention_mask=MASK[1:2, :5])
    torch.testing.assert_close(short, logits(wrapped)[1:2], atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", ["bitfit", "ia3", "lora", "adalora"])
@every_model
def test_an_untrained_adapter_changes_nothing(method: str, name: str) -> None:
    _, wrapped = tuned(method, base_model(name))
    torch.testing.assert_close(logits(wrapped), logits(base_model(name)), atol=1e-6, rtol=0)


# -- numbers of weights ----------------------------------------------------------------------------------------------


def trained_in_body(wrapped: Any) -> int:
    return sum(p.numel() for n, p in wrapped.named_parameters() if p.requires_grad and not any(h in n for h in HEAD))


M, V, R = 5, 7, 3
COUNTS: list[tuple[str, str, dict[str, Any], int]] = [
    ("adapter", "bert", {"width": M, "norms": False}, LAYERS * 2 * (2 * M * D + D + M)),
    ("adapter", "bert", {"width": M}, LAYERS * (2 * (2 * M * D + D + M) + 2 * 2 * D)),
    ("adapter", "gpt2", {"width": M, "norms": False}, LAYERS * 2 * (2 * M * D + D + M)),
    ("adapter", "our-decoder", {"width": M}, LAYERS * (2 * (2 * M * D + D + M) + 2 * 2 * D)),
    # query, key, value, output; up and down; two norms; and outside the layers the embeddings' norm and the pooler
    ("bitfit", "bert", {}, LAYERS * (4 * D + WIDE + D + 2 * D) + D + D),
    ("bitfit", "our-encoder", {}, LAYERS * (4 * D + WIDE + D + 2 * D) + D + D),
    ("bitfit", "gpt2", {}, LAYERS * (4 * D + WIDE + D + 2 * D) + D),
    ("ia3", "bert", {}, LAYERS * (2 * D + WIDE)),
    ("ia3", "gpt2", {}, LAYERS * (3 * D + WIDE)),  # one map computes queries, keys and values
    ("ia3", "our-encoder", {"feed_forward": False}, LAYERS * 3 * D),
    ("lora", "bert", {"rank": R}, LAYERS * 2 * (2 * R * D)),
    ("lora", "gpt2", {"rank": R}, LAYERS * (R * D + R * 3 * D)),
    ("adalora", "bert", {"rank": 1, "initial_rank": R, "targets": "attention"}, LAYERS * 2 * (2 * R * D + R)),
    ("prompt", "gpt2", {"tokens": V}, V * D),
    ("prefix", "bert", {"tokens": V}, V * LAYERS * 2 * D),
    ("prefix", "our-decoder", {"tokens": V}, V * LAYERS * 2 * D),
]


@pytest.mark.parametrize(("method", "name", "options", "count"), COUNTS)
def test_the_number_of_weights_follows_the_formula(method: str, name: str, options: dict[str, Any], count: int) -> None:
    _, wrapped = tuned(method, base_model(name), **options)
    assert trained_in_body(wrapped) == count
    head = sum(p.numel() for n, p in base_model(name).named_parameters() if n.startswith(HEAD))
    assert sum(p.numel() for p in wrapped.parameters() if p.requires_grad) == count + head


# -- adapters --------------------------------------------------------------------------------------------------------


@every_model
def test_adapters_start_close_to_the_identity(name: str) -> None:
    _, wrapped = tuned("adapter", base_model(name), width=8)
    difference = (logits(wrapped) - logits(base_model(name))).abs().max()
    assert 0 < difference < 0.05 * logits(base_model(name)).abs().max()


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("bert", ["attention.output.dense", "output.dense"]),
        ("gpt2", ["attn.c_proj", "mlp.c_proj"]),
        ("our-encoder", ["attention.output", "feed_forward.down"]),
    ],
)
def test_adapters_follow_attention_and_feed_forward_before_the_addition(name: str, ends: list[str]) -> None:
    """An adapter that adds a constant to its input equals that constant on the bias of the layer before it."""
    _, wrapped = tuned("adapter", base_model(name), width=4, norms=False)
    constant = torch.linspace(-1, 1, D)
    for name_of_module, module in wrapped.named_modules():
        if name_of_module.endswith("bottleneck_up.default"):
            module.weight.data.zero_()
            module.bias.data.copy_(constant)
    model = base_model(name)
    changed = [m for n, m in model.named_modules() if any(n.endswith(f".{i}.{end}") for end in ends for i in range(9))]
    assert len(changed) == 2 * LAYERS
    for module in changed:
        module.bias.data += constant
    torch.testing.assert_close(logits(wrapped), logits(model), atol=1e-5, rtol=0)


# -- virtual tokens --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "name"), [("prompt", "bert"), ("p-tuning", "bert"), ("prefix", "gpt2")])
def test_peft_loads_a_saved_adapter(method: str, name: str, tmp_path: Path) -> None:
    """Compare with peft where it is correct: a head that reads the first position, and a prefix on a decoder."""
    tuning, wrapped = tuned(method, base_model(name), tokens=V)
    take_steps(tuning, wrapped, 5)
    tuning.save(wrapped, tmp_path)
    peft_model = PeftModel.from_pretrained(base_model(name), tmp_path)
    assert type(peft_model).__name__ == "PeftModelForSequenceClassification"
    torch.testing.assert_close(logits(wrapped), logits(peft_model), atol=1e-5, rtol=0)


@every_model
def test_a_prompt_is_prepended_to_the_embeddings(name: str) -> None:
    auto = transformers.AutoModelForTokenClassification
    _, wrapped = tuned("prompt", base_model(name, auto), "TOKEN_CLS", tokens=V)
    model = base_model(name, auto)
    words = model.get_input_embeddings()(IDS)
    vectors = wrapped.prompt_encoder["default"].embedding.weight.expand(len(IDS), -1, -1)
    mask = torch.cat((torch.ones(len(IDS), V, dtype=torch.long), MASK), dim=1)
    with torch.no_grad():
        expected = model(inputs_embeds=torch.cat((vectors, words), dim=1), attention_mask=mask).logits[:, V:]
    # The new head has the same weights: it was initialized with the same seed.
    torch.testing.assert_close(logits(wrapped)[MASK == 1], expected[MASK == 1], atol=1e-5, rtol=0)


@every_model
@pytest.mark.parametrize("method", VIRTUAL)
def test_heads_see_no_virtual_tokens(method: str, name: str) -> None:
    auto = transformers.AutoModelForTokenClassification
    model = base_model(name, auto)
    tuning, wrapped = tuned(method, model, "TOKEN_CLS", tokens=V)
    assert tuning.num_virtual_tokens() == V
    output = wrapped(**(BATCH | {"labels": IDS % 2}), output_hidden_states=True)
    assert output.logits.shape[:2] == IDS.shape and output.loss.isfinite()
    assert all(states.shape[:2] == IDS.shape for states in output.hidden_states)
    with wrapped.disable_adapter():
        torch.testing.assert_close(logits(wrapped), logits(base_model(name, auto)), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["gpt2", "our-decoder"])
@pytest.mark.parametrize("method", ADAPTERS)
def test_generation_with_and_without_the_cache_agrees(method: str, name: str) -> None:
    _, wrapped = tuned(method, base_model(name, transformers.AutoModelForCausalLM), "CAUSAL_LM")
    optimizer = torch.optim.AdamW([p for p in wrapped.parameters() if p.requires_grad], lr=0.05)
    wrapped(input_ids=IDS, attention_mask=MASK, labels=IDS.masked_fill(MASK == 0, -100)).loss.backward()
    optimizer.step()
    options = {"input_ids": IDS[:1, :4], "attention_mask": MASK[:1, :4], "max_new_tokens": 8, "do_sample": False}
    wrapped.eval()
    assert torch.equal(wrapped.generate(**options), wrapped.generate(**options, use_cache=False))


def test_a_model_that_cannot_take_a_prefix_is_refused() -> None:
    model = AutoModelForSequenceClassification.from_config(
        DistilBertConfig(dim=D, n_layers=2, n_heads=2, hidden_dim=WIDE, vocab_size=WORDS)
    )
    with pytest.raises(SpecError, match=r"Prefix tuning does not work with DistilBertModel: it takes no past_key_val"):
        tuned("prefix", model)
    seq2seq = transformers.AutoModelForSeq2SeqLM.from_config(EncoderDecoderConfig(**SIZES))
    with pytest.raises(SpecError, match="this model has both"):
        tuned("prefix", seq2seq, "SEQ_2_SEQ_LM")


def test_packed_rows_and_too_long_texts_are_refused() -> None:
    _, wrapped = tuned("prompt", base_model("our-encoder"), tokens=V)
    with pytest.raises(RequestError, match="packed with several documents"):
        wrapped(input_ids=IDS, document_ids=torch.ones_like(IDS))
    _, wrapped = tuned("prompt", base_model("bert"), tokens=60)
    with pytest.raises(RequestError, match="are 69, but the model has 64 positions"):
        wrapped(**BATCH)


# -- encoder-decoder -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [name for name in ADAPTERS if name != "prefix"])
def test_an_encoder_decoder(method: str, tmp_path: Path) -> None:
    config = EncoderDecoderConfig(**SIZES, dropout=0, pad_token_id=0, bos_token_id=1, decoder_start_token_id=1)

    def build() -> Any:
        torch.manual_seed(0)
        return transformers.AutoModelForSeq2SeqLM.from_config(config, attn_implementation="sdpa").eval()

    batch = {**BATCH, "labels": IDS.masked_fill(MASK == 0, -100)}
    tuning, wrapped = tuned(method, build(), "SEQ_2_SEQ_LM")
    wrapped(**batch).loss.backward()
    with torch.no_grad():
        for parameter in wrapped.parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
        expected = wrapped.eval()(**batch).logits
        tuning.save(wrapped, tmp_path)
        loaded = load_adapter_onto(build(), tmp_path)
        torch.testing.assert_close(loaded(**batch).logits, expected, atol=1e-5, rtol=0)
    sides = {side for name, p in wrapped.named_parameters() if p.requires_grad for side in ("encoder", "decoder")
             if f"model.{side}." in name}  # fmt: skip
    assert sides == (set() if method in VIRTUAL else {"encoder", "decoder"})
