"""The shipped files: float16 weights and a card each; the frozen branch is stored once."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

FOLDER = Path(__file__).parent
IDENTITY = "identity-compact"
STARTERS = ("dln-compact", "emotion-compact")
"""Starters that become versions; the identity network travels inside them."""
LARGEST_BYTES = 6_500_000
FROZEN = "pair.identity."


@dataclass(frozen=True, kw_only=True)
class Starter:
    """A shipped network: `card` says what it is, how it was trained and how good it is."""

    name: str
    card: Mapping[str, Any]
    digest: str

    @classmethod
    def open(cls, name: str) -> "Starter":
        """Read a starter's card and digest; the digest covers the frozen branch too."""
        digest = hashlib.sha256()
        for part in dict.fromkeys((name, IDENTITY)):
            for suffix in (".json", ".safetensors"):
                digest.update((FOLDER / f"{part}{suffix}").read_bytes())
        card = json.loads((FOLDER / f"{name}.json").read_text())
        return cls(name=name, card=card, digest=digest.hexdigest())

    def weights(self) -> dict[str, Tensor]:
        """Return the complete float32 state of the network."""
        stored = _read(self.name)
        if self.name == IDENTITY:
            return stored
        return stored | {FROZEN + key: value for key, value in _read(IDENTITY).items()}


def is_shipped(name: str) -> bool:
    """Tell whether the starter's files are here."""
    return (FOLDER / f"{name}.safetensors").exists() and (FOLDER / f"{name}.json").exists()


def write(name: str, state: Mapping[str, Tensor], card: Mapping[str, Any]) -> Path:
    """Store a trained state as starter `name`.

    Matrices and kernels become float16; what belongs to normalisation (vectors, running statistics,
    buffers) stays float32. The frozen branch must be the shipped identity network and is left out.

    Raises:
        ValueError: another frozen branch, or a file above 6.5 MB.
    """
    kept = {k: v for k, v in state.items() if name == IDENTITY or not k.startswith(FROZEN)}
    if len(kept) < len(state):
        _require_shipped_identity(state)
    packed = {k: v.half() if v.ndim > 1 else v for k, v in kept.items()}
    path = FOLDER / f"{name}.safetensors"
    save_file({k: v.contiguous() for k, v in packed.items()}, path)
    if path.stat().st_size > LARGEST_BYTES:
        size = path.stat().st_size
        path.unlink()
        raise ValueError(f"{name} takes {size / 1e6:.1f} MB; a starter has at most 6.5 MB.")
    (FOLDER / f"{name}.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    return path


def _require_shipped_identity(state: Mapping[str, Tensor]) -> None:
    shipped = _read(IDENTITY)
    compared = {k: v for k, v in shipped.items() if v.is_floating_point()}  # counters don't matter
    same = all(torch.equal(state[FROZEN + k].half(), v.half()) for k, v in compared.items())
    if not same:
        raise ValueError(
            "The frozen branch of this network is not the shipped identity-compact; "
            "train it with the shipped one before packing it as a starter."
        )


def _read(name: str) -> dict[str, Tensor]:
    stored = load_file(FOLDER / f"{name}.safetensors")
    return {k: v.float() if v.dtype == torch.float16 else v for k, v in stored.items()}
