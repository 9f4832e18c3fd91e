"""Outputs that are remembered are those that would be computed, and few are computed twice."""

import gc
import weakref
from collections.abc import Mapping

import numpy as np
import pytest
import torch

from demo.models import ModelServer
from demo.output_cache import CachedFunction, CachedOutputs
from demo.predictors import EmotionRecognizer, Photo, read_photo_with_faces
from demo.timed_cache import TimedCache
from registry.faces import FaceCropper
from tests.demo.fakes import FakeRegistry
from tests.demo.test_models import until


class Summing:
    """Returns the sum of its inputs and the first, and counts the rows it computed."""

    def __init__(self) -> None:
        self.rows = 0

    def __call__(self, *inputs: np.ndarray) -> Mapping[str, np.ndarray]:
        self.rows += len(inputs[0])
        return {"sum": sum(inputs[1:], inputs[0]), "first": inputs[0][:, :2]}


def test_remembered_rows_are_those_that_are_computed() -> None:
    draw, summing = np.random.default_rng(0), Summing()
    cached, asked = CachedFunction(summing, 2**20), set[bytes]()
    for _ in range(50):
        faces = draw.integers(0, 3, (draw.integers(0, 5), 3)).astype(np.float32)
        changes = draw.integers(0, 2, (len(faces), 3)).astype(np.float32)
        rows = {row.tobytes() for row in np.hstack([faces, changes])}
        outputs, expected = cached(faces, changes), Summing()(faces, changes)
        assert isinstance(outputs, CachedOutputs) == (len(faces) > 0 and rows <= asked)
        for name, values in expected.items():
            np.testing.assert_array_equal(outputs[name], values)
        outputs["sum"][:] = -1  # what a caller does to its outputs changes no later answer
        asked |= rows
    assert len(asked) <= summing.rows < 100


def test_the_rows_used_last_are_kept_within_the_limit() -> None:
    summing, limit = Summing(), 40_000
    cached = CachedFunction(summing, limit)
    faces = np.arange(20, dtype=np.float32)[:, None].repeat(1000, 1)
    for face in faces:
        cached(face[None])
        cached(faces[:1])
        assert cached.kept_bytes <= limit
    computed = summing.rows
    cached(faces[[0, -1]])
    assert summing.rows == computed
    cached(faces[1:2])
    assert summing.rows == computed + 1
    cached(np.zeros((1, 100_000), np.float32))
    assert cached.kept_bytes <= limit


def test_rows_are_forgotten_after_their_time_though_nobody_asks() -> None:
    cached = CachedFunction(Summing(), 2**20, kept_seconds=0.05)
    cached(np.ones((3, 4), np.float32))
    assert until(lambda: cached.kept_bytes == 0)


def test_rows_go_with_the_function() -> None:
    row = np.ones(1000, np.float32)
    kept, cache = weakref.ref(row), TimedCache[np.ndarray](2**20, 3600, lambda each: each.nbytes)
    cache.add(b"1", row)
    del row
    assert kept() is not None
    del cache
    gc.collect()
    assert kept() is None


@pytest.fixture
def photo(two_people: object) -> Photo:
    return read_photo_with_faces(str(two_people), FaceCropper())


def test_an_answer_from_the_cache_is_the_same_and_says_so_until_the_version_changes(
    registry: FakeRegistry, photo: Photo
) -> None:
    computed: list[int] = []

    def bright(faces: torch.Tensor) -> Mapping[str, torch.Tensor]:
        computed.append(len(faces))
        return {"logits": faces.mean((2, 3)).repeat(1, 3)[:, :8]}

    registry.put("emotion", 1, bright)
    server = ModelServer(poll_seconds=0.02, cache_bytes=2**20)
    recognizer = EmotionRecognizer(server)
    first, second = recognizer.recognise(photo), recognizer.recognise(photo)
    (other,) = recognizer.recognise(photo, faces=[1])
    plain = EmotionRecognizer(ModelServer(poll_seconds=None)).recognise(photo)
    assert [each.provenance.cached for each in (*first, *second, other)] == [False] * 2 + [True] * 3
    assert "from the cache" in str(second[0].provenance)
    for one, same, uncached in zip(first, second, plain, strict=True):
        assert one.probabilities == same.probabilities == uncached.probabilities
    registry.put("emotion", 2, bright)
    assert until(lambda: server.model("emotion").version.number == 2)
    again = recognizer.recognise(photo)
    server.close()
    assert [(each.provenance.version, each.provenance.cached) for each in again] == [(2, False)] * 2
    assert computed.count(2) == 6  # a smoke check and an answer of each version of each server
