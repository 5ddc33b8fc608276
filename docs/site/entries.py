"""A page for each entry of each registry."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from pydantic import BaseModel

from docs.site.markdown import cell, to_markdown
from docs.site.options import option_table, preset_files

if TYPE_CHECKING:
    from workbench.registry import Registry

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Kind:
    """One registry of the workbench, as a section of the reference."""

    folder: str
    title: str
    introduction: str
    registry: Registry[object]
    example: str  # which kind of example a page has


def kinds() -> list[Kind]:
    """Return the registries that have a page for each entry."""
    from workbench.data.readers.formats import formats
    from workbench.data.shapes import shapes
    from workbench.explain.base import explainers
    from workbench.models.base import models
    from workbench.tasks.base import tasks
    from workbench.tuning.base import tunings

    return [
        Kind("tasks", "Tasks", "What a model can learn. `workbench tasks` prints this list.", tasks, "task"),
        Kind("models", "Models", "What a run can start from. `workbench models` prints this list.", models, "model"),
        Kind(
            "tuning",
            "Fine-tuning methods",
            "Which weights a run trains. `workbench tunings` prints this list.",
            tunings,
            "tuning",
        ),
        Kind(
            "explainers",
            "Explainers",
            "How a decision can be explained. `workbench explainers` prints this list.",
            explainers,
            "explainer",
        ),
        Kind(
            "formats",
            "Dataset formats",
            "Files that are not plain tables. A data set of the catalogue names its format; your own files are "
            "recognized by their ending.",
            formats,
            "format",
        ),
        Kind(
            "shapes",
            "Shapes of rows",
            "How the rows of a file can hold what a task needs, other than one column for each role. Their columns "
            "show which shape it is.",
            shapes,
            "shape",
        ),
    ]


def file_name(name: str) -> str:
    """Return a file name for the name of an entry.

    Args:
        name: as registered, such as ``hf:REPOSITORY@REVISION``.

    Returns:
        Letters, digits, dots and hyphens only.
    """
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-")


def entry(kind: Kind, name: str) -> str:
    """Describe one entry of a registry.

    Args:
        kind: its registry.
        name: the entry.

    Returns:
        A page: what it is, how to use it, its options and where it comes from.
    """
    cls = kind.registry.get(name)
    label, _, rest = _documentation(cls).partition("\n")
    lines = [f"# {name}", "", label.strip(), ""]
    module = sys.modules[cls.__module__]
    ours = cls.__module__.startswith("workbench.") and _entries_of(kind, cls.__module__) == [name]
    body = to_markdown(rest).strip()
    if ours and module.__doc__:
        body = (to_markdown(_without_title(module.__doc__)) + "\n\n" + body).strip()
    lines += [body, ""]
    example = _example(kind, name)
    if example:
        language = "sh" if kind.example == "explainer" else "yaml"
        lines += ["## Example", "", f"```{language}", example.rstrip(), "```", ""]
    config = getattr(cls, "Config", None)
    if isinstance(config, type) and issubclass(config, BaseModel):
        lines += ["## Options", ""]
        lines += option_table(config) if config.model_fields else ["None.", ""]
    papers = sources(label + "\n" + rest + "\n" + (module.__doc__ or "" if ours else ""))
    if papers:
        lines += ["## Sources", "", *[f"- {paper}" for paper in papers], ""]
    lines += [f"Defined in `{Path(inspect.getsourcefile(cls) or '').resolve().relative_to(ROOT)}`."] if ours else []
    return "\n".join(lines) + "\n"


def sources(text: str) -> list[str]:
    """List the papers that a docstring names.

    Args:
        text: a docstring.

    Returns:
        Each paper once, with a link where an arXiv number is named.
    """
    papers: dict[str, str] = {}
    flat = " ".join(text.split())
    for match in re.finditer(
        r"((?:[A-Z][\w'’-]+(?:,? (?:van den|de|Ben|and|et al\.) ?[A-Z]?[\w'’-]*)*)+),? ((?:19|20)\d\d)"
        r"((?:, \"[^\"]+\")?)((?:, arXiv:? ?(\d{4}\.\d{4,5}))?)",
        flat,
    ):
        authors, year, title, _, number = match.groups()
        cited = f"{authors} ({year}){title.replace(', ', ': ', 1) if title else ''}"
        if number:
            cited += f", [arXiv {number}](https://arxiv.org/abs/{number})"
        if len(papers.get(f"{authors} {year}", "")) < len(cited):
            papers[f"{authors} {year}"] = cited
    return list(papers.values())


def _entries_of(kind: Kind, module: str) -> list[str]:
    return [name for name, cls in kind.registry.items() if cls.__module__ == module]


def _documentation(cls: type) -> str:
    return inspect.cleandoc(cls.__doc__ or "")


def _without_title(text: str) -> str:
    return "\n".join(inspect.cleandoc(text).splitlines()[1:])


def overview(kind: Kind) -> str:
    """List the entries of a registry.

    Args:
        kind: the registry.

    Returns:
        A page with a table.
    """
    lines = [f"# {kind.title}", "", kind.introduction, "", "| name | what it is |", "|---|---|"]
    for name in kind.registry.names():
        lines.append(f"| [{name}]({file_name(name)}.md) | {cell(kind.registry.label(name))} |")
    return "\n".join(lines) + "\n"


def _example(kind: Kind, name: str) -> str:
    if kind.example == "task":
        specs = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in preset_files()}
        for stem, spec in sorted(specs.items(), key=lambda item: item[1]["model"] == "multilingual-e5-small"):
            task = spec["task"]
            if (task if isinstance(task, str) else task["name"]) == name:
                text = (ROOT / "workbench/presets" / f"{stem}.yaml").read_text(encoding="utf-8")
                return f"# workbench run {stem}\n" + re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
        return f"task: {name}\ndata: texts.txt\nmodel: transformer-encoder-decoder\n"
    if kind.example == "model":
        source = {"hf": "hf:OWNER/NAME@REVISION", "path": "path:FOLDER", "run": "run:RUN"}.get(name.partition(":")[0])
        task = "causal-lm" if "decoder" in name or name in ("smollm2", "gemma-3-270m") else "text-classification"
        task = "translation" if name == "transformer-encoder-decoder" else task
        data = {"causal-lm": "film-plots", "translation": "tatoeba-en-zh"}.get(task, "rotten-tomatoes")
        data = "tnews" if name == "multilingual-e5-small" else data
        return f"task: {task}\ndata: {data}\nmodel: {source or name}\n"
    if kind.example == "format":
        return _format_example(name)
    if kind.example == "explainer":
        return f'workbench explain RUN --text "A quiet, moving film." --method {name} --html explanation.html\n'
    if kind.example == "tuning":
        return f"task: text-classification\ndata: rotten-tomatoes\nmodel: minilm\ntuning: {name}\n"
    return ""


def _format_example(name: str) -> str:
    """Return a spec whose data set is written in a format; empty where the catalogue has none."""
    from workbench.data.catalogue.entries import catalogue

    using = {data: item for data, item in catalogue().datasets.items() if item.read_options.format == name}
    if not using:
        return ""
    data, item = next(iter(using.items()))
    return f"# in this format: {', '.join(using)}\ntask: {item.task}\ndata: {data}\nmodel: minilm\n"
