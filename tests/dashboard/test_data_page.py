"""The Data page: what it tells of files and data sets, hostile files and cells, deleting, and the way to Launch."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import pytest

from dashboard.parts.uploads import store
from tests.dashboard.fake_runs import fake_run
from tests.dashboard.pages import open_page, text_of, well
from tests.tiny import reviews, write_csv
from workbench.data.uploads import delete_upload, list_uploads, used_by
from workbench.errors import DataError, RefusedError, RequestError
from workbench.workspace import Workspace

HOSTILE = "<img src=x onerror=alert(1)> [click](javascript:alert(1)) :red[x]"


def upload(workspace: Workspace, tmp_path: Path, name: str = "reviews.csv") -> str:
    return store(name, write_csv(tmp_path / "sent.csv").read_bytes(), workspace).name


def test_nothing_chosen_shows_what_can_be_chosen(workspace: Workspace) -> None:
    page = well(open_page("data"))
    assert "Choose a data set, or upload a file" in "\n".join(str(info.value) for info in page.info)
    assert any(option.startswith("rotten-tomatoes") for option in page.selectbox(key="data.chosen").options)


def test_filters_leave_what_fits(workspace: Workspace) -> None:
    page = well(open_page("data"))
    before = len(page.selectbox(key="data.chosen").options)
    page = well(page.selectbox(key="data.task").set_value("translation").run())
    assert 0 < len(page.selectbox(key="data.chosen").options) < before


def test_an_entry_tells_licence_and_citation_before_it_is_fetched(workspace: Workspace) -> None:
    page = well(open_page("data", data="rotten-tomatoes"))
    assert "licence:" in text_of(page) and "Cite:" in text_of(page)
    assert page.button(key="data_fetch").label == "Fetch it"


def test_a_file_is_looked_through_and_used(workspace: Workspace, tmp_path: Path) -> None:
    name = upload(workspace, tmp_path)
    page = well(open_page("data", data=name))
    assert {metric.label for metric in page.metric} == {"train, rows", "valid, rows", "test, rows"}
    assert sum(int(metric.value) for metric in page.metric) == 120
    page = well(page.segmented_control(key="data.view").set_value("near").run())
    assert "of test stand nearly so in train" in "\n".join(str(e.value) for e in [*page.success, *page.warning])
    page = well(page.button(key="data_use").click().run())
    assert page.title[0].value == "Launch"
    assert Path(page.selectbox(key="launch.data").value).name == name


def test_hostile_cells_and_labels_are_text(workspace: Workspace) -> None:
    rows = "".join(f'"{text} {HOSTILE}","{label}{HOSTILE}"\n' for text, label in reviews(60))
    name = store(f"{HOSTILE}.csv", f"text,label\n{rows}".encode(), workspace).name
    page = well(open_page("data", data=name))
    told = text_of(page)
    assert "<img" not in told.replace(r"\<img", "") and "](javascript" not in told
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
def test_archives_pickles_and_programs_are_refused_and_not_kept(
    workspace: Workspace, name: str, content: bytes
) -> None:
    with pytest.raises((DataError, RefusedError)):
        store(name, content, workspace)
    assert list(workspace.uploads.iterdir()) == []


def test_a_wrong_row_is_named(workspace: Workspace) -> None:
    with pytest.raises(DataError, match="line 3"):
        store("a.csv", b"text,label\ngood film,a\nbad film,b,c,d\n", workspace)


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
    assert used_by(workspace.uploads / name, workspace) == [run.id]
    with pytest.raises(RequestError, match="used by 1 run"):
        delete_upload(name, workspace)
    assert well(open_page("data", data=name)).button(key="data_delete_now").disabled
    run.update_status(state="stopped")
    delete_upload(name, workspace)


@pytest.mark.parametrize("name", ["../runs", "/etc/hostname", "..%2fa.csv", "~/a.csv", ""])
def test_only_uploads_are_deleted(workspace: Workspace, name: str) -> None:
    with pytest.raises(RefusedError):
        delete_upload(name, workspace)
