"""`python -m training train --ray N`: the weights of N processes that another launcher starts."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from registry import artifacts, versions
from tests.team.ray.conftest import environment
from training.__main__ import main
from training.train import WEIGHTS

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.timeout(900)]
TORCHRUN = (
    "-m",
    "torch.distributed.run",
    "--nproc-per-node",
    "2",
    "--standalone",
    "-m",
    "training",
)


@pytest.fixture
def plain(drawn: Path, tmp_path: Path) -> Path:
    """Return the folder of trainings without Ray, which share the drawn faces; nothing else yet."""
    return runs_in(tmp_path / "plain", drawn)


@pytest.fixture
def by_ray(drawn: Path, tmp_path: Path, cluster: str) -> Path:
    """Return such a folder for a training by Ray."""
    assert cluster
    return runs_in(tmp_path / "ray", drawn)


def runs_in(folder: Path, drawn: Path) -> Path:
    shutil.copytree(drawn, folder / "toy")
    return folder


def command(recipe: str, runs: Path, *options: str) -> list[str]:
    once = ("--epochs", "1", "--device", "cpu", "--runs", str(runs))
    return ["train", recipe, *once, *options]


def kept(runs: Path) -> dict[str, torch.Tensor]:
    """Return the weights that a training with --offline leaves in its folder."""
    (path,) = runs.glob(f"*/{WEIGHTS}")
    return load_file(path)


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_one_process_of_ray_reaches_the_weights_of_the_plain_command(
    plain: Path, by_ray: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command("identity-smoke", plain, "--offline")) == 0
    capsys.readouterr()
    assert main(command("identity-smoke", by_ray, "--ray", "1")) == 0
    printed = "".join(capsys.readouterr())
    (run_id,) = re.findall(r"its weights are in run (\w+)\.", printed)
    found = artifacts.fetch(run_id, WEIGHTS, tmp_path)
    assert found is not None
    assert_same(load_file(found), kept(plain))
    assert not list(by_ray.glob("identity-smoke-*"))


def test_two_processes_of_ray_register_the_weights_of_two_that_torchrun_starts(
    plain: Path, by_ray: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torchrun = [sys.executable, *TORCHRUN, *command("emotion-smoke", plain, "--offline")]
    done = subprocess.run(
        torchrun, capture_output=True, text=True, timeout=600, check=False,
        env=environment(), cwd=plain.parent
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    capsys.readouterr()
    assert main(command("emotion-smoke", by_ray, "--ray", "2", "--json")) == 0
    registered = json.loads(capsys.readouterr().out)
    found = versions.weights(f"{registered['model']}/{registered['version']}")
    assert_same(found, kept(plain))
    assert not list(by_ray.glob("emotion-smoke-*"))
