"""What a swap leaves behind, and who waits for it."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from demo.models import ModelServer
from demo.predictors import TripletComparer, read_photo_with_faces
from registry import versions
from registry.faces import FaceCropper
from tests.demo.fakes import ALIKE, FakeModel, FakeRegistry, answers
from tests.demo.test_models import UNIT, blocked, number, until

SWAPS = 10


def test_an_answer_in_flight_finishes_on_the_old_version(registry: FakeRegistry) -> None:
    gate = threading.Event()
    gate.set()
    registry.put("dln", 1, blocked(gate, answers(UNIT)))
    server = ModelServer(poll_seconds=0.02)
    old = server.model("dln")
    gate.clear()
    faces = np.zeros((3, 3, 32, 32), np.float32)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(old, faces) for _ in range(2)]
        registry.put("dln", 2, answers(-UNIT))
        assert until(lambda: number(server) == 2)
        assert (server.model("dln")(faces)["expression"] == -UNIT[:3].numpy()).all()
        gate.set()
        for each in asked:
            assert (each.result(100)["expression"] == UNIT[:3].numpy()).all()
    server.close()


def test_nothing_of_earlier_versions_stays_in_memory(
    registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch, people: list[str]
) -> None:
    loaded: list[weakref.ref[FakeModel]] = []

    def load(wanted: versions.Version, device: str | None = None) -> FakeModel:
        model = registry.load(wanted, device)
        loaded.append(weakref.ref(model))
        return model

    monkeypatch.setattr(versions, "load", load)
    registry.put("dln", 1, answers(ALIKE))
    server = ModelServer(poll_seconds=0.02, cache_bytes=2**20)
    comparer = TripletComparer(server)
    photos = [read_photo_with_faces(path, FaceCropper()) for path in people]
    for swap in range(SWAPS):
        assert comparer.compare(photos).provenance.version == 1 + swap
        registry.put("dln", 2 + swap, answers(ALIKE))
        assert until(lambda wanted=2 + swap: number(server) == wanted)
    server.close()
    gc.collect()
    assert [model() is not None for model in loaded] == [False] * SWAPS + [True]
