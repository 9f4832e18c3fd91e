"""Exported graph as a module -> what computes with arrays, in PyTorch."""

import numpy as np
import torch
from torch import Tensor, nn


class TorchGraph:
    """An exported graph that PyTorch computes as it is; threads may share it.

    Args:
        module: maps float32 tensors on `device` to outputs by name.
        device: cuda, mps or cpu.
    """

    engine = "torch"

    def __init__(self, module: nn.Module, device: str) -> None:
        self.device = device
        self._module = module

    def __call__(self, *inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs, float32, by name.

        Args:
            inputs: faces, batch 3 h w in [0, 1], and maybe a change, batch numbers; float32.
        """
        torch.set_flush_denormal(True)  # holds for the calling thread
        kind = torch.device(self.device).type
        with torch.inference_mode(), torch.autocast(kind, enabled=False):
            outputs = self._module(*(to_tensor(each).to(self.device) for each in inputs))
            return {name: value.float().cpu().numpy() for name, value in outputs.items()}


def to_tensor(array: np.ndarray) -> Tensor:
    """Return an array as a tensor on the CPU, which shares its memory where that is writable."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))
