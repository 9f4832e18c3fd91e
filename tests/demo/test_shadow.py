"""A candidate answers beside the version in production; nobody waits for it, and it is counted."""

import gc
import threading
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from demo.models import ModelServer
from demo.page import create_demo
from demo.predictors import EmotionRecognizer, Photo, TripletComparer, read_photo_with_faces
from demo.shadow import MOST_WAITING, Candidate, Comparison, Shadow
from demo.tabs.context import PageContext
from demo.tabs.model_report import shadow_html
from registry.catalog import EMOTION, EMOTIONS
from registry.errors import BadVersion
from registry.faces import FaceCropper
from tests.demo.fakes import ALIKE, FakeRegistry, Network, answers, version
from tests.demo.test_models import blocked, raises, until

CROPPER = FaceCropper()
CANDIDATE_PX = 48


def always(label: str) -> Network:
    def network(faces: Tensor) -> Mapping[str, Tensor]:
        return {"logits": (5.0 * torch.eye(8)[EMOTIONS.index(label)]).expand(len(faces), 8)}

    return network


@pytest.fixture
def server(registry: FakeRegistry) -> ModelServer:
    registry.put("emotion", 3, always("sad"), CANDIDATE_PX)
    registry.put("emotion", 1, always("happy"))
    return ModelServer(poll_seconds=None)


@pytest.fixture
def shadow(server: ModelServer) -> Iterator[Shadow]:
    assert server
    shadow = ready("emotion/3")
    yield shadow
    shadow.close()


@pytest.fixture
def group(two_people: Path) -> Photo:
    return read_photo_with_faces(two_people, CROPPER)


def ready(reference: str) -> Shadow:
    """Return a shadow whose candidate is loaded."""
    shadow = Shadow([reference])
    assert until(lambda: candidate(shadow, reference.partition("/")[0]).is_ready)
    return shadow


def candidate(shadow: Shadow, name: str = "emotion") -> Candidate:
    found = shadow.candidate(name)
    assert found is not None
    return found


def counted(shadow: Shadow, answers: int, name: str = "emotion") -> Comparison:
    """Return the only comparison, once it has this many answers."""
    found = candidate(shadow, name)
    assert until(lambda: [each.answers for each in found.comparisons] == [answers])
    return found.comparisons[0]


def test_answers_are_compared_with_those_about_the_candidates_own_crops(
    registry: FakeRegistry, server: ModelServer, group: Photo
) -> None:
    sizes: list[int] = []

    def own(faces: Tensor) -> Mapping[str, Tensor]:
        sizes.append(faces.shape[-1])
        return {"logits": torch.zeros(len(faces), 8) + (torch.eye(8)[1] * 5)[None]}

    registry.networks["emotion", 3] = own
    shadow = ready("emotion/3")
    recognizer = EmotionRecognizer(server)
    happy = recognizer.recognise(group)
    shadow.recognise(group, happy)
    assert counted(shadow, 2) == Comparison(champion=1, answers=2)
    assert set(sizes) == {CANDIDATE_PX}
    shadow.close()


def test_other_emotions_and_probabilities_are_counted(
    shadow: Shadow, server: ModelServer, group: Photo
) -> None:
    answers = EmotionRecognizer(server).recognise(group, faces=[1])
    shadow.recognise(group, answers)
    found = counted(shadow, 1)
    high, low = np.exp(5) / (np.exp(5) + 7), 1 / (np.exp(5) + 7)
    assert (found.champion, found.differing) == (1, 1)
    assert found.mean_difference == pytest.approx(2 * (high - low) / 8)
    html = shadow_html(candidate(shadow))
    assert "1 of 1 answers have another emotion than those of version 1 (100.0%)" in html
    assert f"probabilities differ by {2 * (high - low) / 8:.3f} on average" in html


def test_no_photo_is_kept(shadow: Shadow, server: ModelServer, two_people: Path) -> None:
    photo = read_photo_with_faces(two_people, CROPPER)
    kept = weakref.ref(photo)
    shadow.recognise(photo, EmotionRecognizer(server).recognise(photo))
    counted(shadow, 2)
    del photo
    assert until(lambda: (gc.collect(), kept())[1] is None)


def test_another_odd_one_of_three_is_counted(registry: FakeRegistry, people: list[Path]) -> None:
    registry.put("dln", 2, answers(ALIKE.roll(1, 0)), CANDIDATE_PX)
    registry.put("dln", 1, answers(ALIKE))
    shadow = ready("dln/2")
    photos = [read_photo_with_faces(path, CROPPER) for path in people]
    answer = TripletComparer(ModelServer(poll_seconds=None)).compare(photos)
    shadow.compare(photos, [0, 0, 0], answer)
    found = counted(shadow, 1, "dln")
    distances = torch.pdist(ALIKE), torch.pdist(ALIKE.roll(1, 0))
    assert found.differing == 1
    assert found.mean_difference == pytest.approx(float((distances[0] - distances[1]).abs().mean()))
    shadow.close()


def test_no_visitor_waits_and_what_is_too_much_is_left_out(
    registry: FakeRegistry, server: ModelServer, group: Photo
) -> None:
    gate, begun = threading.Event(), threading.Event()
    gate.set()
    slow = blocked(gate, always("sad"))

    def network(faces: Tensor) -> Mapping[str, Tensor]:
        if not gate.is_set():
            begun.set()
        return slow(faces)

    registry.networks["emotion", 3] = network
    shadow = ready("emotion/3")
    found = EmotionRecognizer(server).recognise(group)
    shadow.recognise(group, found)
    counted(shadow, 2)
    gate.clear()
    shadow.recognise(group, found)
    assert begun.wait(100)
    for _ in range(MOST_WAITING + 3):
        shadow.recognise(group, found)
    assert candidate(shadow).left_out == 3
    gate.set()
    counted(shadow, 2 * (2 + MOST_WAITING))
    assert "3 questions were not put to it" in shadow_html(candidate(shadow))
    shadow.close()


@pytest.mark.parametrize("number", [3, 5], ids=["itself", "its copy"])
def test_a_version_is_not_compared_with_itself_or_its_copy(
    registry: FakeRegistry, shadow: Shadow, group: Photo, number: int
) -> None:
    registry.put("emotion", number, always("sad"), CANDIDATE_PX)
    same_run = replace(version("emotion", number, CANDIDATE_PX), run_id=f"{3:032x}")
    registry.production["emotion"] = same_run
    server = ModelServer(poll_seconds=None)
    asked = threading.Event()
    shadow.recognise(group, EmotionRecognizer(server).recognise(group))
    candidate(shadow).ask(lambda _: asked.set())
    assert asked.wait(100)
    assert candidate(shadow).comparisons == []


def test_a_candidate_that_cannot_be_loaded_is_named_and_the_page_answers(
    registry: FakeRegistry, server: ModelServer, group: Photo
) -> None:
    registry.put("emotion", 4, raises)
    registry.put("emotion", 1, always("happy"))
    for reference, words in (("emotion/4", "shapes cannot"), ("emotion/9", "no version 9")):
        shadow = Shadow([reference])
        context = PageContext(server=server, mlflow_url=None, shadow=shadow)
        assert until(lambda shadow=shadow: candidate(shadow).problem)
        html = context.problem_html(EMOTION)
        assert f"Version {reference[-1]} of emotion can&#x27;t answer for comparison" in html
        assert words in html
        shadow.recognise(group, EmotionRecognizer(server).recognise(group))
        assert candidate(shadow).comparisons == []
        shadow.close()


def test_the_page_says_that_a_candidate_answers(shadow: Shadow, server: ModelServer) -> None:
    sentence = "Version 3 of emotion also answers, for comparison; its answers are not shown."
    for each, shown in ((shadow, 1), (None, 0)):
        config = str(create_demo(server, None, shadow=each).get_config_file())
        assert config.count(sentence) == shown


@pytest.mark.parametrize(
    ("references", "words"),
    [
        (["emotion"], "write --shadow emotion/3"),
        (["emotion@production"], "write --shadow emotion/3"),
        (["pix2pixhd/2"], "encoder of its own"),
        (["fecnet/1"], "not asked on the page"),
        (["emotion/1", "emotion/2"], "not several"),
    ],
)
def test_references_that_mean_no_candidate_are_refused(references: list[str], words: str) -> None:
    with pytest.raises(BadVersion, match=words):
        Shadow(references)
