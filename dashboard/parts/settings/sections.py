"""The sections of Settings: folders, the cache, the appearance, versions."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import streamlit as st

from dashboard.parts.shared import first_visit, run_list
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import gigabytes, md
from workbench.data.catalogue.cache import downloads
from workbench.data.storage import FolderUsage, clean_cache, folder_usage
from workbench.i18n import _, ngettext
from workbench.system import machine
from workbench.workspace import Workspace

PACKAGES = ("transformer-workbench", "torch", "transformers", "peft", "streamlit")
FREED = "settings.freed"  # session key: bytes that clearing the cache freed, shown once


@st.cache_data(ttl=20, show_spinner=False)
def _folders(root: str) -> list[FolderUsage]:
    return folder_usage(Workspace.current())


def draw_folders(workspace: Workspace) -> None:
    """Draw where the workspace is, the size of each folder, and the free space.

    Args:
        workspace: the workspace.
    """
    st.subheader(_("Folders"), anchor=False)
    with st.spinner(_("Measuring the folders ...")):
        folders = _folders(str(workspace.root))
    disk = machine.describe(workspace.root)["disk"]
    columns = st.columns(3)
    columns[0].metric(_("Used by the workspace"), gigabytes(sum(folder.bytes for folder in folders)))
    columns[1].metric(_("Free on this disk"), gigabytes(disk["free_bytes"]))
    columns[2].metric(_("Size of this disk"), gigabytes(disk["total_bytes"]))
    draw_table(
        {
            "folder": [_(folder.name) for folder in folders],
            "contents": [_(folder.holds) for folder in folders],
            "size": [folder.bytes / 1e6 for folder in folders],
            "files": [folder.files for folder in folders],
            "path": [str(folder.path) for folder in folders],
        },
        column_config={
            "folder": st.column_config.TextColumn(_("Folder"), width=130),
            "contents": st.column_config.TextColumn(_("Contents"), width=310),
            "size": st.column_config.NumberColumn(_("Size (MB)"), format="%.1f", width=90),
            "files": st.column_config.NumberColumn(_("Files"), format="localized", width=80),
            "path": st.column_config.TextColumn(_("Path"), width=330),
        },
        hide_index=True,
        csv=False,
        key="settings.places",
    )
    st.caption(
        _(
            "Nothing is written outside these folders. To keep them elsewhere, set the variable {variable} before you "
            "start the dashboard."
        ).format(variable="`WORKBENCH_HOME`")
    )


def draw_cache(workspace: Workspace) -> None:
    """Draw the button that clears the cache, after a second click.

    Args:
        workspace: whose cache.
    """
    if FREED in st.session_state:
        text = _("{size} freed.").format(size=gigabytes(st.session_state.pop(FREED)))
        st.success(text, icon=":material/check:")
    with st.popover(_("Clear the cache"), icon=":material/cleaning_services:", key="settings_clean"):
        st.markdown(
            _(
                "Removes downloaded data sets and models, and cached tokens. They are downloaded again when needed, "
                "which requires a network. **Runs and uploads stay.**"
            )
        )
        if downloads(workspace) != workspace.cache:
            text = _("Downloads in the folder of {variable} stay, because others may use them.")
            st.info(text.format(variable="`WORKBENCH_CACHE`"), icon=":material/group:")
        active = len(run_list.ids(run_list.newest_first(), *run_list.ACTIVE))
        if active:
            text = ngettext(
                "{n} run is queued or running: it downloads again what it has not read yet.",
                "{n} runs are queued or running: they download again what they have not read yet.",
                active,
            )
            st.warning(text.format(n=f"{active:,}"), icon=":material/pending:")
        if st.button(_("Clear it now"), key="settings_clean_now"):
            with show_errors("settings_clean_error"), st.spinner(_("Clearing ...")):
                st.session_state[FREED] = clean_cache(workspace)
            _folders.clear()
            st.rerun()


def draw_appearance() -> None:
    """Draw the theme, and the button that shows dismissed explanations again."""
    st.subheader(_("Appearance"), anchor=False)
    theme = _("dark") if st.context.theme.type == "dark" else _("light")
    st.markdown(
        _(
            "The current theme is **{theme}**. Choose light, dark or the system's theme in the menu ⋮ at the top right "
            "of every page. Your browser remembers it."
        ).format(theme=theme)
    )
    dismissed = first_visit.dismissed_pages(Workspace.current())
    label = _("Show the explanation of every page again")
    if st.button(label, icon=":material/help:", key="settings_explain", disabled=not dismissed):
        with show_errors("settings_explain_error"):
            first_visit.show_all_again()
            st.rerun()


def draw_versions() -> None:
    """Draw the versions of the installed packages, for bug reports."""
    st.subheader(_("Versions"), anchor=False)
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = _("not installed")
    st.markdown(" · ".join(f"{md(name)} {md(number)}" for name, number in versions.items()))
    st.caption(md(platform.platform()))
