"""Layer by layer: what the model would predict if it stopped there (the logit lens)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard.parts.shared import long_tasks, session_cache, side_by_side
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.side_by_side import Side
from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import cut, md
from workbench.explain.internals.lens import LogitLens, logit_lens
from workbench.explain.internals.patching import patch
from workbench.explain.render import figure, positions
from workbench.i18n import _

MAX_POSITIONS = 40  # columns
_CALLS = 12  # approximate calls of the model by patching, for each token and layer that both texts have
_TOP, _TOKEN, _HEADS = 130, 22, 190  # pixels of the maps


def show(sides: list[Side]) -> None:
    """Show a table for each side, with a row per layer.

    Args:
        sides: one or two.
    """
    st.caption(help_for("logit lens"))
    for index, (column, side) in enumerate(zip(st.columns(len(sides), gap="large"), sides, strict=True)):
        with column:
            side_by_side.show_name(sides, side)
            lens = session_cache.get_or_compute(partial(_lens, side), "lens", side.key)
            _table(lens, f"explain.lens.{index}")
            st.caption(md(" ".join(filter(None, [_settled(lens), _(lens.reading), *lens.notes])), 1200))
    if len(sides) == 2 and sides[0].model_key == sides[1].model_key:
        st.subheader(_("Where the difference between the two texts comes from"), anchor=False)
        _patching(*sides)


def _lens(side: Side) -> LogitLens:
    return logit_lens(side.predictor, side.text, side.pair)


def _patching(first: Side, second: Side) -> None:
    """Draw the layers, tokens and heads that bring back the first text's prediction."""
    key = ("patching", first.key, second.key)
    result = session_cache.get(*key)
    if result is None:
        seconds = second.seconds * first.num_layers * (_CALLS + len(second.instance().encoded.tokens))
        if long_tasks.start_button(_("Patch one text into the other"), "explain.patch", seconds):
            with st.spinner(_("Patching ...")):
                session_cache.put(patch(first.predictor, first.text, second.text, first.pair), *key)
            st.rerun()
        return
    st.info(md(" ".join(result.sentences), 800), icon=":material/balance:")
    title = _("Where the difference comes from")
    page = figure.page(positions.patching_maps(result), theme=st.context.theme.type or "auto", title=title)
    st.iframe(page, height=_TOP + max(_TOKEN * len(result.tokens), _HEADS + 30 * len(result.heads)))
    st.caption(md(_(result.reading), 600))


def _table(lens: LogitLens, key: str) -> None:
    columns: dict[str, Sequence[object]] = {"after": [_layer(index) for index in range(len(lens.rows))]}
    config: dict[str, ColumnConfig] = {"after": st.column_config.TextColumn(_("After"))}
    if lens.whole_text:
        columns["label"] = [cut(row[0][0].name, 40) for row in lens.rows]
        columns["probability"] = [row[0][0].probability for row in lens.rows]
        config["label"] = st.column_config.TextColumn(_("Label"))
        config["probability"] = st.column_config.ProgressColumn(
            _("Probability"), min_value=0.0, max_value=1.0, format="percent"
        )
        if max(len(row[0]) for row in lens.rows) > 1:
            config["next"] = st.column_config.TextColumn(_("Runners-up"))
            columns["next"] = [
                ", ".join(f"{cut(other.name, 30)} {other.probability:.2f}" for other in row[0][1:]) for row in lens.rows
            ]
    else:
        for position, token in enumerate(lens.shown[:MAX_POSITIONS]):
            words = [f"{cut(row[position][0].name, 24)} {row[position][0].probability:.2f}" for row in lens.rows]
            columns[f"{position} {cut(token, 20)}"] = words
    draw_table(columns, column_config=config, hide_index=True, key=key, height="content")


def _layer(index: int) -> str:
    return _("layer {n}").format(n=index - 1) if index else _("the embeddings")


def _settled(lens: LogitLens) -> str:
    if not lens.whole_text:
        return ""
    if not lens.settled[0]:
        return _("The prediction never changes from the embeddings to the last layer.")
    return _("From {layer} on, the prediction is the final one.").format(layer=_layer(lens.settled[0]))
