"""Triplets at two levels, from emotion labels: between groups of emotions, and within a group.

The paper names a hierarchical annotation for augmentation and gives no recipe for it; this is our
decision. Emotions are grouped by valence, surprise apart since it may be pleasant or not. A coarse
triplet has two emotions of one group and a third face of another group. A fine triplet has two
faces of one emotion and a third face of another emotion of the same group, which is harder.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from registry.catalog import EMOTIONS
from training.engine.device import constant
from training.models.triplets.sampling import THREE_CLASS, TWO_CLASS, Triplets, drop_unused

GROUPS = (
    ("neutral",),
    ("happy",),
    ("surprise",),
    ("sad", "fear", "disgust", "anger", "contempt"),
)
GROUP_OF = tuple(next(i for i, g in enumerate(GROUPS) if e in g) for e in EMOTIONS)
"""The group of each emotion."""
CANDIDATES = 4096
"""Random pairs of a batch; those within one group are used."""
ODD_CANDIDATES = 8
"""Random faces per pair; the nearest allowed one becomes the odd face."""


def draw(
    embeddings: Float[Tensor, "faces dims"], shares: Float[Tensor, "faces emotions"]
) -> Triplets:
    """Return triplets of a batch, drawn by torch's global random generator.

    The odd face is the one nearest to the anchor among a few allowed ones: a hard negative. Fine
    triplets have type TWO_CLASS, coarse ones THREE_CLASS; the annotator is always 0, who has no
    bias. Faces without an emotion of more than half of the votes are left out.

    Args:
        embeddings: the batch's embeddings; no gradient flows into them from here.
        shares: the batch's vote distributions.
    """
    clear = shares.max(1).values > 0.5
    clear, faces = drop_unused(clear, torch.arange(len(shares), device=shares.device))
    if len(faces) < 3:
        none = torch.zeros((0, 3), dtype=torch.long, device=shares.device)
        return _triplets(none, shares, none[:, 0] > 0)
    drawn = torch.randint(len(faces), (2 + ODD_CANDIDATES, CANDIDATES), device=shares.device)
    first, second, *others = faces[drawn]
    odd, is_clear = torch.stack(others, 1), clear[drawn]
    allowed = _allowed(shares.argmax(1), first, second, odd) & is_clear[2:].T
    distances = (embeddings.detach()[first][:, None] - embeddings.detach()[odd]).norm(dim=-1)
    nearest = distances.masked_fill(~allowed, torch.inf).argmin(1, keepdim=True)
    triplets = torch.stack([first, second, odd.gather(1, nearest).squeeze(1)], 1)
    chosen = allowed.any(1) & (first != second) & is_clear[:2].all(0)
    used, triplets = drop_unused(chosen, triplets)
    return _triplets(triplets, shares, used)


def _allowed(
    emotion: Int[Tensor, "faces"],
    first: Int[Tensor, "pairs"],
    second: Int[Tensor, "pairs"],
    odd: Int[Tensor, "pairs candidates"],
) -> Bool[Tensor, "pairs candidates"]:
    """Return which candidates may be the odd face of their pair."""
    group = constant(GROUP_OF, emotion.device, torch.long)[emotion]
    fine = (emotion[first] == emotion[second])[:, None]
    pair = (group[first] == group[second])[:, None]
    same_group = group[odd] == group[first][:, None]
    other_emotion = emotion[odd] != emotion[first][:, None]
    return pair & torch.where(fine, same_group & other_emotion, ~same_group)


def _triplets(
    faces: Int[Tensor, "triplets 3"], shares: Tensor, used: Bool[Tensor, "triplets"]
) -> Triplets:
    emotion = shares.argmax(1)
    anchor, positive, negative = faces.unbind(1)
    fine = emotion[anchor] == emotion[positive]
    return Triplets(
        anchor=anchor,
        positive=positive,
        negative=negative,
        annotator=torch.zeros_like(anchor),
        type=torch.where(fine, TWO_CLASS, THREE_CLASS),
        used=used,
    )
