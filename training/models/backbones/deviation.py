"""The pair of networks whose difference, the deviation, holds the expression.

Zhang et al., "Learning a Facial Expression Embedding Disentangled from Identity" (CVPR 2021): a
face network minus a frozen identity network, both started from the same face recognition weights.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from registry.catalog import FERPLUS_MARGIN
from training.models.backbones import mobilefacenet
from training.models.backbones.compact import CompactResNet
from training.models.backbones.inception_resnet_v1 import InceptionResnetV1
from training.models.backbones.mobilefacenet import MobileFaceNet


class Backbone(Protocol):
    """Face -> unit vector of `width` numbers; `taps` returns the feature maps."""

    width: int
    features: int
    """Channels of the coarsest map."""

    def taps(self, faces: Tensor) -> tuple[Tensor, ...]:
        """Return feature maps, fine to coarse."""

    def __call__(self, faces: Tensor) -> Tensor:
        """Return unit vectors."""


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """Which network turns a face into a vector."""

    name: Literal["inception_resnet_v1", "compact", "mobilefacenet"] = "inception_resnet_v1"
    """The paper's InceptionResnetV1, a compact ResNet for two CPU cores, or a MobileFaceNet, which
    begins with the weights of a face recognition network (128 px recommended)."""
    classes: int = 8631
    """Outputs of the unused logits layer in published InceptionResnetV1 weights; 0: none."""

    def build(self) -> nn.Module:
        """Return the network with random weights."""
        builders: dict[str, Callable[[], nn.Module]] = {
            "inception_resnet_v1": lambda: InceptionResnetV1(self.classes or None),
            "compact": CompactResNet,
            "mobilefacenet": MobileFaceNet,
        }
        return builders[self.name]()

    @property
    def margin(self) -> float:
        """Margin of the crops that the network takes; see CropSpec."""
        return mobilefacenet.FRAME_MARGIN if self.name == "mobilefacenet" else FERPLUS_MARGIN


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """The two branches, and how their vectors are combined."""

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    subtract: bool = True
    """Subtract the frozen identity vector from the face vector, as the paper does. Without it the
    face vector is used as it is: to compare, and to train the face branch quickly first."""
    sigmoid: bool = False
    """Apply a sigmoid to both vectors before subtracting, as the authors' later code does."""
    flip_average: bool = False
    """In eval mode, average the outputs over the face and its mirror image."""

    def build(self) -> "DeviationPair":
        """Return the pair with random weights, the same in both branches."""
        face, identity = self.backbone.build(), self.backbone.build()
        identity.load_state_dict(face.state_dict())
        return DeviationPair(face, identity, self)


class Deviation(NamedTuple):
    """The pair's outputs for a batch of faces."""

    difference: Float[Tensor, "batch width"]
    """V_face - V_id; only V_face if the pair doesn't subtract."""
    identity: Float[Tensor, "batch width"]
    """V_id, a unit vector."""


class DeviationPair(nn.Module):
    """A trainable face network minus a frozen identity network.

    The identity network is always in eval mode and takes no gradient, whatever mode the pair is in:
    in train mode its batch normalisation would drift.

    Args:
        face: the trainable network.
        identity: the frozen network, of the same kind.
        config: whether and how to subtract.
    """

    def __init__(
        self, face: nn.Module, identity: nn.Module, config: PairConfig | None = None
    ) -> None:
        super().__init__()
        self.face = face
        self.identity = identity.requires_grad_(False).eval()
        self.config = config or PairConfig()

    @property
    def width(self) -> int:
        """Length of the deviation."""
        return cast("Backbone", self.face).width

    def train(self, mode: bool = True) -> "DeviationPair":
        """Set the face network's mode; the identity network stays in eval."""
        super().train(mode)
        self.identity.eval()
        return self

    def taps(self, faces: Float[Tensor, "batch 3 h w"]) -> tuple[Tensor, ...]:
        """Return the identity network's feature maps, fine to coarse; gradients reach `faces`."""
        return cast("Backbone", self.identity).taps(faces)

    def forward(self, faces: Float[Tensor, "batch 3 h w"]) -> Deviation:
        """Return V_face - V_id and V_id for RGB faces in [0, 1]."""
        with torch.no_grad():
            identity = self.identity(faces)
        face = self.face(faces)
        if not self.config.subtract:
            return Deviation(face, identity)
        sigmoid = self.config.sigmoid
        return Deviation(
            face.sigmoid() - identity.sigmoid() if sigmoid else face - identity, identity
        )

    @property
    def mirrors(self) -> bool:
        """Whether outputs are averaged over a face and its mirror image: in eval mode only."""
        return self.config.flip_average and not self.training

    def with_mirrors(self, faces: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "inputs 3 h w"]:
        """Return the inputs over which outputs are averaged, as one batch: all mirrors at its end.

        The faces alone where it does not average.
        """
        return torch.cat([faces, faces.flip(3)]) if self.mirrors else faces

    def averaged(self, outputs: Float[Tensor, "inputs width"]) -> Float[Tensor, "batch width"]:
        """Return the outputs for `with_mirrors`, averaged over each face and its mirror image."""
        return outputs.unflatten(0, (2, -1)).mean(0) if self.mirrors else outputs

    def difference(self, faces: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch width"]:
        """Return the deviation alone; the identity network runs only if it is subtracted."""
        face: Tensor = self(faces).difference if self.config.subtract else self.face(faces)
        return face
