"""The folder of one unfinished training: its lock, its references, its data and its checkpoints."""

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from registry.errors import first_line
from registry.files import atomic_write
from training.datasets.prepared import Prepared
from training.engine.checkpoint import DATA, ORIGIN_FILES, REFERENCES, Checkpoints, checkpoint_in
from training.engine.recipe import Recipe, RecipeError, with_fields
from training.engine.references import numbered, references

HOW_COMPUTED = ("compile", "faces_on_gpu")
"""Fields that don't change what is computed: a stopped training resumes with others, too."""
AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)


def run_folder(name: str, recipe: Recipe) -> Path:
    """Return the folder of a training's checkpoints: equal recipes share one.

    Args:
        name: name of the recipe.
        recipe: the recipe as typed, its references not resolved.
    """
    chosen = {name: value for name, value in asdict(recipe).items() if name not in HOW_COMPUTED}
    config = json.dumps(chosen | {"runs": ""}, sort_keys=True, default=str)
    return recipe.runs / f"{name}-{hashlib.sha256(config.encode()).hexdigest()[:10]}"


class RunFolder:
    """The files that a training keeps beside its checkpoints, to resume with equal settings."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder and lock it for this process until the block ends.

        References and data of an earlier attempt count only with a checkpoint of it. A block that
        fails before its first checkpoint leaves no folder behind.

        Raises:
            RecipeError: another process trains there, or the folder can't be written.
        """
        lock = FileLock(self.path / "lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            raise RecipeError(self._is_running()) from None
        except OSError as error:
            raise RecipeError(
                f"The folder {self.path} can't be written ({first_line(error)}): name another one "
                "with --runs."
            ) from error
        try:
            Path(lock.lock_file).write_text(f"process {os.getpid()} on {socket.gethostname()}")
            if not self._has_checkpoint:
                for name in ORIGIN_FILES:
                    (self.path / name).unlink(missing_ok=True)
            yield
        except BaseException:
            if not self._has_checkpoint:
                self.remove()
            raise
        finally:
            lock.release()

    @property
    def _has_checkpoint(self) -> bool:
        return Checkpoints(self.path).latest() is not None

    def _is_running(self) -> str:
        try:
            holder = (self.path / "lock").read_text().strip()
        except OSError:  # it has just finished
            holder = ""
        return (
            f"This training is running already ({holder or 'another process'}) in {self.path}. "
            "Wait for it, or stop it: the same command then resumes from its last checkpoint."
        )

    def resolve(self, recipe: AnyRecipe) -> AnyRecipe:
        """Return the recipe with a number in place of each alias.

        The version of each reference at the training's start is stored in the folder and stays.
        A training that resumes from another one's checkpoint uses the versions stored there.

        Raises:
            RecipeError: `resume_from` holds no checkpoint.
            RegistryError: there is no such version.
        """
        typed = references(recipe)
        known = _read(self.path / REFERENCES)
        if recipe.resume_from and not known:
            known = _read(checkpoint_in(recipe.resume_from) / REFERENCES)
        chosen = {
            field: {"reference": reference, "version": _version(known.get(field), reference)}
            for field, reference in typed.items()
        }
        if chosen:
            self._write(REFERENCES, chosen)
        numbers = {field: each["version"] for field, each in chosen.items()}
        return with_fields(recipe, numbers)

    def check_data(self, sets: Sequence[Prepared], resume_from: Path | None = None) -> None:
        """Compare the prepared sets with those that the training began with.

        Args:
            sets: all of the recipe.
            resume_from: of the recipe: its checkpoint's sets are compared where they lie in the
                same folders.

        Raises:
            RecipeError: one of them has other contents now, or `resume_from` holds no checkpoint.
        """
        digests = {str(data.folder): data.digest for data in sets}
        known = _read(self.path / DATA)
        changed = [folder for folder in digests if known.get(folder, "") != digests[folder]]
        if known and changed:
            raise RecipeError(
                f"{' and '.join(changed)} changed since this training began: prepare the same data "
                f"again, or delete {self.path} to train from the beginning."
            )
        if resume_from and not known:
            _check_source(digests, checkpoint_in(resume_from))
        self._write(DATA, digests)

    def remove(self) -> None:
        """Remove the folder: the training is finished and registered."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _write(self, name: str, content: dict[str, Any]) -> None:
        with atomic_write(self.path / name) as part:
            part.write_text(json.dumps(content, indent=1))


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return content


def _check_source(digests: Mapping[str, str], checkpoint: Path) -> None:
    """Compare sets, folder -> digest, with those of the training that wrote the checkpoint."""
    known = _read(checkpoint / DATA)
    changed = [folder for folder, now in digests.items() if known.get(folder, now) != now]
    if changed:
        raise RecipeError(
            f"{' and '.join(changed)} changed since the training of {checkpoint} began: prepare "
            "the same data again, or leave out --resume-from to train from the beginning."
        )


def _version(stored: dict[str, str] | None, reference: str) -> str:
    """Return the stored number if it was stored for this reference, else the current one."""
    if stored and stored["reference"] == reference:
        return stored["version"]
    return numbered(reference)
