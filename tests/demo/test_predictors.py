"""Answers about triplets and emotions: distances, probabilities, crops and provenance."""

from dataclasses import replace
from itertools import combinations, permutations

import numpy as np
import pytest
import torch
from torch import Tensor

from demo.models import ModelServer
from demo.predictors import (
    CLOSE_BELOW,
    NOT_SURE_BELOW,
    TIE_WITHIN,
    EmotionRecognizer,
    Photo,
    TripletComparer,
    closest_pair,
    emotion_sentence,
    read_photo_with_faces,
)
from registry.catalog import EMOTIONS
from registry.crops import Crop, CropSpec
from registry.errors import EmptyRegistry
from registry.faces import Face, FaceCropper, NoFace
from registry.versions import Version
from tests.demo.fakes import FakeRegistry, answers


class FlatCropper(FaceCropper):
    """Finds as many faces as the first pixel says; the crop of face n is flat, 10 * (n + 1)."""

    def __init__(self) -> None:
        self.detections = 0
        self.crops: list[CropSpec] = []

    def faces(self, photo: np.ndarray) -> list[Face]:
        self.detections += 1
        return [face(n) for n in range(int(photo[0, 0, 0]))]

    def crop(self, photo: np.ndarray, face: Face, spec: CropSpec) -> Crop:  # noqa: ARG002
        self.crops.append(spec)
        level = 10 * (int(face.box[0]) + 1)
        pixels = np.full((spec.size_px, spec.size_px, 3), level, np.uint8)
        return Crop(pixels=pixels, spec=spec, to_photo=np.eye(2, 3))


def face(n: int) -> Face:
    return Face(
        box=(float(n), 0.0, n + 20.0, 20.0),
        keypoints=np.zeros((6, 2)),
        confidence=0.9,
    )


def photo(faces: int, cropper: FaceCropper | None = None) -> Photo:
    return read_photo_with_faces(np.full((40, 40, 3), faces, np.uint8), cropper or FlatCropper())


@pytest.fixture
def server(registry: FakeRegistry) -> ModelServer:  # noqa: ARG001
    return ModelServer(poll_seconds=None)


def unit(rows: int, seed: int) -> Tensor:
    vectors = torch.randn((rows, 16), generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(vectors)


@pytest.mark.parametrize("seed", range(20))
def test_the_closest_pair_shares_the_expression(
    registry: FakeRegistry, server: ModelServer, seed: int
) -> None:
    expression, identity = unit(3, seed), unit(3, seed + 1000)
    registry.put("dln", 4, answers(expression, identity))
    answer = TripletComparer(server).compare([photo(1)] * 3)
    wanted = {
        (i + 1, j + 1): sum(float(expression[i, k] - expression[j, k]) ** 2 for k in range(16))
        ** 0.5
        for i, j in combinations(range(3), 2)
    }
    assert answer.distances == pytest.approx(list(wanted.values()), abs=1e-6)
    assert answer.identity_distances == pytest.approx(torch.pdist(identity).tolist(), abs=1e-6)
    assert answer.pair == min(wanted, key=wanted.__getitem__)
    assert {*answer.pair, answer.odd} == {1, 2, 3}
    first, second, _ = sorted(wanted.values())
    assert answer.close == (second - first < CLOSE_BELOW)
    one, other = answer.pair
    assert answer.sentence == (
        f"A close call: {one} and {other} may share an expression, and {answer.odd} may be the odd "
        "one."
        if answer.close
        else f"{one} and {other} share an expression; {answer.odd} is the odd one."
    )
    assert (answer.provenance.model, answer.provenance.version) == ("dln", 4)
    assert answer.provenance.seconds > 0


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_odd_one_is_the_same_in_every_position(
    registry: FakeRegistry, server: ModelServer, order: tuple[int, ...]
) -> None:
    two_alike = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]))
    registry.put("dln", 1, answers(two_alike[list(order)]))
    assert TripletComparer(server).compare([photo(1)] * 3).odd == order.index(2) + 1


@pytest.mark.parametrize("distances", [(0.0, 0.0, 0.0), (0.5, 0.9, 0.5), (0.9, 0.5, 0.5004)])
def test_two_equally_close_pairs_are_a_tie(distances: tuple[float, float, float]) -> None:
    assert closest_pair(distances)[2] < TIE_WITHIN


def test_a_tie_has_its_own_sentence(registry: FakeRegistry, server: ModelServer) -> None:
    registry.put("dln", 1, answers(unit(1, 0)))
    answer = TripletComparer(server).compare([photo(1)] * 3)
    assert answer.tie
    assert answer.sentence.startswith("It is a tie")


def brightness(faces: Tensor) -> dict[str, Tensor]:
    """Return the brightness of a face, 0 to 255, as its first logit."""
    logits = torch.zeros(len(faces), len(EMOTIONS))
    logits[:, 0] = faces.mean((1, 2, 3)) * 255
    return {"logits": logits}


def test_faces_are_detected_once_and_cropped_once_for_each_spec(
    registry: FakeRegistry, server: ModelServer
) -> None:
    registry.put("dln", 1, answers(unit(3, 0)), size_px=64)
    registry.put("emotion", 1, brightness, size_px=48)
    cropper = FlatCropper()
    shot = photo(1, cropper)
    for _ in range(2):
        TripletComparer(server).compare([shot] * 3)
        EmotionRecognizer(server).recognise(shot)
        TripletComparer(server).embed(shot)
    assert cropper.detections == 1
    assert [spec.size_px for spec in cropper.crops] == [64, 48]


def test_the_chosen_faces_are_compared(registry: FakeRegistry, server: ModelServer) -> None:
    registry.put(
        "dln", 1, lambda faces: {"expression": faces[:, 0, :1, 0], "identity": faces[:, 0, :1, 0]}
    )
    answer = TripletComparer(server).compare([photo(3)] * 3, faces=(0, 2, 1))
    assert answer.distances == pytest.approx([20 / 255, 10 / 255, 10 / 255])


def test_every_face_gets_its_own_emotion_also_beyond_one_batch(
    registry: FakeRegistry, server: ModelServer
) -> None:
    registry.put("emotion", 1, lambda faces: {"logits": brightness(faces)["logits"] / 50})
    faces = 20
    found = EmotionRecognizer(server).recognise(photo(faces))
    assert [answer.face_index for answer in found] == list(range(faces))
    for n, answer in enumerate(found):
        logits = torch.tensor([10 * (n + 1) / 50] + [0.0] * 7)
        assert answer.probabilities["neutral"] == pytest.approx(
            float(logits.softmax(0)[0]), abs=1e-5
        )
        assert answer.face.box == face(n).box
    chosen = EmotionRecognizer(server).recognise(photo(faces), [3])
    assert [answer.probabilities for answer in chosen] == [found[3].probabilities]


@pytest.mark.parametrize("top", [0.2, NOT_SURE_BELOW - 0.01, NOT_SURE_BELOW + 0.01, 0.999])
def test_probabilities_are_sorted_and_a_low_top_is_not_sure(
    registry: FakeRegistry, server: ModelServer, top: float
) -> None:
    shares = torch.full((8,), (1 - top) / 7)
    shares[5] = top
    registry.put("emotion", 1, lambda faces: {"logits": shares.log().expand(len(faces), 8) + 30})
    (answer,) = EmotionRecognizer(server).recognise(photo(1))
    shown = list(answer.probabilities.values())
    assert answer.in_the_wild is None
    assert answer.label == next(iter(answer.probabilities)) == "disgust"
    assert shown == sorted(shown, reverse=True)
    assert sum(shown) == pytest.approx(1)
    assert shown[0] == pytest.approx(top, abs=1e-5)
    assert answer.sure == (top >= NOT_SURE_BELOW)
    assert answer.sentence.startswith("not sure: disgust (" if not answer.sure else "disgust, ")
    shot = photo(1)
    turned = Photo(shot.pixels, (replace(face(0), uncertain_roll=True),), FlatCropper())
    (doubtful,) = EmotionRecognizer(server).recognise(turned)
    assert not doubtful.sure
    assert doubtful.sentence.endswith("; it is uncertain which side of the face is up")
    registry.put("dln", 4, answers(unit(3, 0)))
    compared = TripletComparer(server).compare([shot, turned, shot])
    assert compared.sentence.endswith(
        " Note: it is uncertain which side of the face in photo 2 is up."
    )


def test_a_version_with_a_class_prior_takes_the_emotions_for_equally_likely(
    registry: FakeRegistry, server: ModelServer
) -> None:
    wild = [0.5, 0.1, 0.1, 0.05, 0.05, 0.05, 0.12, 0.03]
    prior = dict(zip(EMOTIONS, [0.6, 0.1, 0.1, 0.05, 0.05, 0.03, 0.06, 0.01], strict=True))
    logits = torch.tensor(wild).log() + 3
    registry.put("emotion", 1, lambda faces: {"logits": logits.expand(len(faces), 8)})
    found = registry.production["emotion"]
    assert isinstance(found, Version)
    registry.production["emotion"] = replace(found, class_prior=prior)
    (answer,) = EmotionRecognizer(server).recognise(photo(1))
    weights = {k: share / prior[k] for k, share in zip(EMOTIONS, wild, strict=True)}
    for label, weight in weights.items():
        assert answer.probabilities[label] == pytest.approx(
            weight / sum(weights.values()), abs=1e-5
        )
    assert answer.label == next(iter(answer.probabilities)) == "contempt"
    expected = dict(sorted(zip(EMOTIONS, np.array(wild) / sum(wild), strict=True)))
    assert answer.in_the_wild == pytest.approx(expected)
    assert next(iter(answer.in_the_wild or {})) == "neutral"
    assert answer.to_dict()["in_the_wild"] == answer.in_the_wild


@pytest.mark.parametrize(
    ("shares", "sentence"),
    [
        ([0.55, 0.31, 0.14], "not sure: neutral (55%) or happy (31%)"),
        ([0.35, 0.3, 0.2, 0.15], "not sure: neutral (35%), happy (30%) or sad (20%)"),
        ([0.9, 0.1], "neutral, 90%"),
    ],
)
def test_an_unsure_answer_names_the_emotions_between_which_it_is(
    shares: list[float], sentence: str
) -> None:
    ordered = dict(zip(EMOTIONS, shares, strict=False))
    assert emotion_sentence(ordered, face(0))[2] == sentence


def test_a_missing_face_is_reported_before_the_registry_is_read(server: ModelServer) -> None:
    with pytest.raises(NoFace):
        EmotionRecognizer(server).recognise(photo(0))
    with pytest.raises(NoFace):
        TripletComparer(server).embed(photo(0))
    with pytest.raises(NoFace, match="only 2 were found"):
        TripletComparer(server).compare([photo(3), photo(2), photo(3)], (2, 2, 2))
    with pytest.raises(EmptyRegistry):
        EmotionRecognizer(server).recognise(photo(1))
