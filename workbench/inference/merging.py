"""Merges the adapter of a run into its base model: ``merge(run)``."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import RequestError
from workbench.files import replace_folder, write_json
from workbench.models.loading import BASE_FILE, load_adapter
from workbench.models.safety import refuse_unsafe
from workbench.runs.documents import ModelBase
from workbench.runs.run import Run
from workbench.tuning.adapters import merge_adapter


def merge(run: Run, folder: Path | None = None) -> Path:
    """Write base and adapter of a finished run as one model in transformers' format. It predicts the same.

    Args:
        run: its result is an adapter.
        folder: the folder to write; ``merged`` in the run's own folder if left out. An earlier result is replaced.

    Returns:
        The folder: a model for ``path:...``, and for transformers without the workbench.

    Raises:
        RequestError: the run has no model, or a complete one; its adapter cannot be merged; or ``folder`` holds
            something else.
        RefusedError: the base is not the one that the adapter was trained on.
    """
    source, note = run.model_folder, run.base_note()
    if note is None:
        raise RequestError(*run.why_no_model())
    if not note.adapter:
        raise RequestError(
            f"The result of run {run.id} is a complete model: there is nothing to merge.", f"Use {source}."
        )
    target = folder or run.merged_folder
    if target.exists() and not (target / BASE_FILE).exists():
        raise RequestError(f"{target} exists and is not a merged model.", "Name a folder that does not exist.")
    refuse_unsafe(source)
    loaded = load_adapter(source, run.workspace)
    model = merge_adapter(loaded.model)
    with replace_folder(target) as draft:
        model.save_pretrained(draft)
        loaded.tokenizer.save_pretrained(draft)
        # The base's name may be a path on this machine, and is no longer needed.
        base = ModelBase(source=f"run:{run.id}", fingerprint=str(loaded.base["fingerprint"]))
        merged = note.model_copy(update={"base": base, "adapter": False})
        write_json(draft / BASE_FILE, merged.as_dict())
    return target
