"""The version of each model that answers now; replaced while the page is open."""

import logging
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from demo.batching import BatchedModel, ObserveCall
from demo.loaded_model import Model
from demo.version_checks import mark, require_validated, smoke_check, tag_if_broken
from registry import seeding
from registry.catalog import DLN, EMOTION, PIX2PIXHD
from registry.entries import Version
from registry.errors import BadVersion, EmptyRegistry, RegistryError, Unreachable, first_line

logger = logging.getLogger(__name__)

PAGE_MODELS = (DLN.name, EMOTION.name, PIX2PIXHD.name)
"""The models that the page asks."""
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 60.0
CACHE_BYTES = 8 * 2**20
"""How much remembered outputs of one graph may take on the page: about six generated pictures, or
some ten thousand faces of another model."""
STARTERS_COMING = "{name} can't answer yet: {progress}. It takes a few seconds."


class StartersComing(EmptyRegistry):
    """Nothing is in production yet, but the starters are being registered; the message says so."""


@dataclass(frozen=True, kw_only=True)
class _Failure:
    """Why the version in production could not be loaded, and when to try it again."""

    error: Exception
    identity: tuple[int, str] | None
    at: float
    pause: float
    silent_since: datetime | None
    """When the registry gave no answer for the first time since its last one; None: it answers."""

    def blocks(self, identity: tuple[int, str]) -> bool:
        """Return whether this version failed too recently to be loaded again, which takes long."""
        return identity == self.identity and time.monotonic() < self.at + self.pause


@dataclass(frozen=True, kw_only=True)
class _State:
    """The loaded version of one model, and the last failure to replace it."""

    model: BatchedModel | None = None
    failure: _Failure | None = None

    def failed(self, error: Exception, identity: tuple[int, str] | None) -> "_State":
        """Return the state after a failure; the same version failing again waits twice as long."""
        last, pause, silent_since = self.failure, FIRST_PAUSE_SECONDS, None
        if last and identity is not None and identity == last.identity:
            pause = min(2 * last.pause, LONGEST_PAUSE_SECONDS)
        if isinstance(error, Unreachable):
            silent_since = (last and last.silent_since) or datetime.now(UTC)
        failure = _Failure(
            error=error,
            identity=identity,
            at=time.monotonic(),
            pause=pause,
            silent_since=silent_since,
        )
        return replace(self, failure=failure)


@dataclass
class ModelSlot:
    """The state of one model: replaced as a whole, so that what others read of it fits together."""

    loading: threading.Lock = field(default_factory=threading.Lock)
    state: _State = field(default_factory=_State)
    """It is replaced by whoever holds `loading`."""
    production: tuple[int, str] | None = None
    """Number and run of the version in production, as far as the registry said."""


class ModelServer:
    """Gives the version that each model has in production, and follows the alias.

    A new version is loaded beside the one that answers, checked on random faces, and then takes
    its place. If it fails, the old one goes on answering, and `problem` says why. Thread-safe: what
    several threads ask of one version at once is computed as one batch.

    Args:
        poll_seconds: How often the alias is read; None keeps the version loaded first.
        device: cuda, mps or cpu; None takes the fastest there is.
        only_validated: Refuse a version that neither passed the gates of promotion nor is a
            starter; without it such a version answers, and `unvalidated` says so.
        cache_bytes: How much remembered outputs of each graph may take, such as CACHE_BYTES; they
            are forgotten with their version. 0: all are computed.
        observe: Takes note of each call of a version, and of each that none could answer.
    """

    def __init__(
        self,
        poll_seconds: float | None = 1.5,
        device: str | None = None,
        *,
        only_validated: bool = False,
        cache_bytes: int = 0,
        observe: ObserveCall | None = None,
    ) -> None:
        self._poll_seconds = poll_seconds
        self._device = device
        self._only_validated = only_validated
        self._cache_bytes = cache_bytes
        self._observe = observe
        self._slots: dict[str, ModelSlot] = {}
        self._guard = threading.Lock()
        self._closed = threading.Event()

    def follow(self, *names: str) -> None:
        """Watch these models from now on, each in a thread of its own that loads it at once."""
        with self._guard:
            for name in names:
                if name not in self._slots:
                    self._slots[name] = ModelSlot()
                    if self._poll_seconds is not None:
                        threading.Thread(
                            target=self._watch, args=(name,), name=f"{name}-watcher", daemon=True
                        ).start()

    def model(self, name: str) -> Model:
        """Return the version of `name` that answers now, loaded at the first call.

        Raises:
            RegistryError: No version can answer; the message says why and what to do.
        """
        called = time.monotonic()
        self.follow(name)
        slot = self._slots[name]
        state = slot.state
        if state.model is None:
            with slot.loading:
                state = slot.state
                failed_meanwhile = state.failure is not None and state.failure.at > called
                if state.model is None and not failed_meanwhile:
                    self._update(name, slot)
                    state = slot.state
        if state.model is None:
            if self._observe:
                self._observe(name, None)
            raise _registry_error(name, state.failure)
        return state.model

    def loaded(self, name: str) -> Model | None:
        """Return the version of `name` that answers now; None where none is loaded yet."""
        slot = self._slots.get(name)
        return None if slot is None else slot.state.model

    def problem(self, name: str) -> str | None:
        """Return in words why the version in production does not answer; None when it does."""
        slot = self._slots.get(name)
        state = _State() if slot is None else slot.state
        if state.failure is None:
            return None
        message = str(_registry_error(name, state.failure))
        if state.model is None:
            return message
        number = state.model.version.number
        if since := state.failure.silent_since:
            since_when = f"{since.astimezone():%H:%M}"
            serving = f"serving {name}, version {number}"
            return f"No answer from the registry since {since_when}; {serving}. {message}"
        return f"{message} Until then version {number} answers."

    @property
    def silent_since(self) -> datetime | None:
        """When the registry stopped answering, with its zone; None while it answers.

        The page goes on answering with the versions that it has loaded.
        """
        failures = [slot.state.failure for slot in list(self._slots.values())]
        times = [failure.silent_since for failure in failures if failure]
        return min((time for time in times if time is not None), default=None)

    def unvalidated(self, name: str) -> str | None:
        """Return in words that the version that answers is not validated; None where it is."""
        model = self.loaded(name)
        return None if model is None else mark(model.version)

    def close(self) -> None:
        """Stop watching; loaded versions go on answering."""
        self._closed.set()

    def _watch(self, name: str) -> None:
        slot, observed = self._slots[name], False
        while not self._closed.is_set():
            before = slot.production
            with slot.loading:
                self._update(name, slot)
            if slot.production != before or not observed:
                observed = _observe(name)
            self._closed.wait(self._poll_seconds)

    def _update(self, name: str, slot: ModelSlot) -> None:
        """Load the version in production, unless it is loaded already or has just failed."""
        from registry import versions

        identity, state = None, slot.state
        try:
            version = versions.resolve(name)
            slot.production = (version.number, version.run_id)
            if state.model and slot.production == _identity(state.model):
                state.model.version = version  # its tags may have changed
            if self._only_validated:
                require_validated(version)
            identity = slot.production
            if state.model and identity == _identity(state.model):
                slot.state = _State(model=state.model)
            elif not (state.failure and state.failure.blocks(identity)):
                slot.state = _State(model=self._load(version))
        except Exception as error:  # a version that fails must not end the watcher
            if isinstance(error, EmptyRegistry):
                slot.production = None
            _log_failure(name, error, state.failure)
            slot.state = state.failed(error, identity)

    def _load(self, version: Version) -> BatchedModel:
        """Load a version beside the one that answers, and check it; tag it where it is broken."""
        from registry import versions

        try:
            model = versions.load(version, self._device)
            smoke_check(model)
        except BadVersion as error:
            tag_if_broken(version, error)
            raise
        return BatchedModel(model, self._cache_bytes, self._observe)


def _observe(name: str) -> bool:
    """Let the journal note a move of the alias that nobody noted; return whether that was done."""
    from registry.promotion import journal

    try:
        journal.observe(name)
    except Exception as error:  # the journal must not end the watcher
        logger.info("The journal of %s can't be read.", name, exc_info=error)
        return False
    return True


def _log_failure(name: str, error: Exception, last: _Failure | None) -> None:
    """Log a failure with its traceback, once for as long as it stays the same."""
    repeated = last is not None and str(last.error) == str(error)
    if not repeated and not isinstance(error, EmptyRegistry):
        logger.exception("The version of %s in production can't be loaded.", name, exc_info=error)


def _identity(model: Model) -> tuple[int, str]:
    return model.version.number, model.version.run_id


def _registry_error(name: str, failure: _Failure | None) -> Exception:
    """Return the failure as a RegistryError, whose message a visitor may read."""
    assert failure is not None
    if isinstance(failure.error, EmptyRegistry) and (progress := seeding.progress()):
        return StartersComing(STARTERS_COMING.format(name=name, progress=progress))
    if isinstance(failure.error, RegistryError):
        return failure.error.with_traceback(None)
    reason = first_line(failure.error)
    return BadVersion(f"The version of {name} in production can't be loaded ({reason}).")
