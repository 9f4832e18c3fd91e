from contextlib import closing

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from demo.models import ModelServer
from registry.catalog import DLN
from registry.crops import CropSpec
from registry.promotion import journal, promote
from registry.store import connect, experiment
from registry.versions import register
from tests.demo.test_models import number, until


class Tiny(nn.Module):
    """Brightness of a face, by random weights, as two vectors."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        weights = torch.randn((16, 3), generator=torch.Generator().manual_seed(seed))
        self.register_buffer("weights", weights)

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        vectors = nn.functional.normalize(faces.mean((2, 3)) @ self.weights.T)
        return {"expression": vectors, "identity": vectors.flip(1)}


@pytest.mark.usefixtures("fresh_store")
def test_a_promotion_in_the_real_registry_is_followed() -> None:
    run = connect().create_run(experiment("dln"))
    crop = CropSpec(size_px=32, margin=0.2)
    first, second = (
        register(DLN, Tiny(n), crop=crop, run_id=run.info.run_id, config={}, description="tiny")
        for n in range(2)
    )
    promote("dln", first.number)
    faces = torch.rand(3, 3, 32, 32)
    server = ModelServer(device="cpu")
    with closing(server):
        assert number(server) == first.number
        answered = server.model("dln")(faces.numpy())["expression"]
        np.testing.assert_allclose(answered, Tiny(0)(faces)["expression"], atol=1e-5)
        connect().set_registered_model_alias("dln", "production", str(second.number))
        assert until(lambda: number(server) == second.number, seconds=60)
        answered = server.model("dln")(faces.numpy())["expression"]
        np.testing.assert_allclose(answered, Tiny(1)(faces)["expression"], atol=1e-5)
        assert until(lambda: [entry.after for entry in journal.read("dln")] == [1, 2])
        connect().delete_registered_model_alias("dln", "production")
        assert until(lambda: [entry.after for entry in journal.read("dln")] == [1, 2, None])
        assert number(server) == second.number
        assert "No version of dln is in production" in (server.problem("dln") or "")
