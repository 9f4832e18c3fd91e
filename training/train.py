"""One training from the command to the registered version."""

import tempfile
from pathlib import Path

from safetensors.torch import save_file

from registry import versions
from registry.measurements import from_rows
from registry.versions import Version
from training.cards.markdown import markdown
from training.cards.run_card import run_card
from training.engine.loop import Loop
from training.engine.recipe import Recipe
from training.engine.task import TrainedModel
from training.engine.tracking import Tracker
from training.recipes import task_of


def train(name: str, recipe: Recipe, command: str) -> Version | None:
    """Train, register a version without promoting it, and clear the checkpoints away.

    A network that is no registered model leaves its weights in its run, and None is returned.
    """
    task = task_of(recipe)
    loop = Loop(name, recipe, task)
    version = None
    try:
        loop.run()
        if loop.tracker:
            version = _register(loop, command)
    except BaseException as error:
        if loop.tracker:
            stopped = isinstance(error, KeyboardInterrupt)
            loop.tracker.close("KILLED" if stopped else "FAILED")
        raise
    return version


def _register(loop: Loop, command: str) -> Version | None:
    task, tracker, progress = loop.task, loop.tracker, loop.progress
    assert tracker is not None
    trained = task.export({n: m.cpu().eval() for n, m in loop.bare_networks().items()})
    card = run_card(loop.name, command, loop.recipe, task, trained, progress)
    measurements = from_rows(progress.last)
    tracker.measurements(measurements)
    version = None
    if task.spec is None:
        tracker.card(card.to_dict())
        _keep_weights(trained, tracker)
        print(f"{loop.name} is no registered model: its weights are in run {tracker.run_id}.")
    else:
        text = markdown(card, measurements)
        tracker.card(card.to_dict(), text)
        version = versions.find(task.spec.name, run_id=tracker.run_id) or versions.register(
            task.spec,
            trained.network,
            crop=trained.crop,
            run_id=tracker.run_id,
            config=card.config,
            description=text,
            labels=trained.labels,
            temperature=trained.temperature,
            data={data.name: data.digest for data in task.sets},
            encoder=trained.encoder,
            thresholds=trained.thresholds,
        )
    tracker.close()
    loop.checkpoints.discard()
    return version


def _keep_weights(trained: TrainedModel, tracker: Tracker) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        state = trained.network.state_dict()
        save_file({k: v.contiguous() for k, v in state.items()}, path)
        tracker.file(path)
