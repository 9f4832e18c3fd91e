import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from registry import store as registry_store
from registry import versions
from registry.catalog import EMOTION, EMOTIONS
from training.datasets.prepare import READERS, prepare
from training.datasets.prepared import Prepared
from training.datasets.synthetic import toy
from training.engine.recipe import RecipeError
from training.metrics.classification import (
    balanced_logits,
    emotion_metrics,
    fitted_prior,
    fitted_temperature,
)
from training.models.backbones.deviation import BackboneConfig
from training.models.backbones.pretrained import start_from
from training.models.emotion.config import RECIPES
from training.models.emotion.network import EmotionClassifier
from training.models.emotion.task import EmotionTask, weighted_cross_entropy

SMOKE = RECIPES["emotion-smoke"]


class Constant(nn.Module):
    """Outputs, for every face, the logit `size` for one emotion and 0 for all others."""

    def __init__(self, emotion: int, labels: int, size: float = 40.0) -> None:
        super().__init__()
        self.register_buffer("logits", functional.one_hot(torch.tensor(emotion), labels) * size)
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        logits = self.get_buffer("logits") + faces.mean((1, 2, 3))[:, None]
        return {"logits": logits}


def registered(emotion: int, labels: tuple[str, ...]) -> str:
    run = registry_store.connect().create_run(registry_store.experiment("emotion"))
    version = versions.register(
        EMOTION, Constant(emotion, len(labels)), crop=EMOTION.crop, run_id=run.info.run_id,
        config={}, description="A teacher.", labels=labels,
    )  # fmt: skip
    return f"models:/emotion/{version.number}"


@pytest.mark.usefixtures("store")
def test_teachers_contribute_their_mean_by_their_share_to_every_target(tmp_path: Path) -> None:
    teachers = tuple(registered(EMOTIONS.index(each), EMOTIONS) for each in ("fear", "sad"))
    recipe = replace(SMOKE, runs=tmp_path, teachers=teachers, teacher_share=0.25)
    task, without = EmotionTask(recipe), EmotionTask(replace(recipe, teachers=()))
    targets = task.loader().dataset.targets["target"]  # type: ignore[attr-defined]
    annotated = without.loader().dataset.targets["target"]  # type: ignore[attr-defined]
    fear, sad = torch.eye(len(EMOTIONS))[[EMOTIONS.index("fear"), EMOTIONS.index("sad")]]
    torch.testing.assert_close(targets, 0.75 * annotated + 0.125 * fear + 0.125 * sad)


@pytest.mark.usefixtures("store")
def test_a_teacher_of_other_emotions_is_refused(tmp_path: Path) -> None:
    teacher = registered(0, EMOTIONS[:7])
    with pytest.raises(RecipeError, match=r"must have neutral.+contempt"):
        EmotionTask(replace(SMOKE, runs=tmp_path, teachers=(teacher,))).loader()


def one_emotion(
    folder: Path, emotion: str | None, monkeypatch: pytest.MonkeyPatch, *, every: int = 1
) -> Path:
    """Prepare drawn validation faces, all labelled with one emotion or none."""
    drawn = toy.read()
    label = None if emotion is None else EMOTIONS.index(emotion)
    faces = [p for p in drawn.pictures if p.split == "validation"][::every]
    pictures = [replace(p, emotion=label, votes=None) for p in faces]
    reading = replace(drawn, pictures=pictures, triplets=None)
    monkeypatch.setitem(READERS, "toy", lambda _: reading)
    prepare("toy", None, folder)
    return folder


def test_the_temperature_is_fitted_on_the_validation_faces_of_all_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happy = one_emotion(tmp_path / "happy", "happy", monkeypatch)
    sad = one_emotion(tmp_path / "sad", "sad", monkeypatch, every=3)
    unlabelled = one_emotion(tmp_path / "unlabelled", None, monkeypatch)
    data = (unlabelled, happy, sad)
    task = EmotionTask(replace(SMOKE, toy=False, contempt=False, data=data, runs=tmp_path))
    faces = [len(Prepared.open(folder).split("validation")) for folder in (happy, sad)]
    network = Constant(EMOTIONS.index("happy"), len(task.labels), size=10.0)
    exported = task.export({"emotion": network})
    # cross-entropy is least where p(happy) = 1 / (1 + 6 exp(-10 / T)) is the share of happy faces
    share = faces[0] / sum(faces)
    expected = 10 / math.log(6 * share / (1 - share))
    assert 0.6 < share < 0.9
    assert exported.temperature == pytest.approx(expected, rel=0.02)
    # it always answers happy; weighed equally, that is most wrong about the prior of happy faces
    assert max(exported.class_prior, key=exported.class_prior.__getitem__) == "happy"
    assert set(exported.class_prior) == set(task.labels)


def test_for_one_hot_targets_the_loss_is_torchs_weighted_cross_entropy() -> None:
    torch.manual_seed(0)
    logits, truth, weights = torch.randn(20, 8), torch.randint(8, (20,)), torch.rand(8) + 0.1
    expected = functional.cross_entropy(logits, truth, weights)
    one_hot = functional.one_hot(truth, 8).float()
    torch.testing.assert_close(weighted_cross_entropy(logits, one_hot, weights), expected)


def test_the_temperature_undoes_overconfidence() -> None:
    torch.manual_seed(0)
    honest = torch.randn(4000, 8) * 2
    truth = torch.multinomial(honest.softmax(1), 1).squeeze(1)
    temperature = fitted_temperature(honest * 3, truth)
    assert 2.7 < float(temperature) < 3.3
    before = emotion_metrics(honest * 3, truth)["calibration_error"]
    after = emotion_metrics(honest * 3 / temperature, truth)["calibration_error"]
    assert after < 0.03 < before


def test_the_class_prior_is_the_one_that_the_faces_were_drawn_with() -> None:
    torch.manual_seed(0)
    prior = torch.tensor([0.6, 0.25, 0.1, 0.05])
    truth = torch.multinomial(prior, 20_000, replacement=True)
    places = functional.one_hot(truth, 4) * 1.5 + torch.randn(len(truth), 4)
    likelihood = 1.5 * places  # of N(1.5 e_k, 1) each, up to what they share
    found = fitted_prior(likelihood + prior.log(), truth)
    torch.testing.assert_close(found, prior, atol=0, rtol=0.15)
    torch.testing.assert_close(balanced_logits(likelihood + prior.log(), prior), likelihood)


def test_a_label_without_faces_gets_the_geometric_mean_of_the_others() -> None:
    torch.manual_seed(0)
    truth = torch.tensor([0] * 90 + [1] * 10)
    logits = torch.randn(100, 3) + torch.tensor([2.0, 0.0, 9.0])
    first, second, absent = fitted_prior(logits, truth).tolist()
    assert first > second
    assert absent == pytest.approx(math.sqrt(first * second))
    assert first + second + absent == pytest.approx(1)


def test_mean_recall_counts_only_emotions_that_occur() -> None:
    logits = torch.eye(8)[[0, 0, 0, 1]] * 9
    found = emotion_metrics(logits, torch.tensor([0, 0, 1, 1]))
    assert found["accuracy"] == 0.75
    assert found["mean_recall"] == 0.75


def test_a_start_of_another_backbone_is_refused_and_of_this_one_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    trained, other = EmotionClassifier(SMOKE.network, 8), EmotionClassifier(SMOKE.network, 8)
    config = {"network": {"backbone": {"name": "compact"}, "subtract": True}}
    monkeypatch.setattr(versions, "config", lambda _: config)
    monkeypatch.setattr(versions, "weights", lambda _: trained.state_dict())
    start_from(other, "emotion/1")
    for name, value in trained.pair.state_dict().items():
        assert torch.equal(other.pair.state_dict()[name], value)
    mobilefacenet = replace(SMOKE.network, backbone=BackboneConfig(name="mobilefacenet"))
    with pytest.raises(RecipeError, match="emotion/1 has the backbone compact, which this recipe"):
        start_from(EmotionClassifier(mobilefacenet, 8), "emotion/1")
    config["network"].pop("backbone")
    with pytest.raises(RecipeError, match="no face branch to start from"):
        start_from(other, "emotion/1")
