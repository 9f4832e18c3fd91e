"""One training from the command to the registered version."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from accelerate import PartialState
from safetensors.torch import save_file

from registry import candidates, doctor, store, versions
from registry.errors import RegistryError
from registry.measurements import from_rows
from registry.temporary import TemporaryFolder
from registry.versions import Version
from training.cards.markdown import markdown
from training.cards.run_card import RunCard, run_card
from training.datasets.prepared import Prepared
from training.engine import origin
from training.engine.device import device_of
from training.engine.finite import nonfinite_weights
from training.engine.loop import Loop
from training.engine.recipe import Recipe, RecipeError
from training.engine.references import references
from training.engine.run_folder import RunFolder, run_folder
from training.engine.task import TrainedModel, TrainingError
from training.engine.tracking import Tracker
from training.recipes import task_of

WEIGHTS, UPLOAD = "weights.safetensors", "python -m training upload"
FEWEST_FACES = 30
"""A validation on fewer faces is reported as too small: one face more or less changes the share of
right answers by more than 3 %."""


def train(name: str, recipe: Recipe, command: str, *, offline: bool = False) -> Version | None:
    """Train, register a version without promoting it, and remove the checkpoints.

    Without a store, all that it would get stays in the training's folder, for `upload`.

    Args:
        name: name of the recipe.
        recipe: the recipe as typed; its references to versions are resolved here, once.
        command: the command, for the card.
        offline: don't use the store at any point; None is returned.

    Returns:
        The version; None for a network that isn't registered: its weights are in its run.

    Raises:
        RecipeError: the recipe can't run, its data changed, or it is being trained already.
        TrainingError: the training stopped itself.
        RegistryError: a version that the recipe names is missing, or the store doesn't answer.
    """
    processes = PartialState(cpu=device_of(recipe) == "cpu")
    folder = RunFolder(run_folder(name, recipe))
    if offline:
        _require_no_version(recipe)
    if not processes.is_main_process:
        return _train(name, recipe, command, folder, processes, offline)
    if not offline and store.exists():
        store.connect()  # a training whose store doesn't answer must not begin
        for sentence in doctor.clean_killed():
            print(sentence, file=sys.stderr)
    with folder.locked():
        origin.begin(folder.path, command)
        return _train(name, recipe, command, folder, processes, offline)


def _require_no_version(recipe: Recipe) -> None:
    """Raise for a recipe that needs a registered version, which only the store has."""
    if named := references(recipe):
        raise RecipeError(
            f"This recipe needs {' and '.join(named.values())} from the registry, so it can't be "
            "trained with --offline: train it while the registry answers."
        )


def _train(
    name: str,
    recipe: Recipe,
    command: str,
    folder: RunFolder,
    processes: PartialState,
    offline: bool,
) -> Version | None:
    with processes.main_process_first():
        recipe = folder.resolve(recipe)
    task = task_of(recipe)
    with processes.main_process_first():
        folder.check_data(task.sets, recipe.resume_from)
    loop = Loop(name, recipe, task, folder.path, offline=offline)
    version = None
    try:
        loop.run()
        if loop.events:
            origin.finish(folder.path)
        if offline and loop.events:
            _keep(loop, command)
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
            f"again to register it, or `{UPLOAD} {folder.path.name}`."
        ) from error


def _trained(loop: Loop, command: str) -> tuple[TrainedModel, RunCard]:
    """Return the trained network and its card, which is kept as the training's machine wrote it."""
    trained = loop.task.export({n: m.cpu().eval() for n, m in loop.trained_networks().items()})
    _check_weights(trained)
    folder = loop.checkpoints.folder
    known = origin.card(folder)
    if known is not None:
        return trained, RunCard.read(known)
    card = run_card(loop.name, command, loop.recipe, loop.task, trained, loop.progress)
    origin.write_card(folder, card.to_dict())
    return trained, card


def _keep(loop: Loop, command: str) -> None:
    """Write card and weights of a training without a store into its folder."""
    trained, _ = _trained(loop, command)
    folder = loop.checkpoints.folder
    _write_weights(trained, folder / WEIGHTS)
    report_small_validation(loop.task.sets)
    print(f"The training is finished and kept in {folder}.")
    print(f"Register it, once the registry answers: {UPLOAD} {folder}")


def _register(loop: Loop, command: str) -> Version | None:
    task, tracker, progress = loop.task, loop.tracker, loop.progress
    assert tracker is not None
    assert loop.events is not None
    loop.events.finish(progress.pending)
    trained, card = _trained(loop, command)
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
            class_prior=trained.class_prior,
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
        _write_weights(trained, folder / WEIGHTS)
        tracker.file(folder / WEIGHTS)


def _write_weights(trained: TrainedModel, path: Path) -> None:
    state = trained.network.state_dict()
    save_file({name: value.clone().contiguous() for name, value in state.items()}, path)
