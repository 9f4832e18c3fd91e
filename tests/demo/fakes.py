"""A registry in memory: what the demo asks of the real one, moved by hand."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import torch
from torch import Tensor

from registry import versions
from registry.catalog import CATALOG, EMOTIONS
from registry.errors import EmptyRegistry
from registry.faces import CropSpec

Network = Callable[[Tensor], Mapping[str, Tensor]]


def version(name: str, number: int, size_px: int = 32) -> versions.Version:
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
    )


class FakeModel:
    def __init__(self, version: versions.Version, network: Network) -> None:
        self.version = version
        self.device = "cpu"
        self._network = network

    def __call__(self, faces: Tensor) -> Mapping[str, Tensor]:
        return self._network(faces)


class FakeRegistry:
    """`put` a version into production; `production` may also hold what resolving raises."""

    def __init__(self) -> None:
        self.production: dict[str, versions.Version | Exception] = {}
        self.networks: dict[tuple[str, int], Network] = {}
        self.loads: list[tuple[str, int]] = []
        self.looks = 0

    def put(self, name: str, number: int, network: Network, size_px: int = 32) -> None:
        self.networks[name, number] = network
        self.production[name] = version(name, number, size_px)

    def resolve(self, reference: str) -> versions.Version:
        self.looks += 1
        name = reference.partition("@")[0]
        found = self.production.get(
            name, EmptyRegistry(f"{name} is empty: run `python app.py seed`.")
        )
        if isinstance(found, Exception):
            raise found
        return found

    def load(self, wanted: versions.Version, device: str | None = None) -> FakeModel:
        self.loads.append((wanted.name, wanted.number))
        assert device is None
        return FakeModel(wanted, self.networks[wanted.name, wanted.number])


def answers(expression: Tensor, identity: Tensor | None = None) -> Network:
    """Return a network whose n-th face always gets the n-th row, repeated as needed."""

    def network(faces: Tensor) -> Mapping[str, Tensor]:
        rows = torch.arange(len(faces)) % len(expression)
        return {
            "expression": expression[rows],
            "identity": (expression if identity is None else identity)[rows],
        }

    return network
