"""Face recognition weights trained elsewhere: a file by its path, or a published one by its name.

facenet-pytorch publishes two InceptionResnetV1, trained on VGGFace2 and on CASIA-WebFace. A name
stands for one of them: it is downloaded once into a cache, and its digest is checked at every use.
"""

import hashlib
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal

import torch
from filelock import FileLock
from safetensors.torch import load_file
from torch import Tensor, nn

from training.engine.recipe import RecipeError

PublishedName = Literal["vggface2", "casia-webface"]
IdentityWeights = PublishedName | Path
"""A name of PUBLISHED, or a .safetensors or .pt file."""
RELEASE = "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9"
OPTIONAL = re.compile(r"logits\.|.*\.num_batches_tracked$")
"""Weights that may be absent or differ: the classifier of the persons in the training set, which is
never used, and counters that matter only to batch normalisation without momentum."""
FAULTS_NAMED = 3
"""How many mismatches an error message names."""
TIMEOUT_SECONDS = 30
"""How long a server may be silent."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published file of weights."""

    url: str
    sha256: str
    """The digest in hex, or its first digits if no more are published."""

    @property
    def file(self) -> str:
        """Return the file's name."""
        return self.url.rsplit("/", 1)[-1]


PUBLISHED: Mapping[str, Published] = {
    "vggface2": Published(
        url=f"{RELEASE}/20180402-114759-vggface2.pt",
        sha256="281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
    ),
    "casia-webface": Published(
        url=f"{RELEASE}/20180408-102900-casia-webface.pt",
        sha256="7a67afdbbc995fce5e10128675e318799a70698c2f433ba75dd7eb9a2f096e7d",
    ),
}


def folder() -> Path:
    """Return where downloads are cached: `expression-studio` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "expression-studio"


def weights(
    chosen: IdentityWeights,
    cache: Path | None = None,
    published: Mapping[str, Published] = PUBLISHED,
) -> dict[str, Tensor]:
    """Return the weights that a name or a path stands for, by parameter name.

    Args:
        chosen: a name in `published`, or a file, which is read without checking a digest.
        cache: folder of downloads; None: `folder()`.
        published: the files that have names.

    Raises:
        RecipeError: the file can't be downloaded or read.
    """
    named = published.get(str(chosen))
    return read(fetch(named, cache or folder()) if named else Path(chosen))


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors or .pt file by name; no other object is unpickled.

    Raises:
        RecipeError: there is no such file, or it holds something else.
    """
    if not path.is_file():
        raise RecipeError(f"There are no weights at {path}; published: {', '.join(PUBLISHED)}.")
    if path.suffix not in READERS:
        raise RecipeError(
            f"{path} isn't a weights file: their names end in {' or '.join(READERS)}."
        )
    try:
        state = READERS[path.suffix](path)
    except Exception as error:  # a damaged pickle can raise anything
        raise _not_weights(path) from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise _not_weights(path)
    return dict(state)


def _read_pt(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


READERS: Mapping[str, Callable[[Path], Any]] = {
    ".safetensors": load_file,
    ".pt": _read_pt,
    ".pth": _read_pt,
}


def _not_weights(path: Path) -> RecipeError:
    return RecipeError(
        f"{path} is damaged or not a plain state dict: only tensors by name are read, because "
        "reading other objects can run code."
    )


def load_into(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load weights into a network.

    Those in OPTIONAL may be absent or of another shape, such as logits of other persons; then the
    network's own stay. All others must match by name and shape.

    Args:
        network: is changed in place.
        state: the weights by name.
        source: file or name of the weights, for error messages.

    Raises:
        RecipeError: they don't match; the network is unchanged.
    """
    own = network.state_dict()
    fitting = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}
    faults = [
        f"{k} is missing" if k not in state else f"{k} is {_shape(state[k])}, not {_shape(own[k])}"
        for k in own
        if k not in fitting and not OPTIONAL.match(k)
    ]
    faults += [f"{k} is unknown" for k in state if k not in own and not OPTIONAL.match(k)]
    if faults:
        rest = len(faults) - FAULTS_NAMED
        more = f"; and {rest} more" if rest > 0 else ""
        raise RecipeError(
            f"{source} holds weights of another network: {'; '.join(faults[:FAULTS_NAMED])}{more}."
        )
    network.load_state_dict(fitting, strict=False)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def fetch(published: Published, cache: Path) -> Path:
    """Return the path of a published file in `cache`; it is downloaded if absent or damaged.

    A lock file lets one process download at a time. A failed download leaves no file.

    Raises:
        RecipeError: it can't be downloaded, or its digest differs.
    """
    path = cache / published.file
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f"{published.file}.lock"):
            if not path.exists() or not _sha256(path).startswith(published.sha256):
                _download(published, path)
    except (OSError, HTTPException) as error:
        reason = str(error).removeprefix("<urlopen error ").removesuffix(">")
        raise RecipeError(
            f"{published.file} can't be downloaded: {reason or type(error).__name__}; download it "
            f"by hand from {published.url} and give its path."
        ) from error
    return path


def _download(published: Published, path: Path) -> None:
    """Download a file to `path`, with a progress bar on stderr."""
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_SECONDS)  # torch.hub has no argument for it
    try:
        torch.hub.download_url_to_file(published.url, str(path), hash_prefix=published.sha256)
    except RuntimeError as error:  # the digest differs; nothing is at `path`
        raise RecipeError(
            f"The download of {published.url} is incomplete or not the published file: its SHA-256 "
            f"doesn't begin with {published.sha256}. Nothing was stored; try again later, or give "
            "the path of a file that you downloaded by hand."
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
