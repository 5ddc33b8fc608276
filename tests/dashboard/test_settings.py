"""Settings: what is shown is true, and cleaning asks first and never touches runs or uploads."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.parts.shared.data.uploads import store
from dashboard.parts.shared.first_visit import DISMISSED
from dashboard.serving import password
from dashboard.serving.guard import EXPOSED
from dashboard.serving.password import set_password
from tests.dashboard.fake_runs import fake_run
from tests.dashboard.pages import PAGES, open_page, text_of, well
from tests.tiny import write_csv
from workbench.errors import RequestError
from workbench.workspace import Workspace


def cached(workspace: Workspace) -> Path:
    """Something as a download leaves it."""
    path = workspace.cache / "datasets" / "rotten-tomatoes" / "file.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"1" * 2_000_000)
    return path


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(autouse=True)
def _no_shared_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboard.parts.settings import sections

    monkeypatch.delenv("WORKBENCH_CACHE", raising=False)
    sections._folders.clear()
    monkeypatch.delenv(EXPOSED, raising=False)


def test_folders_are_shown_with_their_sizes(workspace: Workspace) -> None:
    fake_run(workspace)
    cached(workspace)
    page = well(open_page("settings"))
    table = page.dataframe[0].value.set_index("folder")
    assert table.loc["Cache", "size"] == pytest.approx(2.0, abs=0.01)
    assert table.loc["Runs", "path"] == str(workspace.runs) and table.loc["Runs", "files"] > 3
    assert {metric.label for metric in page.metric} >= {"Free on this disk", "Used by the workspace"}


def test_cleaning_asks_and_leaves_runs_and_uploads(workspace: Workspace, tmp_path: Path) -> None:
    fake_run(workspace)
    fake_run(workspace, "queued")
    store("a.csv", write_csv(tmp_path / "a.csv").read_bytes(), workspace)
    path = cached(workspace)
    before = snapshot(workspace.runs), snapshot(workspace.uploads)
    page = well(open_page("settings"))
    assert path.exists(), "opening the page removes nothing"
    assert any("queued or running" in str(warning.value) for warning in page.warning)
    page = well(page.button(key="settings_clean_now").click().run())
    assert not path.exists()
    assert "2 MB freed" in str(page.success[0].value)
    assert (snapshot(workspace.runs), snapshot(workspace.uploads)) == before
    assert not well(page.run()).success, "shown once"


def test_a_folder_that_others_share_is_named(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "shared"))
    page = well(open_page("settings"))
    assert any("others may use them" in str(info.value) for info in page.info)
    assert "Shared downloads" in list(page.dataframe[0].value["folder"])


def test_the_password_itself_is_never_shown(workspace: Workspace) -> None:
    assert "No password is set" in text_of(well(open_page("settings")))
    set_password(workspace, "correct horse battery")
    page = well(open_page("settings"))
    text = text_of(page)
    stored = workspace.settings()["dashboard_password"]
    assert "A password is set" in text and "workbench dashboard --set-password" in text
    for secret in ("correct horse", stored["hash"], stored["salt"]):
        assert secret not in text


def submitted(page: AppTest, **fields: str) -> AppTest:
    for name, text in fields.items():
        page.text_input(key=f"settings.password.{name}").set_value(text)
    return well(page.button(key="settings_password_set").click().run())


def test_the_first_password_is_set_and_then_changed_with_the_old_one(workspace: Workspace) -> None:
    page = submitted(well(open_page("settings")), new="correct horse", again="correct horse")
    stored = workspace.settings()["dashboard_password"]
    assert password.is_right("correct horse", stored) and "was changed" in page.success[0].value
    page = submitted(page, old="wrong", new="another horse", again="another horse")
    assert "current password is wrong" in page.error[0].value and workspace.settings()["dashboard_password"] == stored
    page = submitted(page, old="correct horse", new="another horse", again="another hose")
    assert "do not match" in page.error[0].value and workspace.settings()["dashboard_password"] == stored
    submitted(page, old="correct horse", new="another horse", again="another horse")
    assert password.is_right("another horse", workspace.settings()["dashboard_password"])


def test_no_page_takes_the_password_away_or_guesses_it(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    set_password(workspace, "correct horse")
    now = [100.0]
    monkeypatch.setattr(password.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(password, "_tries", {"failures": 0.0, "until": 0.0})
    for new in ("", "short", "x" * 2000):
        with pytest.raises(RequestError):
            password.change_password(workspace, "correct horse", new)
    monkeypatch.setattr(password, "_tries", {"failures": 0.0, "until": 0.0})
    waits = []
    for _ in range(8):
        with pytest.raises(RequestError, match="current password is wrong"):
            password.change_password(workspace, "guess", "another horse")
        waits.append(password._tries["until"] - now[0])
        if waits[-1] > 0:
            with pytest.raises(RequestError, match="Too many"):  # even with the right one
                password.change_password(workspace, "correct horse", "another horse")
        now[0] += max(0.0, waits[-1])
    assert waits[2:] == [2, 4, 8, 16, 32, 60]
    password.change_password(workspace, "correct horse", "another horse")


def test_others_cannot_set_the_first_password(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EXPOSED, "1")
    page = well(open_page("settings"))
    assert not [button for button in page.button if button.key == "settings_password_set"]


def test_every_page_explains_itself_again(workspace: Workspace) -> None:
    page = well(open_page("settings"))
    assert page.button(key="settings_explain").disabled
    workspace.save_settings(**{DISMISSED: list(PAGES)})
    page = well(page.run())
    well(page.button(key="settings_explain").click().run())
    assert DISMISSED not in workspace.settings()
