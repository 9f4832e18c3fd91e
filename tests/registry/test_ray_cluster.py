"""Ray's workers: how many, with how much each; and what is said where Ray is missing."""

import sys
from pathlib import Path

import pytest

import demo.__main__
import training.__main__
from registry.ray_cluster import Cluster, ClusterError, Node, Workers


@pytest.mark.parametrize(
    ("nodes", "wanted", "need_gpu", "expected"),
    [
        ([Node(2)], None, True, (2, 1, 0.0)),
        ([Node(16)], 2, False, (2, 8, 0.0)),
        ([Node(4)] * 16, 4, False, (4, 4, 0.0)),
        ([Node(6)] * 2, 3, False, (3, 3, 0.0)),
        ([Node(16, 2)], None, True, (2, 8, 1.0)),
        ([Node(16, 1)], 4, True, (4, 4, 0.25)),
        ([Node(8), Node(8, 4)], 4, True, (4, 2, 1.0)),
        ([Node(16, 2)], 4, False, (4, 4, 0.0)),
        ([Node(0), Node(4)], 2, False, (2, 2, 0.0)),
    ],
)
def test_the_workers_share_what_the_cluster_has_and_all_can_run_at_once(
    nodes: list[Node], wanted: int | None, need_gpu: bool, expected: tuple[int, int, float]
) -> None:
    count, cpus, gpus = expected
    workers = Cluster(nodes).workers(wanted, need_gpu=need_gpu)
    assert workers == Workers(count=count, cpus=cpus, gpus=gpus)


def test_workers_that_machines_with_gpus_have_no_cpus_for_are_refused() -> None:
    with pytest.raises(ClusterError, match="have room for 2 with a GPU"):
        Cluster([Node(8), Node(2, 4)]).workers(4, need_gpu=True)


@pytest.mark.parametrize("wanted", [0, -1, 3])
def test_workers_without_a_cpu_each_are_refused(wanted: int) -> None:
    with pytest.raises(ClusterError, match=f"^{wanted} workers .* name 1 to 2 workers"):
        Cluster([Node(2)]).workers(wanted, need_gpu=False)


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("command", ["embed", "prepare", "train"])
def test_without_ray_one_sentence_names_the_extra(
    command: str,
    tmp_path: Path,
    examples: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.chdir(tmp_path)
    if command == "embed":
        status = demo.__main__.main(["embed", str(examples), "faces.parquet", "--ray"])
    elif command == "prepare":
        status = training.__main__.main(["prepare", "toy", "-", "toy", "--ray"])
    else:
        status = training.__main__.main(["train", "emotion-smoke", "--ray", "2"])
    assert status == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert ".[ray]" in sentence


@pytest.fixture
def seeded(fresh_store: Path) -> None:
    """Put small networks into production."""
    from tests.browser.networks import fill_registry

    assert fresh_store.is_dir()
    fill_registry()
