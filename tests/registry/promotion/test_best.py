"""The version of a sweep's best trial is promoted as any other: through the gates."""

import pytest

from registry import sweeps, versions
from registry.__main__ import main
from registry.promotion import promote
from tests.registry.conftest import Register


def promoted() -> int:
    return versions.resolve("dln").number


@pytest.mark.usefixtures("fresh_store")
def test_the_newest_version_of_the_sweep_is_refused_where_the_gates_refuse_it(
    register: Register, capsys: pytest.CaptureFixture[str]
) -> None:
    for position in (0, 4):
        sweeps.mark(register(), "rates", position)
    register()
    promote("dln", 3)
    with pytest.raises(SystemExit) as stopped:
        main(["promote", "dln", "--best", "rates"])
    assert stopped.value.code == 4
    assert "Version 2 of dln" in capsys.readouterr().err
    assert promoted() == 3
    assert main(["promote", "dln", "--best", "rates", "--force", "--reason", "tried it"]) == 0
    assert promoted() == 2


@pytest.mark.usefixtures("fresh_store")
def test_what_names_no_version_is_refused(
    register: Register, capsys: pytest.CaptureFixture[str]
) -> None:
    sweeps.mark(register(), "rates", 0)
    for arguments, reason in (
        (["--best", "margins"], "no version of a sweep margins (it has versions of rates)"),
        ([], "Name its number or --best SWEEP"),
        (["1", "--best", "rates"], "one of the two"),
    ):
        assert main(["promote", "dln", *arguments]) == 2
        assert reason in capsys.readouterr().err
