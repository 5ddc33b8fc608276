"""The sections of Settings: where things are, what the cache takes, the look, versions."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import streamlit as st

from dashboard.parts.shared import first_visit, run_list
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.text import gigabytes, md
from workbench import machine
from workbench.data.catalogue.cache import downloads
from workbench.data.storage import FolderUsage, clean_cache, folder_usage
from workbench.workspace import Workspace

PACKAGES = ("transformer-workbench", "torch", "transformers", "peft", "streamlit")
FREED = "settings.freed"  # session key: what cleaning has freed, told once


@st.cache_data(ttl=20, show_spinner="Looking through the folders ...")
def _places(root: str) -> list[FolderUsage]:
    return folder_usage(Workspace.current())


def draw_places(workspace: Workspace) -> None:
    """Where the workspace is, what each folder takes, and what is free."""
    st.subheader("Where things are", anchor=False)
    found = _places(str(workspace.root))
    disk = machine.describe(workspace.root)["disk"]
    columns = st.columns(3)
    columns[0].metric("Taken by the workspace", gigabytes(sum(place.bytes for place in found)))
    columns[1].metric("Free on this disk", gigabytes(disk["free_bytes"]))
    columns[2].metric("Size of this disk", gigabytes(disk["total_bytes"]))
    st.dataframe(
        {
            "Folder": [place.name for place in found],
            "Holds": [place.holds for place in found],
            "Takes, MB": [place.bytes / 1e6 for place in found],
            "Files": [place.files for place in found],
            "Path": [str(place.path) for place in found],
        },
        column_config={
            "Folder": st.column_config.TextColumn(width=130),
            "Holds": st.column_config.TextColumn(width=310),
            "Takes, MB": st.column_config.NumberColumn(format="%.1f", width=90),
            "Files": st.column_config.NumberColumn(format="localized", width=80),
            "Path": st.column_config.TextColumn(width=330),
        },
        hide_index=True,
        key="settings.places",
    )
    st.caption(
        "Nothing is written outside these folders. To keep them elsewhere, set the variable WORKBENCH\\_HOME before "
        "the dashboard is started."
    )


def draw_cleaning(workspace: Workspace) -> None:
    """Empty the cache, after a second click."""
    if FREED in st.session_state:
        st.success(f"{gigabytes(st.session_state.pop(FREED))} freed.", icon=":material/check:")
    with st.popover("Clean the cache", icon=":material/cleaning_services:", key="settings_clean"):
        st.markdown(
            "Removes downloaded data sets and models, and tokens that were kept. What is needed again is fetched "
            "again, which takes a network. **Runs and uploads stay.**"
        )
        if downloads(workspace) != workspace.cache:
            st.warning("Downloads lie in a folder that others may share (WORKBENCH\\_CACHE).", icon=":material/group:")
        active = run_list.ids(run_list.newest_first(), *run_list.ACTIVE)
        if active:
            st.warning(
                f"{len(active):,} run{'s wait or are' if len(active) > 1 else ' waits or is'} at work: what they have "
                "not read yet they fetch again.",
                icon=":material/pending:",
            )
        if st.button("Clean it now", key="settings_clean_now"):
            with show_errors("settings_clean_error"), st.spinner("Cleaning ..."):
                st.session_state[FREED] = clean_cache(workspace)
            _places.clear()
            st.rerun()


def draw_look() -> None:
    """The theme, and the explanations that were put away."""
    st.subheader("Look", anchor=False)
    now = "dark" if st.context.theme.type == "dark" else "light"
    st.markdown(
        f"The theme is **{now}** now. The menu ⋮ at the top right of every page chooses light, dark, or what your "
        "system says. Your browser remembers it."
    )
    away = first_visit.put_away(Workspace.current())
    label = "Explain every page again"
    if st.button(label, icon=":material/help:", key="settings_explain", disabled=not away):
        with show_errors("settings_explain_error"):
            first_visit.show_all_again()
            st.rerun()


def draw_versions() -> None:
    """What is installed: for whoever asks for help."""
    st.subheader("Versions", anchor=False)
    told = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            told[name] = version(name)
        except PackageNotFoundError:
            told[name] = "not installed"
    st.markdown(" · ".join(f"{md(name)} {md(found)}" for name, found in told.items()))
    st.caption(md(platform.platform()))
