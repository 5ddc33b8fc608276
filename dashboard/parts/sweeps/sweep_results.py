"""One sweep: its progress, its trials as figures and as a table, and a new run from the best one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go
import streamlit as st

from dashboard import state
from dashboard.parts.shared import run_list
from dashboard.parts.shared.curves import CONFIG, palette, title
from dashboard.parts.shared.errors import show_error
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.parallel import parallel_coordinates
from dashboard.parts.shared.run_states import in_words
from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import ago, cut, md, number, plain
from workbench.i18n import N_, _, ngettext
from workbench.jobs.sweep_state import Trial
from workbench.jobs.sweep_study import MIN_TRIALS_FOR_IMPORTANCE
from workbench.jobs.sweeps import Sweep, SweepSummary, seed_deviation, with_value

STATES = {
    "running": N_("the sweep is running"),
    "succeeded": N_("the sweep has finished"),
    "stopped": N_("the sweep was stopped"),
    "failed": N_("the sweep failed"),
}


def draw(sweep: Sweep, summary: SweepSummary) -> None:
    """Draw the whole of one sweep.

    Args:
        sweep: the sweep.
        summary: summary of the sweep.
    """
    _header(sweep, summary)
    done = with_value(summary["trials"])
    if summary["error"]:
        show_error(summary["error"], "sweep_failed")
    if not done:
        text = _("No trial has finished with a result yet.")
        if not summary["over"]:
            text = _("No seed has finished with a result yet.")
        st.info(text, icon=":material/hourglass_empty:")
    elif summary["over"]:
        left, right = st.columns(2)
        left.plotly_chart(history(summary), key="sweep.history", config=CONFIG)
        with right:
            _importance(sweep, summary, len(done))
        if len(done) > 1:
            st.plotly_chart(parallel(summary), key="sweep.parallel", config=CONFIG)
    if summary["over"] or not summary["trials"]:
        _trials(summary)
    else:
        _seeds(summary, summary["trials"][0])


def _header(sweep: Sweep, summary: SweepSummary) -> None:
    """State, progress, the best trial, and the buttons for what can be done now."""
    done, total = summary["trials_done"], summary["trials_asked"]
    text = _("{done} of {total} trials finished; {state}")
    if not summary["over"]:  # its progress is that of its only trial
        text, total = _("{done} of {total} seeds finished; {state}"), len(summary["seeds"])
        done = sum(len(trial["figures"]) for trial in summary["trials"])
    sweep_state = _(STATES.get(summary["state"], str(summary["state"])))
    st.progress(min(1.0, done / max(1, total)), text.format(done=f"{done:,}", total=f"{total:,}", state=sweep_state))
    count = len(summary["seeds"])
    description = _("the same settings with each seed")
    if summary["over"]:
        seeds = ngettext("one run each", "{n} seeds each", count).format(n=count)
        description = f"{summary['method']} · {seeds}"
    st.caption(md(f"{description} · {_('started {ago}').format(ago=ago(summary['created']))}"))
    if summary["best"]:
        _best(summary, summary["best"])
    with st.container(horizontal=True, key="sweep_actions"):
        _actions(sweep, summary)


def _best(summary: SweepSummary, best: Trial) -> None:
    metric = md(title(summary["metric"]))
    label = _("Best: {metric}") if summary["over"] else _("Mean: {metric}")
    left, right = st.columns([1, 3])
    left.metric(
        label.format(metric=metric),
        number(best["value"]) + _deviation(best),
        help=_("On the validation set, by which settings are chosen. The test set is for the final result."),
    )
    settings = " · ".join(f"{field} = {number(value)}" for field, value in best["values"].items())
    if settings:
        right.markdown(f"**{_('Trial {n}').format(n=best['number'])}**: {md(settings, 500)}")


def _actions(sweep: Sweep, summary: SweepSummary) -> None:
    _compare(summary)
    best = summary["best"] if summary["over"] else None
    if best and st.button(
        _("New run from the best"), type="primary", icon=":material/rocket_launch:", key="sweep.launch"
    ):
        first = next(iter(best["runs"].values()))
        st.switch_page(state.LAUNCH_PAGE, query_params={state.Launch.FROM.param: first})
    if best and st.button(_("Show its run"), icon=":material/list_alt:", key="sweep.show"):
        first = next(iter(best["runs"].values()))
        st.switch_page(state.RUN_PAGE, query_params=state.run_link(first))
    if summary["state"] == "running" and st.button(
        _("Stop"),
        icon=":material/stop:",
        key="sweep.stop",
        help=_("Also stops its runs. You can resume it later."),
    ):
        sweep.stop()
        st.rerun()
    if summary["state"] in ("stopped", "failed") and st.button(
        _("Resume"), icon=":material/resume:", key="sweep.continue"
    ):
        sweep.resume()
        st.rerun()


def _compare(summary: SweepSummary) -> None:
    """Draw the button that opens Compare: with all seeds of one setting, or with the best trials and their seeds."""
    sign = -1 if summary["maximize"] else 1
    best_first = sorted(with_value(summary["trials"]), key=lambda trial: sign * _value(trial))
    trials = best_first if summary["over"] else summary["trials"]
    runs = [
        run
        for trial in trials
        for seed, run in trial["runs"].items()
        if seed in trial["figures"] and seed not in trial.get("failed", ())
    ]
    if len(runs) < 2:
        return
    if summary["over"]:
        help = _("The best trials with all their seeds, on the test examples.")
        pressed = st.button(_("Compare the trials"), icon=":material/compare_arrows:", key="sweep.compare", help=help)
    else:
        pressed = st.button(
            _("Compare the seeds"),
            type="primary",
            icon=":material/compare_arrows:",
            key="sweep.compare",
            help=help_for("seeds"),
        )
    if pressed:
        ids = ",".join(runs[: state.MAX_RUNS])
        st.switch_page(state.COMPARE_PAGE, query_params={state.Compare.RUNS.param: ids})


def _value(trial: Trial) -> float:
    """Return the value of a trial that has one."""
    assert trial["value"] is not None
    return trial["value"]


def _deviation(trial: Trial) -> str:
    deviation = seed_deviation(trial)
    return "" if deviation is None else f" ± {number(deviation)}"


def history(summary: SweepSummary) -> go.Figure:
    """Return a figure of each trial's value in order, and the best so far.

    Args:
        summary: summary of the sweep.
    """
    done, best_of = with_value(summary["trials"]), max if summary["maximize"] else min
    numbers, values = [trial["number"] for trial in done], [_value(trial) for trial in done]
    so_far = [best_of(values[: index + 1]) for index in range(len(values))]
    colours, figure = palette(), go.Figure()
    figure.add_scatter(x=numbers, y=values, mode="markers", name=_("trial"), marker={"color": colours[0], "size": 8})
    figure.add_scatter(
        x=numbers, y=so_far, mode="lines", name=_("best so far"), line={"color": colours[1], "shape": "hv"}
    )
    _lay_out(figure, title(summary["metric"]), 300)
    figure.update_layout(xaxis_title=_("Trial"), legend={"orientation": "h", "y": -0.3})
    figure.update_xaxes(tickformat=",d")
    return figure


def parallel(summary: SweepSummary) -> go.Figure:
    """Return parallel coordinates: one line per trial, one axis per field.

    Args:
        summary: summary of the sweep.
    """
    done = with_value(summary["trials"])
    settings = {field: [trial["values"].get(field) for trial in done] for field in summary["over"]}
    values = [_value(trial) for trial in done]
    heading = _("Every trial, setting by setting")
    return parallel_coordinates(settings, title(summary["metric"]), values, summary["maximize"], heading)


@st.cache_data(max_entries=50, show_spinner=False)
def _shares(folder: str, results: list[tuple[int, float]]) -> dict[str, float]:
    """Return the importance of each field. It takes seconds, and changes only with ``results``."""
    return Sweep(Path(folder)).importance()


def _importance(sweep: Sweep, summary: SweepSummary, n_done: int) -> None:
    results = [(trial["number"], _value(trial)) for trial in with_value(summary["trials"])]
    shares: dict[str, float] = {}
    if n_done >= MIN_TRIALS_FOR_IMPORTANCE:
        with st.spinner(_("Computing importance ...")):
            shares = _shares(str(sweep.folder), results)
    if not shares:
        text = _("Importance needs {min} trials with different results ({n} so far).")
        st.caption(text.format(min=MIN_TRIALS_FOR_IMPORTANCE, n=n_done))
        return
    fields = list(shares)[::-1]
    figure = go.Figure(
        go.Bar(x=[100 * shares[f] for f in fields], y=[plain(f, 40) for f in fields], orientation="h",
               marker_color=palette()[0], hovertemplate="%{x:.0f}%<extra></extra>")
    )  # fmt: skip
    _lay_out(figure, _("Importance: share of the differences between trials"), 300)
    figure.update_xaxes(range=[0, 100], ticksuffix="%")
    st.plotly_chart(figure, key="sweep.importance", config=CONFIG)
    if n_done < 4 * len(fields) + 8:
        text = ngettext(
            "A rough estimate: {n} trials are few for {fields} field.",
            "A rough estimate: {n} trials are few for {fields} fields.",
            len(fields),
        )
        st.caption(text.format(n=n_done, fields=len(fields)))


def _lay_out(figure: go.Figure, heading: str, height: int) -> None:
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 40, "b": 40},
        title={"text": plain(heading), "font": {"size": 14}},
        uirevision="stay",
    )
    figure.update_yaxes(automargin=True)


def _seeds(summary: SweepSummary, trial: Trial) -> None:
    """Draw a row per seed, where nothing else varies."""
    seeds, metric = list(trial["runs"]), title(summary["metric"])
    draw_table(
        {
            "seed": [int(seed) for seed in seeds],
            "value": [trial["figures"].get(seed) for seed in seeds],
            "run": [run_list.title(trial["runs"][seed]) for seed in seeds],
        },
        column_config={
            "seed": st.column_config.NumberColumn(_("Seed")),
            "value": st.column_config.NumberColumn(metric, format="%.4g"),
            "run": st.column_config.TextColumn(_("Run")),
        },
        hide_index=True,
        key="sweep.seeds.table",
    )
    if trial["error"]:
        show_error(trial["error"], "sweep_seeds_failed")


def _trials(summary: SweepSummary) -> None:
    """Draw a row per trial."""
    trials = summary["trials"]
    if not trials:
        st.caption(_("The first trial starts in a moment."))
        return
    values = {cut(field, 60): _cells([trial["values"].get(field) for trial in trials]) for field in summary["over"]}
    column = st.column_config
    pruned = _("stopped early")
    table: dict[str, Sequence[object]] = {
        "trial": [trial["number"] for trial in trials],
        "state": [pruned if trial["state"] == "pruned" else in_words(trial["state"]) for trial in trials],
        "value": [trial["value"] for trial in trials],
    }
    if len(summary["seeds"]) > 1:
        table["deviation"] = [seed_deviation(trial) for trial in trials]
    table |= values
    table["reason"] = [cut((trial.get("error") or {}).get("message", ""), 200) for trial in trials]
    draw_table(
        table,
        column_config={
            "trial": column.NumberColumn(_("Trial")),
            "state": column.TextColumn(_("State")),
            "value": column.NumberColumn(title(summary["metric"]), format="%.4g"),
            "deviation": column.NumberColumn(_("± seeds"), format="%.2g"),
            **{name: column.NumberColumn(format="%.3g") for name, cells in values.items() if _has_fractions(cells)},
            "reason": column.TextColumn(_("Reason")),
        },
        hide_index=True,
        placeholder="",
        key="sweep.trials.table",
    )


def _has_fractions(cells: Sequence[object]) -> bool:
    return all(isinstance(cell, int | float) for cell in cells) and any(isinstance(cell, float) for cell in cells)


def _cells(values: Sequence[object]) -> list[object]:
    """Return a column of a setting. Numbers stay numeric where all values are numbers, so that they sort and align."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return list(values)
    return [number(value) for value in values]
