"""The user's own files: stored in the workspace's uploads under a safe, unique name, and nowhere else."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from dashboard.parts.shared.errors import with_hint
from dashboard.parts.shared.text import md
from workbench.data.columns import Column
from workbench.data.readers.file_types import SUFFIXES
from workbench.data.readers.read import read_table
from workbench.errors import DataError, WorkbenchError
from workbench.files import inside, safe_name, slug, write_atomically
from workbench.i18n import _
from workbench.workspace import Workspace

MEGABYTES = 200
UPLOADER = "launch_uploader"  # outside the form's prefix: a preset must not touch it
ERROR = "launch_upload_error"


def store(name: str, content: bytes, workspace: Workspace) -> Path:
    """Store an uploaded file.

    Args:
        name: as the browser sent it; never used as a path.
        content: its bytes.
        workspace: where it is stored.

    Raises:
        DataError, RefusedError: it is too large, or not a table that can be read. Nothing is stored then.
    """
    if len(content) > MEGABYTES * 2**20:
        raise DataError(
            f"The file has {len(content) / 2**20:.0f} MB; at most {MEGABYTES} MB are allowed.", "Split the file."
        )
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    suffix = Path(base).suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(
            f"{base[:80]!r} is not a supported kind of file.", f"Supported files: {', '.join(sorted(SUFFIXES))}."
        )
    stored_name = f"{slug(Path(base).stem, 40)}-{hashlib.sha256(content).hexdigest()[:8]}{suffix}"
    path = inside(workspace.uploads, safe_name(stored_name, "file name"))
    write_atomically(path, lambda file: file.write(content))
    try:
        read_table(path, collect_bad_rows=True)  # the Data page offers to leave them out
    except WorkbenchError:
        path.unlink(missing_ok=True)
        raise
    return path


def stored(workspace: Workspace) -> list[str]:
    """Return the paths of the uploaded files, sorted.

    Args:
        workspace: where they are stored.
    """
    files = (path for path in workspace.uploads.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(str(path) for path in files if not path.name.startswith("."))


def draw_uploader(target: str) -> None:
    """Draw the field for a file, and store what is uploaded.

    Args:
        target: the session key that is set to the stored path.
    """

    def take() -> None:
        st.session_state.pop(ERROR, None)
        file = st.session_state[UPLOADER]
        if file is None:
            return
        try:
            st.session_state[target] = str(store(file.name, file.getvalue(), Workspace.current()))
        except WorkbenchError as error:
            st.session_state[ERROR] = error.as_dict()

    st.file_uploader(
        _("Your own file"),
        type=[suffix.lstrip(".") for suffix in sorted(SUFFIXES)],
        key=UPLOADER,
        on_change=take,
        max_upload_size=MEGABYTES,
        help=_(
            "A table with a column of texts and a column of labels, up to {n} MB. It stays in the workspace."
        ).format(n=MEGABYTES),
    )
    if ERROR in st.session_state:
        error = st.session_state[ERROR]
        st.error(with_hint(error["message"], error["hint"]), icon=":material/error:")


@st.cache_data(show_spinner=False, max_entries=8)
def _columns(path: str, changed: int, delimiter: str | None, encoding: str | None) -> list[str]:
    return list(read_table(Path(path), delimiter, encoding, collect_bad_rows=True).columns)


def columns_of(path: str, delimiter: str | None = None, encoding: str | None = None) -> list[str]:
    """Return the names of a file's columns.

    Args:
        path: path of the file.
        delimiter: between columns; detected if left out.
        encoding: encoding of the text; detected if omitted.

    Raises:
        DataError: the file cannot be read.
    """
    with st.spinner(_("Reading the file ...")):
        return _columns(path, Path(path).stat().st_mtime_ns, delimiter, encoding)


def draw_columns(roles: Sequence[Column], names: Sequence[str], prefix: str) -> dict[str, str]:
    """Draw a field for each role, in which its column is chosen.

    Args:
        roles: what the task reads.
        names: names of the file's columns.
        prefix: prefix of the session keys.

    Returns:
        The chosen column by role; a role left open is matched by its name.
    """
    columns = {}
    for role in roles:
        key = f"{prefix}.{role.role}"
        if st.session_state.get(key) not in [None, *names]:
            st.session_state[key] = None
        chosen = st.selectbox(
            _("Column: {role}").format(role=_(role.role.replace("_", " "))),
            [None, *names],
            format_func=lambda name: _("matched by name") if name is None else name,
            key=key,
            help=md(_(role.description)),
            persist_state="session",
        )
        if chosen:
            columns[role.role] = chosen
    return columns
