"""Network -> logged model: the exported graph, and beside it what rebuilds the network."""

import copy
import json
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from registry import graph
from registry.catalog import ModelCard
from registry.entries import Facts
from registry.errors import BadVersion

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature

BATCHES = (1, 2, 7)
TOLERANCE = 1e-5
GRAPH = "data/model.pt2"
BESIDE = "extra_files"
WEIGHTS, CONFIG, CARD = "weights.safetensors", "config.json", "card.md"
_typing_off = threading.RLock()


def frozen(network: nn.Module) -> nn.Module:
    """Return a copy on the CPU, in eval mode, float32, without gradients."""
    return copy.deepcopy(network).cpu().float().eval().requires_grad_(False)


@contextmanager
def plain_math() -> Iterator[None]:
    """Run networks without gradients, autocast or shape checks, so that none is traced."""
    from jaxtyping import config

    with _typing_off, torch.no_grad(), torch.autocast("cpu", enabled=False):
        before = config.jaxtyping_disable
        config.update("jaxtyping_disable", True)
        try:
            yield
        finally:
            config.update("jaxtyping_disable", before)


def random_faces(batch: int, size_px: int) -> Tensor:
    """Return noise, batch 3 size_px size_px in [0, 1]; the same at each call."""
    generator = torch.Generator().manual_seed(batch)
    return torch.rand((batch, 3, size_px, size_px), generator=generator)


def check_outputs(network: nn.Module, card: ModelCard, size_px: int) -> None:
    """Try a frozen network on noise.

    Raises:
        BadVersion: it fails, or does not give finite outputs named as on the card.
    """
    try:
        with plain_math():
            outputs = network(random_faces(2, size_px))
    except Exception as error:
        told = f"The network of {card.name} fails on faces of {size_px} px and was not registered"
        raise BadVersion(f"{told} ({_first_line(error)}).") from error
    if not isinstance(outputs, Mapping) or set(outputs) != set(card.outputs):
        given = sorted(outputs) if isinstance(outputs, Mapping) else type(outputs).__name__
        raise BadVersion(
            f"The network of {card.name} returns {given}, its card names {sorted(card.outputs)}: "
            "it was not registered."
        )
    if not all(output.shape[0] == 2 and output.isfinite().all() for output in outputs.values()):
        raise BadVersion(
            f"The network of {card.name} gives numbers that aren't finite, or not one answer a "
            "face: it was not registered."
        )


def check_stored(folder: Path, network: nn.Module, card: ModelCard, size_px: int) -> None:
    """Compare the graph in a logged model's folder with the frozen network it came from.

    Raises:
        BadVersion: it can't be loaded, or differs by more than 1e-5 at batch 1, 2 or 7.
    """
    try:
        exported = graph.load(folder / GRAPH, "cpu")
        for batch in BATCHES:
            _compare(exported, network, random_faces(batch, size_px))
    except Exception as error:
        raise BadVersion(
            f"The exported graph of {card.name} is not what its network computes and was not "
            f"registered ({_first_line(error)})."
        ) from error


def _compare(exported: nn.Module, network: nn.Module, faces: Tensor) -> None:
    with plain_math():
        wanted, given = network(faces), exported(faces)
    for key, value in wanted.items():
        worst = float((given[key] - value).abs().max())
        if not worst <= TOLERANCE:
            raise graph.GraphError(f"{key} differs by {worst:.2g} at batch {len(faces)}")


def number(value: float) -> str:
    """Return a measured number as cards show it: three places, none of a whole number above 1."""
    return f"{value:,.0f}" if value > 1 and value.is_integer() else f"{value:.3f}"


def card_text(card: ModelCard, facts: Facts, description: str) -> str:
    """Return the model card as Markdown."""
    rows = {
        "Crop": f"{facts.crop.size_px} px, margin {facts.crop.margin:g}, roll {facts.crop.roll}",
        **{f"Output {name}": shape for name, shape in facts.outputs.items()},
        "Labels": ", ".join(facts.labels),
        "Temperature": "" if facts.temperature is None else f"{facts.temperature:g}",
        **{f"Data {name}": digest for name, digest in facts.data.items()},
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items() if value)
    head = f"# {card.title} ({card.name})\n\n{card.purpose}\n\n"
    return f"{head}{description.strip()}\n\n| | |\n|---|---|\n{table}\n"


def write_beside(
    folder: Path, network: nn.Module, config: Mapping[str, object], card_text: str
) -> list[Path]:
    """Write weights.safetensors, config.json and card.md into `folder` and return them."""
    from safetensors.torch import save_file

    weights = {key: value.clone().contiguous() for key, value in network.state_dict().items()}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / CONFIG).write_text(json.dumps(config, indent=2, default=str), encoding="utf-8")
    (folder / CARD).write_text(card_text, encoding="utf-8")
    return [folder / name for name in (WEIGHTS, CONFIG, CARD)]


def log(
    place: "LoggedModel", network: nn.Module, card: ModelCard, size_px: int, beside: list[Path]
) -> None:
    """Export a frozen network, and what lies beside it, into the place of a logged model.

    Raises:
        BadVersion: torch.export can't trace it.
    """
    import mlflow.pytorch
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model

    try:
        with graph.exporting, plain_math(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="No complete tensor found")
            Model.log(
                artifact_path=None,
                name=card.name,
                model_id=place.model_id,
                run_id=place.source_run_id,
                flavor=mlflow.pytorch,
                pytorch_model=network,
                serialization_format="pt2",
                input_example=random_faces(2, size_px),
                signature=_signature(card, network, size_px),
                pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}", "safetensors"],
                extra_files=[str(path) for path in beside],
            )
    except (MlflowException, OSError):
        raise
    except Exception as error:
        raise BadVersion(
            f"The network of {card.name} can't be exported and was not registered "
            f"({_first_line(error)})."
        ) from error


def _signature(card: ModelCard, network: nn.Module, size_px: int) -> "ModelSignature":
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    float32 = np.dtype(np.float32)
    outputs = network(random_faces(2, size_px))
    given = [TensorSpec(float32, (-1, *outputs[name].shape[1:]), name) for name in card.outputs]
    taken = TensorSpec(float32, (-1, 3, size_px, size_px))
    return ModelSignature(inputs=Schema([taken]), outputs=Schema(given))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
