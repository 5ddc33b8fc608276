"""MkDocs hooks: the pages that are generated from the code, and the navigation.

The reference of the command line, of every option and of every registry entry, the rendered course and the changelog
have no files of their own below ``docs/``. They are generated from their source each time the site is built.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
import typer.main
import yaml
from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic.fields import FieldInfo

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

    from workbench.registry import Registry

Nav = list[dict[str, "str | Nav"]]

WRITTEN: Nav = [
    {"Home": "index.md"},
    {"Quickstart": "quickstart.md"},
    {
        "Guides": [
            {"Overview": "guides/index.md"},
            {"Classify your own CSV": "guides/own-csv.md"},
            {"Find names in texts": "guides/named-entities.md"},
            {"Answer questions": "guides/question-answering.md"},
            {"Translate": "guides/translation.md"},
            {"Chat": "guides/chat.md"},
            {"Use a GPU": "guides/gpu.md"},
            {"Work on a server without a browser": "guides/server.md"},
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


@dataclass(frozen=True)
class Kind:
    """One registry of the workbench, as a section of the reference."""

    folder: str
    title: str
    introduction: str
    registry: Registry[object]
    example: str  # YAML with {name}; empty for entries that a spec does not name


def kinds() -> list[Kind]:
    """Return the registries that have a page for each entry."""
    from workbench.data.readers.formats import formats
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
            "",
        ),
    ]


# -- MkDocs' entry points ------------------------------------------------------------------------------------------


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
        course.append({title: [{_title_of_part(path): f"course/{folder}/{path.stem}.md"} for path in parts(folder)]})
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
    """Turn formulas into MathML, which browsers draw without scripts.

    Args:
        html: the page's content.
        page: the page.
        config: MkDocs' configuration.
        files: all files.

    Returns:
        The content with ``<math>`` elements.
    """

    def formula(match: re.Match[str]) -> str:
        latex = unescape(match["latex"]).strip()
        display = "block" if match["open"] == "\\[" else "inline"
        return convert(latex, display=display)

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
        yield f"reference/{kind.folder}/index.md", _overview(kind)
        for name in kind.registry.names():
            yield f"reference/{kind.folder}/{file_name(name)}.md", entry(kind, name)
    for folder in ("notebooks", "tutorials"):
        for path in parts(folder):
            yield f"course/{folder}/{path.stem}.md", render_part(path)
    yield "course/index.md", course_overview()
    yield "changelog.md", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


# -- registry entries ----------------------------------------------------------------------------------------------


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
        lines += ["## Example", "", "```yaml", example.rstrip(), "```", ""]
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


def _overview(kind: Kind) -> str:
    lines = [f"# {kind.title}", "", kind.introduction, "", "| name | what it is |", "|---|---|"]
    for name in kind.registry.names():
        lines.append(f"| [{name}]({file_name(name)}.md) | {_cell(kind.registry.label(name))} |")
    return "\n".join(lines) + "\n"


def _example(kind: Kind, name: str) -> str:
    if kind.example == "task":
        specs = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in preset_files()}
        for stem, spec in specs.items():
            task = spec["task"]
            if (task if isinstance(task, str) else task["name"]) == name:
                text = (ROOT / "workbench/presets" / f"{stem}.yaml").read_text(encoding="utf-8")
                return f"# workbench run {stem}\n" + re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
        return f"task: {name}\ndata: texts.txt\nmodel: transformer-encoder-decoder\n"
    if kind.example == "model":
        source = {"hf": "hf:OWNER/NAME@REVISION", "path": "path:FOLDER", "run": "run:RUN"}.get(name.partition(":")[0])
        task = "causal-lm" if "decoder" in name or name in ("smollm2",) else "text-classification"
        task = "translation" if name == "transformer-encoder-decoder" else task
        data = {"causal-lm": "film-plots", "translation": "tatoeba-en-zh"}.get(task, "rotten-tomatoes")
        return f"task: {task}\ndata: {data}\nmodel: {source or name}\n"
    if kind.example == "tuning":
        return f"task: text-classification\ndata: rotten-tomatoes\nmodel: minilm\ntuning: {name}\n"
    return ""


# -- options -------------------------------------------------------------------------------------------------------


def options() -> str:
    """Describe every field of a run's spec.

    Returns:
        A page with a table for each section of the spec.
    """
    from workbench.spec import RunSpec

    lines = [
        "# Options of a run",
        "",
        "A run is described by a YAML file, its *spec*. You can also set a field on the command line, "
        "`--set training.epochs=2`, or in Python, `wb.run(spec, training__epochs=2)`. "
        "`workbench check SPEC` prints every field with the value that it has after defaults are filled in.",
        "",
        "`task`, `data`, `model` and `tuning` may be written short: `model: minilm` means `model: {source: minilm}`. "
        "The options of a task, a model or a fine-tuning method are written beside its name and are listed on "
        "its own page: [tasks](tasks/index.md), [models](models/index.md), [fine-tuning methods](tuning/index.md).",
        "",
    ]
    sections: dict[str, type[BaseModel]] = {}
    top: dict[str, FieldInfo] = {}
    for name, field in RunSpec.model_fields.items():
        model = _model_of(field)
        if model is None:
            top[name] = field
        else:
            sections[name] = model
    lines += ["## Top level", "", *_table(top)]
    for name, model in sections.items():
        lines += [f"## {name}", "", RunSpec.model_fields[name].description or "", ""]
        lines += option_table(model, nested=True)
    return "\n".join(lines) + "\n"


def option_table(model: type[BaseModel], nested: bool = False) -> list[str]:
    """Render the fields of a pydantic model as a table.

    Args:
        model: the model.
        nested: add the fields of models inside it, named ``outer.inner``.

    Returns:
        Lines of Markdown.
    """
    fields: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        inner = _model_of(field) if nested else None
        if inner is None:
            fields[name] = field
        else:
            fields |= {f"{name}.{below}": info for below, info in inner.model_fields.items()}
    return _table(fields)


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    for candidate in (field.annotation, *get_args(field.annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _table(fields: Mapping[str, FieldInfo]) -> list[str]:
    lines = ["| field | default | type | meaning |", "|---|---|---|---|"]
    for name, field in fields.items():
        default = "*required*" if field.is_required() else _value(field.get_default(call_default_factory=True))
        lines.append(f"| `{name}` | {default} | {_cell(_type(field))} | {_cell(field.description or '')} |")
    return [*lines, ""]


def _value(value: object) -> str:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_none=True)
    return "empty" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def _type(field: FieldInfo) -> str:
    text = str(field.annotation) if get_args(field.annotation) else getattr(field.annotation, "__name__", "")
    text = re.sub(r"\b(typing|types|collections\.abc|workbench[\w.]*)\.", "", text)
    choices = re.search(r"Literal\[([^\]]*)\]", text)
    if choices:
        return "one of " + choices[1].replace("'", "`")
    text = text.replace(" | None", " or empty").replace("NoneType", "empty")
    names = {"str": "text", "int": "whole number", "float": "number", "bool": "yes or no"}
    text = re.sub(r"\b(str|int|float|bool)\b", lambda m: names[m[1]], text)
    bounds = [
        f"{sign} {getattr(constraint, attribute):g}"
        for constraint in field.metadata
        for attribute, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
        if getattr(constraint, attribute, None) is not None
    ]
    return f"{text}, {', '.join(bounds)}" if bounds else text


def preset_files() -> list[Path]:
    """Return the presets' files, sorted by name."""
    return sorted((ROOT / "workbench" / "presets").glob("*.yaml"))


def presets() -> str:
    """Describe the presets.

    Returns:
        A page with each preset's YAML.
    """
    lines = [
        "# Presets",
        "",
        "A preset is a spec that comes with the workbench. Use its name where a command asks for a spec: "
        "`workbench run demo-lora`. `workbench presets` prints this list.",
        "",
    ]
    for path in preset_files():
        text = path.read_text(encoding="utf-8")
        comment = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
        body = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        lines += [f"## {path.stem}", "", comment, "", "```yaml", body.strip(), "```", ""]
    return "\n".join(lines)


def data_sets() -> str:
    """Describe the catalogue.

    Returns:
        A page with a table of data sets and one of models.
    """
    from workbench.data.catalogue.entries import catalogue

    lines = [
        "# Data sets",
        "",
        "The catalogue. Name a data set in `data.train`; it is fetched when it is first used, checked against its "
        "hash, and kept. `workbench data show NAME` prints columns, splits, licence and citation.",
        "",
        "| name | what it is | task | language | licence |",
        "|---|---|---|---|---|",
    ]
    for name, item in sorted(catalogue().datasets.items()):
        cells = (f"`{name}`", item.label, f"`{item.task}`", item.language, item.licence)
        lines.append("| " + " | ".join(_cell(str(cell)) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


# -- the command line ----------------------------------------------------------------------------------------------


def command_line() -> str:
    """Describe every command.

    Returns:
        A page with usage, arguments and options of each command.
    """
    from workbench.cli.app import app

    root = typer.main.get_command(app)
    lines = [
        "# Command line",
        "",
        "Every command that prints results accepts `--json`: standard output is then one JSON document. Exit codes: "
        "0 done; 1 the run failed while training; 2 the request or its data was wrong. `--debug` shows the traceback "
        "of an error.",
        "",
    ]
    for path, command in _commands(root, "workbench"):
        context = click.Context(command, info_name=path)
        usage = " ".join([path, *command.collect_usage_pieces(context)])
        lines += [f"## {path}", "", inspect.cleandoc(command.help or ""), "", f"```text\n{usage}\n```", ""]
        rows = [
            _parameter(parameter, context) for parameter in command.params if not getattr(parameter, "hidden", False)
        ]
        rows = [row for row in rows if row]
        if rows:
            lines += ["| option | meaning |", "|---|---|", *rows, ""]
    return "\n".join(lines) + "\n"


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
        return
    for name in sorted(below):
        if not below[name].hidden:
            yield from _commands(below[name], f"{path} {name}")


def _parameter(parameter: click.Parameter, context: click.Context) -> str:
    record = parameter.get_help_record(context)
    if record is None:  # an argument without help
        return f"| `{parameter.make_metavar(context)}` | |"
    name = record[0].replace("|", "\\|")
    return f"| `{name}` | {_cell(record[1])} |"


# -- the course ----------------------------------------------------------------------------------------------------


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
        lines += [f"- [{_title_of_part(path)}]({folder}/{path.stem}.md)" for path in parts(folder)]
        lines.append("")
    return "\n".join(lines)


def _links(text: str) -> str:
    """Point links to other parts of the course at their pages, and links to files at plain names."""
    text = re.sub(r"\]\((?:\.\./(notebooks|tutorials)/)?([\w-]+)\.ipynb(?:#[^)]*)?\)", _page_link, text)
    return re.sub(r"\[(`?[^\]\[]+`?)\]\((?:\.\./|\w)(?!ttps?:)[^)]*\.(?:py|md|yaml)\)", r"\1", text)


def _page_link(match: re.Match[str]) -> str:
    return f"](../{match[1]}/{match[2]}.md)" if match[1] else f"]({match[2]}.md)"


def _title_of_part(path: Path) -> str:
    match = re.search(r"^# # (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return re.sub(r"[*`]", "", match[1]) if match else path.stem


# -- Markdown ------------------------------------------------------------------------------------------------------


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


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _title(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
