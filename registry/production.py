"""A version in memory: one graph, or a generator and the encoder it was trained with."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from registry.entries import Version
from registry.errors import BadVersion


class ProductionModel:
    """A version in memory. Safe under threads.

    Args:
        version: what was loaded.
        device: where it computes: cuda, mps or cpu.
        network: the exported graph, on that device; gradients flow through it.
        encoder: the second graph of a version that has two, on that device.
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
        """Return the card's outputs on the CPU, float32, for RGB faces in [0, 1].

        Args:
            faces: cut to the version's crop.
            change: batch and the version's `condition`, for a version with two graphs and only for
                that: the driver's condition minus the source's, times the strength. 0 asks for no
                change.

        Raises:
            BadVersion: the faces are not cut to the version's crop, or the change is missing, not
                wanted or of another shape.
        """
        self._check_faces(faces)
        self._check_change(len(faces), change)
        return self._compute(self.network, faces, *(() if change is None else (change,)))

    def encode(self, faces: Float[Tensor, "batch 3 h w"]) -> dict[str, Tensor]:
        """Return the encoder's outputs on the CPU, float32, for RGB faces in [0, 1].

        Among them `condition`, between two of which a change is.

        Raises:
            BadVersion: the version has one graph, or the faces are not cut to its crop.
        """
        if self._encoder is None:
            raise BadVersion(f"{self.version.title} has no encoder: call it with the faces alone.")
        self._check_faces(faces)
        said = self._compute(self._encoder, faces)
        return {"condition": said["expression"]} | said

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
        wanted = (faces, self.version.condition)
        if self._encoder is not None and (change is None or change.shape != wanted):
            given = "none" if change is None else " x ".join(map(str, change.shape)) or "a number"
            raise BadVersion(
                f"{self.version.title} takes a change of expression of {wanted[0]} x {wanted[1]} "
                f"for {faces} faces, not {given}: subtract what its encoder tells of them."
            )
