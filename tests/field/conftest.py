"""Fixtures of other folders that these tests use, too."""

from tests.registry.conftest import register, restored_logging, tiny
from tests.training.engine.conftest import line, recipe, runs
from tests.training.models.pix2pixhd.conftest import toy

__all__ = ["line", "recipe", "register", "restored_logging", "runs", "tiny", "toy"]
