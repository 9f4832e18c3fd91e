"""A team at work: anna trains, paul promotes, visitors ask two apps, and PostgreSQL dies."""

import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from mlflow import MlflowClient

from tests.team.installation import Installation
from tests.team.people import Answer, Crowd, Visitor, do, start, version_of
from tests.team.processes import STARTS_WITHIN_SECONDS
from tests.test_app import until

pytestmark = [pytest.mark.xdist_group("team"), pytest.mark.slow, pytest.mark.timeout(1800)]
SWAPS_WITHIN_SECONDS = 240
VISITORS = 8
OUTAGE_SECONDS = 30.0
EPOCHS = 30
TRAIN = ("training", "train", "dln-smoke", "--epochs", str(EPOCHS))
PROMOTE = ("registry", "promote", "dln")
FORCED = ("--force", "--reason", "to see it answer")


@dataclass(frozen=True)
class Trained:
    """A training in whose middle PostgreSQL was dead, and what visitors got all the while.

    `expected` is what a visitor got before it; `printed` is all that the training printed.
    """

    printed: str
    expected: Answer
    crowd: Crowd


@pytest.fixture(scope="module")
def trained(team: Installation, examples: Path) -> Trained:
    """Let anna, whose password is in ~/.netrc, train, and kill PostgreSQL for a while meanwhile."""
    for app in team.apps:
        answers = until(lambda port=app.port: version_of(port) == 1, SWAPS_WITHIN_SECONDS)
        assert answers, app.printed()
    expected = Visitor(team).compare(examples)
    runs, anna = team.folder / "anna" / "runs", team.person("anna", by_netrc=True)
    train = (*TRAIN, "--runs", str(runs))
    with Crowd(team, examples, VISITORS) as crowd:
        training = start(team, anna, *train)
        begun = until(lambda: steps_in(runs) > 0 or training.process.poll() is not None, 600)
        assert begun, training.output.read_text()
        assert training.process.poll() is None, training.output.read_text()
        team.postgres.kill()
        killed = time.monotonic()
        crowd.wait_for_answers("the apps answer without the database")
        time.sleep(max(0.0, killed + OUTAGE_SECONDS - time.monotonic()))
        team.postgres.start()
        assert until(lambda: answers_with_database(team), STARTS_WITHIN_SECONDS)
        crowd.wait_for_answers("the apps answer when the database is back")
    status, printed = training.ended()
    if status == 3 and "run the same command again" in printed:  # it ended during the outage
        status, more = do(team, anna, *train)
        printed += more
    assert status == 0, printed
    return Trained(printed, expected, crowd)


@pytest.fixture(scope="module")
def promoted(team: Installation, trained: Trained) -> str:
    """Let paul promote what anna trained; return what was printed."""
    assert trained
    status, printed = do(team, team.person("paul"), *PROMOTE, "1", *FORCED)
    assert status == 0, printed
    return printed


@pytest.fixture
def mlflow(team: Installation, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """Return a client of MLflow's server, as the administrator."""
    for name, value in team.admin().items():
        if name.startswith("MLFLOW_TRACKING_"):
            monkeypatch.setenv(name, value)
    address = team.admin()["MLFLOW_TRACKING_URI"]
    return MlflowClient(tracking_uri=address, registry_uri=address)


def test_postgresql_may_die_for_thirty_seconds_and_the_training_loses_nothing(
    team: Installation, trained: Trained, mlflow: MlflowClient
) -> None:
    assert "Registered dln-candidates version 1" in trained.printed
    (version,) = mlflow.search_model_versions("name='dln-candidates'")
    assert_complete(mlflow, version.run_id)
    run = mlflow.get_run(version.run_id)
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
    names = team.stored()
    of_run = {Path(name).name for name in names if run.info.run_id in name}
    assert {"card.json", "config.json"} <= of_run
    model_id = version.source.rpartition("/")[2]
    assert any(n.endswith("weights.safetensors") for n in names if model_id in n)


def test_visitors_get_the_same_answers_without_postgresql(trained: Trained) -> None:
    crowd, expected = trained.crowd, trained.expected
    assert not crowd.failures
    assert all(refusal.endswith(".") for refusal in crowd.refusals)
    assert {answer["sentence"] for answer in crowd.answers} == {expected["sentence"]}
    assert {tuple(answer["distances"]) for answer in crowd.answers} == {
        tuple(expected["distances"])
    }


def test_a_trainer_may_not_promote_and_reads_why(team: Installation, trained: Trained) -> None:
    assert trained
    status, printed = do(team, team.person("anna"), *PROMOTE, "1", *FORCED)
    assert status == 3
    assert "the permission EDIT on the registered model dln, which whoever runs" in printed
    assert "Traceback" not in printed
    assert [version_of(app.port) for app in team.apps] == [1, 1]


def test_a_promoter_promotes_and_both_apps_swap(
    team: Installation, promoted: str, mlflow: MlflowClient, examples: Path
) -> None:
    assert "Version 2 of dln is in production" in promoted
    for app in team.apps:
        swapped = until(lambda port=app.port: version_of(port) == 2, SWAPS_WITHIN_SECONDS)
        assert swapped, app.printed()
    assert Visitor(team).compare(examples)["version"] == 2
    journal = mlflow.get_registered_model("dln").tags
    last = max(key for key in journal if key.startswith("journal."))
    assert '"who": "paul"' in journal[last]


def assert_complete(mlflow: MlflowClient, run_id: str) -> None:
    """Check that a run has each epoch once of each number that is reported by epoch."""
    run = mlflow.get_run(run_id)
    assert run.info.status == "FINISHED"
    by_epoch = 0
    for key in run.data.metrics:
        steps = sorted(point.step for point in mlflow.get_metric_history(run_id, key))
        if key.startswith("validation/"):
            by_epoch += 1
            last = max(steps)
            assert steps == [last * epoch // EPOCHS for epoch in range(1, EPOCHS + 1)], key
        elif not key.startswith("system/"):
            assert len(steps) == len(set(steps)), key
    assert by_epoch > 0


def answers_with_database(team: Installation) -> bool:
    """Return whether MLflow answers again and again: it may hold connections that are dead."""
    login = ("admin", team.secret("mlflow_admin_password"))
    url = f"http://127.0.0.1:{team.mlflow.port}/mlflow/api/2.0/mlflow/registered-models/get"
    with httpx.Client(auth=login, trust_env=False, timeout=60) as client:
        answers = [client.get(url, params={"name": "dln"}) for _ in range(10)]
    return all(answer.is_success for answer in answers)


def steps_in(runs: Path) -> int:
    """Return how many numbers the training in a folder has reported."""
    return sum(len(path.read_text().splitlines()) for path in runs.glob("*/metrics.jsonl"))
