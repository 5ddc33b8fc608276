"""The keys of the session's state, and what of it stands in the URL, so that a reload or a shared link shows the same.

A value in the URL is somebody's input like any other: it is looked up among what exists, and never trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import quote

import streamlit as st

# Query parameters. A link to a page is its path and these.
RUN = "run"  # one run's id: Runs, Explain
RUNS = "runs"  # runs' ids, with commas between: Compare
TEXT = "text"  # what Explain reads
PAIR = "pair"  # and its second text, where the model reads two
VIEW = "view"  # and what it shows of it
METHOD = "method"  # by which it explains
OPTIONS = "options"  # with which options of the method, as JSON; those with their defaults are left out
TARGET = "target"  # what it explains: a label, an answer, a token
PLACE = "place"  # and of which word, where labels stand at words
WITH = "with"  # what it compares with: a run's id, or one of WITH_BASE, WITH_TEXT
OTHER = "other"  # the other text
KIND = "kind"  # which attention, of a model that reads one text and writes another
LAYERS = "layers"  # the layers that are drawn, with commas between
PRESET = "preset"  # what Launch's form begins with
FROM = "from"  # or the run whose settings it begins with
SWEEP = "sweep"  # a sweep's name: Sweeps
AXIS = "x"  # what curves are drawn over
LOG = "log"  # 1 where they are drawn on a logarithmic axis
SMOOTH = "smooth"  # how much they are smoothed, 0 to 0.99
EVALUATION = "evaluation"  # the step after which the evaluation was whose confusion matrix is shown
PART = "part"  # the part of the horizontal axis that is shown, in percent: 10-20
WHERE = "where"  # the condition for which runs are listed, as SQL
SORT = "sort"  # the field by which they are sorted, with a minus before it where most comes first
GROUP = "group"  # the fields by which they are grouped, with commas between
DATA = "data"  # the data set or uploaded file that Data shows
TASK, LANGUAGE = "task", "language"  # of which Data lists data sets
SHOW = "show"  # what Data shows of them
SPLIT = "split"  # and of which part
USE = "use"  # what shall be learned from an uploaded file
ROLES = "roles"  # and which of its columns plays which role, as JSON
INPUT = "input"  # what Playground asks, as JSON: role and text
HOW = "how"  # and how the model is to write, as JSON; what is as the run was given is left out
TAGS = "tags"  # of which listed runs have all, with commas between
ARCHIVED = "archived"  # 1 where archived runs are listed, too
VALUE = "value"  # the metric that the list shows and groups by
COLUMNS = "columns"  # what it shows of each run, with commas between
METRIC = "metric"  # by which Compare compares
COST = "cost"  # against which it draws quality
CURVES = "curves"  # which curves it draws, with commas between
TOGETHER = "together"  # which runs are one curve: those alike but for the seed, or alike in a field
SINGLES = "singles"  # 1 where each run's line stands behind the mean
BESIDE = "beside"  # the run that the first one is laid beside
EVIDENCE = "evidence"  # what is shown of the two
WHICH = "which"  # the run of the two that is right in the examples shown
CONFUSED = "confused"  # the run whose confusion matrix is shown
CLASS = "class"  # whose precision and recall are shown
SLICES = "slices"  # what the examples are cut by
DOUBTS = "doubts"  # which list of doubtful labels
ONLY = "only"  # 0 where settings that are the same are shown, too

# Session keys of widgets; tests find widgets by them.
CHOSEN_RUN = "chosen.run"
CHOSEN_RUNS = "chosen.runs"
EXPLAIN_TEXT = "explain.text"
EXPLAIN_PAIR = "explain.text_pair"
EXPLAIN_METHOD = "explain.method"
EXPLAIN_TARGET = "explain.target"
EXPLAIN_PLACE = "explain.place"
EXPLAIN_WITH = "explain.with"
EXPLAIN_KIND = "explain.kind"
EXPLAIN_OTHER = "explain.other"
CHOSEN_VIEW = "explain.view"
WATCH_AXIS, WATCH_LOG, WATCH_SMOOTH, WATCH_PART = "watch.x", "watch.log", "watch.smooth", "watch.part"
WATCH_EVALUATION = "watch.evaluation"
LIST_WHERE, LIST_SORT, LIST_GROUP = "list.where", "list.sort", "list.group"
LIST_TAGS, LIST_ARCHIVED, LIST_METRIC = "list.tags", "list.archived", "list.metric"
LIST_COLUMNS, LIST_TICKED = "list.columns", "list.ticked"
CHOSEN_SWEEP = "chosen.sweep"
CHOSEN_DATA, DATA_UPLOADED, DATA_VIEW = "data.chosen", "data.uploaded", "data.view"
DATA_SPLIT, DATA_ROLES = "data.part", "data.roles"
PLAY_WITH, PLAY_INPUT, PLAY_HOW = "play.with", "play.input", "play.how"
COMPARE_METRIC, COMPARE_X, COMPARE_LOG = "compare.metric", "compare.x", "compare.log"
COMPARE_COST, COMPARE_SMOOTH = "compare.cost", "compare.smooth"
LAUNCH = "launch"  # prefix of the form's fields: launch.training.epochs

HOME_PAGE, LAUNCH_PAGE, RUNS_PAGE = "views/home.py", "views/launch.py", "views/runs.py"
COMPARE_PAGE, EXPLAIN_PAGE = "views/compare.py", "views/explain.py"
SWEEPS_PAGE = "views/sweeps.py"
DATA_PAGE = "views/data.py"
LEARN_PAGE = "views/learn.py"
PLAYGROUND_PAGE, SETTINGS_PAGE = "views/playground.py", "views/settings.py"

MOST_RUNS = 60  # that can be compared at once
LONGEST_TEXT = 12_000  # characters
LONGEST_IN_URL = 30_000  # of a text as it stands in the URL; servers and browsers refuse much longer ones
WITH_BASE, WITH_TEXT = "base", "text"


def from_url(param: str, key: str, read: Callable[[str], object]) -> None:
    """Give the widget ``key`` what the URL says, before it is drawn.

    It happens when the page is opened and when the URL was changed by something else than the widget (a link, the
    back button). A widget that was moved since is left as it is: who clicks twice quickly sends the second click with
    the URL of before the first.

    Args:
        param: the query parameter.
        key: the widget's session key.
        read: turns the parameter's text into the widget's value; None when it is nothing that there is.
    """
    seen, held = f"url.{param}", f"held.{param}"
    given = st.query_params.get(param)
    st.session_state[f"key.{param}"] = key
    if key in st.session_state and held in st.session_state and st.session_state[key] != st.session_state[held]:
        st.session_state[seen], st.session_state[held] = given, st.session_state[key]
        return
    if given is None:
        if key not in st.session_state and _remembered(param) is not None:
            given = _remembered(param)
    elif given == st.session_state.get(seen) and key in st.session_state:
        return
    if given is not None:
        st.session_state[seen] = given
        value = read(given[: 2 * LONGEST_TEXT])
        if value is not None:
            st.session_state[key] = st.session_state[held] = value


def to_url(param: str, value: str) -> None:
    """Put what was chosen into the URL, and remember it for the other pages; an empty value takes it out.

    What is too long for a URL is only remembered.
    """
    st.session_state[f"remembered.{param}"] = value
    key = st.session_state.get(f"key.{param}")
    if key in st.session_state:
        st.session_state[f"held.{param}"] = st.session_state[key]
    if len(quote(value, errors="replace")) > LONGEST_IN_URL:
        value = ""
    st.session_state[f"url.{param}"] = value
    if value and st.query_params.get(param) != value:
        st.query_params[param] = value
    elif not value and param in st.query_params:
        del st.query_params[param]


def _remembered(param: str) -> str | None:
    return st.session_state.get(f"remembered.{param}")


def one_of(options: Sequence[str]) -> Callable[[str], str | None]:
    """Reads one of ``options``; says on the page when the URL names something else."""

    def read(given: str) -> str | None:
        if given in options:
            return given
        st.warning("The link names a run that is not there; it may have been deleted.", icon=":material/link_off:")
        return None

    return read


def some_of(options: Sequence[str]) -> Callable[[str], list[str] | None]:
    """Reads several of ``options`` with commas between; says on the page how many the URL names that are not there."""

    def read(given: str) -> list[str] | None:
        names = list(dict.fromkeys(given.split(",")))
        known = [name for name in names if name in options][:MOST_RUNS]
        if len(known) < len(names):
            st.warning(
                f"{len(names) - len(known)} of the {len(names)} runs in the link cannot be shown: they are not there, "
                f"or are more than the {MOST_RUNS} that fit.",
                icon=":material/link_off:",
            )
        return known or None

    return read
