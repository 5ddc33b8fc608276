"""A model and data small enough to train in a second: a BERT with some thousand weights, and learnable reviews."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

from workbench.check import resolve
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.workspace import Workspace

GOOD = ["wonderful", "lovely", "great", "superb", "charming"]
BAD = ["dreadful", "boring", "awful", "dull", "clumsy"]
OTHER = [
    "the",
    "film",
    "a",
    "story",
    "is",
    "and",
    "with",
    "of",
    "its",
    "actors",
    "scene",
    "ending",
    "music",
    "plot",
    "very",
    "quite",
    "really",
]


def make_model(folder: Path, layers: int = 3, dropout: float = 0.1, seed: int = 0) -> Path:
    """Save a random BERT body with a word-level tokenizer in transformers' format."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *OTHER]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    special = {
        "unk_token": "[UNK]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_input_names=["input_ids", "token_type_ids", "attention_mask"], **special
    )
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=128,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        pad_token_id=0,
    )
    folder.mkdir(parents=True, exist_ok=True)
    BertModel(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def fill_with_nan(model: Path) -> None:
    """Make the embeddings of a model's words NaN. Only a loss shows it."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    tensors = load_file(model / "model.safetensors")
    name = next(name for name in tensors if name.endswith("word_embeddings.weight"))
    tensors[name] = np.full_like(tensors[name], np.nan)
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})


def reviews(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return texts of 4 to 20 words with one informative word each, and their labels."""
    generator = random.Random(seed)
    rows = []
    for number in range(count):
        words = generator.choices(OTHER, k=generator.randint(3, 19))
        words.insert(generator.randrange(len(words)), generator.choice(GOOD if number % 2 else BAD))
        rows.append((" ".join(words), "good" if number % 2 else "bad"))
    return rows


def write_csv(path: Path, count: int = 120, seed: int = 0) -> Path:
    """Write a CSV file of :func:`reviews`."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(reviews(count, seed))
    return path


def make_run(workspace: Workspace, changes: dict[str, Any] | None = None, model: dict[str, Any] | None = None) -> Run:
    """Return a queued run of the tiny model on the tiny reviews; ``changes`` are fields of its spec by dotted path."""
    folder = workspace.uploads / "tiny"
    if not (folder / "config.json").exists():
        make_model(folder, **(model or {}))
    data = workspace.uploads / "reviews.csv"
    if not data.exists():
        write_csv(data)
    spec = RunSpec.parse(
        {
            "name": "tiny",
            "task": "text-classification",
            "data": str(data),
            "model": f"path:{folder}",
            "training": {
                "epochs": 3,
                "batch_size": 8,
                "learning_rate": 1e-3,
                "log_every": 1,
                "device": "cpu",
                "precision": "fp32",
            },
        }
    )
    return Run.create(resolve(spec.changed(changes or {}), workspace).spec, workspace)


def assert_gains_agree(report: dict[str, Any]) -> None:
    """Check that each improvement is the difference between the metric and the baseline (negated for a loss)."""
    import pytest

    from workbench.metrics.measures import SMALLER_IS_BETTER

    assert report["gain"].keys() <= report["metrics"].keys() & report["baseline"].keys()
    for name, gain in report["gain"].items():
        sign = -1 if name in SMALLER_IS_BETTER else 1
        difference = sign * (report["metrics"][name]["value"] - report["baseline"][name])
        assert gain["value"] == pytest.approx(difference, abs=1e-9), name
        assert gain["low"] <= gain["value"] <= gain["high"] or gain["low"] == pytest.approx(gain["high"]), name
