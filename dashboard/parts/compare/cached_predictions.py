"""Predictions of runs as classes, read once until their files change."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from workbench.compare.classified import ClassPredictions, read_class_predictions
from workbench.runs.predictions import JSON_LINES, PARQUET
from workbench.runs.run import Run


def load_classified(run: Run) -> ClassPredictions | None:
    """Return a run's class predictions from the cache. The result is shared: do not change it.

    Args:
        run: a finished run.
    """
    files = [run.folder / name for name in (PARQUET, JSON_LINES)]
    changed = tuple(file.stat().st_mtime_ns for file in files if file.exists())
    return _read(run.folder, changed)


@st.cache_resource(max_entries=8, show_spinner=False)
def _read(folder: Path, changed: tuple[int, ...]) -> ClassPredictions | None:
    return read_class_predictions(Run(folder))
