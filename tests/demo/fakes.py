"""A registry in memory, with the functions of the real one that the demo calls."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import numpy as np
import torch
from torch import Tensor

from registry import versions
from registry.catalog import CATALOG, EMOTIONS
from registry.crops import CropSpec
from registry.errors import BadVersion, EmptyRegistry
from tests.browser.networks import THRESHOLDS, TinyEncoder, TinyGenerator

ALIKE = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]]))
"""Expressions of three faces: the first and the third are alike."""

Network = Callable[..., Mapping[str, Tensor]]


def version(
    name: str, number: int, size_px: int = 32, thresholds: Mapping[str, float] = THRESHOLDS
) -> versions.Version:
    return versions.Version(
        name=name,
        number=number,
        run_id=f"{number:032x}",
        aliases=("production",),
        created=datetime(2026, 1, number, tzinfo=UTC),
        description="",
        crop=CropSpec(size_px=size_px, margin=0.2),
        outputs=CATALOG[name].outputs,
        labels=EMOTIONS if name == "emotion" else (),
        temperature=None,
        data={},
        starter=None,
        encoder=CATALOG[name].encoder,
        thresholds=thresholds if CATALOG[name].encoder else {},
        validation="passed",
    )


class FakeModel:
    engine = "torch"

    def __init__(
        self, version: versions.Version, network: Network, encoder: Network | None = None
    ) -> None:
        self.version = version
        self.device = "cpu"
        self._network = network
        self._encoder = encoder

    def __call__(
        self, faces: np.ndarray, change: np.ndarray | None = None
    ) -> Mapping[str, np.ndarray]:
        if (change is None) != (self._encoder is None):
            raise BadVersion(f"{self.version.title} needs a change, or takes none.")
        return computed(self._network, faces, *(() if change is None else (change,)))

    def encode(self, faces: np.ndarray) -> Mapping[str, np.ndarray]:
        if self._encoder is None:
            raise BadVersion(f"{self.version.title} has no encoder.")
        outputs = computed(self._encoder, faces)
        return {"condition": outputs["expression"], **outputs}


def computed(network: Network, *inputs: np.ndarray) -> Mapping[str, np.ndarray]:
    with torch.inference_mode():
        outputs = network(*(torch.from_numpy(each) for each in inputs))
    return {name: value.numpy() for name, value in outputs.items()}


class FakeRegistry:
    """`put` a version into production; `production` may also hold what resolving raises."""

    def __init__(self) -> None:
        self.production: dict[str, versions.Version | Exception] = {}
        self.networks: dict[tuple[str, int], Network] = {}
        self.encoders: dict[tuple[str, int], Network] = {}
        self.sizes: dict[tuple[str, int], int] = {}
        self.loads: list[tuple[str, int]] = []
        self.resolved = 0
        """How often a version was resolved."""

    def put(self, name: str, number: int, network: Network, size_px: int = 32) -> None:
        self.networks[name, number], self.sizes[name, number] = network, size_px
        self.production[name] = version(name, number, size_px)

    def put_transfer(
        self,
        number: int = 1,
        *,
        generator: Network | None = None,
        encoder: Network | None = None,
        thresholds: Mapping[str, float] = THRESHOLDS,
        size_px: int = 32,
    ) -> None:
        """Put a version with two graphs into production: a tiny one that reaches any expression.

        A generator and an encoder that are given replace the tiny ones.
        """
        tiny = TinyEncoder().requires_grad_(False)
        self.put("pix2pixhd", number, generator or TinyGenerator(tiny), size_px)
        self.encoders["pix2pixhd", number] = encoder or tiny
        self.production["pix2pixhd"] = version("pix2pixhd", number, size_px, thresholds)

    def resolve(self, reference: str) -> versions.Version:
        self.resolved += 1
        name, _, number = reference.partition("@")[0].partition("/")
        found = self.production.get(
            name, EmptyRegistry(f"{name} is empty: run `python app.py seed`.")
        )
        if number and (isinstance(found, Exception) or found.number != int(number)):
            if (name, int(number)) not in self.networks:
                raise BadVersion(f"{name} has no version {number}.")
            return version(name, int(number), self.sizes[name, int(number)])
        if isinstance(found, Exception):
            raise found
        return found

    def load(self, wanted: versions.Version, device: str | None = None) -> FakeModel:
        self.loads.append((wanted.name, wanted.number))
        assert device is None
        key = wanted.name, wanted.number
        return FakeModel(wanted, self.networks[key], self.encoders.get(key))


def answers(expression: Tensor, identity: Tensor | None = None) -> Network:
    """Return a network whose n-th face always gets the n-th row, repeated as needed."""

    def network(faces: Tensor) -> Mapping[str, Tensor]:
        rows = torch.arange(len(faces)) % len(expression)
        return {
            "expression": expression[rows],
            "identity": (expression if identity is None else identity)[rows],
        }

    return network
