"""The processes that train the trials of a sweep, on one machine."""

import multiprocessing
import multiprocessing.process
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from pathlib import Path

import torch

from registry.logs import log_to_file
from training.engine.device import compute_repeatably
from training.engine.task import TrainingError
from training.sweep import study as studies
from training.sweep import trial_states as states
from training.sweep.plan import Plan
from training.sweep.trial import run_next

INTERRUPTED = 130
PAUSE_SECONDS = 0.5
"""Time between two looks at the trials of other processes."""


def work(plan: Plan, show: Callable[[], None] = lambda: None) -> None:
    """Train trials until all of the sweep have ended, those of other processes included.

    Args:
        plan: the sweep.
        show: called after each trial.

    Raises:
        TrainingError, RecipeError, RegistryError: a training failed.
    """
    study = studies.open_study(plan)
    while True:
        with studies.storing(plan), ExitStack() as held:
            held.enter_context(studies.lock(plan))
            states.retry_dead(study)
            due = states.due(study, plan.trials)
            if due.now:
                run_next(plan, study, held.close)
        show()
        if not due.now and not due.running:
            return
        if not due.now:
            time.sleep(PAUSE_SECONDS)


def work_in_processes(plan: Plan, count: int, show: Callable[[], None]) -> None:
    """Train trials in several processes until all of the sweep have ended.

    Ctrl-C, the failure of one, or the death of this process stops them all.

    Args:
        plan: the sweep.
        count: the number of processes.
        show: called now and then.

    Raises:
        TrainingError: a process was killed.
        TrainingError, RecipeError, RegistryError: a training failed.
    """
    threads = max(1, (os.cpu_count() or 1) // count)
    with ProcessPoolExecutor(
        max_workers=count,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(plan.log, threads),
    ) as pool:
        jobs = [pool.submit(_work, plan) for _ in range(count)]
        try:
            _wait(jobs, show)
        except BrokenProcessPool as error:
            raise TrainingError(
                f"A process of the sweep was killed, maybe for lack of memory; {plan.log} holds "
                "what it printed: run the same command again to continue, with fewer --workers."
            ) from error
        finally:
            _interrupt()


def _work(plan: Plan) -> None:
    """Train trials in a process of the pool, which nobody ends once the pool's owner is dead."""
    try:
        work(plan)
    except KeyboardInterrupt:
        if not _parent().is_alive():
            os._exit(INTERRUPTED)
        raise


def _wait(jobs: list[Future[None]], show: Callable[[], None]) -> None:
    """Wait for all jobs, or the first that fails, and raise its error."""
    pending = set(jobs)
    while pending:
        done, pending = wait(pending, timeout=1, return_when=FIRST_EXCEPTION)
        show()
        for job in done:
            job.result()


def _interrupt() -> None:
    """Stop the processes that still work, as Ctrl-C does."""
    for process in multiprocessing.active_children():
        if process.pid is not None:
            os.kill(process.pid, signal.SIGINT)


def _begin(log: Path, threads: int) -> None:
    """Prepare a process: it prints into a file, and ends when the one that started it has ended."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
    log_to_file("training")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # `nohup ... &` has it ignored
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    compute_repeatably()
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()


def _end_with_parent() -> None:
    _parent().join()
    os.kill(os.getpid(), signal.SIGINT)


def _parent() -> multiprocessing.process.BaseProcess:
    parent = multiprocessing.parent_process()
    assert parent is not None
    return parent
