"""The folder of a run: which files it has, and where they are.

    spec.yaml            the whole spec, every default written out
    status.json          state, progress, process, heartbeat; on failure the error    (replaced atomically)
    metrics.jsonl        a JSON object a line                                          (appended)
    samples.jsonl        texts that the model generated during training                (appended)
    confusion.jsonl      a confusion matrix for each evaluation                        (appended)
    usage.jsonl          processor, memory and GPU use during the run                  (appended)
    notes.json           tags, a note, whether the run is archived                     (replaced atomically)
    log.txt              everything that the process printed                           (appended)
    environment.json     versions, device, fingerprint of the data, seed
    splits.json          which example is in which split
    data.json            the report on the data: rows, labels, lengths, what was left out
    estimate.json        what the run was expected to cost
    predictions.parquet  a row for each evaluated example (predictions.jsonl without pyarrow)
    report.json          final metrics with intervals, baseline, cost
    range-test.svg       loss over learning rate, of a range test
    checkpoints/         weights (safetensors only), optimizer, scheduler, position in the data
    model/               the result in transformers' format, or the adapter; workbench.json names its base
    merged/              adapter and base as one model, once they were merged
    tokenizer/           a tokenizer that was trained for this run
    heads/               cached aggregates over attention heads
    explanations/        cached explanations
    variables.json       environment variables for its process, until it starts; only the owner can read it
    run.lock             held by the run's process while it lives
    status.lock          held while status.json is changed
    notes.lock           held while notes.json is changed
    stop                 exists when the run was asked to stop

The documents among them are described in :mod:`workbench.runs.documents`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from workbench.workspace import Workspace


@dataclass(frozen=True)
class RunFolder:
    """The paths in a run's folder; none of them needs to exist."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def workspace(self) -> Workspace:
        """The workspace that the folder is in."""
        return Workspace(self.folder.parent.parent)

    @property
    def spec_file(self) -> Path:
        return self.folder / "spec.yaml"

    @property
    def status_file(self) -> Path:
        return self.folder / "status.json"

    @property
    def metrics_file(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def samples_file(self) -> Path:
        return self.folder / "samples.jsonl"

    @property
    def confusion_file(self) -> Path:
        return self.folder / "confusion.jsonl"

    @property
    def usage_file(self) -> Path:
        return self.folder / "usage.jsonl"

    @property
    def notes_file(self) -> Path:
        return self.folder / "notes.json"

    @property
    def log_file(self) -> Path:
        return self.folder / "log.txt"

    @property
    def environment_file(self) -> Path:
        return self.folder / "environment.json"

    @property
    def variables_file(self) -> Path:
        return self.folder / "variables.json"

    @property
    def splits_file(self) -> Path:
        return self.folder / "splits.json"

    @property
    def data_file(self) -> Path:
        return self.folder / "data.json"

    @property
    def estimate_file(self) -> Path:
        return self.folder / "estimate.json"

    @property
    def report_file(self) -> Path:
        return self.folder / "report.json"

    @property
    def predictions_files(self) -> tuple[Path, Path]:
        """Where predictions are written with pyarrow, and without; at most one of the two exists."""
        return self.folder / "predictions.parquet", self.folder / "predictions.jsonl"

    @property
    def range_test_file(self) -> Path:
        return self.folder / "range-test.svg"

    @property
    def checkpoints_folder(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def model_folder(self) -> Path:
        return self.folder / "model"

    @property
    def base_note_file(self) -> Path:
        """Beside the model: how to load it, and which base it needs."""
        return self.model_folder / "workbench.json"

    @property
    def merged_folder(self) -> Path:
        return self.folder / "merged"

    @property
    def tokenizer_folder(self) -> Path:
        return self.folder / "tokenizer"

    @property
    def heads_folder(self) -> Path:
        return self.folder / "heads"

    @property
    def explanations_folder(self) -> Path:
        return self.folder / "explanations"

    @property
    def lock_file(self) -> Path:
        return self.folder / "run.lock"

    @property
    def stop_file(self) -> Path:
        return self.folder / "stop"

    def stop_requested_at(self) -> str | None:
        """Return when the run was asked to stop, ISO 8601; None if it was not."""
        try:
            return datetime.fromtimestamp(self.stop_file.stat().st_mtime, UTC).isoformat()
        except OSError:
            return None
