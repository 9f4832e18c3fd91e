"""What a model card says of every version of a model, and of the data it may have learned from."""

from collections.abc import Mapping
from dataclasses import dataclass

Lines = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CardText:
    """The fixed part of a model's card."""

    what: str
    uses: Lines
    protocol: str
    failures: Lines
    decisions: Lines
    misuse: Lines = ()


MISUSE: Lines = (
    "Telling what a person feels, thinks or intends: a face is not a feeling.",
    "Deciding about anybody: hiring, policing, border control, credit, health, lie detection.",
    "Watching people at work or in education, where the EU's AI Act forbids inferring emotions "
    "(article 5(1)(f); exempt: medical or safety reasons).",
    "Identifying people.",
)
"""What no model here is for; docs/ethics.md says why."""

_TRIPLETS = (
    "A triplet is right when the pair people chose is nearer than both its distances to the third "
    "face; chance is 0.333. `leak auc` is how well identity can be told from the expression "
    "vector; 0.5 is not at all. In brackets: 95 % intervals by bootstrap over photos or persons."
)
_EMBEDDING: Lines = (
    "Comparing, sorting and searching faces by expression, in research.",
    "Studying what an expression embedding keeps of identity.",
)
_ALWAYS_ONE = "There is always an odd one, also of three like faces or of three different ones."

DLN = CardText(
    what="A face network minus a frozen face recognition network; a polynomial turns the "
    "difference into a unit vector, near for like expressions, whoever the people are. After "
    "Zhang et al., Learning a Facial Expression Embedding Disentangled from Identity (CVPR 2021).",
    uses=_EMBEDDING,
    protocol=_TRIPLETS,
    failures=(
        "Three faces of one emotion (`one class`) are told apart worst.",
        "Some identity is left in the vector wherever `leak auc` is above 0.5.",
        _ALWAYS_ONE,
    ),
    decisions=(
        "The polynomial sums linear maps of each element's powers, without bias.",
        "The deviation is normalised over the batch first: else its powers vanish.",
        "Crowd layer: after Rodrigues and Pereira (2018), unit length again, the first annotator "
        "fixed, the others drawn towards everybody's view.",
        "Loss: plain distances, margins 0.2, for one class 0.1, after the authors' later code; "
        "types weigh the same, triplets right by the margin count no more.",
        "Sets that name no annotators: simulated ones answer, by the photo's votes.",
    ),
)
FECNET = CardText(
    what="The baseline: a head on frozen face recognition features gives a unit vector, and "
    "nothing takes identity out. After Vemulapalli and Agarwala, A Compact Embedding for Facial "
    "Expression Similarity (CVPR 2019).",
    uses=("Being compared with `dln` on the same triplets.",),
    protocol=_TRIPLETS,
    failures=("Two photos of one person draw together whatever they show.", _ALWAYS_ONE),
    decisions=(
        "Features: the backbone's last map, where the paper cuts FaceNet's NN2 after 4e.",
        "Loss: squared distances as in the paper; every annotator counts as everybody.",
        "The published 223.48 M parameters and 8.18 GMac can't be reproduced from the paper.",
    ),
)
EMOTION = CardText(
    what="The `dln` pair of networks with a softmax layer in place of its embedding names which "
    "emotion people see in a face. After the supplement of the DLN paper "
    "(Zhang et al., CVPR 2021).",
    uses=("Labelling posed or clear expressions in research, with the probabilities read.",),
    protocol="Right is the label of the set: most votes, or its annotator's. `mean recall` weighs "
    "every emotion the same; `calibration error` is 0 where probabilities are shares of right "
    "answers. In brackets, where there are any: 95 % intervals.",
    failures=(
        "Rare emotions are mostly missed: fear, disgust, contempt.",
        "Faint anger, sadness and surprise pass for neutral.",
        "A face that shows none of the labels still gets one.",
    ),
    decisions=(
        "Sets that may be had stand in for AffectNet and RAF-DB, with contempt as eighth label.",
        "Without `--start`, both branches begin with identity weights, not with a trained DLN.",
        "The deviation is normalised over the batch; a temperature is fitted on validation faces.",
    ),
)
PIX2PIXHD = CardText(
    what="A generator redraws a face so that it takes on another person's expression and stays who "
    "it is; a trained `dln`, which travels in the version, says what the expression is. After "
    "Wang et al., High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs "
    "(CVPR 2018), conditioned as in Zhang et al. (CVPR 2021).",
    uses=(
        "Looking at what an expression embedding knows, in research.",
        "Pictures for studies of perception, of people who agreed to it.",
    ),
    protocol="`nearer` is the share by which the expression came nearer to the driver's, by the "
    "version's own encoder; `identity` the cosine of the identity vectors of result and source; "
    "`ssim` the structural similarity to the truth, beside that of the untouched source. Other "
    "judges: benchmarks/transfer.py. To look at: `sheets/` of the run it was trained in, with "
    "persons of its sets, and on the page a sheet of synthetic people.",
    misuse=(
        "Showing people with expressions they never made without their consent, or passing such "
        "pictures off as photos.",
    ),
    failures=(
        "Profiles, covered faces and drawings.",
        "Teeth that the source doesn't show are invented, look alike and are often left out; open "
        "lips that should close can end crooked.",
        "Faint and rare expressions: the encoder hardly tells them apart.",
    ),
    decisions=(
        "The generator is given the change of its condition, driver's less source's; strength "
        "multiplies it outside.",
        "Pairs: two pictures of one person in one pose; single faces are to stay as they are, or "
        "are asked for another expression that only the encoder judges; what comes of it then has "
        "to become the real face again.",
        "Perceptual loss, mask, warp and weights: as the recipe says, in this version's config.",
    ),
)
TEXTS: Mapping[str, CardText] = {
    "dln": DLN,
    "fecnet": FECNET,
    "emotion": EMOTION,
    "pix2pixhd": PIX2PIXHD,
}

CONFIGURED: Mapping[tuple[str, object], str] = {
    ("backbone", "compact"): "A ResNet of half ResNet-18's width that sees luminance only, since "
    "the faces it learns from are grey; the paper has InceptionResnetV1.",
    ("subtract", False): "Without the paper's subtraction: the face branch alone, to compare.",
    ("sigmoid", True): "Subtracts after a sigmoid, as the authors' later code does.",
    ("condition", "deviation"): "The condition is the expression vector and the deviation it was "
    "made of, of which the judges see the vector; the paper shows a vector, and doesn't say which.",
    ("enhancer", "added"): "The local enhancer adds to what a trained global generator draws, "
    "where the paper's draws all anew.",
    ("flip_average", True): "Answers with the mean over the face and its mirror image.",
}
"""Decisions that hold where a network's configuration says so."""

LICENCES: Mapping[str, str] = {
    "fec": "annotations by Google (Vemulapalli and Agarwala, 2019) under their own terms; photos "
    "of Flickr's users, each under the licence its owner chose, consent of those shown unknown",
    "ferplus": "FER2013 pictures found by web search, research use, consent unknown; FER+ labels "
    "MIT",
    "lfw-emotion": "pictures of people in the news and in films, research use, consent unknown; "
    "labels Apache-2.0 as their repository states",
    "london": "Face Research Lab London Set, volunteers in a studio, CC BY 4.0 "
    "(DeBruine and Jones, 2017)",
    "affectnet": "AffectNet, pictures found by web search, research licence of its makers, not to "
    "be passed on, consent unknown",
    "rafdb": "RAF-DB, pictures found by web search, research licence of its makers, not to be "
    "passed on, consent unknown",
    "rafd": "Radboud Faces Database, volunteers in a studio, research licence of its makers, not "
    "to be passed on",
    "ict": "rendered from ICT-FaceKit, MIT",
    "ict-pairs": "rendered from ICT-FaceKit, MIT",
    "toy": "drawn by this project, shows nobody",
}
"""Where the pictures of a set come from and what may be done with them, by the set's name."""
UNKNOWN_LICENCE = "a set of your own: look up its licence"
