"""The crowd layer: each annotator's bias, learned beside the embedding, never registered."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from training.models.triplets.loss import AnnotatorEmbeddings

CrowdKind = Literal["matrix", "scale", "bias", "scale_bias"]


class CrowdLayer(nn.Module):
    """e_r = W_r e + b_r, normalised to unit length, for each annotator r.

    After Rodrigues & Pereira, "Deep learning from crowds" (AAAI 2018), who give every annotator a
    layer of their own after the shared output: a matrix (their MW), a factor per dimension (VW), an
    addend per dimension (VB), or both (VW+B). All start as the identity.

    Our decisions, as the paper gives no formula: the vectors are normalised after W_r, else W_r
    could grow past the margin (for the same reason there is no single factor for all dimensions);
    the first annotator keeps the identity, else all matrices are free up to a common rotation; a
    penalty draws the others towards the identity. What is learned is the difference from the
    identity, so that weight decay draws towards it too.

    Args:
        annotators: number of annotators.
        dims: length of the embedding.
        kind: what is learned for each annotator.
    """

    identity: Tensor

    def __init__(self, annotators: int, dims: int, kind: CrowdKind = "matrix") -> None:
        super().__init__()
        self.kind = kind
        self.others = annotators - 1
        identity = torch.eye(dims) if kind == "matrix" else torch.ones(dims)
        self.register_buffer("identity", identity, persistent=False)
        change = torch.zeros(self.others, *identity.shape)
        self.weight_change = None if kind == "bias" else nn.Parameter(change)
        self.bias = nn.Parameter(torch.zeros(self.others, dims)) if kind.endswith("bias") else None

    def forward(self, embeddings: Float[Tensor, "faces dims"]) -> AnnotatorEmbeddings:
        """Return each face's embedding for each annotator, and the penalty.

        The first annotator's embeddings are the input. The penalty is the mean over the others
        of the squared distance of their weights and bias from the identity.
        """
        others = embeddings.expand(self.others, -1, -1)
        if self.weight_change is not None and self.kind == "matrix":
            others = torch.einsum("rij,fj->rfi", self.identity + self.weight_change, embeddings)
        elif self.weight_change is not None:
            others = (self.identity + self.weight_change)[:, None] * others
        if self.bias is not None:
            others = others + self.bias[:, None]
        everyone = torch.cat([embeddings[None], others])
        return AnnotatorEmbeddings(functional.normalize(everyone, dim=-1), self._penalty())

    def _penalty(self) -> Float[Tensor, ""]:
        total = self.identity.new_zeros(())
        if self.weight_change is not None:
            total = total + self.weight_change.square().sum()
        if self.bias is not None:
            total = total + self.bias.square().sum()
        return total / max(1, self.others)
