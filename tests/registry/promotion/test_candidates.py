"""Trainings register candidates, and a promotion copies one into the model itself."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from registry import candidates, measurements, outcomes, store, versions
from registry.__main__ import main
from registry.errors import BadVersion, EmptyRegistry
from registry.outcomes import Outcomes, Source
from registry.promotion import gated, gates, journal, side_by_side, validation
from registry.versions import Version
from tests.registry.conftest import ACCURACY, CROP, Register
from tests.registry.promotion.test_gates import DIGEST, TABLE, triplets

Candidate = Callable[[int], Version]


@pytest.fixture
def candidate(register: Register, fresh_store: Path, monkeypatch: pytest.MonkeyPatch) -> Candidate:
    """Register a candidate that answers some of 300 triplets right."""
    monkeypatch.setenv(candidates.VARIABLE, "1")
    (fresh_store / gates.FILE).write_text(TABLE)
    monkeypatch.setattr(side_by_side, "latencies_ms", lambda *_: (1.0, 1.0))
    source = Source(set="toy", split="test", digest=DIGEST, folder="nowhere")

    def register_measured(right: int) -> Version:
        version = register()
        outcomes.log(version, Outcomes(source=source, items=triplets(right)))
        return version

    return register_measured


def right_answers(version: Version) -> list[int]:
    return [int(table.items["right"].sum()) for table in outcomes.read(version)]


def test_a_candidate_is_named_like_a_version_and_never_in_production(
    candidate: Candidate, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = candidate(200)
    assert (version.name, version.number, version.model) == ("dln-candidates", 1, "dln")
    for reference in ("dln-candidates/1", "models:/dln-candidates/1"):
        assert versions.resolve(reference) == version
    faces = np.zeros((2, 3, CROP.size_px, CROP.size_px), np.float32)
    assert versions.load(version, "cpu")(faces)["identity"].shape == (2, 8)
    with pytest.raises(EmptyRegistry, match="`python -m registry promote dln 1` promotes"):
        versions.resolve("dln")
    store.connect().set_registered_model_alias("dln-candidates", "production", "1")
    for reference in ("dln-candidates", "dln-candidates@production"):
        with pytest.raises(BadVersion, match=r"such as dln-candidates/1\.$"):
            versions.resolve(reference)
    assert register(name="dln").name == "dln", "what a starter asks for"
    monkeypatch.delenv(candidates.VARIABLE)
    assert register().name == "dln"


def test_a_candidate_that_passes_is_copied_once_with_all_that_is_known_of_it(
    candidate: Candidate, capsys: pytest.CaptureFixture[str]
) -> None:
    first, better = candidate(200), candidate(290)
    for number in ("1", "2"):
        assert main(["promote", "dln", number]) == 0
    assert capsys.readouterr().out.endswith("Version 2 of dln is in production.\n")
    copy = versions.resolve("dln")
    assert (copy.number, copy.copy_of, copy.run_id) == (2, "dln-candidates/2", better.run_id)
    assert (copy.digests, copy.crop) == (better.digests, better.crop)
    assert copy.digests
    assert (copy.is_validated, versions.resolve("dln-candidates/2").is_validated) == (True, False)
    assert right_answers(copy) == right_answers(better) == [290]
    assert right_answers(versions.resolve("dln/1")) == right_answers(first) == [200]
    assert measurements.read(copy.run_id) == [ACCURACY]

    assert main(["rollback", "dln"]) == 0
    assert versions.resolve("dln").number == 1
    assert main(["promote", "dln-candidates", "2", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert (printed["model"], printed["version"], printed["promoted"]) == ("dln", 2, True)
    assert [version.number for version in versions.list_versions("dln")] == [2, 1]
    moves = [(entry.kind, entry.before, entry.after) for entry in journal.read("dln")]
    assert moves == [
        ("promoted", None, 1),
        ("promoted", 1, 2),
        ("rolled back", 2, 1),
        ("promoted", 1, 2),
    ]
    assert not journal.read("dln-candidates")


def test_candidates_that_share_a_run_keep_outcomes_of_their_own(candidate: Candidate) -> None:
    first = candidate(200)
    again = versions.resolve("dln-candidates/1")
    gated.promote("dln", 1)
    (version,) = versions.list_versions("dln")
    source = Source(set="toy", split="test", digest=DIGEST, folder="nowhere")
    outcomes.log(version, Outcomes(source=source, items=triplets(250)))
    assert right_answers(first) == right_answers(again) == [250], "the same network, measured again"
    assert right_answers(candidate(100)) == [100]


def test_what_a_trainer_tagged_as_passed_is_refused_and_forced_without_validation(
    candidate: Candidate, capsys: pytest.CaptureFixture[str]
) -> None:
    candidate(290)
    worse = candidate(200)
    gated.promote("dln", 1)
    validation.write(worse, "passed", "I say so")
    with pytest.raises(SystemExit) as stopped:
        main(["promote", "dln", "2"])
    assert stopped.value.code == 4
    assert "Version 2 of dln-candidates was refused" in capsys.readouterr().err
    assert [version.number for version in versions.list_versions("dln")] == [1]
    refused = journal.read("dln")[-1]
    assert (refused.kind, refused.before, refused.after) == ("refused", 1, None)
    assert "Version 2 of dln-candidates was refused" in refused.why
    assert main(["history", "dln"]) == 0

    assert main(["promote", "dln", "2", "--force", "--reason", "to see it"]) == 0
    forced = versions.resolve("dln")
    assert (forced.number, forced.copy_of) == (2, "dln-candidates/2")
    assert not forced.is_validated
    assert journal.read("dln")[-1].kind == "forced"
    assert candidates.promote_command(forced) == "python -m registry promote dln 2"


def test_a_version_that_is_no_copy_is_promoted_without_the_variable(
    candidate: Candidate, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate(200)
    version = register(name="dln")
    command = candidates.promote_command(version)
    assert command == "EXPRESSION_STUDIO_CANDIDATES=0 python -m registry promote dln 1"
    monkeypatch.setenv(candidates.VARIABLE, "0")
    assert main(["promote", "dln", "1"]) == 0
    assert versions.resolve("dln") == versions.resolve(f"dln/{version.number}")
    assert candidates.promote_command(versions.resolve("dln-candidates/1")) == (
        "python -m registry promote dln-candidates 1"
    )
