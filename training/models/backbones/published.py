"""Face recognition weights made elsewhere: a file by its path, or a published one by its name.

facenet-pytorch publishes two InceptionResnetV1, trained on VGGFace2 and on CASIA-WebFace. A name
stands for one of them: it is fetched once into a cache, and checked at every use.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import REQUESTED_RANGE_NOT_SATISFIABLE, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import torch
from filelock import FileLock
from rich.progress import wrap_file
from safetensors.torch import load_file
from torch import Tensor, nn

from training.engine.recipe import RecipeError

PublishedName = Literal["vggface2", "casia-webface"]
IdentityWeights = PublishedName | Path
"""A name of PUBLISHED, or a .safetensors or .pt file."""
RELEASE = "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9"
ANSWER_WITHIN_SECONDS = 30
NOT_NEEDED = re.compile(r"logits\.|.*\.num_batches_tracked$")
"""The classifier over the persons of the training set, unused; and counters that only a batch
normalisation without momentum reads, and that torch doesn't ask old files for."""
FAULTS_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Published:
    """A file that others published: where it lies, and what it holds."""

    address: str
    sha256: str
    """The digest, or as much of its beginning as its publisher tells."""

    @property
    def file(self) -> str:
        """Return the file's name."""
        return self.address.rsplit("/", 1)[-1]


PUBLISHED: Mapping[str, Published] = {
    "vggface2": Published(
        address=f"{RELEASE}/20180402-114759-vggface2.pt",
        sha256="281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
    ),
    "casia-webface": Published(
        address=f"{RELEASE}/20180408-102900-casia-webface.pt",
        sha256="7a67afdbbc995fce5e10128675e318799a70698c2f433ba75dd7eb9a2f096e7d",
    ),
}


def folder() -> Path:
    """Return where fetched files are kept: `expression-studio` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "expression-studio"


def weights(
    chosen: IdentityWeights,
    kept: Path | None = None,
    published: Mapping[str, Published] = PUBLISHED,
) -> dict[str, Tensor]:
    """Return the state that a name or a path stands for; `kept` is another folder than `folder()`.

    A file given by its path is taken as it is; one given by its name must have the known digest.

    Raises:
        RecipeError: the file can't be fetched or read.
    """
    named = published.get(str(chosen))
    return read(fetch(named, kept or folder()) if named else Path(chosen))


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors or .pt file by their names; no object is unpickled.

    Raises:
        RecipeError: there is no such file, or it holds something else.
    """
    if not path.is_file():
        raise RecipeError(f"There are no weights at {path}; published: {', '.join(PUBLISHED)}.")
    if path.suffix not in READERS:
        raise RecipeError(f"{path} can't be weights: their names end in {' or '.join(READERS)}.")
    try:
        state = READERS[path.suffix](path)
    except Exception as error:  # a damaged pickle can raise anything
        raise _no_state(path) from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise _no_state(path)
    return dict(state)


def _read_pt(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


READERS: Mapping[str, Callable[[Path], Any]] = {
    ".safetensors": load_file,
    ".pt": _read_pt,
    ".pth": _read_pt,
}


def _no_state(path: Path) -> RecipeError:
    return RecipeError(
        f"{path} is damaged or no plain state dict: only tensors by their names are read, because "
        "reading other objects can run code."
    )


def load_into(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Give a network the weights of `source`.

    What is NOT_NEEDED may be absent or of another shape, as logits over other persons are: then the
    network keeps its own. All else must match by name and shape.

    Raises:
        RecipeError: it doesn't match; the network is left as it was.
    """
    own = network.state_dict()
    fitting = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}
    faults = [
        f"{k} is missing" if k not in state else f"{k} is {_shape(state[k])}, not {_shape(own[k])}"
        for k in own
        if k not in fitting and not NOT_NEEDED.match(k)
    ]
    faults += [f"{k} is unknown" for k in state if k not in own and not NOT_NEEDED.match(k)]
    if faults:
        rest = len(faults) - FAULTS_NAMED
        more = f"; and {rest} more" if rest > 0 else ""
        raise RecipeError(
            f"{source} holds weights of another network: {'; '.join(faults[:FAULTS_NAMED])}{more}."
        )
    network.load_state_dict(fitting, strict=False)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def fetch(published: Published, kept: Path) -> Path:
    """Return a published file in folder `kept`, fetched unless it lies there whole.

    What a broken connection leaves is kept beside it as `.part`, and the next call goes on there.

    Raises:
        RecipeError: it can't be fetched, or what came isn't the published file.
    """
    path = kept / published.file
    try:
        kept.mkdir(parents=True, exist_ok=True)
        with FileLock(kept / f"{published.file}.lock"):
            if not path.exists() or not _sha256(path).startswith(published.sha256):
                _download(published, kept / f"{published.file}.part").replace(path)
    except (OSError, HTTPException) as error:
        reason = str(error).removeprefix("<urlopen error ").removesuffix(">")
        raise RecipeError(
            f"{published.file} can't be fetched: {reason}; download it by hand from "
            f"{published.address} and give its path."
        ) from error
    return path


def _download(published: Published, part: Path) -> Path:
    """Fetch into `part` what it lacks, and return it checked."""
    _append(published, part)
    if not (found := _sha256(part)).startswith(published.sha256):
        part.unlink()
        raise RecipeError(
            f"{published.address} sent something else than the published weights (SHA-256 {found} "
            f"instead of {published.sha256}); nothing is kept of it."
        )
    return part


def _append(published: Published, part: Path) -> None:
    """Fetch what `part` lacks; a server that doesn't know ranges sends all of it again."""
    have = part.stat().st_size if part.exists() else 0
    with _ask(published.address, have) as response:
        length = int(response.headers.get("Content-Length", 0))
        goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        with (
            part.open("ab" if goes_on else "wb") as file,
            wrap_file(response, length, description=f"Fetching {published.file}") as body,
        ):
            shutil.copyfileobj(body, file)
    if part.stat().st_size < length + have * goes_on:
        raise RecipeError(
            f"{published.file} came only in part, the connection broke; the same command goes on "
            "from there."
        )


def _ask(address: str, have: int) -> HTTPResponse:
    """Ask for what follows the first `have` bytes, or for all where nothing can follow them."""
    request = Request(address, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310
    try:
        response: HTTPResponse = urlopen(request, timeout=ANSWER_WITHIN_SECONDS)  # noqa: S310
    except HTTPError as error:
        if error.code != REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        return _ask(address, 0)
    return response


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
