"""This machine's processor, memory, disk and graphics cards, for Home."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.shared.text import cut, gigabytes, md
from workbench import machine
from workbench.i18n import _, ngettext
from workbench.types import JsonObject
from workbench.workspace import Workspace

LOW_DISK = 2_000_000_000  # bytes; a run of a small model with its checkpoints takes some hundred millions


@st.cache_data(ttl=30, show_spinner=False)
def _description() -> JsonObject:
    return machine.describe(Workspace.current().root)


def show_machine() -> None:
    """Show processor, memory, disk and graphics cards, and how much of each is free."""
    st.subheader(_("This machine"), anchor=False)
    description = _description()
    cpu, memory, disk = (_object(description.get(name)) for name in ("cpu", "memory", "disk"))
    columns = st.columns(4)
    cores = cpu.get("cores", "?")
    label = ngettext("{n} core", "{n} cores", cores if isinstance(cores, int) else 2).format(n=cores)
    columns[0].metric(_("Processor"), label, help=md(cpu.get("name") or _("unknown")))
    columns[1].metric(
        _("Free memory"),
        gigabytes(_number(memory.get("available_bytes"))),
        help=_("Out of {size}.").format(size=gigabytes(_number(memory.get("total_bytes")))),
    )
    free = _number(disk.get("free_bytes"))
    columns[2].metric(_("Free disk space"), gigabytes(free), help=_("On the disk of the workspace."))
    gpus = description.get("gpus")
    names = [str(gpu.get("name", gpu)) if isinstance(gpu, dict) else str(gpu) for gpu in gpus or ()]  # type: ignore[union-attr]
    columns[3].metric(
        _("Graphics cards"),
        str(len(names)) if names else _("none"),
        help=md("; ".join(names)) or _("Not required: small models train on the processor."),
    )
    if free is not None and free < LOW_DISK:
        st.warning(
            _(
                "Only {size} of disk space is left for the workspace, so a run may fail. Settings shows what uses the "
                "space and can clear the cache."
            ).format(size=gigabytes(free)),
            icon=":material/hard_drive:",
        )
    st.caption(_("Workspace: {path}").format(path=md(cut(Workspace.current().root))))


def _object(value: object) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) else None
