"""MkDocs hooks: the pages that are generated from the code, and the navigation.

The reference of the command line, of every option and of every registry entry, the rendered course and the changelog
have no files of their own below ``docs/``. They are generated from their source each time the site is built.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from docs.site.commands import command_line  # noqa: E402
from docs.site.course import course_overview, parts, render_part, title_of_part  # noqa: E402
from docs.site.entries import entry, file_name, kinds, overview  # noqa: E402
from docs.site.options import data_sets, options, presets  # noqa: E402

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page


Nav = list[dict[str, "str | Nav"]]

WRITTEN: Nav = [
    {"Home": "index.md"},
    {"Quickstart": "quickstart.md"},
    {
        "Guides": [
            {"Overview": "guides/index.md"},
            {"Classify your own CSV": "guides/own-csv.md"},
            {"Find names in texts": "guides/named-entities.md"},
            {"Texts that are not English": "guides/other-languages.md"},
            {"Answer questions": "guides/question-answering.md"},
            {"Translate": "guides/translation.md"},
            {"Chat": "guides/chat.md"},
            {"Use a GPU": "guides/gpu.md"},
            {"Work on a server without a browser": "guides/server.md"},
            {"Expose the dashboard": "guides/expose.md"},
        ]
    },
    {
        "Concepts": [
            {"Architecture": "concepts/architecture.md"},
            {"Life of a run": "concepts/runs.md"},
            {"How comparisons are judged": "concepts/comparisons.md"},
            {"How far explanations can be believed": "concepts/explanations.md"},
        ]
    },
]
CONTRIBUTING: Nav = [
    {"Overview": "contributing/index.md"},
    {"Add a task": "contributing/add-a-task.md"},
    {"Add another entry": "contributing/add-an-entry.md"},
    {"Design": "contributing/design.md"},
    {"The course and its alternatives": "contributing/course.md"},
]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Set the navigation; entries of registries are listed by asking the registries.

    Args:
        config: MkDocs' configuration.

    Returns:
        The same configuration.
    """
    reference: Nav = [
        {"Overview": "reference/index.md"},
        {"Python": "reference/python.md"},
        {"Command line": "reference/cli.md"},
        {"Options of a run": "reference/options.md"},
        {"Presets": "reference/presets.md"},
        {"Data sets": "reference/data.md"},
    ]
    for kind in kinds():
        pages: Nav = [{"Overview": f"reference/{kind.folder}/index.md"}]
        pages += [{name: f"reference/{kind.folder}/{file_name(name)}.md"} for name in kind.registry.names()]
        reference.append({kind.title: pages})
    decisions: Nav = [
        {_title(path): f"decisions/{path.name}"} for path in sorted((ROOT / "docs/decisions").glob("*.md"))
    ]
    course: Nav = [{"Overview": "course/index.md"}]
    for folder, title in (("notebooks", "Notebooks"), ("tutorials", "Lessons")):
        course.append({title: [{title_of_part(path): f"course/{folder}/{path.stem}.md"} for path in parts(folder)]})
    config.nav = [
        *WRITTEN,
        {"Reference": reference},
        {"Course": course},
        {"Glossary": "glossary.md"},
        {"Contributing": [*CONTRIBUTING, {"Decisions": decisions}]},
        {"Changelog": "changelog.md"},
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages.

    Args:
        files: the files below ``docs/``.
        config: MkDocs' configuration.

    Returns:
        The files with the generated pages.
    """
    for uri, content in generated():
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn formulas into MathML, which browsers draw without scripts, and Sphinx roles into code.

    Args:
        html: the page's content.
        page: the page.
        config: MkDocs' configuration.
        files: all files.

    Returns:
        The changed content.
    """

    def formula(match: re.Match[str]) -> str:
        latex = unescape(match["latex"]).strip()
        display = "block" if match["open"] == "\\[" else "inline"
        return convert(latex, display=display)

    # The code's docstrings name classes and functions in Sphinx' way.
    html = re.sub(r":(?:mod|class|func|meth|attr|data):<code>~?([^<]*)</code>", r"<code>\1</code>", html)
    pattern = r"<(?P<tag>span|div) class=\"arithmatex\">(?P<open>\\\(|\\\[)(?P<latex>.*?)\\[)\]]</(?P=tag)>"
    return re.sub(pattern, formula, html, flags=re.DOTALL)


def generated() -> Iterator[tuple[str, str]]:
    """Generate every page that has no file of its own.

    Yields:
        The page's path below ``docs/`` and its Markdown.
    """
    yield "reference/cli.md", command_line()
    yield "reference/options.md", options()
    yield "reference/presets.md", presets()
    yield "reference/data.md", data_sets()
    for kind in kinds():
        yield f"reference/{kind.folder}/index.md", overview(kind)
        for name in kind.registry.names():
            yield f"reference/{kind.folder}/{file_name(name)}.md", entry(kind, name)
    for folder in ("notebooks", "tutorials"):
        for path in parts(folder):
            yield f"course/{folder}/{path.stem}.md", render_part(path)
    yield "course/index.md", course_overview()
    yield "changelog.md", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def _title(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
