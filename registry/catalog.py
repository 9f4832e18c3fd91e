"""The models, each with a spec that training, registry and demo share."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from registry.crops import CropSpec

EMOTIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
"""AffectNet's codes 0 to 7; the seven basic emotions are the first seven."""

FERPLUS_MARGIN = 0.05
"""Part by which the pictures of FER+ are wider than the bare face's square.

Measured with FaceCropper by benchmarks/crop_margin.py: the median of 2,989 FER+ pictures is 0.048.
Photos cropped with 0.05 and measured the same way give 0.034 (lfw_emotion) and 0.064 (london).
FER+ pictures vary by 0.11 either way, and show the face 2 % of their side lower.
"""

EXPRESSION_DIMS = 16
"""Length of an expression embedding."""


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """What every version of a model has in common.

    A version of a model with an `encoder` has two graphs. The encoder takes faces alone. The
    generator takes faces and a change: the difference of two conditions, which are the encoder's
    output `condition`, or its `expression` where it has no such output.
    """

    name: str
    """The one name of package, recipe, experiment and registered model."""
    title: str
    purpose: str
    outputs: Mapping[str, str]
    """Outputs of every version, with their shapes."""
    crop: CropSpec
    labels: tuple[str, ...] = field(default=())
    encoder: Mapping[str, str] = field(default_factory=dict)
    """Outputs of the encoder, with their shapes; empty for a model without one."""
    optional_outputs: Mapping[str, str] = field(default_factory=dict)
    """Outputs that a version may have as well: its encoder, where it has one."""


DLN = ModelSpec(
    name="dln",
    title="Deviation Learning Network",
    purpose="Tells which of three faces has the odd expression, regardless of who they are.",
    outputs={"expression": "batch 16, unit length", "identity": "batch features, unit length"},
    optional_outputs={"deviation": "batch features, about 1 long"},
    crop=CropSpec(size_px=224, margin=FERPLUS_MARGIN),
)
FECNET = ModelSpec(
    name="fecnet",
    title="FECNet",
    purpose="The baseline: an expression embedding that still contains identity.",
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
    optional_outputs={
        "condition": "batch numbers, the expression first",
        "blendshapes": "batch 16, principal components of MediaPipe's blendshapes",
    },
)
CATALOG = {spec.name: spec for spec in (DLN, FECNET, EMOTION, PIX2PIXHD)}
CANDIDATES = "-candidates"
"""How the registered model of a model's candidates ends: see `registry.candidates`."""


def model_of(name: str) -> str:
    """Return the model whose versions, or candidates, a registered model of a name holds."""
    return name.removesuffix(CANDIDATES)


def is_candidates(name: str) -> bool:
    """Return whether a registered model of this name holds candidates."""
    return name.endswith(CANDIDATES)
