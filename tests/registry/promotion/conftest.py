"""Versions that are registered in no time: which of them answers doesn't depend on their graphs."""

from functools import partial

import pytest
from onnx import ModelProto

from tests.registry.conftest import Register


@pytest.fixture
def register(register: Register, exported: ModelProto) -> Register:
    """Register the tiny network with a graph that is exported once, and none for PyTorch."""
    return partial(register, onnx=lambda _part: exported)
