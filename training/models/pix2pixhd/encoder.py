"""The expression encoder of a generator: a registered DLN, frozen."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from registry import versions
from registry.crops import CropSpec
from training.engine.recipe import RecipeError
from training.models.pix2pixhd.blendshape_head import BlendshapeHead
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
        head: adds the output `blendshapes`; None: there is no such output.
    """

    def __init__(
        self,
        graph: nn.Module,
        inner: CropSpec,
        crop: CropSpec,
        condition: Condition = "expression",
        head: BlendshapeHead | None = None,
    ) -> None:
        super().__init__()
        self.dln = graph.requires_grad_(False)
        self.head = None if head is None else head.eval().requires_grad_(False)
        self.parts = ("expression",) if condition == "expression" else ("expression", condition)
        self.size_px, self.inner, self.crop = inner.size_px, inner, crop

    def train(self, mode: bool = True) -> "Encoder":
        """Stay in eval mode: an exported graph has no other."""
        del mode
        return self

    def forward(self, faces: Float[Tensor, "batch 3 h w"]) -> dict[str, Tensor]:
        """Return `expression` and `identity`, unit vectors, for RGB faces in [0, 1].

        And `condition`, (batch, dims), which begins with the expression; and with a head
        `blendshapes`, (batch, 16).
        """
        inner = narrower(faces, self.crop, self.inner)
        with torch.autocast(faces.device.type, enabled=False):
            outputs: dict[str, Tensor] = self.dln(inner.float())
            found = {name: outputs[name] for name in ("expression", "identity")}
            found["condition"] = torch.cat([outputs[name] for name in self.parts], 1)
            if self.head is not None:
                found["blendshapes"] = self.head(narrower(faces, self.crop, self.head.crop).float())
        return found

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


def narrower(
    faces: Float[Tensor, "batch 3 h w"], crop: CropSpec, inner: CropSpec
) -> Float[Tensor, "batch 3 p p"]:
    """Return the narrower crops inside faces that are cut by `crop`, resized to the inner size."""
    around = (1 - (1 + inner.margin) / (1 + crop.margin)) / 2
    edge = round(around * faces.shape[-1])
    inside = slice(edge, faces.shape[-1] - edge)
    return functional.interpolate(
        faces[..., inside, inside],
        (inner.size_px, inner.size_px),
        mode="bilinear",
        antialias=True,
    )


def encoder_of(
    reference: str,
    crop: CropSpec,
    device: str,
    condition: Condition = "expression",
    head: BlendshapeHead | None = None,
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
    module = versions.load_module(version, device)
    return Encoder(module, version.crop, crop, condition, head and head.to(device))


def origin(reference: str) -> dict[str, str]:
    """Return the version of an encoder, and the digest of its weights.

    Raises:
        RegistryError: there is no such version.
    """
    version = versions.resolve(reference)
    weights = versions.weights(f"{version.name}/{version.number}")
    return {"version": f"{version.name}/{version.number}", "sha256": weights_digest(weights)}
