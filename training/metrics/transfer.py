"""Whether a transfer worked: nearer to the driver, still the person, like the truth."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure


@dataclass(frozen=True, kw_only=True)
class TransferMetrics:
    """One number a transfer in each.

    Distances are Euclidean between unit expression vectors (0 to 2), similarities cosines.
    """

    before: Float[Tensor, "batch"]
    """Expression distance of the source to the driver."""
    after: Float[Tensor, "batch"]
    """Expression distance of the result to the driver."""
    identity: Float[Tensor, "batch"]
    """Identity similarity of the result to the source."""

    @property
    def nearer(self) -> Float[Tensor, "batch"]:
        """Share by which the distance to the driver shrank; 0 where there was none."""
        return torch.where(self.before > 0, 1 - self.after / self.before.clamp(min=1e-6), 0)


def receipts(
    encode: Callable[[Tensor], Mapping[str, Tensor]],
    source: Float[Tensor, "batch 3 h w"],
    result: Float[Tensor, "batch 3 h w"],
    wanted: Float[Tensor, "batch dims"],
) -> TransferMetrics:
    """Return the receipts of results for the drivers' expression vectors `wanted`."""
    old, new = encode(source), encode(result)
    return TransferMetrics(
        before=(old["expression"] - wanted).norm(dim=1),
        after=(new["expression"] - wanted).norm(dim=1),
        identity=(old["identity"] * new["identity"]).sum(1),
    )


def likeness(
    pictures: Float[Tensor, "batch 3 h w"], truth: Float[Tensor, "batch 3 h w"]
) -> Float[Tensor, "batch"]:
    """Return the structural similarity (SSIM; Wang et al., 2004) of pictures in [0, 1]."""
    found = structural_similarity_index_measure(pictures, truth, reduction="none", data_range=1.0)
    assert isinstance(found, Tensor)
    return found.reshape(len(pictures))
