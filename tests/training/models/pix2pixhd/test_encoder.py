"""The encoder of a generator: a registered DLN."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from registry import versions
from registry.crops import CropSpec, to_tensor
from registry.faces import FaceCropper
from training.engine.recipe import RecipeError
from training.models.pix2pixhd.config import Pix2pixHDRecipe
from training.models.pix2pixhd.encoder import encoder_of
from training.models.pix2pixhd.task import Pix2pixHDTask

SPEC = CropSpec(size_px=64, margin=0.4)


def test_the_encoder_crops_faces_as_the_dln_does(dln: str, examples: Path) -> None:
    photo = np.asarray(Image.open(min(examples.glob("*.jpg"))).convert("RGB"))
    cropper = FaceCropper()
    face, version = cropper.one(photo), versions.resolve(dln)
    model = versions.load(version, "cpu")
    own = model(to_tensor([cropper.crop(photo, face, version.crop).pixels]))["expression"]
    wide = CropSpec(size_px=128, margin=0.4)
    encoder = encoder_of(dln, wide, "cpu")
    encoded = encoder(to_tensor([cropper.crop(photo, face, wide).pixels]))["expression"]
    assert float((own * encoded).sum()) > 0.99


def test_gradients_reach_the_faces_but_not_the_encoder(dln: str) -> None:
    encoder = encoder_of(dln, SPEC, "cpu").train()
    faces = torch.rand(2, 3, 64, 64, requires_grad=True)
    encoder(faces)["expression"][:, 0].sum().backward()
    assert faces.grad is not None
    assert faces.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in encoder.parameters())


def test_a_condition_that_the_dln_does_not_output_is_refused(
    recipe: Pix2pixHDRecipe, dln: str
) -> None:
    with pytest.raises(RecipeError, match="has no deviation: use --condition expression"):
        encoder_of(dln, SPEC, "cpu", "deviation")
    other = replace(recipe, network=replace(recipe.network, dims=20))
    with pytest.raises(RecipeError, match="has 16 numbers, the generator takes 20: use --network"):
        _ = Pix2pixHDTask(other).encoder
