"""The expression encoder of a generator: a trained DLN as the registry keeps it, frozen."""

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
"""What a generator is asked by: the expression vector alone, or with the deviation behind it that
it was made of. The paper shows a vector and doesn't say which; of 16 numbers a polynomial leaves
little of brows and lids (docs/generator.md)."""


class Encoder(nn.Module):
    """Faces in the generator's crop -> what a DLN says of the narrower crop inside.

    Always in eval mode and without gradients to its weights; gradients to the faces are kept.

    Args:
        graph: a DLN's exported graph.
        inner: how the DLN's faces are cut.
        crop: how the generator's are.
        condition: what of it asks for an expression.
    """

    def __init__(
        self, graph: nn.Module, inner: CropSpec, crop: CropSpec, condition: Condition = "expression"
    ) -> None:
        super().__init__()
        self.dln = graph.requires_grad_(False)
        self.asked = ("expression",) if condition == "expression" else ("expression", condition)
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
            said: dict[str, Tensor] = self.dln(inner.float())
        unit = {name: said[name] for name in ("expression", "identity")}
        return unit | {"condition": torch.cat([said[name] for name in self.asked], 1)}

    @property
    def dims(self) -> int:
        """Length of the condition."""
        face = torch.zeros(1, 3, self.size_px, self.size_px)
        with torch.inference_mode():
            said = self.dln(face.to(next(self.dln.parameters()).device))
        return sum(said[name].shape[1] for name in self.asked)


def encoder_of(
    reference: str, crop: CropSpec, device: str, condition: Condition = "expression"
) -> Encoder:
    """Return the encoder that a registered DLN makes for faces cut by `crop`.

    Raises:
        RecipeError: the version gives no expression and identity, or no deviation where that is the
            condition, or sees more of a face.
        RegistryError: there is no such version.
    """
    version = versions.resolve(reference)
    if not {"expression", "identity"} <= set(version.outputs):
        raise RecipeError(
            f"{version.title} gives no expression and identity; an encoder is a version of dln."
        )
    if version.crop.margin > crop.margin:
        raise RecipeError(f"{version.title} sees more of a face than the generator draws.")
    if condition not in version.outputs:
        raise RecipeError(
            f"{version.title} gives no {condition}: take --condition expression, or train it anew."
        )
    return Encoder(versions.load(version, device).network, version.crop, crop, condition)


def origin(reference: str) -> dict[str, str]:
    """Return which version an encoder is made of, and the digest of its weights.

    Raises:
        RegistryError: there is no such version.
    """
    version = versions.resolve(reference)
    weights = versions.weights(f"{version.name}/{version.number}")
    return {"version": f"{version.name}/{version.number}", "sha256": weights_digest(weights)}
