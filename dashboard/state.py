"""What the URL and the session hold, page by page, so that a reload or a shared link shows the same.

A value in the URL is user input like any other: it is looked up among what exists, and never trusted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar
from urllib.parse import quote

import streamlit as st

from workbench.i18n import _, ngettext

Value = TypeVar("Value")

MAX_RUNS = 60  # that can be compared at once
MAX_TEXT = 12_000  # characters
MAX_URL_TEXT = 30_000  # of a text as the URL encodes it; servers and browsers refuse much longer ones

HOME_PAGE, DATA_PAGE, LAUNCH_PAGE = "views/home.py", "views/data.py", "views/launch.py"
RUNS_PAGE, SWEEPS_PAGE, COMPARE_PAGE = "views/runs.py", "views/sweeps.py", "views/compare.py"
RUN_PAGE = "views/run.py"
EXPLAIN_PAGE, PLAYGROUND_PAGE = "views/explain.py", "views/playground.py"
LEARN_PAGE, SETTINGS_PAGE = "views/learn.py", "views/settings.py"


class Linked(NamedTuple):
    """A choice that the URL carries.

    Attributes:
        param: its query parameter; a link to a page is the page's path and these.
        key: its session key, which is also the key of its widget.
    """

    param: str
    key: str


RUN = Linked("run", "chosen.run")  # a run's id, on Runs, Explain and Playground


class RunPage:
    """Choices on the page of a run; its curves have those of ``Runs``, and its evidence those of ``Compare``."""

    ID = Linked("id", "run_page.id")
    TAB = Linked("tab", "run_page.tab")
    EVIDENCE = Linked("by", "run_page.evidence")  # on the tab By class
    ACTUAL = Linked("actual", "run_page.actual")  # mistakes of this class only
    PREDICTED = Linked("predicted", "run_page.predicted")  # mistakes predicted as this class only
    WORDS = Linked("words", "run_page.words")  # mistakes whose text contains these words


class Data:
    """Choices on Data."""

    DATASET = Linked("data", "data.chosen")  # the data set or uploaded file that is shown
    TASK = Linked("task", "data.task")  # filters of the catalogue
    LANGUAGE = Linked("language", "data.language")
    VIEW = Linked("show", "data.view")
    SPLIT = Linked("split", "data.split")
    USE = Linked("use", "data.use")  # the task that an uploaded file is used for
    ROLES = Linked("roles", "data.roles")  # which of its columns plays which role, as JSON
    READING = Linked("reading", "data.reading")  # how it is read: fields of the data section, as JSON
    OPTIONS = Linked("options", "data.task_options")  # options of the task, as JSON
    UPLOADED = "data.uploaded"


class Launch:
    """Choices on Launch; the fields of its form have keys such as ``launch.training.epochs``."""

    PRESET = Linked("preset", "launch_preset")  # a preset that fills the form
    FROM = Linked("from", "launch_from")  # a run whose settings fill the form
    PREFIX = "launch"


class Runs:
    """Choices on Runs: for the list, then for the curves of one run."""

    FILTER = Linked("where", "list.where")  # a condition in SQL
    SORT = Linked("sort", "list.sort")  # a field, with a minus in front for descending order
    GROUP = Linked("group", "list.group")  # fields, separated by commas
    TAGS = Linked("tags", "list.tags")  # a listed run has all of them, separated by commas
    ARCHIVED = Linked("archived", "list.archived")  # 1 to show archived runs as well
    METRIC = Linked("value", "list.metric")  # the metric that the list shows and groups average
    COLUMNS = Linked("columns", "list.columns")  # separated by commas
    TICKED = "list.ticked"
    OPENED = "list.opened"  # id of the run that was clicked
    AXIS = Linked("x", "watch.x")  # the horizontal axis of the curves
    LOG = Linked("log", "watch.log")  # 1 for a logarithmic axis
    SMOOTH = Linked("smooth", "watch.smooth")  # the weight of smoothing, 0 to 0.99
    RANGE = Linked("range", "watch.range")  # the part of the horizontal axis that is shown, in percent: 10-20
    EVALUATION = Linked("evaluation", "watch.evaluation")  # the step whose confusion matrix is shown


class Sweeps:
    """Choices on Sweeps."""

    SWEEP = Linked("sweep", "chosen.sweep")  # a sweep's name


class Compare:
    """Choices on Compare."""

    RUNS = Linked("runs", "chosen.runs")  # ids, separated by commas
    METRIC = Linked("metric", "compare.metric")
    COST = Linked("cost", "compare.cost")  # the horizontal axis of quality against cost
    CURVES = Linked("curves", "compare.metrics")  # metrics, separated by commas
    AXIS = Linked("x", "compare.x")
    LOG = Linked("log", "compare.log")
    SMOOTH = Linked("smooth", "compare.smooth")
    AVERAGE = Linked("together", "compare.together")  # which runs are averaged into one curve
    SINGLES = Linked("singles", "compare.singles")  # 1 to show each run behind the mean
    OTHER = Linked("against", "compare.other")  # the run that the evidence compares the first one with
    EVIDENCE = Linked("evidence", "compare.evidence")
    CORRECT_RUN = Linked("which", "compare.which")  # the one of the two runs that is right in the examples shown
    CONFUSION_RUN = Linked("confused", "compare.confused")  # the run whose confusion matrix is shown
    CLASS = Linked("class", "compare.class")  # whose precision and recall are shown
    SLICES = Linked("slices", "compare.slice_by")
    LABEL_ERRORS = Linked("labels", "compare.labels")  # which list of label errors
    ONLY_DIFFERENT = Linked("only", "compare.only")  # 0 to show settings that are the same as well


class Explain:
    """Choices on Explain."""

    TEXT = Linked("text", "explain.text")
    PAIR = Linked("pair", "explain.text_pair")  # the second text, for a model that reads two
    VIEW = Linked("view", "explain.view")
    METHOD = Linked("method", "explain.method")
    OPTIONS = Linked("options", "explain.options")  # of the method, as JSON, without those that have their default
    TARGET = Linked("target", "explain.target")  # what is explained: a label, an answer, a token
    POSITION = Linked("position", "explain.position")  # the index of the word whose label is explained
    COMPARE_WITH = Linked("with", "explain.with")  # a run's id, BASE_MODEL or OTHER_TEXT
    SECOND_TEXT = Linked("other", "explain.other")
    ATTENTION = Linked("attention", "explain.attention")  # which attention of an encoder-decoder model
    LAYERS = Linked("layers", "explain.layers")  # separated by commas
    BASE_MODEL, OTHER_TEXT = "base", "text"


class Playground:
    """Choices on Playground."""

    COMPARE_WITH = Linked("with", "play.with")
    INPUT = Linked("input", "play.input")  # the inputs by role, as JSON
    GENERATION = Linked("generation", "play.generation")  # options that differ from the run's own, as JSON


def from_url(choice: Linked, read: Callable[[str], object]) -> None:
    """Set a widget to what the URL says, before the widget is drawn.

    This happens when the page is opened, and when something else than the widget changed the URL (a link, the back
    button). A widget that changed since keeps its value: the second of two quick clicks arrives with the URL from
    before the first.

    Args:
        choice: the parameter and the key.
        read: converts the parameter's text to the widget's value; returns None when there is no such value.
    """
    param, key = choice
    seen_key, held_key = f"url.{param}", f"held.{param}"
    text = st.query_params.get(param)
    st.session_state[f"key.{param}"] = key
    if key in st.session_state and held_key in st.session_state and st.session_state[key] != st.session_state[held_key]:
        st.session_state[seen_key], st.session_state[held_key] = text, st.session_state[key]
        return
    if text is None:
        if key not in st.session_state:
            text = _remembered(param) or None  # an empty one was removed
    elif text == st.session_state.get(seen_key) and key in st.session_state:
        return
    if text is not None:
        st.session_state[seen_key] = text
        value = read(text[: 2 * MAX_TEXT])
        if value is not None:
            st.session_state[key] = st.session_state[held_key] = value


def to_url(choice: Linked, text: str) -> None:
    """Write a choice to the URL, and remember it for the other pages.

    Args:
        choice: the parameter and the key.
        text: the value; an empty one removes the parameter. What is too long for a URL is only remembered.
    """
    param = choice.param
    st.session_state[f"remembered.{param}"] = text
    key = st.session_state.get(f"key.{param}")
    if key is not None and key in st.session_state:
        st.session_state[f"held.{param}"] = st.session_state[key]
    if len(quote(text, errors="replace")) > MAX_URL_TEXT:
        text = ""
    st.session_state[f"url.{param}"] = text
    if text and st.query_params.get(param) != text:
        st.query_params[param] = text
    elif not text and param in st.query_params:
        del st.query_params[param]


def remember(choice: Linked, text: str) -> None:
    """Remember a choice for the pages that have it, without a change of this page's URL.

    Args:
        choice: the parameter and the key.
        text: the value.
    """
    st.session_state[f"remembered.{choice.param}"] = text
    st.session_state.pop(choice.key, None)


def run_link(run_id: str) -> dict[str, str]:
    """Return the query parameters of a run's page.

    Args:
        run_id: id of the run.
    """
    return {RunPage.ID.param: run_id}


def _remembered(param: str) -> str | None:
    value: str | None = st.session_state.get(f"remembered.{param}")
    return value


def known(options: Sequence[str]) -> Callable[[str], str | None]:
    """Return a reader for :func:`from_url` that accepts one of ``options`` and ignores anything else.

    Args:
        options: the allowed values.
    """
    return lambda text: text if text in options else None


def mapping(text: str) -> dict[str, object] | None:
    """Return the JSON object in a text; None if it holds anything else.

    Args:
        text: of the URL.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def flag(text: str) -> bool | None:
    """Read ``1`` as True and ``0`` as False.

    Args:
        text: a query parameter.
    """
    return {"1": True, "0": False}.get(text)


def one_of(options: Sequence[str]) -> Callable[[str], str | None]:
    """Return a reader that accepts one of the runs in ``options``, and warns when the URL names another.

    Args:
        options: ids of runs.
    """

    def read(text: str) -> str | None:
        if text in options:
            return text
        st.warning(_("This link points to a run that no longer exists."), icon=":material/link_off:")
        return None

    return read


def some_of(options: Sequence[str]) -> Callable[[str], list[str] | None]:
    """Return a reader that accepts several of the runs in ``options``, and warns how many of the URL's are missing.

    Args:
        options: ids of runs.
    """

    def read(text: str) -> list[str] | None:
        names = list(dict.fromkeys(text.split(",")))
        existing = [name for name in names if name in options][:MAX_RUNS]
        missing = len(names) - len(existing)
        if missing:
            message = ngettext(
                "{n} of the {total} runs in this link is not shown: it no longer exists or exceeds the limit ({max}).",
                "{n} of the {total} runs in this link are not shown: they no longer exist or exceed the limit ({max}).",
                missing,
            )
            st.warning(message.format(n=missing, total=len(names), max=MAX_RUNS), icon=":material/link_off:")
        return existing or None

    return read
