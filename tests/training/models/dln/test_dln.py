import subprocess
import sys
from dataclasses import replace
from typing import get_args

import pytest
import torch
from scipy.stats import spearmanr
from torch.nn import functional

from training.engine.optimisers import OptimiserName, optimisation
from training.models.backbones.deviation import BackboneConfig
from training.models.dln.config import RECIPES, NetworkConfig
from training.models.dln.crowd_layer import CrowdKind, CrowdLayer
from training.models.dln.network import DLN, PolynomialHead
from training.models.dln.task import DLNTask
from training.models.triplets.loss import triplet_loss
from training.models.triplets.sampling import Triplets

SMALL = NetworkConfig(backbone=BackboneConfig(name="compact"))


def test_the_summary_agrees_with_the_papers_supplement() -> None:
    output = subprocess.run(
        [sys.executable, "-m", "training", "summary", "dln"],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout.strip()  # fmt: skip
    _, parameters, _, _, macs, unit = output.splitlines()[-1].split()
    assert abs(float(parameters) / 55.93 - 1) < 0.002
    assert abs(float(macs) / 6.32 - 1) < 0.01
    assert unit == "GMac"
    assert output.count("unused, not exported") == 2


def test_the_head_is_the_formula() -> None:
    head = PolynomialHead(5, 3, order=3)
    x = torch.randn(4, 5)
    matrices = [term.weight for term in head.terms]
    expected = torch.zeros(4, 3)
    for row in range(4):
        for out in range(3):
            for k, w in enumerate(matrices, start=1):
                expected[row, out] += sum(w[out, j] * x[row, j] ** k for j in range(5))
    torch.testing.assert_close(head(x), expected)


@pytest.mark.parametrize("kind", get_args(CrowdKind))
def test_each_annotator_has_its_own_weights_and_the_first_has_the_identity(
    kind: CrowdKind,
) -> None:
    crowd, annotators = CrowdLayer(3, 4, kind), range(1, 3)
    e = functional.normalize(torch.randn(5, 4), dim=1)
    torch.testing.assert_close(crowd(e).embeddings, e.expand(3, -1, -1))
    assert crowd(e).penalty == 0
    for parameter in crowd.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    found, identity, distance = crowd(e), torch.eye(4), torch.zeros(())
    torch.testing.assert_close(found.embeddings[0], e)
    for r in annotators:
        change = torch.zeros(4) if crowd.weight_change is None else crowd.weight_change[r - 1]
        weight = identity + (change if change.ndim == 2 else change.diag())
        bias = torch.zeros(4) if crowd.bias is None else crowd.bias[r - 1]
        distance = distance + (weight - identity).square().sum() + bias.square().sum()
        for face in range(5):
            expected = weight @ e[face] + bias
            torch.testing.assert_close(found.embeddings[r, face], expected / expected.norm())
    torch.testing.assert_close(found.penalty, distance / len(annotators))


def test_the_crowd_layer_finds_the_metric_that_each_annotator_answers_by() -> None:
    torch.manual_seed(0)
    points, annotators = functional.normalize(torch.randn(400, 8), dim=1), 4
    planted = torch.eye(8) + 0.6 * torch.randn(annotators, 8, 8) / 8**0.5
    planted[0] = torch.eye(8)
    seen = functional.normalize(torch.einsum("rij,fj->rfi", planted, points), dim=-1)
    crowd = CrowdLayer(annotators, 8)
    optimiser = torch.optim.AdamW(crowd.parameters(), lr=0.01)
    for _ in range(200):
        faces, annotator = torch.randint(400, (2000, 3)), torch.randint(annotators, (2000,))
        of_each = seen[annotator[:, None], faces]
        pairs = [of_each[:, i] - of_each[:, j] for i, j in ((1, 2), (0, 2), (0, 1))]
        odd = torch.stack(pairs, 1).norm(dim=2).argmin(1)
        first, second, third = faces.gather(1, (odd[:, None] + torch.arange(1, 4)) % 3).unbind(1)
        answers = Triplets(
            anchor=first, positive=second, negative=third, annotator=annotator,
            type=torch.full_like(odd, 3), used=torch.ones_like(odd, dtype=torch.bool),
        )  # fmt: skip
        outputs = crowd(points)
        loss = triplet_loss(outputs.embeddings, answers) + 0.01 * outputs.penalty
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert crowd.weight_change is not None
    weights = (crowd.identity + crowd.weight_change).detach()
    rows, columns = torch.triu_indices(8, 8)
    for learned, true in zip(weights, planted[1:], strict=True):
        metrics = [(each.T @ each)[rows, columns] for each in (learned, true)]
        assert spearmanr(*metrics).statistic > 0.9


@pytest.mark.parametrize("optimiser", get_args(OptimiserName))
@pytest.mark.parametrize("kind", get_args(CrowdKind))
def test_weight_decay_moves_every_annotator_to_the_identity(
    kind: CrowdKind, optimiser: OptimiserName
) -> None:
    torch.manual_seed(0)
    crowd, e = CrowdLayer(3, 4, kind), functional.normalize(torch.randn(5, 4), dim=1)
    for parameter in crowd.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
        parameter.grad = torch.zeros_like(parameter)
    assert crowd(e).penalty > 0.1
    recipe = replace(RECIPES["dln"], weight_decay=0.1, learning_rate=0.1)
    decay = optimisation(recipe, crowd.parameters(), 2000, optimiser, "constant").optimiser
    for _ in range(2000):
        decay.step()
    torch.testing.assert_close(crowd(e).embeddings, e.expand(3, -1, -1))
    assert crowd(e).penalty < 1e-8


def test_a_single_annotator_has_no_bias() -> None:
    e = functional.normalize(torch.randn(5, 4), dim=1)
    found = CrowdLayer(1, 4)(e)
    torch.testing.assert_close(found.embeddings, e[None])
    assert found.penalty == 0


def test_outputs_are_unit_vectors_and_equal_branches_give_the_face_branch_a_gradient() -> None:
    torch.manual_seed(0)
    network = DLN(SMALL).train()
    faces = torch.rand(16, 3, 48, 48)
    out = network(faces)
    deviation = out.pop("deviation") * network.pair.width**0.5
    torch.testing.assert_close(
        functional.normalize(network.head(deviation), dim=1), out["expression"]
    )
    torch.testing.assert_close(deviation.std(0, unbiased=False), torch.ones(128), atol=0.05, rtol=0)
    for vectors in out.values():
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(16))
    out["expression"][:, 0].sum().backward()
    gradient = network.pair.face.stem[0].weight.grad
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("flip_average", [True, False])
def test_with_flip_average_a_face_and_its_mirror_image_have_equal_outputs_in_eval_mode(
    flip_average: bool,
) -> None:
    torch.manual_seed(0)
    network = DLN(replace(SMALL, flip_average=flip_average))
    for parameter in network.pair.face.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    faces = torch.rand(4, 3, 48, 48)
    for mode, equal in ((False, flip_average), (True, False)):
        network.train(mode)
        torch.manual_seed(1)
        found = network(faces)["expression"]
        torch.manual_seed(1)
        mirrored = network(faces.flip(3))["expression"]
        assert torch.allclose(found, mirrored, atol=1e-5) is equal


def test_one_batch_can_be_overfitted() -> None:
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
