"""A version in memory that goes too far: its blendshapes come nearest at strength 0.5."""

from collections.abc import Mapping

import torch
from torch import Tensor

from tests.browser.networks import TinyEncoder
from tests.demo.fakes import FakeRegistry

TOO_FAR = 2.2
"""At strength 1 the blendshapes are 1.2 times as far from the driver's as before, at 0.75 0.65
times, at 0.5 0.1 times, at 0.25 0.45 times."""
CENTRE = slice(12, 20)


def encode(faces: Tensor) -> Mapping[str, Tensor]:
    """Return the tiny encoder's vectors; blendshapes and condition are the centre's brightness."""
    outputs = TinyEncoder().requires_grad_(False)(faces)
    brightness = faces[..., CENTRE, CENTRE].mean((1, 2, 3))[:, None]
    return {**outputs, "condition": brightness, "blendshapes": brightness}


def draw(faces: Tensor, change: Tensor) -> Mapping[str, Tensor]:
    """Return faces that are TOO_FAR times the change brighter."""
    picture = faces + TOO_FAR * change[:, :, None, None]
    return {"picture": picture.clamp(0, 1), "mask": torch.ones_like(faces[:, :1])}


def put(registry: FakeRegistry, number: int = 1) -> None:
    """Put the version into production."""
    thresholds = {"nearer": -9.0, "same_person": -1.0, "blendshapes_nearer": 0.0}
    registry.put_transfer(number, generator=draw, encoder=encode, thresholds=thresholds)
