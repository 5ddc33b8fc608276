"""What a click resolves on Data and Launch: columns, encoding, sheet, rows that cannot be used, and the model."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.parts.shared.data.uploads import store
from tests.dashboard.pages import open_page, skip_first_score, text_of, well
from tests.tiny import reviews
from workbench.errors import DataError
from workbench.workspace import Workspace

GOOD = "text,label\n" + "".join(f"{text},{label}\n" for text, label in reviews(60))
UNCLEAR = "day,Rezension,Das Urteil\n" + "".join(f"{n},{text} indeed,{y}\n" for n, (text, y) in enumerate(reviews(60)))
SPANISH = (
    "text,label\n" + "".join(f"plain {n},{'a' if n % 2 else 'b'}\n" for n in range(60)) + "El desayuno estaba frío.,b\n"
)
GERMAN = "text,label\n" + "".join(f"Das Essen war gut und die Bedienung nett {n},{n % 2}\n" for n in range(60))


def workbook(*sheets: Sequence[Sequence[str]]) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    book.remove(book.worksheets[0])
    for number, rows in enumerate(sheets, start=1):
        sheet = book.create_sheet(f"part {number}")
        for row in rows:
            sheet.append(row)
    book.save(out)
    return out.getvalue()


@pytest.fixture(autouse=True)
def _without_first_score(monkeypatch: pytest.MonkeyPatch) -> None:
    skip_first_score(monkeypatch)


def page_of(name: str, path: Path) -> AppTest:
    """Data or Launch with an uploaded file."""
    if name == "data":
        return well(open_page("data", data=path.name))
    page = open_page("launch")
    return well(page.selectbox(key="launch.data").set_value(str(path)).run())


def usable(name: str, page: AppTest) -> bool:
    """Whether the page says that a run can train on the data."""
    return bool(page.metric) if name == "data" else not page.button(key="launch_submit").disabled


def button_keys(page: AppTest) -> set[str | None]:
    return {button.key for button in page.button}


@pytest.mark.parametrize("name", ["data", "launch"])
def test_columns_with_unclear_names_are_proposed_and_accepted(name: str, workspace: Workspace) -> None:
    page = page_of(name, store("a.csv", UNCLEAR.encode(), workspace))
    assert not usable(name, page)
    if name == "data":
        assert any("Rezension" in str(element.proto.body) for element in page.get("html")), "the table is above"
    else:
        rows = next(frame.value for frame in page.dataframe if "Rezension" in frame.value)
        assert len(rows) == 3 and rows["Das Urteil"][0] == reviews(60)[0][1]
    assert "text: **Rezension** · label: **Das Urteil**" in text_of(page)
    page = well(page.button(key="offer_columns_accept").click().run())
    assert usable(name, page) and "offer_columns_accept" not in button_keys(page)
    prefix = "data.columns" if name == "data" else "launch.data_fields.columns"
    assert page.selectbox(key=f"{prefix}.text").value == "Rezension", "the fields show what was accepted"


def test_without_a_proposal_the_rows_are_shown_and_nothing_can_be_accepted(workspace: Workspace) -> None:
    numbers = "a,b\n" + "".join(f"{n},{n + 1}\n" for n in range(40))
    page = page_of("data", store("a.csv", numbers.encode(), workspace))
    assert any("an id" in str(element.proto.body) for element in page.get("html"))
    assert "offer_columns_accept" not in button_keys(page) and "Choose the columns yourself" in text_of(page)
    lists = "".join(json.dumps({"text": text, "kinds": [label]}) + "\n" for text, label in reviews(40))
    page = page_of("data", store("a.jsonl", lists.encode(), workspace))
    assert "multi\\_label" in text_of(page), "lists are probably several labels"


@pytest.mark.parametrize("name", ["data", "launch"])
@pytest.mark.parametrize(("index", "word"), [(0, "fr’o"), (1, "frío")])
def test_the_right_one_of_two_encodings_is_chosen(name: str, index: int, word: str, workspace: Workspace) -> None:
    path = store("a.csv", SPANISH.encode("mac_roman"), workspace)
    page = page_of(name, path)
    assert not usable(name, page)
    text = text_of(page)
    assert "fr’o" in text and "frío" in text, "both readings are shown"
    page = well(page.button(key=f"offer_encoding_{index}").click().run())
    assert usable(name, page), text_of(page)
    if name == "data":
        for split in ("train", "valid", "test"):
            page = well(page.segmented_control(key="data.split").set_value(split).run())
            texts = [str(value) for frame in page.dataframe if "text" in frame.value for value in frame.value["text"]]
            if any(word in each for each in texts):
                break
        reading = page.query_params["reading"]
        link = reading if isinstance(reading, str) else reading[0]
        assert well(open_page("data", data=path.name, reading=link)).metric, "the link keeps the encoding"


@pytest.mark.parametrize("name", ["data", "launch"])
def test_the_encoding_of_one_file_is_not_used_for_another(name: str, workspace: Workspace) -> None:
    first = store("a.csv", SPANISH.encode("mac_roman"), workspace)
    other = store("b.csv", GOOD.replace("film", "frío").encode(), workspace)
    page = page_of(name, first)
    page = well(page.button(key="offer_encoding_1").click().run())
    choice = page.selectbox(key="data.chosen" if name == "data" else "launch.data")
    page = well(choice.set_value(other.name if name == "data" else str(other)).run())
    assert usable(name, page)
    if name == "data":
        assert "reading" not in page.query_params and not page.session_state["data.fields.encoding"]
    else:
        assert not page.session_state["launch.data_fields.encoding"]


@pytest.mark.parametrize("name", ["data", "launch"])
def test_a_sheet_is_chosen_although_the_first_one_is_no_table(name: str, workspace: Workspace) -> None:
    table = [("text", "label"), *reviews(60)]
    path = store("a.xlsx", workbook([("A survey",)], table[:31], table), workspace)
    page = page_of(name, path)
    assert not usable(name, page)
    key = "data.fields.sheet" if name == "data" else "launch.data_fields.sheet"
    assert page.selectbox(key=key).options == ["part 1", "part 2", "part 3"]
    page = well(page.selectbox(key=key).set_value("part 3").run())
    assert usable(name, page), text_of(page)
    if name == "data":
        assert sum(int(metric.value) for metric in page.metric) == 60
        page = well(page.button(key="data_use").click().run())
        assert page.selectbox(key="launch.data_fields.sheet").value == "part 3", "Launch has the sheet"
        assert not page.button(key="launch_submit").disabled


def test_a_workbook_without_any_table_is_not_stored(workspace: Workspace) -> None:
    with pytest.raises(DataError):
        store("a.xlsx", workbook([("A survey",)], [("Another",)]), workspace)
    assert list(workspace.uploads.iterdir()) == []


@pytest.mark.parametrize(
    ("sent", "content"),
    [
        ("reviews.csv.gz", gzip.compress(GOOD.encode())),
        ("words.conllu", b"# text\n1\tAnna\tAnna\tPROPN\t_\t_\t0\troot\t_\t_\n2\tis\tbe\tVERB\t_\t_\t1\tx\t_\t_\n"),
        ("memory.tmx", b'<tmx><header srclang="en"/><body><tu><tuv xml:lang="en"><seg>Hi</seg></tuv>'
         b'<tuv xml:lang="de"><seg>Hallo</seg></tuv></tu></body></tmx>'),
    ],
)  # fmt: skip
def test_files_that_are_no_plain_tables_are_listed(sent: str, content: bytes, workspace: Workspace) -> None:
    path = store(sent, content, workspace)
    assert path.name.endswith(Path(sent).suffix)
    page = well(open_page("data", data=path.name))
    assert page.selectbox(key="data.chosen").value == path.name


def test_rows_that_cannot_be_used_are_left_out_on_launch(workspace: Workspace) -> None:
    page = page_of("launch", store("a.csv", (GOOD + "a,b,c\n,\n").encode(), workspace))
    assert not usable("launch", page)
    page = well(page.button(key="offer_bad_rows").click().run())
    assert usable("launch", page)
    assert any("the row does not fit the header" in str(warning.value) for warning in page.warning), "never silent"


def test_launch_shows_what_was_guessed_about_a_file(workspace: Workspace) -> None:
    french = "Le film était très étrange et j’ai été déçu par la fin, où tout s’arrête"
    table = "text;label\n" + "".join(f"{french} {n};{n % 2}\n" for n in range(60))
    text = text_of(page_of("launch", store("a.csv", table.encode("cp1252"), workspace))).replace("\\", "")
    for part in ("cp1252 was used", "fields are separated by ';'", "column 'text' is used as text"):
        assert part in text, part


def test_launch_offers_the_model_that_knows_the_language(workspace: Workspace) -> None:
    german = store("a.csv", GERMAN.encode(), workspace)
    page = page_of("launch", german)
    assert page.selectbox(key="launch.model").value == "minilm"
    page = well(page.button(key="offer_model").click().run())
    assert page.selectbox(key="launch.model").value == "multilingual-e5-small"
    assert "offer_model" not in button_keys(page) and not any("trained on" in str(w.value) for w in page.warning)
    english = page_of("launch", store("b.csv", GOOD.encode(), workspace))
    assert "offer_model" not in button_keys(english)


@pytest.mark.parametrize(("table", "model"), [(GERMAN, "multilingual-e5-small"), (GOOD, "minilm")])
def test_data_passes_a_model_for_the_language_on_to_launch(table: str, model: str, workspace: Workspace) -> None:
    page = page_of("data", store("a.csv", table.encode(), workspace))
    page = well(page.button(key="data_use").click().run())
    assert page.title[0].value == "Launch" and page.selectbox(key="launch.model").value == model


def test_data_can_be_passed_on_twice_without_complaints_about_links(workspace: Workspace) -> None:
    path = store("a.csv", GOOD.encode(), workspace)
    page = page_of("data", path)
    for _ in range(2):
        page = well(page.button(key="data_use").click().run())
        assert page.title[0].value == "Launch" and not page.warning
        page.switch_page("views/data.py")
        page.query_params["data"] = path.name
        page = well(page.run())


def test_options_of_the_task_are_set_on_data_and_in_the_link(workspace: Workspace) -> None:
    rows = "".join(
        json.dumps({"text": text, "labels": ["x", label] if n % 2 else [label]}) + "\n"
        for n, (text, label) in enumerate(reviews(60))
    )
    path = store("a.jsonl", rows.encode(), workspace)
    page = well(open_page("data", data=path.name, options='{"multi_label": true}'))
    assert page.metric and page.checkbox(key="data.options.text-classification.multi_label").value is True
    page = well(page.button(key="data_use").click().run())
    assert page.checkbox(key="launch.task_options.multi_label").value is True


@pytest.mark.parametrize(
    "link",
    ["[", "3", '{"encoding": 4}', '{"encoding": ["a"], "sheet": {}}', '{"multi_label": "<b>"}', "[" * 5000],
)
def test_wrong_links_change_nothing(link: str, workspace: Workspace) -> None:
    path = store("a.csv", GOOD.encode(), workspace)
    assert well(open_page("data", data=path.name, reading=link, options=link)).metric
