"""Sampling, loss and accuracy against plain loops written from their formulas."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from training.datasets.votes import counts, is_clear
from training.metrics.triplet_accuracy import METRIC, accuracies, outcomes
from training.models.triplets.annotators import (
    annotator_biases,
    annotator_votes,
    hellinger,
    odd_one,
)
from training.models.triplets.loss import label_distance_loss, triplet_loss
from training.models.triplets.sampling import Sampling, Triplets


def random_triplets(faces: int, annotators: int, count: int) -> Triplets:
    chosen = torch.stack([torch.randperm(faces)[:3] for _ in range(count)])
    return Triplets(
        anchor=chosen[:, 0],
        positive=chosen[:, 1],
        negative=chosen[:, 2],
        annotator=torch.randint(annotators, (count,)),
        type=torch.randint(1, 4, (count,)),
        used=torch.ones(count, dtype=torch.bool),
    )


@pytest.mark.parametrize("squared", [False, True])
def test_the_loss_is_the_formula(squared: bool) -> None:
    power = 2 if squared else 1
    torch.manual_seed(0)
    embeddings = torch.nn.functional.normalize(torch.randn(3, 8, 4), dim=-1)
    triplets = random_triplets(8, 3, 40)
    by_type: dict[int, list[float]] = {1: [], 2: [], 3: []}
    for i in range(40):
        e = embeddings[triplets.annotator[i]].tolist()
        a, p, n = (
            e[int(part[i])] for part in (triplets.anchor, triplets.positive, triplets.negative)
        )
        number = int(triplets.type[i])
        margin = 0.1 if number == 1 else 0.2
        near, far, farther = (math.dist(*ends) ** power for ends in ((a, p), (a, n), (p, n)))
        term = max(0.0, near - far + margin) + max(0.0, near - farther + margin)
        if term > 0:
            by_type[number].append(term)
    expected = sum(sum(terms) / len(terms) for terms in by_type.values()) / 3
    assert abs(float(triplet_loss(embeddings, triplets, squared=squared)) - expected) < 1e-4


def test_the_label_distance_loss_is_the_formula_and_can_reach_zero() -> None:
    torch.manual_seed(0)
    shares = torch.rand(6, 8).softmax(1)
    embeddings = torch.nn.functional.normalize(torch.randn(6, 16), dim=1)
    terms = []
    for i in range(6):
        for j in range(i):
            distance = math.dist(embeddings[i].tolist(), embeddings[j].tolist())
            voted = math.sqrt(2) * float(hellinger(shares[i], shares[j]))
            terms.append((distance - voted) ** 2)
    expected = sum(terms) / len(terms)
    assert float(label_distance_loss(embeddings, shares)) == pytest.approx(expected, rel=1e-4)
    roots = torch.nn.functional.pad(shares.sqrt(), (0, 8))
    assert float(label_distance_loss(roots, shares)) < 1e-10


def test_equal_embeddings_still_give_finite_gradients() -> None:
    embeddings = torch.ones(1, 4, 16, requires_grad=True)
    triplet_loss(embeddings, random_triplets(4, 1, 10)).backward()
    assert embeddings.grad is not None
    assert torch.isfinite(embeddings.grad).all()


def test_a_triplet_is_right_only_if_its_pair_is_strictly_the_nearest() -> None:
    vectors = np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [-1.0, 0.0]])
    faces = np.array([[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2], [1, 0, 3]])
    odd = np.array([3, 2, 1, 1, 3])
    # the last is a tie: face 0 is as near to face 1 as to face 3
    assert outcomes(vectors, faces, odd).tolist() == [True, True, True, False, False]
    types = pd.Series(["ONE_CLASS_TRIPLET"] * 2 + ["TWO_CLASS_TRIPLET"] * 3)
    found = accuracies(outcomes(vectors, faces, odd), types, faces)
    assert {quantity: accuracy.value for quantity, accuracy in found.items()} == {
        (METRIC, ""): 3 / 5,
        (METRIC, "one class"): 1.0,
        (METRIC, "two class"): 1 / 3,
    }


def test_hellinger_is_the_formula_and_the_odd_one_is_the_farthest() -> None:
    p, q = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.1, 0.4, 0.5])
    expected = math.sqrt(
        sum((math.sqrt(a) - math.sqrt(b)) ** 2 for a, b in zip(p, q, strict=True)) / 2
    )
    assert abs(float(hellinger(p, q)) - expected) < 1e-6
    angry, happy = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    votes = torch.stack([torch.stack(t) for t in ([happy, angry, angry], [angry, happy, angry])])
    odd, lead = odd_one(votes)
    assert odd.tolist() == [0, 1]
    assert lead.tolist() == [1.0, 1.0]


def test_annotators_draw_the_photos_votes_weighted_by_their_bias() -> None:
    torch.manual_seed(0)
    shares = torch.zeros(1, 8)
    shares[0, :2] = 0.5
    biases = torch.ones(2, 8)
    biases[1, 0] = 9.0
    votes = annotator_votes(shares.expand(500, -1), biases, 10).mean(1)
    assert abs(float(votes[0, 0]) - 0.5) < 0.03
    assert abs(float(votes[1, 0]) - 0.9) < 0.03
    assert float(votes[:, 2:].sum()) == 0
    assert torch.equal(annotator_biases(5, 0.5, seed=3), annotator_biases(5, 0.5, seed=3))


def test_drawn_triplets_follow_the_rule_and_annotators_mostly_agree_with_the_votes() -> None:
    torch.manual_seed(0)
    votes = torch.distributions.Dirichlet(torch.full((8,), 0.3)).sample((120,))
    shares = torch.cat([votes, torch.eye(8).repeat(3, 1)])
    single_vote = torch.arange(len(shares)) >= 120
    triplets = Sampling().draw(shares, single_vote, seed=0)
    agreed = 0
    for i in range(len(triplets)):
        a, p, n = int(triplets.anchor[i]), int(triplets.positive[i]), int(triplets.negative[i])
        near, *far = sorted(
            float(hellinger(shares[x], shares[y])) for x, y in ((a, p), (a, n), (p, n))
        )
        assert near <= 0.30
        assert far[0] >= 0.45
        agreed += float(hellinger(shares[a], shares[p])) == near
        classes = {int(shares[x].argmax()) for x in (a, p, n)}
        assert len(classes) == int(triplets.type[i])
        assert not (len(classes) == 1 and single_vote[[a, p, n]].any())
    assert {1, 2, 3} == set(triplets.type.tolist())
    assert 0.75 < agreed / len(triplets) < 1


def test_single_votes_are_dropped_and_labels_count_as_one_vote() -> None:
    index = pd.DataFrame(
        {
            "votes": [[6, 1, 0, 0, 0, 3, 0, 0, 0, 0], None, None, [1, 1, 0, 0, 0, 0, 0, 0, 8, 0]],
            "emotion": [0, 3, None, None],
        }
    )
    found = counts(index)
    assert found[0].tolist() == [6, 0, 0, 0, 0, 3, 0, 0]
    assert found[1].tolist() == [0, 0, 0, 1, 0, 0, 0, 0]
    assert found[2].sum() == 0
    assert is_clear(index).tolist() == [True, True, False, False]
