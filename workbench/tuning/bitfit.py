"""BitFit: the biases move, all else stays (Ben Zaken et al. 2022, arXiv 2106.10199)."""

from __future__ import annotations

from typing import Any

from workbench.errors import SpecError
from workbench.tuning.adapters import AdapterTuning
from workbench.tuning.base import tunings
from workbench.tuning.structure import LINEAR


@tunings.register("bitfit")
class BitFit(AdapterTuning):
    """BitFit: the biases of the body and the head move, about one weight in a thousand."""

    learning_rate = 1e-3

    @classmethod
    def peft_method(cls) -> tuple[Any, Any]:
        from workbench.tuning.networks.bitfit import BitFitConfig, BitFitModel

        return BitFitConfig, BitFitModel

    def peft_config(self, model: Any, peft_type: str, whole: list[str]) -> Any:
        from workbench.tuning.networks.bitfit import BitFitConfig

        inside = {id(module) for module in model.base_model.modules()}
        targets = [name for name, module in model.named_modules() if id(module) in inside and _adds_bias(module)]
        targets = [name for name in targets if not any(name == w or name.startswith(f"{w}.") for w in whole)]
        if not targets:
            raise SpecError(
                f"BitFit moves biases, and {type(model).__name__} has none in its linear maps and norms.",
                "Use `tuning: lora` with this model.",
            )
        return BitFitConfig(task_type=peft_type, target_modules=targets, modules_to_save=whole or None)


def _adds_bias(module: Any) -> bool:
    """Whether the module is a linear map or a norm that adds a bias last."""
    kind = type(module).__name__
    known = kind in LINEAR or "norm" in kind.lower()
    bias = getattr(module, "bias", None)
    return known and getattr(bias, "ndim", 0) == 1
