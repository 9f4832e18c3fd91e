import subprocess
import sys
from dataclasses import replace

import torch
from torch.nn import functional

from training.backbones.deviation import BackboneConfig
from training.dln.config import RECIPES, NetworkConfig
from training.dln.crowd import CrowdLayer
from training.dln.network import DLN, PolynomialHead
from training.dln.task import DLNTask
from training.triplets.loss import triplet_loss

SMALL = NetworkConfig(backbone=BackboneConfig(name="compact"))


def test_the_summary_is_the_supplements() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "training", "summary", "dln"],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout.strip()  # fmt: skip
    _, parameters, _, _, macs, unit = said.splitlines()[-1].split()
    assert abs(float(parameters) / 55.93 - 1) < 0.002
    assert abs(float(macs) / 6.32 - 1) < 0.01
    assert unit == "GMac"
    assert said.count("unused, not exported") == 2


def test_the_head_is_the_polynomial() -> None:
    head = PolynomialHead(5, 3, order=3)
    x = torch.randn(4, 5)
    matrices = [term.weight for term in head.terms]
    expected = torch.zeros(4, 3)
    for row in range(4):
        for out in range(3):
            for k, w in enumerate(matrices, start=1):
                expected[row, out] += sum(w[out, j] * x[row, j] ** k for j in range(5))
    torch.testing.assert_close(head(x), expected)


def test_the_crowd_layer_starts_as_everybodys_own_view_and_is_one_matrix_each() -> None:
    crowd = CrowdLayer(3, 16)
    e = functional.normalize(torch.randn(5, 16), dim=1)
    torch.testing.assert_close(crowd(e), e.expand(3, -1, -1))
    with torch.no_grad():
        crowd.weight += 0.1 * torch.randn_like(crowd.weight)
    for r in range(3):
        for face in range(5):
            seen = crowd.weight[r] @ e[face]
            torch.testing.assert_close(crowd(e)[r, face], seen / seen.norm())


def test_outputs_are_unit_vectors_and_twins_learn_though_they_start_equal() -> None:
    torch.manual_seed(0)
    network = DLN(SMALL).train()
    faces = torch.rand(16, 3, 48, 48)
    out = network(faces)
    for vectors in out.values():
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(16))
    out["expression"][:, 0].sum().backward()
    gradient = network.pair.face.stem[0].weight.grad
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0


def test_one_batch_can_be_learned_by_heart() -> None:
    torch.manual_seed(0)
    task = DLNTask(replace(RECIPES["dln-smoke"], seed=1))
    network = task.dln.train()
    faces = torch.rand(24, 3, 32, 32)
    shares = torch.eye(8)[torch.arange(24) % 8]
    triplets = task.recipe.sampling.draw(shares, torch.ones(24, dtype=torch.bool), 0)
    optimiser = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=2e-3)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = triplet_loss(network(faces)["expression"].expand(12, -1, -1), triplets)
        loss.backward()
        optimiser.step()
        losses.append(float(loss))
    assert losses[-1] < 0.5 * losses[0]
