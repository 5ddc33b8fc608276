"""The user's own files: taken into the workspace's uploads under a safe, unique name, and never anywhere else."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.parts.shared.text import md
from workbench.data.readers.file_types import SUFFIXES
from workbench.data.readers.read import read_table
from workbench.errors import DataError, WorkbenchError
from workbench.files import inside, safe_name, slug, write_atomically
from workbench.workspace import Workspace

MEGABYTES = 200
UPLOADER = "launch_uploader"  # not below the form's prefix: a preset must not touch it
ERROR = "launch_upload_error"


def store(name: str, content: bytes, workspace: Workspace) -> Path:
    """Keep an uploaded file.

    Args:
        name: as the browser sent it: never used as a path.
        content: its bytes.

    Raises:
        DataError, RefusedError: it is too large, or is no table that can be read; nothing is kept then.
    """
    if len(content) > MEGABYTES * 2**20:
        raise DataError(f"The file has {len(content) / 2**20:.0f} MB; {MEGABYTES} MB are allowed.", "Split it.")
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    suffix = Path(base).suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(
            f"{base[:80]!r} is not a kind of file known here.", f"These can be read: {', '.join(sorted(SUFFIXES))}."
        )
    kept = f"{slug(Path(base).stem, 40)}-{hashlib.sha256(content).hexdigest()[:8]}{suffix}"
    path = inside(workspace.uploads, safe_name(kept, "file name"))
    write_atomically(path, lambda file: file.write(content), mode=0o600)
    try:
        read_table(path)
    except WorkbenchError:
        path.unlink(missing_ok=True)
        raise
    return path


def stored(workspace: Workspace) -> list[str]:
    """The paths of the files that were uploaded, by name."""
    found = (path for path in workspace.uploads.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(str(path) for path in found if not path.name.startswith("."))


def draw_uploader(target: str) -> None:
    """The field for a file; what arrives is stored and becomes the value of the session key ``target``."""

    def take() -> None:
        st.session_state.pop(ERROR, None)
        sent = st.session_state[UPLOADER]
        if sent is None:
            return
        try:
            st.session_state[target] = str(store(sent.name, sent.getvalue(), Workspace.current()))
        except WorkbenchError as error:
            st.session_state[ERROR] = error.as_dict()

    st.file_uploader(
        "Your own file",
        type=[suffix.lstrip(".") for suffix in sorted(SUFFIXES)],
        key=UPLOADER,
        on_change=take,
        max_upload_size=MEGABYTES,
        help=f"A table with a column of texts and one of labels; at most {MEGABYTES} MB. It stays in the workspace.",
    )
    if ERROR in st.session_state:
        error = st.session_state[ERROR]
        st.error(f"{md(error['message'], 500)}\n\n{md(error['hint'], 500)}", icon=":material/error:")


@st.cache_data(show_spinner="Reading the file ...", max_entries=8)
def _columns(path: str, changed: int, delimiter: str | None, encoding: str | None) -> list[str]:
    return list(read_table(Path(path), delimiter, encoding).columns)


def columns_of(path: str, delimiter: str | None = None, encoding: str | None = None) -> list[str]:
    """The names of a file's columns. Raises DataError."""
    return _columns(path, Path(path).stat().st_mtime_ns, delimiter, encoding)


def draw_columns(roles: list[Any], names: list[str], prefix: str) -> dict[str, str]:
    """Which column plays which role; what is left open is found by its name."""
    given = {}
    for role in roles:
        key = f"{prefix}.{role.role}"
        if st.session_state.get(key) not in [None, *names]:
            st.session_state[key] = None
        chosen = st.selectbox(
            f"Column: {role.role.replace('_', ' ')}",
            [None, *names],
            format_func=lambda name: "found by its name" if name is None else name,
            key=key,
            help=md(role.description),
            persist_state="session",
        )
        if chosen:
            given[role.role] = chosen
    return given
