"""What fine-tuning methods whose result is an adapter share: they create, save, load and merge it with peft.

An adapter is saved alone, in peft's format: ``adapter_config.json`` and ``adapter_model.safetensors``. The workbench
records its base next to it. Methods that peft lacks (:mod:`workbench.tuning.networks`) are registered with peft, so
that they are saved and loaded like its own.
"""

from __future__ import annotations

import contextlib
import warnings
from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any, cast

from workbench.errors import RequestError, SpecError
from workbench.files import read_json, write_json
from workbench.tuning.base import Tuning, tunings
from workbench.types import Model

if TYPE_CHECKING:
    from peft import PeftConfig, PeftModel

    from workbench.tuning.networks.injection import InjectedConfig, InjectionTuner

HEADS = ("classifier", "score", "qa_outputs")  # names of heads in transformers, which peft trains and saves


class AdapterTuning(Tuning):
    """Base of the fine-tuning methods that save an adapter."""

    saves_adapter = True

    @abstractmethod
    def peft_config(self, model: Model, peft_type: str, modules_to_save: list[str]) -> PeftConfig:
        """Return peft's configuration of the method for a model.

        Args:
            model: as loaded.
            peft_type: peft's name for the task.
            modules_to_save: names of modules that are fully trained and saved (newly initialized heads).

        Raises:
            SpecError: the method does not fit this model; the message says why.
        """

    @classmethod
    def peft_method(cls) -> tuple[type[InjectedConfig], type[InjectionTuner]] | None:
        """Return the configuration and the tuner of a method that peft lacks; None if peft has it."""
        return None

    def apply(self, model: Model, peft_type: str, newly_initialized: Collection[str] = ()) -> Model:
        from peft import get_peft_model

        register_peft_methods()
        with without_peft_warning():
            config = self.peft_config(model, peft_type, newly_initialized_modules(newly_initialized))
            return cast("Model", keep_all_inputs(cast("PeftModel", get_peft_model(model, config))))

    def save(self, model: Model, folder: Path) -> None:
        model.eval()  # the output of a prompt's network is saved, and must be computed without dropout
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*invalid shape.*")  # of matrices whose rank AdaLoRA reduced to zero
            model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
        # peft's model card is empty; what it notes as the base may be a temporary name. workbench.json names the base.
        (folder / "README.md").unlink(missing_ok=True)
        note = folder / "adapter_config.json"
        config = read_json(note) or {}
        for name in (
            "target_modules",
            "modules_to_save",
            "feedforward_modules",
            "exclude_modules",
        ):  # sets, in another order in each process
            if isinstance(config.get(name), list):
                config[name] = sorted(config[name])
        write_json(note, {**config, "base_model_name_or_path": None})


@contextlib.contextmanager
def without_peft_warning() -> Iterator[None]:
    """Silence a warning while peft wraps a model: it uses a deprecated property of transformers."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        yield


def keep_all_inputs(model: PeftModel) -> PeftModel:
    """Let a model pass all inputs to its base: peft's class for question answering drops ``token_type_ids``.

    A merged model would receive them, and answer differently.

    Args:
        model: changed in place.
    """
    from peft import PeftModel, PeftModelForQuestionAnswering

    if isinstance(model, PeftModelForQuestionAnswering):
        setattr(model, "forward", MethodType(PeftModel.forward, model))  # noqa: B010 - no assignment to a method
    return model


def newly_initialized_modules(weights: Collection[str]) -> list[str]:
    """Return the modules that must be saved with an adapter because their weights are newly initialized.

    Args:
        weights: names of newly initialized weights.

    Returns:
        Names of modules, without the heads that peft saves automatically.
    """
    modules = {name.rpartition(".")[0] for name in weights}
    return sorted(m for m in modules if not any(part.endswith(("classifier", "score")) for part in m.split(".")))


def register_peft_methods() -> None:
    """Register the methods that are written here with peft, by the names in their saved configurations."""
    from peft import mapping

    for _, entry in tunings.items():
        method = entry.peft_method() if issubclass(entry, AdapterTuning) else None
        if method is None:
            continue
        config, tuner = method
        # peft's own function for this accepts only members of its enumeration.
        name: Any = config.name
        mapping.PEFT_TYPE_TO_CONFIG_MAPPING[name] = config
        mapping.PEFT_TYPE_TO_TUNER_MAPPING[name] = tuner
        mapping.PEFT_TYPE_TO_PREFIX_MAPPING[name] = tuner.prefix


def load_adapter_onto(base: Model, folder: Path) -> Model:
    """Load an adapter for inference.

    Args:
        base: the model that the adapter was trained on, with the same head.
        folder: with ``adapter_config.json`` and ``adapter_model.safetensors``.

    Returns:
        The base with the adapter.

    Raises:
        RequestError: the file lacks weights of the method.
    """
    register_peft_methods()
    with warnings.catch_warnings():
        # peft warns about matrices of rank zero, which AdaLoRA intends, and about missing weights, refused below.
        warnings.simplefilter("ignore")
        model = _load(base, folder)
        missing = _missing_weights(model, folder)
    if missing:
        raise RequestError(
            f"The adapter in {folder.name} lacks weights: {', '.join(sorted(missing)[:3])}.",
            "Its file was changed. Start the run again.",
        )
    return cast("Model", model)


def _load(base: Model, folder: Path) -> PeftModel:
    from peft import PeftConfig, PeftModel

    config = PeftConfig.from_pretrained(str(folder))
    if not config.is_prompt_learning:
        model = keep_all_inputs(PeftModel.from_pretrained(base, str(folder)))
        # peft does not set it for a model loaded for inference, but reads it as soon as there are labels.
        setattr(model.base_model, "trainable_adapter_name", "default")  # noqa: B010 - a module's attributes are typed
        return model
    from workbench.tuning.networks.virtual_tokens import VirtualTokens

    config.inference_mode = True
    virtual = VirtualTokens(base, config)
    virtual.load_adapter(str(folder), "default")
    return virtual


def _missing_weights(model: PeftModel, folder: Path) -> set[str]:
    """Names of the adapter's weights that its file lacks."""
    from peft import get_peft_model_state_dict
    from safetensors import safe_open

    with safe_open(folder / "adapter_model.safetensors", framework="pt") as file:
        return set(get_peft_model_state_dict(model, save_embedding_layers=False)) - set(file.keys())


def merge_adapter(model: Model) -> Model:
    """Merge an adapter into its base: the same answers, in the base's own architecture.

    Args:
        model: as :func:`load_adapter_onto` returned it. It cannot be used afterwards.

    Raises:
        RequestError: the adapter cannot be expressed by the base's weights.
    """
    peft_model: Any = model
    (config,) = peft_model.peft_config.values()
    if config.is_prompt_learning:
        raise RequestError(
            "An adapter of virtual tokens cannot be merged into its base: no weight of the base can hold them.",
            _mergeable_hint(),
        )
    if not getattr(peft_model.base_model, "merges", True):
        raise RequestError(
            "Bottleneck adapters cannot be merged into their base: they are nonlinear, and no weight can express that.",
            _mergeable_hint(),
        )
    merged: Model = peft_model.merge_and_unload()
    return merged


def _mergeable_hint() -> str:
    mergeable = [name for name, entry in tunings.items() if entry.saves_adapter and entry.merges]
    return f"Use the run as it is, or tune with one of {', '.join(mergeable)}, whose results can be merged."


def require_targets(names: list[str], method: str, what: str, model: Model) -> list[str]:
    """Return the names of target modules after checking that there are any.

    Args:
        names: names of modules.
        method: for the message, such as ``"LoRA"``.
        what: for the message: what the method does with them.
        model: that has them.

    Raises:
        SpecError: there are none.
    """
    if not names:
        raise SpecError(
            f"{method} {what}, but the layers of {type(model).__name__} have none.",
            "Use `tuning: full` with this model.",
        )
    return names


def is_conv1d(model: Model, names: Sequence[str]) -> bool:
    """Return whether linear layers store the transpose of their weight, as GPT-2's do.

    Args:
        model: that has them.
        names: names of the layers.
    """
    return any(type(model.get_submodule(name)).__name__ == "Conv1D" for name in names)
