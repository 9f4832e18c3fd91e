"""What a killed command leaves behind.

Ray's processes take up to a minute to notice: hence this file is the last in the order of names.
"""

import pytest

from tests.team.processes import runs
from tests.team.ray.conftest import Killed
from tests.test_app import until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.timeout(600)]
END_WITHIN_SECONDS = 240


def test_a_killed_command_leaves_no_process(killed: Killed) -> None:
    assert killed.family
    ended = until(lambda: not any(map(runs, killed.family)), END_WITHIN_SECONDS)
    assert ended, [each for each in killed.family if runs(each)]
