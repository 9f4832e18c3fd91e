"""The pair whose difference is the expression.

Zhang et al., "Learning a Facial Expression Embedding Disentangled from Identity" (CVPR 2021): a
face network minus a frozen identity network, both born from the same face recognition weights.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.models.backbones.compact import CompactResNet
from training.models.backbones.inception_resnet_v1 import InceptionResnetV1


class Backbone(Protocol):
    """Face -> unit vector of `width` numbers, with its feature maps on request."""

    width: int
    features: int
    """Channels of the coarsest map."""

    def taps(self, faces: Tensor) -> tuple[Tensor, ...]:
        """Return feature maps, fine to coarse."""

    def __call__(self, faces: Tensor) -> Tensor:
        """Return unit vectors."""


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """Which network looks at the faces."""

    name: Literal["inception_resnet_v1", "compact"] = "inception_resnet_v1"
    """The paper's InceptionResnetV1, or the starters' compact ResNet."""
    classes: int = 8631
    """Outputs of the unused logits layer in published InceptionResnetV1 weights; 0: none."""

    def build(self) -> nn.Module:
        """Return the network with fresh weights."""
        builders: dict[str, Callable[[], nn.Module]] = {
            "inception_resnet_v1": lambda: InceptionResnetV1(self.classes or None),
            "compact": CompactResNet,
        }
        return builders[self.name]()


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """The networks that look at a face, and what is taken of them."""

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    subtract: bool = True
    """Take the frozen identity vector from the face vector: the paper's idea. Without it the face
    vector is used as it is, for comparison and as a quick start of the face branch."""
    sigmoid: bool = False
    """Subtract after a sigmoid, as the authors' later published code does."""
    mirror: bool = False
    """Answer with the mean over the face and its mirror image; training sees one of the two."""

    def build(self) -> "DeviationPair":
        """Return the pair with fresh weights, the same in both branches."""
        face, identity = self.backbone.build(), self.backbone.build()
        identity.load_state_dict(face.state_dict())
        return DeviationPair(face, identity, self)


class Deviation(NamedTuple):
    """What the pair says of a batch of faces."""

    difference: Float[Tensor, "batch width"]
    identity: Float[Tensor, "batch width"]


class DeviationPair(nn.Module):
    """A trainable face network minus a frozen identity network.

    The identity network is always in eval mode and takes no gradient, whatever mode the pair is in:
    in train mode its batch normalisation would drift.

    Args:
        face: the trainable network.
        identity: its frozen twin.
        config: whether and how the difference is taken.
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
        """Return the identity network's feature maps, fine to coarse, gradients to `faces` kept."""
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

    def views(self, faces: Float[Tensor, "batch 3 h w"]) -> tuple[Tensor, ...]:
        """Return what an answer is the mean over: the faces, in eval mode perhaps mirrored too."""
        mirrored = self.config.mirror and not self.training
        return (faces, faces.flip(3)) if mirrored else (faces,)

    def difference(self, faces: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch width"]:
        """Return the deviation alone; the identity network works only where it is subtracted."""
        face: Tensor = self(faces).difference if self.config.subtract else self.face(faces)
        return face
