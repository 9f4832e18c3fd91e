"""Triplets at two levels out of emotion labels: the group of emotions, and the emotion within it.

The paper names a hierarchical annotation for augmentation and gives no recipe for it; this is our
decision. Emotions fall into groups by valence, surprise apart since it is pleasant or not. A coarse
triplet has a pair of one group and two emotions against another group; a fine one has a pair of one
emotion against another emotion of the same group, the harder question.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from registry.catalog import EMOTIONS
from training.models.triplets.sampling import THREE, TWO, Triplets

GROUPS = (
    ("neutral",),
    ("happy",),
    ("surprise",),
    ("sad", "fear", "disgust", "anger", "contempt"),
)
GROUP_OF = torch.tensor([next(i for i, g in enumerate(GROUPS) if e in g) for e in EMOTIONS])
CANDIDATES = 4096
"""Pairs drawn from a batch, of which those of one group are kept."""
RIVALS = 8
"""Faces drawn for each pair, of which the nearest that may be odd is."""


def draw(
    embeddings: Float[Tensor, "faces dims"], shares: Float[Tensor, "faces emotions"]
) -> Triplets:
    """Return triplets of a batch, drawn by torch's global random generator.

    The odd face is the nearest to the anchor of a few that may be odd. Fine triplets have type TWO
    and coarse ones THREE; everybody sees them alike. Faces on whose emotion no majority agrees take
    no part.

    Args:
        embeddings: of the batch, as everybody sees it; no gradient flows into them from here.
        shares: vote distributions of the batch.
    """
    clear = torch.nonzero(shares.max(1).values > 0.5).flatten()
    if len(clear) < 3:
        return _chosen(torch.zeros((0, 3), dtype=torch.long, device=shares.device), shares)
    first, second, *rivals = clear[
        torch.randint(len(clear), (2 + RIVALS, CANDIDATES), device=shares.device)
    ]
    odd = torch.stack(rivals, 1)
    allowed = _may_be_odd(shares.argmax(1), first, second, odd)
    apart = (embeddings.detach()[first][:, None] - embeddings.detach()[odd]).norm(dim=-1)
    nearest = apart.masked_fill(~allowed, torch.inf).argmin(1, keepdim=True)
    threes = torch.stack([first, second, odd.gather(1, nearest).squeeze(1)], 1)
    return _chosen(threes[allowed.any(1) & (first != second)], shares)


def _may_be_odd(
    emotion: Int[Tensor, "faces"],
    first: Int[Tensor, "pairs"],
    second: Int[Tensor, "pairs"],
    odd: Int[Tensor, "pairs rivals"],
) -> Bool[Tensor, "pairs rivals"]:
    group = GROUP_OF.to(emotion.device)[emotion]
    fine = (emotion[first] == emotion[second])[:, None]
    pair = (group[first] == group[second])[:, None]
    kin = group[odd] == group[first][:, None]
    return pair & torch.where(fine, kin & (emotion[odd] != emotion[first][:, None]), ~kin)


def _chosen(threes: Int[Tensor, "triplets 3"], shares: Tensor) -> Triplets:
    emotion = shares.argmax(1)
    anchor, positive, negative = threes.unbind(1)
    fine = emotion[anchor] == emotion[positive]
    return Triplets(
        anchor=anchor,
        positive=positive,
        negative=negative,
        annotator=torch.zeros_like(anchor),
        type=torch.where(fine, TWO, THREE),
    )
