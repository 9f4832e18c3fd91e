"""The crowd layer: each annotator's bias, learned beside the embedding, never served."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class CrowdLayer(nn.Module):
    """e_r = W_r e for each annotator r; every W_r starts as the identity matrix.

    After Rodrigues & Pereira, "Deep learning from crowds" (AAAI 2018), whose matrices we apply to
    the embedding and bring back to unit length (our decision: else W_r could grow past the margin).
    """

    def __init__(self, annotators: int, dims: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(dims).repeat(annotators, 1, 1))

    def forward(
        self, embeddings: Float[Tensor, "faces dims"]
    ) -> Float[Tensor, "annotators faces dims"]:
        """Return each face as each annotator sees it."""
        return functional.normalize(torch.einsum("rij,fj->rfi", self.weight, embeddings), dim=-1)
