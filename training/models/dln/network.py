"""Deviation -> expression: the network of the paper without its crowd layer."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from training.models.dln.config import NetworkConfig


class PolynomialHead(nn.Module):
    """Sum of W_k x^k over k = 1 to `order`, powers element by element, no bias.

    The paper names a "high-order polynomial" instead of more fully connected layers; its formula is
    not in any source we found, so powers per element are our decision.
    """

    def __init__(self, inputs: int, outputs: int, order: int) -> None:
        super().__init__()
        self.terms = nn.ModuleList(nn.Linear(inputs, outputs, bias=False) for _ in range(order))

    def forward(self, x: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch outputs"]:
        """Return the polynomial's value."""
        return torch.stack([term(x**k) for k, term in enumerate(self.terms, start=1)]).sum(0)


class DLN(nn.Module):
    """Face -> expression vector of `dims` numbers, and identity vector; both of unit length.

    The deviation passes a batch normalisation before the polynomial (our decision): the elements of
    two unit vectors of 512 numbers differ by about 0.01, and powers of that vanish.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.pair = config.build()
        self.norm = nn.BatchNorm1d(self.pair.width)
        self.head = PolynomialHead(self.pair.width, config.dims, config.order)

    def forward(self, faces: Float[Tensor, "batch 3 h w"]) -> dict[str, Tensor]:
        """Return a dict of vectors for RGB faces in [0, 1].

        `expression` (batch, dims) and `identity` (batch, width) are unit vectors. `deviation`
        (batch, width) is the input of the polynomial, scaled to a length of about 1.
        """
        output = self.pair(self.pair.with_mirrors(faces))
        deviation = self.norm(output.difference)
        expression = self.pair.averaged(self.head(deviation))
        identity = self.pair.averaged(output.identity)
        return {
            "expression": functional.normalize(expression, dim=1),
            "identity": functional.normalize(identity, dim=1),
            "deviation": self.pair.averaged(deviation) / self.pair.width**0.5,
        }
