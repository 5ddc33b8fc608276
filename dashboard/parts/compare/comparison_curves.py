"""Compare's curves: those of several runs in one figure, each by itself or as a mean of those that belong together."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard import state
from dashboard.parts.compare import comparison
from dashboard.parts.shared import curves, url_widgets
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.glossary import WORDS, help_for
from workbench.runs.metric_store import open_metrics
from workbench.runs.run import Run

FIRST = ("train/loss", "eval/loss", "eval/accuracy", "train/learning_rate")  # drawn before somebody chooses
MOST_FIGURES = 8
MOST_IN_LEGEND = 12  # lines; of more the pointer tells which is which
SEEDS, EACH = "seeds", "each"
WORDS_FOR = {SEEDS: "Seeds of one setting", EACH: "Nothing: every run by itself"}


def draw(runs: list[Run]) -> None:
    """The choice and the figures, one a metric. Colours follow the order of ``runs``."""
    names = curves.in_order({name for run in runs for name in open_metrics(run).names() if "/" in name})
    if not names:
        st.caption("None of these runs has written figures yet.")
        return
    chosen = url_widgets.several(
        "Curves", names, state.Compare.CURVES, [name for name in names if name in FIRST],
        format_func=curves.title, max_selections=MOST_FIGURES,
    )  # fmt: skip
    how = _choose_how(runs)
    places = st.columns(2)
    for number, name in enumerate(chosen):
        with places[number % 2], show_errors(f"curve_{number}_error"):
            st.plotly_chart(_figure(runs, name, **how), key=f"compare.curve.{name}", config=curves.CONFIG)


def _choose_how(runs: list[Run]) -> dict[str, Any]:
    """Axis, scale, what is one line, and smoothing; all of it stands in the URL."""
    fields = [row["field"] for row in comparison.settings_of(runs, True) if row["field"] not in comparison.NO_SETTING]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = url_widgets.select(
            "Over", list(curves.X_AXES), state.Compare.AXIS, format_func=curves.X_AXES.get, width=140,
            help=help_for("step", "epoch"),
        )  # fmt: skip
        together = url_widgets.select(
            "One line for", [SEEDS, EACH, *fields], state.Compare.AVERAGE, width=320, help=WORDS["band"],
            format_func=lambda name: WORDS_FOR.get(name) or f"Runs alike in {name}",
        )  # fmt: skip
        weight = _smoothing()
        log = url_widgets.toggle(
            "Logarithmic", state.Compare.LOG, help="Small differences near zero can be seen better."
        )
        singles = together != EACH and url_widgets.toggle(
            "Single runs", state.Compare.SINGLES, help="Each run's line behind the mean."
        )
    by = None if together in WORDS_FOR else together
    return {"x": x, "log": log, "weight": weight, "together": together == SEEDS, "singles": singles, "by": by}


def _smoothing() -> float:
    state.from_url(state.Compare.SMOOTH, _read_weight)
    st.session_state.setdefault(state.Compare.SMOOTH.key, 0.0)
    weight = st.slider(
        "Smoothing", 0.0, 0.99, step=0.01, key=state.Compare.SMOOTH.key, width=200, help=WORDS["smoothing"]
    )
    state.to_url(state.Compare.SMOOTH, f"{weight:g}" if weight else "")
    return weight


def _read_weight(given: str) -> float | None:
    try:
        weight = float(given)
    except ValueError:
        return None
    return weight if 0 <= weight <= 0.99 else None


def _figure(
    runs: list[Run], name: str, x: str, log: bool, weight: float, together: bool, singles: bool, by: str | None
) -> go.Figure:
    lines = curves.overlaid_lines(runs, name, x, weight, together, singles, by)
    drawn = curves.figure(curves.title(name), lines, x, log)
    if sum(not line.faint for line in lines) > MOST_IN_LEGEND:
        drawn.update_layout(
            showlegend=False, height=340, margin={"b": 50}, hovermode="closest",
            title={"text": f"{drawn.layout.title.text} of {len(lines)} lines; the pointer says which is which"},
        )  # fmt: skip
    return drawn
