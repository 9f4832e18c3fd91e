"""The models of the house, each on a card."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from registry.faces import CropSpec

EMOTIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
"""AffectNet's codes 0 to 7; the seven basic emotions are the first seven."""

FERPLUS_MARGIN = 0.05
"""How much wider than the bare face's square FER+ frames its faces.

By what FaceCropper finds in FER+ pictures: 0.048 in the median of 2,989, while photos cut with 0.05
and looked at in the same way give 0.034 (lfw_emotion) and 0.064 (london). Pictures of FER+ differ
by 0.11 either way, and show the face 2 % of the side lower; see benchmarks/crop_margin.py.
"""

EXPRESSION_DIMS = 16
"""Length of an expression's vector."""


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One word names the model everywhere: package, recipe, experiment, registered model.

    A model with an `encoder` has two graphs in each version: the encoder sees faces alone, and the
    other one takes faces and the change between two of the encoder's conditions: what it names
    `condition`, or the expressions where it names none.
    """

    name: str
    title: str
    purpose: str
    outputs: Mapping[str, str]
    """What every version gives."""
    crop: CropSpec
    labels: tuple[str, ...] = field(default=())
    encoder: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, str] = field(default_factory=dict)
    """What a version may give as well, with an encoder its encoder."""


DLN = ModelSpec(
    name="dln",
    title="Deviation Learning Network",
    purpose="Tells which of three faces has the odd expression, whoever the people are.",
    outputs={"expression": "batch 16, unit length", "identity": "batch features, unit length"},
    more={"deviation": "batch features, about 1 long"},
    crop=CropSpec(size_px=224, margin=FERPLUS_MARGIN),
)
FECNET = ModelSpec(
    name="fecnet",
    title="FECNet",
    purpose="The baseline: an expression embedding that keeps identity in.",
    outputs={"expression": "batch 16, unit length"},
    crop=CropSpec(size_px=224, margin=FERPLUS_MARGIN),
)
EMOTION = ModelSpec(
    name="emotion",
    title="Emotion recognition",
    purpose="Names the emotion a face shows.",
    outputs={"logits": "batch labels, scaled by the temperature"},
    crop=CropSpec(size_px=224, margin=FERPLUS_MARGIN),
    labels=EMOTIONS,
)
PIX2PIXHD = ModelSpec(
    name="pix2pixhd",
    title="Expression transfer",
    purpose="Gives one person another person's expression.",
    outputs={"picture": "batch 3 h w in [0, 1]", "mask": "batch 1 h w in [0, 1]"},
    crop=CropSpec(size_px=256, margin=0.4),
    encoder={"expression": "batch 16, unit length", "identity": "batch features, unit length"},
    more={"condition": "batch numbers, the expression first"},
)
CATALOG = {card.name: card for card in (DLN, FECNET, EMOTION, PIX2PIXHD)}
