"""Markdown from docstrings and for tables."""

from __future__ import annotations

import re


def to_markdown(text: str) -> str:
    """Turn a docstring into Markdown.

    Args:
        text: a docstring, cleaned of its indentation.

    Returns:
        Markdown: roles are code, indented blocks are fenced, Google-style sections are left out.
    """
    text = re.sub(r":(?:mod|class|func|meth|attr|data):`~?([^`]*)`", r"`\1`", text)
    text = text.replace("``", "`")
    text = re.split(r"^(?:Args|Returns|Raises|Attributes|Yields):\s*$", text, maxsplit=1, flags=re.MULTILINE)[0]
    lines: list[str] = []
    fenced = False
    for line in text.splitlines():
        indented = line.startswith("    ") and (fenced or not lines or not lines[-1].strip())
        if indented and not fenced:
            lines.append("```text")
            fenced = True
        elif fenced and line.strip() and not line.startswith("    "):
            while lines and not lines[-1].strip():
                lines.pop()
            lines += ["```", ""]
            fenced = False
        lines.append(line[4:] if fenced else line)
    if fenced:
        while lines and not lines[-1].strip():
            lines.pop()
        lines.append("```")
    return "\n".join(lines)


def cell(text: str) -> str:
    """Escape a text for a cell of a table.

    Args:
        text: any text.

    Returns:
        One line.
    """
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
