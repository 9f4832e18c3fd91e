"""One training from the command to the registered version."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from accelerate import PartialState
from safetensors.torch import save_file

from registry import candidates, doctor, store, versions
from registry.errors import RegistryError
from registry.measurements import from_rows
from registry.temporary import TemporaryFolder
from registry.versions import Version
from training.cards.markdown import markdown
from training.cards.run_card import run_card
from training.datasets.prepared import Prepared
from training.engine.device import device_of
from training.engine.finite import nonfinite_weights
from training.engine.loop import Loop
from training.engine.recipe import Recipe
from training.engine.run_folder import RunFolder, run_folder
from training.engine.task import TrainedModel, TrainingError
from training.engine.tracking import Tracker
from training.recipes import task_of

FEWEST_FACES = 30
"""A validation on fewer faces is reported as too small: one face more or less changes the share of
right answers by more than 3 %."""


def train(name: str, recipe: Recipe, command: str) -> Version | None:
    """Train, register a version without promoting it, and remove the checkpoints.

    Args:
        name: name of the recipe.
        recipe: the recipe as typed; its references to versions are resolved here, once.
        command: the command, for the card.

    Returns:
        The version; None for a network that isn't registered: its weights are in its run.

    Raises:
        RecipeError: the recipe can't run, its data changed, or it is being trained already.
        TrainingError: the training stopped itself.
        RegistryError: a version that the recipe names is missing, or the store doesn't answer.
    """
    processes = PartialState(cpu=device_of(recipe) == "cpu")
    folder = RunFolder(run_folder(name, recipe))
    if not processes.is_main_process:
        return _train(name, recipe, command, folder, processes)
    if store.exists():
        store.connect()  # a training whose store doesn't answer must not begin
        for sentence in doctor.clean_killed():
            print(sentence, file=sys.stderr)
    with folder.locked():
        return _train(name, recipe, command, folder, processes)


def _train(
    name: str, recipe: Recipe, command: str, folder: RunFolder, processes: PartialState
) -> Version | None:
    with processes.main_process_first():
        recipe = folder.resolve(recipe)
    task = task_of(recipe)
    with processes.main_process_first():
        folder.check_data(task.sets, recipe.resume_from)
    loop = Loop(name, recipe, task, folder.path)
    version = None
    try:
        loop.run()
        if loop.tracker:
            with _kept(folder):
                version = _register(loop, command)
            folder.remove()
            report_small_validation(task.sets)
    except BaseException as error:
        if loop.tracker:
            stopped = isinstance(error, KeyboardInterrupt)
            loop.tracker.close("KILLED" if stopped else "FAILED")
        raise
    return version


@contextmanager
def _kept(folder: RunFolder) -> Iterator[None]:
    """Add to an error of the registry that the training is finished and not lost."""
    try:
        yield
    except RegistryError as error:
        raise type(error)(
            f"{error} The training is finished and kept in {folder.path}: run the same command "
            "again to register it."
        ) from error


def _register(loop: Loop, command: str) -> Version | None:
    task, tracker, progress = loop.task, loop.tracker, loop.progress
    assert tracker is not None
    assert loop.events is not None
    loop.events.send(progress.pending, at_once=True)
    trained = task.export({n: m.cpu().eval() for n, m in loop.trained_networks().items()})
    _check_weights(trained)
    card = run_card(loop.name, command, loop.recipe, task, trained, progress)
    measurements = from_rows(progress.last)
    tracker.measurements(measurements)
    version = None
    if task.spec is None:
        tracker.card(card.to_dict())
        _log_weights(trained, tracker)
        print(f"{loop.name} isn't a registered model: its weights are in run {tracker.run_id}.")
    else:
        text = markdown(card, measurements)
        tracker.card(card.to_dict(), text)
        registered = candidates.registered_name(task.spec.name)
        version = versions.find(registered, run_id=tracker.run_id) or versions.register(
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
    return version


def report_small_validation(sets: Sequence[Prepared]) -> None:
    """Print which sets have so few faces for validation that its numbers can't be believed."""
    for data in sets:
        faces = len(data.split("validation"))
        if 0 < faces < FEWEST_FACES:
            count = "1 face" if faces == 1 else f"{faces} faces"
            print(
                f"The validation of {data.name} has {count}, too few to believe its numbers: "
                f"take data with {FEWEST_FACES} or more.",
                file=sys.stderr,
            )


def _check_weights(trained: TrainedModel) -> None:
    nonfinite = nonfinite_weights({"network": trained.network})
    if nonfinite:
        raise TrainingError(f"{nonfinite[0]} isn't finite, so no version is registered.")


def _log_weights(trained: TrainedModel, tracker: Tracker) -> None:
    with TemporaryFolder() as folder:
        path = folder / "weights.safetensors"
        state = trained.network.state_dict()
        save_file({k: v.contiguous() for k, v in state.items()}, path)
        tracker.file(path)
