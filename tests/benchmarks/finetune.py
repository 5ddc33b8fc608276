"""Compare the fine-tuning time of our loop with transformers' Trainer, in one process, round by round.

    python tests/benchmarks/finetune.py [--rounds 3] [--only full|frozen] [--variants padded,dynamic]

This takes about three quarters of an hour on two CPU cores, most of it for the padded variant. ``--variants`` runs ours
and only those variants whose name contains one of the words.

MiniLM, 2,000 Rotten Tomatoes reviews, batch size 32; the same examples, seeds and learning rates. The time is that of
training only: of ``Trainer.train()``, and in our loop of everything between the tokens and the trained weights,
including the pass through frozen layers and the last checkpoint. Accuracy is on the same 1,000 held-out reviews.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
import torch
from _common import fresh_workspace, machine, print_table, speedups, spread
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


class Benchmark:
    """Trains on the same reviews with our loop and with Trainer."""

    def __init__(self, variants: list[str], first_seed: int) -> None:
        self.variants = variants
        self.first_seed = first_seed
        self.workspace = fresh_workspace()
        self.spec = load_spec("demo-full").changed({"data": DATA})
        resolved = resolve(self.spec, self.workspace)
        self.folder = resolved.model.folder()
        self.data = load_data(self.spec.data, resolved.task.columns(), self.workspace)
        self.tokenizer = load_tokenizer(self.folder)
        self.labels = sorted(set(self.data.train.columns["label"]))

    def ours(self, seed: int, tuning: Any, epochs: int, rate: float, precision: str = "auto") -> tuple[float, float]:
        """Return seconds and accuracy of our loop."""
        changes = {"tuning": tuning, "training.epochs": epochs, "training.seed": seed, "training.learning_rate": rate}
        spec = resolve(self.spec.changed({**changes, "training.precision": precision}), self.workspace).spec
        run = Run.create(spec, self.workspace)
        run.transition(("queued",), "running")
        reporter = RunReporter(run)
        reporter.info = lambda text: None  # type: ignore[method-assign]
        job = TrainingJob(run, reporter)
        prepared = job.prepare()
        trainer = job.make_trainer(prepared)
        start = time.perf_counter()
        trainer.load_best(trainer.train())
        seconds = time.perf_counter() - start
        accuracy = trainer.evaluation.evaluate(prepared.splits["test"])["eval/accuracy"]
        run.transition(("running",), "stopped")
        run.delete()
        return seconds, accuracy

    def trainer(
        self, seed: int, tuning: Any, epochs: int, rate: float, padded: bool = False, grouped: bool = False
    ) -> tuple[float, float]:
        """Return seconds and accuracy of Trainer, ``padded`` to 128 as in its example scripts or padded dynamically."""
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
        start = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - start
        predicted = trainer.predict(self._rows(self.data.test, padded))
        return seconds, float((predicted.predictions.argmax(-1) == predicted.label_ids).mean())

    def _rows(self, examples: Any, padded: bool) -> list[dict[str, Any]]:
        encoded = self.tokenizer(
            examples.columns["text"], truncation=True, max_length=128, padding="max_length" if padded else False
        )
        label_ids = {label: i for i, label in enumerate(self.labels)}
        labels = [label_ids[label] for label in examples.columns["label"]]
        return [
            {"input_ids": ids, "attention_mask": mask, "label": label}
            for ids, mask, label in zip(encoded["input_ids"], encoded["attention_mask"], labels, strict=True)
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["full", "frozen"])
    parser.add_argument("--variants", default="")
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    benchmark = Benchmark(options.variants.split(","), options.first_seed)
    print(f"{machine()}; {torch.get_num_threads()} threads; {options.rounds} rounds\n")
    if options.only != "frozen":
        _measure(
            benchmark,
            "2 epochs, full fine-tuning",
            {
                "ours": lambda seed: benchmark.ours(seed, "full", 2, 5e-5),
                "ours, fp32": lambda seed: benchmark.ours(seed, "full", 2, 5e-5, "fp32"),
                "Trainer, group_by_length": lambda seed: benchmark.trainer(seed, "full", 2, 5e-5, grouped=True),
                "Trainer, dynamic padding": lambda seed: benchmark.trainer(seed, "full", 2, 5e-5),
                "Trainer, padded to 128": lambda seed: benchmark.trainer(seed, "full", 2, 5e-5, padded=True),
            },
            options.rounds,
        )
    if options.only != "full":
        freeze = {"method": "freeze", "layers": 5, "embeddings": True}
        for title, tuning, rate in (
            ("5 epochs, embeddings and 5 of 6 layers frozen", freeze, 5e-5),
            ("5 epochs, head", "head", 1e-3),
        ):
            _measure(
                benchmark,
                title,
                {
                    "ours": lambda seed, t=tuning, r=rate: benchmark.ours(seed, t, 5, r),
                    "ours, fp32": lambda seed, t=tuning, r=rate: benchmark.ours(seed, t, 5, r, "fp32"),
                    "Trainer, group_by_length": lambda seed, t=tuning, r=rate: benchmark.trainer(
                        seed, t, 5, r, grouped=True
                    ),
                },
                options.rounds,
            )


def _measure(benchmark: Benchmark, title: str, variants: dict[str, Any], rounds: int) -> None:
    """Run all variants in turn in each round; print medians and the speedup per round."""
    selected = {
        name: train
        for name, train in variants.items()
        if name == "ours" or any(word in name for word in benchmark.variants)
    }
    seconds: dict[str, list[float]] = {name: [] for name in selected}
    accuracies: dict[str, list[float]] = {name: [] for name in selected}
    for number in range(rounds):
        for name, train in selected.items():
            elapsed, accuracy = train(benchmark.first_seed + number)
            seconds[name].append(elapsed)
            accuracies[name].append(accuracy)
            print(f"<!-- round {number + 1}: {name}: {elapsed:.1f} s, accuracy {accuracy:.3f} -->", flush=True)
    rows = []
    for name, values in accuracies.items():
        relative = "" if name == "ours" else spread(speedups(seconds[name], seconds["ours"]), 2)
        mean = f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"
        rows.append([name, spread(seconds[name]), relative, mean])
    print(f"\n### {title}\n")
    print_table(["variant", "seconds", "relative to ours", "accuracy"], rows)
    print()


if __name__ == "__main__":
    main()
