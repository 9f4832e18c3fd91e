"""The crowd layer: each annotator's bias, learned beside the embedding, never served."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from training.models.triplets.loss import AnnotatorEmbeddings

CrowdKind = Literal["matrix", "scale", "bias", "scale_bias"]


class CrowdLayer(nn.Module):
    """e_r = W_r e, brought back to unit length, for each annotator r.

    After Rodrigues & Pereira, "Deep learning from crowds" (AAAI 2018), who give every annotator a
    layer of their own behind the shared answer: a matrix (their MW), a factor for each dimension
    (VW), an addend for each dimension (VB), or both (VW+B). All start as everybody's own view.

    Our decisions, since the paper gives no form: the vectors are unit again after W_r, else W_r
    could grow past the margin (a single factor for all dimensions would then do nothing, so there
    is none); the first annotator keeps the identity, the anchor without which all matrices are free
    up to a common rotation; and a penalty draws the others towards it.

    Args:
        annotators: how many.
        dims: length of the embedding.
        kind: what each annotator has.
    """

    start: Tensor

    def __init__(self, annotators: int, dims: int, kind: CrowdKind = "matrix") -> None:
        super().__init__()
        self.kind = kind
        self.free = annotators - 1
        start = torch.eye(dims) if kind == "matrix" else torch.ones(dims)
        self.register_buffer("start", start, persistent=False)
        each = start.expand(self.free, *start.shape).clone()
        self.weight = None if kind == "bias" else nn.Parameter(each)
        self.bias = nn.Parameter(torch.zeros(self.free, dims)) if kind.endswith("bias") else None

    def forward(self, embeddings: Float[Tensor, "faces dims"]) -> AnnotatorEmbeddings:
        """Return each face as each annotator sees it, and how far they are from agreeing.

        The first sees it as it is. The penalty is the mean over the others of the squared distance
        from everybody's own view.
        """
        seen = embeddings.expand(self.free, -1, -1)
        if self.weight is not None and self.kind == "matrix":
            seen = torch.einsum("rij,fj->rfi", self.weight, embeddings)
        elif self.weight is not None:
            seen = self.weight[:, None] * seen
        if self.bias is not None:
            seen = seen + self.bias[:, None]
        everybody = torch.cat([embeddings[None], seen])
        return AnnotatorEmbeddings(functional.normalize(everybody, dim=-1), self._disagreement())

    def _disagreement(self) -> Float[Tensor, ""]:
        total = self.start.new_zeros(())
        if self.weight is not None:
            total = total + (self.weight - self.start).square().sum()
        if self.bias is not None:
            total = total + self.bias.square().sum()
        return total / max(1, self.free)
