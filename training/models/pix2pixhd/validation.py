"""Fixed transfers between faces of one split: measured, and shown as a sheet."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import UInt8
from torch import Tensor

from registry.crops import CropSpec, to_tensor
from registry.measurements import Measurement
from registry.transfer_metrics import TransferMetrics, TransferThresholds
from training.datasets.alignment import aligned
from training.datasets.pairs import pairs
from training.datasets.prepared import Prepared
from training.metrics.transfer import measure_transfers, ssim
from training.models.pix2pixhd.pairs import Drivers, in_one_frame

CASES_PER_SET = 48
"""Largest number of transfers of a set."""
SHEET_ROWS = 4
"""Largest number of transfers of a set on the sheet."""
BATCH = 16
REAL_PAIRS = 500
"""Largest number of real pairs of one person per set, for the threshold `same_person`."""
Generate = Callable[[Tensor, Tensor], Tensor]
"""Faces on the CPU and changes of their condition -> pictures in [0, 1], on any device."""
Encode = Callable[[Tensor], Mapping[str, Tensor]]
"""Faces on any device -> unit vectors `expression` and `identity`, and the `condition`."""


@dataclass(frozen=True, kw_only=True)
class TransferCase:
    """One transfer: rows of one set."""

    source: int
    """The face that is changed."""
    driver: int
    """The face whose expression it gets."""
    truth: int | None
    """The source's person with the driver's expression, if there is such a picture."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TransferValidation:
    """The transfers of some sets; make it with `TransferValidation.of`."""

    sets: Sequence[Prepared]
    split: str
    spec: CropSpec
    cases: Sequence[Sequence[TransferCase]]
    """The transfers of each set."""

    @classmethod
    def of(
        cls,
        sets: Sequence[Prepared],
        split: str,
        spec: CropSpec,
        *,
        each: int = CASES_PER_SET,
    ) -> "TransferValidation":
        """Return up to `each` transfers of each set, the same at every call.

        If a set has pairs of one session, the source is one picture, the truth the other, and the
        driver is another person with the truth's expression. In other sets the driver shows
        another expression than the source, and there is no truth.
        """
        drivers = Drivers(sets, split)
        cases = [_cases(data, which, split, drivers, each) for which, data in enumerate(sets)]
        return cls(sets=sets, split=split, spec=spec, cases=cases)

    def items(self, generate: Generate, encode: Encode) -> pd.DataFrame:
        """Return a row for each transfer: set, source, driver, truth (names) and its metrics.

        `distance` is the Euclidean distance of the result's expression to the driver's, `nearer`
        the share by which it came nearer, `identity` the cosine similarity to the source. If there
        is a truth, `distance_to_truth` is the distance to its expression, `ssim` compares the
        result with it and `ssim_untouched` the source. `person` is the source's.
        """
        rows: list[dict[str, object]] = []
        for data, cases in zip(self.sets, self.cases, strict=True):
            measured = self._measured(data, cases, generate, encode)
            for case, metrics in zip(cases, measured, strict=True):
                rows.append({"set": data.name, **_names(data, case), **metrics})
        return pd.DataFrame(rows)

    def measurements(self, generate: Generate, encode: Encode) -> list[Measurement]:
        """Return the mean of each metric of `items` by set."""
        means = self.items(generate, encode).groupby("set").mean(numeric_only=True)
        return [
            Measurement(split=self.split, set=str(name), metric=str(metric), value=float(value))
            for name, row in means.iterrows()
            for metric, value in row.dropna().items()
        ]

    def thresholds(self, generate: Generate, encode: Encode) -> TransferThresholds:
        """Return the thresholds of a version, from the transfers and from real pairs."""
        with torch.inference_mode():
            transfers = [
                metrics
                for data, cases in zip(self.sets, self.cases, strict=True)
                for source, driver, _ in self._batches(data, cases)
                for metrics in self._transfer(generate, encode, source, driver)[1]
            ]
            real = [likeness for data in self.sets for likeness in self._real(data, encode)]
        return TransferThresholds.derive(transfers, real)

    def sheet(self, generate: Generate, encode: Encode) -> UInt8[np.ndarray, "h w 3"]:
        """Return a row for some transfers: source, driver, result, and the truth or white."""
        rows: list[Tensor] = []
        for data, cases in zip(self.sets, self.cases, strict=True):
            for source, driver, truth in self._batches(data, cases[:SHEET_ROWS]):
                result, _ = self._transfer(generate, encode, source, driver)
                white = torch.ones_like(source)
                columns = [source, driver, result.cpu(), white if truth is None else truth]
                rows.extend(torch.stack(columns, 1))
        return np.concatenate([_sheet_row(row) for row in rows])

    def _measured(
        self, data: Prepared, cases: Sequence[TransferCase], generate: Generate, encode: Encode
    ) -> Iterator[dict[str, float]]:
        for source, driver, truth in self._batches(data, cases):
            result, transfers = self._transfer(generate, encode, source, driver)
            columns = {
                "distance": [metrics.after for metrics in transfers],
                "nearer": [metrics.nearer for metrics in transfers],
                "identity": [metrics.likeness for metrics in transfers],
            }
            if truth is not None:
                wished, reached = encode(truth)["expression"], encode(result)["expression"]
                columns["distance_to_truth"] = (wished - reached).norm(dim=1).tolist()
                columns["ssim"] = ssim(result.cpu(), truth).tolist()
                columns["ssim_untouched"] = ssim(source, truth).tolist()
            for values in zip(*columns.values(), strict=True):
                yield dict(zip(columns, values, strict=True))

    def _transfer(
        self, generate: Generate, encode: Encode, source: Tensor, driver: Tensor
    ) -> tuple[Tensor, list[TransferMetrics]]:
        wanted = encode(driver)
        result = generate(source, wanted["condition"] - encode(source)["condition"]).float()
        return result, measure_transfers(encode, source, result, wanted)

    def _batches(
        self, data: Prepared, cases: Sequence[TransferCase]
    ) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """Yield sources, drivers and truths, (batch, 3, h, w) in [0, 1]."""
        plain, level = data.faces(self.spec), aligned(data, self.spec)
        for start in range(0, len(cases), BATCH):
            batch = cases[start : start + BATCH]
            truths = [case.truth for case in batch if case.truth is not None]
            yield (
                to_tensor([level[case.source] for case in batch]),
                to_tensor([plain[case.driver] for case in batch]),
                to_tensor([level[truth] for truth in truths]) if truths else None,
            )

    def _real(self, data: Prepared, encode: Encode) -> Iterator[float]:
        """Yield the cosine similarities of real pictures of one person."""
        found = pairs(data, self.split)
        found = found[found[:, 0] < found[:, 1]]
        chosen = np.random.default_rng(0).permutation(len(found))[:REAL_PAIRS]
        faces = data.faces(self.spec)
        for start in range(0, len(chosen), BATCH):
            batch = found[chosen[start : start + BATCH]]
            one, other = (
                encode(to_tensor([faces[row] for row in side]))["identity"] for side in batch.T
            )
            yield from (one * other).sum(1).tolist()


def _cases(
    data: Prepared, which: int, split: str, drivers: Drivers, each: int
) -> list[TransferCase]:
    rng = np.random.default_rng(0)
    found = in_one_frame(data, split)
    if len(found):
        chosen = found[rng.permutation(len(found))[:each]].tolist()
        return [
            TransferCase(source=a, driver=drivers.like(which, b, rng), truth=b) for a, b in chosen
        ]
    rows = rng.permutation(data.split(split))[:each].tolist()
    return [
        TransferCase(source=row, driver=drivers.other(which, row, rng), truth=None) for row in rows
    ]


def _names(data: Prepared, case: TransferCase) -> dict[str, str | None]:
    names = data.index["name"]
    person = data.index["person"].iloc[case.source]
    return {
        "person": None if pd.isna(person) else person,
        "source": names.iloc[case.source],
        "driver": names.iloc[case.driver],
        "truth": None if case.truth is None else names.iloc[case.truth],
    }


def _sheet_row(faces: Tensor) -> UInt8[np.ndarray, "h w 3"]:
    pixels = (faces.clamp(0, 1) * 255).round().byte().permute(2, 0, 3, 1)
    return pixels.reshape(faces.shape[2], -1, 3).numpy()
