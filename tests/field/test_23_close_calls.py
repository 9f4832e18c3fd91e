"""A close call among three faces is called one, and the examples show the thing."""

from itertools import combinations

import pytest
import torch
from playwright.sync_api import expect

from demo.predictors import CLOSE_BELOW
from demo.tabs.examples import TRIPLETS, expression, paths
from registry.crops import CropSpec, to_tensor
from registry.faces import FaceCropper
from registry.photos import read_photo
from tests.browser.conftest import Visitor
from tests.demo.fakes import FakeRegistry, answers
from training import seed
from training.starters import files


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_the_distances_of_the_issue_are_called_close(visitor: Visitor, fake: FakeRegistry) -> None:
    """The distances are 0.66, 0.80 and 1.21, as those of the page's first example once were."""
    x = (0.66**2 + 1.21**2 - 0.80**2) / (2 * 1.21)
    corners = [[0.0, 0.0], [x, (0.66**2 - x**2) ** 0.5], [1.21, 0.0]]
    fake.put("dln", 2, answers(torch.tensor(corners)[[1, 0, 2]]))
    visitor.site.wait_for_version("dln", 2)
    page = visitor.open()
    page.locator(".examples:visible button").first.click()
    answer = page.locator("#triplet-answer")
    expect(answer).to_contain_text("0.66")
    expect(answer.locator("h2")).to_contain_text("A close call: 1 and 2 may share an expression")
    expect(answer).to_contain_text("in 3 of 5 triplets")


@pytest.fixture(scope="module")
def starter() -> tuple[torch.nn.Module, CropSpec]:
    """Return the shipped dln and how it crops, without a registry."""
    starter = files.Starter.open(files.DLN)
    network = seed.NETWORKS[files.DLN](starter.card)
    network.load_state_dict(starter.weights())
    return network.eval(), CropSpec(**starter.card["crop"])


@pytest.mark.parametrize("names", TRIPLETS, ids="-".join)
def test_the_shipped_dln_is_right_about_each_example_by_a_clear_margin(
    starter: tuple[torch.nn.Module, CropSpec], names: tuple[str, str, str]
) -> None:
    network, crop = starter
    cropper, photos = FaceCropper(), paths(*names)
    faces = [cropper.crop(pixels, cropper.one(pixels), crop) for pixels in map(read_photo, photos)]
    with torch.inference_mode():
        vectors = network(to_tensor([face.pixels for face in faces]))["expression"]
    ordered = sorted(
        (float(torch.dist(vectors[i], vectors[j])), photos[i], photos[j])
        for i, j in combinations(range(3), 2)
    )
    (nearest, one, other), (next_nearest, *_), _ = ordered
    assert expression(one) == expression(other)
    assert next_nearest - nearest > CLOSE_BELOW
