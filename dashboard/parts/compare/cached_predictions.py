"""Predictions of runs as labels and judgements, read once for as long as their files stay as they are."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from workbench.compare.classified import Classified, classified
from workbench.runs.predictions import LINES, PARQUET
from workbench.runs.run import Run


def judged(run: Run) -> Classified | None:
    """See :func:`workbench.compare.classified.classified`; what it gives is shared, and must not be changed."""
    files = [run.folder / name for name in (PARQUET, LINES)]
    changed = tuple(file.stat().st_mtime_ns for file in files if file.exists())
    return _read(run.folder, changed)


@st.cache_resource(max_entries=8, show_spinner=False)
def _read(folder: Path, changed: tuple[int, ...]) -> Classified | None:
    return classified(Run(folder))
