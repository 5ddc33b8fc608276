"""bertviz's neuron view of any model: the numbers of a query and a key that make a head look where it looks.

bertviz draws it for its own copies of three models only. Here it draws the queries and keys captured by
:mod:`workbench.explain.internals.queries`, and its script works offline as in :mod:`workbench.explain.render.bertviz`.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TypedDict

import numpy as np

from workbench.errors import RequestError
from workbench.explain.internals.queries import QueriesKeys
from workbench.explain.render import assets, bertviz
from workbench.types import Json
from workbench.workspace import Workspace

DECIMALS = 3  # of a query's or key's number
MOST_ELEMENTS = 150_000  # rectangles and lines that a browser draws well
MOST_BYTES = 25_000_000

_OPTION = 'layerSelect.append($("<option />").val(i).text(i))'
_FILTERS = {
    "all": "All",
    "aa": "First text -> first text",
    "ab": "First text -> second text",
    "ba": "Second text -> first text",
    "bb": "Second text -> second text",
}


def neuron_view(
    vectors: QueriesKeys,
    *,
    layers: Sequence[int] | None = None,
    layer: int | None = None,
    head: int = 0,
    theme: bertviz.Theme = "auto",
    title: str = "Attention: neuron view",
    workspace: Workspace | None = None,
) -> str:
    """Draw the neuron view: hover over a token to see its query, all keys, their products, and the attention.

    Args:
        vectors: queries and keys.
        layers: the layers to choose from; by default all. Fewer make the page smaller.
        layer: the layer that is visible at first; by default the last of ``layers``.
        head: the head that is visible at first.
        theme: light, dark, or the browser's own.
        title: title of the document.
        workspace: where the scripts are stored; by default the current one.

    Returns:
        A whole HTML document.

    Raises:
        RequestError: too large to draw, or a layer or head that does not exist.
        MissingPackageError: bertviz is not installed.
    """
    attention = vectors.attention
    chosen = list(range(attention.layers)) if layers is None else sorted(set(layers))
    if not chosen or not 0 <= chosen[0] <= chosen[-1] < attention.layers:
        raise RequestError(f"There are no such layers: {chosen}.", f"Choose from 0 to {attention.layers - 1}.")
    first = chosen[-1] if layer is None else layer
    if first not in chosen:
        raise RequestError(f"Layer {first} is not among the layers shown: {chosen}.")
    if not 0 <= head < attention.heads:
        raise RequestError(f"There is no head {head}.", f"Choose one from 0 to {attention.heads - 1}.")
    reason = why_not_drawn(vectors, len(chosen))
    if reason is not None:
        raise RequestError(reason, "Choose fewer layers, or enter a shorter text.")
    parameters = {
        "attention": _parts(vectors, chosen),
        "default_filter": "all",
        "root_div_id": "neurons",
        "bidirectional": not attention.is_causal,
        "layer": chosen.index(first),
        "layer_names": chosen,
        "head": head,
    }
    scripts = [
        bertviz.THEME,
        assets.script("d3", workspace),
        assets.script("jquery", workspace),
        bertviz.shim(),
        f"window.bertviz_params = {_safe_json(parameters)};\n"
        "window.bertviz_params.display_mode = document.documentElement.dataset.theme;",
        _script(),
    ]
    caption = (
        f"Queries and keys, initially of layer {first}, head {head}. Hover over a token on the left to see where it "
        "looks; click its + to see the numbers. Blue is positive, orange negative, stronger is larger. "
        + " ".join(vectors.notes)
    )
    return bertviz.assemble(_body(attention.second_text_start is not None), scripts, title, theme, caption.strip())


def why_not_drawn(vectors: QueriesKeys, layers: int | None = None) -> str | None:
    """Return the reason why a neuron view is too large to draw; None when it is not.

    Args:
        vectors: queries and keys.
        layers: the number of layers to draw; by default all.
    """
    shown, heads, tokens, width = vectors.queries.shape
    shown = layers or shown
    elements = 3 * tokens * width + 7 * tokens**2
    copies = 1 if vectors.attention.second_text_start is None else 2
    size = copies * shown * heads * tokens * (2 * width + tokens) * 7
    if elements <= MOST_ELEMENTS and size <= MOST_BYTES:
        return None
    excess = f"{size / 1e6:.0f} MB; browsers handle at most {MOST_BYTES / 1e6:.0f} MB well"
    if elements > MOST_ELEMENTS:
        excess = f"{elements:,} elements; browsers draw at most {MOST_ELEMENTS:,} well"
    return f"The neuron view of {tokens} tokens, {shown} layers and {heads} heads has {excess}."


class _Part(TypedDict):
    attn: Json
    queries: Json
    keys: Json
    left_text: list[str]
    right_text: list[str]


def _parts(vectors: QueriesKeys, layers: list[int]) -> dict[str, _Part]:
    """Return the data of bertviz's script: everything, and of a pair also the four combinations of its texts."""
    start, names = vectors.attention.second_text_start, bertviz.labels(vectors.attention, 14)
    everything = slice(None)
    sides = {"all": (everything, everything)}
    if start is not None:
        texts = {"a": slice(0, start), "b": slice(start, None)}
        sides |= {one + other: (texts[one], texts[other]) for one in "ab" for other in "ab"}
    weights = np.round(vectors.attention.weights[layers].astype(np.float64), bertviz.DECIMALS)
    queries, keys = (np.round(x[layers].astype(np.float64), DECIMALS) for x in (vectors.queries, vectors.keys))
    return {
        name: _Part(
            attn=weights[:, :, left, right].tolist(),
            queries=queries[:, :, left].tolist(),
            keys=keys[:, :, right].tolist(),
            left_text=names[left],
            right_text=names[right],
        )
        for name, (left, right) in sides.items()
    }


def _safe_json(value: Mapping[str, object]) -> str:
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e")


def _script() -> str:
    """Return bertviz's script without its CDN, and with the real numbers of the layers."""
    bertviz.package()
    script = (files("bertviz") / "neuron_view.js").read_text(encoding="utf-8")
    script, comments = re.subn(r"\A\s*/\*\*.*?\*/", "", script, flags=re.DOTALL)
    script, configurations = re.subn(r"require\.config\(\{.*?\}\s*\);\n", "", script, flags=re.DOTALL)
    if comments != 1 or configurations != 1 or script.count(_OPTION) != 1 or bertviz.ADDRESS.search(script):
        raise bertviz.changed("the script of its neuron view has changed")
    script = script.replace(_OPTION, _OPTION.replace(".text(i)", ".text(params['layer_names'][i])"))
    return assets.escape_script(script)


# Overrides bertviz's black background, and a highlight that is too faint for weights.
_STYLE = """<style>
#neurons { background: var(--page) !important; }
#neurons #rightText .highlight { fill: #3b8fd6; }
</style>"""


def _body(pair: bool) -> str:
    filters = "".join(f'<option value="{value}">{html.escape(name)}</option>' for value, name in _FILTERS.items())
    chooser = f'<label class="dropdown-label">Attention <select id="filter">{filters}</select></label>' if pair else ""
    return (
        f'{_STYLE}<div id="neurons" style="min-width:1020px">'
        '<label class="dropdown-label">Layer <select id="layer"></select></label> '
        f'<label class="dropdown-label">Head <select id="att_head"></select></label> {chooser}'
        '<div id="vis" role="img" aria-label="Queries, keys and attention of one head"></div></div>'
    )
