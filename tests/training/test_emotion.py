import torch
from torch.nn import functional

from training.emotion.metrics import emotion_metrics, fitted_temperature
from training.emotion.task import weighted_cross_entropy


def test_one_hot_targets_give_torchs_weighted_cross_entropy() -> None:
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


def test_mean_recall_counts_only_emotions_that_are_shown() -> None:
    logits = torch.eye(8)[[0, 0, 0, 1]] * 9
    found = emotion_metrics(logits, torch.tensor([0, 0, 1, 1]))
    assert found["accuracy"] == 0.75
    assert found["mean_recall"] == 0.75
