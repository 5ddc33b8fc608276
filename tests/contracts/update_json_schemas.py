"""Write ``json_schemas.json`` after an intended change: ``python -m tests.contracts.update_json_schemas``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.contracts.json_examples import ANSWER_TYPES, answer_examples, explain_examples, explain_types
from tests.contracts.json_shapes import Shapes
from workbench.check import Problem
from workbench.cli.views import Entry
from workbench.compare.results import Comparison
from workbench.data.catalogue.sources import EntryInfo
from workbench.data.overview import Overview
from workbench.data.text.tokenizers import TrainedTokenizer
from workbench.explain import DatasetFaithfulness
from workbench.explain.internals.aggregates import HeadPatterns
from workbench.explain.internals.heads import HeadImportance
from workbench.explain.internals.layers import LayerImportance
from workbench.jobs import QueueStatus
from workbench.jobs.sweeps import SweepDetails, SweepSummary
from workbench.runs import documents
from workbench.runs.documents import Estimate, RunSummary

PATH = Path(__file__).parent / "json_schemas.json"

PRINTED: dict[str, Any] = {
    "run, range-test, submit, resume, stop, show, prune": RunSummary,
    "runs": list[RunSummary],
    "compare, demo": Comparison,
    "check": list[Problem],
    "estimate": Estimate,
    "faithfulness": DatasetFaithfulness,
    "heads": HeadImportance | HeadPatterns | LayerImportance,
    "sweep": SweepSummary,
    "sweeps": list[SweepSummary],
    "sweeps NAME": SweepDetails,
    "queue": QueueStatus,
    "tasks, models, tunings, explainers": list[Entry],
    "data list": list[EntryInfo],
    "data show": EntryInfo,
    "data check": Overview,
    "tokenizer train": TrainedTokenizer,
}
FILES = (
    documents.Status,
    documents.Report,
    documents.Environment,
    documents.BaseNote,
    documents.Splits,
)


def json_schemas() -> dict[str, Any]:
    """Return what each command prints with ``--json`` and each file holds, and the fields of every class in them."""
    shapes = Shapes()
    roots: dict[str, str] = {document.file_name: shapes.of_type(document) for document in FILES}
    printed = {command: shapes.of_type(kind) for command, kind in PRINTED.items()}
    answers = [shapes.of_examples(name, ANSWER_TYPES, *examples) for name, examples in answer_examples().items()]
    printed["predict"] = "list of " + f"({' | '.join(answers)})"
    printed["explain"] = shapes.of_examples("Explanation", explain_types(), *explain_examples())
    roots |= {f"workbench {command} --json": text for command, text in printed.items()}
    return {"documents": dict(sorted(roots.items())), "fields": dict(sorted(shapes.classes.items()))}


if __name__ == "__main__":
    PATH.write_text(json.dumps(json_schemas(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
