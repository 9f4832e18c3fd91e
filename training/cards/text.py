"""The fixed texts of model cards: of each model, and of the data sets it may have learned from."""

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
    "Inferring what a person feels, thinks or intends: a face is not a feeling.",
    "Deciding about anybody: hiring, policing, border control, credit, health, lie detection.",
    "Watching people at work or in education, where the EU's AI Act forbids inferring emotions "
    "(article 5(1)(f); exempt: medical or safety reasons).",
    "Identifying people.",
)
"""What no model here is for; docs/ethics.md says why."""

_TRIPLETS = (
    "A triplet is right when the two faces people chose as alike are nearer to each other than "
    "both are to the third; chance is 0.333. `leak auc`: how well the expression vector tells "
    "persons apart; chance is 0.5. `identity ...`: the frozen identity vector's "
    "own, which should get `adversarial` triplets wrong. In brackets: 95 % intervals by bootstrap "
    "over photos or persons."
)
_EMBEDDING: Lines = (
    "Comparing, sorting and searching faces by expression, in research.",
    "Studying how much of identity an expression embedding contains.",
)
_ALWAYS_ONE = "It always names an odd face, even if all three faces are alike or all are different."

DLN = CardText(
    what="The features of a face network minus those of a frozen face recognition network; a "
    "polynomial turns the difference into a unit vector. Vectors of similar expressions are near "
    "each other, also across people. After Zhang et al., Learning a Facial Expression Embedding "
    "Disentangled from Identity (CVPR 2021).",
    uses=_EMBEDDING,
    protocol=_TRIPLETS,
    failures=(
        "Triplets of one emotion (`one class`) have the lowest accuracy.",
        "Where `leak auc` is above 0.5, the vector still contains some identity.",
        _ALWAYS_ONE,
    ),
    decisions=(
        "The polynomial is a sum of linear maps of each element's powers, without bias.",
        "Batch normalisation of the difference comes first; without it the powers vanish.",
        "Crowd layer after Rodrigues and Pereira (2018): outputs have unit length again, the first "
        "annotator is fixed, the others decay towards the identity.",
        "Loss: plain distances, margin 0.2, for one class 0.1, after the authors' later code; the "
        "types weigh the same; triplets that are right by the margin don't count.",
        "For sets without annotators, simulated ones answer, from the photo's votes.",
    ),
)
FECNET = CardText(
    what="The baseline: a head on frozen face recognition features gives a unit vector; "
    "nothing removes identity from it. After Vemulapalli and Agarwala, A Compact Embedding for "
    "Facial Expression Similarity (CVPR 2019).",
    uses=("A comparison for `dln` on the same triplets.",),
    protocol=_TRIPLETS,
    failures=(
        "Two photos of one person are near each other, whatever their expressions.",
        _ALWAYS_ONE,
    ),
    decisions=(
        "Features: the backbone's last map; the paper cuts FaceNet's NN2 after 4e.",
        "Loss: squared distances as in the paper; all annotators count as one.",
        "The published 223.48 M parameters and 8.18 GMac can't be reproduced from the paper.",
    ),
)
EMOTION = CardText(
    what="The network of `dln`, with a softmax layer in place of its embedding, names the "
    "emotion that people see in a face. After the DLN paper's supplement.",
    uses=("Labelling posed or clear expressions in research, with the probabilities.",),
    protocol="Right is the set's label: most votes, or its annotator's; `majority`: faces where "
    "over half of the votes agree; `balanced`: without the class prior, as on the page. `mean "
    "recall` weighs every emotion the same; `calibration error` is 0 if a share p of the answers "
    "given with probability p is right. In brackets: 95 % intervals.",
    failures=(
        "Faces with rare emotions are often missed: fear, disgust, contempt.",
        "Faint anger, sadness and surprise are called neutral.",
        "A face with none of them still gets a label.",
    ),
    decisions=(
        "Freely available sets replace AffectNet and RAF-DB; contempt is an eighth label.",
        "Without `--start`, identity weights. Batch normalisation before the softmax layer. "
        "Temperature and class prior are fitted apart on validation faces (Menon et al., ICLR "
        "2021).",
    ),
)
PIX2PIXHD = CardText(
    what="A generator redraws a face with another person's expression; the person stays the same. "
    "The expression is measured by a trained `dln`, which is part of the version. After "
    "Wang et al., High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs "
    "(CVPR 2018), conditioned as in Zhang et al. (CVPR 2021).",
    uses=(
        "Research on what an expression embedding contains.",
        "Pictures for studies of perception, of people who agreed to them.",
    ),
    protocol="`nearer`: by what share the distance to the driver's expression shrank, measured by "
    "the version's own encoder. `identity`: cosine of the identity vectors of result and source. "
    "The page warns by the encoder's `blendshapes`, if it gives them: by a head fitted to "
    "MediaPipe's, on a network that the generator did not learn from. "
    "`ssim`: structural similarity of the result to the truth; `ssim untouched`: of the source. "
    "Independent networks measure it in benchmarks/transfer.py. Pictures: `sheets/` of its run "
    "shows persons of its sets; the page shows synthetic people.",
    misuse=(
        "Showing people with expressions they never made without their consent, or passing such "
        "pictures off as photos.",
    ),
    failures=(
        "Profiles, covered faces and drawings.",
        "Teeth that the source doesn't show are invented, look alike, and are often missing; open "
        "lips that should close can become crooked.",
        "Faint and rare expressions: the encoder hardly distinguishes them.",
    ),
    decisions=(
        "The generator's input is the difference of two conditions, driver minus source; the page "
        "multiplies it by the strength.",
        "It learns from pairs of pictures of one person in one pose, and from single faces: these "
        "either stay as they are, or get another expression, which the encoder checks, and must "
        "turn back into the real face.",
        "Perceptual loss, mask, warp and weights: see the recipe in this version's config.",
    ),
)
TOY = CardText(
    what="A toy: a tiny network that was trained for seconds, by default on faces drawn by this "
    "project, to see that training, registry and page work. Its answers mean nothing.",
    uses=("Trying the programs.",),
    protocol="",
    failures=("All of it: it has learned next to nothing.",),
    decisions=("Its size and its training are chosen for speed alone.",),
)
"""Takes the place of a model's text, its protocol aside, for the -smoke recipes."""
TEXTS: Mapping[str, CardText] = {
    "dln": DLN,
    "fecnet": FECNET,
    "emotion": EMOTION,
    "pix2pixhd": PIX2PIXHD,
}

CONFIGURED: Mapping[tuple[str, object], str] = {
    ("backbone", "compact"): "A ResNet of half ResNet-18's width that uses luminance only, since "
    "the faces it learns from are grey; the paper has InceptionResnetV1.",
    ("backbone", "mobilefacenet"): "A MobileFaceNet from published face recognition weights, "
    "learned from MS-Celeb-1M (withdrawn by its makers); the paper has InceptionResnetV1.",
    ("subtract", False): "Without the paper's subtraction, the face branch alone.",
    ("sigmoid", True): "Subtracts after a sigmoid, as the authors' later code does.",
    ("condition", "deviation"): "The condition is the expression vector followed by the deviation; "
    "the discriminators get the vector alone. The paper shows a vector and doesn't say which.",
    ("enhancer", "added"): "The local enhancer adds to the picture of a trained global generator; "
    "the paper's replaces it.",
    ("flip_average", True): "The outputs are means over the face and its mirror image.",
}
"""Decisions that apply to networks with this setting."""

LICENCES: Mapping[str, str] = {
    "fec": "annotations by Google (Vemulapalli and Agarwala, 2019) under their own terms; photos "
    "of Flickr's users, each under the licence its owner chose, consent of those shown unknown",
    "ferplus": "FER2013 pictures found by web search, research use, consent unknown; FER+ labels "
    "MIT",
    "lfw-emotion": "pictures of people in the news and in films, research use, consent unknown; "
    "labels Apache-2.0 as their repository states",
    "fer2013": "FER2013, pictures found by web search, research use, consent unknown",
    "kdef": "Karolinska Directed Emotional Faces, volunteers in a studio, research use, not to be "
    "passed on (Lundqvist, Flykt and Öhman, 1998)",
    "jaffe": "JAFFE, volunteers in a studio, research use, not to be passed on (Lyons et al., "
    "1998)",
    "ckplus": "Extended Cohn-Kanade, volunteers in a studio, research licence of its makers, not "
    "to be passed on",
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
    "toy": "drawn by this project, shows no real person",
}
"""Where the pictures of a set come from and what may be done with them, by the set's name."""
UNKNOWN_LICENCE = "a set of your own: look up its licence"
