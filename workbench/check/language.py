"""The language of a spec's data: which model ``auto`` stands for, and warnings about models that do not know it.

    model: auto     minilm where the texts are English, multilingual-e5-small where they are not

Data sets of the catalogue name their language. Of files, a few texts are read from several places; nothing is
downloaded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import cast

from workbench.data.catalogue.cache import downloads
from workbench.data.catalogue.entries import ModelEntry, catalogue
from workbench.data.catalogue.naming import find_entry, source_kind
from workbench.data.readers.file_types import ARCHIVES, EXCEL, PARQUET
from workbench.data.readers.limits import UPLOAD
from workbench.data.readers.sample import sample_texts
from workbench.data.text.language import NAMES, UNKNOWN, Languages, detect_languages, spread_sample
from workbench.data.text.unknown_tokens import load_backend, unknown_share
from workbench.data.uploads import confined_path
from workbench.errors import WorkbenchError
from workbench.models.base import VOCABULARY_HEADS, ModelSource, models
from workbench.problem import Problem
from workbench.spec import DataSpec, RunSpec
from workbench.system.limited_process import call
from workbench.tasks.base import Task
from workbench.workspace import Workspace

AUTO = "auto"  # in place of a model source
_ENOUGH = 0.8  # share of the letters that a model must know
_WORTH_NOTING = 0.01  # share of unknown tokens
_TOO_MANY_UNKNOWN = 0.1  # share of unknown tokens from which a model of unknown languages is warned about
_NAMED = 3  # languages of a model that are named
_BINARY = (*PARQUET, *EXCEL, *ARCHIVES)
_SAMPLE = 200  # texts whose tokens are counted


@dataclass(frozen=True)
class AutoChoice:
    """What ``auto`` stands for.

    Attributes:
        source: the model source.
        reason: why, as a sentence.
        tuning: the fine-tuning method for a spec that names none.
    """

    source: str
    reason: str
    tuning: str = "full"


def data_texts(data: DataSpec, task: Task, workspace: Workspace, confined: bool = False) -> list[str]:
    """Return some texts of the training data that is on this machine.

    Args:
        data: the ``data`` section.
        task: its input columns are read.
        workspace: whose uploads and downloads.
        confined: allow only files inside the workspace's uploads.
    """
    entry = find_entry(data.train)
    if source_kind(data.train) == "hub":
        return []
    try:
        if entry is not None:
            path = downloads(workspace) / "datasets" / data.train / entry.splits["train"][0]
        else:
            path = confined_path(workspace, data.train) if confined else Path(data.train).expanduser()
    except WorkbenchError:
        return []
    roles = {**(entry.columns if entry is not None else {}), **data.columns}
    names: list[Sequence[str]] = []
    for column in task.columns():
        if not column.is_target:
            mapped = roles.get(column.role, ())
            alone = [(name,) for name in ([mapped] if isinstance(mapped, str) else mapped)]
            names += alone or [(column.role, *column.guesses)]
    if confined and entry is None and path.suffix.lower() in _BINARY:
        with contextlib.suppress(OSError):
            stat = path.stat()
            alternatives = tuple(tuple(each) for each in names)
            return list(_sample_upload(path, alternatives, data.encoding, data.sheet, stat.st_mtime_ns, stat.st_size))
    return sample_texts(path, names, data.encoding, data.sheet)


@lru_cache(maxsize=32)
def _sample_upload(
    path: Path, names: tuple[tuple[str, ...], ...], encoding: str | None, sheet: str | None, changed: int, size: int
) -> tuple[str, ...]:
    """Return texts of a stranger's file that has to be unpacked: in a process with limits."""
    arguments = {"path": str(path), "columns": names, "encoding": encoding, "sheet": sheet}
    try:
        return tuple(cast("list[str]", call("workbench.data.limited:read_sample", arguments, UPLOAD)))
    except WorkbenchError:
        return ()  # loading it reports why


def data_languages(data: DataSpec, task: Task, workspace: Workspace, confined: bool = False) -> Languages | None:
    """Return the languages of a spec's data; None if they are not known before it is downloaded.

    Args:
        data: the ``data`` section.
        task: its input columns are read.
        workspace: whose uploads.
        confined: allow only files inside the workspace's uploads.
    """
    entry = find_entry(data.train)
    if entry is not None:
        codes = entry.language.split("-")
        return Languages(dict.fromkeys(codes, 1 / len(codes)), {}, 1.0, 0)
    languages = detect_languages(spread_sample(data_texts(data, task, workspace, confined)))
    return languages if languages.letters else None


def choose_model(task: Task, languages: Languages | None) -> AutoChoice | Problem:
    """Choose a pretrained model of the catalogue for a task and the language of its data.

    Args:
        task: with its options; the model must have its head.
        languages: of the data; None if they are unknown.

    Returns:
        The choice, or a problem if no model of the catalogue has the head.
    """
    fitting: dict[str, ModelEntry] = {
        name: entry for name, entry in catalogue().models.items() if task.head in (models.get(name).heads or ())
    }
    if not fitting:
        message = f"auto finds no pretrained model in the catalogue for {task.name}."
        return Problem("error", "model", message, "Name a model; `workbench models` lists them.")
    many = max(fitting, key=lambda name: len(fitting[name].languages))
    if languages is None:
        free = [name for name, entry in fitting.items() if entry.terms is None]  # nobody has to accept anything
        many = max(free or fitting, key=lambda name: len(fitting[name].languages))
        reason = f"auto chose {many}: the language of the texts is not known before the run."
        return AutoChoice(many, reason, _tuning(task, fitting[many]))
    known = {name: languages.share_of(entry.languages) for name, entry in fitting.items()}
    # The first in the catalogue that knows enough: one that was trained on a single language is better at it.
    enough = [name for name, share in known.items() if share >= _ENOUGH]
    unknown = languages.shares.get(UNKNOWN, 0.0)
    source = enough[0] if enough else many if unknown > 1 - _ENOUGH else max(known, key=lambda name: known[name])
    reason = f"auto chose {source}: the texts are in {languages.describe()}."
    return AutoChoice(source, reason, _tuning(task, fitting[source]))


def _tuning(task: Task, entry: ModelEntry) -> str:
    return "full" if task.head in VOCABULARY_HEADS else entry.auto_tuning  # an adapter cannot hold a new output layer


def language_problems(
    spec: RunSpec, task: Task, model: ModelSource, workspace: Workspace, confined: bool = False
) -> list[Problem]:
    """Return a warning if a model was trained on other languages than those of a spec's data.

    Of a model whose languages are unknown, the tokenizer must know most of the texts.

    Args:
        spec: names the data and the model.
        task: its input columns are read.
        model: the model source.
        workspace: whose uploads and cached files are used.
        confined: allow only files inside the workspace's uploads.
    """
    texts = partial(data_texts, spec.data, task, workspace, confined)
    if model.languages is not None:
        languages = data_languages(spec.data, task, workspace, confined)
        return warn_of_languages(task, model, languages, texts) if languages is not None else []
    share = None if confined else _unknown_share(model, texts)
    if share is None or share < _TOO_MANY_UNKNOWN:
        return []
    message = f"{share:.0%} of the tokens of the texts are unknown to the tokenizer of {spec.model.source}."
    return [Problem("warning", "model", message, "Use a model that was trained on the language of the texts.")]


def warn_of_languages(
    task: Task, model: ModelSource, languages: Languages, texts: Callable[[], Sequence[str]]
) -> list[Problem]:
    """Return a warning if a model was trained on other languages than those of some texts.

    Args:
        task: what the model would learn.
        model: the model source.
        languages: of the texts.
        texts: returns them; the share of tokens that the model's tokenizer does not know is counted in some of them,
            if it is on this machine.
    """
    if model.languages is None:
        return []
    foreign = sum(share for code, share in languages.shares.items() if code not in {*model.languages, UNKNOWN})
    if foreign <= 1 - _ENOUGH:
        return []
    trained = " and ".join(NAMES.get(code, code) for code in sorted(model.languages))
    if len(model.languages) > _NAMED:
        trained = f"{len(model.languages)} other languages"
    message = f"{model.name} was trained on {trained}, and the texts are in {languages.describe()}."
    share = _unknown_share(model, texts)
    if share is not None and share >= _WORTH_NOTING:
        message += f" {share:.0%} of their tokens are unknown to its tokenizer."
    choice = choose_model(task, languages)
    hint = "No model of the catalogue for this task knows them all."
    if isinstance(choice, AutoChoice) and choice.source != model.name:
        hint = f"Use model: {choice.source}."
    return [Problem("warning", "model", message, hint)]


def _unknown_share(model: ModelSource, texts: Callable[[], Sequence[str]]) -> float | None:
    """Return the share of unknown tokens in some texts; None if the tokenizer or the texts are not on this machine."""
    file = model.tokenizer_file()
    backend = load_backend(file) if file is not None else None
    return unknown_share(backend, list(spread_sample(texts(), _SAMPLE))) if backend is not None else None
