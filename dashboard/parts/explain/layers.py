"""Layer by layer: what the model would say if it stopped there (the logit lens)."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.parts.shared import long_tasks, side_by_side
from dashboard.parts.shared.glossary import WORDS
from dashboard.parts.shared.side_by_side import Side
from dashboard.parts.shared.text import cut, md
from workbench.explain.lens import LogitLens, logit_lens
from workbench.explain.patching import patch
from workbench.explain.render import figure, positions

MOST_PLACES = 40  # columns
_ASKS = 12  # about how often patching asks the model, for each token and layer that both texts have
_TOP, _TOKEN, _HEADS = 130, 22, 190  # pixels of the maps


def show(both: list[Side]) -> None:
    """A table for each side: a row a layer."""
    st.caption(WORDS["logit lens"])
    for column, side in zip(st.columns(len(both), gap="large"), both, strict=True):
        with column:
            if len(both) > 1:
                st.markdown(f"**{md(side.name, 80)}**")
            found = side_by_side.computed(
                lambda side=side: logit_lens(side.predictor, side.text, side.pair), "lens", side.key
            )
            _table(found, f"explain.lens.{both.index(side)}")
            st.caption(md(" ".join([_settled(found), found.reading, *found.notes]), 1200))
    if len(both) == 2 and both[0].what == both[1].what:
        st.subheader("What carries the difference between the two texts", anchor=False)
        _patching(*both)


def _patching(first: Side, second: Side) -> None:
    """Which layers, tokens and heads bring back the first text's answer."""
    key = ("patching", first.key, second.key)
    found = side_by_side.kept(*key)
    if found is None:
        layers = int(getattr(first.predictor.model.config, "num_hidden_layers", 6))
        seconds = second.seconds * layers * (_ASKS + len(second.instance().encoded.tokens))
        if long_tasks.start_button("Patch one text into the other", "explain.patch", seconds):
            with st.spinner("Patching ..."):
                side_by_side.keep(patch(first.predictor, first.text, second.text, first.pair), *key)
            st.rerun()
        return
    st.info(md(" ".join(found.sentences), 800), icon=":material/balance:")
    page = figure.page(
        positions.patching_maps(found), theme=st.context.theme.type or "auto", title="What carries the difference"
    )
    st.iframe(page, height=_TOP + max(_TOKEN * len(found.tokens), _HEADS + 30 * len(found.heads)))
    st.caption(md(found.reading, 600))


def _table(found: LogitLens, key: str) -> None:
    names = [_layer(number) for number in range(len(found.rows))]
    if found.whole_text:
        most = max(len(row[0]) for row in found.rows)
        columns: dict[str, Any] = {"After": names}
        shown: dict[str, Any] = {}
        columns["Label"] = [cut(row[0][0].name, 40) for row in found.rows]
        columns["Probability"] = [row[0][0].probability for row in found.rows]
        shown["Probability"] = st.column_config.ProgressColumn(min_value=0.0, max_value=1.0, format="percent")
        if most > 1:
            columns["Next"] = [
                ", ".join(f"{cut(c.name, 30)} {c.probability:.2f}" for c in row[0][1:]) for row in found.rows
            ]
    else:
        shown = {}
        columns = {"After": names}
        for place, token in enumerate(found.shown[:MOST_PLACES]):
            words = [f"{cut(row[place][0].name, 24)} {row[place][0].probability:.2f}" for row in found.rows]
            columns[f"{place} {cut(token, 20)}"] = words
    st.dataframe(columns, column_config=shown, hide_index=True, key=key, height="content")


def _layer(number: int) -> str:
    return f"layer {number - 1}" if number else "the embeddings"


def _settled(found: LogitLens) -> str:
    if not found.whole_text:
        return ""
    return f"From {_layer(found.settled[0])} on, the answer is the final one."
