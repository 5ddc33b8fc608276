"""How many texts are longer than ``data.max_length``, counted in a sample before a run is queued."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.check.language import data_texts
from workbench.data.text.language import spread_sample
from workbench.data.text.unknown_tokens import load_backend
from workbench.models.base import ModelSource
from workbench.problem import Problem
from workbench.spec import RunSpec
from workbench.tasks.base import Task
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

WARNING_SHARE = 0.01  # of the texts
_SAMPLE = 200  # texts whose tokens are counted
_MAX_TOKENIZER = 40_000_000  # bytes


def length_problems(
    spec: RunSpec, task: Task, model: ModelSource, workspace: Workspace, confined: bool = False
) -> list[Problem]:
    """Return a note on texts that the model would not read to their end; a warning if they are 1% or more.

    Nothing is counted for tasks that read long texts in windows or join several texts, of tokenizers that are not on
    this machine, and of a stranger's model.

    Args:
        spec: names the data and the model.
        task: its input column is read.
        model: the model source.
        workspace: whose uploads and cached files are used.
        confined: allow only files inside the workspace's uploads.
    """
    texts = [column for column in task.inputs() if column.required]
    if type(task).truncated is Task.truncated or [column.kind for column in texts] != ["text"]:
        return []
    file = model.tokenizer_file()
    if file is None or (confined and model.name == "path"):
        return []
    sample = list(spread_sample(data_texts(spec.data, task, workspace, confined), _SAMPLE))
    length = spec.data.max_length
    if not any(len(text) > length - 2 for text in sample):  # a token has a character or more
        return []
    stat = file.stat()
    backend = _backend(file, stat.st_mtime_ns, stat.st_size)
    if backend is None:
        return []
    sizes = [len(encoding.ids) for encoding in backend.encode_batch(sample)]
    share, longest, positions = sum(size > length for size in sizes) / len(sizes), max(sizes), model.max_length()
    if not share:
        return []
    message = (
        f"About {share:.0%} of the texts are longer than {length:,} tokens (data.max_length), of {len(sizes):,} that "
        f"were counted: the model does not read what is cut off. The longest has {longest:,} tokens."
    )
    needed = longest if positions is None else min(longest, positions)
    hint = f"Set data.max_length to {needed:,}." if needed > length else ""
    return [Problem("warning" if share >= WARNING_SHARE else "info", "data.max_length", message, hint)]


@lru_cache(maxsize=2)
def _backend(file: Path, changed: int, size: int) -> Backend | None:
    return load_backend(file, _MAX_TOKENIZER)
