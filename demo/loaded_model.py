"""What a version can do that is loaded into memory."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from registry.entries import Version


@runtime_checkable
class Model(Protocol):
    """What a loaded version can do; `registry.versions.ProductionModel` is one."""

    @property
    def version(self) -> Version:
        """The version that answers."""

    @property
    def device(self) -> str:
        """Where it computes: cpu, cuda or mps."""

    @property
    def engine(self) -> str:
        """What computes it, "onnxruntime" or "torch" for example."""

    def __call__(
        self, faces: np.ndarray, change: np.ndarray | None = None
    ) -> Mapping[str, np.ndarray]:
        """Return the outputs for faces, batch 3 h w in [0, 1], float32.

        A version with two graphs also takes the change of the expressions, batch 16.
        """

    def encode(self, faces: np.ndarray) -> Mapping[str, np.ndarray]:
        """Return the outputs of the encoder of a version with two graphs.

        Raises:
            BadVersion: The version has one graph.
        """
