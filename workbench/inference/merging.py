"""The result of a run with an adapter, as one whole model: ``merge(run)``."""

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
    """Write base and adapter of a finished run as one model in transformers' format; it answers as the two together.

    Args:
        run: its result is an adapter.
        folder: where to; ``merged`` in the run's own folder if left out. An earlier result there is replaced.

    Returns:
        The folder: a model for ``path:...``, and for whoever has transformers alone.

    Raises:
        RequestError: the run has no model, or a whole one already, or its adapter cannot be merged; or ``folder`` holds
            something else.
        RefusedError: the base is not the adapter's own.
    """
    source, note = run.model_folder, run.base_note()
    if note is None:
        raise RequestError(*run.why_no_model())
    if not note.adapter:
        raise RequestError(f"The result of run {run.id} is a whole model: there is nothing to merge.", f"Use {source}.")
    target = folder or run.merged_folder
    if target.exists() and not (target / BASE_FILE).exists():
        raise RequestError(
            f"{target} is there already, and is no merged model.", "Name a folder that is not there yet."
        )
    refuse_unsafe(source)
    loaded = load_adapter(source, run.workspace)
    model = merge_adapter(loaded.model)
    with replace_folder(target) as draft:
        model.save_pretrained(draft)
        loaded.tokenizer.save_pretrained(draft)
        # The base's name may hold a path of this machine, and is no longer needed.
        base = ModelBase(source=f"run:{run.id}", fingerprint=str(loaded.base["fingerprint"]))
        merged = note.model_copy(update={"base": base, "adapter": False})
        write_json(draft / BASE_FILE, merged.as_dict())
    return target
