"""What ``auto`` chooses on devices that this machine does not have."""

from __future__ import annotations

import shutil

import pytest
import torch

from workbench.training.core import device as module
from workbench.training.core.device import MIN_STEPS_TO_COMPILE, Device, compiles


@pytest.fixture
def gpu(monkeypatch):
    """A GPU with Triton and a C compiler; returns a function that changes it."""

    def change(capability=(8, 0), bf16=True, triton=True, compiler="/usr/bin/cc"):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
        monkeypatch.setattr(module, "find_spec", lambda name: object() if triton else None)
        monkeypatch.setattr(shutil, "which", lambda name: compiler)

    change()
    return change


def does_compile(setting="auto", steps=MIN_STEPS_TO_COMPILE, device="auto"):
    return compiles(setting, Device.choose(device), lambda: steps)


def test_auto_computes_in_bf16_where_a_gpu_does_and_in_fp16_elsewhere(gpu):
    assert Device.choose() == Device("cuda", "bf16", "a GPU")
    gpu(bf16=False)
    assert Device.choose().precision == "fp16"


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [({}, "fp32"), ({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx512f": True}, "fp32")],
)
def test_auto_computes_in_bf16_where_a_processor_does(monkeypatch, capabilities, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert Device.choose("cpu").precision == precision


def test_auto_compiles_long_runs_on_a_gpu_that_triton_supports(gpu):
    assert does_compile()
    assert not does_compile(steps=MIN_STEPS_TO_COMPILE - 1)
    assert not does_compile(device="cpu")
    for change in ({"capability": (6, 1)}, {"triton": False}, {"compiler": None}):
        gpu(**change)
        assert not does_compile(), change


def test_true_and_false_decide_alone(gpu):
    assert does_compile(True, steps=1, device="cpu") and not does_compile(False)
