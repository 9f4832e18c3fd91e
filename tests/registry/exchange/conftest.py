"""Exports of three small versions, made once, and an empty registry to import them into."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from registry import measurements, outcomes, store, versions
from registry.catalog import DLN, EMOTION, EMOTIONS, PIX2PIXHD
from registry.exchange import checksums, exporting
from registry.measurements import Measurement
from registry.outcomes import Outcomes, Source
from registry.promotion import validation
from tests.browser import networks

MEASURED = [
    Measurement(split="test", set="toy", metric="accuracy", value=0.75, low=0.5, high=0.9),
    Measurement(split="test", set="toy", metric="recall", group="emotion: sad", value=float("nan")),
]
ITEMS = pd.DataFrame({"name": ["a", "b"], "answer": ["happy", "sad"]})
SOURCE = Source(set="toy", split="test", digest="5" * 64, folder="/home/me/data/toy")
Copy = Callable[[str], Path]


@pytest.fixture(scope="session")
def exports(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the exports dln, emotion and pix2pixhd; their store is beside them."""
    folder = tmp_path_factory.mktemp("exports")
    (folder / "store").mkdir()
    shutil.copy(migrated, folder / "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("EXPRESSION_STUDIO_STORE", str(folder / "store"))
        encoder = networks.TinyEncoder()
        pair = networks.TinyGenerator(encoder)
        dln = networks.register(DLN, networks.Tiny(1, {"expression": 16, "identity": 32}))
        emotion = networks.register(
            EMOTION,
            networks.Tiny(3, {"logits": 8}),
            starter="fedc",
            temperature=1.5,
            class_prior=dict.fromkeys(EMOTIONS, 0.125),
        )
        pix2pixhd = networks.register(
            PIX2PIXHD, pair, encoder=encoder, thresholds=networks.THRESHOLDS
        )
        note(emotion)
        for version in (dln, emotion, pix2pixhd):
            exporting.export(version, folder / version.name)
    return folder


def note(version: versions.Version) -> None:
    """Give a version measurements, outcomes, a run card and a status."""
    measurements.write(version.run_id, MEASURED)
    store.connect().log_dict(version.run_id, {"recipe": "tiny"}, "card.json")
    validation.write(version, "passed", "It was the best one there.")
    outcomes.log(version, Outcomes(source=SOURCE, items=ITEMS))


@pytest.fixture
def copy(exports: Path, tmp_path: Path) -> Copy:
    """Copy an export, to be changed."""

    def _copy(name: str) -> Path:
        return Path(shutil.copytree(exports / name, tmp_path / "copies" / name))

    return _copy


def sign(folder: Path) -> None:
    """Write the digests of a changed export again: whoever changes it on purpose does so, too."""
    (folder / "SHA256SUMS").unlink()
    checksums.write(folder)
