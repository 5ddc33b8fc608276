"""Speed of pretraining on a GPU: ours against transformers, and the share of the device's peak (MFU).

    python tests/gpu/pretraining_speed.py [--only encoder,decoder,mfu-decoder,mfu-encoder] [--minutes 7.5]

Needs torch, transformers, accelerate, peft, numpy, pyyaml, pydantic and what these need; no data, no network. Under
eight minutes: a part that would begin after ``--minutes`` is left out, and told of. Tokens are random: speed does not
depend on them.

    encoder       a training step of our encoder (BERT-base) and of BertForMaskedLM, both compiled, bf16, SDPA
    decoder       the same of our decoder (GPT-2, 124M) and GPT2LMHeadModel, sequence 1024
    mfu-decoder   tokens a second and MFU of the 124M decoder, sequence 1024, batch sizes in turn until memory ends
    mfu-encoder   the same of BERT-base, masked-lm-nsp, rows of 128 with several pairs packed into each, the output head
                  on masked places only; only tokens that are no padding count

MFU = tokens a second x FLOPs a token / dense bf16 peak, with FLOPs a token = 6 N + 12 L d T (N: parameters without
embeddings that are only looked up; a matrix that is embedding and output counts). Of the encoder a second figure counts
what is really needed: the output head at masked places only, and attention within each pair only. Time to compile is
told apart, and is in none of the figures.
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

from tests.benchmarks._common import print_table, ratios, spread
from tests.benchmarks._steps import (
    IGNORED,
    MASKED,
    SIZES,
    causal_batch,
    check_same_loss,
    decoder_pair,
    encoder_pair,
    masked_batch,
    seconds,
    synchronize,
    training_step,
)
from workbench.models.networks.heads import DecoderForCausalLM, EncoderForPreTraining
from workbench.models.networks.transformer import DecoderConfig, EncoderConfig
from workbench.training.flops import flops_per_token, peak_flops

BEGAN = time.monotonic()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--minutes", type=float, default=7.5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--toy", action="store_true", help="tiny, on the CPU, uncompiled: to try the script")
    options = parser.parse_args()
    if not options.toy and not torch.cuda.is_available():
        raise SystemExit("No CUDA device. --toy tries the script on the CPU.")
    options.device = "cpu" if options.toy else "cuda"
    torch.set_float32_matmul_precision("high")
    peak, how = peak_flops(options.device, "bf16")
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU (toy sizes: no figure means anything)"
    print(f"{name}; torch {torch.__version__}; peak {peak / 1e12:.1f} TFLOP/s bf16 ({how})\n")
    for part in options.only.split(","):
        if time.monotonic() - BEGAN > 60 * options.minutes:
            print(f"\n{part}: left out, {options.minutes} minutes are over.")
            continue
        PARTS[part](options, peak)
        if options.device == "cuda":
            torch.cuda.empty_cache()
    print(f"\n{(time.monotonic() - BEGAN) / 60:.1f} minutes in all")


# -- ours against transformers -------------------------------------------------------------------------------------


def encoder(options: argparse.Namespace, peak: float) -> None:
    size, rows, length = ("tiny", 2, 16) if options.toy else ("base", 256, 128)
    models = {name: model.to(options.device) for name, model in encoder_pair(size, length, 0.1, 0.1).items()}
    batch = masked_batch(SIZES[size][2], rows, length, options.device)
    versus(f"Encoder of BERT-base, masked words, {rows} x {length} tokens", models, batch, options)


def decoder(options: argparse.Namespace, peak: float) -> None:
    size, rows, length = ("tiny", 2, 16) if options.toy else ("gpt2", 16, 1024)
    models = {name: model.to(options.device) for name, model in decoder_pair(size, length, 0.0, 0.0).items()}
    batch = causal_batch(SIZES[size][2], rows, length, options.device)
    versus(f"Decoder of GPT-2 (124M), {rows} x {length} tokens", models, batch, options)


def versus(title: str, models: dict[str, Any], batch: dict[str, torch.Tensor], options: argparse.Namespace) -> None:
    """Both compiled, timed in turn."""
    few = {name: tensor[:2] for name, tensor in batch.items()}
    loss = check_same_loss(models, few, tolerance=1e-2)  # TF32 keeps three digits
    steps, compiling = {}, {}
    for name, model in models.items():
        steps[name] = training_step(model, batch, bf16=True, compiled=not options.toy)
        compiling[name] = warm_up(steps[name], options.device)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(options.rounds):
        for name in list(steps) if number % 2 == 0 else list(reversed(steps)):
            times[name].append(1000 * seconds(steps[name], options.steps, options.device))
    print(f"\n### {title}\n\nLoss of both before training: {loss:.4f}\n")
    tokens = batch["input_ids"].numel()
    rows = [
        [
            name,
            spread(took),
            f"{1000 * tokens / sorted(took)[len(took) // 2]:,.0f}",
            spread(ratios(times["transformers"], took), 2) if name == "ours" else "",
            f"{compiling[name]:.0f}",
        ]
        for name, took in times.items()
    ]
    print_table(["way", "ms a step", "tokens/s", "times the speed of transformers", "compiling, s"], rows)


# -- the share of the peak -----------------------------------------------------------------------------------------


def mfu_decoder(options: argparse.Namespace, peak: float) -> None:
    width, layers, words = SIZES["tiny" if options.toy else "gpt2"]
    length, choices = (16, [2, 4]) if options.toy else (1024, [16, 32, 64])
    torch.manual_seed(0)
    config = DecoderConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        intermediate_size=4 * width,
        max_position_embeddings=length,
        dropout=0.0,
        attention_dropout=0.0,
    )
    model = DecoderForCausalLM(config).to(options.device).train()
    arithmetic = flops_per_token(model, length)
    print(f"\n### MFU, decoder of {parameters(model):,} weights, sequence {length}\n")
    rows = []
    for size in choices:
        batch = causal_batch(words, size, length, options.device)
        result = rate(model, batch, size * length, options)
        rows.append([f"{size} x {length}", *row(result, {"MFU": arithmetic}, peak)])
    print_table(["batch", "tokens/s", "MFU", "ms a step", "memory, GB", "compiling, s"], rows)


def mfu_encoder(options: argparse.Namespace, peak: float) -> None:
    width, layers, words = SIZES["tiny" if options.toy else "base"]
    length, choices = (128, [2, 4]) if options.toy else (128, [256, 512])
    words = -(-words // 64) * 64  # full tiles of the tensor cores
    torch.manual_seed(0)
    config = EncoderConfig(
        vocab_size=words,
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
    arithmetic = flops_per_token(model, length)
    head = 6.0 * sum(p.numel() for p in model.head.parameters())  # of which only the masked places need any
    print(f"\n### MFU, encoder of {parameters(model):,} weights, masked-lm-nsp, sequence {length}, packed\n")
    rows = []
    for size in choices:
        batch = packed_pairs(words, size, length, options.device)
        text = int((batch["document_ids"] > 0).sum())
        share = float((batch["labels"] != IGNORED).sum()) / text
        result = rate(model, batch, text, options)
        lengths = torch.bincount(pair_numbers(batch["document_ids"])).double()[1:]
        attended = float((lengths**2).sum() / lengths.sum())  # tokens that a token sees, itself counted
        needed = arithmetic - head * (1 - share) - 12 * layers * width * (length - attended)
        filled = f"{size} x {length}, {text / (size * length):.0%} text"
        rows.append([filled, *row(result, {"6N + 12LdT": arithmetic, "needed": needed}, peak)])
    head_line = ["batch", "tokens of text/s", "MFU (6N + 12 L d T)", "MFU (what is needed)"]
    print_table([*head_line, "ms a step", "memory, GB", "compiling, s"], rows)


def packed_pairs(words: int, rows: int, length: int, device: str) -> dict[str, torch.Tensor]:
    """Rows of pairs of sentences, several in each, as masked-lm-nsp packs them; the last tokens are padding.

    Every row has as many masked places, so that the compiled model meets one shape.
    """
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, words, (rows, length), generator=generator)
    documents = torch.zeros(rows, length, dtype=torch.long)
    types = torch.zeros(rows, length, dtype=torch.long)
    follows = torch.full((rows, length), IGNORED)
    cut = torch.randint(length // 4, length // 2, (rows, 2), generator=generator)
    for row in range(rows):  # three pairs of uneven length; what is left over at the end is under 3%
        ends = [int(cut[row, 0]), int(cut[row, 0] + cut[row, 1] // 2), length - row % 4]
        for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True), start=1):
            documents[row, start:end] = number
            types[row, (start + end) // 2 : end] = 1
            follows[row, start] = (row + number) % 2
    draw = torch.rand(rows, length, generator=generator).masked_fill(documents == 0, 2.0)
    labels = ids.masked_fill(draw.argsort(dim=1).argsort(dim=1) >= round(MASKED * (length - 4)), IGNORED)
    batch = {"input_ids": ids, "document_ids": documents, "token_type_ids": types, "labels": labels}
    batch |= {"next_sentence_label": follows}
    for name, targets in (("label_positions", labels), ("pair_positions", follows)):  # as the task's batches have them
        batch[name] = (targets.flatten() != IGNORED).nonzero().squeeze(1)
    return {name: tensor.to(device) for name, tensor in batch.items()}


def pair_numbers(document_ids: torch.Tensor) -> torch.Tensor:
    """A number of its own for each pair of the whole batch, 0 on padding; flat."""
    rows = torch.arange(len(document_ids), device=document_ids.device)[:, None]
    numbers = torch.where(document_ids > 0, 3 * rows + document_ids, 0)
    return numbers.flatten()


def rate(model: Any, batch: dict[str, torch.Tensor], tokens: int, options: argparse.Namespace) -> dict[str, float]:
    """Tokens a second over the rounds' median, memory, time to compile; NaN when memory does not do."""
    try:
        if options.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        step = training_step(model, batch, bf16=True, compiled=not options.toy)
        compiling = warm_up(step, options.device)
        took = sorted(seconds(step, options.steps, options.device) for _ in range(options.rounds))[options.rounds // 2]
    except torch.OutOfMemoryError:
        return dict.fromkeys(("tokens", "step", "memory", "compiling"), float("nan"))
    finally:
        model.zero_grad(set_to_none=True)
    memory = torch.cuda.max_memory_allocated() / 1e9 if options.device == "cuda" else 0.0
    return {"tokens": tokens / took, "step": 1000 * took, "memory": memory, "compiling": compiling}


def row(result: dict[str, float], arithmetic: dict[str, float], peak: float) -> list[str]:
    """The cells of one batch size."""
    shares = [f"{result['tokens'] * flops / peak:.1%}" for flops in arithmetic.values()]
    return [f"{result['tokens']:,.0f}", *shares, *(f"{result[name]:.1f}" for name in ("step", "memory", "compiling"))]


def warm_up(step: Callable[[], torch.Tensor], device: str) -> float:
    """Seconds of the first three steps, in which a compiled model is compiled."""
    began = time.monotonic()
    for _ in range(3):
        step()
    synchronize(device)
    return time.monotonic() - began


def parameters(model: Any) -> int:
    return sum(p.numel() for p in model.parameters())


PARTS: dict[str, Callable[[argparse.Namespace, float], None]] = {
    "encoder": encoder,
    "decoder": decoder,
    "mfu-decoder": mfu_decoder,
    "mfu-encoder": mfu_encoder,
}


if __name__ == "__main__":
    main()
