"""Expressions of ICT-FaceKit's head: prototypes of each emotion, as weights of its blendshapes.

They follow the action units that Ekman and Friesen's manual names for each emotion; people show
emotions in more ways than these.
"""

import hashlib
from collections.abc import Mapping

import numpy as np

from training.datasets.synthetic.head import Head

SMALLEST_STRENGTH = 0.6
"""Smallest factor of a prototype's weights in a picture; the largest is 1."""
LARGEST_WEIGHT = 2.0
"""Largest weight of a shape; 1 is as far as the mesh was modelled, but brows move farther."""
JAW_CLOSING = 0.03
"""Subtracted from the weight of jawOpen, because the neutral mesh's lips are apart."""

Weights = Mapping[str, float]
PROTOTYPES: Mapping[str, tuple[Weights, ...]] = {
    "neutral": ({},),
    "happy": (
        {"mouthSmile": 0.9, "cheekSquint": 0.7, "cheekRaiser": 0.4, "eyeSquint": 0.3},
        {"mouthSmile": 1.0, "cheekSquint": 0.7, "cheekRaiser": 0.5, "eyeSquint": 0.3}
        | {"mouthUpperUp": 0.4, "mouthLowerDown": 0.3, "jawOpen": 0.12},
        {"mouthSmile": 1.0, "cheekSquint": 0.9, "cheekRaiser": 0.7, "eyeSquint": 0.5}
        | {"mouthUpperUp": 0.4, "jawOpen": 0.35},
    ),
    "sad": (
        {"browInnerUp": 1.4, "browOuterUp": -0.3, "mouthFrown": 1.2, "mouthShrugLower": 0.4}
        | {"eyeLookDown": 0.4},
        {"browInnerUp": 1.4, "browDown": 0.25, "mouthFrown": 1.2, "mouthShrugLower": 0.7}
        | {"eyeBlink": 0.25, "mouthPress": 0.3},
        {"browInnerUp": 1.3, "browOuterUp": -0.3, "mouthFrown": 1.2, "mouthStretch": 0.2}
        | {"mouthRollLower": 0.2, "eyeLookDown": 0.6, "eyeBlink": 0.15},
    ),
    "surprise": (
        {"browInnerUp": 0.9, "browOuterUp": 1.0, "eyeWide": 1.0, "jawOpen": 0.55},
        {"browInnerUp": 0.9, "browOuterUp": 1.0, "eyeWide": 0.9, "jawOpen": 0.4}
        | {"mouthFunnel": 0.45},
        {"browInnerUp": 1.0, "browOuterUp": 1.0, "eyeWide": 1.0, "jawOpen": 0.75},
    ),
    "fear": (
        {"browInnerUp": 1.4, "browDown": 0.45, "eyeWide": 1.0, "mouthStretch": 1.0}
        | {"mouthLowerDown": 0.5, "jawOpen": 0.2},
        {"browInnerUp": 1.4, "browOuterUp": 0.4, "browDown": 0.4, "eyeWide": 1.0}
        | {"mouthStretch": 0.9, "mouthLowerDown": 0.8, "jawOpen": 0.08, "mouthFrown": 0.2},
        {"browInnerUp": 1.4, "browDown": 0.4, "eyeWide": 1.0, "mouthStretch": 0.9}
        | {"jawOpen": 0.35, "mouthLowerDown": 0.4, "mouthUpperUp": 0.15},
    ),
    "disgust": (
        {"noseSneer": 1.0, "mouthUpperUp": 0.8, "browDown": 0.6, "cheekSquint": 0.5}
        | {"eyeSquint": 0.6, "mouthFrown": 0.3},
        {"noseSneer": 1.0, "mouthUpperUp": 0.5, "mouthShrugLower": 0.7, "browDown": 0.5}
        | {"eyeSquint": 0.6, "mouthFrown": 0.6, "cheekRaiser": 0.4},
        {"noseSneer": 1.0, "mouthUpperUp": 1.0, "jawOpen": 0.2, "browDown": 0.5}
        | {"eyeSquint": 0.7, "eyeBlink": 0.2, "mouthLowerDown": 0.3},
    ),
    "anger": (
        {"browDown": 2.0, "browInnerUp": -0.8, "eyeSquint": 0.7, "mouthPress": 0.8}
        | {"mouthRollLower": 0.4, "mouthRollUpper": 0.4, "mouthFrown": 0.8, "noseSneer": 0.35},
        {"browDown": 2.0, "browInnerUp": -0.8, "eyeWide": 0.4, "mouthPress": 0.6}
        | {"mouthFrown": 1.1, "mouthRollUpper": 0.4, "noseSneer": 0.4, "jawForward": 0.4},
        {"browDown": 2.0, "browInnerUp": -0.8, "eyeWide": 0.3, "noseSneer": 0.35}
        | {"jawOpen": 0.2, "mouthLowerDown": 1.3, "mouthUpperUp": 0.35, "mouthFunnel": 0.5},
    ),
    "contempt": (
        {"mouthSmile_1": 1.0, "mouthDimple_1": 0.9, "cheekSquint_1": 0.5, "mouthPress": 0.2},
        {"mouthSmile_1": 0.9, "mouthDimple_1": 1.0, "mouthUpperUp_1": 0.4, "eyeBlink": 0.2},
        {"mouthSmile_1": 1.0, "mouthDimple_1": 0.8, "browOuterUp_2": 0.5, "eyeSquint": 0.3},
    ),
}
"""Ways to show each emotion: the weights of shapes at full strength.

A shape that the mesh has on both sides is applied to both. The exceptions are names that end in _1,
which are applied to one side, drawn at random, and names that end in _2, applied to the other.
"""
NOISE_SHAPES = (
    "browInnerUp",
    "browOuterUp",
    "browDown",
    "eyeSquint",
    "mouthPucker",
    "mouthStretch",
    "mouthShrugUpper",
    "jawForward",
)
"""Shapes that get a small random weight, whatever the emotion."""


def rng_for(*words: str) -> np.random.Generator:
    """Return a random generator seeded by words alone: equal words give equal numbers.

    Changing the words of a call, such as the name of a part, changes the pictures of the sets.
    """
    digest = hashlib.sha256("/".join(words).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def expression_strength(emotion: str, name: str) -> float:
    """Return the factor of the prototype's weights in a picture: 0.6 to 1; 1 for neutral."""
    if emotion == "neutral":
        return 1.0
    return float(rng_for(name, "strength").uniform(SMALLEST_STRENGTH, 1))


def draw_weights(head: Head, emotion: str, name: str) -> dict[str, float]:
    """Return the weights of the blendshapes in the picture with this name, without zeros.

    Args:
        head: the mesh.
        emotion: one of EMOTIONS.
        name: the seed of the draw; equal names give equal weights.
    """
    rng = rng_for(name, "expression")
    prototypes = PROTOTYPES[emotion]
    prototype = prototypes[int(rng.integers(len(prototypes)))]
    side, other = rng.permutation(["L", "R"]).tolist()
    strength = expression_strength(emotion, name)
    weights = dict.fromkeys(head.names, 0.0)
    for shape, weight in prototype.items():
        for one in _mesh_names(head, shape.replace("_1", f"_{side}").replace("_2", f"_{other}")):
            weights[one] += strength * weight * float(rng.uniform(0.9, 1.1))
    for shape in NOISE_SHAPES:
        noise = 0.12 * float(rng.random()) ** 2
        for one in _mesh_names(head, shape):
            weights[one] += noise
    blink = 0.12 * float(rng.random())
    for one in _mesh_names(head, "eyeBlink"):
        weights[one] += blink
    weights["jawOpen"] -= JAW_CLOSING
    return {shape: min(LARGEST_WEIGHT, weight) for shape, weight in weights.items() if weight}


def _mesh_names(head: Head, shape: str) -> list[str]:
    """Return the mesh's names of a shape: its own, or those of its two sides."""
    return [shape] if shape in head.shape_index else [f"{shape}_L", f"{shape}_R"]
