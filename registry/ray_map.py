"""Work on many items in the processes of Ray, through Ray Data."""

import logging
import os
import pickle
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from registry import console
from registry.errors import first_line
from registry.ray_cluster import Workers, require_ray

MOST_ITEMS = 64
"""Items of one task at most; those of a worker that is killed are worked on once more."""
TASKS_FOR_EACH_WORKER = 8
"""As many at least, so that no worker waits long for the last one."""
RETRIES = 3
"""How often a task is tried again whose worker was killed, before all of the work fails."""
Item = TypeVar("Item")
Result = TypeVar("Result")


def map_items(
    make: Callable[[], Callable[[Item], Result]], items: Sequence[Item], workers: Workers
) -> Generator[tuple[int, Result], None, None]:
    """Yield the position of each item and its result, once, in the order in which they are done.

    `registry.ray_cluster.joined` has to be active. A worker that is killed is started again, and
    what it had not answered is worked on once more.

    Args:
        make: Called once in each worker; returns the function of one item. It, the items and the
            results are pickled.
        items: What is worked on.
        workers: How many processes work.

    Raises:
        Exception: What the function raised, or `make`.
    """
    require_ray()
    import ray.data

    _configure(ray.data)
    size = max(1, min(MOST_ITEMS, len(items) // (workers.count * TASKS_FOR_EACH_WORKER)))
    tasks = [
        {"start": start, "items": pickle.dumps(items[start : start + size])}
        for start in range(0, len(items), size)
    ]
    if not tasks:
        return
    dataset = ray.data.from_items(tasks, override_num_blocks=len(tasks))
    with warnings.catch_warnings():
        # Deprecated, and yet 2.60 has no other way to end the retries, which never end by default.
        warnings.simplefilter("ignore", DeprecationWarning)
        answered = dataset.map(
            _Worker,
            fn_constructor_args=(make, Path.cwd()),
            concurrency=min(workers.count, len(tasks)),
            num_cpus=workers.cpus,
            num_gpus=workers.gpus or None,
            max_task_retries=RETRIES,
        )
    for row in answered.iter_rows():
        results, error = pickle.loads(row["answer"])  # noqa: S301, our own workers wrote it
        yield from enumerate(results, int(row["start"]))
        if error is not None:
            raise error


class _Worker:
    """One process of Ray: makes its function at its first task, and calls it for each item.

    Args:
        make: As for `map_items`.
        folder: The folder that relative paths begin at.
    """

    def __init__(self, make: Callable[[], Callable[[Any], Any]], folder: Path) -> None:
        console.save_cpu()
        with suppress(FileNotFoundError):
            os.chdir(folder)
        self._make = make
        self._function: Callable[[Any], Any] | None = None

    def __call__(self, task: dict[str, Any]) -> dict[str, Any]:
        """Return the results of a task's items up to an error, and the error."""
        results: list[Any] = []
        error: Exception | None = None
        try:
            if self._function is None:
                self._function = self._make()
            for item in pickle.loads(task["items"]):  # noqa: S301, written by `map_items`
                results.append(self._function(item))  # noqa: PERF401, those before an error count
        except Exception as raised:
            logging.getLogger(__name__).exception("An item failed")
            error = _picklable(raised)
        return {"start": task["start"], "answer": pickle.dumps((results, error))}


def _picklable(error: Exception) -> Exception:
    """Return an error that another process can read: the same one, or its first line."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301, written in this line
    except Exception:
        logging.getLogger(__name__).debug("%r can't be pickled", error, exc_info=True)
        return RuntimeError(first_line(error))
    return error


def _configure(data: Any) -> None:
    """Keep Ray Data's reports out of the terminal, and let workers be killed while they start."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_consecutive_actor_init_deaths = RETRIES
