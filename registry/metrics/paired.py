"""Two versions on the same items: both values of each metric, and the interval of the difference.

Everything here reads tables of outcomes; docs/formats.md lists their columns.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from registry.metrics.bootstrap import cluster_weights, interval
from registry.metrics.estimates import PERCENTILES, Difference, Interval, Quantity, RocAuc
from registry.metrics.faces import FACE_METRICS, Faces

SHARES = {
    "triplet": "triplet_accuracy",
    "adversarial": "adversarial",
    "three_people": "three_people",
}
"""Kinds of triplets, and the metric that is the share of right ones."""
AREAS = {"across": "leak_auc", "alike": "leak_auc_same_expression"}
"""Kinds of pairs, and the metric that is the area under the ROC curve of their distances."""
TRANSFER_METRICS = ("distance_to_truth", "distance", "nearer", "identity", "ssim")
KEYS = ("kind", "type", "name_1", "name_2", "name_3", "name", "source", "driver")
"""The columns that say which item a row is, and after these what is true of it."""
TRUTHS = ("emotion", "truth", "same_person", "person", "person_1", "person_2", "person_3")
FEWEST_PERSONS = 20
"""With fewer persons, photos are drawn: the interval of a few persons would be far too narrow."""
NAMES, PERSONS = ("name_1", "name_2", "name_3"), ("person_1", "person_2", "person_3")


class OtherItemsError(ValueError):
    """Two tables are not about the same items."""


def differences(candidate: pd.DataFrame, other: pd.DataFrame) -> dict[Quantity, Difference]:
    """Return all metrics of two tables of outcomes, whatever the order of their rows.

    Args:
        candidate: the outcomes of one version.
        other: those of another version of the same model on the same split of a set.

    Raises:
        OtherItemsError: the items are not the same, or not the same is true of them.
    """
    try:
        candidate, other = _aligned(candidate, other)
        if "kind" in candidate:
            return dict(_of_embedding(candidate, other))
        if "emotion" in candidate:
            return dict(_of_faces(candidate, other))
        return dict(_of_transfers(candidate, other))
    except KeyError as error:  # a column is missing
        raise OtherItemsError from error


def _aligned(one: pd.DataFrame, other: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both tables in the same order.

    Raises:
        KeyError: one lacks a column.
        OtherItemsError: they don't have the same items.
    """
    if "kind" not in one and "emotion" in one:  # two classifiers may know different emotions
        known = set(one["emotion"]) & set(other["emotion"])
        one, other = (table[table["emotion"].isin(known)] for table in (one, other))
    keys = [key for key in (*KEYS, *TRUTHS) if key in one or key in other]
    if "kind" in one:  # what people chose; of faces the column holds what the network says
        keys.append("answer")
    items = [table[keys].astype("string").fillna("") for table in (one, other)]
    order = [each.sort_values(keys).index for each in items]
    if not np.array_equal(items[0].loc[order[0]], items[1].loc[order[1]]):
        raise OtherItemsError
    return one.loc[order[0]].reset_index(drop=True), other.loc[order[1]].reset_index(drop=True)


def _of_embedding(one: pd.DataFrame, other: pd.DataFrame) -> Iterator[tuple[Quantity, Difference]]:
    for kind, metric in SHARES.items():
        of_kind = (one["kind"] == kind).to_numpy()
        types = one["type"][of_kind & (kind == "triplet")].dropna().unique().tolist()
        for group in ("", *types) if of_kind.any() else ():
            chosen = of_kind & (one["type"] == group).to_numpy() if group else of_kind
            right = [table["right"][chosen].to_numpy(dtype=np.float64) for table in (one, other)]
            yield Quantity(metric, group), _of_means(right[0], right[1], _clusters(one[chosen]))
    for kind, metric in AREAS.items():
        chosen = (one["kind"] == kind).to_numpy()
        same = one["same_person"][chosen].to_numpy(dtype=bool)
        if same.any() and not same.all():
            areas = [_area(table[chosen], same) for table in (one, other)]
            values = areas[0].value, areas[1].value
            yield Quantity(metric), Difference(*values, areas[0].difference(areas[1]))


def _of_faces(one: pd.DataFrame, other: pd.DataFrame) -> Iterator[tuple[Quantity, Difference]]:
    both = [Faces.read(table) for table in (one, other)]
    clusters = _clusters_of(one["person"], one["name"])
    weights = list(cluster_weights(clusters))
    for name, metric in FACE_METRICS.items():
        whole = [float(metric(faces, np.ones((1, len(clusters))))[0]) for faces in both]
        apart = [metric(both[0], each) - metric(both[1], each) for each in weights]
        yield Quantity(name), Difference(whole[0], whole[1], _percentiles(np.concatenate(apart)))
    for label in sorted(one["emotion"].unique()):
        chosen = (one["emotion"] == label).to_numpy()
        right = [faces.right[chosen].astype(np.float64) for faces in both]
        group = Quantity("recall", f"emotion: {label}")
        yield group, _of_means(right[0], right[1], clusters[chosen][:, None])


def _of_transfers(one: pd.DataFrame, other: pd.DataFrame) -> Iterator[tuple[Quantity, Difference]]:
    clusters = _clusters_of(one["person"], one["source"])
    for metric in TRANSFER_METRICS:
        if metric in other:  # what the candidate alone lacks is NaN, and no gate lets NaN pass
            one_values = one[metric] if metric in one else pd.Series(np.nan, one.index)
            values = [each.to_numpy(dtype=np.float64) for each in (one_values, other[metric])]
            known = ~np.isnan(values[1])
            if known.any():
                values = [each[known] for each in values]
                yield Quantity(metric), _of_means(values[0], values[1], clusters[known][:, None])


def _of_means(
    one: Float[np.ndarray, "items"],
    other: Float[np.ndarray, "items"],
    clusters: Int[np.ndarray, "items faces"],
) -> Difference:
    apart = Interval(*interval(one - other, clusters))
    return Difference(float(one.mean()), float(other.mean()), apart)


def _clusters_of(person: pd.Series, name: pd.Series) -> Int[np.ndarray, "items"]:
    """Return the number of the person of each item; of its photo where too few are known."""
    few = person.nunique() < FEWEST_PERSONS
    clusters = name if few else person.where(person.notna(), name)
    numbers: np.ndarray = np.unique(clusters.astype(str), return_inverse=True)[1]
    return numbers


def _clusters(triplets: pd.DataFrame) -> Int[np.ndarray, "triplets 3"]:
    """Return the person of each face, or the photo where the persons are not known."""
    columns = PERSONS if triplets["person_1"].notna().all() else NAMES
    names = triplets[list(columns)].to_numpy(dtype=str)
    numbers: np.ndarray = np.unique(names, return_inverse=True)[1].reshape(names.shape)
    return numbers


def _area(pairs: pd.DataFrame, same: np.ndarray) -> RocAuc:
    names = pairs[list(PERSONS[:2])].to_numpy(dtype=str)
    persons = np.unique(names, return_inverse=True)[1].reshape(names.shape)
    distance = pairs["distance"].to_numpy(dtype=np.float64)[None]
    return RocAuc(
        same=distance[:, same],
        other=distance[:, ~same],
        same_person=persons[same, 0],
        other_persons=persons[~same],
    )


def _percentiles(values: Float[np.ndarray, "resamples"]) -> Interval:
    return Interval(*np.nanpercentile(values, PERCENTILES).tolist())
