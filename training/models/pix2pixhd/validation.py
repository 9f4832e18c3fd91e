"""Fixed transfers between faces that no training saw: measured, and shown."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import UInt8
from torch import Tensor

from registry.crops import CropSpec, to_tensor
from registry.measurements import Measurement
from training.datasets.alignment import aligned
from training.datasets.pairs import pairs
from training.datasets.prepared import Prepared
from training.metrics.transfer import likeness, receipts
from training.models.pix2pixhd.pairs import Drivers, in_one_frame

EACH = 48
"""TransferValidation of a set at most."""
SHOWN = 4
"""Of those, on the sheet."""
BATCH = 16
RARE = 0.05
"""Below what all but this share of validation reaches, an answer is worth a warning."""
GENUINE = 500
"""Pairs of real pictures of one person, of each set, that say how alike they are at least."""
CPU = torch.device("cpu")
Generate = Callable[[Tensor, Tensor], Tensor]
Encode = Callable[[Tensor], Mapping[str, Tensor]]


@dataclass(frozen=True, kw_only=True)
class TransferCase:
    """Rows of one set: whose face, who asks, and what would be right, where that is known."""

    source: int
    driver: int
    truth: int | None


@dataclass(frozen=True, kw_only=True, eq=False)
class TransferValidation:
    """The trials of some sets; make them with `TransferValidation.of`."""

    sets: Sequence[Prepared]
    split: str
    spec: CropSpec
    trials: Sequence[Sequence[TransferCase]]
    device: torch.device

    @classmethod
    def of(
        cls,
        sets: Sequence[Prepared],
        split: str,
        spec: CropSpec,
        *,
        each: int = EACH,
        device: torch.device = CPU,
    ) -> "TransferValidation":
        """Draw up to `each` trials of each set, the same at every call.

        Pairs of a sitting are asked for by other people who show what the truth shows; in sets
        without such pairs anybody asks for anything, and there is no truth.
        """
        drivers = Drivers(sets, split)
        drawn = [_drawn(data, which, split, drivers, each) for which, data in enumerate(sets)]
        return cls(sets=sets, split=split, spec=spec, trials=drawn, device=device)

    def items(self, generate: Generate, encode: Encode) -> pd.DataFrame:
        """Return a row for each trial: set, source, driver, truth and what was measured.

        `nearer` is the share by which the expression came nearer to the driver's, `identity` the
        similarity to the source; against the truth stand `ssim`, and `ssim_untouched` of the
        source.
        """
        rows: list[dict[str, object]] = []
        for data, trials in zip(self.sets, self.trials, strict=True):
            name = data.index["name"].to_numpy()
            for trial, measured in zip(
                trials, self._each(data, trials, generate, encode), strict=True
            ):
                truth = None if trial.truth is None else name[trial.truth]
                said = {"source": name[trial.source], "driver": name[trial.driver], "truth": truth}
                rows.append({"set": data.name, **said, **measured})
        return pd.DataFrame(rows)

    def measurements(self, generate: Generate, encode: Encode) -> list[Measurement]:
        """Return the mean of each metric of `items` by set."""
        means = self.items(generate, encode).groupby("set").mean(numeric_only=True)
        return [
            Measurement(split=self.split, set=str(name), metric=metric, value=float(value))
            for name, row in means.iterrows()
            for metric, value in row.dropna().items()
        ]

    def _each(
        self, data: Prepared, trials: Sequence[TransferCase], generate: Generate, encode: Encode
    ) -> Iterator[dict[str, float]]:
        for source, driver, truth in self._batches(data, trials):
            result, found = self._answered(generate, encode, source, driver)
            measured = {"nearer": found.nearer, "identity": found.identity}
            if truth is not None:
                measured["ssim"] = likeness(result.cpu(), truth)
                measured["ssim_untouched"] = likeness(source, truth)
            for values in zip(*(each.tolist() for each in measured.values()), strict=True):
                yield dict(zip(measured, values, strict=True))

    def thresholds(self, generate: Generate, encode: Encode) -> dict[str, float]:
        """Return from when on an answer is worth a warning; our decision.

        `nearer`: what all but 5 % of the trials reach, but no less than 0. `same_person`: what all
        but 5 % of the real pairs of one person reach, or of the trials where there are no pairs.
        """
        with torch.inference_mode():
            found = [
                self._answered(generate, encode, source, driver)[1]
                for data, trials in zip(self.sets, self.trials, strict=True)
                for source, driver, _ in self._batches(data, trials)
            ]
            genuine = [self._genuine(data, encode) for data in self.sets]
        nearer = torch.cat([each.nearer for each in found])
        alike = torch.cat(genuine) if sum(map(len, genuine)) else None
        identity = torch.cat([each.identity for each in found]) if alike is None else alike
        return {
            "nearer": max(0.0, float(nearer.quantile(RARE))),
            "same_person": float(identity.quantile(RARE)),
        }

    def sheet(self, generate: Generate, encode: Encode) -> UInt8[np.ndarray, "h w 3"]:
        """Return some trials a line: source, driver, result, and the truth or nothing."""
        lines: list[Tensor] = []
        for data, trials in zip(self.sets, self.trials, strict=True):
            for source, driver, truth in self._batches(data, trials[:SHOWN]):
                result, _ = self._answered(generate, encode, source, driver)
                blank = torch.ones_like(source)
                shown = [source, driver, result, blank if truth is None else truth]
                lines.extend(torch.stack(shown, 1).cpu())
        return np.concatenate([_line(line) for line in lines])

    def _answered(
        self, generate: Generate, encode: Encode, source: Tensor, driver: Tensor
    ) -> tuple[Tensor, Any]:
        source, driver = source.to(self.device), driver.to(self.device)
        wanted = encode(driver)
        result = generate(source, wanted["condition"] - encode(source)["condition"]).float()
        return result, receipts(encode, source, result, wanted["expression"])

    def _batches(
        self, data: Prepared, trials: Sequence[TransferCase]
    ) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        plain, level = data.faces(self.spec), aligned(data, self.spec)
        for start in range(0, len(trials), BATCH):
            some = trials[start : start + BATCH]
            truths = [trial.truth for trial in some if trial.truth is not None]
            yield (
                to_tensor([level[trial.source] for trial in some]),
                to_tensor([plain[trial.driver] for trial in some]),
                to_tensor([level[truth] for truth in truths]) if truths else None,
            )

    def _genuine(self, data: Prepared, encode: Encode) -> Tensor:
        """Return identity similarities of real pictures of one person."""
        found = pairs(data, self.split)
        found = found[found[:, 0] < found[:, 1]]
        chosen = np.random.default_rng(0).permutation(len(found))[:GENUINE]
        faces = data.faces(self.spec)
        alike = []
        for start in range(0, len(chosen), BATCH):
            both = found[chosen[start : start + BATCH]]
            one, other = (
                encode(to_tensor([faces[row] for row in side]).to(self.device))["identity"]
                for side in both.T
            )
            alike.append((one * other).sum(1))
        return torch.cat(alike) if alike else torch.empty(0)


def _drawn(
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


def _line(faces: Tensor) -> UInt8[np.ndarray, "h w 3"]:
    pixels = (faces.clamp(0, 1) * 255).round().byte().permute(2, 0, 3, 1)
    return pixels.reshape(faces.shape[2], -1, 3).numpy()
