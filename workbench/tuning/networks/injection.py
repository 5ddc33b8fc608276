"""What our own methods for peft share: a configuration, a layer around a module, and the tuner that injects it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import nn


@dataclass
class InjectedConfig(PeftConfig):
    """Content of ``adapter_config.json``.

    Attributes:
        name: name of the method, in that file.
        target_modules: names of the modules that the method applies to.
        exclude_modules: read by peft; not used.
        modules_to_save: names of modules that are fully trained.
    """

    name: ClassVar[str]
    target_modules: list[str] | None = field(default=None)
    exclude_modules: list[str] | None = field(default=None)
    modules_to_save: list[str] | None = field(default=None)

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[no-untyped-call]
        self.peft_type = self.name


class InjectedLayer(nn.Module, BaseTunerLayer):
    """A layer around a module of the base model.

    Subclasses create their weights first, and call :meth:`activate` last.

    Args:
        base_layer: the module.
    """

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.merged_adapters: list[str] = []

    def activate(self, adapter_name: str, config: InjectedConfig) -> None:
        """Move the new weights to the base layer's device and activate them.

        Args:
            adapter_name: peft's name for the weights.
            config: the method's configuration.
        """
        self._active_adapter = adapter_name
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(adapter_name, inference_mode=config.inference_mode)


class InjectionTuner(BaseTuner):
    """A tuner that replaces each target module by a layer around it (peft's ``tuner_layer_cls``)."""

    target_module_mapping = {}  # noqa: RUF012

    def _create_and_replace(
        self,
        peft_config: PeftConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        layer_class: Any = self.tuner_layer_cls
        layer = layer_class(target, adapter_name, peft_config)
        self._replace_module(parent, target_name, layer, target)
