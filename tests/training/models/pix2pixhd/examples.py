"""Batches of random faces, and discriminators whose outputs are known."""

import torch
from torch import Tensor, nn

from training.models.pix2pixhd.generator import Transferred
from training.models.pix2pixhd.transfers import TransferBatch


def transfer_batch(
    known: tuple[bool, ...] = (True, False), *, side: int = 32, dims: int = 20
) -> TransferBatch:
    """Return a batch of random numbers from torch's global generator."""
    size = len(known)
    source, target, driver, picture = torch.rand(4, size, 3, side, side)
    change, wanted = torch.randn(2, size, dims)
    mask, flow = torch.rand(size, 1, side, side), torch.rand(size, 2, side, side) / 10
    return TransferBatch(
        source=source,
        target=target,
        driver=driver,
        points=torch.rand(size, 2, 5, 2) * 2 - 1,
        change=change,
        wanted=wanted,
        known=torch.tensor(known),
        with_truth=torch.tensor(known).nonzero().flatten(),
        without_truth=(~torch.tensor(known)).nonzero().flatten(),
        result=Transferred(picture, mask, flow),
    )


class Recorder(nn.Module):
    """A discriminator that stores its inputs; its score is the picture's mean."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[tuple[Tensor, Tensor]] = []

    def forward(self, condition: Tensor, picture: Tensor) -> list[list[Tensor]]:
        self.inputs.append((condition, picture.detach()))
        score = picture.mean((1, 2, 3), keepdim=True)
        return [[score, score]]
