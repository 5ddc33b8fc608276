"""Writes the result of a run as one model in transformers' format: ``merge(run)``."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import RequestError
from workbench.files import SHARED, replace_folder, write_json
from workbench.inference.model_card import write_model_card
from workbench.models.export import save_tokenizer, to_plain
from workbench.models.integrity import hash_files, verify_files
from workbench.models.loading import BASE_FILE, load_adapter, load_folder, load_tokenizer
from workbench.models.safety import refuse_unsafe
from workbench.runs.documents import BaseNote, ModelBase
from workbench.runs.run import Run
from workbench.tuning.adapters import merge_adapter
from workbench.types import Model, Tokenizer


def merge(run: Run, folder: Path | None = None) -> Path:
    """Write the result of a finished run as a folder for transformers without the workbench. It predicts the same.

    An adapter is merged into its base. Our own Transformers become a BERT or a GPT-2 of transformers; a merged model
    that is neither stays one of ours, which only the workbench loads.

    Args:
        run: a finished run.
        folder: the folder to write; ``merged`` in the run's own folder if left out. An earlier result is replaced.

    Returns:
        The folder: a model for ``path:...``, and for transformers without the workbench.

    Raises:
        RequestError: the run has no model; its adapter cannot be merged; there is no adapter, and transformers has no
            such architecture; or ``folder`` holds something else.
        RefusedError: the base is not the one that the adapter was trained on.
    """
    source, note = run.model_folder, run.base_note()
    if note is None:
        raise RequestError(*run.why_no_model())
    target = folder or run.merged_folder
    if target.exists() and not (target / BASE_FILE).exists():
        raise RequestError(f"{target} exists and is not a merged model.", "Name a folder that does not exist.")
    refuse_unsafe(source)
    verify_files(source, note.files, f"the model of run {run.id}")
    model, tokenizer, fingerprint = _load(run, note)
    try:
        plain = to_plain(model)
    except RequestError:
        if not note.adapter:
            raise
        plain = model
    with replace_folder(target) as draft:
        plain.save_pretrained(draft)
        save_tokenizer(tokenizer, draft, note.max_length or 512, note.head or "", plain.config.model_type)
        # The base's name may be a path on this machine, and is no longer needed.
        base = ModelBase(source=f"run:{run.id}", fingerprint=fingerprint)
        changes = {"base": base, "adapter": False, "files": hash_files(draft)}
        write_json(draft / BASE_FILE, note.model_copy(update=changes).as_dict(), SHARED)
        write_model_card(run, draft)
    return target


def _load(run: Run, note: BaseNote) -> tuple[Model, Tokenizer, str]:
    """Return the run's model without an adapter, its tokenizer, and the fingerprint of its base."""
    if note.adapter:
        loaded = load_adapter(run.model_folder, run.workspace)
        return merge_adapter(loaded.model), loaded.tokenizer, str(loaded.base["fingerprint"])
    head = note.head or "AutoModel"
    model, _ = load_folder(run.model_folder, head, note.head_options, complete=True)
    return model.eval(), load_tokenizer(run.model_folder), str(note.base.fingerprint)
