"""The device of a training, and tensors that get there without a wait of the host for it."""

from functools import cache

import torch
from torch import Tensor, distributed

from registry.devices import best_device
from training.engine.recipe import Recipe


def device_of(recipe: Recipe) -> str:
    """Return the type of the device that a recipe trains on: cuda, mps or cpu."""
    return "cpu" if recipe.device == "cpu" else best_device()


def compute_repeatably() -> None:
    """Let a resumed training compute the same numbers; GPU operations that can't do so warn."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Slow, and no number depends on it. (A property of the module, which mypy does not see.)
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the CPU on a device; the host does not wait for the copy to a GPU."""
    pinned = tensor.pin_memory() if device.type == "cuda" else tensor
    return pinned.to(device, non_blocking=True)


@cache
def constant(
    values: tuple[float | int, ...], device: torch.device, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Return numbers as a tensor on a device; copied there once, because a copy waits for a GPU."""
    with torch.inference_mode(False):
        return torch.tensor(values, device=device, dtype=dtype)


def mean_of_processes(totals: Tensor) -> Tensor:
    """Return the mean over all processes of numbers that each has computed; no gradient flows.

    A loss that is a sum divided by a count uses it for the count: the mean of all processes'
    gradients, which the optimiser gets, is then that of one process with all of their faces.
    """
    if not distributed.is_available() or not distributed.is_initialized():
        return totals
    summed = totals.detach().float()
    distributed.all_reduce(summed)
    return summed / distributed.get_world_size()
