"""Simulated annotators with metrics of their own, and what a crowd layer learned of these."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import spearmanr
from torch import Tensor

from training.models.dln.crowd_layer import CrowdLayer
from training.models.triplets.annotators import annotator_biases
from training.models.triplets.sampling import Triplets

CANDIDATES = 16384
LEAD = 0.1
"""Least lead of the nearest pair, by the annotator's distances, of a triplet that is used."""
PAIRS, LEAST = 20_000, 0.05
"""Pairs of faces that are compared, and their least distance, planted and learned."""


def metrics(annotators: int, strength: float, seed: int) -> Float[Tensor, "annotators emotions"]:
    """Return each annotator's weights of the emotions; the first one weighs all alike.

    An annotator's distance of two faces is sqrt(sum_k w_k (sqrt p_k - sqrt q_k)^2), for their vote
    distributions p and q.
    """
    weights = annotator_biases(annotators, strength, seed)
    weights[0] = 1
    return weights


def draw(
    shares: Float[Tensor, "faces emotions"], weights: Float[Tensor, "annotators emotions"]
) -> Triplets:
    """Return random triplets of a batch, each answered by one annotator's distances."""
    faces = torch.randint(len(shares), (CANDIDATES, 3))
    annotator = torch.randint(len(weights), (CANDIDATES,))
    seen = (weights.sqrt()[annotator][:, None] * shares.sqrt()[faces]).unbind(1)
    pairs = torch.stack([(seen[i] - seen[j]).norm(dim=1) for i, j in ((1, 2), (0, 2), (0, 1))], 1)
    near = pairs.sort(1).values
    different = (faces.sort(1).values.diff(dim=1) != 0).all(1)
    chosen = different & (near[:, 1] - near[:, 0] >= LEAD)
    faces, annotator, odd = faces[chosen], annotator[chosen], pairs[chosen].argmin(1)
    anchor, positive, negative = faces.gather(1, (odd[:, None] + torch.arange(1, 4)) % 3).unbind(1)
    classes = shares.argmax(1)[faces].sort(1).values
    return Triplets(
        anchor=anchor,
        positive=positive,
        negative=negative,
        annotator=annotator,
        type=1 + (classes.diff(dim=1) != 0).sum(1),
        used=torch.ones_like(annotator, dtype=torch.bool),
    )


def recovered(
    crowd: CrowdLayer,
    weights: Float[Tensor, "annotators emotions"],
    expressions: Float[Tensor, "faces dims"],
    shares: Float[Tensor, "faces emotions"],
) -> float:
    """Return how well the crowd layer has learned the annotators' metrics.

    Spearman's rank correlation, over pairs of faces, of the logarithm of how much farther apart
    they are for an annotator than for the first one: by the layer, and by the annotator's weights.
    The mean over the annotators.
    """
    first, second = torch.from_numpy(
        np.random.default_rng(0).integers(len(shares), size=(2, PAIRS))
    )
    seen = weights.sqrt()[:, None] * shares.sqrt()[None]
    planted = (seen[:, first] - seen[:, second]).norm(dim=-1)
    with torch.inference_mode():
        embeddings = crowd(expressions).embeddings
    learned = (embeddings[:, first] - embeddings[:, second]).norm(dim=-1)
    usable = ((planted > LEAST) & (learned > LEAST)).all(0)
    logs = [(each[1:, usable] / each[0, usable]).log().numpy() for each in (planted, learned)]
    return float(np.mean([spearmanr(*pair).statistic for pair in zip(*logs, strict=True)]))
