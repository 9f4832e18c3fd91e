"""Whether losses and weights are finite: neither nan nor infinite."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def means(recent: Mapping[str, Sequence[Tensor]]) -> dict[str, float]:
    """Return the mean of each series of scalars; waits for the GPU once."""
    return dict(
        zip(recent, _at_once([torch.stack([*v]).mean() for v in recent.values()]), strict=True)
    )


def nonfinite_values(recent: Mapping[str, Sequence[Tensor]]) -> list[str]:
    """Return the names of the series in which a scalar isn't finite; waits for the GPU once."""
    series = {name: torch.stack([*values]) for name, values in recent.items() if values}
    finite = _at_once([values.isfinite().all() for values in series.values()])
    return [name for name, is_finite in zip(series, finite, strict=True) if not is_finite]


def nonfinite_weights(networks: Mapping[str, nn.Module]) -> list[str]:
    """Return the names of the parameters and buffers in which a number isn't finite.

    Waits for the GPU once for each network.
    """
    return [
        f"{name}.{key}" for name, network in networks.items() for key in _nonfinite_state(network)
    ]


def _nonfinite_state(network: nn.Module) -> list[str]:
    state = {key: value for key, value in network.state_dict().items() if value.numel()}
    finite = _at_once([value.isfinite().all() for value in state.values()])
    return [key for key, is_finite in zip(state, finite, strict=True) if not is_finite]


def _at_once(scalars: Sequence[Tensor]) -> list[Any]:
    """Return the values of scalars on one device, copied from it together."""
    values: list[Any] = torch.stack([*scalars]).tolist() if scalars else []
    return values
