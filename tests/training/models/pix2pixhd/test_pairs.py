"""Pairs, drivers and conditions: which faces a generator learns from."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from registry.catalog import EMOTIONS
from registry.crops import CropSpec
from training.datasets.alignment import aligned
from training.datasets.prepare import prepare
from training.datasets.prepared import Prepared
from training.models.pix2pixhd.conditions import ConditionSampler
from training.models.pix2pixhd.config import PairSampling
from training.models.pix2pixhd.encoder import encoder_of
from training.models.pix2pixhd.pairs import Drivers, Pairs

SPEC = CropSpec(size_px=64, margin=0.4)


def test_pairs_are_of_one_session_and_single_faces_are_their_own_target(toy: Prepared) -> None:
    found = Pairs([toy, toy], SPEC, "train")
    person, emotion = toy.index["person"].to_numpy(), toy.index["emotion"].to_numpy()
    source, target = found.rows[found.paired].T
    assert (person[source] == person[target]).all()
    assert (emotion[source] != emotion[target]).all()
    assert set(found.rows.ravel().tolist()) <= set(toy.split("train").tolist())
    assert len(found) == found.paired.sum() + 2 * len(toy.split("train"))
    batch = found.__getitems__([0, len(found) - 1])
    assert (batch["source"][1] == batch["target"][1]).all()
    assert (batch["source"][0] != batch["target"][0]).any()


def test_rare_emotions_are_drawn_more_often(toy: Prepared) -> None:
    found = Pairs([toy, toy], SPEC, "train")
    weights = found.weights(0.25)
    assert weights[~found.paired].sum() == pytest.approx(0.25)
    assert weights[found.paired & (found.set == 0)].sum() == pytest.approx(0.375)
    single = ~found.paired & (found.set == 0)
    often = [weights[single & (found.emotion == e)].sum() for e in (1, 2)]
    faces = [int((single & (found.emotion == e)).sum()) for e in (1, 2)]
    assert often[0] / often[1] == pytest.approx((faces[0] / faces[1]) ** 0.5)


def test_a_driver_is_another_person(toy: Prepared) -> None:
    drivers, rng = Drivers([toy], "train"), np.random.default_rng(0)
    person, emotion = toy.index["person"].to_numpy(), toy.index["emotion"].to_numpy()
    for row in toy.split("train").tolist()[::7]:
        like, other = drivers.like(0, row, rng), drivers.other(0, row, rng)
        assert person[like] != person[row]
        assert emotion[like] == emotion[row]
        assert person[other] != person[row]
        assert emotion[other] != emotion[row]


def test_eyes_of_a_session_are_aligned(examples: Path, tmp_path: Path) -> None:
    photo = Image.open(min(examples.glob("*.jpg"))).convert("RGB")
    source = tmp_path / "set"
    for name, turn, grow, move in (("neutral", 0, 1.0, 0), ("happy", 4, 1.08, 9)):
        width, height = photo.size
        moved = photo.rotate(turn, Image.Resampling.BICUBIC, translate=(move, move))
        (source / "someone").mkdir(parents=True, exist_ok=True)
        moved.resize((int(width * grow), int(height * grow))).save(source / f"someone/{name}.jpg")
    prepare("folder", source, tmp_path / "prepared")
    data = Prepared.open(tmp_path / "prepared")
    data.index["angle"] = 0.0
    # the second face is cut another way, as if its mouth had moved the frame
    row = int(np.flatnonzero(data.index["emotion"] == EMOTIONS.index("happy"))[0])
    path = data.folder / data.index["path"][row]
    crop = Image.open(path)
    crop.rotate(5, Image.Resampling.BICUBIC, translate=(8, 5)).save(path, quality=95)
    spec = CropSpec(size_px=160, margin=0.4)

    def apart(faces: np.ndarray) -> float:
        one, other = (f[20:-20, 20:-20].mean(2) for f in np.asarray(faces[:2], dtype=float))
        return float(np.abs(one - other).mean())

    assert apart(aligned(data, spec)) < 0.4 * apart(data.faces(spec))


def test_a_single_face_gets_its_own_expression_or_another_persons(dln: str, toy: Prepared) -> None:
    pairs, rng = Pairs([toy], SPEC, "train"), np.random.default_rng(0)
    encoder, sampling = encoder_of(dln, SPEC, "cpu"), PairSampling(unpaired_share=0.5)
    sampler = ConditionSampler([toy], pairs, SPEC, encoder, sampling)
    singles = np.flatnonzero(~pairs.paired)[:64]
    change, _, known, with_truth, without_truth, driver = sampler.sample(singles, rng)
    assert not change[known].any()
    assert 10 < int(known.sum()) < 54
    assert with_truth.tolist() == np.flatnonzero(known.numpy()).tolist()
    assert without_truth.tolist() == np.flatnonzero(~known.numpy()).tolist()
    assert change[~known].norm(dim=1).min() > 0
    source = pairs.__getitems__(singles.tolist())["source"]
    assert [bool((a == b).all()) for a, b in zip(driver, source, strict=True)] == known.tolist()


def test_the_driver_of_a_pair_is_another_person_with_the_same_emotion(
    dln: str, toy: Prepared
) -> None:
    pairs, encoder = Pairs([toy], SPEC, "train"), encoder_of(dln, SPEC, "cpu")
    sampling = PairSampling(cross_driver_share=1.0)
    sampler = ConditionSampler([toy], pairs, SPEC, encoder, sampling)
    chosen = np.flatnonzero(pairs.paired)[:16]
    change, wanted, known, *_, driver = sampler.sample(chosen, np.random.default_rng(0))
    faces = pairs.__getitems__(chosen.tolist())
    assert known.all()
    assert not any(bool((a == b).all()) for a, b in zip(driver, faces["target"], strict=True))
    own, target = (encoder(f.float() / 255)["condition"] for f in (faces["source"], driver))
    assert (wanted - target).abs().max() < 1e-5
    assert (change - (target - own)).abs().max() < 1e-5
