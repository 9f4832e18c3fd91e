"""HTML that all tabs share: provenance and notices."""

from pathlib import Path

import torch

from demo.models import ModelServer
from demo.predictors import TripletComparer
from demo.tabs.context import PageContext, notice
from registry.catalog import DLN
from tests.demo.fakes import FakeRegistry, answers


def test_provenance_links_to_mlflow(registry: FakeRegistry, people: list[Path]) -> None:
    registry.put("dln", 3, answers(torch.eye(3)))
    context = PageContext(server=ModelServer(None), mlflow_url="http://127.0.0.1:5000")
    photos = [context.reader.read(path) for path in people]
    answer = TripletComparer(context.server).compare(photos)
    html = context.answer_html(DLN, answer.sentence, "", answer.provenance)
    assert registry.production["dln"].run_id == answer.provenance.run_id
    assert f'href="http://127.0.0.1:5000/#/runs/{answer.provenance.run_id}"' in html
    assert 'href="http://127.0.0.1:5000/#/models/dln/versions/3"' in html
    assert "dln, version 3" in html
    unlinked = PageContext(server=ModelServer(None), mlflow_url=None).provenance_html(
        answer.provenance
    )
    assert "href" not in unlinked


def test_a_notice_marks_commands_as_code() -> None:
    html = notice("No <dln>: `python app.py seed` registers it.")
    assert "No &lt;dln&gt;: <code>python app.py seed</code> registers it." in html
    assert 'role="alert"' in html
