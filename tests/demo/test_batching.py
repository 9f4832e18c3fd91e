"""Requests that wait together are one batch, and each gets what it would get alone."""

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest

from demo.batching import MOST_FACES, BatchedFunction
from tests.test_app import until


@dataclass
class Doubling:
    """Doubles rows, one batch at a time where the gate is closed; rows below 0 are refused."""

    gate: threading.Event = field(default_factory=threading.Event)
    batches: list[int] = field(default_factory=list)
    computing: int = 0

    def __call__(self, *inputs: np.ndarray) -> Mapping[str, np.ndarray]:
        self.computing += 1
        assert self.gate.wait(100)
        self.batches.append(len(inputs[0]))
        if (inputs[0] < 0).any():
            raise ValueError("below 0")
        return {"sum": sum(2 * each for each in inputs), "first": inputs[0]}


def ask_while_busy(
    doubling: Doubling, requests: list[tuple[np.ndarray, ...]]
) -> list[Future[Mapping[str, np.ndarray]]]:
    """Ask for one row, and then for these while that is computed; return the answers to these."""
    function = BatchedFunction(doubling)
    threads = ThreadPoolExecutor(len(requests) + 1)
    first = threads.submit(function, np.ones((1, 2)))
    assert until(lambda: doubling.computing == 1, 100)
    waiting = threading.Barrier(len(requests) + 1)

    def ask(inputs: tuple[np.ndarray, ...]) -> Mapping[str, np.ndarray]:
        waiting.wait(100)
        return function(*inputs)

    answers = [threads.submit(ask, inputs) for inputs in requests]
    waiting.wait(100)
    assert until(lambda: function.waiting == len(requests), 100)
    doubling.gate.set()
    assert (first.result(100)["sum"] == 2).all()
    for answer in answers:
        answer.exception(100)
    threads.shutdown()
    return answers


def rows(*values: float) -> np.ndarray:
    return np.array([[value, value] for value in values])


def test_a_request_that_is_alone_is_computed_at_once() -> None:
    doubling = Doubling()
    doubling.gate.set()
    function = BatchedFunction(doubling)
    for count in (1, 3):
        assert (function(np.ones((count, 2)))["sum"] == 2).all()
    assert doubling.batches == [1, 3]


def test_requests_that_wait_are_one_batch_and_each_gets_its_own_rows() -> None:
    doubling, requests = Doubling(), [(rows(1, 2),), (rows(3),), (rows(4, 5, 6),)]
    for answer, (inputs,) in zip(ask_while_busy(doubling, requests), requests, strict=True):
        np.testing.assert_array_equal(answer.result()["sum"], 2 * inputs)
        np.testing.assert_array_equal(answer.result()["first"], inputs)
    assert doubling.batches == [1, 6]


def test_an_error_of_one_request_does_not_fail_the_others() -> None:
    doubling, requests = Doubling(), [(rows(1),), (rows(-1),), (rows(2, 3),)]
    good, bad, also_good = ask_while_busy(doubling, requests)
    with pytest.raises(ValueError, match="below 0"):
        bad.result()
    np.testing.assert_array_equal(good.result()["sum"], rows(2))
    np.testing.assert_array_equal(also_good.result()["sum"], rows(4, 6))


def test_faces_of_another_size_and_more_than_a_batch_holds_are_batches_of_their_own() -> None:
    larger, many = np.ones((1, 3)), np.ones((MOST_FACES, 2))
    doubling, requests = Doubling(), [(larger,), (rows(1),), (many,), (rows(1), rows(2))]
    answers = ask_while_busy(doubling, requests)
    assert sorted(doubling.batches) == [1, 1, 1, 1, MOST_FACES]
    np.testing.assert_array_equal(answers[0].result()["sum"], 2 * larger)
    np.testing.assert_array_equal(answers[3].result()["sum"], rows(6))


def test_many_threads_get_their_own_answers() -> None:
    doubling = Doubling()
    doubling.gate.set()
    function = BatchedFunction(doubling)
    with ThreadPoolExecutor(16) as threads:
        sent = [rows(*range(number, number + number % 3 + 1)) for number in range(400)]
        for inputs, outputs in zip(sent, threads.map(function, sent), strict=True):
            np.testing.assert_array_equal(outputs["sum"], 2 * inputs)
    assert sum(doubling.batches) == sum(map(len, sent))
