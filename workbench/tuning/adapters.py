"""What the tunings whose result is an adapter have in common: made, saved, loaded and merged through peft.

An adapter is saved alone, in peft's format: ``adapter_config.json`` and ``adapter_model.safetensors``. Which base it
stands on, the workbench notes beside it. The methods that peft lacks (:mod:`workbench.tuning.networks`) are made known
to peft, so that they are saved and loaded as its own are.
"""

from __future__ import annotations

import contextlib
import warnings
from abc import abstractmethod
from collections.abc import Collection, Iterator
from pathlib import Path
from types import MethodType
from typing import Any

from workbench.errors import RequestError, SpecError
from workbench.files import read_json, write_json
from workbench.tuning.base import Tuning, tunings

HEADS = ("classifier", "score", "qa_outputs")  # of transformers; peft trains and saves them by these names


class AdapterTuning(Tuning):
    """Base of the tunings that save an adapter."""

    saves_adapter = True

    @abstractmethod
    def peft_config(self, model: Any, peft_type: str, whole: list[str]) -> Any:
        """peft's configuration of the method for ``model``.

        Args:
            model: as it was loaded.
            peft_type: what peft calls the task.
            whole: names of modules that are trained and saved whole (heads made anew).

        Raises:
            SpecError: the method does not fit this model; the message says why.
        """

    @classmethod
    def peft_method(cls) -> tuple[Any, Any] | None:
        """The configuration and the tuner of a method that peft lacks; None where peft has it."""
        return None

    def apply(self, model: Any, peft_type: str, new: Collection[str] = ()) -> Any:
        from peft import get_peft_model

        register_peft_methods()
        with without_peft_warning():
            return keep_all_inputs(
                get_peft_model(model, self.peft_config(model, peft_type, newly_initialized_modules(new)))
            )

    def save(self, model: Any, folder: Path) -> None:
        model.eval()  # what a prompt's network puts out is written, and that must be without dropout
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*invalid shape.*")  # of matrices that AdaLoRA has left no rank
            model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
        # The base is named in workbench.json. peft's own note and its model card hold a path of this machine.
        (folder / "README.md").unlink(missing_ok=True)
        note = folder / "adapter_config.json"
        write_json(note, {**(read_json(note) or {}), "base_model_name_or_path": None})


@contextlib.contextmanager
def without_peft_warning() -> Iterator[None]:
    """While peft wraps a model: it asks for a property of which transformers warns that it will go."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        yield


def keep_all_inputs(model: Any) -> Any:
    """``model``, given to its base whole: peft's class for answers drops ``token_type_ids`` on the way.

    A merged model would be given them, and answer otherwise.
    """
    from peft import PeftModel, PeftModelForQuestionAnswering

    if isinstance(model, PeftModelForQuestionAnswering):
        setattr(model, "forward", MethodType(PeftModel.forward, model))  # noqa: B010 - no assignment to a method
    return model


def newly_initialized_modules(new: Collection[str]) -> list[str]:
    """Modules that were made anew and must be saved, but for the head: peft saves what ends so by itself."""
    modules = {name.rpartition(".")[0] for name in new}
    return sorted(m for m in modules if not any(part.endswith(("classifier", "score")) for part in m.split(".")))


def register_peft_methods() -> None:
    """Make peft know the methods that are written here, by the names that their folders hold."""
    from peft import mapping

    for _, entry in tunings.items():
        own = entry.peft_method() if issubclass(entry, AdapterTuning) else None
        if own is None:
            continue
        config, tuner = own
        # peft's own function for this takes the names of its enumeration alone.
        name: Any = config.name
        mapping.PEFT_TYPE_TO_CONFIG_MAPPING[name] = config
        mapping.PEFT_TYPE_TO_TUNER_MAPPING[name] = tuner
        mapping.PEFT_TYPE_TO_PREFIX_MAPPING[name] = tuner.prefix


def load_adapter_onto(base: Any, folder: Path) -> Any:
    """The adapter in ``folder`` on its base, to be asked, not trained.

    Args:
        base: the very model that the adapter was trained on, with the head that it had then.
        folder: holds ``adapter_config.json`` and ``adapter_model.safetensors``.

    Raises:
        RequestError: the file lacks weights that the method has.
    """
    register_peft_methods()
    with warnings.catch_warnings():
        # peft warns of matrices without any rank, which AdaLoRA means, and of weights that lack, which is refused here.
        warnings.simplefilter("ignore")
        model = _load(base, folder)
        lacking = _lacking(model, folder)
    if lacking:
        raise RequestError(
            f"The adapter in {folder.name} lacks weights: {', '.join(sorted(lacking)[:3])}.",
            "Its file was changed; do the run again.",
        )
    return model


def _load(base: Any, folder: Path) -> Any:
    from peft import PeftConfig, PeftModel

    config = PeftConfig.from_pretrained(str(folder))
    if not config.is_prompt_learning:
        model: Any = keep_all_inputs(PeftModel.from_pretrained(base, folder))
        # peft forgets it when a model of this method is loaded to be asked, and misses it as soon as there are labels.
        model.base_model.trainable_adapter_name = "default"
        return model
    from workbench.tuning.networks.virtual_tokens import VirtualTokens

    config.inference_mode = True
    model = VirtualTokens(base, config)
    model.load_adapter(str(folder), "default")
    return model


def _lacking(model: Any, folder: Path) -> set[str]:
    """Names of weights that the adapter on ``model`` has and its file has not."""
    from peft import get_peft_model_state_dict
    from safetensors import safe_open

    with safe_open(folder / "adapter_model.safetensors", framework="pt") as file:
        return set(get_peft_model_state_dict(model, save_embedding_layers=False)) - set(file.keys())


def merge_adapter(model: Any) -> Any:
    """The model that gives the same answers as base and adapter together, in the base's own architecture.

    Args:
        model: as :func:`load_adapter_onto` gives it; it is used up.

    Raises:
        RequestError: what the adapter adds cannot be written into the base's weights.
    """
    (config,) = model.peft_config.values()
    if config.is_prompt_learning:
        raise RequestError(
            "An adapter of virtual tokens cannot be merged into its base: no weight of the base can hold them.",
            _instead(),
        )
    if not getattr(model.base_model, "merges", True):
        raise RequestError(
            "Bottleneck adapters cannot be merged into their base: they bend what they add, and no weight can do that.",
            _instead(),
        )
    return model.merge_and_unload()


def _instead() -> str:
    merging = [name for name, entry in tunings.items() if entry.saves_adapter and entry.merges]
    return f"Use the run as it is; or tune with one of {', '.join(merging)}, whose results can be merged."


def require_targets(names: list[str], method: str, what: str, model: Any) -> list[str]:
    """``names``; raises SpecError when there are none."""
    if not names:
        raise SpecError(
            f"{method} {what}, and the layers of {type(model).__name__} have none.",
            "Use `tuning: full` with this model.",
        )
    return names


def is_conv1d(model: Any, names: list[str]) -> bool:
    """Whether the named maps store their weight the other way round, as GPT-2's do."""
    return any(type(model.get_submodule(name)).__name__ == "Conv1D" for name in names)
