"""Expression transfer: the change of the face, its metrics and its warnings."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from demo.models import ModelServer
from demo.predictors import Photo, read_photo_with_faces
from demo.transfer import NEUTRAL_PEOPLE, STRIP_STRENGTHS, BadStrength, ExpressionTransfer
from demo.transfer_limits import ProfileFace
from demo.version_checks import SMOKE_FACES
from registry.errors import EmptyRegistry, Unreachable
from registry.faces import Face, FaceCropper, NoFace
from tests.browser.networks import TinyEncoder, TinyGenerator
from tests.demo.fakes import FakeRegistry, version

CROPPER = FaceCropper()
CROP = version("pix2pixhd", 1).crop
NO_THRESHOLDS: dict[str, float] = {}


@pytest.fixture
def server(registry: FakeRegistry) -> ModelServer:  # noqa: ARG001
    return ModelServer(poll_seconds=None)


@pytest.fixture
def people(examples: Path) -> tuple[Photo, Photo]:
    source, driver = (
        read_photo_with_faces(examples / n, CROPPER) for n in ("sad_01.jpg", "smiling_07.jpg")
    )
    return source, driver


class ConditionEncoder:
    """A tiny encoder whose condition is its expression, followed by its negated identity."""

    def __init__(self) -> None:
        self.network = TinyEncoder().requires_grad_(False)

    def __call__(self, faces: Tensor) -> Mapping[str, Tensor]:
        outputs = self.network(faces)
        condition = torch.cat([outputs["expression"], -outputs["identity"]], 1)
        return outputs | {"condition": condition}


class CountingEncoder:
    """A tiny encoder that counts the faces it encoded."""

    def __init__(self) -> None:
        self.network = TinyEncoder().requires_grad_(False)
        self.faces = 0

    def __call__(self, faces: Tensor) -> Mapping[str, Tensor]:
        self.faces += len(faces)
        return self.network(faces)  # type: ignore[no-any-return]


def drawing(change: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Mapping[str, Tensor]]:
    """Return a generator that draws `change` of a face everywhere."""
    return lambda faces, moved: {
        "picture": change(faces, moved).clamp(0, 1),
        "mask": torch.ones_like(faces[:, :1]),
    }


def vectors(photo: Photo) -> dict[str, np.ndarray]:
    """Return the tiny encoder's outputs for a photo's largest face, computed here."""
    pixels = torch.tensor(photo.crop(0, CROP).pixels / 255.0, dtype=torch.float32)
    outputs = TinyEncoder().requires_grad_(False)(pixels.permute(2, 0, 1)[None])
    return {name: vector[0].numpy() for name, vector in outputs.items()}


@pytest.mark.parametrize("strength", [-0.5, 0.3, 1.0])
def test_the_metrics_are_distances_and_cosines_by_the_versions_encoder(
    registry: FakeRegistry, server: ModelServer, people: tuple[Photo, Photo], strength: float
) -> None:
    registry.put_transfer(4, thresholds=NO_THRESHOLDS)
    answer = ExpressionTransfer(server).transfer(*people, strength=strength)
    source, driver = map(vectors, people)
    result = torch.tensor(answer.crop / 255.0, dtype=torch.float32).permute(2, 0, 1)[None]
    outputs = TinyEncoder().requires_grad_(False)(result)
    made = {name: vector[0].numpy() for name, vector in outputs.items()}

    def apart(one: np.ndarray, other: np.ndarray) -> float:
        return float(sum(float(a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5)

    found = answer.metrics
    assert found.before == pytest.approx(
        apart(source["expression"], driver["expression"]), abs=1e-5
    )
    assert found.after == pytest.approx(apart(made["expression"], driver["expression"]), abs=1e-5)
    assert found.nearer == pytest.approx(1 - found.after / found.before)
    assert found.likeness == pytest.approx(float(made["identity"] @ source["identity"]), abs=1e-5)
    other = float(made["identity"] @ driver["identity"])
    assert found.driver_likeness == pytest.approx(other, abs=1e-5)
    assert (found.nearer > 0) == (strength > 0)
    assert answer.strength == strength
    assert (answer.provenance.model, answer.provenance.version) == ("pix2pixhd", 4)


def test_strength_0_gives_back_the_photo(
    registry: FakeRegistry, server: ModelServer, people: tuple[Photo, Photo]
) -> None:
    registry.put_transfer()
    answer = ExpressionTransfer(server).transfer(*people, strength=0.0)
    away = np.abs(answer.picture.astype(int) - people[0].pixels)
    assert away.max() <= 1
    assert answer.metrics.likeness == pytest.approx(1, abs=1e-3)
    assert answer.warnings == ()
    assert answer.sentence == "As near to the expression as before; likeness to the person 1.00."


def test_the_change_is_the_drivers_expression_less_the_sources_times_the_strength(
    registry: FakeRegistry, server: ModelServer, people: tuple[Photo, Photo]
) -> None:
    moves: list[Tensor] = []

    def generator(faces: Tensor, change: Tensor) -> Mapping[str, Tensor]:
        moves.append(change)
        return {"picture": faces, "mask": torch.ones_like(faces[:, :1])}

    registry.put_transfer(generator=generator)
    transfer = ExpressionTransfer(server)
    transfer.transfer(*people, strength=0.4)
    transfer.strip(*people)
    way = torch.tensor(vectors(people[1])["expression"] - vectors(people[0])["expression"])
    strip, one = moves[-1], moves[-2]
    torch.testing.assert_close(one, 0.4 * way[None], atol=1e-5, rtol=0)
    torch.testing.assert_close(
        strip, torch.tensor(STRIP_STRENGTHS)[:, None] * way, atol=1e-5, rtol=0
    )


def test_a_change_is_the_difference_of_two_conditions_of_the_encoder(
    registry: FakeRegistry, server: ModelServer, people: tuple[Photo, Photo]
) -> None:
    moves: list[Tensor] = []

    def generator(faces: Tensor, moved: Tensor) -> Mapping[str, Tensor]:
        moves.append(moved)
        return drawing(lambda given, _: given)(faces, moved)

    registry.put_transfer(generator=generator, encoder=ConditionEncoder())
    answer = ExpressionTransfer(server).transfer(*people, strength=0.5)
    source, driver = map(vectors, people)
    way = [driver["expression"] - source["expression"], source["identity"] - driver["identity"]]
    torch.testing.assert_close(
        moves[-1][0], 0.5 * torch.tensor(np.concatenate(way)), atol=1e-5, rtol=0
    )
    assert answer.metrics.before == pytest.approx(float(np.linalg.norm(way[0])), abs=1e-5)
    ExpressionTransfer(server).transfer(people[0], None)
    assert moves[-1].shape == moves[-2].shape


def test_a_source_is_encoded_once_however_often_its_strength_changes(
    registry: FakeRegistry, server: ModelServer, people: tuple[Photo, Photo]
) -> None:
    encoder = CountingEncoder()
    registry.put_transfer(encoder=encoder)
    transfer = ExpressionTransfer(server)
    transfer.transfer(*people)
    before = encoder.faces
    for strength in (0.5, 1.5):
        transfer.transfer(*people, strength=strength)
    transfer.strip(*people)
    assert encoder.faces == before + 2  # the two results


def test_a_result_that_is_not_nearer_or_another_person_gets_a_warning(
    registry: FakeRegistry, server: ModelServer, people: tuple[Photo, Photo]
) -> None:
    tiny = TinyEncoder().requires_grad_(False)
    registry.put_transfer(generator=TinyGenerator(tiny, reach=-0.5))
    answer = ExpressionTransfer(server).transfer(*people)
    assert answer.metrics.nearer < 0
    assert any("no nearer to the requested expression" in warning for warning in answer.warnings)
    assert answer.sentence == "This result fails its own check."
    registry.put_transfer(2, generator=drawing(lambda faces, _: 1 - faces))
    someone = ExpressionTransfer(ModelServer(poll_seconds=None)).transfer(*people, strength=-0.5)
    assert someone.metrics.likeness < 0
    failure, more_like_the_driver = someone.warnings
    assert "may no longer show the same person" in failure
    assert "more like the face it took the expression from" in more_like_the_driver


def test_the_metrics_of_a_tiny_face_are_those_of_the_picture_returned(
    registry: FakeRegistry, server: ModelServer, people: tuple[Photo, Photo]
) -> None:
    registry.put_transfer(thresholds=NO_THRESHOLDS)
    source, driver = people
    small = np.array(Image.fromarray(source.pixels).resize((48, 48), Image.Resampling.BOX))
    face = replace(source.faces[0], keypoints=source.faces[0].keypoints * 48 / len(source.pixels))
    tiny = Photo(small, (face,), CROPPER)
    answer = ExpressionTransfer(server).transfer(tiny, driver)
    again = Photo(answer.picture, (face,), CROPPER)
    after = np.linalg.norm(vectors(again)["expression"] - vectors(driver)["expression"])
    assert answer.metrics.after == pytest.approx(after, abs=1e-5)


def test_neutral_is_the_mean_of_the_neutral_people_encoded_once(
    registry: FakeRegistry, server: ModelServer, people: tuple[Photo, Photo], examples: Path
) -> None:
    encoder = CountingEncoder()
    registry.put_transfer(encoder=encoder, thresholds=NO_THRESHOLDS)
    transfer = ExpressionTransfer(server)
    answer = transfer.transfer(people[1], None)
    before = encoder.faces
    transfer.transfer(people[1], None, strength=0.5)
    assert before == SMOKE_FACES + 4  # the source, two who look neutral, the result
    assert encoder.faces == before + 1
    calm = [read_photo_with_faces(examples / name, CROPPER) for name in NEUTRAL_PEOPLE]
    mean = sum(vectors(photo)["expression"] for photo in calm) / len(calm)
    wanted = mean / np.linalg.norm(mean)
    before = np.linalg.norm(vectors(people[1])["expression"] - wanted)
    assert answer.metrics.before == pytest.approx(before, abs=1e-5)
    assert answer.metrics.driver_likeness is None


def test_bad_input_is_reported_before_a_model_is_loaded(
    registry: FakeRegistry, server: ModelServer, people: tuple[Photo, Photo]
) -> None:
    transfer = ExpressionTransfer(server)
    with pytest.raises(BadStrength, match=r"1\.6 is no strength: choose one from -0\.5 to 1\.5"):
        transfer.transfer(*people, strength=1.6)
    with pytest.raises(BadStrength):
        transfer.transfer(*people, strength=float("nan"))
    with pytest.raises(NoFace, match="There is no face 2"):
        transfer.transfer(*people, faces=(0, 1))
    source, driver = people
    turned = Face(box=driver.faces[0].box, keypoints=driver.faces[0].keypoints + 0, confidence=0.9)
    turned.keypoints[2] = turned.keypoints[0] - 30
    with pytest.raises(ProfileFace, match="face to take the expression from is seen from the side"):
        transfer.strip(source, Photo(driver.pixels, (turned,), CROPPER))
    assert registry.resolved == 0


def test_a_missing_version_is_reported_with_how_to_get_one(
    registry: FakeRegistry, server: ModelServer, people: tuple[Photo, Photo]
) -> None:
    transfer = ExpressionTransfer(server)
    assert "registry promote pix2pixhd" in str(transfer.status())
    with pytest.raises(EmptyRegistry, match="registry promote pix2pixhd"):
        transfer.transfer(*people)
    registry.production["pix2pixhd"] = Unreachable("The server is down.")
    assert transfer.status() == "The server is down."
    registry.put_transfer()
    assert transfer.status() is None


def test_outside_the_faces_outline_the_photo_stays_and_a_grey_one_stays_grey(
    registry: FakeRegistry, server: ModelServer, people: tuple[Photo, Photo]
) -> None:
    tint = torch.tensor([0.4, 0.2, -0.2])[:, None, None]
    registry.put_transfer(
        generator=drawing(lambda faces, moved: faces + moved[:, :1, None, None].abs() + tint),
        thresholds=NO_THRESHOLDS,
    )
    source, driver = people
    grey = np.repeat(source.pixels.mean(2, keepdims=True).round().astype(np.uint8), 3, axis=2)
    transfer = ExpressionTransfer(server)
    for photo in (source, Photo(grey, source.faces, CROPPER)):
        before = photo.crop(0, CROP).pixels
        crops = [transfer.transfer(photo, driver).crop, *transfer.strip(photo, driver).crops]
        for after in crops:
            corners = after[[0, 0, -1, -1], [0, -1, 0, -1]].astype(int)
            assert np.abs(corners - before[[0, 0, -1, -1], [0, -1, 0, -1]]).max() <= 1
            assert np.abs(after.astype(int) - before).max() > 20
            assert photo is source or np.ptp(after, axis=2).max() <= 1
