"""What the tests of the demo share."""

import pytest

from registry import versions
from tests.demo.fakes import FakeRegistry


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> FakeRegistry:
    fake = FakeRegistry()
    monkeypatch.setattr(versions, "resolve", fake.resolve)
    monkeypatch.setattr(versions, "load", fake.load)
    return fake
