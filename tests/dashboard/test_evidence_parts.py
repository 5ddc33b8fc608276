"""Compare's slices, doubtful labels and thresholds, on runs whose predictions are known."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.parts.compare import label_errors, slices
from tests.dashboard.fake_runs import fake_run
from tests.dashboard.pages import open_page, text_of, well
from workbench.compare.classified import read_class_predictions
from workbench.runs.predictions import read_predictions, write_predictions
from workbench.runs.run import Run
from workbench.workspace import Workspace


def two(workspace: Workspace, **columns: list[object]) -> list[Run]:
    """Two finished runs on the same 60 examples, with more columns of their predictions."""
    runs = [fake_run(workspace, seed=seed) for seed in (0, 1)]
    for run in runs:
        write_predictions(run, {**read_predictions(run), **columns})
    return runs


def look_at(kind: str, runs: list[Run], **query: str) -> AppTest:
    """The Compare page with one kind of evidence."""
    return well(open_page("compare", runs=",".join(run.id for run in runs), evidence=kind, **query))


def test_predictions_as_labels_and_judgements(workspace: Workspace) -> None:
    source = [("books", "films", "music")[i % 3] for i in range(60)]
    run = two(workspace, source=source, serial=[f"no {i}" for i in range(60)])[0]
    predictions = read_class_predictions(run)
    assert predictions is not None and predictions.has_classes
    assert predictions.probabilities is not None and predictions.probabilities.shape == (60, 2)
    assert list(predictions.more) == ["source"]  # a column with as many values as rows cuts nothing
    assert sum(predictions.correct) == sum(a == b for a, b in zip(predictions.gold, predictions.predicted, strict=True))


def test_rows_without_a_verdict_are_left_out(workspace: Workspace) -> None:
    run = two(workspace, correct=[None if i % 2 else i % 4 == 0 for i in range(60)])[0]
    predictions = read_class_predictions(run)
    assert predictions is not None and len(predictions) == 30 and sum(predictions.correct) == 15
    write_predictions(run, {**read_predictions(run), "correct": [None] * 60})
    assert read_class_predictions(run) is None


def test_slices_show_both_runs(workspace: Workspace) -> None:
    hostile = "<script>x</script> **[y](z)**"
    source = [hostile if i < 20 else "films" for i in range(60)]
    runs = two(workspace, **{"column:source": source})
    test = look_at("slices", runs)
    test = well(test.selectbox(key="compare.slice_by").set_value("source").run())
    assert test.query_params["slices"] == "source"
    table = next(frame.value for frame in test.dataframe if "slice" in frame.value.columns)
    assert set(table["slice"]) == {f"{hostile} ★", "films"} and sorted(table["examples"]) == [20, 40]
    for run, column in zip(runs, ("first", "second"), strict=True):
        rows = read_predictions(run)
        right = sum(c for c, s in zip(rows["correct"], source, strict=True) if s == "films") / 40
        assert table.loc[table["slice"] == "films", column].iloc[0] == pytest.approx(right)


def test_label_errors_and_confident_errors(workspace: Workspace) -> None:
    runs = two(workspace)
    test = look_at("labels", runs)
    table = next(frame.value for frame in test.dataframe if "score" in frame.value.columns)
    rows = read_predictions(runs[0])
    wrong = [score for score, right in zip(rows["score"], rows["correct"], strict=True) if not right]
    assert list(table["score"]) == sorted(wrong, reverse=True)
    test = well(test.segmented_control(key="compare.labels").set_value(label_errors.LABELS).run())
    table = next(frame.value for frame in test.dataframe if "suggested" in frame.value.columns)
    assert len(table) and (table["label"] != table["suggested"]).all()
    assert "cannot say whether the label or the model is wrong" in text_of(test)


def test_thresholds_of_a_class_in_both_runs(workspace: Workspace) -> None:
    runs = two(workspace)
    test = look_at("thresholds", runs)
    test = well(test.selectbox(key="compare.class").set_value("positive").run())
    table = next(frame.value for frame in test.dataframe if "threshold" in frame.value.columns)
    assert len(table) == 2 and table["threshold"].between(0, 1).all()  # numbers, and no texts
    # Another run's file is read anew when it changes.
    write_predictions(runs[1], {k: v for k, v in read_predictions(runs[1]).items() if not k.startswith("score")})
    table = next(frame.value for frame in well(test.run()).dataframe if "threshold" in frame.value.columns)
    assert len(table) == 1


def test_classes_and_calibration_of_both_runs(workspace: Workspace) -> None:
    runs = two(workspace)
    test = look_at("confusion", runs)
    table = next(frame.value for frame in test.dataframe if "class" in frame.value.columns)
    rows = read_predictions(runs[1])
    actual = [gold for gold, predicted in zip(rows["gold"], rows["prediction"], strict=True) if predicted == "positive"]
    positive = table[table["class"] == "positive"].iloc[0]
    assert positive["precision_1"] == pytest.approx(actual.count("positive") / len(actual))
    assert positive["examples"] == 30
    test = look_at("calibration", runs)
    assert not [frame for frame in test.dataframe if "class" in frame.value.columns]  # only what is looked at
    table = next(frame.value for frame in test.dataframe if "error" in frame.value.columns)
    assert len(table) == 2 and (table["temperature"] > 0).all() and table["error"].between(0, 1).all()


def test_a_cell_that_is_chosen_opens_its_examples(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    import streamlit as st

    runs = two(workspace)
    chosen = {"selection": {"points": [{"x": 1, "y": 0}]}}  # said: positive; right: negative
    drawn = st.plotly_chart
    monkeypatch.setattr(
        st, "plotly_chart", lambda *a, **k: chosen if k.get("key") == "compare.confusion" else drawn(*a, **k)
    )
    test = look_at("confusion", runs)
    rows = read_predictions(runs[0])
    inside = [
        text
        for text, gold, predicted in zip(rows["input:text"], rows["gold"], rows["prediction"], strict=True)
        if (gold, predicted) == ("negative", "positive")
    ]
    assert inside and f"**negative** predicted as **positive**: {len(inside)} examples" in text_of(test)
    assert any(list(frame.value.get("text", [])) == inside for frame in test.dataframe)


def test_runs_whose_answers_are_no_labels_say_so(workspace: Workspace) -> None:
    runs = two(workspace)
    for run in runs:
        rows = {k: v for k, v in read_predictions(run).items() if not k.startswith("score:")}
        write_predictions(run, {**rows, "gold": [f"text {i}" for i in range(60)]})
    assert "No label probabilities are stored" in text_of(look_at("thresholds", runs))
    assert "answers are text" in text_of(look_at("confusion", runs))
    test = look_at("slices", runs)
    assert list(test.selectbox(key="compare.slice_by").options) == [slices.NAMES[slices.LENGTH]]


def chosen_rows(monkeypatch: pytest.MonkeyPatch, key: str, rows: list[int]) -> None:
    """As if these rows of one table were chosen; AppTest cannot."""
    import streamlit as st

    drawn = st.dataframe
    monkeypatch.setattr(
        st, "dataframe", lambda *a, **k: {"selection": {"rows": rows}} if k.get("key") == key else drawn(*a, **k)
    )


def went_to(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Return the query of each link that the page follows."""
    import streamlit as st

    links: list[dict[str, str]] = []
    monkeypatch.setattr(st, "switch_page", lambda page, query_params: links.append(query_params))
    return links


COLUMNS_OF_PAIRS = {
    "one column (older files)": {"input": ["does it rain ⟂ yes, it does"] * 60},
    "a column for each role": {"input:text": ["does it rain"] * 60, "input:text_pair": ["yes, it does"] * 60},
}


@pytest.mark.parametrize("columns", COLUMNS_OF_PAIRS.values(), ids=COLUMNS_OF_PAIRS)
@pytest.mark.parametrize(("pairs", "text"), [(True, "does it rain"), (False, "does it rain ⟂ yes, it does")])
def test_an_example_of_two_texts_is_explained_as_two(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, pairs: bool, text: str, columns: dict[str, list[str]]
) -> None:
    runs = [fake_run(workspace, seed=seed, changes={"task.pairs": pairs}) for seed in (0, 1)]
    for run in runs:
        rows = {name: values for name, values in read_predictions(run).items() if name != "input:text"}
        write_predictions(run, {**rows, **columns})
    links = went_to(monkeypatch)
    chosen_rows(monkeypatch, "compare.examples", [0])
    look_at("examples", runs)
    (query,) = links
    assert query["text"] == text and query.get("pair") == ("yes, it does" if pairs else None)
    assert (query["run"], query["with"]) == (runs[0].id, runs[1].id)


def test_a_task_without_explanations_offers_none(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [fake_run(workspace, seed=seed, changes={"task": "sentence-similarity"}) for seed in (0, 1)]
    links = went_to(monkeypatch)
    page = look_at("examples", runs)
    assert "cannot be explained" in text_of(page) and not links
    assert "their task must have explanations" in text_of(look_at("heads", runs))


def test_the_mistakes_of_a_slice_lead_to_their_explanation(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = two(workspace, **{"column:stars": [float(i % 40) for i in range(60)]})
    rows = read_predictions(runs[0])
    links = went_to(monkeypatch)
    chosen_rows(monkeypatch, "compare.slices", [0])
    chosen_rows(monkeypatch, "compare.slice_examples", [0])
    look_at("slices", runs, slices="stars")
    lowest = [i for i in range(60) if rows["column:stars"][i] <= 6 and not rows["correct"][i]]
    assert lowest and links[0]["text"] == rows["input:text"][lowest[0]] and links[0]["with"] == runs[1].id


def test_many_classes_show_their_most_frequent_mistakes(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = [f"class {i:02d}" for i in range(70)]
    runs = [fake_run(workspace, seed=seed, labels=labels, examples=420) for seed in (0, 1)]
    rows = read_predictions(runs[0])
    mistakes = [(g, p) for g, p in zip(rows["gold"], rows["prediction"], strict=True) if g != p]
    most = max(mistakes.count(pair) for pair in mistakes)
    first = min(pair for pair in mistakes if mistakes.count(pair) == most)
    page = look_at("confusion", runs)
    table = next(frame.value for frame in page.dataframe if "share" in frame.value.columns)
    assert (table["gold"][0], table["predicted"][0], table["examples"][0]) == (*first, most)
    assert "The 30 of 70 classes with the most errors" in text_of(page)
    chosen_rows(monkeypatch, "compare.mistakes", [0])
    assert f"**{first[0]}** predicted as **{first[1]}**: {most} examples" in text_of(look_at("confusion", runs))
