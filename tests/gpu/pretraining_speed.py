"""Measure pretraining on a GPU: speed compared with transformers, and model FLOPs utilization (MFU).

    python tests/gpu/pretraining_speed.py [--only encoder,decoder,mfu-decoder,mfu-encoder] [--minutes 7.5]

Needs torch, transformers, accelerate, peft, numpy, pyyaml, pydantic and their dependencies; no data and no network. It
takes less than eight minutes: a benchmark that would start after ``--minutes`` is skipped with a message. Tokens are
random, because speed does not depend on them.

    encoder       a training step of our encoder (BERT-base) and of BertForMaskedLM, both compiled, bf16, SDPA
    decoder       the same of our decoder (GPT-2, 124M) and GPT2LMHeadModel, sequence length 1024
    mfu-decoder   tokens per second and MFU of the 124M decoder, sequence length 1024, increasing batch sizes
    mfu-encoder   the same of BERT-base, masked-lm-nsp, rows of 128 with several packed pairs, logits at masked
                  positions only; only tokens that are not padding count

MFU = tokens per second x FLOPs per token / dense bf16 peak, with FLOPs per token = 6 N + 12 L d T (N: parameters
without embeddings that are only looked up; a matrix that is both embedding and output counts). For the encoder, a
second value counts only the necessary operations: the output head at masked positions, and attention within each pair.
Compilation time is listed separately and is not part of any other value.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # also where the workbench is not installed

from tests.benchmarks._common import print_table, speedups, spread
from tests.benchmarks._steps import (
    IGNORE_INDEX,
    MASKED_SHARE,
    SIZES,
    assert_same_loss,
    causal_batch,
    decoder_pair,
    encoder_pair,
    masked_batch,
    seconds_per_step,
    synchronize,
    training_step,
)
from workbench.models.networks.heads import DecoderForCausalLM, EncoderForPreTraining
from workbench.models.networks.transformer import DecoderConfig, EncoderConfig
from workbench.training.core.flops import flops_per_token, peak_flops

START = time.monotonic()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(BENCHMARKS))
    parser.add_argument("--minutes", type=float, default=7.5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--toy", action="store_true", help="try the script on the CPU with tiny, uncompiled models")
    options = parser.parse_args()
    if not options.toy and not torch.cuda.is_available():
        raise SystemExit("No CUDA device. Use --toy to try the script on the CPU.")
    options.device = "cpu" if options.toy else "cuda"
    torch.set_float32_matmul_precision("high")
    peak, source = peak_flops(options.device, "bf16")
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU (toy sizes: the values mean nothing)"
    print(f"{name}; torch {torch.__version__}; peak {peak / 1e12:.1f} TFLOP/s bf16 ({source})\n")
    for benchmark in options.only.split(","):
        if time.monotonic() - START > 60 * options.minutes:
            print(f"\n{benchmark}: skipped, {options.minutes} minutes are over.")
            continue
        BENCHMARKS[benchmark](options, peak)
        if options.device == "cuda":
            torch.cuda.empty_cache()
    print(f"\n{(time.monotonic() - START) / 60:.1f} minutes in total")


# -- compared with transformers ------------------------------------------------------------------------------------


def encoder(options: argparse.Namespace, peak: float) -> None:
    size, rows, length = ("tiny", 2, 16) if options.toy else ("base", 256, 128)
    models = {name: model.to(options.device) for name, model in encoder_pair(size, length, 0.1, 0.1).items()}
    batch = masked_batch(SIZES[size][2], rows, length, options.device)
    compare_speed(f"Encoder of BERT-base, masked language modeling, {rows} x {length} tokens", models, batch, options)


def decoder(options: argparse.Namespace, peak: float) -> None:
    size, rows, length = ("tiny", 2, 16) if options.toy else ("gpt2", 16, 1024)
    models = {name: model.to(options.device) for name, model in decoder_pair(size, length, 0.0, 0.0).items()}
    batch = causal_batch(SIZES[size][2], rows, length, options.device)
    compare_speed(f"Decoder of GPT-2 (124M), {rows} x {length} tokens", models, batch, options)


def compare_speed(
    title: str, models: dict[str, Any], batch: dict[str, torch.Tensor], options: argparse.Namespace
) -> None:
    """Time both compiled models in turn."""
    two_rows = {name: tensor[:2] for name, tensor in batch.items()}
    loss = assert_same_loss(models, two_rows, tolerance=1e-2)  # TF32 has three digits
    steps, compilation = {}, {}
    for name, model in models.items():
        steps[name] = training_step(model, batch, bf16=True, compiled=not options.toy)
        compilation[name] = warm_up(steps[name], options.device)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(options.rounds):
        for name in list(steps) if number % 2 == 0 else list(reversed(steps)):
            times[name].append(1000 * seconds_per_step(steps[name], options.steps, options.device))
    print(f"\n### {title}\n\nLoss of the models before training: {loss:.4f}\n")
    tokens = batch["input_ids"].numel()
    rows = [
        [
            name,
            spread(step_times),
            f"{1000 * tokens / sorted(step_times)[len(step_times) // 2]:,.0f}",
            spread(speedups(times["transformers"], step_times), 2) if name == "ours" else "",
            f"{compilation[name]:.0f}",
        ]
        for name, step_times in times.items()
    ]
    print_table(["variant", "ms per step", "tokens/s", "speedup over transformers", "compilation, s"], rows)


# -- model FLOPs utilization ----------------------------------------------------------------------------------------


def mfu_decoder(options: argparse.Namespace, peak: float) -> None:
    width, layers, vocab_size = SIZES["tiny" if options.toy else "gpt2"]
    length, choices = (16, [2, 4]) if options.toy else (1024, [16, 32, 64])
    torch.manual_seed(0)
    config = DecoderConfig(
        vocab_size=vocab_size,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        intermediate_size=4 * width,
        max_position_embeddings=length,
        dropout=0.0,
        attention_dropout=0.0,
    )
    model = DecoderForCausalLM(config).to(options.device).train()
    flops = flops_per_token(model, length)
    print(f"\n### MFU, decoder of {parameters(model):,} weights, sequence {length}\n")
    rows = []
    for size in choices:
        batch = causal_batch(vocab_size, size, length, options.device)
        result = measure_speed(model, batch, size * length, options)
        rows.append([f"{size} x {length}", *table_row(result, {"MFU": flops}, peak)])
    print_table(["batch", "tokens/s", "MFU", "ms per step", "memory, GB", "compilation, s"], rows)


def mfu_encoder(options: argparse.Namespace, peak: float) -> None:
    width, layers, vocab_size = SIZES["tiny" if options.toy else "base"]
    length, choices = (128, [2, 4]) if options.toy else (128, [256, 512])
    vocab_size = -(-vocab_size // 64) * 64  # full tiles for the tensor cores
    torch.manual_seed(0)
    config = EncoderConfig(
        vocab_size=vocab_size,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        intermediate_size=4 * width,
        max_position_embeddings=length,
        dropout=0.1,
        attention_dropout=0.0,
        sparse_prediction=True,
    )
    model = EncoderForPreTraining(config).to(options.device).train()
    flops = flops_per_token(model, length)
    head_flops = 6.0 * sum(p.numel() for p in model.head.parameters())  # needed only at masked positions
    print(f"\n### MFU, encoder of {parameters(model):,} weights, masked-lm-nsp, sequence {length}, packed\n")
    rows = []
    for size in choices:
        batch = packed_pairs(vocab_size, size, length, options.device)
        n_tokens = int((batch["document_ids"] > 0).sum())
        share = float((batch["labels"] != IGNORE_INDEX).sum()) / n_tokens
        result = measure_speed(model, batch, n_tokens, options)
        lengths = torch.bincount(pair_numbers(batch["document_ids"])).double()[1:]
        attended = float((lengths**2).sum() / lengths.sum())  # mean tokens that a token attends to, itself included
        needed = flops - head_flops * (1 - share) - 12 * layers * width * (length - attended)
        filled = f"{size} x {length}, {n_tokens / (size * length):.0%} text"
        rows.append([filled, *table_row(result, {"6N + 12LdT": flops, "needed": needed}, peak)])
    head_line = ["batch", "tokens of text/s", "MFU (6N + 12 L d T)", "MFU (necessary operations)"]
    print_table([*head_line, "ms per step", "memory, GB", "compilation, s"], rows)


def packed_pairs(vocab_size: int, rows: int, length: int, device: str) -> dict[str, torch.Tensor]:
    """Return rows of several sentence pairs each, packed like in masked-lm-nsp; the last tokens are padding.

    Every row has the same number of masked positions, so the model is compiled for one shape.
    """
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, vocab_size, (rows, length), generator=generator)
    documents = torch.zeros(rows, length, dtype=torch.long)
    types = torch.zeros(rows, length, dtype=torch.long)
    follows = torch.full((rows, length), IGNORE_INDEX)
    cuts = torch.randint(length // 4, length // 2, (rows, 2), generator=generator)
    for row in range(rows):  # three pairs of different lengths; less than 3% is padding
        ends = [int(cuts[row, 0]), int(cuts[row, 0] + cuts[row, 1] // 2), length - row % 4]
        for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True), start=1):
            documents[row, start:end] = number
            types[row, (start + end) // 2 : end] = 1
            follows[row, start] = (row + number) % 2
    order = torch.rand(rows, length, generator=generator).masked_fill(documents == 0, 2.0)
    labels = ids.masked_fill(order.argsort(dim=1).argsort(dim=1) >= round(MASKED_SHARE * (length - 4)), IGNORE_INDEX)
    batch = {"input_ids": ids, "document_ids": documents, "token_type_ids": types, "labels": labels}
    batch |= {"next_sentence_label": follows}
    for name, targets in (("label_positions", labels), ("pair_positions", follows)):  # as in the task's batches
        batch[name] = (targets.flatten() != IGNORE_INDEX).nonzero().squeeze(1)
    return {name: tensor.to(device) for name, tensor in batch.items()}


def pair_numbers(document_ids: torch.Tensor) -> torch.Tensor:
    """Return a flat tensor that numbers all pairs of the batch, with 0 at padding."""
    rows = torch.arange(len(document_ids), device=document_ids.device)[:, None]
    numbers = torch.where(document_ids > 0, 3 * rows + document_ids, 0)
    return numbers.flatten()


def measure_speed(
    model: Any, batch: dict[str, torch.Tensor], tokens: int, options: argparse.Namespace
) -> dict[str, float]:
    """Return tokens per second of the median round, memory and compilation time; NaN if memory does not suffice."""
    try:
        if options.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        step = training_step(model, batch, bf16=True, compiled=not options.toy)
        compilation = warm_up(step, options.device)
        times = sorted(seconds_per_step(step, options.steps, options.device) for _ in range(options.rounds))
        median = times[options.rounds // 2]
    except torch.OutOfMemoryError:
        return dict.fromkeys(("tokens", "step", "memory", "compilation"), float("nan"))
    finally:
        model.zero_grad(set_to_none=True)
    memory = torch.cuda.max_memory_allocated() / 1e9 if options.device == "cuda" else 0.0
    return {"tokens": tokens / median, "step": 1000 * median, "memory": memory, "compilation": compilation}


def table_row(result: dict[str, float], flops: dict[str, float], peak: float) -> list[str]:
    """Format the cells of one batch size."""
    shares = [f"{result['tokens'] * value / peak:.1%}" for value in flops.values()]
    return [f"{result['tokens']:,.0f}", *shares, *(f"{result[name]:.1f}" for name in ("step", "memory", "compilation"))]


def warm_up(step: Callable[[], torch.Tensor], device: str) -> float:
    """Return the seconds of the first three steps, which include compilation."""
    start = time.monotonic()
    for _ in range(3):
        step()
    synchronize(device)
    return time.monotonic() - start


def parameters(model: Any) -> int:
    return sum(p.numel() for p in model.parameters())


BENCHMARKS: dict[str, Callable[[argparse.Namespace, float], None]] = {
    "encoder": encoder,
    "decoder": decoder,
    "mfu-decoder": mfu_decoder,
    "mfu-encoder": mfu_encoder,
}


if __name__ == "__main__":
    main()
