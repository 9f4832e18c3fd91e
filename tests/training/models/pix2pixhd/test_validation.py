"""The fixed transfers on which a generator is measured."""

import numpy as np
import pytest
import torch
from torch import Tensor

from registry.crops import CropSpec, to_tensor
from training.datasets.alignment import aligned
from training.datasets.prepared import Prepared
from training.models.pix2pixhd.encoder import Encoder, encoder_of
from training.models.pix2pixhd.validation import TransferValidation

SPEC = CropSpec(size_px=64, margin=0.4)
METRICS = {"distance", "distance_to_truth", "nearer", "identity", "ssim", "ssim_untouched"}


@pytest.fixture
def validation(toy: Prepared) -> TransferValidation:
    return TransferValidation.of([toy], "validation", SPEC, each=20)


@pytest.fixture
def encoder(dln: str) -> Encoder:
    return encoder_of(dln, SPEC, "cpu")


def unchanged(faces: Tensor, change: Tensor) -> Tensor:
    """Return the source itself."""
    del change
    return faces


def test_cases_are_of_one_split_and_the_same_at_every_call(
    validation: TransferValidation, toy: Prepared
) -> None:
    (cases,) = validation.cases
    again = TransferValidation.of([toy], "validation", SPEC, each=20)
    assert again.cases[0] == cases
    assert len(cases) == 20
    person, emotion = toy.index["person"].to_numpy(), toy.index["emotion"].to_numpy()
    rows = set(toy.split("validation").tolist())
    for case in cases:
        assert case.truth is not None
        assert {case.source, case.driver, case.truth} <= rows
        assert person[case.source] == person[case.truth] != person[case.driver]
        assert emotion[case.driver] == emotion[case.truth] != emotion[case.source]


def test_measurements_are_the_means_of_the_items(
    validation: TransferValidation, encoder: Encoder
) -> None:
    with torch.inference_mode():
        items = validation.items(unchanged, encoder)
        rows = validation.measurements(unchanged, encoder)
    assert set(items) == {"set", "person", "source", "driver", "truth", *METRICS}
    assert {row.name for row in rows} == {f"validation/toy/{metric}" for metric in METRICS}
    for row in rows:
        assert row.value == pytest.approx(float(np.mean(items[row.metric])))


def test_the_distance_to_the_truth_is_that_of_both_expressions(
    validation: TransferValidation, encoder: Encoder, toy: Prepared
) -> None:
    faces = aligned(toy, SPEC)
    (cases,) = validation.cases
    with torch.inference_mode():
        found = validation.items(unchanged, encoder)["distance_to_truth"]
        for value, case in zip(found[:5], cases, strict=False):
            assert case.truth is not None
            both = encoder(to_tensor([faces[case.source], faces[case.truth]]))["expression"]
            assert value == pytest.approx(float((both[0] - both[1]).norm()), abs=1e-4)


def test_an_unchanged_face_is_no_nearer_and_the_same_person(
    validation: TransferValidation, encoder: Encoder
) -> None:
    with torch.inference_mode():
        items = validation.items(unchanged, encoder)
    assert items["nearer"].abs().max() < 1e-5
    assert items["identity"].min() > 1 - 1e-5
    assert items["ssim"].tolist() == pytest.approx(items["ssim_untouched"].tolist(), abs=1e-5)
    assert 0 < items["ssim_untouched"].max() < 1


def test_the_threshold_of_persons_is_computed_from_real_pairs(
    validation: TransferValidation, encoder: Encoder, toy: Prepared
) -> None:
    black = validation.thresholds(lambda faces, _: torch.zeros_like(faces), encoder)
    same = validation.thresholds(unchanged, encoder)
    assert black.same_person == same.same_person
    alone = Prepared(toy.folder, toy.name, toy.index.assign(person=None, angle=np.nan), None)
    without = TransferValidation.of([alone], "validation", SPEC, each=20)
    assert without.thresholds(unchanged, encoder).same_person == pytest.approx(1, abs=1e-5)


def test_the_sheet_shows_source_driver_result_and_truth(
    validation: TransferValidation, encoder: Encoder
) -> None:
    with torch.inference_mode():
        sheet = validation.sheet(lambda faces, _: torch.zeros_like(faces), encoder)
    assert sheet.shape == (4 * 64, 4 * 64, 3)
    assert not sheet[:, 128:192].any()
    assert sheet[:, :128].any()
    assert sheet[:, 192:].any()
