"""Pages of the course, rendered from its sources."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def parts(folder: str) -> list[Path]:
    """List the sources of the course's notebooks or lessons.

    Args:
        folder: ``notebooks`` or ``tutorials``.

    Returns:
        Files in the py:percent format, in order.
    """
    below = ROOT / folder / "src" if folder == "tutorials" else ROOT / folder
    return sorted(path for path in below.glob("[0-9]*.py"))


def render_part(path: Path) -> str:
    """Render a notebook's or lesson's source as a page.

    Args:
        path: a file in the py:percent format.

    Returns:
        Markdown with the code in blocks; outputs are not included.
    """
    cells = re.split(r"^# %%", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    folder = "tutorials" if path.parent.name == "src" else path.parent.name
    opened = f"*Open it with `workbench lab`: `{folder}/{path.stem}.ipynb`.*"
    blocks = []
    for cell in cells:
        head, _, body = cell.partition("\n")
        if "[markdown]" in head:
            text = "\n".join(re.sub(r"^# ?", "", line) for line in body.strip().splitlines())
            blocks.append(_links(text))
        elif body.strip():
            blocks.append(f"```python\n{body.strip()}\n```")
    blocks.insert(1, opened)
    return "\n\n".join(blocks) + "\n"


def course_overview() -> str:
    """Render the overview of the course.

    Returns:
        A page that lists notebooks and lessons.
    """
    lines = [
        "# The course",
        "",
        "Guided notebooks lead from text to a Transformer that you build, pretrain, fine-tune and look into. Lessons "
        "are real jobs with exercises that check themselves. `workbench lab` opens both in JupyterLab. The pages show "
        "the text and the code; outputs appear when you run them.",
        "",
    ]
    for folder, title in (("notebooks", "Notebooks"), ("tutorials", "Lessons")):
        lines += [f"## {title}", ""]
        lines += [f"- [{title_of_part(path)}]({folder}/{path.stem}.md)" for path in parts(folder)]
        lines.append("")
    return "\n".join(lines)


def _links(text: str) -> str:
    """Point links to other parts of the course at their pages, and links to files at plain names."""
    text = re.sub(r"\]\((?:\.\./(notebooks|tutorials)/)?([\w-]+)\.ipynb(?:#[^)]*)?\)", _page_link, text)
    return re.sub(r"\[(`?[^\]\[]+`?)\]\((?:\.\./|\w)(?!ttps?:)[^)]*\.(?:py|md|yaml)\)", r"\1", text)


def _page_link(match: re.Match[str]) -> str:
    return f"](../{match[1]}/{match[2]}.md)" if match[1] else f"]({match[2]}.md)"


def title_of_part(path: Path) -> str:
    """Return the title of a notebook or lesson.

    Args:
        path: its source.
    """
    match = re.search(r"^# # (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return re.sub(r"[*`]", "", match[1]) if match else path.stem
