"""d3 and jQuery for the views, from the workspace and never from the network while a view is drawn."""

from __future__ import annotations

import re

from workbench.data.catalogue.sources import fetch_asset
from workbench.workspace import Workspace


def script(name: str, workspace: Workspace | None = None) -> str:
    """The JavaScript of an asset (``"d3"``, ``"jquery"``), safe to stand between script tags.

    Args:
        name: the asset's name.
        workspace: where it is kept, or fetched to at the first use (``make setup`` does it beforehand).

    Raises:
        FetchError: it is not there and cannot be fetched.
    """
    text = fetch_asset(name, workspace or Workspace.current()).read_text(encoding="utf-8")
    return escape_script(text)


def escape_script(text: str) -> str:
    """JavaScript that cannot end the script element it stands in: ``</script`` and ``<!--`` only occur in strings."""
    return re.sub(r"<(?=/script|!--)", r"\\x3c", text, flags=re.IGNORECASE)
