"""MLflow beside the page: a link straight to each model, and no usage data leaves the machine."""

import re
from contextlib import suppress

import httpx
import psutil
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visitor, site

__all__ = ["site"]
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_a_link_leads_from_the_page_to_the_model_and_a_click_to_its_versions(
    visitor: Visitor,
) -> None:
    page = visitor.open()
    visitor.site.mlflow_url()
    with visitor.context.expect_page() as opened:
        page.get_by_role("link", name="dln", exact=True).click()
    registry = opened.value
    expect(registry).to_have_url(re.compile("/#/models/dln$"))
    registry.get_by_role("link", name="Version 2").first.click()
    expect(registry).to_have_url(re.compile("/#/models/dln/versions/2"))
    expect(registry.get_by_text("Aliases").first).to_be_visible()


def test_mlflow_sends_no_usage_data(visitor: Visitor) -> None:
    """The visitor, too, fails where a page asks another host than this machine."""
    url = visitor.site.mlflow_url()
    page = visitor.context.new_page()
    page.goto(url)
    expect(page.get_by_text("Model training", exact=True).first).to_be_visible()
    telemetry = httpx.get(f"{url}/ajax-api/3.0/mlflow/ui-telemetry", timeout=60).json()
    assert telemetry["disable_ui_telemetry"] is True
    mlflow = list(filter(is_mlflow, psutil.Process().children(recursive=True)))
    assert mlflow
    for process in mlflow:
        assert process.environ()["MLFLOW_DISABLE_TELEMETRY"] == "true"
        connected = {each.raddr.ip for each in process.net_connections() if each.raddr}
        assert connected <= {"127.0.0.1"}


def is_mlflow(process: psutil.Process) -> bool:
    """Return False for a process that has ended, such as one of the browser's."""
    with suppress(psutil.Error):
        return "mlflow" in " ".join(process.cmdline())
    return False
