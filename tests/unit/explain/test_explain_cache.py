"""Stored measurements: files of earlier versions load, damaged ones are ignored."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workbench.explain.dataset_faithfulness import read_dataset_faithfulness
from workbench.explain.internals.cache import load_importance, load_layers, load_patterns, save_measurement
from workbench.explain.internals.heads import HeadImportance
from workbench.explain.internals.layers import LayerImportance

INTERVAL = {"value": 0.2, "low": 0.1, "high": 0.3}
OLD_FILES: dict[str, Any] = {
    "explanations/occlusion.json": {
        "method": "occlusion",
        "examples": 3,
        "comprehensiveness": INTERVAL,
        "sufficiency": INTERVAL,
        "against_random": INTERVAL,
        "against_attention": None,
        "share": 0.2,
        "sentence": "Over 3 texts, hiding what occlusion marks drops the prediction more than hiding random tokens.",
    },
    "heads/patterns.json": {
        "texts": 2,
        "entropy": [[1.0]],
        "distance": [[2.0]],
        "patterns": {"separator": [[0.9]]},
        "even": {"separator": 0.1},
        "measured": {"separator": 40},
        "named": [{"layer": 0, "head": 0, "pattern": "separator", "share": 0.9, "even": 0.1}],
        "notes": [],
    },
    "heads/importance-ablation.json": {
        "measure": "ablation",
        "texts": 2,
        "importance": [[0.5]],
        "order": [{"layer": 0, "head": 0, "importance": 0.5}],
    },
    "heads/layers.json": {"texts": 2, "importance": [0.5], "low": [0.4], "high": [0.6]},
}


@pytest.fixture
def run(tmp_path: Path) -> Any:
    return SimpleNamespace(folder=tmp_path)


def test_files_of_earlier_versions_load(run: Any) -> None:
    for name, document in OLD_FILES.items():
        path = run.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document), encoding="utf-8")
    evaluation = read_dataset_faithfulness(run.folder)["occlusion"]
    results = [evaluation, load_patterns(run), load_importance(run), load_layers(run)]
    assert [result.as_dict() for result in results if result is not None] == list(OLD_FILES.values())


def test_a_damaged_file_is_measured_again(run: Any) -> None:
    (run.folder / "heads").mkdir()
    for content in ('{"texts": 1', "[1]", '{"texts": 1, "unknown": 2}'):
        (run.folder / "heads" / "layers.json").write_text(content, encoding="utf-8")
        assert load_layers(run) is None
    save_measurement(run, LayerImportance(1, [0.5], [0.4], [0.6]))
    assert load_layers(run) == LayerImportance(1, [0.5], [0.4], [0.6])


def test_each_measure_has_its_own_file(run: Any) -> None:
    importance = HeadImportance("gradient", 1, [[0.5]], [{"layer": 0, "head": 0, "importance": 0.5}])
    save_measurement(run, importance)
    assert load_importance(run, "gradient") == importance and load_importance(run) is None
