"""Work that is killed thrice and then done once more leaves what work that nobody killed leaves.

`make soak` does the same thirty times for each kind, with all starters and a real network.
"""

from pathlib import Path

import pytest

from benchmarks.kills import PREPARING, PROMOTING, REGISTERING, Kind, kill_and_repeat
from tests.field.killed_work import SEEDING, TRAINING

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kills"), pytest.mark.timeout(600)]
KILLS = 3
KINDS = (SEEDING, TRAINING, REGISTERING, PROMOTING, PREPARING)


@pytest.mark.parametrize(
    "kind", [SEEDING, TRAINING, REGISTERING, PROMOTING, PREPARING], ids=lambda kind: kind.name
)
def test_what_was_killed_thrice_ends_as_if_it_had_not_been(
    kind: Kind, tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert kill_and_repeat(kind, tmp_path, migrated, KILLS) > 0
