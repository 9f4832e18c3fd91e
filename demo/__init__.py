"""The page, the same answers in a terminal, and in Python.

import demo

models = demo.load()
print(models.compare("one.jpg", "two.jpg", "three.jpg").sentence)
"""

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from demo.api import ExpressionModels

__all__ = ["load"]

logging.getLogger(__name__).addHandler(logging.NullHandler())


def load(device: str | None = None) -> "ExpressionModels":
    """Return the models in production; each is loaded at its first call.

    Args:
        device: cuda, mps or cpu; None takes the fastest there is.
    """
    from demo.api import ExpressionModels

    return ExpressionModels(device)
