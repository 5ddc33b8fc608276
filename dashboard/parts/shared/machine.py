"""What this machine can do, for Home."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.parts.shared.text import cut, gigabytes, md
from workbench import machine
from workbench.workspace import Workspace

LITTLE_DISK = 2_000_000_000  # bytes; a run of a small model with its checkpoints takes some hundred millions


@st.cache_data(ttl=30, show_spinner=False)
def _described() -> dict[str, Any]:
    return machine.describe(Workspace.current().root)


def show_machine() -> None:
    """Processor, memory, disk and graphics cards, each with its free part."""
    st.subheader("This machine", anchor=False)
    found = _described()
    cpu, memory, disk = (found.get(part) or {} for part in ("cpu", "memory", "disk"))
    gpus = found.get("gpus") or []
    columns = st.columns(4)
    cores = cpu.get("cores", "?")
    columns[0].metric("Processor", f"{cores} core{'' if cores == 1 else 's'}", help=md(cpu.get("name") or "unknown"))
    columns[1].metric(
        "Memory free", gigabytes(memory.get("available_bytes")), help=f"Of {gigabytes(memory.get('total_bytes'))}."
    )
    columns[2].metric("Disk free", gigabytes(disk.get("free_bytes")), help="Where the workspace is.")
    columns[3].metric(
        "Graphics cards",
        str(len(gpus)) if gpus else "none",
        help=md("; ".join(str(gpu.get("name", gpu)) if isinstance(gpu, dict) else str(gpu) for gpu in gpus))
        or "None is needed: small models train on the processor.",
    )
    free = disk.get("free_bytes")
    if isinstance(free, int) and free < LITTLE_DISK:
        st.warning(
            f"Only {gigabytes(free)} are free where the workspace is: a run may end for want of room. Settings tells "
            "what takes it, and cleans the cache.",
            icon=":material/hard_drive:",
        )
    st.caption("Workspace: " + md(cut(Workspace.current().root)))
