"""How a model reads the data: one row split into tokens, and the first batch of the training."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pandas as pd
import streamlit as st

from dashboard.parts.shared.data import confined, reports
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.long_tasks import reading
from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import md
from workbench.check import fitting_models
from workbench.check.plans import make_plans
from workbench.data.catalogue.entries import catalogue
from workbench.data.catalogue.sources import fetch, is_cached
from workbench.data.readers.limits import BATCH
from workbench.i18n import _
from workbench.models.base import models
from workbench.spec import RunSpec
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.training.first_batch import ShownBatch

SHOWN = "data.batch"  # session key: the spec whose batch is shown
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
    plans = make_plans(spec, workspace, confined=True)
    if "data.model" not in st.session_state and plans:
        st.session_state["data.model"] = plans[0].spec.model.source
    if st.session_state.get("data.model") not in fitting:
        st.session_state.pop("data.model", None)
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


def _read(spec: RunSpec, workspace: Workspace) -> ShownBatch:
    """Return the first batch, read in a process with limits; its model is downloaded first, without them."""
    source = spec.model.source
    if source in catalogue().models and not is_cached(source, workspace):
        with reading(_("Downloading the model ...")) as progress:
            fetch(source, workspace, progress)
    arguments = {"spec": spec.model_dump(mode="json", exclude_unset=True), "root": str(workspace.root)}
    label = _("Reading, tokenizing and batching ...")
    function = "workbench.training.first_batch:read_first_batch"
    return cast("ShownBatch", confined.read(function, arguments, BATCH, label, reports.changed(spec)))


def _show(spec: RunSpec, workspace: Workspace) -> None:
    batch = _read(spec, workspace)
    rows = batch["rows"]
    st.markdown(
        _(
            "{shape} tokens, {share} of them padding; {n} of {total} texts are truncated; {batches} batches per epoch."
        ).format(
            shape=" x ".join(map(str, batch["shape"])),
            share=f"{batch['padding']:.0%}",
            n=sum(row["cut"] > 0 for row in rows),
            total=len(rows),
            batches=f"{batch['batches']:,}",
        ),
        help=help_for("padding"),
    )
    shown = [
        {"label": row["label"], "tokens": row["real"], "cut": row["cut"], **dict(enumerate(row["tokens"], start=1))}
        for row in rows
    ]
    draw_table(
        pd.DataFrame(shown).rename(columns=str),
        column_config={
            "label": st.column_config.Column(_("label")),
            "tokens": st.column_config.Column(_("tokens")),
            "cut": st.column_config.Column(_("truncated")),
        },
        hide_index=True,
        key="data.batch_rows",
    )
    targets = [dict(enumerate(row["targets"], start=1)) for row in rows if row["targets"] is not None]
    if targets:
        st.caption(_("Target for each token (blank: none)"))
        draw_table(pd.DataFrame(targets).rename(columns=str), hide_index=True, key="data.batch_targets")
    st.subheader(_("One row, token by token"), anchor=False)
    number = st.number_input(_("Row of the batch"), 1, len(rows), 1, key="data.batch_row")
    row = rows[int(number) - 1]
    st.caption(md(row["text"], 1000) if row["text"] else _("This row holds several texts, packed together."))
    if row["cells"]:
        cells = pd.DataFrame(row["cells"])
        labels = {name: st.column_config.Column(_(str(name))) for name in cells.columns}
        draw_table(cells, column_config=labels, hide_index=True, key="data.pieces")
