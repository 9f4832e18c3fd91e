"""A version in memory refuses inputs that are not its own."""

from datetime import UTC, datetime

import pytest
import torch
from torch import Tensor, nn

from registry import versions
from registry.catalog import PIX2PIXHD
from registry.errors import BadVersion
from registry.graphs.torch_graph import TorchGraph
from tests.registry.graphs.test_two_graphs import CROP
from tests.registry.transfer_networks import Encoder, Generator


def in_memory(encoder: nn.Module | None) -> versions.ProductionModel:
    version = versions.Version(
        name="pix2pixhd",
        number=3,
        run_id="",
        aliases=(),
        created=datetime(2026, 1, 1, tzinfo=UTC),
        description="",
        crop=CROP,
        outputs=PIX2PIXHD.outputs,
        condition=16,
    )
    return versions.ProductionModel(
        version, TorchGraph(Generator(), "cpu"), encoder and TorchGraph(encoder, "cpu")
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (None, "change of expression of 2 x 16 for 2 faces, not none"),
        (torch.zeros(1, 16), "not 1 x 16"),
        (torch.zeros(2, 8), "not 2 x 8"),
        (torch.zeros(16), "not 16:"),
    ],
)
def test_a_change_of_another_shape_is_refused(change: Tensor | None, reason: str) -> None:
    model, faces = in_memory(Encoder()), torch.rand(2, 3, 32, 32)
    assert model(faces, torch.zeros(2, 16))["picture"].shape == faces.shape
    with pytest.raises(BadVersion, match=reason):
        model(faces, change)


def test_what_the_other_kind_of_version_takes_is_refused() -> None:
    one, two = in_memory(None), in_memory(Encoder())
    with pytest.raises(BadVersion, match="Version 3 of pix2pixhd has no encoder"):
        one.encode(torch.rand(2, 3, 32, 32))
    with pytest.raises(BadVersion, match="takes faces alone"):
        one(torch.rand(2, 3, 32, 32), torch.zeros(2, 16))
    for compute in (two.encode, lambda faces: two(faces, torch.zeros(2, 16))):
        with pytest.raises(BadVersion, match="takes faces of 32 x 32 px, not 48 x 32"):
            compute(torch.rand(2, 3, 32, 48))
