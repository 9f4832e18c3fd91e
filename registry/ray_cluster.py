"""Ray, started on this machine or joined where RAY_ADDRESS names a cluster."""

import logging
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.console import native_silence
from registry.devices import MOST_THREADS
from registry.errors import first_line

ADDRESS, AUTH_MODE = "RAY_ADDRESS", "RAY_AUTH_MODE"
THIS_MACHINE = "local"
LOOPBACK = "127.0.0.1"
OBJECT_STORE_BYTES = 256 * 2**20
"""Shared memory that Ray may take on this machine for what its processes send to each other."""
CONNECT_SECONDS = 5.0
NOT_INSTALLED = "--ray needs Ray, which is not installed: `uv pip install -e '.[ray]'` installs it."


class ClusterError(RuntimeError):
    """Ray can't do the work; the message is one sentence."""


@dataclass(frozen=True, kw_only=True)
class Workers:
    """How many processes of Ray work side by side, and what each of them reserves."""

    count: int
    cpus: int
    gpus: float = 0.0


@dataclass(frozen=True)
class Node:
    """One machine of a cluster."""

    cpus: int
    gpus: int = 0

    def fits(self, cpus: int, gpus: float) -> int:
        """Return how many workers that reserve so much can run here."""
        by_cpus = self.cpus // cpus
        return min(by_cpus, int(self.gpus / gpus + 1e-9)) if gpus else by_cpus


@dataclass(frozen=True)
class Cluster:
    """The machines of a cluster."""

    nodes: Sequence[Node]

    @property
    def cpus(self) -> int:
        """How many CPUs they have together."""
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> int:
        """How many GPUs they have together."""
        return sum(node.gpus for node in self.nodes)

    def workers(self, wanted: int | None, *, need_gpu: bool) -> Workers:
        """Return the workers for one command.

        The CPUs are shared out among them, and so are the GPUs where the work can use one. Each
        reserves as many CPUs as still let all of them run at once: none is on two machines.

        Args:
            wanted: How many; None: one for each GPU that the work can use, else for each CPU.
            need_gpu: Whether the work is faster on a GPU.

        Raises:
            ClusterError: They would need more CPUs than there are, or than the machines have beside
                their GPUs.
        """
        gpus = self.gpus if need_gpu else 0
        count = wanted if wanted is not None else min(gpus, self.cpus) or self.cpus
        if not 1 <= count <= self.cpus:
            raise ClusterError(
                f"{count} workers can't run on the {self.cpus} CPUs that Ray has, one at least for "
                f"each: name 1 to {self.cpus} workers, or add machines to the cluster."
            )
        share = min(1.0, gpus / count)
        for cpus in range(min(self.cpus // count, MOST_THREADS), 0, -1):
            if sum(node.fits(cpus, share) for node in self.nodes) >= count:
                return Workers(count=count, cpus=cpus, gpus=share)
        fitting = sum(node.fits(1, share) for node in self.nodes)
        raise ClusterError(
            f"{count} workers can't run at once on the machines that Ray has, which have room for "
            f"{fitting} with a GPU and a CPU for each: name fewer workers."
        )


def require_ray() -> Any:
    """Return the module `ray`, which sends no usage statistics.

    Raises:
        ClusterError: It is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if _has_token():  # `ray start` asks for it then, and Ray's clients don't send it by themselves
        os.environ.setdefault(AUTH_MODE, "token")
    try:
        import ray
    except ImportError as error:
        raise ClusterError(NOT_INSTALLED) from error
    return ray


def _has_token() -> bool:
    """Return whether this user has a token of Ray's authentication, where Ray looks for it."""
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return True
    return (Path.home() / ".ray" / "auth_token").is_file()


@contextmanager
def joined() -> Iterator[Cluster]:
    """Give the cluster at RAY_ADDRESS, or Ray started on this machine, until the block ends.

    On this machine it answers only who sends its token, and what it wrote is deleted at the end.

    Raises:
        ClusterError: Ray is not installed, can't be reached or can't be started, or it failed while
            the block waited for it.
    """
    ray = require_ray()
    address = os.environ.get(ADDRESS) or THIS_MACHINE
    is_local = address == THIS_MACHINE
    session = _connect(ray, address, is_local)
    try:
        yield _resources(ray)
    except ray.exceptions.RayError as error:
        raise ClusterError(_reason(ray, error)) from error
    finally:
        ray.shutdown()
        if is_local:
            shutil.rmtree(session, ignore_errors=True)


def _connect(ray: Any, address: str, is_local: bool) -> str:
    """Start or join Ray and return the folder of its session on this machine."""
    options: dict[str, Any] = {}
    if is_local:
        options = {
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
            "_node_ip_address": LOOPBACK,
        }
    elif ":" in address:
        _require_listener(address)
    try:
        with native_silence():  # what its C++ code says about its log's level
            context = ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (OSError, RuntimeError, ValueError) as error:
        reason = first_line(error)
        if is_local:
            raise ClusterError(f"Ray can't be started on this machine ({reason}).") from error
        raise ClusterError(_unreachable(address, reason)) from error
    return str(context.address_info["session_dir"])


def _require_listener(address: str) -> None:
    """Raise ClusterError where nothing listens at HOST:PORT, for which Ray itself waits long."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ClusterError(_unreachable(address, first_line(error))) from error


def _unreachable(address: str, reason: str) -> str:
    return (
        f"The Ray cluster at {address} can't be reached ({reason}): start it with `ray start`, or "
        f"unset {ADDRESS} to work on this machine alone."
    )


def _resources(ray: Any) -> Cluster:
    there = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return Cluster([Node(int(has.get("CPU", 0)), int(has.get("GPU", 0))) for has in there])


def _reason(ray: Any, error: Exception) -> str:
    """Return one sentence about a failure of Ray."""
    kinds = ray.exceptions
    again = "the same command goes on from what was done."
    if isinstance(error, kinds.OutOfDiskError | kinds.ObjectStoreFullError):
        return f"Ray has no space left for what its processes send each other: free some; {again}"
    if isinstance(error, kinds.OutOfMemoryError):
        return f"A machine ran out of memory: name fewer workers; {again}"
    if isinstance(error, kinds.RayActorError | kinds.WorkerCrashedError | kinds.NodeDiedError):
        return (
            "A worker of Ray was killed again and again, most likely because memory ran out: name "
            f"fewer workers; {again}"
        )
    return f"Ray failed ({first_line(error)}); {again}"
