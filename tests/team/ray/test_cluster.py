"""What goes wrong with Ray is one sentence, and nothing is left of Ray on this machine."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

import demo.__main__
import training.__main__
from registry.ray_cluster import AUTH_MODE, Workers, joined
from registry.ray_map import map_items
from tests.conftest import unused_port
from tests.team.ray.conftest import environment
from tests.team.ray.mapped import make_full_disk

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.usefixtures("registry")]


@pytest.mark.usefixtures("cluster")
def test_a_full_disk_of_a_worker_is_that_of_the_command() -> None:
    one = Workers(count=1, cpus=1)
    with joined(), pytest.raises(OSError, match=r"crop-0\.png") as raised:
        list(map_items(make_full_disk, [0], one))
    assert raised.value.errno == errno.ENOSPC


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
@pytest.mark.parametrize("command", ["embed", "prepare", "train"])
def test_a_cluster_that_does_not_answer_is_one_sentence(
    command: str,
    address: str,
    examples: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address.format(unused_port()))
    monkeypatch.chdir(tmp_path)
    arguments = {
        "embed": ["embed", str(examples), "faces.parquet", "--ray"],
        "prepare": ["prepare", "toy", "-", "toy", "--ray"],
        "train": ["train", "emotion-smoke", "--ray", "2"],
    }[command]
    main = demo.__main__.main if command == "embed" else training.__main__.main
    assert main(arguments) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert "can't be reached" in sentence
    assert "RAY_ADDRESS" in sentence


@pytest.mark.usefixtures("cluster")
def test_a_cluster_that_asks_for_a_token_is_joined_where_the_user_has_it(
    examples: Path, tmp_path: Path
) -> None:
    """Ray's own clients send none unless they are asked to."""
    arguments = ["embed", str(examples), "faces.parquet", "--ray", "--workers", "9999"]
    own = {name: value for name, value in environment().items() if name != AUTH_MODE}
    assert "RAY_AUTH_TOKEN" in own
    done = subprocess.run(
        [sys.executable, "-m", "demo", *arguments],
        capture_output=True, text=True, timeout=240, check=False, env=own, cwd=tmp_path
    )  # fmt: skip
    assert "9999 workers can't run on the" in done.stderr


@pytest.mark.usefixtures("cluster")
def test_too_many_workers_are_one_sentence(
    examples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "faces.parquet"
    arguments = ["embed", str(examples), str(table), "--ray", "--workers", "9999"]
    assert demo.__main__.main(arguments) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert "9999 workers can't run on the" in sentence
    assert not list(tmp_path.iterdir())
