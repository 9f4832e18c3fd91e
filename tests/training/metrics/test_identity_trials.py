"""Trials of people, and the metrics computed on them, against plain loops."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from registry.metrics.estimates import Quantity, RocAuc, TripletAccuracy, auc
from training.datasets.prepared import Prepared
from training.datasets.readers import lfw_emotion
from training.datasets.splits import person_splits
from training.datasets.synthetic import ict
from training.metrics import identity_trials
from training.metrics.embedding import hellinger_embedding, identity_metrics
from training.metrics.identity_leak import LEAK, leak, stacked_rows

ADVERSARIAL, THREE_PEOPLE = Quantity("adversarial"), Quantity("three_people")
EMOTION_OF = {(p, shot): (p + shot) % 3 for p in range(12) for shot in range(6)}


def index() -> pd.DataFrame:
    """Return twelve people in six pictures each: three emotions, everyone twice in each."""
    rows = [
        (f"{p}_{shot}", f"person{p}", emotion, "test" if p else "train", "female")
        for (p, shot), emotion in EMOTION_OF.items()
    ]
    return pd.DataFrame(rows, columns=["name", "person", "emotion", "split", "sex"]).assign(
        ethnicity=None
    )


def prepared() -> Prepared:
    return Prepared(Path("nowhere"), "made-up", index(), None)


def test_trials_follow_their_rules_and_their_seed() -> None:
    data = prepared()
    trials = identity_trials.trials(data, "test")
    person, emotion = data.index["person"], data.index["emotion"]
    assert set(trials["kind"]) == {"across", "alike", "adversarial", "three_people"}
    for kind, same, rows in trials[["kind", "same_person", "rows"]].itertuples(index=False):
        persons, shown = [person[row] for row in rows], [emotion[row] for row in rows]
        assert "person0" not in persons
        if kind in ("across", "alike"):
            assert (persons[0] == persons[1]) == same
            assert (shown[0] == shown[1]) == (kind == "alike")
        else:
            assert shown[0] == shown[1] != shown[2]
            assert len(set(persons)) == (2 if kind == "adversarial" else 3)
            assert (persons[0] == persons[2]) == (kind == "adversarial")
    pairs = trials[(trials["kind"] == "across") & (trials["same_person"] == True)]  # noqa: E712
    assert pairs["rows"].map(lambda rows: person[rows[0]]).value_counts().max() <= 10
    pd.testing.assert_frame_equal(
        identity_trials.draw_trials(index(), "test"),
        identity_trials.draw_trials(index(), "test"),
    )


@pytest.mark.parametrize("name", ["london", "lfw-emotion", "ict"])
def test_the_committed_lists_name_no_training_person(name: str) -> None:
    with (identity_trials.LISTS / f"people_{name}.parquet").open("rb") as file:
        table = pd.read_parquet(file)
    assert set(table["split"]) == {"validation", "test"}
    if name == "ict":
        split_of = {f"ict{n:03d}": part for part, numbers in ict.PERSONS.items() for n in numbers}
    else:
        split_of = person_splits(name.replace("-", "_"))
    for split, names in table.groupby("split")[identity_trials.FACES]:
        listed = names.melt()["value"].dropna()
        if name == "ict":
            of_face = listed.str.partition("_")[0]
        else:
            of_face = listed.map(lfw_emotion.person_of)
        assert {split_of.get(person) for person in of_face} == {split}


def test_an_identity_network_leaks_all_and_an_expression_network_nothing() -> None:
    data, rng = prepared(), np.random.default_rng(0)
    trials = identity_trials.trials(data, "test")
    codes = pd.factorize(data.index["person"])[0]
    noise = rng.normal(0, 1e-3, (len(codes), 16))
    identity = leak(rng.normal(size=(12, 16))[codes] + noise, data, trials)
    assert identity[LEAK].value == 1.0
    assert identity[Quantity("leak_auc", "sex: female")].value == 1.0
    assert identity[ADVERSARIAL].value == 0.0
    vectors = rng.normal(size=(12, 16))[codes] + noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert identity_metrics(vectors, data, "test") == {
        "identity_verification_auc": 1.0,
        "identity_leak_auc": 1.0,
        "identity_adversarial": 0.0,
    }
    emotion = data.index["emotion"].to_numpy()
    expression = leak(rng.normal(size=(3, 16))[emotion] + noise, data, trials)
    assert 0.4 < expression[LEAK].value < 0.6
    assert expression[ADVERSARIAL].value == 1.0
    assert expression[THREE_PEOPLE].value == 1.0
    collapsed = leak(np.ones((len(codes), 16)), data, trials)
    assert collapsed[LEAK].value == 0.5
    assert collapsed[ADVERSARIAL].value == 0.0


def test_auc_is_the_weighted_share_of_correctly_ordered_pairs() -> None:
    rng = np.random.default_rng(1)
    same, other = rng.integers(0, 5, 9).astype(float), rng.integers(0, 5, 11).astype(float)
    weight, against = rng.integers(0, 3, 9).astype(float), rng.integers(0, 3, 11).astype(float)
    won = sum(
        weight[i] * against[j] * ((same[i] < other[j]) + 0.5 * (same[i] == other[j]))
        for i, j in product(range(9), range(11))
    )
    found = auc(same, other, weight[None], against[None])[0]
    assert found == pytest.approx(won / (weight.sum() * against.sum()))


def test_a_paired_difference_is_narrower_than_the_two_intervals_it_comes_from() -> None:
    rng = np.random.default_rng(2)
    clusters = rng.integers(0, 60, (600, 3))
    hard = rng.random(60) < 0.3
    right = (~hard[clusters].any(1)).astype(float)
    better = np.maximum(right, (rng.random(600) < 0.1).astype(float))
    one, other = (TripletAccuracy(right=each, clusters=clusters) for each in (better, right))
    low, high = one.difference(other)
    assert 0 < low < one.value - other.value < high
    assert high - low < 0.5 * (one.interval().high - one.interval().low)

    pairs, others = np.arange(60).repeat(5), rng.integers(0, 60, (600, 2))
    near, far = rng.normal(0, 1, (1, 300)), rng.normal(0.5, 1, (1, 600))
    leaky = RocAuc(same=near, other=far, same_person=pairs, other_persons=others)
    leakier = RocAuc(same=near - 0.3, other=far, same_person=pairs, other_persons=others)
    assert leaky.interval().low < leaky.value < leaky.interval().high
    assert leakier.difference(leaky).low > 0
    assert RocAuc.mean([leaky, leakier]).value == pytest.approx((leaky.value + leakier.value) / 2)


def test_a_softmax_as_an_embedding_measures_hellinger_distances() -> None:
    logits = np.random.default_rng(3).normal(size=(2, 8)).astype(np.float32)
    p, q = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    a, b = hellinger_embedding(logits)
    expected = np.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum())
    assert np.linalg.norm(a - b) == pytest.approx(expected, rel=1e-5)
    assert stacked_rows(pd.DataFrame({"rows": [[1, 2], [3, 4]]}), 2).tolist() == [[1, 2], [3, 4]]
