"""Catalogues of a program's messages, as JupyterLab's language packs keep them: JSON from message to translations."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.data.readers.formats.base import Format, RawFile, formats, malformed
from workbench.data.readers.table import Table

_CONTEXT = "\x04"  # gettext: what stands before it says where the message is used


@formats.register("messages")
class Messages(Format):
    """Messages (``source``) and their translations (``target``), the singular of each; the same pair once."""

    def read(self, files: Sequence[RawFile], part: str) -> Table:
        pairs: dict[tuple[str, str], None] = {}
        missing = 0
        for file in files:
            document = file.json()
            if not isinstance(document, dict):
                raise malformed(file.name, "an object from message to translations is needed")
            for number, (message, forms) in enumerate(document.items()):
                source = message.rpartition(_CONTEXT)[2].strip()
                if not source:
                    continue  # the head, which tells the language
                if not isinstance(forms, list) or not forms or not isinstance(forms[0], str):
                    raise malformed(f"{file.name}, row {number}", f"{source[:60]!r} has no list of translations")
                target = forms[0].strip()
                missing += not target
                if target:
                    pairs[source, target] = None
        sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
        table = self.table({"source": sources, "target": targets}, range(1, len(pairs) + 1))
        if missing:
            table.notes.append(f"{missing:,} messages without a translation were passed over.")
        return table
