"""A result more like the driver is warned of, and none is promised to be the same person."""

from pathlib import Path

import pytest
import torch
from playwright.sync_api import expect
from torch import Tensor

from demo.predictors import read_photo_with_faces
from registry.crops import CropSpec, to_tensor
from registry.faces import FaceCropper
from tests.browser.conftest import Visitor
from tests.browser.test_page_in_browser import give
from tests.demo.fakes import FakeRegistry

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
WARNING = "more like the face it took the expression from"


def test_a_likeness_to_the_driver_above_that_to_the_source_is_warned_of(
    visitor: Visitor, fake: FakeRegistry, examples: Path
) -> None:
    people = [examples / f"{name}.jpg" for name in ("sad_01", "smiling_07")]
    fake.put_transfer(1)  # an earlier attempt may have put another
    visitor.site.wait_for_version("pix2pixhd", 1)
    page = visitor.open()
    page.get_by_role("tab", name="Transfer").click()
    page.get_by_role("checkbox", name="people who agree").check()
    for index, person in enumerate(people):
        give(page, index, person)
    answer = page.locator("#transfer-answer")
    expect(answer.locator("h2")).to_contain_text("likeness to the person")
    expect(answer).not_to_contain_text("and still the same person")
    expect(answer.get_by_text(WARNING)).to_have_count(0)
    fake.put_transfer(2, generator=always(people[1]), thresholds={})
    visitor.site.wait_for_version("pix2pixhd", 2)
    give(page, 0, people[0])
    expect(answer).to_contain_text("version 2")
    expect(answer.get_by_text(WARNING)).to_be_visible()


def always(driver: Path) -> object:
    """Return a generator that draws the driver's face, whatever face it should change."""
    photo = read_photo_with_faces(driver, FaceCropper())
    face = to_tensor([photo.crop(0, CropSpec(size_px=32, margin=0.2)).pixels])

    def generator(faces: Tensor, _: Tensor) -> dict[str, Tensor]:
        mask = torch.ones_like(faces[:, :1])
        return {"picture": face.expand_as(faces), "mask": mask}

    return generator
