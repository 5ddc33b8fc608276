"""This machine's processor, memory, disk and graphics cards, for Home."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.shared.text import cut, gigabytes, md
from workbench.i18n import _, ngettext
from workbench.system import machine
from workbench.workspace import Workspace

LOW_DISK = 2_000_000_000  # bytes; a run of a small model with its checkpoints takes some hundred millions


@st.cache_data(ttl=30, show_spinner=False)
def _description() -> machine.Machine:
    return machine.describe(Workspace.current().root)


def show_machine() -> None:
    """Show processor, memory, disk and graphics cards, and how much of each is free."""
    st.subheader(_("This machine"), anchor=False)
    description = _description()
    cpu, memory = description["cpu"], description["memory"]
    columns = st.columns(4)
    cores = ngettext("{n} core", "{n} cores", cpu["cores"]).format(n=cpu["cores"])
    columns[0].metric(_("Processor"), cores, help=md(cpu["name"] or _("unknown")))
    columns[1].metric(
        _("Free memory"),
        gigabytes(memory["available_bytes"]),
        help=_("Out of {size}.").format(size=gigabytes(memory["total_bytes"])),
    )
    free = description["disk"]["free_bytes"]
    columns[2].metric(_("Free disk space"), gigabytes(free), help=_("On the disk of the workspace."))
    names = [str(gpu["name"]) for gpu in description["gpus"]]
    columns[3].metric(
        _("Graphics cards"),
        str(len(names)) if names else _("none"),
        help=md("; ".join(names)) or _("Not required: small models train on the processor."),
    )
    if free < LOW_DISK:
        st.warning(
            _(
                "Only {size} of disk space is left for the workspace, so a run may fail. Settings shows what uses the "
                "space and can clear the cache."
            ).format(size=gigabytes(free)),
            icon=":material/hard_drive:",
        )
    st.caption(_("Workspace: {path}").format(path=md(cut(Workspace.current().root))))
