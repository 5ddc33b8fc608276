"""The overview of the course in JupyterLab: what is done, and what comes next."""

from __future__ import annotations

from pathlib import Path

from workbench.teach.lessons import Part
from workbench.teach.overview import Overview, overview
from workbench.teach.standing import Standing, standings


def standing(key: str, done: int, of: int, minutes: int | None = 30) -> Standing:
    part = Part(key, f"About <{key}>", "", minutes, (), Path(f"{key}.ipynb"))
    return Standing(part, done, of, done > 0)


def test_what_is_done_and_what_comes_next() -> None:
    shown = Overview([standing("01-a", 3, 3), standing("02-b", 0, 4), standing("03-c", 1, 4)])
    # 03 was begun, so it comes before 02; a quarter of its 30 minutes is done.
    assert repr(shown).endswith("Next: 03-c, About <03-c> (about 22 minutes).")
    assert "<progress value='1' max='4'>" in shown._repr_html_()
    assert "About &lt;02-b&gt;" in shown._repr_html_() and "About <02-b>" not in shown._repr_html_()


def test_when_all_is_done_and_when_nothing_is_there() -> None:
    assert repr(Overview([standing("01-a", 3, 3)])).endswith("All is done.")
    assert repr(Overview([])).endswith("The course is not installed here.")


def test_it_holds_the_whole_course() -> None:
    assert len(overview().parts) == len(standings()) > 0
