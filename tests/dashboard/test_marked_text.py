"""Marks in a text: exactly the text is shown, wherever the spans stand."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.parts.playground.marked_text import MAX_LENGTH, marked_html
from workbench.tasks.answers import Span

COLOURS = ["#0072B2", "#D55E00"]


class Shown(HTMLParser):
    """What a browser shows of a document: its text without the labels, and which letters are marked."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.marked, self.tags = "", [], set[str]()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "span" not in self._open:
            self.text += data
            self.marked += [self._open.count("mark")] * len(data)


def seen(text: str, spans: list[Span]) -> Shown:
    result = Shown()
    result.feed(marked_html(text, spans, COLOURS))
    result.close()
    assert result.tags <= {"div", "mark", "span"}
    return result


numbers = st.integers(-3, 40)
spans = st.builds(Span, st.just(""), numbers, numbers, st.floats(0, 1), st.text(max_size=9))


@given(st.text(alphabet=st.characters(exclude_characters="\r\0"), max_size=30), st.lists(spans, max_size=6))
def test_each_letter_carries_as_many_marks_as_spans_cover_it(text: str, spans: list[Span]) -> None:
    page = seen(text, spans)
    assert page.text == text
    inside = [span for span in spans if 0 <= span.start < min(span.end, len(text))]
    assert page.marked == [sum(s.start <= i < s.end for s in inside) for i in range(len(text))]


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "<mark>&amp;", "'\"`", "</div><img src=x onerror=a()>"])
def test_nothing_in_text_or_label_becomes_html(text: str) -> None:
    page = seen(text, [Span(text[:3], 0, 3, 0.5, text)])
    assert page.text == text


def test_a_label_has_one_colour_and_appears_once() -> None:
    page = marked_html("Ada in Rome", [Span("Ada", 0, 3, 0.91, "PER"), Span("Rome", 7, 11, 0.8, "LOC")], COLOURS)
    assert page.count(">PER<") == page.count(">LOC<") == 1 and "PER, 91.0%" in page
    assert len(set(re.findall(r"background:(#\w{6})", page))) == 2


def test_a_book_is_cut() -> None:
    page = seen("a" * (MAX_LENGTH + 5), [])
    assert page.text == "a" * MAX_LENGTH + "…"
