"""Work that is killed thrice and then done once more leaves what work that nobody killed leaves.

`make soak` does the same thirty times for each kind, with all starters.
"""

from pathlib import Path

import pytest

from benchmarks.kills import KINDS, SEEDING_ONE, Kind, kill_and_repeat

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kills"), pytest.mark.timeout(600)]
KILLS = 3


@pytest.mark.parametrize("kind", [SEEDING_ONE, *KINDS], ids=lambda kind: kind.name)
def test_what_was_killed_thrice_ends_as_if_it_had_not_been(
    kind: Kind, tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert kill_and_repeat(kind, tmp_path, migrated, KILLS) > 0
