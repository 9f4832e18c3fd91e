"""Values of metrics against scikit-learn and torchmetrics, differences against plain loops."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, roc_auc_score
from torchmetrics.functional.classification import binary_calibration_error

from registry.metrics.bootstrap import interval
from registry.metrics.estimates import Quantity
from registry.metrics.faces import FACE_METRICS, Faces
from registry.metrics.paired import OtherItemsError, differences

LABELS = ("anger", "happy", "sad")


def faces(seed: int, share_right: float) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    truth = np.array(LABELS)[np.random.default_rng(0).integers(3, size=60)]
    answer = np.where(rng.random(60) < share_right, truth, "happy")
    return pd.DataFrame(
        {
            "name": [f"{i}.jpg" for i in range(60)],
            "person": [f"person {i // 2}" if i < 50 else None for i in range(60)],
            "emotion": truth,
            "answer": answer,
            "probability": rng.uniform(0.3, 1, 60),
        }
    )


def triplets(seed: int) -> pd.DataFrame:
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(0)
    names = np.array([fixed.choice(12, 3, replace=False) for _ in range(40)]).astype(str)
    table = pd.DataFrame(names, columns=["name_1", "name_2", "name_3"])
    table["kind"], table["type"] = "triplet", ["one class", "two class"] * 20
    table["answer"], table["right"] = 3, rng.random(40) < 0.7
    pairs = pd.DataFrame(fixed.integers(8, size=(30, 2)).astype(str), columns=["name_1", "name_2"])
    pairs["person_1"], pairs["person_2"] = pairs["name_1"], pairs["name_2"]
    pairs["kind"], pairs["same_person"] = "across", [True, False] * 15
    pairs["distance"] = rng.random(30)
    return pd.concat([table, pairs], ignore_index=True).assign(person_3=None)


def test_metrics_of_faces_are_those_of_the_libraries_also_with_weights() -> None:
    table = faces(1, 0.6)
    weights = np.random.default_rng(2).integers(1, 4, (2, 60)).astype(float)
    found = {name: metric(Faces.read(table), weights) for name, metric in FACE_METRICS.items()}
    for row, each in enumerate(weights):
        repeated = table.loc[np.repeat(table.index, each.astype(int))]
        truth, answer = repeated["emotion"], repeated["answer"]
        assert found["accuracy"][row] == pytest.approx(accuracy_score(truth, answer))
        assert found["mean_recall"][row] == pytest.approx(balanced_accuracy_score(truth, answer))
        assert found["macro_f1"][row] == pytest.approx(f1_score(truth, answer, average="macro"))
        right = torch.from_numpy((truth == answer).to_numpy())
        probability = torch.from_numpy(repeated["probability"].to_numpy())
        expected = binary_calibration_error(probability, right.int(), n_bins=15)
        assert found["calibration_error"][row] == pytest.approx(float(expected), abs=1e-6)


def test_the_difference_of_two_classifiers_is_paired_over_persons() -> None:
    one, other = faces(1, 0.9), faces(2, 0.5)
    found = differences(one, other.sample(frac=1, random_state=3))[Quantity("macro_f1")]
    clusters = one["person"].fillna(one["name"]).to_numpy()
    numbers = np.unique(clusters, return_inverse=True)[1]
    draws, apart = np.random.default_rng(0), []
    for _ in range(4):
        for counts in draws.multinomial(35, np.full(35, 1 / 35), size=50):
            rows = np.repeat(np.arange(60), counts[numbers])
            scores = [
                f1_score(
                    table["emotion"].iloc[rows],
                    table["answer"].iloc[rows],
                    labels=table["emotion"].iloc[rows].unique(),
                    average="macro",
                )
                for table in (one, other)
            ]
            apart.append(scores[0] - scores[1])
    assert found.interval is not None
    assert found.interval.low == pytest.approx(np.percentile(apart, 2.5), abs=0.06)
    assert found.interval.high == pytest.approx(np.percentile(apart, 97.5), abs=0.06)
    assert found.candidate - found.other > 0.2 > 0 < found.interval.low


def test_triplets_are_compared_by_type_and_pairs_by_their_roc_curve() -> None:
    one, other = triplets(1), triplets(2)
    found = differences(one, other)
    assert {str(quantity) for quantity in found} == {
        "triplet_accuracy",
        "triplet_accuracy, one class",
        "triplet_accuracy, two class",
        "leak_auc",
    }
    right = [table["right"][:40].to_numpy(dtype=float) for table in (one, other)]
    photos = one[["name_1", "name_2", "name_3"]][:40].to_numpy(dtype=int)
    accuracy = found[Quantity("triplet_accuracy")]
    assert (accuracy.candidate, accuracy.other) == pytest.approx((right[0].mean(), right[1].mean()))
    names = np.unique(photos.astype(str), return_inverse=True)[1].reshape(40, 3)
    assert accuracy.interval == pytest.approx(interval(right[0] - right[1], names))
    for value, table in zip(found[Quantity("leak_auc")][:2], (one, other), strict=True):
        pairs = table[table["kind"] == "across"]
        expected = roc_auc_score(pairs["same_person"].astype(bool), -pairs["distance"])
        assert value == pytest.approx(expected)


def test_transfers_are_compared_where_both_have_a_truth() -> None:
    one = pd.DataFrame(
        {
            "source": list("abcd"),
            "driver": list("wxyz"),
            "truth": ["t", "u", None, None],
            "person": None,
            "distance": [0.1, 0.2, 0.3, 0.4],
            "distance_to_truth": [0.5, 0.7, np.nan, np.nan],
        }
    )
    other = one.assign(distance=one["distance"] + 0.1)
    found = differences(one, other)
    apart = found[Quantity("distance")]
    assert apart.candidate - apart.other == pytest.approx(-0.1)
    assert apart.interval == pytest.approx((-0.1, -0.1))
    assert found[Quantity("distance_to_truth")][:2] == pytest.approx((0.6, 0.6))


def test_what_the_candidate_could_not_compute_is_not_a_number_and_never_left_out() -> None:
    one = pd.DataFrame({"source": list("abc"), "driver": list("xyz"), "person": None})
    one["distance"], other = [0.1, np.nan, 0.3], one.assign(distance=0.2, ssim=[0.5, 0.6, np.nan])
    found = differences(one, other)
    assert np.isnan(found[Quantity("distance")].candidate)
    assert np.isnan(found[Quantity("ssim")].candidate)
    assert found[Quantity("ssim")].other == pytest.approx(0.55)


def test_a_few_persons_give_no_narrow_interval() -> None:
    one, other = (faces(seed, 0.7).assign(person="the same") for seed in (1, 2))
    interval = differences(one, other)[Quantity("accuracy")].interval
    assert interval is not None
    assert interval.high - interval.low > 0.1


def test_classifiers_are_compared_on_the_emotions_that_both_know() -> None:
    one = faces(1, 0.9)
    other = faces(2, 0.9)[one["emotion"] != "sad"]
    assert Quantity("recall", "emotion: sad") not in differences(one, other)
    assert differences(one, other)[Quantity("macro_f1")].candidate > 0


@pytest.mark.parametrize("column", ["name", "emotion", "person"])
def test_other_items_are_never_compared(column: str) -> None:
    one = faces(1, 0.8)
    changed = one.copy()
    changed.loc[0, column] = "another"
    for other in (changed, one[1:], one.drop(columns=column)):
        with pytest.raises(OtherItemsError):
            differences(one, other)
