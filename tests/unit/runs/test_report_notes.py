"""Notes keep their severity on their way through lists and JSON."""

from __future__ import annotations

import json

from workbench.runs.documents import Report
from workbench.runs.report_notes import WarningNote, by_severity, from_json, to_json, warnings_in


def test_warnings_come_first_and_repetitions_are_dropped() -> None:
    notes = by_severity(["a", WarningNote("b"), "c", "a", WarningNote("d")])
    assert notes == ["b", "d", "a", "c"] and warnings_in(notes) == ["b", "d"]


def test_the_severity_survives_json() -> None:
    document = json.loads(json.dumps(to_json([WarningNote("twelve texts"), "one line"])))
    assert document == [
        {"severity": "warning", "message": "twelve texts"},
        {"severity": "info", "message": "one line"},
    ]
    notes = from_json(document)
    assert notes == ["twelve texts", "one line"] and warnings_in(notes) == ["twelve texts"]


def test_notes_of_older_versions_and_damaged_ones_are_read() -> None:
    assert from_json(["a sentence", {"severity": "loud", "message": "x"}, 7, {"message": "y"}]) == ["a sentence", "y"]
    assert from_json(None) == from_json({"a": 1}) == []


def test_a_report_marks_its_warnings_and_an_older_one_has_none() -> None:
    report = Report.load({"notes": ["first", "second"], "warnings": ["second"]})
    assert warnings_in(report.marked_notes()) == ["second"] and report.marked_notes() == ["first", "second"]
    assert warnings_in(Report.load({"notes": ["first"]}).marked_notes()) == []
