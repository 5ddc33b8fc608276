"""Checks that loading a model's folder runs no code: only safetensors, no pickle, no code that a file names."""

from __future__ import annotations

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
