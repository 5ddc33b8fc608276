"""Known holes of the packages that this project uses, kept by hand: look for new ones before each release.

A package that another one brings is listed as well; pyproject.toml then names it only for its lower bound.
"""

from __future__ import annotations

from typing import NamedTuple


class Advisory(NamedTuple):
    """A hole: the first version without it, and its number."""

    package: str
    fixed_in: str
    number: str


ADVISORIES = [
    Advisory("accelerate", "1.15", "CVE-2026-69112"),  # up to 1.14.0; not called here
    Advisory("jupyter-server", "2.20", "review of 2026-11"),
    Advisory("jupyterlab", "4.6.2", "review of 2026-11"),
    Advisory("nltk", "3.10", "CVE-2026-33231"),  # up to 3.9.3; 3.10 also checks paths and archives
    Advisory("pyarrow", "23.0.1", "CVE-2026-25087"),
    Advisory("python-multipart", "0.0.26", "CVE-2026-40347"),
    Advisory("starlette", "0.49.1", "CVE-2025-62727"),
    Advisory("starlette", "1.0.1", "CVE-2026-48710"),
    Advisory("starlette", "1.3.1", "CVE-2026-54282"),
    Advisory("starlette", "1.3.1", "CVE-2026-54283"),
    Advisory("streamlit", "1.54", "review of 2026-11"),
    Advisory("torch", "2.6", "CVE-2025-32434"),
    Advisory("tornado", "6.5.3", "CVE-2025-67726"),
    Advisory("tornado", "6.5.5", "CVE-2026-31958"),
    Advisory("transformers", "5.5", "CVE-2026-4372"),
]
