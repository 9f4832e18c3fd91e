"""What all tabs say alike: who answered, and what lacks."""

from pathlib import Path

import torch

from demo.models import ModelServer
from demo.predictors import TripletComparer, read_photo_with_faces
from demo.tabs.context import PageContext, notice
from registry.catalog import DLN
from tests.demo.fakes import FakeRegistry, answers


def test_answers_are_signed_with_links_to_mlflow(registry: FakeRegistry, examples: Path) -> None:
    registry.put("dln", 3, answers(torch.eye(3)))
    context = PageContext(server=ModelServer(None), mlflow_url="http://127.0.0.1:5000")
    photos = [read_photo_with_faces(path, context.cropper) for path in sorted(examples.glob("*.jpg"))[:3]]
    answer = TripletComparer(context.server).compare(photos)
    told = context.answer(DLN, answer.sentence, "", answer.provenance)
    assert registry.production["dln"].run_id == answer.provenance.run_id
    assert f'href="http://127.0.0.1:5000/#/runs/{answer.provenance.run_id}"' in told
    assert 'href="http://127.0.0.1:5000/#/models/dln/versions/3"' in told
    assert "dln, version 3" in told
    unlinked = PageContext(server=ModelServer(None), mlflow_url=None).signed(answer.provenance)
    assert "href" not in unlinked


def test_what_lacks_is_told_with_the_command_set_apart() -> None:
    told = notice("No <dln>: `python app.py seed` registers it.")
    assert "No &lt;dln&gt;: <code>python app.py seed</code> registers it." in told
    assert 'role="alert"' in told
