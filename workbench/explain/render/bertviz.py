"""bertviz's head view and model view as stand-alone HTML documents that work offline.

bertviz (Vig 2019, "A Multiscale Visualization of Attention in the Transformer Model") draws the picture. Its HTML loads
three scripts from a CDN and writes tokens into a script unescaped. Here the scripts come from the workspace, the tokens
are escaped, and a content security policy forbids all requests and all other scripts. Every replacement is checked: if
bertviz changes its page, this fails instead of loading from the CDN.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Literal, TypedDict

import numpy as np
import torch

from workbench.errors import MissingPackageError, RequestError, WorkbenchError
from workbench.explain.capture import Attention
from workbench.explain.render import assets
from workbench.page_policy import policy_tag
from workbench.workspace import Workspace

View = Literal["head", "model"]
Theme = Literal["auto", "light", "dark"]

DECIMALS = 4  # of a weight; more does not change a line's opacity visibly and triples the size of the page
_BYTES_PER_WEIGHT = 7  # "0.1234,"
_BYTES_OF_SCRIPTS = 350_000


@dataclass(frozen=True)
class DrawLimit:
    """The largest view that a browser can still draw well.

    Attributes:
        bytes: size of the HTML document.
        lines: SVG lines drawn at once: one for each weight of a layer (head view) or of all layers (model view).
    """

    bytes: int
    lines: int


LIMITS: dict[View, DrawLimit] = {
    "head": DrawLimit(bytes=25_000_000, lines=150_000),
    "model": DrawLimit(bytes=25_000_000, lines=300_000),
}


def view_size(attention: Attention, layers: Sequence[int] | None = None, heads: Sequence[int] | None = None) -> int:
    """Estimate the size of a view's document in bytes, from above.

    Args:
        attention: what to draw.
        layers: only these layers; by default all.
        heads: only these heads; by default all.
    """
    drawn = (len(layers) if layers else attention.layers) * (len(heads) if heads else attention.heads)
    copies = 1 if attention.second_text_start is None else 2  # bertviz adds the four parts of a pair to the whole
    return _BYTES_OF_SCRIPTS + copies * drawn * len(attention.tokens) ** 2 * _BYTES_PER_WEIGHT


def why_not_drawn(
    attention: Attention, view: View, layers: Sequence[int] | None = None, heads: Sequence[int] | None = None
) -> str | None:
    """Return the reason why a view is too large to draw; None when it is not.

    Args:
        attention: what to draw.
        view: ``head`` or ``model``.
        layers: only these layers; by default all.
        heads: only these heads; by default all.
    """
    limit, tokens = LIMITS[view], len(attention.tokens)
    shown_layers = len(layers) if layers else attention.layers
    lines = (len(heads) if heads and view == "model" else attention.heads) * tokens**2
    lines *= shown_layers if view == "model" else 1
    size = view_size(attention, layers, heads if view == "model" else None)
    if size <= limit.bytes and lines <= limit.lines:
        return None
    excess = f"{size / 1e6:.0f} MB; browsers handle at most {limit.bytes / 1e6:.0f} MB well"
    if lines > limit.lines:
        excess = f"{lines:,} lines at once; browsers draw at most {limit.lines:,} well"
    return f"The {view} view of {tokens} tokens, {shown_layers} layers and {attention.heads} heads has {excess}."


def head_view(
    attention: Attention,
    *,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    layer: int | None = None,
    hide_special: bool = False,
    theme: Theme = "auto",
    title: str = "Attention: head view",
    workspace: Workspace | None = None,
) -> str:
    """Draw bertviz's head view: lines from each token to those it attends to, a colour for each head.

    Args:
        attention: what to draw.
        layers: the layers to choose from; by default all. Fewer make the page smaller.
        heads: the heads that are visible at first; by default all.
        layer: the layer that is visible at first; by default the last of ``layers``.
        hide_special: leave out the tokens that the tokenizer added.
        theme: light, dark, or the browser's own.
        title: the document's title.
        workspace: where the scripts are stored; by default the current one.

    Returns:
        A whole HTML document.

    Raises:
        RequestError: too large to draw, or a layer or head that does not exist.
        MissingPackageError: bertviz is not installed.
    """
    attention, layers, heads = _prepare(attention, "head", layers, heads, hide_special)
    first = layers[-1] if layer is None else layer
    if first not in layers:
        raise RequestError(f"Layer {first} is not among the layers shown: {layers}.")
    page = package().head_view(
        **_arguments(attention), include_layers=layers, heads=heads, layer=first, html_action="return"
    )
    squares = (
        f"The squares above the picture are heads 0 to {attention.heads - 1}, from left to right: click to toggle "
    )
    squares += "a head, double-click to see it alone."
    caption = f"{_summary(attention, layers, first)} {squares} Hover over a token to see only its lines."
    return _document(page.data, labels(attention, 14), caption, title, theme, workspace)


def model_view(
    attention: Attention,
    *,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    hide_special: bool = False,
    theme: Theme = "auto",
    title: str = "Attention: model view",
    workspace: Workspace | None = None,
) -> str:
    """Draw bertviz's model view: every head of every layer as a small picture, which a click enlarges.

    Args:
        attention: what to draw.
        layers: only these layers; by default all.
        heads: only these heads; by default all.
        hide_special: leave out the tokens that the tokenizer added.
        theme: light, dark, or the browser's own.
        title: the document's title.
        workspace: where the scripts are stored; by default the current one.

    Returns:
        A whole HTML document.

    Raises:
        RequestError: too large to draw, or a layer or head that does not exist.
        MissingPackageError: bertviz is not installed.
    """
    attention, layers, heads = _prepare(attention, "model", layers, heads, hide_special)
    page = package().model_view(
        **_arguments(attention), include_layers=layers, include_heads=heads, display_mode="light", html_action="return"
    )
    caption = f"{_summary(attention, layers, layers[-1])} Rows are layers, columns are heads. Click one to enlarge it."
    return _document(page.data, labels(attention, 10), caption, title, theme, workspace)


# -- bertviz's arguments ------------------------------------------------------------------------------------------


def package() -> ModuleType:
    """Import bertviz. Raises MissingPackageError where it is not installed."""
    try:
        import bertviz
    except ImportError as error:
        raise MissingPackageError("bertviz", "to draw attention") from error
    return bertviz  # type: ignore[no-any-return]


def _prepare(
    attention: Attention, view: View, layers: Sequence[int] | None, heads: Sequence[int] | None, hide_special: bool
) -> tuple[Attention, list[int], list[int]]:
    """Return the attention to draw, its layers and heads. Raises RequestError: they do not exist, or are too many."""
    if hide_special:
        attention = attention.without_special()
    chosen = []
    for kind, selected, count in (("layer", layers, attention.layers), ("head", heads, attention.heads)):
        indices = list(range(count)) if selected is None else sorted(set(selected))
        if not indices or not 0 <= indices[0] <= indices[-1] < count:
            raise RequestError(f"There are no such {kind}s: {indices}.", f"Choose from 0 to {count - 1}.")
        chosen.append(indices)
    reason = why_not_drawn(attention, view, chosen[0], chosen[1])
    if reason is not None:
        fewer = "fewer layers or heads" if view == "model" else "fewer layers"
        raise RequestError(reason, f"Choose {fewer}, hide special tokens, or enter a shorter text.")
    return attention, chosen[0], chosen[1]


def labels(attention: Attention, width: int) -> list[str]:
    """Return the tokens as labels of the lines.

    Args:
        attention: over the tokens.
        width: cut wider tokens to this many letters; East Asian letters count twice.
    """
    return [_cut(token, width) for token in attention.shown]


def _cut(token: str, width: int) -> str:
    used = 0
    for index, character in enumerate(token):
        used += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used > width:
            return token[:index] + "…"
    return token


def _placeholder(index: int) -> str:
    return f"workbench-token-{index}."


class _Arguments(TypedDict):
    attention: list[torch.Tensor]
    tokens: list[str]
    sentence_b_start: int | None
    prettify_tokens: bool


def _arguments(attention: Attention) -> _Arguments:
    """Return the arguments that both views share; tokens are placeholders, which :func:`_drawing` replaces."""
    # 64-bit, so that 0.1234 is written as "0.1234" and not as its nearest 32-bit number with 17 digits.
    weights = torch.from_numpy(attention.weights.astype(np.float64).round(DECIMALS))
    return _Arguments(
        attention=[layer.unsqueeze(0) for layer in weights],
        tokens=[_placeholder(index) for index in range(len(attention.tokens))],
        sentence_b_start=attention.second_text_start,
        prettify_tokens=False,
    )


# -- bertviz's page -----------------------------------------------------------------------------------------------

_SHIM = """
{
  const dark = document.documentElement.dataset.theme === "dark";
  const colours = COLOURS.map(name => dark ? d3.color(name).brighter(0.7) + "" : name);
  const libraries = {jquery: window.jQuery, d3: Object.assign({}, window.d3, {schemeCategory10: colours})};
  window.require = window.requirejs = (names, use) => use(...names.map(name => libraries[name]));
}
"""

# bertviz repeats its ten colours; these distinguish 16 heads. The first are Okabe and Ito's, for the colour-blind.
_COLOURS = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56a4d8", "#8b5fc7", "#c23b4e",
    "#7f7f7f", "#4d8b31", "#a0522d", "#17a2a2", "#e08214", "#5c6bc0", "#b5508f", "#6b8e23",
]  # fmt: skip


def shim() -> str:
    """Return a few lines of JavaScript that replace require.js, with colours for the heads."""
    return _SHIM.replace("COLOURS", json.dumps(_COLOURS))


THEME = """
const root = document.documentElement;
if (root.dataset.theme === "auto")
  root.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
"""

_STYLE = """
:root { color-scheme: light; --page: #fff; --ink: #1f2328; --quiet: #57606a; --mark: #dfe5ec; }
:root[data-theme=dark] { color-scheme: dark; --page: #11181d; --ink: #e6e9ee; --quiet: #a3acb8; --mark: #39424e; }
body { margin: 0; padding: 12px 16px; background: var(--page); color: var(--ink);
  font: 15px/1.45 system-ui, "Helvetica Neue", Arial, sans-serif; }
#caption { margin: 0 0 12px; max-width: 70em; color: var(--quiet); font-size: 14px; }
#drawing { overflow-x: auto; }
select { font: inherit; }
svg text { fill: var(--ink); }
svg text.token { font-size: 11px; }
svg .background, svg .highlight { fill: var(--mark); }
svg .attn_background[fill=white], svg rect.detail { fill: var(--page); }
:root[data-theme=dark] svg .attn_background:not([fill=white]) { fill: #222831; }
"""

_LOADER = '<script src="https://cdnjs.cloudflare.com/ajax/libs/require.js/2.3.6/require.min.js"></script>'
_PAGE = re.compile(
    re.escape(_LOADER) + r"(?P<body>.*?)\n<script type=\"text/javascript\">\n(?P<script>.*)\n</script>\n", re.DOTALL
)
_CONFIGURATION = re.compile(r"require\.config\(\{.*?\}\s*\);\n", re.DOTALL)
_COMMENT = re.compile(r"\A\s*/\*\*.*?\*/", re.DOTALL)
_WIDTH = re.compile(r"const DIV_WIDTH = 970;")
# The model view uses the available width (44 pixels are margins), as long as its pictures stay large enough.
_FITTING_WIDTH = "const DIV_WIDTH = Math.max(640, Math.min(970, document.documentElement.clientWidth - 44));"
ADDRESS = re.compile(r"https?:|cdnjs|\bimport\s*\(", re.IGNORECASE)


def _document(page: str, tokens: list[str], caption: str, title: str, theme: Theme, workspace: Workspace | None) -> str:
    """Turn bertviz's page into a document of its own."""
    match = _PAGE.fullmatch(page)
    names = set(re.findall(r"bertviz-[0-9a-f]{32}", page))
    if match is None or len(names) != 1:
        raise changed("its page has unexpected parts")
    drawing = _drawing(match["script"], tokens)
    # bertviz names its element at random. Named by its content, the same picture is the same document, which a
    # dashboard does not load again.
    random_name = names.pop()
    own_name = "attention-" + hashlib.sha256(drawing.replace(random_name, "").encode()).hexdigest()[:16]
    scripts = [
        THEME,
        assets.script("d3", workspace),
        assets.script("jquery", workspace),
        shim(),
        drawing.replace(random_name, own_name),
    ]
    body = _body(match["body"], caption).replace(random_name, own_name)
    return assemble(body, scripts, title, theme, caption)


def _drawing(script: str, tokens: list[str]) -> str:
    """Return bertviz's script without its CDN and with the real tokens, as strings that cannot end it."""
    script, comments = _COMMENT.subn("", script)
    script, configurations = _CONFIGURATION.subn("", script)
    script, widths = _WIDTH.subn(_FITTING_WIDTH, script)
    if "DIV_WIDTH" in script and widths != 1:
        raise changed("its width is not where it was")
    # The line of data ends with a comment that repeats all of it, because bertviz replaces its marker there too.
    parts = re.split(r"(const params = )(.*)(; // HACK: .*)", script)
    if comments != 1 or configurations != 1 or len(parts) != 5:
        raise changed("its script has an unexpected beginning")
    before, start, data, _, after = parts
    if ADDRESS.search(before + after):
        raise changed("its script contains an address")
    return assets.escape_script(before) + start + _with_tokens(data, tokens) + ";" + assets.escape_script(after)


def _with_tokens(data: str, tokens: Sequence[str]) -> str:
    """Replace the placeholders in bertviz's JSON by the tokens."""
    data = data.replace(", ", ",")  # only lists contain commas until the tokens are inserted
    replaced = 0
    for index, token in enumerate(tokens):
        name = json.dumps(_placeholder(index))
        replaced += data.count(name)
        # JSON is JavaScript once no character can end the script element or open a comment in it.
        data = data.replace(name, json.dumps(token).replace("<", "\\u003c").replace(">", "\\u003e"))
    if replaced < 2 * len(tokens):
        raise changed("its data do not contain the tokens")
    return data


def _body(body: str, caption: str) -> str:
    """Add labels for screen readers to bertviz's elements."""
    vis, select = "<div id='vis'>", '<select id="'
    if body.count(vis) != 1 or "<script" in body or ADDRESS.search(body):
        raise changed("its elements have changed")
    body = body.replace(vis, f"<div id='vis' role='img' aria-label='{html.escape(caption)}'>")
    return body.replace(select, '<select aria-label="choose what to draw" id="')


def assemble(body: str, scripts: list[str], title: str, theme: Theme, caption: str) -> str:
    """Return a whole HTML document in which only the given scripts may run, and which may request nothing.

    Args:
        body: HTML of the drawing.
        scripts: the first one runs in the head, before anything is drawn; the others after the body, in order.
        title: title of the document.
        theme: light, dark, or the browser's own.
        caption: above the drawing.
    """
    head = [
        '<meta charset="utf-8">',
        policy_tag(scripts),
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        f"<script>{scripts[0]}</script>",
    ]
    tail = [f"<script>{script}</script>" for script in scripts[1:]]
    content = [f'<p id="caption">{html.escape(caption)}</p>', f'<div id="drawing">{body}</div>', *tail]
    opening = ["<!DOCTYPE html>", f'<html lang="en" data-theme="{theme}">', "<head>", *head, "</head>", "<body>"]
    return "\n".join([*opening, *content, "</body>", "</html>", ""])


def _summary(attention: Attention, layers: list[int], layer: int) -> str:
    """Describe the picture in a sentence, for screen readers."""
    row = attention.weights[layer, :, attention.readout].mean(0)
    most = int(row.argmax())
    notes = "".join(f" {note}" for note in attention.notes)
    count = "1 layer" if len(layers) == 1 else f"{len(layers)} layers"
    source, destination = (_quoted(attention.shown[index]) for index in (attention.readout, most))
    return (
        f"Attention of {count} with {attention.heads} heads over {len(attention.tokens)} tokens. In layer {layer}, "
        f"{source} attends most to {destination} ({row[most]:.2f}, mean of all heads).{notes}"
    )


def _quoted(token: str) -> str:
    """Quote a token, isolated so that a right-to-left one does not reverse the rest."""
    return f"“\u2068{_cut(token, 30)}\u2069”"


def changed(what: str) -> WorkbenchError:
    """Return the error for a bertviz whose page has changed.

    Args:
        what: is different.
    """
    return WorkbenchError(
        f"bertviz's page cannot be made to draw offline: {what}.",
        "Install the tested version: pip install bertviz==1.4.1",
    )
