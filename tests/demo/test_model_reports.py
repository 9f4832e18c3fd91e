"""What the Models tab and the endpoint /models say of versions in a real registry."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr
import pytest

from demo import model_reports
from demo.models import ModelServer
from demo.tabs.context import PageContext
from demo.tabs.models import ModelsTab
from registry import measurements, promotion, store, versions
from registry.catalog import DLN
from registry.measurements import Measurement
from registry.promotion import journal
from tests.browser import networks

ACCURACY = Measurement(
    split="test", set="toy", metric="triplet_accuracy", value=0.75, low=0.7, high=0.8
)
GROUP = replace(ACCURACY, group="sex: female", value=0.5, low=None, high=None)
HARM = "<script>harm()</script>"


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    server = ModelServer(poll_seconds=None)
    yield server
    server.close()


@pytest.fixture(scope="module")
def tab(store: Any, server: ModelServer) -> ModelsTab:
    assert store
    for seed, value in ((1, 0.75), (2, 0.8)):
        network = networks.Tiny(seed, {"expression": 16, "identity": 32})
        version = networks.register(DLN, network)
        measurements.write(version.run_id, [replace(ACCURACY, value=value), GROUP])
    promotion.promote("dln", 1, "the first")
    promotion.promote("dln", 2, HARM)
    server.model("dln")
    with gr.Blocks():
        return ModelsTab(PageContext(server=server, mlflow_url="http://127.0.0.1:5000"))


def report_of(tab: ModelsTab, model: str = "dln", shown: object = None) -> Any:
    report, *_ = tab.show(model, shown)
    return report


def test_the_report_says_since_when_and_why_and_what_changed(tab: ModelsTab) -> None:
    html = report_of(tab)
    assert "Deviation Learning Network: version 2, since 20" in html
    assert "version 2 · cpu, onnxruntime" in html
    assert 'href="http://127.0.0.1:5000/#/models/dln/versions/2"' in html
    assert "<dt>Validated</dt><dd>yes: It is for tests only.</dd>" in html
    row = "<td>0.750</td><td>0.800</td><td>+0.050</td>"
    assert f'<th scope="row">triplet accuracy, toy</th>{row}' in html
    assert 'class="span" style="left:70.0%;width:10.0%"' in html
    assert "sex: female, toy" in html
    assert HARM not in html
    assert "&lt;script&gt;harm()&lt;/script&gt;" in html


def test_nothing_is_sent_again_until_something_changes(tab: ModelsTab) -> None:
    *_, shown, _, _ = tab.show("dln", None)
    assert not isinstance(report_of(tab, shown=shown), str)
    journal.add("dln", "refused", 2, 1, "it is worse")
    assert "it is worse" in report_of(tab, shown=shown)
    assert "No version of emotion" in report_of(tab, "emotion", shown)


def test_programs_get_the_same(tab: ModelsTab, server: ModelServer) -> None:
    assert tab
    found = model_reports.summary(server, "dln")
    assert {key: found[key] for key in ("version", "answering", "before", "why", "kind")} == {
        "version": 2, "answering": 2, "before": 1, "why": HARM, "kind": "promoted",
    }  # fmt: skip
    assert found["problem"] == ""
    assert "No version of emotion" in model_reports.summary(server, "emotion")["problem"]


def test_a_deleted_version_before_is_said_to_be_gone(tab: ModelsTab) -> None:
    store.connect().delete_model_version("dln", "1")
    assert [each.number for each in versions.list_versions("dln")] == [2]
    assert "Version 1, which was there before, was deleted" in report_of(tab)
