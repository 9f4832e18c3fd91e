"""The commands' help, and its imports."""

import subprocess
import sys

HELP = """
import sys
from contextlib import suppress
from training.__main__ import main
for command in ([], ["evaluate"], ["compare"], ["summary"], ["prepare"], ["show"], ["sweep"]):
    with suppress(SystemExit):
        main([*command, "--help"])
assert not {"torch", "mlflow"} & sys.modules.keys()
"""


def test_help_has_examples_and_defaults_and_imports_neither_torch_nor_mlflow() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    usages = done.stdout.split("usage: python -m training")[1:]
    assert len(usages) == 7
    assert all("Examples:\n  python -m training" in usage for usage in usages)
    for option in ("--split {train,validation,test}", "(default: test)"):
        assert option in usages[1]
        assert option in usages[2]
    assert "evaluate" in usages[0]
    assert "Measure a version on prepared data" in usages[0]


def test_an_unknown_command_or_recipe_is_bad_input() -> None:
    for arguments, expected in (
        (["tarin"], "train, evaluate"),
        (["summary", "dnl"], "dln-compact"),
        (["train", "dln-smoke", "--ray", "2", "--offline"], "leave out --offline"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "training", *arguments],
            capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert expected in done.stderr
        assert "Traceback" not in done.stderr
