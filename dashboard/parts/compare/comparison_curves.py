"""Compare's curves: several runs in one figure, each on its own or averaged in groups."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from dashboard import state
from dashboard.parts.compare import comparison
from dashboard.parts.shared import curves, url_widgets
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.glossary import help_for
from workbench.i18n import N_, _
from workbench.runs.run import Run
from workbench.runs.series.metric_store import open_metrics

DEFAULT = ("train/loss", "eval/loss", "eval/accuracy", "train/learning_rate")
MAX_FIGURES = 8
MAX_IN_LEGEND = 12  # lines; of more, the tooltip identifies them
SEEDS, EACH = "seeds", "each"
GROUPINGS = {SEEDS: N_("setting (average over seeds)"), EACH: N_("none (each run)")}


def draw(runs: list[Run]) -> None:
    """Draw the controls and the figures, one per metric.

    Args:
        runs: colours follow their order.
    """
    names = curves.in_order({name for run in runs for name in open_metrics(run).names() if "/" in name})
    if not names:
        st.caption(_("None of these runs has metrics yet."))
        return
    chosen = url_widgets.multiselect(
        _("Curves"),
        names,
        state.Compare.CURVES,
        [name for name in names if name in DEFAULT],
        format_func=curves.title,
        max_selections=MAX_FIGURES,
    )
    style, averaging = _choose_style(runs)
    columns = st.columns(2)
    for index, name in enumerate(chosen):
        with columns[index % 2], show_errors(f"curve_{index}_error"):
            chart = _figure(runs, name, style, averaging)
            st.plotly_chart(chart, key=f"compare.curve.{name}", config=curves.CONFIG)


def _choose_style(runs: list[Run]) -> tuple[curves.Style, curves.Averaging]:
    """Axis, scale, averaging and smoothing; the URL holds all of it."""
    fields = [row["field"] for row in comparison.settings_of(runs, True) if row["field"] not in comparison.NO_SETTING]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = url_widgets.select(
            _("X axis"),
            list(curves.X_AXES),
            state.Compare.AXIS,
            format_func=curves.axis_name,
            width=140,
            help=help_for("step", "epoch"),
        )
        grouping = url_widgets.select(
            _("Group by"),
            [SEEDS, EACH, *fields],
            state.Compare.AVERAGE,
            width=320,
            help=help_for("band"),
            format_func=lambda name: _(GROUPINGS[name]) if name in GROUPINGS else name,
        )
        weight = _smoothing()
        log = url_widgets.toggle(
            _("Logarithmic"), state.Compare.LOG, help=_("Makes small differences near zero easier to see.")
        )
        singles = grouping != EACH and url_widgets.toggle(
            _("Single runs"), state.Compare.SINGLES, help=_("Also shows each run behind the mean.")
        )
    field = None if grouping in GROUPINGS else grouping
    return curves.Style(x, log, weight), curves.Averaging(grouping == SEEDS, field, singles)


def _smoothing() -> float:
    choice = state.Compare.SMOOTH
    state.from_url(choice, _read_weight)
    st.session_state.setdefault(choice.key, 0.0)
    weight = st.slider(_("Smoothing"), 0.0, 0.99, step=0.01, key=choice.key, width=200, help=help_for("smoothing"))
    state.to_url(choice, f"{weight:g}" if weight else "")
    return weight


def _read_weight(text: str) -> float | None:
    try:
        weight = float(text)
    except ValueError:
        return None
    return weight if 0 <= weight <= 0.99 else None


def _figure(runs: list[Run], name: str, style: curves.Style, averaging: curves.Averaging) -> go.Figure:
    lines = curves.overlaid_lines(runs, name, style, averaging)
    chart = curves.figure(curves.title(name), lines, style)
    if sum(not line.faint for line in lines) > MAX_IN_LEGEND:
        title = _("{metric}, {n} lines (hover to identify them)").format(metric=curves.title(name), n=len(lines))
        chart.update_layout(showlegend=False, height=340, margin={"b": 50}, hovermode="closest", title={"text": title})
    return chart
