"""Which version of a model is in production: the alias, and the journal of its moves."""

from registry.promotion.alias import promote, roll_back
from registry.versions import PRODUCTION

__all__ = ["PRODUCTION", "promote", "roll_back"]
