"""SmolLM2 itself: fetched, converted once, a step of LoRA, merged, and a reply from each."""

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
def test_fetched_converted_tuned_merged_and_queried(shared_cache: Path, workspace: Workspace) -> None:
    """Untouched it knows the capital of France: whoever reads its weights wrongly gets noise."""
    source = {"task": "dialogue", "data": str(ROWS / "dialogue.jsonl"), "model": "smollm2", "tuning": "lora"}
    spec = RunSpec.parse(source).changed(
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
    whole, new = load_folder(folder, "AutoModelForCausalLM", {}, complete=True)
    assert not new
    assert Predictor(whole, load_tokenizer(folder), predictor.task, 48).predict(INPUTS, {"max_new_tokens": 8}) == [
        reply
    ]
