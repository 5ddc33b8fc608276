"""The table of runs, from which one is chosen."""

from __future__ import annotations

import hashlib
from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts import progress, run_list, states
from dashboard.parts.text import ago, cut, number
from workbench.runs.measures import scale

HEIGHT = 320


def show_table(runs: list[dict[str, Any]], rows: list[dict[str, Any]], chosen: str | None) -> None:
    """Some runs; a click on a row chooses that run.

    Args:
        runs: summaries of all runs.
        rows: of the library's table: which of them are shown, in their order.
        chosen: the id of the run that is marked.
    """
    by_id = {run["id"]: run for run in runs}
    runs = [by_id[row["id"]] for row in rows if row["id"] in by_id]
    if not runs:
        st.info("No run fits the filter. Archived runs are hidden; see View.", icon=":material/filter_alt_off:")
        return
    left = [progress.time_left(run) for run in runs]
    ids, tags = run_list.ids(runs), {row["id"]: row["tags"] for row in rows if row["tags"]}
    # A new key whenever the rows move, so that the mark stays with the run and not with the row's number.
    mark = hashlib.sha256("\n".join([*ids, str(chosen)]).encode()).hexdigest()[:12]
    key = f"runs.table.{mark}"

    def choose() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        if rows and rows[0] < len(ids):
            st.session_state[state.CHOSEN_RUN] = ids[rows[0]]

    names = {name for name, _, _ in map(_metric, runs) if name}
    common = names.pop() if len(names) == 1 else ""  # the same metric everywhere: its name stands above, once
    st.dataframe(
        {
            "State": [states.in_words(run["state"]) for run in runs],
            "Run": [run_list.title(run["id"]) for run in runs],
            "Progress": [_share(run) for run in runs],
            **({"Time left": left} if any(left) else {}),
            **({} if common else {"Metric": [_metric(run)[0] for run in runs]}),
            common.capitalize() or "Value": [_metric(run)[1] for run in runs],
            "95% interval": [_metric(run)[2] for run in runs],
            **({"Tags": [tags.get(run["id"], []) for run in runs]} if tags else {}),
            "Started": [ago(run.get("created")) for run in runs],
        },
        column_config={
            "State": st.column_config.TextColumn(width=105),
            "Run": st.column_config.TextColumn(width=250 if common else 200),
            "Progress": st.column_config.ProgressColumn(width=95, min_value=0, max_value=100, format="%d%%"),
            "Time left": st.column_config.TextColumn(width=75),
            common.capitalize() or "Value": st.column_config.NumberColumn(format="%.3g", width=75),
            "95% interval": st.column_config.TextColumn(width=105),
            "Tags": st.column_config.ListColumn(width=120),
            "Started": st.column_config.TextColumn(width=85),
        },
        height="auto" if len(runs) < 9 else HEIGHT,
        hide_index=True,
        on_select=choose,
        selection_mode="single-row",
        selection_default={"selection": {"rows": [ids.index(chosen)]}} if chosen in ids else None,
        placeholder="",
        key=key,
    )


def _share(run: dict[str, Any]) -> float | None:
    if run["state"] == "succeeded":
        return 100.0
    done = run_list.share_done(run.get("progress"))
    return None if done is None else 100 * done


def _metric(run: dict[str, Any]) -> tuple[str, float | None, str]:
    found = run_list.key_metric(run.get("report"))
    if found is None:
        return "", None, ""
    name, value = found
    low, high = value.get("low"), value.get("high")
    between = f"{number(low)} to {number(high)}" if low is not None and high is not None else ""
    return cut(name.replace("_", " "), 40) + scale(name), value.get("value"), between
