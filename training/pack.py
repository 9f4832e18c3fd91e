"""python -m training.pack SOURCE: pack a trained network as a shipped starter."""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import tyro
from safetensors.torch import load_file
from torch import Tensor

from registry import measurements, versions
from registry.versions import RegistryError
from training.engine.tracking import artifact, card_of
from training.starters import files

Source = Annotated[str, tyro.conf.Positional]


def pack(source: Source) -> None:
    """Pack a trained network as the starter that its recipe is named after.

    For example: python -m training.pack dln/3

    Args:
        source: a version such as dln/3, or the id of a run whose model is no registered one.
    """
    is_version = "/" in source or "@" in source
    run_id = versions.resolve(source).run_id if is_version else source
    card = card_of(run_id)
    if card is None:
        raise ValueError(f"The run of {source} has no card: only networks we trained are packed.")
    state: dict[str, Tensor]
    if is_version:
        state = versions.weights(source)
    else:
        with tempfile.TemporaryDirectory() as folder:
            state = load_file(artifact(run_id, "weights.safetensors", Path(folder)))
    measured = [row for row in measurements.read(run_id) if row.split in ("validation", "test")]
    path = files.write(card["recipe"], state, card, measured)
    sys.stdout.write(f"{path} holds {path.stat().st_size / 1e6:.2f} MB.\n")


if __name__ == "__main__":
    try:
        tyro.cli(pack, prog="python -m training.pack")
    except (RegistryError, ValueError) as error:
        sys.exit(str(error))
