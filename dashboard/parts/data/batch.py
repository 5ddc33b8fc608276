"""How a chosen model reads the data: one row cut into tokens, and the first batch that training would meet."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.parts.data import overview
from dashboard.parts.shared.glossary import WORDS
from dashboard.parts.shared.text import md
from workbench.check import fitting_models
from workbench.models.base import models
from workbench.spec import RunSpec
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

SHOWN = "data.batch"  # session key: the spec whose batch was asked for
WIDEST = 128  # tokens of a row that are shown
LIMIT = 2000  # training examples, so that it is quick


def draw(spec: RunSpec, workspace: Workspace) -> None:
    """Made on demand: the model is loaded for it. Raises what would make the run fail before its first step."""
    kind = tasks.get(spec.task.name)
    fitting = [name for name in fitting_models(kind(kind.Config())) if not models.get(name).argument_form]
    left, middle, right = st.columns(3)
    model = left.selectbox("Model", fitting, key="data.model", help=WORDS["model"])
    size = middle.number_input("Batch size (examples)", 1, 64, 8, key="data.batch_size")
    longest = right.number_input("Longest text (tokens)", 8, 512, 128, key="data.max_length", help=WORDS["token"])
    st.caption(f"Of the first draw of at most {LIMIT:,} training examples; a run with another limit draws others.")
    changes = {"model.source": model, "training.batch_size": size, "data.max_length": longest}
    wanted = spec.changed({**changes, "data.limit.train": LIMIT})
    if st.button("Show the first batch", key="data_batch"):
        st.session_state[SHOWN] = wanted.model_dump_json()
    if st.session_state.get(SHOWN) == wanted.model_dump_json():  # what was asked for; no batch of other settings
        _show(wanted, workspace)


@st.cache_resource(max_entries=4, show_spinner="Reading, tokenizing, collating ...")
def _first_batch(document: str, when: int, root: str) -> Any:
    """Made once for a spec: choosing another row of the batch makes nothing anew. Without the rows of all the data."""
    from workbench.training.first_batch import first_batch  # brings torch

    found = first_batch(RunSpec.model_validate_json(document), Workspace(Path(root)), confined=True)
    return dataclasses.replace(found, dataset=None)


def _show(spec: RunSpec, workspace: Workspace) -> None:
    from workbench.training.first_batch import tokenize_text

    found = _first_batch(spec.model_dump_json(), overview.changed(spec), str(workspace.root))
    shape = found.shapes["input_ids"]
    st.markdown(
        help=WORDS["padding"],
        body=f"{' x '.join(map(str, shape))} tokens, {found.padding:.0%} of them padding; "
        f"{sum(row.cut > 0 for row in found.rows)} of {len(found.rows)} texts are cut; "
        f"{found.batches:,} batches in an epoch.",
    )
    rows = [
        {"label": row.label, "tokens": row.real, "cut off": row.cut, **dict(enumerate(row.tokens[:WIDEST], start=1))}
        for row in found.rows
    ]
    st.dataframe(pd.DataFrame(rows).rename(columns=str), hide_index=True, key="data.batch_rows")
    aimed = [row for row in found.rows if row.targets is not None]
    if aimed:
        st.caption("What is to be given at each token (empty: nothing)")
        targets = [dict(enumerate((row.targets or [])[:WIDEST], start=1)) for row in aimed]
        st.dataframe(pd.DataFrame(targets).rename(columns=str), hide_index=True, key="data.batch_targets")
    st.subheader("One row, token by token", anchor=False)
    number = st.number_input("Row of the batch", 1, len(found.rows), 1, key="data.batch_row")
    text = found.rows[int(number) - 1].text
    st.caption(md(text, 1000) if text else "A row of several texts packed together.")
    if text:
        cells = tokenize_text(found.tokenizer, text, spec.data.max_length)
        st.dataframe(pd.DataFrame(cells), hide_index=True, key="data.pieces")
