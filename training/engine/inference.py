"""Outputs of a network for many prepared faces."""

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import nn

from registry.console import track
from registry.crops import CropSpec
from registry.versions import ProductionModel
from training.datasets.prepared import Prepared


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
    or a tensor, which is then named `out`. Without rows each output has no rows. A `label` shows a
    progress bar of this name.
    """
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    pixels = data.faces(spec)
    if not len(rows):  # no network is called with an empty batch, which some operators refuse
        blank = np.zeros((1, spec.size_px, spec.size_px, 3), np.uint8)
        return {key: value[:0] for key, value in _outputs(network, blank, device).items()}
    parts: dict[str, list[np.ndarray]] = {}
    starts = range(0, len(rows), batch_size)
    for start in track(starts, label or "", total=len(starts), transient=True, disable=not label):
        batch = pixels[rows[start : start + batch_size]]
        for key, value in _outputs(network, batch, device).items():
            parts.setdefault(key, []).append(value)
    return {key: np.concatenate(values) for key, values in parts.items()}


def _outputs(
    network: nn.Module, pixels: UInt8[np.ndarray, "batch h w 3"], device: torch.device
) -> dict[str, np.ndarray]:
    faces = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(device).float() / 255
    with torch.inference_mode():
        out = network(faces)
    named = out if isinstance(out, dict) else {"out": out}
    return {key: value.float().cpu().numpy() for key, value in named.items()}
