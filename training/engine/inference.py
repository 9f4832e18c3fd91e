"""Outputs of a network for many prepared faces."""

import numpy as np
import torch
from jaxtyping import Float, Int
from rich.console import Console
from rich.progress import track
from torch import nn

from registry.crops import CropSpec
from registry.versions import ProductionModel
from training.datasets.prepared import Prepared

console = Console(stderr=True)


class GraphModule(nn.Module):
    """A registered version, called like a network."""

    def __init__(self, model: ProductionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, faces: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the version's outputs for RGB faces in [0, 1]."""
        return self.model(faces)


def outputs(
    network: nn.Module,
    data: Prepared,
    rows: Int[np.ndarray, "faces"],
    spec: CropSpec,
    batch_size: int = 256,
    *,
    label: str | None = None,
) -> dict[str, Float[np.ndarray, "faces ..."]]:
    """Return the network's outputs for `rows` of a prepared set, by name.

    The network is called in the mode it is in; put it into eval mode before. It may return a dict,
    or a tensor, which is then named `out`. A `label` shows a progress bar of this name.
    """
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    pixels = data.faces(spec)
    parts: dict[str, list[np.ndarray]] = {}
    with torch.inference_mode():
        starts = range(0, len(rows), batch_size)
        for start in track(starts, label or "", console=console, transient=True, disable=not label):
            batch = torch.from_numpy(pixels[rows[start : start + batch_size]]).permute(0, 3, 1, 2)
            out = network(batch.to(device).float() / 255)
            named = out if isinstance(out, dict) else {"out": out}
            for key, value in named.items():
                parts.setdefault(key, []).append(value.float().cpu().numpy())
    return {key: np.concatenate(values) for key, values in parts.items()}
