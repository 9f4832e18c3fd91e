"""The shipped files: for each starter float16 weights, and JSON with its run card and measurements.

Its ONNX graphs lie beside them; `graphs` writes and reads those. So do the outcomes of its
evaluations, a Parquet file for each split of a set, in a folder of the starter's name.

Weights that several starters contain are stored once, as a starter of their own.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry import outcomes
from registry.measurements import Measurement, from_rows, to_rows
from registry.outcomes import Outcomes

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = Path(__file__).parent
IDENTITY = "identity-compact"
MOBILEFACENET = "mobilefacenet"
IDENTITIES = {"compact": IDENTITY, "mobilefacenet": MOBILEFACENET}
"""Identity networks by their backbone. The second was trained by others: see its card."""
BLENDSHAPES = "blendshapes"
"""The layer that the encoder of PIX2PIXHD has on MOBILEFACENET, and its threshold."""
DLN, EMOTION, PIX2PIXHD = "dln-compact", "emotion-mobilefacenet", "pix2pixhd-compact"
STARTERS = (DLN, EMOTION, PIX2PIXHD)
"""Starters that become versions, in this order: the generator's encoder is the first."""
CONTAINED = {
    DLN: (IDENTITY,),
    EMOTION: (MOBILEFACENET,),
    PIX2PIXHD: (DLN, IDENTITY, MOBILEFACENET, BLENDSHAPES),
}
"""Starters whose weights are part of each starter."""
SIZE_LIMIT = 6_500_000
"""Largest size of a starter's weights, in bytes."""
LARGER_LIMITS = {PIX2PIXHD: 13_000_000}
IDENTITY_PREFIX = "pair.identity."
"""Prefix of the names of the frozen identity branch's weights."""
GENERATOR_PREFIX = "generator."
"""Prefix of the names of a generator's weights in a version that also has its encoder's."""
MEASUREMENTS, CURVES = "measurements", "curves"
"""Keys of the measurements and of the curves beside the run card's."""


@dataclass(frozen=True, kw_only=True)
class Starter:
    """A shipped network."""

    name: str
    card: Mapping[str, Any]
    """Its run card: how it was trained."""
    measurements: Sequence[Measurement]
    curves: Sequence[Mapping[str, Any]]
    """Losses and validations during its training: key, value, step, timestamp; may be none."""
    digest: str
    """SHA-256 of its files and of those of the starters it contains."""

    @classmethod
    def open(cls, name: str) -> "Starter":
        """Read a starter's card, measurements and digest.

        Raises:
            FileNotFoundError: it isn't shipped; see `is_shipped`.
        """
        digest = hashlib.sha256()
        for part in (name, *CONTAINED.get(name, ())):
            graphs = sorted(FOLDER.glob(f"{part}.*.onnx"))
            weights = FOLDER / f"{part}.json", FOLDER / f"{part}.safetensors"
            for path in (*weights, *graphs, *outcome_files(part)):
                digest.update(path.read_bytes())
        card = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        rows, curves = from_rows(card.pop(MEASUREMENTS)), card.pop(CURVES, [])
        return cls(
            name=name, card=card, measurements=rows, curves=curves, digest=digest.hexdigest()
        )

    def weights(self) -> "dict[str, Tensor]":
        """Return the network's weights by name, float32; a generator's without its encoder's."""
        stored = _read(self.name)
        if self.name in (*IDENTITIES.values(), BLENDSHAPES, PIX2PIXHD):
            return stored
        identity = _read(identity_of(self.card))
        return stored | {IDENTITY_PREFIX + key: value for key, value in identity.items()}


def outcome_files(name: str) -> list[Path]:
    """Return the files with the outcomes of a starter's evaluations, `{split}-{set}.parquet`."""
    return sorted((FOLDER / name).glob("*.parquet"))


def write_outcomes(name: str, tables: Sequence[Outcomes]) -> list[Path]:
    """Store outcomes with a starter in place of those it had, and return their paths."""
    folder = FOLDER / name
    folder.mkdir(exist_ok=True)
    for path in outcome_files(name):
        path.unlink()
    for table in tables:
        source = replace(table.source, folder=f"data/{table.source.set}")
        path = folder / f"{source.name}.parquet"
        outcomes.write_file(path, Outcomes(source=source, items=table.items))
    return outcome_files(name)


def is_shipped(name: str) -> bool:
    """Return whether the starter's files exist."""
    return (FOLDER / f"{name}.safetensors").exists() and (FOLDER / f"{name}.json").exists()


def write(
    name: str,
    state: "Mapping[str, Tensor]",
    card: Mapping[str, Any],
    measurements: Sequence[Measurement],
    curves: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Store trained weights as starter `name` and return the path of their file.

    Matrices and kernels become float16; what belongs to normalisation (vectors, running statistics,
    buffers) stays float32. The frozen branch must be the shipped identity network and is left out,
    and so is a generator's encoder, which must be the shipped dln.

    Raises:
        ValueError: another frozen branch or encoder, or too large a file.
    """
    from safetensors.torch import save

    own = _own_weights(name, state, card)
    packed = {k: v.half() if v.ndim > 1 else v for k, v in own.items()}
    content = save({k: v.contiguous() for k, v in packed.items()})
    limit = LARGER_LIMITS.get(name, SIZE_LIMIT)
    if len(content) > limit:
        raise ValueError(
            f"{name} takes {len(content) / 1e6:.1f} MB; "
            f"this starter has at most {limit / 1e6:g} MB."
        )
    path = FOLDER / f"{name}.safetensors"
    path.write_bytes(content)
    content_of_card = {**card, MEASUREMENTS: to_rows(measurements), CURVES: list(curves)}
    text = json.dumps(content_of_card, indent=1, ensure_ascii=False)
    (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    return path


def _own_weights(
    name: str, state: "Mapping[str, Tensor]", card: Mapping[str, Any]
) -> "dict[str, Tensor]":
    """Return the weights that no other starter stores.

    Raises:
        ValueError: the rest differs from what the other starters store.
    """
    if name == PIX2PIXHD:
        _require_shipped_encoder(card)
        prefix = GENERATOR_PREFIX
        return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    if name in (*IDENTITIES.values(), BLENDSHAPES):
        return dict(state)
    own = {k: v for k, v in state.items() if not k.startswith(IDENTITY_PREFIX)}
    if len(own) < len(state):
        _require_shipped_identity(state, identity_of(card))
    return own


def identity_of(card: Mapping[str, Any]) -> str:
    """Return the starter that is the frozen branch of a network."""
    return IDENTITIES[card["config"]["network"]["backbone"]["name"]]


def _require_shipped_identity(state: "Mapping[str, Tensor]", identity: str) -> None:
    import torch

    shipped = _read(identity)
    compared = {k: v for k, v in shipped.items() if v.is_floating_point()}  # counters don't matter
    branch = {k: state[IDENTITY_PREFIX + k] for k in compared}
    if not all(torch.equal(branch[k].half(), v.half()) for k, v in compared.items()):
        raise ValueError(
            f"The frozen branch of this network is not the shipped {identity}; "
            "train it with the shipped one before packing it as a starter."
        )


def _require_shipped_encoder(card: Mapping[str, Any]) -> None:
    if card["config"]["encoder"]["sha256"] != weights_digest(Starter.open(DLN).weights()):
        raise ValueError(
            "The encoder of this generator is not the shipped dln-compact; train it with the "
            "shipped one before packing it as a starter."
        )


def weights_digest(weights: "Mapping[str, Tensor]") -> str:
    """Return the SHA-256 of weights and their names, whatever file they are stored in."""
    found = hashlib.sha256()
    for name, value in sorted(weights.items()):
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _read(name: str) -> "dict[str, Tensor]":
    import torch
    from safetensors.torch import load_file

    stored = load_file(FOLDER / f"{name}.safetensors")
    return {k: v.float() if v.dtype == torch.float16 else v for k, v in stored.items()}
