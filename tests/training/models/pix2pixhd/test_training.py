"""Training the generator: its food, its questions, its judges, and what it leaves behind."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import squeezenet1_1

from registry import versions
from registry.catalog import DLN, EMOTIONS
from registry.crops import CropSpec, to_tensor
from registry.faces import FaceCropper
from tests.browser.networks import Tiny, register
from training.datasets.alignment import aligned
from training.datasets.prepare import prepare
from training.datasets.prepared import Prepared
from training.engine.recipe import RecipeError
from training.engine.task import TrainingError
from training.evaluate import evaluate
from training.metrics.transfer import likeness, receipts
from training.models.pix2pixhd.config import CAMERAS, RECIPES, Pix2pixHDRecipe
from training.models.pix2pixhd.encoder import encoder_of
from training.models.pix2pixhd.pairs import Drivers, Pairs
from training.models.pix2pixhd.perceptual import DEVIATION, MEAN, SQUEEZE_TAPS, Perceptual
from training.models.pix2pixhd.task import PATIENCE, Pix2pixHDTask
from training.train import train

SPEC = CropSpec(size_px=64, margin=0.4)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("toy")
    prepare("toy", None, folder)
    return Prepared.open(folder)


@pytest.fixture
def dln(fresh_store: Path) -> str:
    assert fresh_store.is_dir()
    register(DLN, Tiny(1, {"expression": 16, "identity": 32}))
    return "dln/1"


@pytest.fixture
def recipe(dln: str, toy: Prepared, tmp_path: Path) -> Pix2pixHDRecipe:
    smoke = RECIPES["pix2pixhd-smoke"]
    return replace(smoke, toy=False, data=(toy.folder,), encoder=dln, runs=tmp_path / "runs")


def test_the_encoder_sees_what_the_dln_would_cut(dln: str, examples: Path) -> None:
    photo = np.asarray(Image.open(min(examples.glob("*.jpg"))).convert("RGB"))
    cropper = FaceCropper()
    face, version = cropper.one(photo), versions.resolve(dln)
    model = versions.load(version, "cpu")
    own = model(to_tensor([cropper.crop(photo, face, version.crop).pixels]))["expression"]
    wide = CropSpec(size_px=128, margin=0.4)
    encoder = encoder_of(dln, wide, "cpu")
    seen = encoder(to_tensor([cropper.crop(photo, face, wide).pixels]))["expression"]
    assert float((own * seen).sum()) > 0.99


def test_gradients_reach_the_faces_but_not_the_encoder(dln: str) -> None:
    encoder = encoder_of(dln, SPEC, "cpu").train()
    faces = torch.rand(2, 3, 64, 64, requires_grad=True)
    encoder(faces)["expression"][:, 0].sum().backward()
    assert faces.grad is not None
    assert faces.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in encoder.parameters())


def test_a_condition_that_can_not_be_had_is_refused(recipe: Pix2pixHDRecipe, dln: str) -> None:
    with pytest.raises(RecipeError, match="gives no deviation: take --condition expression"):
        encoder_of(dln, SPEC, "cpu", "deviation")
    other = replace(recipe, network=replace(recipe.network, dims=20))
    with pytest.raises(RecipeError, match="has 16 numbers, the generator takes 20: say --network"):
        _ = Pix2pixHDTask(other).encoder


def test_pairs_are_one_sitting_and_singles_stay(toy: Prepared) -> None:
    found = Pairs([toy, toy], SPEC, "train")
    person, emotion = toy.index["person"].to_numpy(), toy.index["emotion"].to_numpy()
    source, target = found.rows[found.paired].T
    assert (person[source] == person[target]).all()
    assert (emotion[source] != emotion[target]).all()
    assert set(found.rows.ravel().tolist()) <= set(toy.split("train").tolist())
    assert len(found) == found.paired.sum() + 2 * len(toy.split("train"))
    weights = found.weights(0.25)
    assert weights[~found.paired].sum() == pytest.approx(0.25)
    assert weights[found.paired & (found.set == 0)].sum() == pytest.approx(0.375)
    single = ~found.paired & (found.set == 0)
    often = [weights[single & (found.emotion == e)].sum() for e in (1, 2)]
    faces = [int((single & (found.emotion == e)).sum()) for e in (1, 2)]
    assert often[0] / often[1] == pytest.approx((faces[0] / faces[1]) ** 0.5)
    batch = found.__getitems__([0, len(found) - 1])
    assert (batch["source"][1] == batch["target"][1]).all()
    assert (batch["source"][0] != batch["target"][0]).any()


def test_a_driver_is_somebody_else(toy: Prepared) -> None:
    drivers, rng = Drivers([toy], "train"), np.random.default_rng(0)
    person, emotion = toy.index["person"].to_numpy(), toy.index["emotion"].to_numpy()
    for row in toy.split("train").tolist()[::7]:
        like, other = drivers.like(0, row, rng), drivers.other(0, row, rng)
        assert person[like] != person[row]
        assert emotion[like] == emotion[row]
        assert person[other] != person[row]
        assert emotion[other] != emotion[row]


def test_eyes_of_a_sitting_come_to_lie_in_one_place(examples: Path, tmp_path: Path) -> None:
    photo = Image.open(min(examples.glob("*.jpg"))).convert("RGB")
    source = tmp_path / "set"
    for name, turn, grow, move in (("neutral", 0, 1.0, 0), ("happy", 4, 1.08, 9)):
        width, height = photo.size
        moved = photo.rotate(turn, Image.Resampling.BICUBIC, translate=(move, move))
        (source / "someone").mkdir(parents=True, exist_ok=True)
        moved.resize((int(width * grow), int(height * grow))).save(source / f"someone/{name}.jpg")
    prepare("folder", source, tmp_path / "prepared")
    data = Prepared.open(tmp_path / "prepared")
    data.index["angle"] = 0.0
    # the second face is cut another way, as if its mouth had moved the frame
    row = int(np.flatnonzero(data.index["emotion"] == EMOTIONS.index("happy"))[0])
    path = data.folder / data.index["path"][row]
    crop = Image.open(path)
    crop.rotate(5, Image.Resampling.BICUBIC, translate=(8, 5)).save(path, quality=95)
    spec = CropSpec(size_px=160, margin=0.4)

    def apart(faces: np.ndarray) -> float:
        one, other = (f[20:-20, 20:-20].mean(2) for f in np.asarray(faces[:2], dtype=float))
        return float(np.abs(one - other).mean())

    assert apart(aligned(data, spec)) < 0.4 * apart(data.faces(spec))


def test_the_receipts_are_their_formulas(dln: str) -> None:
    torch.manual_seed(0)
    encoder = encoder_of(dln, SPEC, "cpu")
    source, result, driver = torch.rand(3, 2, 3, 64, 64)
    wanted = encoder(driver)["expression"]
    found = receipts(encoder, source, result, wanted)
    for i in range(2):
        was, now = encoder(source[i : i + 1]), encoder(result[i : i + 1])
        before = float((was["expression"][0] - wanted[i]).square().sum()) ** 0.5
        after = float((now["expression"][0] - wanted[i]).square().sum()) ** 0.5
        assert float(found.nearer[i]) == pytest.approx(1 - after / before, abs=1e-5)
        cosine = float(was["identity"][0] @ now["identity"][0])
        assert float(found.identity[i]) == pytest.approx(cosine, abs=1e-5)
    assert likeness(source, source).tolist() == pytest.approx([1.0, 1.0])
    nothing = receipts(encoder, source, result, encoder(source)["expression"])
    assert nothing.nearer.tolist() == [0, 0]


def test_both_sides_learn_and_the_judges_only_when_they_may(recipe: Pix2pixHDRecipe) -> None:
    task = Pix2pixHDTask(replace(recipe, adversarial_from=0.5, epochs=2))
    batch = next(iter(task.loader()))
    task.begin(0)
    assert [u.optimiser for u in task.step(task.networks, batch)] == ["generator"]
    task.begin(1)
    steps = task.step(task.networks, batch)
    first = next(steps)
    first.loss.backward()
    for network in task.networks.values():
        network.zero_grad()
    second = next(steps)
    second.loss.backward()
    assert all(p.grad is None or not p.grad.any() for p in task.generator.parameters())
    assert all(p.grad.any() for p in task.discriminator.judges[0].parameters() if p.ndim > 1)  # type: ignore[union-attr]
    assert next(steps, None) is None


def test_judges_of_maps_need_a_network_that_sees_and_learn_without_it(
    recipe: Pix2pixHDRecipe,
) -> None:
    blind = Pix2pixHDTask(replace(recipe, judge_sees="perceptual"))
    with pytest.raises(RecipeError, match="name --perceptual-network, or say --judge-sees pixels"):
        _ = blind.discriminator
    task = Pix2pixHDTask(replace(recipe, judge_sees="perceptual", judge_channels=8))
    torch.manual_seed(0)
    network = squeezenet1_1(weights=None).features
    task.__dict__["perceptual"] = Perceptual(network, SQUEEZE_TAPS, MEAN, DEVIATION)
    before = [p.clone() for p in task.perceptual.parameters()]  # type: ignore[union-attr]
    task.begin(1)
    told = list(task.step(task.networks, next(iter(task.loader()))))
    told[1].loss.backward()
    assert [u.optimiser for u in told] == ["generator", "discriminator"]
    assert all(p.grad is not None for p in task.discriminator.parameters())
    after = list(task.perceptual.parameters())  # type: ignore[union-attr]
    assert all(p.grad is None and torch.equal(p, q) for p, q in zip(after, before, strict=True))


def test_a_face_asked_for_its_own_expression_is_asked_for_no_change(
    recipe: Pix2pixHDRecipe,
) -> None:
    task = Pix2pixHDTask(replace(recipe, moved=0.5, driven=1.0))
    singles = np.flatnonzero(~task.pairs.paired)[:64].tolist()
    torch.manual_seed(0)
    change, wanted, known, _ = task._asked(task.pairs.__getitems__(singles))
    assert not change[known].any()
    assert 10 < int(known.sum()) < 54
    assert change[~known].norm(dim=1).min() > 0
    paired = np.flatnonzero(task.pairs.paired)[:16].tolist()
    change, wanted, known, _ = task._asked(task.pairs.__getitems__(paired))
    assert known.all()
    own = task.questions.conditions[0][task.pairs.rows[paired, 0]]
    torch.testing.assert_close(change, wanted - own)


def test_a_picture_without_a_truth_is_judged_beside_its_driver_not_its_source(
    recipe: Pix2pixHDRecipe,
) -> None:
    task = Pix2pixHDTask(replace(recipe, moved=1.0, single_share=1.0))
    task.begin(1)
    batch = next(iter(task.loader()))
    torch.manual_seed(0)
    asked = task._asked(batch)
    assert not asked.known.all()
    judges = Listener()
    networks = task.networks | {"discriminator": judges}
    torch.manual_seed(0)
    for update in task.step(networks, batch):
        assert update.loss.isfinite()
    (condition, made), *_, (again, real), (_, fake) = judges.heard
    away = ~asked.known
    assert not condition[away][:, :3].any()
    torch.testing.assert_close(condition[away][:, 3:, 0, 0], asked.wanted[away])
    torch.testing.assert_close(again, condition)
    torch.testing.assert_close(fake, made)
    drivers = asked.driver[away].float() / 255
    mirrored = torch.minimum(*((real[away] - d).abs() for d in (drivers, drivers.flip(3))))
    assert mirrored.mean() < 0.01
    source = batch["source"].float() / 255
    assert (drivers - source[away]).abs().mean() > 0.02


def test_the_judges_see_their_window_of_every_picture(recipe: Pix2pixHDRecipe) -> None:
    task = Pix2pixHDTask(recipe)
    task.begin(1)
    batch, networks, heard = next(iter(task.loader())), task.networks, []
    for window in ((0.0, 1.0, 0.0, 1.0), (0.5, 0.875, 0.25, 0.5)):
        task.recipe, judges = replace(recipe, judged=window), Listener()
        torch.manual_seed(0)
        list(task.step(networks | {"discriminator": judges}, batch))
        heard.append([part for asked in judges.heard for part in asked])
    assert len(heard[1]) == 8
    with pytest.raises(RecipeError, match="window is its top, bottom, left and right"):
        Pix2pixHDTask(replace(recipe, judged=(0.9, 0.5, 0.0, 1.0)))
    for whole, part in zip(*heard, strict=True):
        torch.testing.assert_close(part, whole[..., 32:56, 16:32])


def test_points_stay_on_the_face_whatever_happens_to_the_picture(
    recipe: Pix2pixHDRecipe,
) -> None:
    turned = replace(CAMERAS, mirror=1.0, blur=0.0, light=0.0, gamma=0.0, grey=0.0)
    task = Pix2pixHDTask(replace(recipe, augmentation=turned, warmup_px=32, warmup_share=1.0))
    faces = torch.zeros(4, 3, 64, 64, dtype=torch.uint8)
    faces[:, :, 18:22, 28:32] = 255  # a spot whose middle is at x 30, y 20
    place = torch.tensor([30.0, 20.0]) / 32 - 1
    points = place.expand(4, 2, 1, 2)
    task.begin(0)
    torch.manual_seed(0)
    seen, moved = task._seen({"source": faces, "target": faces, "points": points}, faces)
    source, *others = seen
    assert source.shape[-1] == 32
    for other in others:
        torch.testing.assert_close(source, other)
    assert moved is not None
    ramp = (torch.arange(32) + 0.5) / 16 - 1
    for face, (x, y) in zip(source[:, 0], moved[:, 0, 0].tolist(), strict=True):
        weight = face.sum()
        assert float((face.sum(0) * ramp).sum() / weight) == pytest.approx(x, abs=0.02)
        assert float((face.sum(1) * ramp).sum() / weight) == pytest.approx(y, abs=0.02)


def test_a_generator_begins_with_the_face_as_it_is(recipe: Pix2pixHDRecipe) -> None:
    task = Pix2pixHDTask(recipe)
    face = task.pairs.__getitems__([0])["source"].float() / 255
    made = task.generator(face, torch.randn(1, 16))
    assert (made.picture - face).abs().mean() < 0.1


def test_judges_who_always_win_stop_the_run(recipe: Pix2pixHDRecipe) -> None:
    task = Pix2pixHDTask(recipe)
    task.begin(1)
    task.won = PATIENCE - 1
    networks = task.networks | {"discriminator": Oracle()}
    steps = task.step(networks, next(iter(task.loader())))
    assert next(steps).optimiser == "generator"
    with pytest.raises(TrainingError, match="Try a lower --adversarial"):
        next(steps)


class Oracle(torch.nn.Module):
    """Never errs: of each two pictures it is shown the first is real."""

    calls = 0

    def forward(self, _: torch.Tensor, picture: torch.Tensor) -> list[list[torch.Tensor]]:
        """Return one verdict: 1 or 0."""
        self.calls += 1
        verdict = picture.mean((1, 2, 3), keepdim=True) * 0 + self.calls % 2
        return [[verdict, verdict]]


class Listener(torch.nn.Module):
    """Keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[torch.Tensor, torch.Tensor]] = []

    def forward(self, condition: torch.Tensor, picture: torch.Tensor) -> list[list[torch.Tensor]]:
        """Return one verdict for each picture."""
        self.heard.append((condition, picture.detach()))
        verdict = picture.mean((1, 2, 3), keepdim=True)
        return [[verdict, verdict]]


def test_discriminators_that_begin_late_have_the_generators_rate(recipe: Pix2pixHDRecipe) -> None:
    late = Pix2pixHDTask(replace(recipe, epochs=4, adversarial_from=0.7)).optimisations(40)
    rates: dict[str, list[float]] = {name: [] for name in late}
    for step in range(40):
        for name in ("generator", "discriminator") if step >= 30 else ("generator",):
            rates[name].append(late[name].optimiser.param_groups[0]["lr"])
            late[name].optimiser.step()
            late[name].schedule.step()
    assert rates["generator"][30:] == pytest.approx(rates["discriminator"])
    assert rates["generator"][-1] == pytest.approx(recipe.learning_rate / 20)


def test_a_training_elsewhere_is_handed_over_on_the_cpu(recipe: Pix2pixHDRecipe) -> None:
    task = Pix2pixHDTask(recipe)
    task.trials = replace(task.trials, device=torch.device("meta"))
    made = task.export(task.networks)
    assert set(made.thresholds) == {"nearer", "same_person"}


def test_an_enhancer_begins_where_its_start_left_off(
    recipe: Pix2pixHDRecipe,
) -> None:
    coarse = replace(recipe, network=replace(recipe.network, enhancer="none"), epochs=1)
    assert train("pix2pixhd-smoke", coarse, "python -m training train pix2pixhd-smoke") is not None
    finer = Pix2pixHDTask(replace(recipe, start="pix2pixhd/1"))
    assert finer.generator.enhancer is not None
    faces, change = finer.pairs.__getitems__([0, 1])["source"].float() / 255, torch.randn(2, 16)
    begun = finer.generator.eval()(faces, change)
    left = versions.load("pix2pixhd/1", "cpu")(faces, change)
    torch.testing.assert_close(begun.picture, left["picture"], atol=1e-4, rtol=0)
    assert (begun.picture - faces).abs().max() > 1e-3
    asked = replace(recipe.network, dims=20)
    longer = Pix2pixHDTask(replace(recipe, start="pix2pixhd/1", network=asked)).generator.eval()
    begun = longer(faces, torch.cat([change, torch.randn(2, 4)], 1))
    torch.testing.assert_close(begun.picture, left["picture"], atol=1e-4, rtol=0)
    changes = ({"channels": 4}, {"blocks": 0}, {"where": "planes"}, {"enhancer": "whole"})
    for change in changes:
        network = replace(coarse.network, **change)
        other = replace(recipe, start="pix2pixhd/1", network=network)
        with pytest.raises(RecipeError, match="a generator of another shape"):
            _ = Pix2pixHDTask(other).generator
    unseen = replace(recipe, network=replace(recipe.network, seen_px=None))
    with pytest.raises(RecipeError, match="less than the pictures' 64"):
        Pix2pixHDTask(unseen)
    with pytest.raises(RecipeError, match="no generator to start from"):
        _ = Pix2pixHDTask(replace(recipe, start="dln/1")).generator


def test_data_without_pairs_is_refused(recipe: Pix2pixHDRecipe, toy: Prepared) -> None:
    task = Pix2pixHDTask(recipe)
    alone = Prepared.open(toy.folder)
    alone.index["angle"] = np.nan
    task.__dict__["sets"] = (alone,)
    with pytest.raises(RecipeError, match="no such pair"):
        task.loader()


@pytest.mark.timeout(300)
def test_a_training_leaves_a_whole_version_with_thresholds_sheets_and_receipts(
    recipe: Pix2pixHDRecipe, toy: Prepared
) -> None:
    version = train("pix2pixhd-smoke", recipe, "python -m training train pix2pixhd-smoke")
    assert version is not None
    assert set(version.thresholds) == {"nearer", "same_person"}
    assert versions.config("pix2pixhd/1")["encoder"]["version"] == "dln/1"
    from registry import store

    sheets = store.connect().list_artifacts(version.run_id, "sheets")
    assert len(sheets) == recipe.epochs
    model = versions.load(version, "cpu")
    faces = torch.rand(2, 3, 64, 64)
    own = model.encode(faces)["expression"]
    out = model(faces, own.flip(0) - own)
    assert out["picture"].shape == faces.shape
    said = evaluate("pix2pixhd/1", toy)
    assert {"test/toy/nearer", "test/toy/identity", "test/toy/ssim"} <= said.keys()
    assert "| nearer |" in versions.card("pix2pixhd/1")
