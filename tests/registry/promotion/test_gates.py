"""A version takes the place of another if it passes the gates, or by force with a reason."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from registry import artifacts, measurements, outcomes, store, versions
from registry.__main__ import main
from registry.measurements import Measurement
from registry.outcomes import Outcomes, Source
from registry.promotion import gated, gates, journal, promote, side_by_side
from registry.promotion.gates import BadGates
from tests.registry.conftest import Register

TABLE = """
[dln]
primary = ["triplet_accuracy"]
[dln.metrics]
triplet_accuracy = { margin = 0.05, margin_by_group = 0.1, greater_is_better = true }
latency_ms = { most_times = 1.5 }
"""
DIGEST = "ab" * 32
Measured = Callable[..., versions.Version]


@pytest.fixture
def measured(register: Register, fresh_store: Path, monkeypatch: pytest.MonkeyPatch) -> Measured:
    """Register a version that answers some of 300 triplets right; latencies are equal."""
    (fresh_store / gates.FILE).write_text(TABLE)
    monkeypatch.setattr(side_by_side, "latencies_ms", lambda *_: (1.0, 1.0))

    def register_measured(right: int, **changes: Any) -> versions.Version:
        version = register()
        source = {"set": "toy", "split": "test", "digest": DIGEST, "folder": "nowhere"} | changes
        outcomes.log(version, Outcomes(source=Source(**source), items=triplets(right)))
        return version

    return register_measured


def triplets(right: int) -> pd.DataFrame:
    """Return outcomes of 300 triplets of 900 photos, the first of which are right."""
    names = {f"name_{i + 1}": [f"{3 * n + i}.jpg" for n in range(300)] for i in range(3)}
    persons = dict.fromkeys(("person_1", "person_2", "person_3"))
    kinds: dict[str, Any] = {
        "kind": "triplet",
        "type": ["one class", "two class"] * 150,
        "answer": 1,
    }
    kinds["same_person"] = None
    return pd.DataFrame({**names, **persons, **kinds, "right": np.arange(300) < right})


def history() -> list[tuple[str, int | None]]:
    return [(entry.kind, entry.after) for entry in journal.read("dln")]


def test_a_worse_version_is_refused_with_the_table(
    measured: Measured, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    measured(270)
    worse = measured(210)
    promote("dln", 1)
    with pytest.raises(SystemExit) as stopped:
        main(["promote", "dln", "2"])
    assert stopped.value.code == 4
    printed = capsys.readouterr()
    assert "triplet accuracy on toy, test (0.7 against 0.9, difference -0.200" in printed.err
    assert max(map(len, printed.out.splitlines())) <= 80
    assert "triplet accuracy, one class" in printed.out
    assert versions.resolve("dln").number == 1
    assert versions.resolve("dln/2").validation is None
    assert history() == [("promoted", 1), ("refused", 2)]
    assert "was refused" in journal.read("dln")[-1].why
    stem = "promotion/version-2-against-1"
    table = artifacts.fetch_json(worse.run_id, f"{stem}.json")
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    (decisive,) = [row for row in rows if row["is_primary"]]
    assert (decisive["measured"], decisive["verdict"]) == ("test/toy/triplet_accuracy", "failed")
    picture = artifacts.fetch(worse.run_id, f"{stem}.png", tmp_path)
    assert picture is not None
    assert Image.open(picture).width > 500


def test_a_better_version_passes_and_says_so(
    measured: Measured, capsys: pytest.CaptureFixture[str]
) -> None:
    measured(210)
    measured(270)
    promote("dln", 1)
    assert main(["promote", "dln", "2", "--reason", "more faces", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["promoted"], printed["aliases"]) == (True, ["production"])
    version = versions.resolve("dln")
    assert (version.number, version.validation, version.is_validated) == (2, "passed", True)
    assert history()[-1] == ("promoted", 2)
    assert journal.read("dln")[-1].why.startswith("more faces: Version 2 of dln passed")


def test_the_whole_interval_decides_and_not_the_difference_alone(measured: Measured) -> None:
    measured(270)
    measured(263)
    promote("dln", 1)
    report = gated.check(versions.resolve("dln/2"))
    (decisive,) = report.decided
    assert decisive.candidate is not None
    assert decisive.champion is not None
    assert decisive.low is not None
    assert decisive.candidate - decisive.champion > -0.05
    assert report.passed == (decisive.low >= -0.05)
    measured(250)
    assert not gated.check(versions.resolve("dln/3")).passed


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"digest": "cd" * 32}, "data of the two evaluations differ"),
        ({"measured_by": "another encoder"}, "two different encoders"),
        ({"set": "other"}, "isn't on this machine"),
        ({"imported": True}, "isn't on this machine"),
    ],
)
def test_outcomes_on_other_data_are_never_compared(
    measured: Measured, changes: dict[str, Any], note: str
) -> None:
    measured(210)
    measured(270, **changes)
    promote("dln", 1)
    report = gated.check(versions.resolve("dln/2"))
    assert not report.passed
    assert "Measure both on one prepared set: `python -m training evaluate dln/2" in report.sentence
    assert all(row.verdict == "not compared" for row in report.rows if row.set)
    assert any(note in row.note for row in report.rows)


def test_what_could_be_measured_here_is_asked_for_and_measured(
    measured: Measured,
    register: Register,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "index.parquet").touch()
    measured(210, folder=str(tmp_path))
    register()
    promote("dln", 1)
    with pytest.raises(SystemExit):
        main(["promote", "dln", "2"])
    assert f"  python -m training evaluate dln/2 {tmp_path}\n" in capsys.readouterr().err
    asked: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        asked.append(command[1:])
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(gated.subprocess, "run", run)
    assert main(["promote", "dln", "2", "--evaluate"]) == 2
    assert asked == [["-m", "training", "evaluate", "dln/2", str(tmp_path)]]
    assert versions.resolve("dln").number == 1


def test_force_needs_a_reason_and_is_no_validation(
    measured: Measured, capsys: pytest.CaptureFixture[str]
) -> None:
    measured(270)
    measured(210)
    promote("dln", 1)
    assert main(["promote", "dln", "2", "--force"]) == 2
    assert "--reason" in capsys.readouterr().err
    assert versions.resolve("dln").number == 1
    assert main(["promote", "dln", "2", "--force", "--reason", "to see it"]) == 0
    assert (versions.resolve("dln").number, versions.resolve("dln").is_validated) == (2, False)
    assert history()[-1] == ("forced", 2)
    assert journal.read("dln")[-1].why.startswith("to see it: Version 2 of dln was refused")


def test_a_version_promoted_by_hand_is_validated_later_against_the_one_before(
    measured: Measured,
) -> None:
    for right in (210, 270, 100):
        measured(right)
    promote("dln", 1)
    promote("dln", 2)
    assert not versions.resolve("dln").is_validated
    report = gated.promote("dln", 2)
    assert report.champion is not None
    assert (report.passed, report.champion.number) == (True, 1)
    assert versions.resolve("dln").is_validated
    assert gated.promote("dln", 2).is_current
    promote("dln", 3)
    assert not gated.promote("dln", 3).passed
    assert (versions.resolve("dln").number, versions.resolve("dln").is_validated) == (3, False)


def test_without_a_version_in_production_it_must_have_been_measured(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = register()
    with monkeypatch.context() as patch:
        patch.setattr(versions, "measurements", lambda _: [])
        report = gated.promote("dln", 1)
    assert not report.passed
    assert "nothing was measured of it" in report.sentence
    assert versions.measurements(version)
    assert gated.promote("dln", 1).passed
    assert versions.resolve("dln").is_validated


def test_a_slower_version_is_refused(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    measured(210)
    measured(270)
    promote("dln", 1)
    monkeypatch.setattr(side_by_side, "latencies_ms", lambda *_: (2.0, 1.0))
    report = gated.check(versions.resolve("dln/2"))
    assert [row.metric for row in report.refusals] == ["latency_ms"]
    assert "2.00 times" in report.sentence


def test_latencies_are_those_of_the_named_versions(register: Register) -> None:
    register()
    one = versions.resolve("dln/1")
    assert all(each > 0 for each in side_by_side.latencies_ms(one, one))
    assert side_by_side.sizes_mb(one, one)[0] > 0


def test_a_version_that_cannot_answer_is_refused(measured: Measured) -> None:
    measured(210)
    folder = store.connect().get_model_version_download_uri("dln", str(measured(270).number))
    promote("dln", 1)
    for name in ("model.onnx", "model.pt2"):
        for file in Path(folder.removeprefix("file://")).rglob(name):
            file.write_bytes(b"broken")
    report = gated.check(versions.resolve("dln/2"))
    assert [(row.metric, row.verdict) for row in report.refusals] == [("answers", "failed")]


def test_a_broken_version_in_production_does_not_stay_there_for_that(measured: Measured) -> None:
    measured(210)
    measured(270)
    promote("dln", 1)
    measured(100)
    client = store.connect()
    client.set_registered_model_alias("dln", "production", "3")
    client.delete_model_version_tag("dln", "3", "crop")
    report = gated.promote("dln", 2)
    assert report.champion is not None
    assert (report.passed, report.champion.number) == (True, 1)
    assert versions.resolve("dln").number == 2


def test_what_cannot_be_compared_at_all_is_promoted_by_force_alone(
    measured: Measured, fresh_store: Path
) -> None:
    measured(210)
    measured(270)
    promote("dln", 1)
    (fresh_store / gates.FILE).write_text("[dln")
    with pytest.raises(BadGates):
        gated.promote("dln", 2, "try")
    assert not gated.promote("dln", 2, "try", force=True).passed
    assert versions.resolve("dln").number == 2


@pytest.mark.parametrize(
    ("metric", "verdicts"), [("robustness", ["not compared"]), ("triplet_accuracy", [])]
)
def test_what_only_the_champion_was_measured_by_is_missing_unless_it_is_a_group_of_outcomes(
    measured: Measured, fresh_store: Path, metric: str, verdicts: list[str]
) -> None:
    robust = "robustness = { margin_by_group = 1, greater_is_better = true }\n"
    (fresh_store / gates.FILE).write_text(TABLE + robust)
    row = Measurement(split="test", set="toy", metric=metric, group="a group", value=0.5)
    measurements.write(measured(210).run_id, [row])
    measured(270)
    promote("dln", 1)
    rows = gated.check(versions.resolve("dln/2")).rows
    assert [each.verdict for each in rows if each.group == "a group"] == verdicts
