"""A stranger's own file, as a spreadsheet writes it, from the command line to a prediction; and one with a bad row."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests.integration.test_cli import call, ending, is_finished_run, read
from tests.tiny import make_model, reviews
from workbench.workspace import Workspace

__all__ = ["ending"]


def write_sheet(path: Path, encoding: str, rows: list[tuple[str, str]]) -> Path:
    """Semicolons, quoted line ends, a comma for decimals, and column names with a space."""
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


def rows() -> list[tuple[str, str]]:
    """Reviews with what sheets hold: accents, line ends, doubled quotes; some without any text."""
    rows = [(f"café “{text}” — naïve", label) for text, label in reviews(120)]
    rows[3] = ("first line\nsecond line", "bad")
    rows[4] = ('he said ""great""', "good")
    for empty in (10, 11, 57):
        rows[empty] = ("   ", rows[empty][1])
    return rows


def test_a_sheet_from_windows(ending: Workspace, tmp_path: Path) -> None:
    for encoding in ("cp1252", "utf-8-sig"):
        sheet = write_sheet(tmp_path / f"reviews {encoding}.csv", encoding, rows())
        spec = write_spec(ending, sheet)
        if encoding == "cp1252":
            document = read(ending, "run", spec, "--set", "data.encoding=cp1252")
        else:
            document = read(ending, "run", spec)
        is_finished_run(document)
        folder = ending.runs / document["id"]
        report = json.loads((folder / "data.json").read_text())
        assert report["left_out"] and sum(item["count"] for item in report["left_out"]) == 3
        used = sum(part["rows"] for part in report["parts"].values())
        assert used + 3 == 120, "what is not used must be listed"
        assert sum(map(len, json.loads((folder / "splits.json").read_text())["ids"].values())) == used
        assert "'Sentiment' is used as label" in json.dumps(report["notes"])
    texts = ["café “great” — naïve", "dull"]
    results = read(ending, "predict", document["id"], "--text", texts[0], "--text", texts[1])
    assert [result["label"] in ("good", "bad") for result in results] == [True, True]


def test_a_bad_row_is_named(ending: Workspace, tmp_path: Path) -> None:
    sheet = write_sheet(tmp_path / "reviews.csv", "utf-8", rows())
    lines = sheet.read_text().split("\n")
    lines[40] = lines[40].strip() + ";one;too;many"
    sheet.write_text("\n".join(lines))
    done = call(ending, "run", write_spec(ending, sheet))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "41" in done.stderr and "reviews.csv" in done.stderr, done.stderr
