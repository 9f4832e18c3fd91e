import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from registry.catalog import EMOTIONS
from registry.faces import FaceCropper
from training.datasets.prepared import PreparedError
from training.datasets.synthetic import ict
from training.datasets.synthetic.expressions import PROTOTYPES, draw_weights, expression_strength
from training.datasets.synthetic.head import FILE, Head
from training.datasets.synthetic.rendering import Light, Mesh, render

SIDED = """PupilDilate browDown browInnerUp browOuterUp cheekPuff cheekRaiser cheekSquint eyeBlink
    eyeLookDown eyeLookIn eyeLookOut eyeLookUp eyeSquint eyeWide mouthDimple mouthFrown
    mouthLowerDown mouthPress mouthSmile mouthStretch mouthUpperUp noseSneer"""
WHOLE = """jawForward jawLeft jawOpen jawRight mouthClose mouthFunnel mouthLeft mouthPucker
    mouthRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper"""
NAMES = [f"{shape}_{side}" for shape in SIDED.split() for side in "LR"]
NAMES += WHOLE.split()
LAMP = Light(azimuth=0.0, elevation=0.0, lamp=0.7, room=0.3)
PER_UNIT_PX = 4.0
SIZE_PX = 80


@pytest.fixture(scope="module")
def dome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a dome whose lids close and whose mouth corners rise."""
    across = np.linspace(-9, 9, 37, dtype=np.float32)
    x, y = (grid.ravel() for grid in np.meshgrid(across, across))
    at = np.arange(37 * 37).reshape(37, 37)
    expression = np.zeros((len(NAMES), len(x), 3), np.float16)
    for side, sign in (("L", 1), ("R", -1)):
        eye = np.exp(-((x - sign * 3) ** 2) - (y - 3.5) ** 2)
        corner = np.exp(-((x - sign * 2.5) ** 2) - (y + 3.5) ** 2)
        expression[NAMES.index(f"eyeBlink_{side}"), :, 1] = -eye
        expression[NAMES.index(f"mouthSmile_{side}"), :, 1] = corner
    folder = tmp_path_factory.mktemp("dome")
    np.savez(
        folder / FILE,
        neutral=np.stack([x, y, 10 - 0.08 * (x**2 + y**2)], 1),
        faces=np.stack([at[:-1, :-1], at[:-1, 1:], at[1:, 1:], at[1:, :-1]], -1).reshape(-1, 4),
        identity=np.stack([np.stack([0.05 * x, 0 * y, 0 * x], 1), np.zeros((len(x), 3))]),
        expression=expression,
        expression_names=np.array(NAMES),
    )
    return folder


def square(z: float, half: float, color: tuple[float, float, float]) -> Mesh:
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], float) * half
    return Mesh(
        vertices=corners + np.array([0, 0, z]),
        quads=np.array([[0, 1, 2, 3]]),
        albedo=np.tile(color, (4, 1)),
        gloss=np.zeros(4),
        openness=np.ones(4),
    )


def join(a: Mesh, b: Mesh) -> Mesh:
    joined = {
        name: np.concatenate([vars(a)[name], vars(b)[name]])
        for name in ("vertices", "albedo", "gloss", "openness")
    }
    return Mesh(quads=np.concatenate([a.quads, b.quads + len(a.vertices)]), **joined)


def render_flat(mesh: Mesh, light: Light = LAMP) -> np.ndarray:
    middle = SIZE_PX / 2
    to_crop = np.array([[PER_UNIT_PX, 0, middle], [0, PER_UNIT_PX, middle]])
    return render(mesh, to_crop, light, np.full((SIZE_PX, SIZE_PX), 0.5)).astype(int)


def mesh_of(head: Head, weights: dict[str, float]) -> Mesh:
    return Mesh(
        vertices=head.shape(np.zeros(len(head.identity)), weights),
        quads=head.quads,
        albedo=head.paint(ict.draw_appearance("ict000")),
        gloss=head.gloss,
        openness=head.openness,
    )


def test_the_nearer_surface_hides_the_farther_one_in_either_order() -> None:
    red, blue = square(2.0, 3.0, (0.9, 0.1, 0.1)), square(-2.0, 6.0, (0.1, 0.1, 0.9))
    for mesh in (join(red, blue), join(blue, red)):
        picture = render_flat(mesh)
        assert picture[40, 40, 0] > 150 > 100 > picture[40, 40, 2]
        assert picture[40, 58, 2] > 150 > 100 > picture[40, 58, 0]
        assert (picture[2, 2] == 128).all()


def test_the_back_of_a_surface_is_not_rendered() -> None:
    front = square(0.0, 5.0, (0.9, 0.1, 0.1))
    assert (render_flat(replace(front, quads=front.quads[:, ::-1])) == 128).all()


def test_a_square_covers_as_many_pixels_as_its_area() -> None:
    covered = (render_flat(square(0.0, 5.0, (0.9, 0.1, 0.1))) != 128).any(-1)
    assert covered.sum() == (2 * 5 * PER_UNIT_PX) ** 2


def test_a_head_is_brighter_on_the_side_of_the_lamp(dome: Path) -> None:
    mesh = mesh_of(Head.load(dome), {})
    right, left = (render_flat(mesh, replace(LAMP, azimuth=a))[20:60, 10:70] for a in (60.0, -60.0))
    assert right[:, 30:].mean() > right[:, :30].mean() + 20
    assert left[:, :30].mean() > left[:, 30:].mean() + 20


def test_a_smile_changes_the_mouth_and_nothing_above_the_nose(dome: Path) -> None:
    head = Head.load(dome)
    rest, smile = (render_flat(mesh_of(head, weights)) for weights in ({}, {"mouthSmile_L": 1.0}))
    changed = np.abs(rest - smile).max(-1)
    assert changed[45:65].max() > 10
    assert changed[:35].max() == 0


def test_equal_names_give_equal_bytes_in_other_processes_too(dome: Path) -> None:
    source = ict.read(dome).source
    first = source.read("ict017_happy_1")
    assert pickle.loads(pickle.dumps(source)).read("ict017_happy_1") == first  # noqa: S301
    assert source.read("ict017_happy_0") != first


def test_a_person_has_the_same_identity_in_every_expression(
    dome: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = []
    shape = Head.shape

    def record(head: Head, identity: np.ndarray, weights: dict[str, float]) -> np.ndarray:
        rendered.append((identity, weights))
        return shape(head, identity, weights)

    monkeypatch.setattr(Head, "shape", record)
    for name in ("ict017_happy_1", "ict017_anger_0", "ict018_happy_1"):
        ict.portrait(Head.load(dome), name, 32)
    (happy, happy_weights), (angry, angry_weights), (other, _) = rendered
    assert np.array_equal(happy, angry)
    assert not np.array_equal(happy, other)
    assert happy_weights["mouthSmile_L"] > 0.5 > 0.2 > angry_weights.get("mouthSmile_L", 0.0)


def test_contempt_shows_on_one_side_and_happiness_on_both(dome: Path) -> None:
    head = Head.load(dome)
    for variant in range(12):
        smirk = draw_weights(head, "contempt", f"ict001_contempt_{variant}")
        smile = draw_weights(head, "happy", f"ict001_happy_{variant}")
        assert ("mouthSmile_L" in smirk) != ("mouthSmile_R" in smirk)
        assert min(smile["mouthSmile_L"], smile["mouthSmile_R"]) > 0.4


def test_persons_have_all_emotions_in_one_split_and_votes_follow_the_strength(dome: Path) -> None:
    pictures = pd.DataFrame(map(vars, ict.read(dome).pictures))
    votes = np.array(pictures["votes"].tolist())
    by_person = pictures.groupby("person")
    assert pictures["name"].is_unique
    assert (by_person.size() == 20).all()
    assert (by_person["emotion"].nunique() == len(EMOTIONS)).all()
    assert (by_person["split"].nunique() == 1).all()
    people = pictures.groupby("split")["person"].nunique().to_dict()
    assert people == {"train": 110, "validation": 15, "test": 25}
    assert (votes.sum(1) == 10).all()
    assert (votes.argmax(1) == pictures["emotion"]).all()
    strong = [expression_strength(EMOTIONS[p.emotion], p.name) for p in pictures.itertuples()]
    assert (votes.max(1) == np.round(10 * np.array(strong))).all()
    assert set(votes[pictures["emotion"] > 0].max(1)) == {6, 7, 8, 9, 10}


def test_a_source_without_the_head_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PreparedError, match="needs its source"):
        ict.read(None)
    with pytest.raises(PreparedError, match=r"There is no .*ict_deltas\.npz"):
        ict.read(tmp_path)
    (tmp_path / FILE).write_bytes(b"something else")
    with pytest.raises(PreparedError, match="isn't the head of ict"):
        ict.read(tmp_path)
    np.savez(tmp_path / FILE, neutral=np.zeros((3, 3)))
    with pytest.raises(PreparedError, match="isn't the head of ict"):
        ict.read(tmp_path)


def test_rendered_faces_are_found_at_the_centre_in_the_expected_size(shared_data: Path) -> None:
    head, cropper = Head.load(shared_data / "ict_facekit"), FaceCropper()
    sides, offsets = [], []
    for person, emotion in enumerate(EMOTIONS * 2):
        face = cropper.one(ict.portrait(head, f"ict{person:03d}_{emotion}_0", 224, 1.0))
        sides.append(face.side / 112)
        offsets.append(np.hypot(*(np.array(face.centre) - 112)) / 112)
    assert abs(np.median(sides) - 1) < 0.05
    assert np.quantile(np.abs(np.array(sides) - 1), 0.8) < 0.15
    assert np.quantile(offsets, 0.8) < 0.08


def test_the_real_head_has_every_shape_that_a_prototype_names(shared_data: Path) -> None:
    head = Head.load(shared_data / "ict_facekit")
    assert sorted(head.names) == sorted(NAMES)
    assert set(PROTOTYPES) == set(EMOTIONS)
    for emotion in EMOTIONS:
        for number in range(12):
            assert set(draw_weights(head, emotion, f"{emotion}{number}")) <= set(NAMES)
