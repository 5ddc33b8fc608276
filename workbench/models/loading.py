"""Loading models from folders in transformers' format, and adapters with their bases.

Only safetensors are read, nothing is unpickled, and no code of the folder runs: see :mod:`workbench.models.safety`.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from workbench.data.progress import Progress
from workbench.errors import RefusedError, RequestError
from workbench.files import read_json
from workbench.models.base import HeadOptions, LoadedModel, ModelSource, models, split_source
from workbench.models.identity import same_base
from workbench.models.pooling import (
    POOLED_HEADS,
    TOKEN_HEAD,
    Pooling,
    pooling_of,
    stored_pooling,
    token_head_options,
    with_pooling,
)
from workbench.models.safety import ADAPTER_FILE
from workbench.spec import SpecModel
from workbench.tuning.adapters import load_adapter_onto
from workbench.types import Json, Model, Tokenizer
from workbench.workspace import Workspace

__all__ = [
    "ADAPTER_FILE",
    "BASE_FILE",
    "BaseNote",
    "check_vocabulary",
    "convert_to_workbench",
    "dropout_fields",
    "ensure_pad_token",
    "labels_of",
    "load_adapter",
    "load_folder",
    "load_tokenizer",
    "make_source",
    "refuse_broken_tokenizer",
    "register_models",
    "replace_head",
]

BASE_FILE = "workbench.json"  # next to a run's model: which base its adapter needs
CIRCULAR_BASES = "The adapter's bases refer to each other in a circle."
DROPOUT_FIELDS = (  # names of the field in transformers' architectures
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "classifier_dropout",
    "dropout",
    "attention_dropout",
    "resid_pdrop",
    "embd_pdrop",
    "attn_pdrop",
    "seq_classif_dropout",
)
Labels = dict[int, str]


@dataclass(frozen=True)
class BaseNote:
    """What an adapter's folder records about its base.

    Attributes:
        source: the base model, as a spec names it.
        base: identity of its weights; see :class:`~workbench.models.identity.BaseIdentity`.
        head: the Auto class that it had.
        head_options: keyword arguments of that head.
        pooling: which vector of a text it reads; None if that is what transformers' class reads.
        method: the fine-tuning method.
    """

    source: str
    base: Mapping[str, Json]
    head: str
    head_options: HeadOptions
    pooling: str | None
    method: str

    @classmethod
    def read(cls, folder: Path) -> BaseNote:
        """Read the note of an adapter.

        Args:
            folder: folder of the adapter.

        Raises:
            RequestError: the note is missing or damaged.
        """
        document = read_json(folder / BASE_FILE)
        document = document if isinstance(document, dict) else {}
        base, head, options = document.get("base"), document.get("head"), document.get("head_options")
        base = base if isinstance(base, dict) else {}
        complete = all(isinstance(base.get(key), str) for key in ("source", "fingerprint"))
        if not complete or not isinstance(head, str) or not isinstance(options, dict):
            raise RequestError(
                f"The adapter in {folder} does not record its base ({BASE_FILE} is missing or damaged).",
                "Use an adapter that the workbench has saved.",
            )
        method = str((document.get("tuning") or {}).get("method"))
        return cls(base["source"], base, head, options, document.get("pooling"), method)


def load_folder(
    folder: Path, head: str, options: HeadOptions, complete: bool = False, pooling: Pooling | None = None
) -> tuple[Model, frozenset[str]]:
    """Load the model in a folder with a head. A head that is missing or of another size is newly initialized.

    Args:
        folder: in transformers' format.
        head: name of a transformers Auto class.
        options: keyword arguments of the head.
        complete: whether every weight must be in the folder, as in the result of a run.
        pooling: which vector of a text a classifier reads; None for that of the folder.

    Returns:
        The model, and the names of its newly initialized weights.

    Raises:
        RequestError: the architecture has no such head, or the files are damaged.
    """
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    register_models()
    if head in POOLED_HEADS and pooling is None:
        pooling = stored_pooling(read_json(folder / "config.json"))
    pools_logits = head in POOLED_HEADS and pooling in ("cls", "mean")
    options = token_head_options(head, options) if pools_logits else options
    auto = getattr(transformers, TOKEN_HEAD if pools_logits else head)
    arguments = {
        **options,
        "dtype": torch.float32,
        "use_safetensors": True,
        "trust_remote_code": False,
        "local_files_only": True,
        "ignore_mismatched_sizes": not complete,
        "output_loading_info": True,
    }
    try:
        try:
            # Set explicitly: the folder's config must not choose (it may name a kernel to be fetched and run).
            model, info = auto.from_pretrained(folder, attn_implementation="sdpa", **arguments)
        except ValueError as error:
            if "scaled_dot_product_attention" not in str(error):
                raise
            model, info = auto.from_pretrained(folder, attn_implementation="eager", **arguments)
    except Exception as error:  # damaged and foreign files make the libraries raise all kinds of exceptions
        if isinstance(error, MemoryError) or "memory" in str(error).lower():
            raise
        raise RequestError(
            f"{folder.name} cannot be loaded as {auto.__name__}: {' '.join(str(error).split())[:300]}",
            "Check that the model fits the task and that its files are complete.",
        ) from error
    if complete and info["missing_keys"]:
        missing = ", ".join(sorted(info["missing_keys"])[:3])
        raise RequestError(
            f"{folder.name} lacks weights that its run had: {missing}.", "Its files were changed. Start the run again."
        )
    mismatched = {entry[0] for entry in info.get("mismatched_keys") or ()}
    model = with_pooling(model, pooling) if pools_logits and pooling else model
    return model, frozenset(info["missing_keys"]) | mismatched


def replace_head(
    model: Model, head: str, options: HeadOptions, trained_labels: Labels | None
) -> tuple[Model, frozenset[str]]:
    """Give a model a new head when its own was trained for other labels.

    Args:
        model: with some head.
        head: name of a transformers Auto class.
        options: keyword arguments of the head, with the labels that are needed.
        trained_labels: the labels that its head was trained for; None if it is new anyway.

    Returns:
        The model, and the names of the weights that were newly initialized here.
    """
    import transformers

    if trained_labels is None or labels_of(options) in (None, trained_labels):
        return model, frozenset()
    config = type(model.config).from_dict({**model.config.to_dict(), **options})
    pooling = pooling_of(model)
    auto = getattr(transformers, TOKEN_HEAD if pooling else head)
    fresh = auto.from_config(config, attn_implementation=model.config._attn_implementation)
    fresh = with_pooling(fresh, pooling) if pooling else fresh
    fresh.base_model.load_state_dict(model.base_model.state_dict())
    body = {id(p) for p in fresh.base_model.parameters()}
    return fresh, frozenset(name for name, p in fresh.named_parameters() if id(p) not in body)


def convert_to_workbench(model: Model, newly_initialized: Collection[str]) -> tuple[Model, frozenset[str]]:
    """Convert a model of transformers to our own Transformer, with the same weights.

    Args:
        model: a transformers model, or one that is already ours.
        newly_initialized: names of its newly initialized weights.

    Returns:
        The model, and the names that these weights have there.

    Raises:
        SpecError: ours has no such architecture.
    """
    from workbench.models.convert import WeightPair, family_of, from_transformers

    register_models()
    if model.config.model_type.startswith("workbench-"):
        return model, frozenset(newly_initialized)
    ours, pooling = from_transformers(model), pooling_of(model)
    pairs: list[WeightPair] = list(family_of(model).pairs(ours, model))
    converted = cast("Model", ours)
    converted = with_pooling(converted, pooling) if pooling else converted
    return converted, frozenset(pair.ours for pair in pairs if set(pair.theirs) & set(newly_initialized))


def labels_of(config: object) -> Labels | None:
    """Return the labels in a configuration.

    Args:
        config: with ``id2label``, as a dictionary.

    Returns:
        The labels by their number; None if it names none.
    """
    labels = config.get("id2label") if isinstance(config, Mapping) else None
    return {int(number): str(label) for number, label in labels.items()} if isinstance(labels, dict) else None


def check_vocabulary(model: Model, tokenizer: Tokenizer) -> None:
    """Check that the model has an embedding for every token of the tokenizer.

    Args:
        model: with any head.
        tokenizer: to be used with it.

    Raises:
        RequestError: some tokens have none.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise RequestError(
            f"The tokenizer has {len(tokenizer):,} tokens, but the model's embedding has {rows:,} rows: they do "
            "not belong together.",
            "Use the tokenizer that the model was trained with.",
        )


def ensure_pad_token(model: Model, tokenizer: Tokenizer) -> None:
    """Let a tokenizer without a padding token (GPT-2's) pad with its end-of-text token; the mask hides it.

    Args:
        model: whose configuration gets the padding token's id.
        tokenizer: changed in place.
    """
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id


def register_models() -> None:
    """Register our own models with transformers' Auto classes."""
    for module in ("workbench.models.networks.heads", "workbench.models.networks.baselines.heads"):
        importlib.import_module(module)


def refuse_broken_tokenizer(folder: Path, whole: bool) -> None:
    """Refuse a model folder whose tokenizer's file cannot be read, before a run is queued. Loads no model.

    Args:
        folder: with ``tokenizer.json``; without it nothing is checked.
        whole: make the tokenizer too, and do not only look at the file's parts; not for a stranger's file.

    Raises:
        RequestError: the file is no JSON, or no tokenizer.
    """
    file = folder / "tokenizer.json"
    try:
        stat = file.stat()
    except OSError:
        return
    reason = _tokenizer_error(file, whole, stat.st_mtime_ns, stat.st_size)
    if reason:
        raise RequestError(
            f"{folder.name} has no usable tokenizer: tokenizer.json: {reason}",
            "Save the tokenizer again (save_pretrained), or copy the file again.",
        )


@lru_cache(maxsize=32)
def _tokenizer_error(file: Path, whole: bool, changed: int, size: int) -> str:
    """Return why a tokenizer's file cannot be read; empty if it can."""
    try:
        document = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        return " ".join(str(error).split())[:200]
    model = document.get("model") if isinstance(document, dict) else None
    if not isinstance(model, dict) or not model.get("vocab"):
        return "it has no model with a vocabulary."
    if whole:
        from tokenizers import Tokenizer as Backend

        try:
            Backend.from_file(str(file))
        except Exception as error:  # the library raises plain Exception for a damaged file
            return " ".join(str(error).split())[:200]
    return ""


def load_tokenizer(folder: Path) -> Tokenizer:
    """Load the tokenizer in a folder.

    Args:
        folder: with ``tokenizer.json`` and ``tokenizer_config.json``.

    Raises:
        RequestError: there is no usable tokenizer.
    """
    from transformers import AutoTokenizer

    register_models()
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True, use_fast=True
        )
    except Exception as error:  # tokenizers raises plain Exception for a damaged file
        raise RequestError(
            f"{folder.name} has no usable tokenizer: {' '.join(str(error).split())[:200]}",
            "The folder must hold tokenizer.json and tokenizer_config.json.",
        ) from error
    return tokenizer  # type: ignore[no-any-return]


def load_adapter(
    folder: Path, workspace: Workspace, progress: Progress | None = None, config: SpecModel | None = None
) -> LoadedModel:
    """Load a base model with the head that it was trained with, and the adapter on it.

    Args:
        folder: folder of the adapter.
        workspace: where the base is cached or found.
        progress: receives the progress of downloads.
        config: options of the base's source.

    Raises:
        RequestError: the adapter is damaged.
        RefusedError: the base is not the one that the adapter was trained on.
    """
    note = BaseNote.read(folder)
    try:
        source = make_source(note.source, workspace, config)
        base = source.with_pooling(note.pooling).load(note.head, note.head_options, progress)
    except RecursionError as error:
        raise RefusedError(CIRCULAR_BASES, "Use an adapter that the workbench has saved.") from error
    if not same_base(note.base, base.base):
        raise RefusedError(
            f"The adapter in {folder.name} was trained on another version of {note.source}.",
            "Its base must have the same weights as during training.",
        )
    try:
        model = load_adapter_onto(base.model, folder)
    except Exception as error:
        raise RequestError(
            f"The adapter in {folder.name} cannot be loaded: {' '.join(str(error).split())[:300]}",
            "Check that its files are complete.",
        ) from error
    return LoadedModel(model, load_tokenizer(folder), base.base, base.newly_initialized, base.pooling)


def make_source(source: str, workspace: Workspace, config: SpecModel | None = None) -> ModelSource:
    """Create the source that a spec names.

    Args:
        source: such as ``"minilm"`` or ``"hf:org/name@rev"``.
        workspace: where weights are cached and runs are found.
        config: the source's own options; defaults if None.

    Raises:
        UnknownNameError: there is no source of this name.
        RequestError: the argument is missing, or there is one where none is allowed.
    """
    name, argument = split_source(source)
    entry = models.get(name)
    if argument and not entry.argument_form:
        raise RequestError(f"The model {name!r} takes no argument, but got {argument!r}.", f"Write it as {name}.")
    if entry.argument_form and not argument:
        raise RequestError(f"The model {source!r} lacks its argument.", f"Write it as {name}:{entry.argument_form}.")
    return entry(config, argument, workspace)


def dropout_fields(folder: Path) -> list[str]:
    """Return the names of the dropout fields that a model's configuration has.

    Args:
        folder: in transformers' format.
    """
    config: dict[str, Any] = read_json(folder / "config.json") or {}
    return [name for name in DROPOUT_FIELDS if name in config]
