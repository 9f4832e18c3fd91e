import subprocess
import sys

import torch
from torch.nn import functional

from training.models.backbones.deviation import BackboneConfig
from training.models.fecnet.config import NetworkConfig
from training.models.fecnet.network import DenseBlock, FECNet

SMALL = NetworkConfig(backbone=BackboneConfig(name="compact"))


def test_each_layer_of_the_dense_block_gets_all_maps_before_it() -> None:
    block = DenseBlock(6, layers=3, growth=2).eval()
    x = torch.randn(2, 6, 5, 5)
    maps = [x]
    for convolution, norm, _ in block.layers:
        inputs = torch.cat(maps, 1)
        found = functional.conv2d(inputs, convolution.weight, padding=1)
        scaled = found / (norm.running_var + norm.eps).sqrt().view(1, -1, 1, 1)
        maps.append(scaled.clamp(0, 6))
    torch.testing.assert_close(block(x), torch.cat(maps, 1))
    assert DenseBlock(512, 5, 64).width == 832


def test_only_the_head_learns_and_the_face_network_does_not_change() -> None:
    network = FECNet(SMALL).train()
    before = {k: v.clone() for k, v in network.face.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    head = [p.clone() for p in network.head.parameters()]
    for _ in range(2):
        optimiser.zero_grad()
        vectors = network(torch.rand(6, 3, 48, 48))["expression"]
        vectors[:, 0].sum().backward()
        optimiser.step()
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(6))
    assert all(torch.equal(v, before[k]) for k, v in network.face.state_dict().items())
    assert any(not torch.equal(a, b) for a, b in zip(head, network.head.parameters(), strict=True))


def test_the_summary_says_that_the_published_size_can_not_be_reproduced() -> None:
    output = subprocess.run(
        [sys.executable, "-m", "training", "summary", "fecnet"],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip
    assert "can't be reproduced" in output
    total = float(output.strip().splitlines()[-1].split()[1])
    assert 29 < total < 32
