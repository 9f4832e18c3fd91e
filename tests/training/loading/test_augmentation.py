from dataclasses import fields, replace

import torch

from training.loading.augmentation import Augmentation

NONE = Augmentation(**{one.name: 0.0 for one in fields(Augmentation)})


def test_nothing_allowed_changes_nothing() -> None:
    faces = torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(NONE(faces), faces.float() / 255, atol=1e-5, rtol=0)


def test_a_mirror_is_a_mirror() -> None:
    faces = torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8)
    always = replace(NONE, mirror=1.0)
    torch.testing.assert_close(always(faces), faces.flip(3).float() / 255, atol=1e-5, rtol=0)


def test_faces_stay_pictures_and_the_seed_decides() -> None:
    faces = torch.randint(256, (8, 3, 48, 48), dtype=torch.uint8)
    torch.manual_seed(3)
    first = Augmentation()(faces)
    torch.manual_seed(3)
    assert torch.equal(first, Augmentation()(faces))
    assert not torch.equal(first, Augmentation()(faces))
    assert 0 <= first.min() <= first.max() <= 1
