"""The queue of requests that run a model: bounded, shared fairly, without what nobody waits for."""

import math
import time
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

import fastapi
from gradio.queueing import Event, Queue
from gradio.server_messages import ProcessCompletedMessage

from demo.listeners import Listeners

MOST_WAITING = 100
"""How many requests may wait."""
MOST_OF_A_SESSION = 12
"""How many of them one open page may have: three photos and their answers are six."""
MOST_OF_AN_ADDRESS = 50
"""How many of them another machine may have."""
UNHEARD_SECONDS = 10.0
"""How long a request waits though its client doesn't listen for the answer."""
UNHEARD_SECONDS_WHEN_FULL = 1.0
UNHEARD = "Nobody listened for this answer, so that it was not worked out; ask again."


class VisitorQueue(Queue):  # type: ignore[misc]
    """Gradio's queue, with a share for each visitor.

    Of the waiting requests, those come first whose clients listen for the answer; among these each
    visitor's first one, then each one's second. Requests whose clients have stopped listening are
    dropped.

    Args:
        listeners: Which sessions are listening.
        options: As for Gradio's queue.
    """

    def __init__(self, listeners: Listeners, **options: Any) -> None:
        super().__init__(**options)
        self._listeners = listeners

    async def push(self, body: Any, request: fastapi.Request, username: str | None) -> Any:
        """Take a request.

        Raises:
            HTTPException: 404 for an event that doesn't exist, 429 where too many wait.
        """
        if body.fn_index not in self.blocks.fns:
            raise fastapi.HTTPException(HTTPStatus.NOT_FOUND, "There is no such event.")
        self._drop_unheard(UNHEARD_SECONDS)
        if len(self) >= MOST_WAITING:
            self._drop_unheard(UNHEARD_SECONDS_WHEN_FULL)
        self._require_room(body.session_hash, request)
        return await super().push(body, request, username)

    def get_events(self) -> Any:
        """Return what is worked on next."""
        if self._can_start():
            self._drop_unheard(UNHEARD_SECONDS)
            for each in self.event_queue_per_concurrency_id.values():
                each.queue[:] = self._in_turn(each.queue)
        return super().get_events()

    def seconds_to_wait(self) -> int:
        """Return in about how many seconds all that waits now will have been answered."""
        total = 0.0
        for each in self.event_queue_per_concurrency_id.values():
            seconds = sum(self._mean_seconds(event) for event in each.queue)
            total = max(total, seconds / (each.concurrency_limit or 1))
        return max(1, math.ceil(total))

    def _mean_seconds(self, event: Event) -> float:
        if event.fn not in self.process_time_per_fn:
            return 1.0
        return float(self.process_time_per_fn[event.fn].avg_time)

    def _can_start(self) -> bool:
        return any(
            each.queue
            and (not each.concurrency_limit or each.current_concurrency < each.concurrency_limit)
            for each in self.event_queue_per_concurrency_id.values()
        )

    def _waiting(self) -> list[Event]:
        return [e for each in self.event_queue_per_concurrency_id.values() for e in each.queue]

    def _require_room(self, session: str | None, request: fastapi.Request) -> None:
        waiting, seconds = self._waiting(), self.seconds_to_wait()
        own = sum(event.session_hash == session for event in waiting)
        address = _address(request)
        same = sum(_address(event.request) == address for event in waiting) if address else 0
        if own >= MOST_OF_A_SESSION or same >= MOST_OF_AN_ADDRESS:
            _refuse(f"{max(own, same)} requests of yours wait for their answers already", seconds)
        if len(waiting) >= MOST_WAITING:
            _refuse(f"{len(waiting)} requests wait for their answers already", seconds)

    def _in_turn(self, events: list[Event]) -> list[Event]:
        turns: dict[str, int] = {}
        keys = {}
        for event in sorted(events, key=lambda event: event.enqueue_time):
            turn = turns[event.session_hash] = turns.get(event.session_hash, 0) + 1
            keys[event] = (not self._is_heard(event), turn, event.enqueue_time)
        return sorted(events, key=keys.__getitem__)

    def _is_heard(self, event: Event) -> bool:
        """Return whether a client listens: to its session's answers, or to this call's alone."""
        return event.session_hash in self._listeners or event._id in self._listeners

    def _drop_unheard(self, seconds: float) -> None:
        before = time.monotonic() - seconds
        for event in self._waiting():
            if event.enqueue_time < before and not self._is_heard(event):
                self.event_queue_per_concurrency_id[event.concurrency_id].queue.remove(event)
                self.event_ids_to_events.pop(event._id, None)
                message = ProcessCompletedMessage(output={"error": UNHEARD}, success=False)
                self.send_message(event, message)


def _address(request: fastapi.Request) -> str | None:
    """Return the address of another machine; None for this one, which all its visitors share."""
    host = request.client.host if request.client else ""
    try:
        return None if ip_address(host).is_loopback else host
    except ValueError:
        return None


def _refuse(reason: str, seconds: int) -> None:
    raise fastapi.HTTPException(
        HTTPStatus.TOO_MANY_REQUESTS,
        f"{reason}; try again in about {seconds} seconds.",
        {"Retry-After": str(seconds)},
    )
