"""What an installation has in production: the DLN's starter, and small networks beside it."""

from collections.abc import Mapping
from unittest.mock import patch

import torch

from registry import promotion
from registry.candidates import VARIABLE as CANDIDATES
from registry.catalog import EMOTION
from tests.browser.networks import Tiny, fill_transfer, register
from tests.team.permissions import acting_as
from training import seed
from training.starters import files


def fill_production(administrator: Mapping[str, str]) -> None:
    """Put a version of each of the page's models into production.

    The DLN's starter is registered as `python app.py seed` registers all three. The others are
    small networks, which are exported sooner; without any, the pages would ask the server for
    candidates to name, all the time.

    Args:
        administrator: the environment of who does it.
    """
    torch.set_flush_denormal(True)
    try:
        with acting_as(administrator), patch.object(files, "STARTERS", (files.DLN,)):
            seed.seed()
        directly = {name: value for name, value in administrator.items() if name != CANDIDATES}
        with acting_as(directly):
            emotion = register(EMOTION, Tiny(3, {"logits": len(EMOTION.labels)}))
            promotion.promote(EMOTION.name, emotion.number)
            fill_transfer()
    finally:
        torch.set_flush_denormal(False)
