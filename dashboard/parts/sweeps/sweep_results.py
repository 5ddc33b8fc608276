"""One sweep: how far it is, its trials as figures and as a table, and the way from the best one to a new run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard import state
from dashboard.parts.shared import run_list
from dashboard.parts.shared.curves import CONFIG, palette, title
from dashboard.parts.shared.errors import show_error
from dashboard.parts.shared.glossary import WORDS
from dashboard.parts.shared.parallel import coordinates
from dashboard.parts.shared.run_states import in_words
from dashboard.parts.shared.text import ago, cut, md, number, plain
from workbench.jobs.sweep_study import MIN_TRIALS_FOR_IMPORTANCE
from workbench.jobs.sweeps import Sweep, seed_deviation, with_value

STATES = {"running": "goes on", "succeeded": "is done", "stopped": "is stopped", "failed": "has failed"}


def draw(sweep: Sweep, summary: dict[str, Any]) -> None:
    """The whole of one sweep."""
    _header(sweep, summary)
    done = with_value(summary["trials"])
    if summary["error"]:
        show_error(summary["error"], "sweep_failed")
    if not done:
        what = "trial" if summary["over"] else "seed"
        st.info(f"No {what} has ended with a result yet.", icon=":material/hourglass_empty:")
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


def _header(sweep: Sweep, summary: dict[str, Any]) -> None:
    """State, progress, the best trial, and what can be done now."""
    done, asked, best = summary["trials_done"], summary["trials_asked"], summary["best"]
    going = {"running": "stop", "stopped": "continue", "failed": "continue"}.get(summary["state"])
    what = "trials"
    if not summary["over"]:  # its progress is that of its only trial
        what, asked = "seeds", len(summary["seeds"])
        done = sum(len(trial["figures"]) for trial in summary["trials"])
    st.progress(done / asked, f"{done:,} of {asked:,} {what} have ended; the sweep {STATES.get(summary['state'], '')}")
    seeds = f"{len(summary['seeds'])} seeds each" if len(summary["seeds"]) > 1 else "one run each"
    method = f"{summary['method']} · {seeds}" if summary["over"] else "the same settings with each seed"
    st.caption(md(f"{method} · begun {ago(summary['created'])}"))
    if best:
        left, right = st.columns([1, 3])
        left.metric(
            f"{'Best' if summary['over'] else 'Mean'} {md(title(summary['metric']).lower())}",
            number(best["value"]) + _within(best),
            help="On the validation part, which settings are chosen by: the test part is kept for the final word.",
        )
        settings = " · ".join(f"{field} = {number(value)}" for field, value in best["values"].items())
        if settings:
            right.markdown(f"**Trial {best['number']}**: {md(settings, 500)}")
    with st.container(horizontal=True, key="sweep_actions"):
        _compare(summary)
        if (
            best
            and summary["over"]
            and st.button("New run from the best", type="primary", icon=":material/rocket_launch:", key="sweep.launch")
        ):
            first = next(iter(best["runs"].values()))
            st.switch_page(state.LAUNCH_PAGE, query_params={state.Launch.FROM.param: first})
        if best and summary["over"] and st.button("Show its run", icon=":material/list_alt:", key="sweep.show"):
            st.switch_page(state.RUNS_PAGE, query_params={state.RUN.param: next(iter(best["runs"].values()))})
        if going == "stop" and st.button(
            "Stop", icon=":material/stop:", key="sweep.stop", help="Stops its runs, too. It can be gone on with."
        ):
            sweep.stop()
            st.rerun()
        if going == "continue" and st.button("Go on", icon=":material/resume:", key="sweep.continue"):
            sweep.resume()
            st.rerun()


def _compare(summary: dict[str, Any]) -> None:
    """The way to Compare: all seeds of one setting, or the trials from the best one on, each with its seeds."""
    pick = -1 if summary["maximize"] else 1
    best_first = sorted(with_value(summary["trials"]), key=lambda trial: pick * trial["value"])
    trials = best_first if summary["over"] else summary["trials"]
    runs = [
        run
        for trial in trials
        for seed, run in trial["runs"].items()
        if seed in trial["figures"] and seed not in trial.get("failed", ())
    ]
    runs = runs[: state.MAX_RUNS]
    label, kind, tip = "Compare the trials", "secondary", "The best ones with all their seeds, on the test examples."
    if not summary["over"]:
        label, kind, tip = "Compare the seeds", "primary", WORDS["seeds"]
    if len(runs) > 1 and st.button(label, type=kind, icon=":material/compare_arrows:", key="sweep.compare", help=tip):
        st.switch_page(state.COMPARE_PAGE, query_params={state.Compare.RUNS.param: ",".join(runs)})


def _within(trial: dict[str, Any]) -> str:
    deviation = seed_deviation(trial)
    return "" if deviation is None else f" ± {number(deviation)}"


def history(summary: dict[str, Any]) -> go.Figure:
    """Each trial's value in order, and the best so far."""
    done, pick = with_value(summary["trials"]), max if summary["maximize"] else min
    numbers, values = [trial["number"] for trial in done], [trial["value"] for trial in done]
    so_far = [pick(values[: place + 1]) for place in range(len(values))]
    colours, drawn = palette(), go.Figure()
    drawn.add_scatter(x=numbers, y=values, mode="markers", name="trial", marker={"color": colours[0], "size": 8})
    drawn.add_scatter(x=numbers, y=so_far, mode="lines", name="best so far", line={"color": colours[1], "shape": "hv"})
    _lay_out(drawn, title(summary["metric"]), 300)
    drawn.update_layout(xaxis_title="Trial", legend={"orientation": "h", "y": -0.3})
    drawn.update_xaxes(tickformat=",d")
    return drawn


def parallel(summary: dict[str, Any]) -> go.Figure:
    """Parallel coordinates: a line a trial, an axis a field, the result on the right and as the colour."""
    done = with_value(summary["trials"])
    settings = {field: [trial["values"].get(field) for trial in done] for field in summary["over"]}
    values = [trial["value"] for trial in done]
    heading = "Every trial, setting by setting"
    return coordinates(settings, title(summary["metric"]), values, summary["maximize"], heading)


@st.cache_data(max_entries=50, show_spinner="Finding out what mattered ...")
def _shares(folder: str, results: list[tuple[int, float]]) -> dict[str, float]:
    """It takes seconds, and changes only when another trial has ended: ``results`` says so."""
    return Sweep(Path(folder)).importance()


def _importance(sweep: Sweep, summary: dict[str, Any], done: int) -> None:
    results = [(trial["number"], trial["value"]) for trial in with_value(summary["trials"])]
    shares = _shares(str(sweep.folder), results) if done >= MIN_TRIALS_FOR_IMPORTANCE else {}
    if not shares:
        st.caption(
            f"What mattered most can be told from {MIN_TRIALS_FOR_IMPORTANCE} trials on whose results differ; "
            f"{done} so far."
        )
        return
    fields = list(shares)[::-1]
    drawn = go.Figure(
        go.Bar(x=[100 * shares[f] for f in fields], y=[plain(f, 40) for f in fields], orientation="h",
               marker_color=palette()[0], hovertemplate="%{x:.0f}%<extra></extra>")
    )  # fmt: skip
    _lay_out(drawn, "What mattered, in % of the differences between trials", 300)
    drawn.update_xaxes(range=[0, 100], ticksuffix="%")
    st.plotly_chart(drawn, key="sweep.importance", config=CONFIG)
    if done < 4 * len(fields) + 8:
        st.caption(f"A first guess: {done} trials are few for {len(fields)} field{'s' if len(fields) > 1 else ''}.")


def _lay_out(drawn: go.Figure, heading: str, height: int) -> None:
    drawn.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 40, "b": 40},
        title={"text": plain(heading), "font": {"size": 14}},
        uirevision="stay",
    )
    drawn.update_yaxes(automargin=True)


def _seeds(summary: dict[str, Any], trial: dict[str, Any]) -> None:
    """A row a seed, where nothing else varies."""
    seeds = list(trial["runs"])
    st.dataframe(
        {
            "Seed": [int(seed) for seed in seeds],
            title(summary["metric"]): [trial["figures"].get(seed) for seed in seeds],
            "Run": [run_list.title(trial["runs"][seed]) for seed in seeds],
        },
        column_config={title(summary["metric"]): st.column_config.NumberColumn(format="%.4g")},
        hide_index=True,
        key="sweep.seeds.table",
    )
    if trial.get("error"):
        show_error(trial["error"], "sweep_seeds_failed")


def _trials(summary: dict[str, Any]) -> None:
    """A row a trial."""
    trials = summary["trials"]
    if not trials:
        st.caption("The worker begins the first trial in a moment.")
        return
    values = {
        cut(field, 60): [
            _cell([t["values"].get(field) for t in trials], trial["values"].get(field)) for trial in trials
        ]
        for field in summary["over"]
    }
    st.dataframe(
        {
            "Trial": [trial["number"] for trial in trials],
            "State": [in_words(trial["state"]) if trial["state"] != "pruned" else "given up" for trial in trials],
            title(summary["metric"]): [trial["value"] for trial in trials],
            **({"± seeds": [seed_deviation(trial) for trial in trials]} if len(summary["seeds"]) > 1 else {}),
            **values,
            "Why": [cut((trial.get("error") or {}).get("message", ""), 200) for trial in trials],
        },
        column_config={
            title(summary["metric"]): st.column_config.NumberColumn(format="%.4g"),
            "± seeds": st.column_config.NumberColumn(format="%.2g"),
            **{
                name: st.column_config.NumberColumn(format="%.3g")
                for name, column in values.items()
                if _fractions(column)
            },
        },
        hide_index=True,
        placeholder="",
        key="sweep.trials.table",
    )


def _fractions(column: list[Any]) -> bool:
    return all(isinstance(each, int | float) for each in column) and any(isinstance(each, float) for each in column)


def _cell(column: list[Any], value: Any) -> Any:
    """Numbers stay numbers where the whole column is numbers, so that they sort and stand aligned."""
    if all(isinstance(each, int | float) and not isinstance(each, bool) for each in column):
        return value
    return number(value) if value is not None else "-"
