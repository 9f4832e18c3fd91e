"""A version loaded into memory: one graph, or a generator and its encoder."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from registry.entries import Version
from registry.errors import BadVersion


class ProductionModel:
    """A version loaded into memory; threads may share it.

    Args:
        version: the version that was loaded.
        device: cuda, mps or cpu.
        network: the exported graph, on that device; gradients flow through it.
        encoder: the second graph of a version that has two, on that device; None for one graph.
    """

    def __init__(
        self, version: Version, device: str, network: nn.Module, encoder: nn.Module | None = None
    ) -> None:
        self.version = version
        self.device = device
        self.network = network
        self._encoder = encoder

    def __call__(
        self, faces: Float[Tensor, "batch 3 h w"], change: Float[Tensor, "..."] | None = None
    ) -> dict[str, Tensor]:
        """Return the outputs on the CPU, float32, by name.

        Args:
            faces: RGB in [0, 1], cut to the version's crop.
            change: batch and the version's `condition`, for a version with two graphs and only for
                that: the driver's condition minus the source's, times the strength. Zeros leave
                the expression as it is.

        Raises:
            BadVersion: the faces are not cut to the version's crop, or the change is missing, not
                wanted or of another shape.
        """
        self._check_faces(faces)
        self._check_change(len(faces), change)
        return self._compute(self.network, faces, *(() if change is None else (change,)))

    def encode(self, faces: Float[Tensor, "batch 3 h w"]) -> dict[str, Tensor]:
        """Return the encoder's outputs on the CPU, float32, by name.

        One of them is `condition`: a change is the difference of two conditions.

        Args:
            faces: RGB in [0, 1], cut to the version's crop.

        Raises:
            BadVersion: the version has one graph, or the faces are not cut to its crop.
        """
        if self._encoder is None:
            raise BadVersion(f"{self.version.title} has no encoder: call it with the faces alone.")
        self._check_faces(faces)
        outputs = self._compute(self._encoder, faces)
        return {"condition": outputs["expression"]} | outputs

    def _compute(self, network: nn.Module, *inputs: Tensor) -> dict[str, Tensor]:
        kind = torch.device(self.device).type
        with torch.inference_mode(), torch.autocast(kind, enabled=False):
            outputs = network(*(x.to(self.device, torch.float32).contiguous() for x in inputs))
            return {key: value.float().cpu() for key, value in outputs.items()}

    def _check_faces(self, faces: Tensor) -> None:
        size = self.version.crop.size_px
        if faces.shape[2:] != (size, size):
            raise BadVersion(
                f"{self.version.title} takes faces of {size} x {size} px, not "
                f"{faces.shape[3]} x {faces.shape[2]}: cut them to its crop."
            )

    def _check_change(self, faces: int, change: Tensor | None) -> None:
        if self._encoder is None and change is not None:
            raise BadVersion(f"{self.version.title} takes faces alone, no change of expression.")
        expected = (faces, self.version.condition)
        if self._encoder is not None and (change is None or change.shape != expected):
            given = "none" if change is None else " x ".join(map(str, change.shape)) or "a number"
            raise BadVersion(
                f"{self.version.title} takes a change of expression of {faces} x {expected[1]} "
                f"for {faces} faces, not {given}: subtract two conditions of its encoder."
            )
