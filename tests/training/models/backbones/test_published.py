import errno
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
import tyro
from safetensors.torch import save_file

from tests.conftest import unused_port
from training.engine.recipe import RecipeError
from training.models.backbones import published
from training.models.backbones.compact import CompactResNet
from training.models.backbones.deviation import BackboneConfig
from training.models.backbones.inception_resnet_v1 import InceptionResnetV1
from training.models.backbones.pretrained import start_face
from training.models.backbones.published import (
    PUBLISHED,
    Published,
    fetch,
    load_into,
    read,
    weights,
)
from training.models.dln.config import DLNRecipe
from training.models.dln.task import DLNTask
from training.models.fecnet.config import FECNetRecipe
from training.models.fecnet.task import FECNetTask
from training.models.triplets.config import TripletRecipe

BYTES = np.random.default_rng(0).bytes(300_000)
CUT = 100_000
COMPACT = BackboneConfig(name="compact")


@dataclass
class Release:
    """A server of one file, which sends its askers elsewhere first, as GitHub's does."""

    port: int
    content: bytes = BYTES
    cut: int | None = None  # where the connection breaks
    knows_ranges: bool = True
    ranges: list[str | None] = field(default_factory=list)  # asked for; None: all

    def published(self, content: bytes = BYTES) -> Published:
        return Published(
            address=f"http://127.0.0.1:{self.port}/release/weights.pt",
            sha256=hashlib.sha256(content).hexdigest(),
        )

    def answer(self, asked: BaseHTTPRequestHandler) -> None:
        if asked.path.startswith("/release/"):
            asked.send_response(302)
            asked.send_header("Location", "/store/1")
            asked.end_headers()
            return
        said = asked.headers["Range"]
        self.ranges.append(said)
        start = int(said.removeprefix("bytes=").removesuffix("-")) if said else 0
        if start and self.knows_ranges and start >= len(self.content):
            asked.send_error(416)
            return
        start *= self.knows_ranges
        asked.send_response(206 if start else 200)
        if start:
            asked.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/*")
        asked.send_header("Content-Length", str(len(self.content) - start))
        asked.end_headers()
        asked.wfile.write(self.content[start : self.cut])


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Iterator[Release]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said.answer(self)

        def log_message(self, *args: Any) -> None:
            pass

    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        said = Release(server.server_port)
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield said
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def casia(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor]]:
    """Return a file with the layout of the CASIA one, in the format of its year, and its state."""
    torch.manual_seed(1)
    state = InceptionResnetV1(classes=10_575).state_dict()
    for name in state:
        if name.endswith(("running_mean", "running_var")):
            state[name] += torch.rand_like(state[name])
    path = tmp_path_factory.mktemp("published") / "20180408-102900-casia-webface.pt"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    return path, state


def files(kept: Path) -> set[str]:
    return {path.name for path in kept.iterdir() if path.suffix != ".lock"}


def test_a_published_file_is_fetched_once(release: Release, tmp_path: Path) -> None:
    kept = tmp_path / "not" / "there" / "yet"
    for _ in range(2):
        assert fetch(release.published(), kept).read_bytes() == BYTES
    assert release.ranges == [None]
    assert files(kept) == {"weights.pt"}


def test_a_damaged_file_is_fetched_again(release: Release, tmp_path: Path) -> None:
    fetch(release.published(), tmp_path).write_bytes(BYTES[:-1])
    assert fetch(release.published(), tmp_path).read_bytes() == BYTES
    assert release.ranges == [None, None]


def test_a_broken_download_goes_on_where_it_broke(release: Release, tmp_path: Path) -> None:
    for release.cut in (CUT, 2 * CUT):
        with pytest.raises(RecipeError, match="the same command goes on from there"):
            fetch(release.published(), tmp_path)
        assert files(tmp_path) == {"weights.pt.part"}
    release.cut = None
    assert fetch(release.published(), tmp_path).read_bytes() == BYTES
    assert release.ranges == [None, f"bytes={CUT}-", f"bytes={2 * CUT}-"]
    assert files(tmp_path) == {"weights.pt"}


def test_a_server_without_ranges_starts_again(release: Release, tmp_path: Path) -> None:
    (tmp_path / "weights.pt.part").write_bytes(BYTES[:CUT])
    release.knows_ranges = False
    assert fetch(release.published(), tmp_path).read_bytes() == BYTES
    assert release.ranges == [f"bytes={CUT}-"]


def test_a_part_longer_than_the_file_starts_again(release: Release, tmp_path: Path) -> None:
    (tmp_path / "weights.pt.part").write_bytes(BYTES + b"more")
    assert fetch(release.published(), tmp_path).read_bytes() == BYTES
    assert release.ranges == [f"bytes={len(BYTES) + 4}-", None]


def test_other_bytes_than_the_published_are_refused_and_forgotten(
    release: Release, tmp_path: Path
) -> None:
    release.content = BYTES[:-1] + b"?"
    with pytest.raises(RecipeError, match="sent something else than the published weights"):
        fetch(release.published(), tmp_path)
    assert files(tmp_path) == set()
    release.content = BYTES
    assert fetch(release.published(), tmp_path).read_bytes() == BYTES
    assert release.ranges == [None, None]


def test_offline_the_address_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    closed = Release(unused_port()).published()
    sentence = (
        f"weights.pt can't be fetched: [Errno {errno.ECONNREFUSED}] Connection refused; "
        f"download it by hand from {closed.address} and give its path."
    )
    with pytest.raises(RecipeError, match=f"^{re.escape(sentence)}$"):
        fetch(closed, tmp_path)


def test_a_name_is_fetched_and_read(
    release: Release, casia: tuple[Path, dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    release.content = casia[0].read_bytes()
    known = {"casia-webface": release.published(release.content)}
    found = weights("casia-webface", tmp_path, known)
    assert found.keys() == casia[1].keys()
    assert all(torch.equal(value, casia[1][name]) for name, value in found.items())


def test_both_branches_and_fecnet_start_from_a_file_whose_logits_are_of_other_persons(
    casia: tuple[Path, dict[str, torch.Tensor]],
) -> None:
    path, state = casia
    pair = DLNTask(DLNRecipe(identity_weights=path)).dln.pair
    fecnet = FECNetTask(FECNetRecipe(identity_weights=path)).fecnet
    for network in (pair.face, pair.identity, fecnet.face):
        own = network.state_dict()
        assert own.keys() == state.keys()
        differing = {name for name in own if not torch.equal(own[name], state[name])}
        assert differing == {"logits.weight", "logits.bias"}
        assert own["logits.weight"].shape == (8631, 512)


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_either_format_starts_a_network(name: str, tmp_path: Path) -> None:
    state, path = CompactResNet().state_dict(), tmp_path / name
    torch.save(state, path) if path.suffix == ".pt" else save_file(state, path)
    network = CompactResNet()
    start_face(network, COMPACT, path)
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


def test_weights_that_do_not_fit_are_refused_by_what_does_not(tmp_path: Path) -> None:
    network, path = CompactResNet(), tmp_path / "weights.pt"
    before = {key: value.clone() for key, value in network.state_dict().items()}
    missing, reshaped, *others = [key for key in before if not key.endswith("_tracked")]
    state = {key: torch.zeros_like(before[key]) for key in others}
    torch.save(state | {reshaped: torch.zeros(2, 3), "stranger": torch.zeros(1)}, path)
    with pytest.raises(RecipeError) as caught:
        start_face(network, COMPACT, path)
    shape = "x".join(map(str, before[reshaped].shape))
    assert str(caught.value) == (
        f"{path} holds weights of another network: {missing} is missing; "
        f"{reshaped} is 2x3, not {shape}; stranger is unknown."
    )
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_of_many_faults_a_few_are_named(casia: tuple[Path, dict[str, torch.Tensor]]) -> None:
    with pytest.raises(RecipeError, match=r"^it holds [^;]*(; [^;]*){2}; and \d{3,4} more\.$"):
        load_into(CompactResNet(), casia[1], "it")


def test_batch_counters_may_be_absent() -> None:
    state, network = CompactResNet().state_dict(), CompactResNet()
    counted = [key for key in state if key.endswith("num_batches_tracked")]
    assert counted
    load_into(network, {key: state[key] for key in state.keys() - set(counted)}, "it")
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


def test_published_weights_of_another_backbone_are_refused_before_they_are_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(RecipeError, match="vggface2 fits inception_resnet_v1 alone, not compact"):
        start_face(CompactResNet(), COMPACT, "vggface2")
    assert published.folder().parent == tmp_path
    assert files(tmp_path) == set()


class Touches:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_pickled_object_is_refused_and_not_run(zipped: bool, tmp_path: Path) -> None:
    path, touched = tmp_path / "weights.pt", tmp_path / "touched"
    state = {"logits.bias": torch.zeros(1), "conv": Touches(touched)}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(RecipeError, match="only tensors by their names are read"):
        read(path)
    assert not touched.exists()
    torch.load(path, weights_only=False)
    assert touched.exists()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("weights.pt", b"no pickle", "is damaged or no plain state dict"),
        ("weights.pt", b"", "is damaged or no plain state dict"),
        ("weights.safetensors", b"{}", "is damaged or no plain state dict"),
        ("weights.h5", b"", r"their names end in \.safetensors or \.pt"),
        ("weights.pt", None, "There are no weights at .*; published: vggface2, casia-webface"),
    ],
)
def test_what_is_no_state_is_refused(
    name: str, content: bytes | None, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecipeError, match=sentence):
        read(path)


@pytest.mark.parametrize("nested", [[torch.zeros(1)], {"state_dict": {"a": torch.zeros(1)}}])
def test_tensors_without_a_name_each_are_refused(nested: object, tmp_path: Path) -> None:
    torch.save(nested, tmp_path / "weights.pt")
    with pytest.raises(RecipeError, match="no plain state dict"):
        read(tmp_path / "weights.pt")


@pytest.mark.parametrize("recipe", [DLNRecipe, FECNetRecipe])
def test_the_command_line_takes_a_name_or_a_path(recipe: type[TripletRecipe]) -> None:
    for name in PUBLISHED:
        assert tyro.cli(recipe, args=["--identity-weights", name]).identity_weights == name
    chosen = tyro.cli(recipe, args=["--identity-weights", "my.pt"]).identity_weights
    assert chosen == Path("my.pt")
    assert tyro.cli(recipe, args=[]).identity_weights is None
