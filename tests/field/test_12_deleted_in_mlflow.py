"""What is deleted in MLflow's UI while something works on it: results are printed and kept."""

import json
from pathlib import Path

import pytest
from torch import nn

from registry import promotion, store, versions
from registry.errors import Deleted
from registry.versions import Version
from tests.registry.conftest import Register
from tests.training.engine.line import STEPS, LineTask
from training import evaluate
from training.__main__ import main
from training.datasets.prepared import Prepared

TRAIN = ["train", "line", "--seed", "12"]


def delete_at(line: type[LineTask], step: int, what: str) -> None:
    """Let somebody delete the run or the experiment of the training in MLflow's UI."""

    def delete(at: int, _: nn.Module) -> None:
        if at == step:
            client, experiment = store.connect(), store.experiment("dln")
            if what == "experiment":
                client.delete_experiment(experiment)
            else:
                (run,) = client.search_runs([experiment])
                client.delete_run(run.info.run_id)

    line.before_step = staticmethod(delete)


@pytest.mark.parametrize("what", ["run", "experiment"])
def test_a_training_whose_run_or_experiment_is_deleted_goes_on_and_is_kept(
    line: type[LineTask], runs: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    train = [*TRAIN, "--runs", str(runs)]
    delete_at(line, STEPS + 2, what)
    assert main(train) == 3
    printed = " ".join(capsys.readouterr().err.split())
    assert "epoch 3/3" in printed, "it trained to its end"
    assert printed.count("The training goes on") == 1
    assert "it was deleted or renamed in MLflow" in printed
    assert "run the same command again to register it" in printed
    assert versions.list_versions() == []

    line.before_step = staticmethod(lambda _step, _line: None)
    assert main(train) == 0
    assert line.tasks[-1].steps == 0, "nothing was trained again"
    (version,) = versions.list_versions()
    history = store.connect().get_metric_history(version.run_id, "validation/line/slope")
    assert [metric.step for metric in history] == [STEPS, 2 * STEPS, 3 * STEPS]


@pytest.mark.parametrize("what", ["run", "name"])
def test_measurements_are_printed_and_kept_where_their_version_is_gone(
    register: Register,
    toy: Prepared,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    what: str,
) -> None:
    version = register()
    annotate = evaluate.annotate

    def annotate_too_late(*arguments: object) -> None:
        client = store.connect()
        if what == "run":
            client.delete_run(version.run_id)
        else:
            client.rename_registered_model("dln", "mine")
        annotate(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluate, "annotate", annotate_too_late)
    assert main(["evaluate", "dln/1", str(toy.folder)]) == 3
    printed = capsys.readouterr()
    assert "triplet_accuracy" in printed.out
    assert "it was deleted or renamed in MLflow" in printed.err
    kept = Path(printed.err.split("The results are kept in ")[1].split(".json")[0] + ".json")
    rows = json.loads(kept.read_text())
    assert {"split": "test", "set": "toy"}.items() <= rows[0].items()


def test_a_version_deleted_while_it_is_promoted_is_named(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    register()
    resolve = versions.resolve

    def resolve_and_delete(reference: str) -> Version:
        version = resolve(reference)
        store.connect().delete_model_version("dln", "1")
        return version

    monkeypatch.setattr(versions, "resolve", resolve_and_delete)
    with pytest.raises(Deleted, match="The alias production of dln can't be written"):
        promotion.promote("dln", 1)


def test_a_run_deleted_before_its_network_is_registered_leaves_nothing_half_done(
    register: Register, fresh_store: Path
) -> None:
    run = store.connect().create_run(store.experiment("dln")).info.run_id
    store.connect().delete_run(run)
    with pytest.raises(Deleted, match="nothing was registered"):
        register(run_id=run)
    assert versions.list_versions() == []
    assert list(fresh_store.rglob("*.pt2")) == []
