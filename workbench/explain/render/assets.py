"""d3 and jQuery for the views: from the workspace, never from the network while a view is drawn."""

from __future__ import annotations

import re

from workbench.data.catalogue.sources import fetch_asset
from workbench.workspace import Workspace


def script(name: str, workspace: Workspace | None = None) -> str:
    """Return the JavaScript of an asset, safe between script tags.

    Args:
        name: name of the asset: ``"d3"``, ``"jquery"``.
        workspace: where it is stored, or downloaded to at the first use (``make setup`` does it beforehand).

    Raises:
        FetchError: it is missing and cannot be downloaded.
    """
    text = fetch_asset(name, workspace or Workspace.current()).read_text(encoding="utf-8")
    return escape_script(text)


def escape_script(text: str) -> str:
    """Return JavaScript that cannot end its own script element: ``</script`` and ``<!--`` only occur in strings.

    Args:
        text: JavaScript.
    """
    return re.sub(r"<(?=/script|!--)", r"\\x3c", text, flags=re.IGNORECASE)
