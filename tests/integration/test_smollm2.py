"""The real SmolLM2: fetched, converted, tuned with LoRA for one step, merged, and queried."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.check import resolve
from workbench.inference.merging import merge
from workbench.inference.predictor import Predictor
from workbench.models.loading import load_folder, load_tokenizer
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

pytestmark = pytest.mark.slow

ROWS = Path(__file__).resolve().parent.parent / "rows"
INPUTS = [{"text": "What is the capital of France?"}]


@pytest.mark.mirror
def test_smollm2_replies_after_tuning_and_merging(shared_cache: Path, workspace: Workspace) -> None:
    """The pretrained model knows the capital of France; with misread weights it would output noise."""
    document = {"task": "dialogue", "data": str(ROWS / "dialogue.jsonl"), "model": "smollm2", "tuning": "lora"}
    spec = RunSpec.parse(document).changed(
        {
            "task.written": 2,
            "task.ranked": 0,
            "task.max_new_tokens": 8,
            "data.max_length": 48,
            "data.limit.test": 4,
            "data.holdout.valid": 0,
            "training.max_steps": 1,
            "training.batch_size": 4,
            "training.learning_rate": 1e-5,
            "training.device": "cpu",
            "training.precision": "fp32",
        }
    )
    run = Run.create(resolve(spec, workspace).spec, workspace)
    assert run_folder(run.folder) == 0, run.status()
    report = run.report()
    assert report.metrics["perplexity"].value == pytest.approx(report.baseline["perplexity"], rel=0.2)
    predictor = Predictor.load(run)
    (reply,) = predictor.predict(INPUTS, {"max_new_tokens": 8})
    assert "Paris" in reply.text
    folder = merge(run)
    merged, newly_initialized = load_folder(folder, "AutoModelForCausalLM", {}, complete=True)
    assert not newly_initialized
    merged_predictor = Predictor(merged, load_tokenizer(folder), predictor.task, 48)
    assert merged_predictor.predict(INPUTS, {"max_new_tokens": 8}) == [reply]
