"""The user's own files: stored in the workspace's uploads under a safe, unique name, and nowhere else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import streamlit as st

from dashboard.parts.shared.data import confined
from dashboard.parts.shared.errors import with_hint
from dashboard.parts.shared.text import md
from workbench.data.columns import Column
from workbench.data.limited import Preview
from workbench.data.readers.file_types import ARCHIVES, EXCEL
from workbench.data.readers.limits import UPLOAD
from workbench.data.uploads import list_uploads, upload_suffixes
from workbench.errors import DataError, WorkbenchError
from workbench.files import inside, safe_name, slug, write_atomically
from workbench.i18n import _
from workbench.spec import DataSpec
from workbench.types import Json
from workbench.workspace import Workspace

MEGABYTES = 200
UPLOADER = "launch_uploader"  # outside the form's prefix: a preset must not touch it
ERROR = "launch_upload_error"
PENDING = "launch_upload_pending"  # session key: a file was chosen and has not been read


def store(name: str, content: bytes, workspace: Workspace) -> Path:
    """Store an uploaded file.

    Args:
        name: as the browser sent it; never used as a path.
        content: its bytes.
        workspace: where it is stored.

    Raises:
        DataError, RefusedError: it is too large, is not a table, or needs too much memory or time to be read. Nothing
            is stored then.
    """
    if len(content) > MEGABYTES * 2**20:
        raise DataError(
            f"The file has {len(content) / 2**20:.0f} MB; at most {MEGABYTES} MB are allowed.", "Split the file."
        )
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    stem, suffix = Path(base).stem, Path(base).suffix.lower()
    if suffix not in upload_suffixes():
        raise DataError(
            f"{base[:80]!r} is not a supported kind of file.", f"Supported files: {', '.join(upload_suffixes())}."
        )
    inner = Path(stem).suffix.lower() if suffix in ARCHIVES else ""
    if inner in upload_suffixes():  # reviews.csv.gz: the name of the file in it is that without .gz
        stem, suffix = Path(stem).stem, inner + suffix
    stored_name = f"{slug(stem, 40)}-{hashlib.sha256(content).hexdigest()[:8]}{suffix}"
    path = inside(workspace.uploads, safe_name(stored_name, "file name"))
    write_atomically(path, lambda file: file.write(content))
    try:
        confined.read("workbench.data.limited:check_readable", {"path": str(path)}, UPLOAD, _("Reading the file ..."))
    except BaseException:  # the page may also be left while the file is read
        path.unlink(missing_ok=True)
        raise
    return path


def stored(workspace: Workspace) -> list[str]:
    """Return the paths of the uploaded files, sorted.

    Args:
        workspace: where they are stored.
    """
    return [str(upload.path) for upload in list_uploads(workspace)]


def draw_uploader(target: str, label: str | None = None) -> None:
    """Draw the field for a file, and store what is uploaded.

    Args:
        target: the session key that is set to the stored path. No widget may have it: the page is drawn already.
        label: of the field, translated; "Your own file" if left out.
    """

    def take() -> None:
        st.session_state[PENDING] = True

    file = st.file_uploader(
        label or _("Your own file"),
        type=[suffix.lstrip(".") for suffix in upload_suffixes()],
        key=UPLOADER,
        on_change=take,
        max_upload_size=MEGABYTES,
        help=_(
            "A table with a column of texts and a column of labels, up to {n} MB. It stays in the workspace."
        ).format(n=MEGABYTES),
    )
    if PENDING in st.session_state:
        st.session_state.pop(ERROR, None)
        if file is not None:
            try:
                st.session_state[target] = str(store(file.name, file.getvalue(), Workspace.current()))
            except WorkbenchError as error:
                st.session_state[ERROR] = error.as_dict()
        del st.session_state[PENDING]  # now: a page that was left while the file was read reads it again
    if ERROR in st.session_state:
        error = st.session_state[ERROR]
        st.error(with_hint(error["message"], error["hint"]), icon=":material/error:")


def preview_of(path: str, **settings: object) -> Preview:
    """Return the columns of a file, its first rows, and what each column holds.

    Args:
        path: path of the file.
        settings: fields of the data section that say how it is written; detected without them.

    Raises:
        SpecError: there is no such setting.
        DataError: the file cannot be read.
    """
    data = DataSpec.model_validate({"train": path, **settings})
    arguments = {"data": data.model_dump(mode="json", exclude_unset=True)}
    return cast("Preview", _read("workbench.data.limited:read_preview", arguments, path))


def columns_of(path: str, **settings: object) -> list[str]:
    """Return the names of a file's columns.

    Args:
        path: path of the file.
        settings: as for :func:`preview_of`.

    Raises:
        SpecError: there is no such setting.
        DataError: the file cannot be read.
    """
    return preview_of(path, **settings)["columns"]


def _read(function: str, arguments: Mapping[str, object], path: str) -> Json:
    return confined.read(function, arguments, UPLOAD, _("Reading the file ..."), Path(path).stat().st_mtime_ns)


def draw_sheet(path: str, key: str) -> str | None:
    """Draw the choice of a sheet, if the file is a workbook that has several; return the chosen one.

    Args:
        path: path of the file.
        key: key of the session; None there is the first sheet.

    Raises:
        DataError: the workbook cannot be read.
    """
    if Path(path).suffix.lower() not in EXCEL:
        return None
    sheets = cast("list[str]", _read("workbench.data.limited:read_sheets", {"path": path}, path))
    if len(sheets) < 2:
        return None
    if st.session_state.get(key) not in sheets:
        st.session_state[key] = sheets[0]
    sheet = st.selectbox(_("Sheet"), sheets, key=key, help=_("Sheet of the workbook."), persist_state="session")
    return None if sheet == sheets[0] else sheet


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
