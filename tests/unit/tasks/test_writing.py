"""Batched generation: the same texts as one by one, whatever else is in the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers

import workbench.models.networks.heads  # noqa: F401 - makes the Auto classes know our models
from tests.tiny import make_model
from workbench.models.loading import load_tokenizer
from workbench.models.networks.transformer import DecoderConfig, EncoderDecoderConfig
from workbench.tasks.contexts import InferenceContext
from workbench.tasks.shared.generation import GenerationConfig, evenly_spaced, generate, generate_all, until_end

GREEDY = GenerationConfig(temperature=0, max_new_tokens=12)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    result = load_tokenizer(make_model(tmp_path_factory.mktemp("model")))
    result.bos_token, result.eos_token = result.cls_token, result.sep_token
    return result


def workbench_model(config_class, head, tokenizer):
    torch.manual_seed(3)
    config = config_class(
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
    return scale_weights(getattr(transformers, head).from_config(config).eval())


def scale_weights(model):
    """Scale the weights so that the output depends on the input."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(8)
    return model


def gpt2_model(tokenizer):
    torch.manual_seed(3)
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=2, eos_token_id=3
    )
    return scale_weights(transformers.GPT2LMHeadModel(config).eval())


def rows(tokenizer):
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(5, len(tokenizer), (n,), generator=generator).tolist() for n in (3, 11, 1, 7, 11, 20, 2)]


@pytest.mark.parametrize("kind", ["encoder-decoder", "decoder", "gpt2"])
@pytest.mark.parametrize("options", [GREEDY, GREEDY.model_copy(update={"beams": 3})], ids=["greedy", "beams"])
def test_batched_generation_equals_single_generation(tokenizer, kind, options, monkeypatch):
    monkeypatch.setattr("workbench.tasks.shared.generation.GENERATION_BATCH_SIZE", 3)
    is_encoder_decoder = kind == "encoder-decoder"
    if kind == "gpt2":
        model = gpt2_model(tokenizer)
    elif is_encoder_decoder:
        model = workbench_model(EncoderDecoderConfig, "AutoModelForSeq2SeqLM", tokenizer)
    else:
        model = workbench_model(DecoderConfig, "AutoModelForCausalLM", tokenizer)
    context = InferenceContext(model, tokenizer, 64)
    progress = []
    together = generate_all(context, rows(tokenizer), options, is_encoder_decoder, lambda *done: progress.append(done))
    alone = [until_end(generate(context, row, options, 1, is_encoder_decoder), tokenizer) for row in rows(tokenizer)]
    assert together == alone
    assert len({tuple(each) for each in together}) > 3  # the outputs depend on the inputs
    assert progress == [(3, 7), (6, 7), (7, 7)]


def test_no_rows(tokenizer):
    assert generate_all(InferenceContext(None, tokenizer, 64), [], GREEDY, True) == []


def test_a_text_ends_at_its_end_token(tokenizer):
    assert until_end([5, 6, 3, 7, 0], tokenizer) == [5, 6]
    assert until_end([5, 6], tokenizer) == [5, 6] and until_end([3], tokenizer) == []


def test_sampling_repeats_with_the_same_seed(tokenizer):
    context = InferenceContext(workbench_model(EncoderDecoderConfig, "AutoModelForSeq2SeqLM", tokenizer), tokenizer, 64)
    first, again, other = (
        generate_all(context, rows(tokenizer), GenerationConfig(temperature=2, writing_seed=seed), True)
        for seed in (1, 1, 2)
    )
    assert first == again != other


# -- choosing examples ------------------------------------------------------------------------------------------------


def test_evenly_spaced() -> None:
    assert (
        evenly_spaced(10, 3).tolist() == [0, 3, 6]
        and evenly_spaced(2, 5).tolist() == [0, 1]
        and evenly_spaced(0, 5).tolist() == []
    )
    assert all(len(np.unique(evenly_spaced(n, most))) == min(n, most) for n in range(40) for most in range(1, 40))


@pytest.mark.parametrize(("count", "requested"), [(10, 3), (10, 10), (3, 10), (1000, 7), (5, 0)])
def test_evenly_spaced_each_once(count: int, requested: int) -> None:
    indices = evenly_spaced(count, requested).tolist()
    assert len(indices) == len(set(indices)) == min(count, requested) and all(0 <= index < count for index in indices)
