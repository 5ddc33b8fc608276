"""The look of a run's state: always a symbol and a word, so that nobody has to tell colours apart."""

from __future__ import annotations

from typing import Literal, NamedTuple

import streamlit as st

from workbench.i18n import N_, _

Colour = Literal["gray", "blue", "green", "red", "orange", "violet"]


class Look(NamedTuple):
    """A state as the pages show it; its texts are translated where they are shown."""

    name: str
    symbol: str
    icon: str
    colour: Colour  # Streamlit's name; the theme uses shades that colour-blind people can tell apart
    meaning: str


LOOKS: dict[str, Look] = {
    "queued": Look(N_("queued"), "○", ":material/schedule:", "gray", N_("Waiting for the runs before it.")),
    "running": Look(N_("running"), "▶", ":material/play_arrow:", "blue", N_("Training now.")),
    "succeeded": Look(N_("succeeded"), "✔", ":material/check:", "green", N_("Trained and evaluated to the end.")),
    "failed": Look(
        N_("failed"), "✖", ":material/close:", "red", N_("Ended with an error. The run's page shows what to do.")
    ),
    "stopped": Look(
        N_("stopped"),
        "■",
        ":material/stop:",
        "orange",
        N_("Stopped on request. You can resume it from its last checkpoint."),
    ),
    "interrupted": Look(
        N_("interrupted"),
        "⚡",
        ":material/bolt:",
        "violet",
        N_("Its process ended unexpectedly (a crash, a reboot). You can resume it from its last checkpoint."),
    ),
}
_UNKNOWN = Look(N_("unknown"), "?", ":material/help:", "gray", N_("Unknown state."))


def look(state: str) -> Look:
    """Return the look of a state.

    Args:
        state: a run's state; a damaged folder may contain any text.
    """
    return LOOKS.get(state, _UNKNOWN)


def in_words(state: str) -> str:
    """Return a state for tables and lists: ``✔ succeeded``.

    Args:
        state: state of a run.
    """
    return f"{look(state).symbol} {_(look(state).name)}"


def badge(state: str) -> None:
    """Show a state as a coloured label with a symbol.

    Args:
        state: state of a run.
    """
    shown = look(state)
    st.badge(_(shown.name), icon=shown.icon, color=shown.colour, help=_(shown.meaning))
