"""`python -m training train --ray N`: the weights of N processes that another launcher starts."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from registry import versions
from tests.team.ray.conftest import environment

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.timeout(600)]
PLAIN = ("-m", "training")
TORCHRUN = (
    "-m",
    "torch.distributed.run",
    "--nproc-per-node",
    "2",
    "--standalone",
    "-m",
    "training",
)


def train(runs: Path, start: tuple[str, ...], *options: str) -> dict[str, torch.Tensor]:
    """Train and register in a process of its own, and return the weights of the version."""
    recipe = ("emotion-smoke", "--epochs", "1", "--device", "cpu", "--runs", str(runs))
    done = subprocess.run(
        [sys.executable, *start, "train", *recipe, *options, "--json"],
        capture_output=True, text=True, timeout=300, check=False, env=environment(), cwd=runs.parent
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    registered = json.loads(done.stdout[done.stdout.index("{") : done.stdout.index("}") + 1])
    assert not list(runs.glob("emotion-smoke-*"))
    return versions.weights(f"{registered['model']}/{registered['version']}")


@pytest.mark.parametrize(("processes", "launcher"), [(1, PLAIN), (2, TORCHRUN)])
def test_the_weights_are_those_of_the_same_processes_without_ray(
    processes: int, launcher: tuple[str, ...], cluster: str, toy: Path, tmp_path: Path
) -> None:
    assert cluster
    for runs in ("plain", "ray"):
        shutil.copytree(toy, tmp_path / runs / "toy")
    expected = train(tmp_path / "plain", launcher)
    found = train(tmp_path / "ray", PLAIN, "--ray", str(processes))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
