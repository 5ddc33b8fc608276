"""A user's own file as a spreadsheet exports it, from the command line to a prediction; and one with a bad row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.integration.cli_process import assert_finished_run, call, call_json
from tests.tiny import make_model, reviews
from workbench.workspace import Workspace


def write_sheet(path: Path, encoding: str, rows: list[tuple[str, str]]) -> Path:
    """Write rows with semicolons, quoted line breaks, decimal commas, and column names with a space."""
    lines = ["Review Text;Sentiment;Stars"]
    lines += [f'"{text}";{label};"3,5"' for text, label in rows]
    path.write_bytes("\r\n".join(lines).encode(encoding) + b"\r\n")
    return path


def write_spec(workspace: Workspace, data: Path) -> str:
    make_model(workspace.uploads / "tiny")
    spec = {
        "task": "text-classification",
        "data": {"train": str(data), "max_length": 32, "columns": {"text": "Review Text"}},
        "model": f"path:{workspace.uploads / 'tiny'}",
        "training": {"epochs": 1, "device": "cpu"},
    }
    (workspace.root / "spec.yaml").write_text(yaml.safe_dump(spec))
    return "spec.yaml"


def sheet_rows() -> list[tuple[str, str]]:
    """Return reviews as found in spreadsheets: accents, line breaks, doubled quotes, and some without text."""
    rows = [(f"café “{text}” — naïve", label) for text, label in reviews(120)]
    rows[3] = ("first line\nsecond line", "bad")
    rows[4] = ('he said ""great""', "good")
    for empty in (10, 11, 57):
        rows[empty] = ("   ", rows[empty][1])
    return rows


@pytest.mark.slow
def test_a_spreadsheet_from_windows(live_workspace: Workspace, tmp_path: Path) -> None:
    for encoding in ("cp1252", "utf-8-sig"):
        sheet = write_sheet(tmp_path / f"reviews {encoding}.csv", encoding, sheet_rows())
        spec = write_spec(live_workspace, sheet)
        if encoding == "cp1252":
            document = call_json(live_workspace, "run", spec, "--set", "data.encoding=cp1252")
        else:
            document = call_json(live_workspace, "run", spec)
        assert_finished_run(document)
        folder = live_workspace.runs / document["id"]
        report = json.loads((folder / "data.json").read_text())
        assert report["left_out"] and sum(item["count"] for item in report["left_out"]) == 3
        used = sum(part["rows"] for part in report["parts"].values())
        assert used + 3 == 120, "unused rows must be listed"
        assert sum(map(len, json.loads((folder / "splits.json").read_text())["ids"].values())) == used
        assert "'Sentiment' is used as label" in json.dumps(report["notes"])
    texts = ["café “great” — naïve", "dull"]
    results = call_json(live_workspace, "predict", document["id"], "--text", texts[0], "--text", texts[1])
    assert [result["label"] in ("good", "bad") for result in results] == [True, True]


def test_a_bad_row_is_named(live_workspace: Workspace, tmp_path: Path) -> None:
    sheet = write_sheet(tmp_path / "reviews.csv", "utf-8", sheet_rows())
    lines = sheet.read_text().split("\n")
    lines[40] = lines[40].strip() + ";one;too;many"
    sheet.write_text("\n".join(lines))
    done = call(live_workspace, "run", write_spec(live_workspace, sheet))
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "41" in done.stderr and "reviews.csv" in done.stderr, done.stderr
    assert call_json(live_workspace, "runs") == [], "the data is read before a run is queued"
