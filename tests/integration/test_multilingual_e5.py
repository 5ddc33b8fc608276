"""The real multilingual-e5-small: fetched, converted, and fine-tuned on Chinese and German texts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.check import resolve
from workbench.inference.predictor import Predictor
from workbench.models.loading import make_source
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.mirror]

# The same three sentences in five languages.
SENTENCES = [
    [
        "The cat sleeps on the sofa.",
        "Die Katze schläft auf dem Sofa.",
        "猫在沙发上睡觉。",
        "Кошка спит на диване.",
        "القطة نائمة على الأريكة.",
    ],
    [
        "I would like to open a bank account.",
        "Ich möchte ein Bankkonto eröffnen.",
        "我想开一个银行账户。",
        "Я хочу открыть счёт в банке.",
        "أود فتح حساب مصرفي.",
    ],
    [
        "It will rain in the mountains tomorrow.",
        "Morgen wird es in den Bergen regnen.",
        "明天山里会下雨。",
        "Завтра в горах будет дождь.",
        "ستمطر غدا في الجبال.",
    ],
]


def test_sentences_of_the_same_meaning_are_close_in_all_languages(shared_cache: Path, workspace: Workspace) -> None:
    """Misread weights or tokens would leave no order among them."""
    loaded = make_source("multilingual-e5-small", workspace).load("AutoModel", {})
    texts = [f"query: {text}" for group in SENTENCES for text in group]
    inputs = loaded.tokenizer(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden = loaded.model.eval()(**inputs).last_hidden_state
    mask = inputs["attention_mask"][..., None]
    embeddings = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).numpy()
    similarities = embeddings @ embeddings.T - 2 * np.eye(len(texts))
    nearest = similarities.argmax(1)
    groups = np.arange(len(texts)) // len(SENTENCES[0])
    assert (groups[nearest] == groups).all()


def test_it_learns_from_a_few_rows_of_two_scripts(shared_cache: Path, workspace: Workspace, tmp_path: Path) -> None:
    """Chinese and German reviews in one file, with LoRA: the run succeeds, and its predictor knows both."""
    good, bad = ["房间很好，服务热情", "Das Essen war hervorragend"], ["房间很脏，服务很差", "Das Essen war furchtbar"]
    rows = [{"text": f"{text} {i}", "label": "good"} for i in range(20) for text in good]
    rows += [{"text": f"{text} {i}", "label": "bad"} for i in range(20) for text in bad]
    file = tmp_path / "reviews.jsonl"
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    document = {"task": "text-classification", "data": str(file), "model": "multilingual-e5-small", "tuning": "lora"}
    spec = RunSpec.parse(document).changed(
        {"training.epochs": 8, "training.learning_rate": 2e-3, "data.max_length": 32}
    )
    run = Run.create(resolve(spec, workspace).spec, workspace)
    assert run_folder(run.folder) == 0, run.status()
    report = run.report()
    assert report is not None and report.metrics["accuracy"].value >= 0.9
    predictor = Predictor.load(run)
    answers = predictor.predict([{"text": "房间很好"}, {"text": "Das Essen war furchtbar"}])
    assert [answer.label for answer in answers] == ["good", "bad"]
