"""What Prometheus reads of an open page."""

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from torch import Tensor

from demo.access import BadSetting, chosen_metrics
from demo.metrics import PREFIX, PageMetrics
from tests.conftest import unused_port
from tests.demo.fakes import ALIKE, FakeRegistry, answers
from tests.field.open_page import FILE, Visitor, happy, opened_page

pytestmark = pytest.mark.xdist_group("page")


class Breaking:
    """A network that passes the checks when it is loaded, and fails from then on."""

    broken = False

    def __call__(self, faces: Tensor) -> Mapping[str, Tensor]:
        if self.broken:
            raise RuntimeError("The memory is full.")
        return answers(ALIKE)(faces)


class Scraped:
    """What Prometheus gets from the page's metrics port."""

    def __init__(self, port: int) -> None:
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30, trust_env=False)
        self.text = answer.text
        self._samples = [s for f in text_string_to_metric_families(self.text) for s in f.samples]

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of one sample; None where there is none."""
        found = [s.value for s in self._samples if s.name == name and s.labels == labels]
        return found[0] if found else None

    def labels(self, name: str) -> list[dict[str, str]]:
        return [s.labels for s in self._samples if s.name == name]


@pytest.fixture(scope="module")
def asked(examples: Path) -> Iterator[tuple[Visitor, str, Scraped]]:
    """Ask a page for an emotion twice, for one of a file that is no photo, and for a comparison."""
    fake, metrics, port = FakeRegistry(), PageMetrics(), unused_port()
    fake.put("emotion", 3, happy)
    breaking = Breaking()
    fake.put("dln", 1, breaking)
    with opened_page(fake, metrics=metrics) as url:
        close = metrics.serve("127.0.0.1", port)
        visitor, photo = Visitor(url), min(examples.glob("*.jpg"))
        uploaded: dict[str, Any] = visitor.upload(photo)
        assert visitor.answer("emotion", [uploaded, None])[0][0]["label"] == "happy"
        visitor.answer("emotion", [uploaded, None])
        visitor.answer("emotion", [None, None])
        visitor.answer("emotion", ["no file", None])
        visitor.answer("compare", [uploaded] * 3 + [1] * 3)
        breaking.broken = True
        assert "error" in str(visitor.answer("compare", [uploaded] * 3 + [1] * 3)).lower()
        visitor.answer("transfer", [uploaded, None, 1, 1, 1])
        assert visitor.get("/config", headers={"Host": "elsewhere.example"}).status_code == 403
        yield visitor, photo.name, Scraped(port)
        close()


def test_answers_and_errors_are_counted_by_tab(asked: tuple[Visitor, str, Scraped]) -> None:
    _, _, scraped = asked
    counted = f"{PREFIX}_answer_seconds_count", f"{PREFIX}_errors_total"
    emotion, compare = (
        {"tab": "endpoints", "event": "emotion"},
        {"tab": "endpoints", "event": "compare"},
    )
    assert scraped.value(counted[0], **emotion) == 2
    assert scraped.value(counted[1], **emotion, kind="refused") == 2
    assert scraped.value(counted[0], **compare) == 1
    assert scraped.value(counted[1], **compare, kind="failed") == 1
    assert scraped.value(f"{PREFIX}_http_responses_total", status="403") == 1


def test_answers_and_errors_are_counted_by_model(asked: tuple[Visitor, str, Scraped]) -> None:
    _, _, scraped = asked
    assert scraped.value(f"{PREFIX}_model_seconds_count", model="emotion") == 2
    assert scraped.value(f"{PREFIX}_model_errors_total", model="emotion") is None
    assert scraped.value(f"{PREFIX}_model_errors_total", model="dln") == 1
    assert scraped.value(f"{PREFIX}_model_errors_total", model="pix2pixhd") == 1  # none is there


def test_times_are_histograms_that_quantiles_can_be_computed_of(
    asked: tuple[Visitor, str, Scraped],
) -> None:
    _, _, scraped = asked
    buckets = [
        scraped.value(f"{PREFIX}_answer_seconds_bucket", tab="endpoints", event="emotion", le=limit)
        for limit in ("0.01", "1.0", "120.0", "+Inf")
    ]
    assert None not in buckets
    assert buckets == sorted(buckets, key=float)  # type: ignore[arg-type]
    assert buckets[-1] == 2


def test_versions_memory_and_the_queue_are_told(asked: tuple[Visitor, str, Scraped]) -> None:
    _, _, scraped = asked
    answering = {
        each["model"]: (each["version"], each["run_id"])
        for each in scraped.labels(f"{PREFIX}_version_info")
    }
    assert answering["emotion"] == ("3", f"{3:032x}")
    assert "pix2pixhd" not in answering
    assert scraped.value(f"{PREFIX}_model_ready", model="emotion") == 1
    assert scraped.value(f"{PREFIX}_model_ready", model="pix2pixhd") == 0
    assert scraped.value(f"{PREFIX}_model_problem", model="pix2pixhd") == 1
    assert scraped.value(f"{PREFIX}_waiting_requests") == 0
    memory = scraped.value("process_resident_memory_bytes")
    assert memory is not None
    assert memory > 2**20


def test_nothing_of_visitors_is_in_it(asked: tuple[Visitor, str, Scraped]) -> None:
    visitor, name, scraped = asked
    for private in (name, Path(name).stem, "127.0.0.1", "elsewhere.example", visitor.session):
        assert private not in scraped.text
    assert FILE["meta"]["_type"] not in scraped.text


def test_the_port_is_chosen_by_option_or_environment() -> None:
    free = unused_port()
    variables = {"EXPRESSION_STUDIO_METRICS_PORT": str(free)}
    assert chosen_metrics(None, None, {}) is None
    assert chosen_metrics(None, None, variables) == ("127.0.0.1", free)
    listening = variables | {"EXPRESSION_STUDIO_METRICS_HOST": "127.0.0.2"}
    assert chosen_metrics(free, None, listening) == ("127.0.0.2", free)
    with pytest.raises(BadSetting, match="choose a port"):
        chosen_metrics(None, None, {"EXPRESSION_STUDIO_METRICS_PORT": "nine"})
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BadSetting, match="busy"):
        chosen_metrics(taken.getsockname()[1], None, {})
