"""BitFit: only the biases are trained (Ben Zaken et al. 2022, arXiv 2106.10199)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import SpecError
from workbench.tuning.adapters import AdapterTuning
from workbench.tuning.base import tunings
from workbench.tuning.structure import LINEAR
from workbench.types import Model

if TYPE_CHECKING:
    from torch.nn import Module

    from workbench.tuning.networks.bitfit import BitFitConfig, BitFitModel


@tunings.register("bitfit")
class BitFit(AdapterTuning):
    """BitFit: the biases of the body and the head are trained, about one weight in a thousand."""

    learning_rate = 1e-3

    @classmethod
    def peft_method(cls) -> tuple[type[BitFitConfig], type[BitFitModel]]:
        from workbench.tuning.networks.bitfit import BitFitConfig, BitFitModel

        return BitFitConfig, BitFitModel

    def peft_config(self, model: Model, peft_type: str, modules_to_save: list[str]) -> BitFitConfig:
        from workbench.tuning.networks.bitfit import BitFitConfig

        inside = {id(module) for module in model.base_model.modules()}
        targets = [name for name, module in model.named_modules() if id(module) in inside and _adds_bias(module)]
        targets = [t for t in targets if not any(t == saved or t.startswith(f"{saved}.") for saved in modules_to_save)]
        if not targets:
            raise SpecError(
                f"BitFit trains biases, but {type(model).__name__} has none in its linear layers and norms.",
                "Use `tuning: lora` with this model.",
            )
        return BitFitConfig(task_type=peft_type, target_modules=targets, modules_to_save=modules_to_save or None)


def _adds_bias(module: Module) -> bool:
    """Whether the module is a linear layer or a norm whose last operation is to add a bias."""
    kind = type(module).__name__
    supported = kind in LINEAR or "norm" in kind.lower()
    bias = getattr(module, "bias", None)
    return supported and getattr(bias, "ndim", 0) == 1
