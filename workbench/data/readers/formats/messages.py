"""Message catalogues of a program, as in JupyterLab's language packs: JSON from message to translations."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.data.examples import SplitName
from workbench.data.readers.formats.base import Format, RawFile, formats, malformed
from workbench.data.readers.table import Table

_CONTEXT = "\x04"  # gettext: the text before it says where the message is used


@formats.register("messages")
class Messages(Format):
    """Messages (``source``) and their translations (``target``), the singular of each; equal pairs once."""

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        pairs: dict[tuple[str, str], None] = {}
        missing = 0
        for file in files:
            document = file.json()
            if not isinstance(document, dict):
                raise malformed(file.name, "an object from message to translations is needed")
            for number, (message, forms) in enumerate(document.items()):
                source = message.rpartition(_CONTEXT)[2].strip()
                if not source:
                    continue  # the header, which names the language
                target = forms[0] if isinstance(forms, list) and forms else None
                if not isinstance(target, str):
                    raise malformed(f"{file.name}, row {number}", f"{source[:60]!r} has no list of translations")
                missing += not target.strip()
                if target.strip():
                    pairs[source, target.strip()] = None
        sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
        table = self.table({"source": sources, "target": targets}, range(1, len(pairs) + 1))
        if missing:
            table.notes.append(f"Skipped {missing:,} messages without a translation.")
        return table
