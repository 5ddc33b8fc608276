"""How a model reads the data: one row split into tokens, and the first batch of the training."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from dashboard.parts.shared.data import reports
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import md
from workbench.check import fitting_models
from workbench.i18n import _
from workbench.models.base import models
from workbench.spec import RunSpec
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.training.first_batch import FirstBatch

SHOWN = "data.batch"  # session key: the spec whose batch is shown
MAX_TOKENS = 128  # of a row that are shown
LIMIT = 2000  # training examples, so that it is quick


def draw(spec: RunSpec, workspace: Workspace) -> None:
    """Draw the first batch on request, because it needs the model.

    Args:
        spec: which data, for which task.
        workspace: whose cache is used.

    Raises:
        WorkbenchError: the run would fail before its first step.
    """
    task = tasks.get(spec.task.name)
    fitting = [name for name in fitting_models(task(task.Config())) if not models.get(name).argument_form]
    left, middle, right = st.columns(3)
    model = left.selectbox(_("Model"), fitting, key="data.model", help=help_for("model"))
    size = middle.number_input(_("Batch size (examples)"), 1, 64, 8, key="data.batch_size")
    length = right.number_input(
        _("Maximum length (tokens)"), 8, 512, 128, key="data.max_length", help=help_for("token")
    )
    st.caption(
        _("Sampled from at most {n} training examples; with another limit, a run samples different ones.").format(
            n=f"{LIMIT:,}"
        )
    )
    changes = {"model.source": model, "training.batch_size": size, "data.max_length": length}
    wanted = spec.changed({**changes, "data.limit.train": LIMIT})
    if st.button(_("Show the first batch"), key="data_batch"):
        st.session_state[SHOWN] = wanted.model_dump_json()
    if st.session_state.get(SHOWN) == wanted.model_dump_json():  # not the batch of other settings
        _show(wanted, workspace)


@st.cache_resource(max_entries=4, show_spinner=False)
def _first_batch(document: str, when: int, root: str) -> FirstBatch:
    """Return the batch of a spec without the rows of all data, cached so that another row is shown at once."""
    from workbench.training.first_batch import first_batch  # imports torch

    batch = first_batch(RunSpec.model_validate_json(document), Workspace(Path(root)), confined=True)
    return dataclasses.replace(batch, dataset=None)  # type: ignore[arg-type]  # this page does not read it


def _show(spec: RunSpec, workspace: Workspace) -> None:
    from workbench.training.first_batch import tokenize_text

    with st.spinner(_("Reading, tokenizing and batching ...")):
        batch = _first_batch(spec.model_dump_json(), reports.changed(spec), str(workspace.root))
    st.markdown(
        _(
            "{shape} tokens, {share} of them padding; {n} of {total} texts are truncated; {batches} batches per epoch."
        ).format(
            shape=" x ".join(map(str, batch.shapes["input_ids"])),
            share=f"{batch.padding:.0%}",
            n=sum(row.cut > 0 for row in batch.rows),
            total=len(batch.rows),
            batches=f"{batch.batches:,}",
        ),
        help=help_for("padding"),
    )
    rows = [
        {"label": row.label, "tokens": row.real, "cut": row.cut, **dict(enumerate(row.tokens[:MAX_TOKENS], start=1))}
        for row in batch.rows
    ]
    draw_table(
        pd.DataFrame(rows).rename(columns=str),
        column_config={
            "label": st.column_config.Column(_("label")),
            "tokens": st.column_config.Column(_("tokens")),
            "cut": st.column_config.Column(_("truncated")),
        },
        hide_index=True,
        key="data.batch_rows",
    )
    with_targets = [row for row in batch.rows if row.targets is not None]
    if with_targets:
        st.caption(_("Target for each token (blank: none)"))
        targets = [dict(enumerate((row.targets or [])[:MAX_TOKENS], start=1)) for row in with_targets]
        draw_table(pd.DataFrame(targets).rename(columns=str), hide_index=True, key="data.batch_targets")
    st.subheader(_("One row, token by token"), anchor=False)
    number = st.number_input(_("Row of the batch"), 1, len(batch.rows), 1, key="data.batch_row")
    text = batch.rows[int(number) - 1].text
    st.caption(md(text, 1000) if text else _("This row holds several texts, packed together."))
    if text:
        cells = pd.DataFrame(tokenize_text(batch.tokenizer, text, spec.data.max_length))
        labels = {name: st.column_config.Column(_(str(name))) for name in cells.columns}
        draw_table(cells, column_config=labels, hide_index=True, key="data.pieces")
