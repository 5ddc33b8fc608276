"""How results appear in a notebook."""

from __future__ import annotations


class HtmlDisplay:
    """A result that a notebook shows as HTML.

    This is the one place where ``workbench.explain`` reaches up to its own ``render``: late, when a cell is displayed.
    """

    def _repr_html_(self) -> str:
        from workbench.explain.render.notebook import html

        return html(self)
