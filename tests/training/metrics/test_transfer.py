"""Transfers are measured by an encoder's vectors, and by SSIM."""

import pytest
import torch

from tests.browser.networks import TinyEncoder
from training.metrics.transfer import measure_transfers, ssim


def test_metrics_are_distances_and_cosines_of_the_encoders_vectors() -> None:
    torch.manual_seed(0)
    encode = TinyEncoder().requires_grad_(False)
    source, result, driver = torch.rand(3, 2, 3, 32, 32)
    found = measure_transfers(encode, source, result, encode(driver))
    assert len(found) == 2
    for i, metrics in enumerate(found):
        was, now, wanted = (encode(faces[i : i + 1]) for faces in (source, result, driver))

        def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
            return float((one["expression"] - other["expression"]).square().sum()) ** 0.5

        before, after = apart(was, wanted), apart(now, wanted)
        assert metrics.before == pytest.approx(before, abs=1e-5)
        assert metrics.after == pytest.approx(after, abs=1e-5)
        assert metrics.nearer == pytest.approx(1 - after / before, abs=1e-5)
        cosine = float(was["identity"][0] @ now["identity"][0])
        assert metrics.likeness == pytest.approx(cosine, abs=1e-5)
        cosine = float(wanted["identity"][0] @ now["identity"][0])
        assert metrics.driver_likeness == pytest.approx(cosine, abs=1e-5)


def test_a_source_with_the_drivers_expression_can_not_get_nearer() -> None:
    encode = TinyEncoder().requires_grad_(False)
    source, result = torch.rand(2, 2, 3, 32, 32)
    found = measure_transfers(encode, source, result, encode(source))
    assert [metrics.nearer for metrics in found] == [0, 0]


def test_ssim_is_1_of_equal_pictures_and_falls_with_noise() -> None:
    torch.manual_seed(0)
    pictures, noise = torch.rand(2, 2, 3, 32, 32)
    assert ssim(pictures, pictures).tolist() == pytest.approx([1.0, 1.0])
    little, much = (ssim(torch.lerp(pictures, noise, share), pictures) for share in (0.1, 0.5))
    assert (much < little).all()
    assert (little < 0.999).all()
