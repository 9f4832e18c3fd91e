"""The versions that answer now: one a model, exchanged while the page is open."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from registry.catalog import CATALOG
from registry.entries import Version
from registry.errors import BadVersion, RegistryError

if TYPE_CHECKING:
    import torch

SMOKE_FACES = 2
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 60.0


@runtime_checkable
class Model(Protocol):
    """What a version that answers can do; `registry.versions.ProductionModel` is one."""

    @property
    def version(self) -> Version:
        """The version that answers."""

    @property
    def device(self) -> str:
        """Where it computes: cpu, cuda or mps."""

    def __call__(
        self, faces: "torch.Tensor", change: "torch.Tensor | None" = None
    ) -> "Mapping[str, torch.Tensor]":
        """Return the outputs for faces, batch 3 h w in [0, 1].

        A version with two graphs takes how the expressions are to change, batch 16, beside them.
        """

    def encode(self, faces: "torch.Tensor") -> "Mapping[str, torch.Tensor]":
        """Return what the encoder of a version with two graphs tells of such faces.

        Raises:
            BadVersion: The version has one graph.
        """


@dataclass(frozen=True, kw_only=True)
class _Failure:
    """Why the version in production did not take its place, and when to try it again."""

    error: Exception
    identity: tuple[int, str] | None
    at: float
    pause: float

    def holds(self, identity: tuple[int, str]) -> bool:
        """Return whether this version failed too lately to be tried again: that costs seconds."""
        return identity == self.identity and time.monotonic() < self.at + self.pause


@dataclass
class ModelSlot:
    """A model's place in the house: what answers, and what went wrong with its successor."""

    loading: threading.Lock = field(default_factory=threading.Lock)
    model: Model | None = None
    failure: _Failure | None = None

    def fail(self, error: Exception, identity: tuple[int, str] | None) -> None:
        """Note a failure; the same version failing again waits twice as long."""
        last = self.failure
        again = last is not None and identity is not None and identity == last.identity
        pause = (
            min(2 * last.pause, LONGEST_PAUSE_SECONDS) if last and again else FIRST_PAUSE_SECONDS
        )
        self.failure = _Failure(error=error, identity=identity, at=time.monotonic(), pause=pause)


class ModelServer:
    """Hands out the version each model has in production, and follows the alias.

    A version is loaded beside the one that answers, tried on random faces, and takes its place.
    One that fails leaves the old one answering; `problem` tells why. Safe under threads.

    Args:
        poll_seconds: How often the alias is looked at; None keeps the version loaded first.
        device: cuda, mps or cpu; None takes the best there is.
    """

    def __init__(self, poll_seconds: float | None = 3.0, device: str | None = None) -> None:
        self._poll_seconds = poll_seconds
        self._device = device
        self._places: dict[str, ModelSlot] = {}
        self._guard = threading.Lock()
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None

    def follow(self, *names: str) -> None:
        """Watch these models from now on; each is loaded in the background as soon as it can be."""
        with self._guard:
            for name in names:
                self._places.setdefault(name, ModelSlot())
            if self._watcher is None and self._poll_seconds is not None:
                self._watcher = threading.Thread(target=self._watch, name="served", daemon=True)
                self._watcher.start()

    def model(self, name: str) -> Model:
        """Return the version of `name` that answers now, loaded at the first call.

        Raises:
            RegistryError: No version can answer; the message says why and what to do.
        """
        import torch

        torch.set_flush_denormal(True)  # holds for the calling thread
        asked = time.monotonic()
        self.follow(name)
        place = self._places[name]
        if place.model is None:
            with place.loading:
                waited_for_nothing = place.failure is not None and place.failure.at > asked
                if place.model is None and not waited_for_nothing:
                    self._exchange(name, place)
        if place.model is None:
            raise _registry_error(name, place.failure)
        return place.model

    def problem(self, name: str) -> str | None:
        """Return in words why the version in production does not answer; None when it does."""
        place = self._places.get(name)
        if place is None or place.failure is None:
            return None
        told = str(_registry_error(name, place.failure))
        if place.model is None:
            return told
        return f"{told} Until then version {place.model.version.number} answers."

    def close(self) -> None:
        """Stop watching; what answers goes on answering."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.is_set():
            for name, place in tuple(self._places.items()):
                with place.loading:
                    self._exchange(name, place)
            self._closed.wait(self._poll_seconds)

    def _exchange(self, name: str, place: ModelSlot) -> None:
        """Let the version in production take the place, unless it has it already or just failed."""
        identity = None
        try:
            from registry import versions

            version = versions.resolve(name)
            identity = (version.number, version.run_id)
            if place.model and identity == _identity(place.model):
                place.failure = None
            elif not (place.failure and place.failure.holds(identity)):
                model = versions.load(version, self._device)
                smoke_check(model)
                place.model, place.failure = model, None
        except Exception as error:  # the watcher has to survive whatever a version does
            place.fail(error, identity)


def _identity(model: Model) -> tuple[int, str]:
    return model.version.number, model.version.run_id


def _registry_error(name: str, failure: _Failure | None) -> Exception:
    """Return the failure as a RegistryError, whose message a visitor may read."""
    assert failure is not None
    if isinstance(failure.error, RegistryError):
        return failure.error.with_traceback(None)
    return BadVersion(f"The version of {name} in production can't be loaded ({failure.error}).")


def smoke_check(model: Model) -> None:
    """Try a version on random faces of its crop's size; one with two graphs in both.

    Raises:
        BadVersion: It fails, or its outputs are not those of its model; the message says which.
    """
    import torch

    from registry import output_checks

    torch.set_flush_denormal(True)
    version, spec = model.version, CATALOG[model.version.name]
    size = version.crop.size_px
    faces = torch.rand((SMOKE_FACES, 3, size, size), generator=torch.Generator().manual_seed(0))
    shapes = output_checks.network_shapes(size, version.labels)
    change = None
    try:
        if spec.encoder:
            conditions = output_checks.checked_outputs(
                lambda: model.encode(faces), faces, spec.encoder, output_checks.ENCODER_SHAPES
            )["condition"]
            change = conditions.flip(0) - conditions
        output_checks.checked_outputs(lambda: model(faces, change), faces, spec.outputs, shapes)
    except output_checks.OutputError as error:
        raise BadVersion(f"{version.title} {error}; promote another version.") from error
