"""Exported graph -> CUDA graphs at a few batch sizes, replayed without launching each kernel."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from registry.graphs.torch_graph import to_tensor

BATCHES = (1, 8, 64)
"""The batch sizes that are recorded; smaller batches are padded with zeros."""
WARM_UPS = 3
"""Calls before recording, in which cuDNN chooses its algorithms."""


@dataclass(frozen=True)
class Recording:
    """A recorded graph, and the memory that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    inputs: Sequence[Tensor]
    outputs: Mapping[str, Tensor]


class CudaGraphs:
    """An exported graph as CUDA graphs; threads wait for each other.

    Args:
        module: maps float32 tensors on `device` to outputs by name.
        device: cuda.
        example: inputs for one face.
    """

    engine = "cuda-graphs"

    def __init__(self, module: nn.Module, device: str, example: Sequence[np.ndarray]) -> None:
        self.device = device
        self._replaying = threading.Lock()
        shapes = [each.shape[1:] for each in example]
        with torch.inference_mode(), torch.autocast("cuda", enabled=False):
            self._recordings = {
                batch: _record(module, [torch.zeros(batch, *s, device=device) for s in shapes])
                for batch in BATCHES
            }

    def __call__(self, *inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs, float32, by name.

        Args:
            inputs: faces, batch 3 h w in [0, 1], and maybe a change, batch numbers; float32.
        """
        most, count = BATCHES[-1], len(inputs[0])
        parts = [
            self._replay([each[start : start + most] for each in inputs])
            for start in range(0, count, most)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _replay(self, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        count = len(inputs[0])
        recording = self._recordings[next(batch for batch in BATCHES if batch >= count)]
        with self._replaying, torch.inference_mode():
            for memory, value in zip(recording.inputs, inputs, strict=True):
                memory[:count].copy_(to_tensor(value))
                memory[count:].zero_()
            recording.graph.replay()
            return {
                name: value[:count].float().cpu().numpy()
                for name, value in recording.outputs.items()
            }


def _record(module: nn.Module, inputs: Sequence[Tensor]) -> Recording:
    """Return the recorded call of a module with these inputs."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UPS):
            module(*inputs)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        outputs = module(*inputs)
    return Recording(graph, inputs, outputs)
