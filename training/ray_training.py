"""A training in several processes of Ray, on this machine or on the cluster at RAY_ADDRESS.

Ray Train's TorchTrainer starts the processes and joins them as `torchrun` does; in each of them
Accelerate finds the others, and the loop is the one of every training.
"""

import io
import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from registry.errors import first_line
from registry.ray_cluster import Cluster, ClusterError, Workers, joined
from registry.versions import Version
from training.engine.device import compute_repeatably
from training.engine.recipe import Recipe
from training.engine.task import TrainingError
from training.train import train


def train_on_ray(name: str, recipe: Recipe, command: str, workers: int) -> Version | None:
    """Train in several processes of Ray; as `training.train.train`.

    Args:
        name: name of the recipe.
        recipe: the recipe as typed. Its folders are where every process finds them.
        command: the command, for the card.
        workers: how many processes.

    Raises:
        ClusterError: Ray can't do the work.
        Exception: what `training.train.train` raised in a process.
    """
    with joined() as cluster, _printed() as output:
        chosen = _workers(cluster, recipe, workers)
        from ray.train import RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer
        from ray.train.v2.api.exceptions import TrainingFailedError

        storage = recipe.runs.resolve() / f".ray-{os.getpid()}"
        scaling = ScalingConfig(
            num_workers=chosen.count,
            use_gpu=chosen.gpus > 0,
            resources_per_worker={"CPU": chosen.cpus} | ({"GPU": 1} if chosen.gpus else {}),
        )
        config = {"name": name, "recipe": recipe, "command": command}
        trainer = TorchTrainer(
            _train_here,
            train_loop_config=config | {"folder": Path.cwd(), "output": output},
            scaling_config=scaling,
            run_config=RunConfig(name=name, storage_path=str(storage)),
        )
        try:
            with _interruptible():
                version: Version | None = trainer.fit().return_value
        except TrainingFailedError as error:
            raise _cause(error) from error
        finally:
            shutil.rmtree(storage, ignore_errors=True)
    return version


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end the block as everywhere: Ray Train ends the whole process instead."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        signal.signal(signal.SIGINT, before)


def _workers(cluster: Cluster, recipe: Recipe, count: int) -> Workers:
    """Return the processes; each has a GPU of its own where the recipe trains on one.

    Raises:
        ClusterError: There are too few CPUs or GPUs.
    """
    on_gpu = recipe.device != "cpu" and cluster.gpus > 0
    if on_gpu and count > cluster.gpus:
        raise ClusterError(
            f"{count} processes can't train on the {cluster.gpus} GPUs that Ray has, one for each: "
            "name fewer, add machines to the cluster, or train with --device cpu."
        )
    return cluster.workers(count, need_gpu=on_gpu)


def _train_here(config: dict[str, Any]) -> Version | None:
    """Train in one of the processes, which Ray has joined."""
    with suppress(FileNotFoundError):
        os.chdir(config["folder"])
    logging.getLogger().setLevel(logging.WARNING)  # Ray shows what other libraries log
    for kind in (np.float32, np.float64):  # NumPy warns where it looks later for such small numbers
        str(np.finfo(kind))
    torch.set_flush_denormal(True)
    compute_repeatably()
    output = _Sent(config["output"])
    with redirect_stdout(output), redirect_stderr(output):
        return train(config["name"], config["recipe"], config["command"])


class _Sent(io.TextIOBase):
    """A text file whose text is put into a queue."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def write(self, text: str) -> int:
        """Send a text and return its length."""
        self._queue.put(text)
        return len(text)


@contextmanager
def _printed() -> Iterator[Any]:
    """Give a queue of Ray; what the processes put into it is printed on stderr."""
    from ray.util.queue import Queue

    queue = Queue()

    def print_all() -> None:
        while (text := queue.get()) is not None:
            print(text, end="", file=sys.stderr, flush=True)

    printer = threading.Thread(target=print_all, daemon=True)
    printer.start()
    try:
        yield queue
    finally:
        queue.put(None)
        printer.join()


def _cause(error: Any) -> Exception:
    """Return what was raised in the first process that failed."""
    failures = getattr(error, "worker_failures", {})
    for _, failure in sorted(failures.items()):
        cause = getattr(failure, "cause", None) or failure.__cause__ or failure
        if isinstance(cause, Exception):
            return cause
    return TrainingError(f"Ray could not train ({first_line(error)}).")
