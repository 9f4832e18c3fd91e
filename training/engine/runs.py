"""The MLflow runs of trainings, found by their tags."""

from registry import store
from training.engine.tracking import RUN_FOLDER, TRAINING


def finished(model: str, folder: str) -> str | None:
    """Return the newest finished run of a model whose checkpoints were in a folder of this name.

    Raises:
        Unreachable: the store does not answer.
    """
    client, experiment = store.connect(create=True), store.experiment(model)
    with store.answering():
        found = client.search_runs(
            [experiment],
            f"tags.{RUN_FOLDER} = '{folder}' and attributes.status = 'FINISHED'",
            max_results=1,
        )
    return found[0].info.run_id if found else None


def run_of(experiment: str, training: str) -> str:
    """Return the run of a training by its tag TRAINING; empty where there is none.

    Raises:
        Unreachable: the store does not answer.
    """
    client, experiment_id = store.connect(create=True), store.experiment(experiment)
    with store.answering():
        found = client.search_runs([experiment_id], f"tags.{TRAINING} = '{training}'")
    return str(found[0].info.run_id) if found else ""
