"""The report counts rows, labels and problems; unusable splits are refused."""

from __future__ import annotations

import pytest

from workbench.data.report import ExcludedRows, SplitView, check_splits, describe_splits, format_list, length_report
from workbench.errors import DataError


def view(*rows: tuple[str, str], name: str = "t.csv") -> SplitView:
    return SplitView(
        [(text,) for text, _ in rows],
        [f"{name}, line {i}" for i in range(2, len(rows) + 2)],
        [(label,) for _, label in rows],
    )


GOOD = view(("a", "x"), ("b", "y"), ("c", "x"), ("d", "y"))


def test_duplicates_conflicts_overlaps_and_labels() -> None:
    train = view(("a", "x"), ("b", "y"), ("a", "x"), ("b", "x"), ("a", "x"))
    test = view(("c", "x"), ("a", "y"), name="u.csv")
    report = describe_splits({"train": train, "test": test})
    assert report["parts"]["train"]["rows"] == 5
    assert report["parts"]["train"]["labels"] == {"x": 4, "y": 1}
    assert report["parts"]["train"]["duplicates"] == {
        "count": 3,
        "examples": ["t.csv, line 4", "t.csv, line 5", "t.csv, line 6"],
    }
    assert report["parts"]["train"]["conflicts"] == {
        "count": 1,
        "examples": [{"text": "b", "places": ["t.csv, line 3", "t.csv, line 5"]}],
    }
    (overlap,) = report["overlaps"]
    assert overlap["between"] == ["train", "test"] and overlap["count"] == 1
    assert overlap["examples"][0]["text"] == "a" and overlap["examples"][0]["places"][1] == "u.csv, line 3"


def test_a_clean_split_has_no_problems() -> None:
    report = describe_splits({"train": GOOD, "test": view(("e", "x"), ("f", "y"))})
    assert report["overlaps"] == [] and report["parts"]["train"]["duplicates"]["count"] == 0


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": view(("a", "x"), ("b", "x"))}, r"only the label 'x'"),
        (
            {"train": GOOD, "test": view(("e", "x"), ("f", "z"), ("g", "w"))},
            r"'z' \(t\.csv, line 3\), 'w' \(t\.csv, line 4",
        ),
    ],
)
def test_unusable_splits_are_refused(splits: dict, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        check_splits(splits, multi_label=False)
    assert caught.value.hint


def test_good_splits_pass() -> None:
    check_splits({"train": GOOD, "test": view(("e", "x"), ("f", "y"))}, multi_label=False)
    check_splits({"train": SplitView([("a",), ("b",)], ["", ""])}, multi_label=False)


def test_lists_are_capped_and_the_rest_counted() -> None:
    assert format_list([1, 2]) == "1, 2"
    assert format_list(list(range(25))).endswith("18, 19 and 5 more")
    excluded = ExcludedRows("train", "the text is empty", list(range(2, 30)))
    assert excluded.as_dict() == {
        "part": "train", "reason": "the text is empty", "count": 28, "rows": list(range(2, 22)), "more": 8,
    }  # fmt: skip
    assert (
        excluded.note().startswith("train: 28 excluded: the text is empty (rows 2, 3,")
        and "and 8 more" in excluded.note()
    )


def test_lengths() -> None:
    report = length_report([3, 10, 10, 20, 200], 20)
    assert (report["count"], report["p50"], report["max"]) == (5, 10, 200)
    assert report["truncated"] == 1 and report["truncated_share"] == 0.2
    histogram = report["histogram"]
    assert sum(histogram["counts"]) == 5 and len(histogram["edges"]) == len(histogram["counts"]) + 1
    assert histogram["edges"][0] == 0 and histogram["edges"][-1] > 200
    assert length_report([], 20)["truncated"] == 0
    assert sum(length_report([7] * 9, 20)["histogram"]["counts"]) == 9
