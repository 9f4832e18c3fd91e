"""Files of weights: read safely, checked against the network, chosen on the command line."""

from pathlib import Path
from typing import Any

import pytest
import torch
import tyro
from safetensors.torch import save_file

from training.engine.recipe import RecipeError
from training.models.backbones.compact import CompactResNet
from training.models.backbones.deviation import BackboneConfig
from training.models.backbones.inception_resnet_v1 import InceptionResnetV1
from training.models.backbones.pretrained import start_face
from training.models.backbones.published import PUBLISHED, load_into, read
from training.models.dln.config import DLNRecipe
from training.models.dln.task import DLNTask
from training.models.fecnet.config import FECNetRecipe
from training.models.fecnet.task import FECNetTask
from training.models.triplets.config import TripletRecipe

COMPACT = BackboneConfig(name="compact")


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


def test_the_error_about_weights_that_do_not_fit_names_them(tmp_path: Path) -> None:
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


def test_only_the_first_of_many_faults_are_named(
    casia: tuple[Path, dict[str, torch.Tensor]],
) -> None:
    with pytest.raises(RecipeError, match=r"^it holds [^;]*(; [^;]*){2}; and \d{3,4} more\.$"):
        load_into(CompactResNet(), casia[1], "it")


def test_batch_counters_may_be_absent() -> None:
    state, network = CompactResNet().state_dict(), CompactResNet()
    counted = [key for key in state if key.endswith("num_batches_tracked")]
    assert counted
    load_into(network, {key: state[key] for key in state.keys() - set(counted)}, "it")
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


class Touches:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_pickled_object_is_refused_and_not_run(zipped: bool, tmp_path: Path) -> None:
    path, touched = tmp_path / "weights.pt", tmp_path / "touched"
    state = {"logits.bias": torch.zeros(1), "conv": Touches(touched)}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(RecipeError, match="only tensors by name are read"):
        read(path)
    assert not touched.exists()
    torch.load(path, weights_only=False)
    assert touched.exists()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("weights.pt", b"no pickle", "is damaged or not a plain state dict"),
        ("weights.pt", b"", "is damaged or not a plain state dict"),
        ("weights.safetensors", b"{}", "is damaged or not a plain state dict"),
        ("weights.h5", b"", r"their names end in \.safetensors or \.pt"),
        ("weights.pt", None, "There are no weights at .*; published: vggface2, casia-webface"),
    ],
)
def test_files_without_weights_are_refused(
    name: str, content: bytes | None, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecipeError, match=sentence):
        read(path)


@pytest.mark.parametrize("nested", [[torch.zeros(1)], {"state_dict": {"a": torch.zeros(1)}}])
def test_unnamed_tensors_are_refused(nested: object, tmp_path: Path) -> None:
    torch.save(nested, tmp_path / "weights.pt")
    with pytest.raises(RecipeError, match="not a plain state dict"):
        read(tmp_path / "weights.pt")


@pytest.mark.parametrize("recipe", [DLNRecipe, FECNetRecipe])
def test_the_command_line_takes_a_name_or_a_path(recipe: type[TripletRecipe]) -> None:
    for name in PUBLISHED:
        assert tyro.cli(recipe, args=["--identity-weights", name]).identity_weights == name
    chosen = tyro.cli(recipe, args=["--identity-weights", "my.pt"]).identity_weights
    assert chosen == Path("my.pt")
    assert tyro.cli(recipe, args=[]).identity_weights is None
