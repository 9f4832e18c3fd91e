"""Metrics of a transfer: distance to the driver's expression, identity, similarity to the truth."""

from collections.abc import Callable, Mapping

from jaxtyping import Float
from torch import Tensor

from registry.transfer_metrics import TransferMetrics

Vectors = Mapping[str, Tensor]
"""An encoder's outputs for a batch of faces: unit vectors `expression` and `identity`."""


def measure_transfers(
    encode: Callable[[Tensor], Vectors],
    source: Float[Tensor, "batch 3 h w"],
    result: Float[Tensor, "batch 3 h w"],
    driver: Vectors,
) -> list[TransferMetrics]:
    """Return the metrics of each transfer of a batch.

    Args:
        encode: the version's encoder; takes RGB faces in [0, 1].
        source: faces before the transfer.
        result: the same faces with the drivers' expressions.
        driver: the drivers' vectors.
    """
    old, new = encode(source), encode(result)
    columns = {
        "before": (old["expression"] - driver["expression"]).norm(dim=1),
        "after": (new["expression"] - driver["expression"]).norm(dim=1),
        "likeness": (old["identity"] * new["identity"]).sum(1),
        "driver_likeness": (driver["identity"] * new["identity"]).sum(1),
    }
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [TransferMetrics(**dict(zip(columns, row, strict=True))) for row in rows]


def ssim(
    pictures: Float[Tensor, "batch 3 h w"], truth: Float[Tensor, "batch 3 h w"]
) -> Float[Tensor, "batch"]:
    """Return the structural similarity (SSIM; Wang et al., 2004) of pictures in [0, 1]."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    found = structural_similarity_index_measure(pictures, truth, reduction="none", data_range=1.0)
    assert isinstance(found, Tensor)
    return found.reshape(len(pictures))
