"""How the state of a run looks: always a symbol and a word, so that colour is never needed to tell states apart."""

from __future__ import annotations

from typing import Literal, NamedTuple

import streamlit as st

Colour = Literal["gray", "blue", "green", "red", "orange", "violet"]


class Look(NamedTuple):
    symbol: str
    icon: str
    colour: Colour  # streamlit's name; the theme gives shades that colour-blind people can tell apart
    meaning: str


LOOKS: dict[str, Look] = {
    "queued": Look("○", ":material/schedule:", "gray", "Waits for the runs before it."),
    "running": Look("▶", ":material/play_arrow:", "blue", "Is being trained now."),
    "succeeded": Look("✔", ":material/check:", "green", "Trained and evaluated to the end."),
    "failed": Look("✖", ":material/close:", "red", "Ended by an error; the run's page says which and what to do."),
    "stopped": Look(
        "■", ":material/stop:", "orange", "Stopped by request; it can be resumed from its last checkpoint."
    ),
    "interrupted": Look(
        "⚡",
        ":material/bolt:",
        "violet",
        "Its process vanished (a crash, a reboot); it can be resumed from its last checkpoint.",
    ),
}
_UNKNOWN = Look("?", ":material/help:", "gray", "Unknown.")


def look(state: str) -> Look:
    return LOOKS.get(state, _UNKNOWN)


def in_words(state: str) -> str:
    """``✔ succeeded``: for tables and lists."""
    return f"{look(state).symbol} {state}"


def badge(state: str) -> None:
    """The state as a coloured label with a symbol."""
    shown = look(state)
    st.badge(state if state in LOOKS else "unknown", icon=shown.icon, color=shown.colour, help=shown.meaning)
