"""The task: its steps, its optimisers, and the results of a training."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import torch

from registry import store, versions
from tests.training.models.pix2pixhd.examples import Recorder
from training.datasets.prepared import Prepared
from training.engine.recipe import RecipeError
from training.evaluate import evaluate
from training.models.pix2pixhd.config import (
    DiscriminatorConfig,
    PairSampling,
    Pix2pixHDRecipe,
    WarmupConfig,
)
from training.models.pix2pixhd.task import Pix2pixHDTask
from training.train import train


def with_discriminators(recipe: Pix2pixHDRecipe, **changes: Any) -> Pix2pixHDRecipe:
    return replace(recipe, discriminators=replace(recipe.discriminators, **changes))


def test_discriminators_learn_from_their_first_epoch_on(recipe: Pix2pixHDRecipe) -> None:
    task = Pix2pixHDTask(with_discriminators(replace(recipe, epochs=2), start_share=0.5))
    batch = next(iter(task.loader()))
    task.begin(0)
    assert [u.optimiser for u in task.step(task.networks, batch)] == ["generator"]
    task.begin(1)
    assert [u.optimiser for u in task.step(task.networks, batch)] == ["generator", "discriminator"]
    without = Pix2pixHDTask(replace(recipe, losses=replace(recipe.losses, adversarial=0.0)))
    without.begin(1)
    assert [u.optimiser for u in without.step(without.networks, batch)] == ["generator"]


def test_each_update_has_gradients_only_for_its_own_network(recipe: Pix2pixHDRecipe) -> None:
    task = Pix2pixHDTask(recipe)
    task.begin(1)
    steps = task.step(task.networks, next(iter(task.loader())))
    next(steps).loss.backward()
    assert all(p.grad is not None for p in task.generator.parameters())
    for network in task.networks.values():
        network.zero_grad()
    next(steps).loss.backward()
    assert all(p.grad is None or not p.grad.any() for p in task.generator.parameters())
    parameters = dict(task.discriminator.named_parameters())
    learned = [p.grad is not None and bool(p.grad.any()) for p in parameters.values() if p.ndim > 1]
    assert learned
    assert all(learned)


def test_the_loss_is_the_sum_of_the_logged_terms(recipe: Pix2pixHDRecipe) -> None:
    losses = replace(recipe.losses, expression=1.0, cycle=0.5, mask=0.1)
    sampling = replace(recipe.sampling, single_share=0.5, unpaired_share=1.0)
    task = Pix2pixHDTask(replace(recipe, losses=losses, sampling=sampling))
    task.begin(1)
    update = next(task.step(task.networks, next(iter(task.loader()))))
    values = {name: float(value.detach()) for name, value in update.metrics.items()}
    mask = values.pop("mask")
    assert values.keys() == {
        "pixels", "expression", "cycle_pixels", "adversarial", "feature_matching", "mask_penalty"
    }  # fmt: skip
    assert float(update.loss.detach()) == pytest.approx(sum(values.values()))
    assert values["mask_penalty"] == pytest.approx(0.1 * mask)


def test_pictures_are_small_while_the_training_warms_up(recipe: Pix2pixHDRecipe) -> None:
    task = Pix2pixHDTask(replace(recipe, warmup=WarmupConfig(px=32, share=0.5), epochs=2))
    batch, sides = next(iter(task.loader())), []
    for epoch in (0, 1):
        recorder = Recorder()
        task.begin(epoch)
        list(task.step(task.networks | {"discriminator": recorder}, batch))
        sides.append({condition.shape[-1] for condition, _ in recorder.inputs})
    assert sides == [{32}, {64}]


def test_without_a_truth_discriminators_compare_with_the_driver(recipe: Pix2pixHDRecipe) -> None:
    sampling = PairSampling(single_share=1.0, unpaired_share=1.0)
    task = Pix2pixHDTask(replace(recipe, sampling=sampling))
    task.begin(1)
    batch, recorder = next(iter(task.loader())), Recorder()
    torch.manual_seed(0)
    for update in task.step(task.networks | {"discriminator": recorder}, batch):
        assert update.loss.isfinite()
    (condition, result), *_, (again, real), (_, fake) = recorder.inputs
    assert not condition[:, :3].any()
    assert torch.equal(again, condition)
    assert torch.equal(fake, result)
    faces = torch.from_numpy(np.array(task.pairs.pixels[0])).permute(0, 3, 1, 2).float() / 255
    both = torch.cat([faces, faces.flip(3)])
    nearest = (real[:, None] - both[None]).abs().mean((2, 3, 4)).min(1).values
    assert nearest.max() < 0.01
    source = batch["source"].float() / 255
    other = torch.minimum(*((real - s).abs().mean((1, 2, 3)) for s in (source, source.flip(3))))
    assert other.min() > 0.01


def test_discriminators_that_start_late_have_the_generators_rate(recipe: Pix2pixHDRecipe) -> None:
    late = with_discriminators(replace(recipe, epochs=4), start_share=0.7)
    optimisations = Pix2pixHDTask(late).optimisations(40)
    rates: dict[str, list[float]] = {name: [] for name in optimisations}
    for step in range(40):
        for name in ("generator", "discriminator") if step >= 30 else ("generator",):
            rates[name].append(optimisations[name].optimiser.param_groups[0]["lr"])
            optimisations[name].optimiser.step()
            optimisations[name].schedule.step()
    assert rates["generator"][30:] == pytest.approx(rates["discriminator"])
    assert rates["generator"][-1] == pytest.approx(recipe.learning_rate / 20)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda r: replace(r, network=replace(r.network, working_px=None)),
            "use --network.working-px below the pictures' 64",
        ),
        (
            lambda r: replace(r, discriminators=DiscriminatorConfig(window=(0.9, 0.5, 0.0, 1.0))),
            r"window is its top, bottom, left and right .* not \(0.9, 0.5, 0.0, 1.0\)",
        ),
        (
            lambda r: replace(r, discriminators=DiscriminatorConfig(window=(0.0, 0.5, 0.0, 1.1))),
            r"window is its top, bottom, left and right .* not \(0.0, 0.5, 0.0, 1.1\)",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    recipe: Pix2pixHDRecipe,
    change: Callable[[Pix2pixHDRecipe], Pix2pixHDRecipe],
    message: str,
) -> None:
    with pytest.raises(RecipeError, match=message):
        Pix2pixHDTask(change(recipe))


class WithoutAngles(Pix2pixHDTask):
    """A task whose data does not say how faces are turned."""

    @cached_property
    def sets(self) -> tuple[Prepared, ...]:
        (data,) = super().sets
        data.index["angle"] = np.nan
        return (data,)


def test_data_without_pairs_is_refused(recipe: Pix2pixHDRecipe) -> None:
    with pytest.raises(RecipeError, match="no such pair"):
        WithoutAngles(recipe).loader()


def test_an_export_does_not_look_for_a_gpu(
    recipe: Pix2pixHDRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Pix2pixHDTask(replace(recipe, device="auto"))
    monkeypatch.setattr("training.engine.device.best_device", lambda: pytest.fail("called"))
    trained = task.export(task.networks)
    assert set(trained.thresholds) == {"nearer", "same_person"}
    assert trained.encoder is not None
    assert {p.device.type for p in trained.encoder.parameters()} == {"cpu"}


@pytest.mark.timeout(300)
def test_a_training_registers_a_version_with_thresholds_sheets_and_measurements(
    recipe: Pix2pixHDRecipe, toy: Prepared
) -> None:
    version = train("pix2pixhd-smoke", recipe, "python -m training train pix2pixhd-smoke")
    assert version is not None
    assert set(version.thresholds) == {"nearer", "same_person"}
    config = versions.config("pix2pixhd/1")
    assert config["encoder"]["version"] == "dln/1"
    assert config["network"]["condition_input"] == "bottleneck"
    sheets = store.connect().list_artifacts(version.run_id, "sheets")
    assert len(sheets) == recipe.epochs
    logged = store.connect().get_run(version.run_id).data.metrics
    assert {"validation/toy/nearer", "train/pixels", "train/feature_matching"} <= logged.keys()
    model = versions.load(version, "cpu")
    faces = torch.rand(2, 3, 64, 64)
    own = model.encode(faces)["expression"]
    out = model(faces, own.flip(0) - own)
    assert out["picture"].shape == faces.shape
    measured = {row.name for row in evaluate("pix2pixhd/1", toy)}
    assert {"test/toy/nearer", "test/toy/identity", "test/toy/ssim"} <= measured
    assert "| nearer |" in versions.card("pix2pixhd/1")
