"""What the app counts, in Prometheus's text form: answers, errors, times, versions and memory.

No face, no name of a file and no address of a visitor is in it. The times are histograms: their
`_count` is the number of answers, and `histogram_quantile` gives p50 and p95.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.models import PAGE_MODELS, ModelServer

PREFIX = "expression_studio"
BUCKETS_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class PageMetrics:
    """Counts what one process answers; each process of a pair counts its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        """What `serve` gives out."""
        ProcessCollector(registry=self.registry)
        self._answered = Histogram(
            f"{PREFIX}_answer_seconds",
            "Seconds that the page's event handlers took, without the wait in the queue.",
            ("tab", "event"),
            buckets=BUCKETS_SECONDS,
            registry=self.registry,
        )
        self._errors = Counter(
            f"{PREFIX}_errors",
            "Requests that an event handler refused with a sentence, or failed at: see the log.",
            ("tab", "event", "kind"),
            registry=self.registry,
        )
        self._computed = Histogram(
            f"{PREFIX}_model_seconds",
            "Seconds that a model's version took for a request, with the wait for its batch.",
            ("model",),
            buckets=BUCKETS_SECONDS,
            registry=self.registry,
        )
        self._model_errors = Counter(
            f"{PREFIX}_model_errors",
            "Requests that a model's version failed at, or that no version could answer.",
            ("model",),
            registry=self.registry,
        )
        self._responses = Counter(
            f"{PREFIX}_http_responses",
            "Responses of the web server, also those that refused a request, by status.",
            ("status",),
            registry=self.registry,
        )
        self._waiting = Gauge(
            f"{PREFIX}_waiting_requests", "Requests in the queue.", registry=self.registry
        )

    @contextmanager
    def answering(
        self, tab: str, event: str, is_refusal: Callable[[Exception], bool]
    ) -> Iterator[None]:
        """Time the block that handles an event.

        Args:
            tab: The part of the page whose event it is.
            event: The name of its handler.
            is_refusal: Returns whether what was raised is a sentence for the visitor; all else
                counts as failed.
        """
        started = time.perf_counter()
        try:
            yield
        except Exception as error:
            kind = "refused" if is_refusal(error) else "failed"
            self._errors.labels(tab, event, kind).inc()
            raise
        self._answered.labels(tab, event).observe(time.perf_counter() - started)

    def count_call(self, model: str, seconds: float | None) -> None:
        """Count a call of a model's version that took so long; None: it failed."""
        if seconds is None:
            self._model_errors.labels(model).inc()
        else:
            self._computed.labels(model).observe(seconds)

    def count_response(self, status: int) -> None:
        """Count a response of the web server."""
        self._responses.labels(str(status)).inc()

    def watch(self, server: ModelServer, waiting: Callable[[], int]) -> None:
        """Give out the state of the models and the length of the queue, too."""
        self.registry.register(ModelStates(server))
        self._waiting.set_function(waiting)

    def serve(self, host: str, port: int) -> Callable[[], None]:
        """Answer Prometheus at an address of this machine; return what closes it.

        Raises:
            OSError: It can't listen there.
        """
        listener, thread = start_http_server(port, host, self.registry)

        def close() -> None:
            listener.shutdown()
            listener.server_close()
            thread.join()

        return close


class ModelStates(Collector):
    """The versions that answer, as they are when Prometheus asks."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server

    def collect(self) -> Iterator[Metric]:
        """Yield what is known of each of the page's models."""
        version = InfoMetricFamily(f"{PREFIX}_version", "The version that answers.")
        ready, problem = (
            GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=("model",))
            for name, text in (
                ("model_ready", "1 where a version is loaded and answers."),
                ("model_problem", "1 where the version in production can't be loaded or checked."),
            )
        )
        for name in PAGE_MODELS:
            model = self._server.loaded(name)
            if model is not None:
                number, run = str(model.version.number), model.version.run_id
                version.add_metric((), {"model": name, "version": number, "run_id": run})
            ready.add_metric((name,), float(model is not None))
            problem.add_metric((name,), float(self._server.problem(name) is not None))
        since = self._server.silent_since
        silent = GaugeMetricFamily(
            f"{PREFIX}_registry_silent_seconds",
            "Seconds since the registry stopped answering; 0 while it answers.",
            value=(datetime.now(UTC) - since).total_seconds() if since else 0.0,
        )
        yield from (version, ready, problem, silent)


class ResponseCount:
    """ASGI middleware that counts responses by their status."""

    def __init__(self, app: ASGIApp, *, metrics: PageMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, and count the response."""

        async def counted_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.count_response(message["status"])
            await send(message)

        await self._app(scope, receive, counted_send)


def handler_labels(handler: Any) -> tuple[str, str]:
    """Return the part of the page that an event handler belongs to, and the handler's name.

    Args:
        handler: A function or method, as that of `demo.tabs.emotion`: "emotion", "reply".
    """
    module = str(getattr(handler, "__module__", ""))
    return module.rpartition(".")[2], str(getattr(handler, "__name__", handler))
