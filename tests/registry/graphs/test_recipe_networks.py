"""The paper's networks need no operator that is not on the list; no weight of them is allocated."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from registry.graphs import graph
from training.models.fecnet.network import FECNet
from training.models.pix2pixhd.generator import Generator
from training.models.pix2pixhd.networks import GeneratorWrapper
from training.recipes import RECIPES

NETWORKS = {
    "fecnet": (lambda: FECNet(RECIPES["fecnet"].network), [(2, 3, 224, 224)]),
    "pix2pixhd": (
        lambda: GeneratorWrapper(Generator(RECIPES["pix2pixhd"].network)),
        [(2, 3, 256, 256), (2, 16)],
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_export_of_a_papers_network_may_be_loaded(tmp_path: Path, name: str) -> None:
    build: Callable[[], nn.Module]
    build, shapes = NETWORKS[name]
    with torch.device("meta"):
        network = build().eval().requires_grad_(False)
        inputs = tuple(torch.rand(shape) for shape in shapes)
    free = tuple({0: torch.export.Dim.AUTO} for _ in inputs)
    program = torch.export.export(network, inputs, dynamic_shapes=free)
    torch.export.save(program, tmp_path / "model.pt2")
    graph.inspect(tmp_path / "model.pt2")
    assert {str(node.target) for node in program.graph.nodes} >= {"aten.conv2d.default"}
