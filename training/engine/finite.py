"""Whether losses and weights are finite: neither nan nor infinite."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


def nonfinite_values(recent: Mapping[str, Sequence[Tensor]]) -> list[str]:
    """Return the names of the series in which a scalar isn't finite."""
    return [
        name
        for name, values in recent.items()
        if values and not bool(torch.stack([value.cpu() for value in values]).isfinite().all())
    ]


def nonfinite_weights(networks: Mapping[str, nn.Module]) -> list[str]:
    """Return the names of the parameters and buffers in which a number isn't finite.

    Waits for the GPU once for each network.
    """
    return [
        f"{name}.{key}" for name, network in networks.items() for key in _nonfinite_state(network)
    ]


def _nonfinite_state(network: nn.Module) -> list[str]:
    state = {key: value for key, value in network.state_dict().items() if value.numel()}
    if not state:
        return []
    finite = torch.stack([value.isfinite().all() for value in state.values()]).tolist()
    return [key for key, is_finite in zip(state, finite, strict=True) if not is_finite]
