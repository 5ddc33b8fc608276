"""Results of runs as folders that transformers and peft use without the workbench, with the same answers.

A pipeline of transformers reads as much of a text as the tokenizer's ``model_max_length`` says, so it is the run's own
``data.max_length``. A classifier's ``pipeline`` truncates only with ``truncation=True``: transformers
drops the truncation that a tokenizer's file asks for, but other programs that read ``tokenizer.json`` follow it.
"""

from __future__ import annotations

from pathlib import Path

from workbench.errors import RequestError, SpecError
from workbench.files import SHARED, read_json, write_json
from workbench.models.loading import register_models
from workbench.models.pooling import pooling_of, with_pooling
from workbench.models.safety import ADAPTER_FILE
from workbench.types import Model, Tokenizer

OUR_TYPES = "workbench-"  # how the types of our own architectures start
GENERATING_HEADS = ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM")  # their prompts are not cut at the end


def save_tokenizer(tokenizer: Tokenizer, folder: Path, max_length: int, head: str, model_type: str) -> None:
    """Write a tokenizer that reads as much of a text as a run did.

    Args:
        tokenizer: the run's tokenizer; it is not changed.
        folder: where to write ``tokenizer.json`` and ``tokenizer_config.json``.
        max_length: longest input of the run in tokens.
        head: name of the model's Auto class.
        model_type: type in the model's configuration.
    """
    from tokenizers import Tokenizer as Backend

    tokenizer.save_pretrained(folder)
    config_file, tokenizer_file = folder / "tokenizer_config.json", folder / "tokenizer.json"
    config = read_json(config_file)
    config = config if isinstance(config, dict) else {}
    # What an earlier truncation has left behind: transformers saves what it read.
    earlier = ("max_length", "stride", "truncation_strategy")
    settings = {name: value for name, value in config.items() if name not in earlier}
    if model_type == "gpt2":  # it would add the embedding of a word for each type
        settings["model_input_names"] = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
    write_json(config_file, {**settings, "model_max_length": max_length}, SHARED)
    backend = Backend.from_file(str(tokenizer_file))
    backend.no_padding()
    if head in GENERATING_HEADS:
        backend.no_truncation()
    else:
        backend.enable_truncation(max_length, strategy="longest_first")
    backend.save(str(tokenizer_file))


def to_plain(model: Model) -> Model:
    """Return a model of transformers' own architectures with the same outputs.

    Args:
        model: a model without an adapter; one of transformers is returned as it is.

    Raises:
        RequestError: transformers has no such architecture; the message says what differs.
    """
    from workbench.models.convert import to_transformers
    from workbench.models.networks.stack import TransformerModel

    register_models()
    kind = model.config.model_type
    if not kind.startswith(OUR_TYPES):
        return model
    if not isinstance(model, TransformerModel):
        raise RequestError(
            f"transformers has no architecture like {kind.removeprefix(OUR_TYPES)}: only the workbench can load it.",
            "Use it with `workbench predict`, or train transformer-encoder, transformer-decoder or a pretrained model.",
        )
    try:
        plain, pooling = to_transformers(model), pooling_of(model)
        return with_pooling(plain, pooling) if pooling else plain
    except SpecError as error:
        raise RequestError(
            f"transformers has no architecture that computes what this model does. {error.message}",
            f"{error.hint} Use the model with `workbench predict`.".strip(),
        ) from error


def name_base(folder: Path, name: str, revision: str = "") -> None:
    """Write into an adapter's configuration where peft finds its base.

    Args:
        folder: folder of the adapter.
        name: a repository of the hub, or a folder on this machine.
        revision: revision of the repository.
    """
    config = read_json(folder / ADAPTER_FILE)
    config = config if isinstance(config, dict) else {}
    write_json(folder / ADAPTER_FILE, {**config, "base_model_name_or_path": name, "revision": revision or None}, SHARED)
