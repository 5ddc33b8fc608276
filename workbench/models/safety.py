"""Checks that loading a model's folder runs no code: only safetensors, no pickle, no code that a file names."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from workbench.errors import RefusedError, RequestError
from workbench.files import read_json

ADAPTER_FILE = "adapter_config.json"
# Keys of configurations by which transformers or peft import code or fetch it from the hub.
_CODE_KEYS = (
    "auto_map",
    "trust_remote_code",
    "custom_generate",
    "use_kernels",
    "kernel_config",
    "megatron_config",  # peft imports the module named next to it
)
_KERNEL_SUFFIXES = ("_implementation", "_implementation_internal")
_CONFIGURATIONS = (
    "config.json",
    "tokenizer_config.json",
    ADAPTER_FILE,
    "processor_config.json",
    "generation_config.json",
)
_PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl"}
_MAX_HEADER = 100_000_000  # bytes, as in the library
_USUAL_ARCHITECTURES = ("bert", "gpt2", "llama", "distilbert", "roberta", "xlm-roberta", "electra")  # known at once


def refuse_unsafe(folder: Path) -> None:
    """Check that loading a folder needs no pickle and no code that it names.

    Args:
        folder: in transformers' or peft's format.

    Raises:
        RequestError: there is no such folder.
        RefusedError: its content must not be loaded.
    """
    if not os.path.isdir(folder):
        raise RequestError(f"There is no model in {folder}: there is no such folder.", "Name a folder that exists.")
    for name in _CONFIGURATIONS:
        for key in _code_keys(read_json(folder / name)):
            raise RefusedError(
                f"{name} in {folder.name} names code to run ({key}).",
                "The workbench runs no code that comes with a model. Use a model whose architecture transformers "
                "supports.",
            )
    _refuse_foreign_shards(folder)
    # By their exact names: peft would load a pickle, or ask the hub, if its own file is missing.
    adapter = (folder / ADAPTER_FILE).exists()
    if not any(folder.glob("adapter_model.safetensors" if adapter else "model*.safetensors")):
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLES)
        content = f"only {', '.join(pickles)}, which may run code when opened" if pickles else "no weights"
        raise RefusedError(
            f"{folder.name} holds {content}; only safetensors are loaded.",
            "Save the model again with save_pretrained on a machine that you trust.",
        )


def refuse_damaged(folder: Path) -> None:
    """Check, by a quick look, that a folder's weights are complete and that transformers knows its architecture.

    Args:
        folder: in transformers' or peft's format.

    Raises:
        RequestError: it could not be loaded.
    """
    for path in sorted(folder.glob("*.safetensors")):
        if not _is_complete(path):
            raise RequestError(f"{path} is damaged or incomplete.", "Copy the folder again.")
    config = read_json(folder / "config.json")
    kind = str(config.get("model_type", "")) if isinstance(config, dict) else ""
    if (folder / ADAPTER_FILE).exists() or kind in _USUAL_ARCHITECTURES or kind.startswith("workbench-"):
        return
    from transformers import CONFIG_MAPPING

    if kind not in CONFIG_MAPPING:
        raise RequestError(
            f"{folder.name} has the architecture {kind[:60]!r}, which transformers does not know.",
            "Use another model, or a newer version of transformers.",
        )


def _is_complete(path: Path) -> bool:
    """Return whether a safetensors file is as long as its header says."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _MAX_HEADER):
            return False
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            return False
    return max(ends, default=0) == size - 8 - length


def _refuse_foreign_shards(folder: Path) -> None:
    """Check that an index of shards names files of its own folder only."""
    for path in folder.glob("*.safetensors.index.json"):
        index = read_json(path)
        shards = set((index.get("weight_map") or {}).values()) if isinstance(index, dict) else set()
        for shard in shards:
            if not isinstance(shard, str) or Path(shard).name != shard:
                raise RefusedError(
                    f"{path.name} in {folder.name} names a file in another folder: {str(shard)[:80]!r}.",
                    "Save the model again with save_pretrained.",
                )


def _code_keys(config: object) -> Iterator[str]:
    """Return the keys of a configuration, at any depth, by which code would be imported or fetched."""
    for key, value in config.items() if isinstance(config, dict) else ():
        if (key in _CODE_KEYS and value) or (key.endswith(_KERNEL_SUFFIXES) and "/" in str(value)):
            yield key
        elif key not in ("id2label", "label2id"):  # their keys are the user's own words
            yield from _code_keys(value)
