"""What a balancer reads of the app: /healthz and /readyz."""

from pathlib import Path

import pytest

from demo.access import chosen_access
from registry.errors import RegistryError
from tests.demo.fakes import ALIKE, FakeRegistry, answers
from tests.field.open_page import Visitor, happy, opened_page
from tests.test_app import until

pytestmark = pytest.mark.xdist_group("page")
SECRET = "postgresql://ann:word@database.example/mlflow"


def test_the_app_is_alive_at_once_and_ready_when_all_models_are_loaded() -> None:
    fake = FakeRegistry()
    fake.put("emotion", 1, happy)
    access = chosen_access(None, (), "ann:word", {"GRADIO_ROOT_PATH": "/studio"})
    with opened_page(fake, access, poll_seconds=0.05) as url:
        visitor = Visitor(url)  # it has not logged in
        alive = visitor.get("/healthz")
        assert (alive.status_code, alive.json()) == (200, {"alive": True})
        assert visitor.get("/config").status_code == 401
        assert until(lambda: "emotion" not in visitor.get("/readyz").text, 100)
        waiting = visitor.get("/readyz")
        assert waiting.status_code == 503
        reason = "No version is loaded yet of dln, pix2pixhd."
        assert waiting.json() == {"ready": False, "reason": reason}
        fake.put("dln", 1, answers(ALIKE))
        fake.put_transfer(1)
        assert until(lambda: visitor.get("/readyz").status_code == 200, 100)
        assert visitor.get("/readyz").headers["cache-control"] == "no-store"

        asked = fake.resolved
        for name in ("dln", "emotion", "pix2pixhd"):
            fake.production[name] = RegistryError(f"{SECRET} does not answer.")
        assert until(lambda: fake.resolved > asked + 6, 100)
        silent = visitor.get("/readyz")
        assert (silent.status_code, silent.json()) == (200, {"ready": True})


def test_other_hosts_are_refused_and_no_error_is_shown() -> None:
    fake = FakeRegistry()
    fake.production["dln"] = RegistryError(f"{SECRET} does not answer; see {Path.home()}.")
    with opened_page(fake, poll_seconds=0.05) as url:
        visitor = Visitor(url)
        elsewhere = {"Host": "elsewhere.example"}
        for path in ("/healthz", "/readyz"):
            assert visitor.get(path, headers=elsewhere).status_code == 403
        assert until(lambda: fake.resolved > 6, 100)
        shown = visitor.get("/readyz").text
        assert "word" not in shown
        assert str(Path.home()) not in shown
