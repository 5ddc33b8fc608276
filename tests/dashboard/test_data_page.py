"""The Data page: what it tells of files and data sets, hostile files and cells, deleting, and the way to Launch."""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from streamlit.testing.v1 import AppTest

from dashboard.parts.data import batch, preview, warnings
from dashboard.parts.data.overview import SPLITS
from dashboard.parts.shared.data import confined, reports
from dashboard.parts.shared.data.uploads import store
from tests.dashboard.fake_runs import fake_run
from tests.dashboard.pages import open_page, skip_first_score, text_of, well
from tests.tiny import reviews, write_csv
from workbench import jobs
from workbench.data.catalogue.entries import catalogue
from workbench.data.cells.column_facts import column_facts
from workbench.data.limited import Preview
from workbench.data.load import load_data
from workbench.data.overview import overview
from workbench.data.readers.limits import BATCH
from workbench.data.uploads import active_runs_using, delete_upload, list_uploads
from workbench.errors import DataError, RefusedError, RequestError
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.system.limited_process import Limits, call
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

HOSTILE = "<img src=x onerror=alert(1)> [click](javascript:alert(1)) :red[x]"


@pytest.fixture(autouse=True)
def _without_first_score(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "first_score" not in request.node.name:
        skip_first_score(monkeypatch)


def upload(workspace: Workspace, tmp_path: Path, name: str = "reviews.csv") -> str:
    return store(name, write_csv(tmp_path / "sent.csv").read_bytes(), workspace).name


def test_without_a_choice_the_page_lists_the_options(workspace: Workspace) -> None:
    page = well(open_page("data"))
    assert "Choose a data set, or upload a file" in "\n".join(str(info.value) for info in page.info)
    assert any(option.startswith("rotten-tomatoes") for option in page.selectbox(key="data.chosen").options)


def test_filters_reduce_the_options(workspace: Workspace) -> None:
    page = well(open_page("data"))
    before = len(page.selectbox(key="data.chosen").options)
    page = well(page.selectbox(key="data.task").set_value("translation").run())
    assert 0 < len(page.selectbox(key="data.chosen").options) < before


def catalogue_of(page: AppTest) -> Any:
    return next(each.value for each in page.dataframe if "licence" in each.value)


def test_the_catalogue_is_a_table_that_follows_the_filters(workspace: Workspace) -> None:
    page = well(open_page("data", task="translation"))
    listed = catalogue_of(page)
    assert set(listed["task"]) == {"translation"} and not any(listed["cached"])
    entry = catalogue().datasets[listed["name"][0]]
    assert listed["licence"][0] == entry.licence[:200] and listed["language"][0] == entry.language
    page = well(page.selectbox(key="data.task").set_value(None).run())
    assert sorted(catalogue_of(page)["name"]) == sorted(catalogue().datasets)
    assert page.query_params.get("task") is None


def test_rows_that_cannot_be_used_are_left_out_on_request(workspace: Workspace) -> None:
    rows = "".join(f"{text},{label}\n" for text, label in reviews(60))
    name = store("rows.csv", f"text,label\n{rows}=1+1,\n=2+2,good\na,b,c\n".encode(), workspace).name
    page = well(open_page("data", data=name))
    assert "2 rows in all cannot be used" in text_of(page) and not page.metric
    page = well(page.button(key="fix_bad_rows").click().run())
    assert page.metric and "2 rows in all" not in text_of(page)
    shown = "\n".join(str(warning.value) for warning in page.warning)
    assert "the label is missing" in shown and "the row does not fit the header" in shown
    spec = RunSpec.parse(
        {
            "task": "text-classification",
            "data": {"train": str(workspace.uploads / name), "on_bad_rows": "drop"},
            "model": "minilm",
        }
    )
    rest = reports.usable_rows(spec, workspace).splitlines()
    assert len(rest) == 62 and rest[0] == "text,label" and rest[-1] == "'=2+2,good", "a formula must be escaped"


def messy(workspace: Workspace) -> str:
    """A file in which something has to be settled before it can be trained on, and other things should be."""
    rows = [(n, text, label.title() if n < 5 else label) for n, (text, label) in enumerate(reviews(80))]
    rows += [(90, rows[20][1], rows[20][2]), (91, "no label here", "")]
    table = "".join(f"{n},{text},{label}\n" for n, text, label in rows)
    return store("messy.csv", f"number,text,label\n{table}".encode(), workspace).name


def data_of(page: AppTest) -> dict[str, Any]:
    """The data section as the page shows it in YAML."""
    (document,) = [yaml.safe_load(str(code.value)) for code in page.code if "data:" in str(code.value)]
    return dict(document["data"])


def train_buttons(page: AppTest) -> list[bool]:
    return [page.button(key=f"train_{name}").disabled for name in ("fast", "balanced", "best")]


def test_findings_become_a_recipe_that_can_be_undone(workspace: Workspace) -> None:
    name = messy(workspace)
    page = well(open_page("data", data=name))
    assert train_buttons(page) == [True] * 3 and page.button(key="data_use").disabled
    assert "Training can start when this is settled" in "\n".join(str(info.value) for info in page.info)
    for key in ("fix_bad_rows", "fix_labels", "fix_duplicates"):
        page = well(page.button(key=key).click().run())
    assert train_buttons(page) == [False] * 3 and not page.button(key="data_use").disabled
    recipe = {"on_bad_rows": "drop", "labels": {"Good": "good", "Bad": "bad"}, "duplicates": "drop"}
    assert {field: data_of(page)[field] for field in recipe} == recipe
    assert "Nothing stands out." in "\n".join(str(each.value) for each in page.success)
    link = page.query_params["reading"]
    again = well(open_page("data", data=name, reading=link if isinstance(link, str) else link[0]))
    assert data_of(again) == data_of(page), "the link holds the recipe"

    page = well(page.button(key="undo.labels.Good").click().run())
    assert data_of(page)["labels"] == {"Bad": "bad"} and page.button(key="fix_label_merge.Good")
    page = well(page.button(key="undo.duplicates").click().run())
    assert "duplicates" not in data_of(page) and "fix_duplicates" in {button.key for button in page.button}
    page = well(page.button(key="undo.on_bad_rows").click().run())
    assert train_buttons(page) == [True] * 3


def test_the_recipe_is_passed_on_to_launch(workspace: Workspace) -> None:
    page = well(open_page("data", data=messy(workspace)))
    for key in ("fix_bad_rows", "fix_labels", "fix_duplicates", "data_use"):
        page = well(page.button(key=key).click().run())
    assert page.title[0].value == "Launch" and not page.button(key="launch_submit").disabled
    assert yaml.safe_load(page.session_state["launch.data_fields.labels"]) == {"Good": "good", "Bad": "bad"}
    assert page.selectbox(key="launch.data_fields.duplicates").value == "drop"
    assert not any("cannot hold" in str(warning.value) for warning in page.warning)


def test_a_plan_is_a_run_that_is_queued_with_one_click(workspace: Workspace, tmp_path: Path) -> None:
    jobs.pause(workspace)
    page = well(open_page("data", data=upload(workspace, tmp_path)))
    well(page.button(key="train_balanced").click().run())
    (run,) = Run.all(workspace)
    spec = run.spec()
    assert (spec.model.source, spec.tuning.method, run.state) == ("minilm", "lora", "queued")


def test_the_first_score_is_a_sentence(workspace: Workspace, tmp_path: Path) -> None:
    text = text_of(well(open_page("data", data=upload(workspace, tmp_path)))).replace("\\", "")
    assert re.search(r"Always guessing gets \d+%; \d+ s of learning get \*\*\d+%\*\* \(\d+% to \d+%\)", text)
    assert "Accuracy on 24 examples that were held out" in text


@pytest.mark.parametrize(("column", "reason"), [("ticket", "looks like an id"), ("day", "are dates, not categories")])
def test_an_id_or_a_date_as_the_label_is_pointed_out(column: str, reason: str, workspace: Workspace) -> None:
    rows = "".join(
        f"T-{n},2025-{n % 12 + 1:02}-{n % 28 + 1:02},{t},{label}\n" for n, (t, label) in enumerate(reviews(60))
    )
    name = store("tickets.csv", f"ticket,day,question,team\n{rows}".encode(), workspace).name
    roles = json.dumps({"text": "question", "label": column})
    page = well(open_page("data", data=name, roles=roles))
    assert reason in text_of(page)
    page = well(page.button(key="fix_label.team").click().run())
    assert reason not in text_of(page) and train_buttons(page) == [False] * 3
    assert page.selectbox(key="data.columns.label").value == "team"


def test_the_table_marks_the_columns_that_are_used_and_escapes_the_rest(workspace: Workspace) -> None:
    shown: Preview = {
        "columns": ["id", HOSTILE, "team"],
        "rows": [{"id": "1", HOSTILE: HOSTILE, "team": "a"}],
        "count": 1,
        "facts": {name: column_facts([name]) for name in ("id", HOSTILE, "team")},
    }
    drawn = preview.table_html(shown, {"text": HOSTILE, "label": "team"}, proposed=True)
    assert "<img" not in drawn and "&lt;img" in drawn
    assert drawn.count(preview.COLOURS[0]) == 3, "border and badge of the head, and its one cell"
    assert ">Text?<" in drawn and ">Label?<" in drawn
    assert ">Text<" in preview.table_html(shown, {"text": HOSTILE}, proposed=False)


def test_the_link_restores_the_view_of_a_file(workspace: Workspace) -> None:
    rows = "".join(f'"{text}","{label}","{n}"\n' for n, (text, label) in enumerate(reviews(60)))
    name = store("odd.csv", f"a,b,c\n{rows}".encode(), workspace).name
    roles = json.dumps({"text": "a", "label": "b", "no-such": "c"})
    page = well(open_page("data", data=name, roles=roles, split="test", use="no-such", show="no-such"))
    assert page.selectbox(key="data.columns.text").value == "a"
    assert page.segmented_control(key="data.split").value == "test" and page.metric
    assert page.segmented_control(key="data.view").value == "rows"
    well(page.selectbox(key="data.columns.text").set_value("c").run())  # a field that is moved wins over the link
    assert page.selectbox(key="data.columns.text").value == "c"
    value = page.query_params["roles"]
    assert json.loads(value if isinstance(value, str) else value[0]) == {"text": "c", "label": "b"}
    for broken in ("[", "3", '{"text": 4}', '{"text": "<img src=x>"}', "[" * 5000):
        well(open_page("data", data=name, roles=broken, task=broken, language=broken, split=broken))


def test_duplicates_and_conflicts_are_listed_with_their_rows(workspace: Workspace) -> None:
    rows = [*reviews(60), ("the same words", "a"), ("the same words", "b"), ("twice", "a"), ("twice", "a")]
    labels = sorted({label for _, label in reviews(60)})
    lines = "".join(
        f"{text},{labels[0] if label == 'a' else labels[1] if label == 'b' else label}\n" for text, label in rows
    )
    spec = RunSpec.parse({"task": "text-classification", "model": "minilm", "data": {
        "train": str(store("doubt.csv", f"text,label\n{lines}".encode(), workspace)),
        "test": str(store("other.csv", f"text,label\ntwice,{labels[0]}\nnew,{labels[1]}\n".encode(), workspace)),
        "holdout": {"valid": 0.0},
    }})  # fmt: skip
    columns = tasks.get("text-classification")(tasks.get("text-classification").Config()).columns()
    report = overview(load_data(spec.data, columns, workspace), columns)
    locations: dict[Any, Any] = {
        (row["problem"], row["split"], row["text"]): row["rows"] for row in warnings.problems(report)
    }
    conflict = locations["conflicting labels", "train", "the same words"]
    assert len(conflict) == 2 and conflict[0].endswith("line 62") and conflict[1].endswith("line 63")
    assert locations["duplicate", "train", None][0].endswith(("line 63", "line 65"))
    assert locations["in both splits", "train and test", "twice"][1].endswith("line 2")


def test_the_first_batch_is_built_once_and_matches_the_fields(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def fake(function: str, arguments: Mapping[str, Any], limits: Limits, *rest: object) -> object:
        if not function.endswith(":read_first_batch"):
            return call(function, arguments, limits)
        assert limits is BATCH
        made.append(str(arguments["spec"]))
        row = {"text": "", "tokens": ["a", "b"], "targets": None, "real": 2, "cut": 0, "cells": []}
        rows = [{**row, "label": str(number)} for number in range(3)]
        return {"rows": rows, "shape": [3, 2], "batches": 4, "padding": 0.5}

    monkeypatch.setattr(confined, "call", fake)
    monkeypatch.setattr(batch, "is_cached", lambda *_: True)
    page = well(open_page("data", data=upload(workspace, tmp_path), show="batch"))
    assert "of them padding" not in text_of(page)
    page = well(page.button(key="data_batch").click().run())
    assert "3 x 2 tokens, 50% of them padding" in text_of(page).replace("\\", "") and len(made) == 1
    page = well(page.number_input(key="data.batch_row").set_value(2).run())
    assert "of them padding" in text_of(page) and len(made) == 1
    for key, value in (("data.use", "sentence-similarity"), ("data.columns.text", "text")):
        before = page.selectbox(key=key).value
        page = well(page.selectbox(key=key).set_value(value).run())
        assert "of them padding" not in text_of(page), key
        page = well(page.selectbox(key=key).set_value(before).run())
        assert "of them padding" in text_of(page), key
    page = well(page.number_input(key="data.batch_size").set_value(5).run())
    assert "of them padding" not in text_of(page) and len(made) == 1


def test_an_entry_shows_licence_and_citation_before_it_is_downloaded(workspace: Workspace) -> None:
    page = well(open_page("data", data="rotten-tomatoes"))
    assert "licence:" in text_of(page) and "Cite:" in text_of(page)
    assert page.button(key="data_fetch").label == "Download"


def test_a_file_is_looked_through_and_used(workspace: Workspace, tmp_path: Path) -> None:
    name = upload(workspace, tmp_path)
    page = well(open_page("data", data=name))
    assert {metric.label for metric in page.metric} == {f"Rows, {name}" for name in SPLITS.values()}
    assert sum(int(metric.value) for metric in page.metric) == 120
    page = well(page.segmented_control(key="data.view").set_value("near").run())
    assert "in the test set nearly appear in the training set" in "\n".join(
        str(e.value) for e in [*page.success, *page.warning]
    )
    page = well(page.button(key="data_use").click().run())
    assert page.title[0].value == "Launch"
    assert Path(page.selectbox(key="launch.data").value).name == name


def test_plans_use_a_model_that_knows_the_language(workspace: Workspace) -> None:
    rows = "".join(f"Das Essen war sehr gut und die Bedienung freundlich {i},{i % 2}\n" for i in range(30))
    stored = store("essen.csv", f"text,label\n{rows}".encode(), workspace).name
    text = text_of(well(open_page("data", data=stored))).replace("\\", "")
    assert "Language: German (100%)" in text and "Model: multilingual-e5-small" in text


def test_hostile_cells_and_labels_are_text(workspace: Workspace) -> None:
    rows = "".join(f'"{text} {HOSTILE}","{label}{HOSTILE}"\n' for text, label in reviews(60))
    name = store(f"{HOSTILE}.csv", f"text,label\n{rows}".encode(), workspace).name
    page = well(open_page("data", data=name))
    text = text_of(page)
    assert "<img" not in text.replace(r"\<img", "") and "](javascript" not in text
    assert not any("<img" in chart.proto.spec for chart in page.get("plotly_chart"))


def test_a_link_to_a_file_elsewhere_shows_nothing_of_it(workspace: Workspace, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("text,label\nthe secret,a\n")
    for link in (str(secret), f"../../{secret.name}", "/etc/passwd", "%2e%2e/secret.csv"):
        page = well(open_page("data", data=link))
        assert page.selectbox(key="data.chosen").value is None
        assert "the secret" not in text_of(page)


def zipped(name: str, size: int = 10) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, b"\0" * size)
    return held.getvalue()


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt", "a.parquet", "../../a.csv", "a.md", "a.conll"])
@pytest.mark.parametrize(
    "content",
    [zipped("../../climbs"), zipped("bomb", 5_000_000), pickle.dumps({"a": 1}), b"\x1f\x8b\x08\0rest", b"\x7fELF\0"],
    ids=["climbing-zip", "bomb", "pickle", "gzip", "program"],
)
def test_archives_pickles_and_programs_are_refused_and_not_stored(
    workspace: Workspace, name: str, content: bytes
) -> None:
    with pytest.raises((DataError, RefusedError)):
        store(name, content, workspace)
    assert list(workspace.uploads.iterdir()) == []


def test_a_wrong_row_is_named(workspace: Workspace) -> None:
    name = store("a.csv", b"text,label\ngood film,a\nbad film,b,c,d\n", workspace).name
    assert "line 3" in text_of(well(open_page("data", data=name)))
    with pytest.raises(DataError, match="line 3"):  # most of the file is wrong
        store("a.csv", b"text,label\ngood film,a\nbad film,b,c,d\nx,y,z\n", workspace)


def test_deleting_asks_and_then_deletes(workspace: Workspace, tmp_path: Path) -> None:
    name = upload(workspace, tmp_path)
    page = well(open_page("data", data=name))
    assert [each.name for each in list_uploads(workspace)] == [name]
    well(page.button(key="data_delete_now").click().run())
    assert list_uploads(workspace) == []


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_a_file_that_a_queued_run_needs_is_not_deleted(workspace: Workspace, tmp_path: Path, part: str) -> None:
    name = upload(workspace, tmp_path)
    run = fake_run(workspace, "queued", changes={f"data.{part}": str(workspace.uploads / name)})
    fake_run(workspace, "succeeded", changes={"data.train": str(workspace.uploads / name)})
    assert active_runs_using(workspace.uploads / name, workspace) == [run.id]
    with pytest.raises(RequestError, match="used by 1 run"):
        delete_upload(name, workspace)
    assert well(open_page("data", data=name)).button(key="data_delete_now").disabled
    run.update_status(state="stopped")
    delete_upload(name, workspace)


@pytest.mark.parametrize("name", ["../runs", "/etc/hostname", "..%2fa.csv", "~/a.csv", ""])
def test_only_uploads_are_deleted(workspace: Workspace, name: str) -> None:
    with pytest.raises(RefusedError):
        delete_upload(name, workspace)
