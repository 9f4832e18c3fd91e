"""The expression encoder of a generator: a registered DLN, frozen."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from registry import versions
from registry.crops import CropSpec
from training.engine.recipe import RecipeError
from training.starters.files import weights_digest

Condition = Literal["expression", "deviation"]
"""The vector whose change a generator gets: the expression alone, or the expression followed by the
deviation it is computed from. The paper shows a vector and doesn't say which one; the 16 numbers of
the expression contain little about brows and lids (docs/generator.md)."""


class Encoder(nn.Module):
    """Faces in the generator's crop -> the vectors of a DLN for the narrower crop inside.

    Always in eval mode. Gradients flow to the faces, but not to its weights.

    Args:
        graph: a DLN's exported graph, or the network itself in eval mode.
        inner: how the DLN's faces are cut.
        crop: how the generator's faces are cut.
        condition: which outputs make the condition.
    """

    def __init__(
        self, graph: nn.Module, inner: CropSpec, crop: CropSpec, condition: Condition = "expression"
    ) -> None:
        super().__init__()
        self.dln = graph.requires_grad_(False)
        self.parts = ("expression",) if condition == "expression" else ("expression", condition)
        self.size_px = inner.size_px
        self.around = (1 - (1 + inner.margin) / (1 + crop.margin)) / 2

    def train(self, mode: bool = True) -> "Encoder":
        """Stay in eval mode: an exported graph has no other."""
        del mode
        return self

    def forward(self, faces: Float[Tensor, "batch 3 h w"]) -> dict[str, Tensor]:
        """Return `expression` and `identity`, unit vectors, for RGB faces in [0, 1].

        And `condition`, (batch, dims), which begins with the expression.
        """
        edge = round(self.around * faces.shape[-1])
        inside = slice(edge, faces.shape[-1] - edge)
        inner = functional.interpolate(
            faces[..., inside, inside],
            (self.size_px, self.size_px),
            mode="bilinear",
            antialias=True,
        )
        with torch.autocast(faces.device.type, enabled=False):
            outputs: dict[str, Tensor] = self.dln(inner.float())
        unit = {name: outputs[name] for name in ("expression", "identity")}
        return unit | {"condition": torch.cat([outputs[name] for name in self.parts], 1)}

    @property
    def device(self) -> torch.device:
        """Device of its weights."""
        return next(self.dln.parameters()).device

    @property
    def dims(self) -> int:
        """Length of the condition."""
        face = torch.zeros(1, 3, self.size_px, self.size_px)
        with torch.inference_mode():
            outputs = self.dln(face.to(self.device))
        return sum(outputs[name].shape[1] for name in self.parts)


def encoder_of(
    reference: str, crop: CropSpec, device: str, condition: Condition = "expression"
) -> Encoder:
    """Return an encoder of a registered DLN for faces cut by `crop`.

    Raises:
        RecipeError: the version has no output expression or identity, or no deviation if that is
            the condition, or its crop is wider than the generator's.
        RegistryError: there is no such version.
    """
    version = versions.resolve(reference)
    if not {"expression", "identity"} <= set(version.outputs):
        raise RecipeError(
            f"{version.title} lacks an output expression or identity; use a version of dln."
        )
    if version.crop.margin > crop.margin:
        raise RecipeError(f"{version.title} needs a wider crop than the generator draws.")
    if condition not in version.outputs:
        raise RecipeError(
            f"{version.title} has no {condition}: use --condition expression, or train it again."
        )
    return Encoder(versions.load_module(version, device), version.crop, crop, condition)


def origin(reference: str) -> dict[str, str]:
    """Return the version of an encoder, and the digest of its weights.

    Raises:
        RegistryError: there is no such version.
    """
    version = versions.resolve(reference)
    weights = versions.weights(f"{version.name}/{version.number}")
    return {"version": f"{version.name}/{version.number}", "sha256": weights_digest(weights)}
