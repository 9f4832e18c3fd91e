"""What is tested on."""

import pytest

from tests.gpu.conftest import reason


def test_there_is_a_gpu_and_what_the_training_needs() -> None:
    why = reason()
    if why:
        pytest.skip(why)
    import torch

    assert torch.cuda.get_device_capability() >= (7, 0)
