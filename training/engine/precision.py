"""The arithmetic of a training: bf16 where the machine has units for it, else float32."""

import platform
from typing import Literal

import torch

from training.engine.recipe import Precision, RecipeError

Used = Literal["no", "bf16", "fp16"]
"""A precision that Accelerate takes; `no` is float32."""
SLOWDOWN = 20
"""How many times longer a step of a compact network took in bf16 than in float32 on a processor
with AVX2 and without units for bf16."""


def has_bf16_units(device: str) -> bool:
    """Return whether a device computes bf16 in hardware; emulation counts as none.

    On a processor this follows the limits that ONEDNN_MAX_CPU_ISA and ATEN_CPU_CAPABILITY set.

    Args:
        device: type of a device, such as cpu or cuda.
    """
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device != "cpu" or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    if platform.machine().lower() in {"aarch64", "arm64"}:
        return True
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def choose(asked: Precision, device: str, began_with: str = "") -> Used:
    """Return the precision that a training computes in.

    Args:
        asked: of the recipe.
        device: type of the training's device.
        began_with: what the training used before it was stopped; empty for a new training. With
            `auto` it stays, whatever machine resumes it.

    Raises:
        RecipeError: the device can't compute in it.
    """
    if asked == "fp16" and device == "cpu":
        raise RecipeError("--precision fp16 needs a GPU: leave it out, or use bf16 or no.")
    if asked != "auto":
        return asked
    is_bf16 = began_with == "bf16" if began_with else has_bf16_units(device)
    return "bf16" if is_bf16 else "no"


def warning(used: Used, asked: Precision, device: str) -> str | None:
    """Return a sentence about what the precision costs here; None if it costs nothing."""
    if used != "bf16" or has_bf16_units(device):
        return None
    machine = {"cpu": "This processor", "cuda": "This GPU"}.get(device, f"This device ({device})")
    cause = (
        "this training began with it on another machine; to start again in float32, add "
        "--precision no"
        if asked == "auto"
        else "leave --precision out for float32"
    )
    return (
        f"{machine} has no units for bf16 and emulates it, on a processor about {SLOWDOWN} times "
        f"slower than float32: {cause}."
    )
