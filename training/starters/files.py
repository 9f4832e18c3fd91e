"""The shipped files: float16 weights and a card each; what others hold too is stored once."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

FOLDER = Path(__file__).parent
IDENTITY = "identity-compact"
DLN, PIX2PIXHD = "dln-compact", "pix2pixhd-compact"
STARTERS = (DLN, "emotion-compact", PIX2PIXHD)
"""Starters that become versions, in this order: the generator's encoder is the first."""
PARTS = {DLN: (IDENTITY,), "emotion-compact": (IDENTITY,), PIX2PIXHD: (DLN, IDENTITY)}
"""What travels inside each starter, stored as a starter of its own."""
LARGEST_BYTES = {PIX2PIXHD: 13_000_000}
LARGEST = 6_500_000
FROZEN = "pair.identity."
OWN = "generator."
"""What the registry puts before the generator's weights, where its encoder's lie beside them."""


@dataclass(frozen=True, kw_only=True)
class Starter:
    """A shipped network: `card` says what it is, how it was trained and how good it is."""

    name: str
    card: Mapping[str, Any]
    digest: str

    @classmethod
    def open(cls, name: str) -> "Starter":
        """Read a starter's card and digest; the digest covers what travels inside it too."""
        digest = hashlib.sha256()
        for part in (name, *PARTS.get(name, ())):
            for suffix in (".json", ".safetensors"):
                digest.update((FOLDER / f"{part}{suffix}").read_bytes())
        card = json.loads((FOLDER / f"{name}.json").read_text())
        return cls(name=name, card=card, digest=digest.hexdigest())

    def weights(self) -> dict[str, Tensor]:
        """Return the float32 state of the network, complete but for a generator's encoder."""
        stored = _read(self.name)
        if self.name in (IDENTITY, PIX2PIXHD):
            return stored
        return stored | {FROZEN + key: value for key, value in _read(IDENTITY).items()}


def is_shipped(name: str) -> bool:
    """Tell whether the starter's files are here."""
    return (FOLDER / f"{name}.safetensors").exists() and (FOLDER / f"{name}.json").exists()


def write(name: str, state: Mapping[str, Tensor], card: Mapping[str, Any]) -> Path:
    """Store a trained state as starter `name`.

    Matrices and kernels become float16; what belongs to normalisation (vectors, running statistics,
    buffers) stays float32. The frozen branch must be the shipped identity network and is left out,
    and so is a generator's encoder, which must be the shipped dln.

    Raises:
        ValueError: another frozen branch or encoder, or too large a file.
    """
    if name == PIX2PIXHD:
        _require_shipped_encoder(card)
        kept = {k.removeprefix(OWN): v for k, v in state.items() if k.startswith(OWN)}
    else:
        kept = {k: v for k, v in state.items() if name == IDENTITY or not k.startswith(FROZEN)}
    if name != PIX2PIXHD and len(kept) < len(state):
        _require_shipped_identity(state)
    packed = {k: v.half() if v.ndim > 1 else v for k, v in kept.items()}
    path = FOLDER / f"{name}.safetensors"
    content = save({k: v.contiguous() for k, v in packed.items()})
    largest = LARGEST_BYTES.get(name, LARGEST)
    if len(content) > largest:
        raise ValueError(
            f"{name} takes {len(content) / 1e6:.1f} MB; this starter has at most "
            f"{largest / 1e6:g} MB."
        )
    path.write_bytes(content)
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


def _require_shipped_encoder(card: Mapping[str, Any]) -> None:
    if card["config"]["encoder"]["sha256"] != digest(Starter.open(DLN).weights()):
        raise ValueError(
            "The encoder of this generator is not the shipped dln-compact; train it with the "
            "shipped one before packing it as a starter."
        )


def digest(weights: Mapping[str, Tensor]) -> str:
    """Return the sha256 of weights by name, whatever file they lie in."""
    found = hashlib.sha256()
    for name, value in sorted(weights.items()):
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _read(name: str) -> dict[str, Tensor]:
    stored = load_file(FOLDER / f"{name}.safetensors")
    return {k: v.float() if v.dtype == torch.float16 else v for k, v in stored.items()}
