"""The output `blendshapes` of an encoder: its formula in every graph, and what it learned."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import avg_pool2d, interpolate

from registry import versions
from registry.catalog import PIX2PIXHD
from registry.crops import CropSpec
from training.datasets.prepared import Prepared
from training.engine.recipe import RecipeError
from training.models.backbones.mobilefacenet import FRAME_MARGIN, FRAME_PX, MobileFaceNet
from training.models.pix2pixhd import blendshape_fit
from training.models.pix2pixhd.blendshape_fit import LEARNED, fit, fit_head
from training.models.pix2pixhd.blendshape_head import BlendshapeHead, untrained_head
from training.models.pix2pixhd.check_transfers import CheckTransfers, draw_cases
from training.models.pix2pixhd.config import Pix2pixHDRecipe, check_recipe
from training.models.pix2pixhd.encoder import encoder_of, origin
from training.models.pix2pixhd.generator import Generator
from training.models.pix2pixhd.networks import GeneratorWrapper
from training.starters import files

CROP = CropSpec(size_px=64, margin=0.4)
TOLERANCE = 1e-4


@pytest.fixture
def head() -> BlendshapeHead:
    """A head with a random layer."""
    found, random = untrained_head(), torch.Generator().manual_seed(0)
    weight, bias = found.linear.weight.data, found.linear.bias.data
    weight.copy_(torch.randn(weight.shape, generator=random) / 50)
    bias.copy_(torch.randn(bias.shape, generator=random))
    return found


def plain(head: BlendshapeHead, faces: torch.Tensor) -> torch.Tensor:
    """Return the blendshapes of faces, by the whole MobileFaceNet and one matrix product."""
    whole = MobileFaceNet().eval()
    whole.load_state_dict(files.Starter.open(files.MOBILEFACENET).weights())
    edge = round((1 - (1 + FRAME_MARGIN) / (1 + CROP.margin)) / 2 * CROP.size_px)
    inside = faces[..., edge : CROP.size_px - edge, edge : CROP.size_px - edge]
    narrow = interpolate(inside, (FRAME_PX, FRAME_PX), mode="bilinear", antialias=True)
    with torch.inference_mode():
        maps = avg_pool2d(whole.taps(narrow)[-2], 2).flatten(1)
        return maps @ head.linear.weight.T + head.linear.bias


def test_pt2_and_onnx_give_the_layer_on_the_middle_maps(
    recipe: Pix2pixHDRecipe, dln: str, head: BlendshapeHead
) -> None:
    encoder = encoder_of(dln, CROP, "cpu", head=head)
    config = {"network": recipe.network, "encoder": origin(dln), "condition": "expression"}
    generator = GeneratorWrapper(Generator(recipe.network).eval())
    run = versions.resolve(dln).run_id
    first = versions.register(
        PIX2PIXHD, generator, crop=CROP, run_id=run, config=config, description="", encoder=encoder
    )
    faces = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    expected = plain(head, faces)
    assert first.encoder["blendshapes"]
    for engine in ("torch", "onnxruntime"):
        found = versions.load(first, "cpu", engine).encode(faces)["blendshapes"]
        torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)


def test_the_head_learns_what_maps_show_and_warns_of_so_many_good_results(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    transfers, shown = planted(count=240)
    monkeypatch.setattr(blendshape_fit, "head_inputs", lambda _, faces, __: shown[faces.tobytes()])
    fitted = fit(transfers, CROP)
    linear = fitted.head.linear
    weight, bias = linear.weight.detach().numpy(), linear.bias.detach().numpy()
    test, inputs = planted(count=100, seed=1)
    vectors = {n: inputs[test.faces[n].tobytes()] @ weight.T + bias for n in LEARNED}
    nearer = apart(vectors, "source") - apart(vectors, "result 1")
    truly = apart(test.shapes, "source") - apart(test.shapes, "result 1")
    assert np.corrcoef(nearer, truly)[0, 1] > 0.9
    assert fitted.transfers == 240
    assert fitted.warned_good == pytest.approx(blendshape_fit.WARNED_GOOD, abs=0.01)
    assert fitted.warned_worse > 0.7


def apart(vectors: dict[str, np.ndarray] | object, name: str) -> np.ndarray:
    return np.linalg.norm(vectors[name] - vectors["driver"], axis=1)  # type: ignore[index]


def planted(count: int, seed: int = 0) -> tuple[CheckTransfers, dict[bytes, np.ndarray]]:
    """Return transfers whose blendshapes are a linear map of what the head gets, and the latter."""
    rng, same = np.random.default_rng(seed), np.random.default_rng(9)
    hidden, shape_axes = same.normal(size=(4, 6272)), same.normal(size=(4, 52)) / 10
    faces, shapes, shown = {}, {}, {}
    for name in LEARNED:
        causes = rng.normal(size=(count, 4))
        faces[name] = rng.integers(0, 256, (count, 2, 2, 3), np.uint8)
        shapes[name] = causes @ shape_axes
        noise = rng.normal(size=(count, 6272)) / 10
        shown[faces[name].tobytes()] = (causes @ hidden + noise).astype(np.float32)
    persons = pd.DataFrame(
        {
            "source person": [f"s{i // 2}" for i in range(count)],
            "driver person": [f"d{i % 50}" for i in range(count)],
        }
    )
    return CheckTransfers(cases=persons, faces=faces, shapes=shapes), shown


def test_cases_are_other_people_of_the_split_and_the_same_at_each_call(toy: Prepared) -> None:
    cases = draw_cases([toy], "validation", 40)
    assert (cases["source person"] != cases["driver person"]).all()
    assert cases["source person"].value_counts().max() <= 2
    rows = set(toy.split("validation").tolist())
    assert {*cases["source row"], *cases["driver row"]} <= rows
    pd.testing.assert_frame_equal(cases, draw_cases([toy], "validation", 40))


def test_too_few_transfers_give_no_head_and_a_warning(
    toy: Prepared, caplog: pytest.LogCaptureFixture
) -> None:
    def unused(*_: object) -> torch.Tensor:
        raise AssertionError

    with caplog.at_level(logging.WARNING):
        assert fit_head([toy], CROP, unused, unused, Path("unused"), count=20) is None  # type: ignore[arg-type]
    assert "its own encoder checks its results" in caplog.text


def test_a_recipe_refuses_a_file_that_is_not_mediapipes(
    recipe: Pix2pixHDRecipe, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.task"
    broken.write_bytes(b"of another program")
    for file, reason in ((tmp_path / "no.task", "is not there"), (broken, "is not MediaPipe's")):
        with pytest.raises(RecipeError, match=reason):
            check_recipe(replace(recipe, blendshapes=file))


def test_the_shipped_heads_threshold_belongs_to_the_shipped_generator() -> None:
    card = files.Starter.open(files.BLENDSHAPES).card
    generator = files.Starter.open(files.PIX2PIXHD).weights()
    assert card["generator"] == files.weights_digest(generator)
    assert set(card["thresholds"]) == {"blendshapes_nearer"}
