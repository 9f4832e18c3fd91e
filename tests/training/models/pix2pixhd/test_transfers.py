"""The discriminators' part of a batch."""

import torch

from tests.training.models.pix2pixhd.examples import transfer_batch
from training.models.pix2pixhd.transfers import discriminator_batch

WHOLE = (0.0, 1.0, 0.0, 1.0)


def test_with_a_truth_the_real_picture_is_the_truth_beside_its_source() -> None:
    batch = transfer_batch((True, True))
    condition, generated, real = discriminator_batch(batch, WHOLE)
    torch.testing.assert_close(condition[:, :3], batch.source * 2 - 1)
    assert condition.shape[1] == 3 + 16
    planes = batch.change[:, :16, None, None].expand(-1, -1, 32, 32)
    torch.testing.assert_close(condition[:, 3:], planes)
    assert torch.equal(generated, batch.result.picture)
    assert torch.equal(real, batch.target)


def test_without_a_truth_the_real_picture_is_the_driver_and_the_source_is_hidden() -> None:
    batch = transfer_batch((True, False))
    condition, _, real = discriminator_batch(batch, WHOLE)
    assert not condition[1, :3].any()
    torch.testing.assert_close(condition[1, 3:, 0, 0], batch.wanted[1, :16])
    assert torch.equal(real[0], batch.target[0])
    assert torch.equal(real[1], batch.driver[1])


def test_the_window_is_cut_out_of_every_picture() -> None:
    batch = transfer_batch((True, False), side=64)
    whole = discriminator_batch(batch, WHOLE)
    parts = discriminator_batch(batch, (0.5, 0.875, 0.25, 0.5))
    for one, part in zip(whole, parts, strict=True):
        assert torch.equal(part, one[..., 32:56, 16:32])
