"""Loading pretrained models from folders in transformers' format, and adapters with their bases.

Whatever the folder holds, only safetensors are read, nothing is unpickled, and no code of the folder runs.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from workbench.data.progress import Progress
from workbench.errors import RefusedError, RequestError
from workbench.files import read_json
from workbench.models.base import Loaded, ModelSource, models, split_source
from workbench.tuning.adapters import HEADS, load_adapter_onto

ADAPTER_FILE = "adapter_config.json"
DROPOUT_FIELDS = (  # as the architectures of transformers call it
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
_NAMES_CODE = (
    "auto_map",
    "trust_remote_code",
    "custom_generate",
    "use_kernels",
    "kernel_config",
    "megatron_config",  # peft imports the module that stands beside it
)
_NAMES_KERNEL = ("_implementation", "_implementation_internal")
ENDLESS = "The bases of its adapters name one another without end."
Labels = dict[int, str]

BASE_FILE = "workbench.json"  # beside a result: which base it needs, with its fingerprint


# -- loading ------------------------------------------------------------------------------------------------------


def refuse_unsafe(folder: Path) -> None:
    """Raise RefusedError when loading ``folder`` would need a pickle or code that it names.

    Raises:
        RequestError: there is no such folder.
        RefusedError: what it holds must not be loaded.
    """
    if not os.path.isdir(folder):
        raise RequestError(f"There is no model in {folder}: there is no such folder.", "Name a folder that exists.")
    for name in (
        "config.json",
        "tokenizer_config.json",
        ADAPTER_FILE,
        "processor_config.json",
        "generation_config.json",
    ):
        for key in _code_named_in(read_json(folder / name)):
            raise RefusedError(
                f"{name} in {folder.name} names code to run ({key}).",
                "The workbench runs no code that comes with a model. Use a model whose architecture transformers has.",
            )
    _refuse_shards_elsewhere(folder)
    # By their exact names: peft would take a pickle, or ask the hub, where its own file is missing.
    adapter = (folder / ADAPTER_FILE).exists()
    if not any(folder.glob("adapter_model.safetensors" if adapter else "model*.safetensors")):
        pickles = sorted(p.name for p in folder.iterdir() if p.suffix in {".bin", ".pt", ".pth", ".ckpt", ".pkl"})
        found_text = f"only {', '.join(pickles)}, which may run code when opened" if pickles else "no weights"
        raise RefusedError(
            f"{folder.name} holds {found_text}; only safetensors are loaded.",
            "Save the model again with save_pretrained on a machine that you trust.",
        )


def _refuse_shards_elsewhere(folder: Path) -> None:
    """An index of shards must name files of its own folder."""
    for index in folder.glob("*.safetensors.index.json"):
        found = read_json(index)
        shards = set((found.get("weight_map") or {}).values()) if isinstance(found, dict) else set()
        for shard in shards:
            if not isinstance(shard, str) or Path(shard).name != shard:
                raise RefusedError(
                    f"{index.name} in {folder.name} names a file elsewhere: {str(shard)[:80]!r}.",
                    "Save the model again with save_pretrained.",
                )


def _code_named_in(config: Any) -> Iterator[str]:
    """The keys of a configuration, parts of it included, by which it has code imported or fetched from the hub."""
    for key, value in config.items() if isinstance(config, dict) else ():
        if (key in _NAMES_CODE and value) or (key.endswith(_NAMES_KERNEL) and "/" in str(value)):
            yield key
        elif key not in ("id2label", "label2id"):  # there the keys are the user's own words
            yield from _code_named_in(value)


def base_note(folder: Path) -> dict[str, Any]:
    """What the adapter in ``folder`` needs: ``{"base": {"source", "fingerprint"}, "head", "head_options", ...}``.

    Raises:
        RequestError: it does not say so.
    """
    note = read_json(folder / BASE_FILE)
    note = note if isinstance(note, dict) else {}
    base = note.get("base")
    told = isinstance(base, dict) and all(isinstance(base.get(key), str) for key in ("source", "fingerprint"))
    if not told or not isinstance(note.get("head"), str) or not isinstance(note.get("head_options"), dict):
        raise RequestError(
            f"The adapter in {folder} does not say which base it needs ({BASE_FILE} is missing or damaged).",
            "Use an adapter that the workbench has saved.",
        )
    return note


def load_folder(folder: Path, head: str, options: dict[str, Any], whole: bool = False) -> tuple[Any, frozenset[str]]:
    """The model in ``folder`` with a head; a head that is missing or of another size is made anew.

    Args:
        folder: in transformers' format.
        head: name of a transformers Auto class.
        options: keyword arguments for the head.
        whole: the result of a run: every weight must be in the folder, nothing is made anew.

    Returns:
        The model, and the names of its weights that were made anew.

    Raises:
        RequestError: the architecture has no such head, or the files are damaged.
    """
    import torch
    import transformers

    _quiet(transformers)
    register_models()
    auto = getattr(transformers, head)
    arguments = {
        **options,
        "dtype": torch.float32,
        "use_safetensors": True,
        "trust_remote_code": False,
        "local_files_only": True,
        "ignore_mismatched_sizes": not whole,
        "output_loading_info": True,
    }
    try:
        try:
            # Named outright: the folder's config must not choose (it may name a kernel to be fetched and run).
            model, found = auto.from_pretrained(folder, attn_implementation="sdpa", **arguments)
        except ValueError as error:
            if "scaled_dot_product_attention" not in str(error):
                raise
            model, found = auto.from_pretrained(folder, attn_implementation="eager", **arguments)
    except Exception as error:  # a damaged or foreign file makes the libraries raise whatever comes to hand
        if isinstance(error, MemoryError) or "memory" in str(error).lower():
            raise
        raise RequestError(
            f"{folder.name} cannot be loaded as {head}: {' '.join(str(error).split())[:300]}",
            "Check that the model fits the task, and that its files are whole.",
        ) from error
    if whole and found["missing_keys"]:
        missing = ", ".join(sorted(found["missing_keys"])[:3])
        raise RequestError(
            f"{folder.name} lacks weights that its run had: {missing}.", "Its files were changed; do the run again."
        )
    mismatched = {entry[0] for entry in found.get("mismatched_keys") or ()}
    return model, frozenset(found["missing_keys"]) | mismatched


def with_head(model: Any, head: str, options: dict[str, Any], had: Labels | None) -> tuple[Any, frozenset[str]]:
    """``model`` with a head for the labels in ``options``: its own where it was trained for these, else a new one.

    Args:
        model: with some head.
        head: name of a transformers Auto class.
        options: keyword arguments for the head.
        had: the labels that the head was trained for; None when it is new.

    Returns:
        The model, and the names of the weights that were made anew here.
    """
    import transformers

    if had is None or labels_of(options) in (None, had):
        return model, frozenset()
    config = type(model.config).from_dict({**model.config.to_dict(), **options})
    fresh = getattr(transformers, head).from_config(config, attn_implementation=model.config._attn_implementation)
    fresh.base_model.load_state_dict(model.base_model.state_dict())
    body = {id(p) for p in fresh.base_model.parameters()}
    return fresh, frozenset(name for name, p in fresh.named_parameters() if id(p) not in body)


def convert_to_workbench(model: Any, new: Collection[str]) -> tuple[Any, frozenset[str]]:
    """``model`` computed by the Transformer written here, and the names that its weights made anew have there.

    Raises:
        SpecError: an architecture that ours is not.
    """
    from workbench.models.convert import Pair, family_of, from_transformers

    register_models()
    if model.config.model_type.startswith("workbench-"):
        return model, frozenset(new)
    ours = from_transformers(model)
    pairs: list[Pair] = list(family_of(model).pairs(ours, model))
    return ours, frozenset(pair.ours for pair in pairs if set(pair.theirs) & set(new))


def labels_of(config: Any) -> Labels | None:
    """The labels that a configuration names, by number; None when it names none."""
    found = config.get("id2label") if isinstance(config, dict) else None
    return {int(number): str(label) for number, label in found.items()} if isinstance(found, dict) else None


def check_vocabulary(model: Any, tokenizer: Any) -> None:
    """Raise RequestError when the tokenizer has tokens that the model has no embedding for."""
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise RequestError(
            f"The tokenizer has {len(tokenizer):,} tokens, and the model's embedding {rows:,} rows: they do not belong "
            "together.",
            "Use the tokenizer that the model was trained with.",
        )


def ensure_pad_token(model: Any, tokenizer: Any) -> None:
    """A tokenizer without a padding token (GPT-2's) pads with its end-of-text token; the mask hides it."""
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id


def register_models() -> None:
    """Make transformers' Auto classes know the models that are written here."""
    import importlib

    for module in ("workbench.models.networks.heads", "workbench.models.networks.baselines.heads"):
        importlib.import_module(module)


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in ``folder``. Raises RequestError when there is none."""
    from transformers import AutoTokenizer

    register_models()

    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True, use_fast=True)
    except Exception as error:  # tokenizers raises plain Exception for a damaged file
        raise RequestError(
            f"{folder.name} has no usable tokenizer: {' '.join(str(error).split())[:200]}",
            "The folder must hold tokenizer.json and tokenizer_config.json.",
        ) from error


def load_adapter(folder: Path, workspace: Any, progress: Progress | None = None, config: Any = None) -> Loaded:
    """A base model, with the head that it was trained with, and the adapter in ``folder`` on it.

    Raises:
        RefusedError: the base is not the adapter's own.
    """
    note = base_note(folder)
    source = note["base"]["source"]
    try:
        base = make_source(source, workspace, config).load(note["head"], note["head_options"], progress)
    except RecursionError as error:
        raise RefusedError(ENDLESS, "Use an adapter that the workbench has saved.") from error
    if not same_base(note["base"], base.base):
        raise RefusedError(
            f"The adapter in {folder.name} was trained on another version of {source}.",
            "Its base must have the same weights as when it was trained.",
        )
    try:
        model = load_adapter_onto(base.model, folder)
    except Exception as error:
        raise RequestError(
            f"The adapter in {folder.name} cannot be loaded: {' '.join(str(error).split())[:300]}",
            "Check that its files are whole.",
        ) from error
    return Loaded(model, load_tokenizer(folder), base.base, base.new)


def make_source(source: str, workspace: Any, config: Any = None) -> ModelSource:
    """The source that a spec names. Raises UnknownNameError, RequestError."""
    name, argument = split_source(source)
    entry = models.get(name)
    if bool(argument) != bool(entry.argument_form):
        form = f"{name}:{entry.argument_form}" if entry.argument_form else name
        raise RequestError(f"The model {source!r} is not written in full.", f"Write it as {form}.")
    return entry(config, argument, workspace)


def fingerprint(model: Any, new: Collection[str] = ()) -> str:
    """A hash of the body's weights, but for those made anew: the same for the same folder, whatever the head."""
    prefix = "" if model.base_model is model else f"{model.base_model_prefix}."
    body = model.base_model.state_dict()
    return _digest({name: tensor for name, tensor in body.items() if prefix + name not in new})


def base_identity(source: str, model: Any, new: Collection[str] = ()) -> dict[str, str]:
    """What tells an adapter's base from any other: ``{"source", "fingerprint"}``, and ``"head_fingerprint"`` where it
    brings a head that an adapter does not save itself (an output layer over the words, not tied to the embeddings).

    Args:
        source: how a spec names it.
        model: with a head, before it is tuned.
        new: names of its weights that were made anew.
    """
    found = {"source": source, "fingerprint": fingerprint(model, new)}
    body = {tensor.data_ptr() for tensor in model.base_model.state_dict().values()}
    head = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if name not in new and tensor.data_ptr() not in body and not set(name.split(".")) & set(HEADS)
    }
    return {**found, "head_fingerprint": _digest(head)} if head else found


def same_base(noted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether what was noted of a base holds for the one that was found; earlier notes say nothing of its head."""
    head = found.get("head_fingerprint")
    return bool(noted.get("fingerprint") == found["fingerprint"] and noted.get("head_fingerprint", head) == head)


def _digest(weights: Mapping[str, Any]) -> str:
    import hashlib

    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def dropout_fields(folder: Path) -> list[str]:
    config = read_json(folder / "config.json") or {}
    return [name for name in DROPOUT_FIELDS if name in config]


def _quiet(transformers: Any) -> None:
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
