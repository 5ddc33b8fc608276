"""Time of fine-tuning, ours against transformers' Trainer, in one process, round by round.

    python tests/benchmarks/finetune.py [--rounds 3] [--only full|frozen] [--ways padded,dynamic]

About three quarters of an hour on two CPU cores, most of it for the padded way; ``--ways`` runs only those whose name
holds one of the words, and ours.

MiniLM, 2,000 Rotten Tomatoes reviews, batch 32, the same examples, seeds and learning rates. Counted is training alone:
``Trainer.train()`` on one side; on ours everything between the tokens and the trained weights, the pass through frozen
layers and the last checkpoint included. Accuracy is on the same 1,000 held-out reviews.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
import torch
from _common import fresh_workspace, machine, print_table, ratios, spread
from transformers import DataCollatorWithPadding, Trainer, TrainingArguments, set_seed

from workbench.check import load_spec, resolve
from workbench.data.load import load_data
from workbench.models.loading import load_folder, load_tokenizer
from workbench.runs.run import Run
from workbench.training.job import TrainingJob
from workbench.training.reporter import RunReporter
from workbench.tuning.base import tunings

warnings.simplefilter("ignore")

DATA = {"train": "rotten-tomatoes", "limit": {"train": 2000, "test": 1000}, "holdout": {"valid": 0, "test": 0.2}}


class Bench:
    """The same reviews for both sides."""

    def __init__(self, ways: list[str], first_seed: int) -> None:
        self.ways = ways
        self.first_seed = first_seed
        self.workspace = fresh_workspace()
        self.spec = load_spec("demo-full").changed({"data": DATA})
        resolved = resolve(self.spec, self.workspace)
        self.folder = resolved.model.folder()
        self.data = load_data(self.spec.data, resolved.task.columns(), self.workspace)
        self.tokenizer = load_tokenizer(self.folder)
        self.labels = sorted(set(self.data.train.columns["label"]))

    def ours(self, seed: int, tuning: Any, epochs: int, rate: float, precision: str = "auto") -> tuple[float, float]:
        """Seconds and accuracy of our loop."""
        changes = {"tuning": tuning, "training.epochs": epochs, "training.seed": seed, "training.learning_rate": rate}
        spec = resolve(self.spec.changed({**changes, "training.precision": precision}), self.workspace).spec
        run = Run.create(spec, self.workspace)
        run.transition(("queued",), "running")
        reporter = RunReporter(run)
        reporter.info = lambda text: None  # type: ignore[method-assign]
        job = TrainingJob(run, reporter)
        prepared = job.prepare()
        trainer = job.make_trainer(prepared)
        began = time.perf_counter()
        trainer.load_best(trainer.train())
        seconds = time.perf_counter() - began
        accuracy = trainer.evaluation.evaluate(prepared.splits["test"])["eval/accuracy"]
        run.transition(("running",), "stopped")
        run.delete()
        return seconds, accuracy

    def trainer(
        self, seed: int, tuning: Any, epochs: int, rate: float, padded: bool = False, grouped: bool = False
    ) -> tuple[float, float]:
        """Seconds and accuracy of Trainer; ``padded`` to 128 as its example scripts do, or with dynamic padding."""
        set_seed(seed)
        model, _ = load_folder(self.folder, "AutoModelForSequenceClassification", {"num_labels": len(self.labels)})
        entry = tunings.get(tuning["method"] if isinstance(tuning, dict) else tuning)
        options = {k: v for k, v in tuning.items() if k != "method"} if isinstance(tuning, dict) else {}
        model = entry(entry.Config(**options)).apply(model, "SEQ_CLS")
        arguments = TrainingArguments(
            output_dir=str(self.workspace.cache / "trainer"),
            per_device_train_batch_size=32,
            per_device_eval_batch_size=64,
            learning_rate=rate,
            num_train_epochs=epochs,
            weight_decay=0.01,
            warmup_steps=0.06,
            train_sampling_strategy="group_by_length" if grouped else "random",
            save_strategy="no",
            eval_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            seed=seed,
        )
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=self._rows(self.data.train, padded),
            data_collator=None if padded else DataCollatorWithPadding(self.tokenizer),
            processing_class=self.tokenizer,
        )
        began = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - began
        predicted = trainer.predict(self._rows(self.data.test, padded))
        return seconds, float((predicted.predictions.argmax(-1) == predicted.label_ids).mean())

    def _rows(self, examples: Any, padded: bool) -> list[dict[str, Any]]:
        result = self.tokenizer(
            examples.columns["text"], truncation=True, max_length=128, padding="max_length" if padded else False
        )
        number = {label: i for i, label in enumerate(self.labels)}
        labels = [number[label] for label in examples.columns["label"]]
        return [
            {"input_ids": ids, "attention_mask": mask, "label": label}
            for ids, mask, label in zip(result["input_ids"], result["attention_mask"], labels, strict=True)
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["full", "frozen"])
    parser.add_argument("--ways", default="")
    parser.add_argument("--first-seed", type=int, default=0)
    inputs = parser.parse_args()
    bench = Bench(inputs.ways.split(","), inputs.first_seed)
    print(f"{machine()}; {torch.get_num_threads()} threads; {inputs.rounds} rounds\n")
    if inputs.only != "frozen":
        _measure(
            bench,
            "2 epochs, full fine-tuning",
            {
                "ours": lambda seed: bench.ours(seed, "full", 2, 5e-5),
                "ours, fp32": lambda seed: bench.ours(seed, "full", 2, 5e-5, "fp32"),
                "Trainer, group_by_length": lambda seed: bench.trainer(seed, "full", 2, 5e-5, grouped=True),
                "Trainer, dynamic padding": lambda seed: bench.trainer(seed, "full", 2, 5e-5),
                "Trainer, padded to 128": lambda seed: bench.trainer(seed, "full", 2, 5e-5, padded=True),
            },
            inputs.rounds,
        )
    if inputs.only != "full":
        freeze = {"method": "freeze", "layers": 5, "embeddings": True}
        for title, tuning, rate in (
            ("5 epochs, embeddings and 5 of 6 layers frozen", freeze, 5e-5),
            ("5 epochs, head", "head", 1e-3),
        ):
            _measure(
                bench,
                title,
                {
                    "ours": lambda seed, t=tuning, r=rate: bench.ours(seed, t, 5, r),
                    "ours, fp32": lambda seed, t=tuning, r=rate: bench.ours(seed, t, 5, r, "fp32"),
                    "Trainer, group_by_length": lambda seed, t=tuning, r=rate: bench.trainer(
                        seed, t, 5, r, grouped=True
                    ),
                },
                inputs.rounds,
            )


def _measure(bench: Bench, title: str, ways: dict[str, Any], rounds: int) -> None:
    """Run every way in each round, in turn, and print medians, and ratios round by round."""
    ways = {name: way for name, way in ways.items() if name == "ours" or any(word in name for word in bench.ways)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    accuracy: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            took, right = way(bench.first_seed + number)
            seconds[name].append(took)
            accuracy[name].append(right)
            print(f"<!-- round {number + 1}: {name}: {took:.1f} s, accuracy {right:.3f} -->", flush=True)
    rows = []
    for name in ways:
        against = "" if name == "ours" else spread(ratios(seconds[name], seconds["ours"]), 2)
        right = accuracy[name]
        rows.append(
            [name, spread(seconds[name]), against, f"{np.mean(right):.3f} ({min(right):.3f} to {max(right):.3f})"]
        )
    print(f"\n### {title}\n")
    print_table(["way", "seconds", "times ours", "accuracy"], rows)
    print()


if __name__ == "__main__":
    main()
