"""Network -> logged model: the exported graph, and beside it what rebuilds the network."""

import copy
import json
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from registry import graph
from registry.catalog import EXPRESSION_DIMS, ModelSpec
from registry.entries import VersionMetadata
from registry.errors import BadVersion

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature

BATCHES = (1, 2, 7)
TOLERANCE = 1e-5
GRAPH = "data/model.pt2"
BESIDE = "extra_files"
ENCODER, WEIGHTS, CONFIG, CARD = "encoder.pt2", "weights.safetensors", "config.json", "card.md"
_typing_off = threading.RLock()


@dataclass(frozen=True, kw_only=True)
class ExportPart:
    """A network of a version, as it is exported: frozen, and with what it answers by name."""

    name: str
    network: nn.Module
    outputs: Mapping[str, str]
    size_px: int
    condition: int = 0
    """Length of the change that a generator takes beside the faces; 0: it takes none."""
    file: str = GRAPH

    def noise(self, batch: int) -> tuple[Tensor, ...]:
        """Return random inputs, the same at each call.

        Faces are batch 3 size_px size_px in [0, 1], a change the difference of two conditions
        whose first numbers are unit vectors.
        """
        generator = torch.Generator().manual_seed(batch)
        faces = torch.rand((batch, 3, self.size_px, self.size_px), generator=generator)
        if not self.condition:
            return (faces,)
        driver, source = torch.randn((2, batch, self.condition), generator=generator)
        return faces, (driver - source) / EXPRESSION_DIMS**0.5

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes that two graphs have to agree on, by output, without the batch."""
        if self.condition:
            side = (self.size_px, self.size_px)
            return {"picture": (3, *side), "mask": (1, *side)}
        return {"expression": (EXPRESSION_DIMS,)} if self.file != GRAPH else {}


def parts(
    card: ModelSpec, network: nn.Module, encoder: nn.Module | None, size_px: int
) -> tuple[ExportPart, ...]:
    """Return the frozen networks of a version, tried: its one, or its generator and its encoder.

    Raises:
        BadVersion: the card wants an encoder and there is none, or the other way round; or one
            fails, or does not give finite outputs named as on the card.
    """
    if (encoder is None) != (not card.encoder):
        wanted = "needs an encoder beside its network" if card.encoder else "has no encoder"
        raise BadVersion(f"A version of {card.name} {wanted}: it was not registered.")
    if encoder is None:
        return (_tried(_part("network", network, card.outputs, size_px), card, card.more)[0],)
    beside = f"{BESIDE}/{ENCODER}"
    seeing = _part("encoder", encoder, card.encoder, size_px, file=beside)
    seeing, seen = _tried(seeing, card, card.more)
    condition = seen["condition" if "condition" in seen else "expression"].shape[1]
    drawing = _part("generator", network, card.outputs, size_px, condition=condition)
    return _tried(drawing, card, {})[0], seeing


def _part(
    name: str, network: nn.Module, outputs: Mapping[str, str], size_px: int, **how: Any
) -> ExportPart:
    """Return a part with a copy on the CPU, in eval mode, float32, without gradients."""
    frozen = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    return ExportPart(name=name, network=frozen, outputs=outputs, size_px=size_px, **how)


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


def _tried(
    part: ExportPart, card: ModelSpec, more: Mapping[str, str]
) -> tuple[ExportPart, Mapping[str, Tensor]]:
    """Return a part with those of `more` outputs that it gives, and what it says of noise."""
    called = f"The {part.name} of {card.name}"
    try:
        with plain_math():
            outputs = part.network(*part.noise(2))
    except Exception as error:
        told = f"{called} fails on faces of {part.size_px} px and was not registered"
        raise BadVersion(f"{told} ({_first_line(error)}).") from error
    if not isinstance(outputs, Mapping) or set(outputs) - set(more) != set(part.outputs):
        given = sorted(outputs) if isinstance(outputs, Mapping) else type(outputs).__name__
        raise BadVersion(
            f"{called} returns {given}, its card names {sorted(part.outputs)}: "
            "it was not registered."
        )
    if not all(output.shape[0] == 2 and output.isfinite().all() for output in outputs.values()):
        raise BadVersion(
            f"{called} gives numbers that aren't finite, or not one answer a "
            "face: it was not registered."
        )
    for name, shape in part.shapes().items():
        if outputs[name].shape[1:] != shape:
            given, wanted = (" x ".join(map(str, s)) for s in (outputs[name].shape[1:], shape))
            told = f"{called} gives {name} of {given}, not {wanted}, for a face"
            raise BadVersion(f"{told}: it was not registered.")
    both = {**part.outputs, **{name: shape for name, shape in more.items() if name in outputs}}
    return replace(part, outputs=both), outputs


def check_stored(folder: Path, part: ExportPart, card: ModelSpec) -> None:
    """Compare the graph in a logged model's folder with the frozen network it came from.

    Raises:
        BadVersion: it can't be loaded, or differs by more than 1e-5 at batch 1, 2 or 7.
    """
    try:
        exported = graph.load(folder / part.file, "cpu")
        for batch in BATCHES:
            _compare(exported, part.network, part.noise(batch))
    except Exception as error:
        raise BadVersion(
            f"The exported graph of {card.name} is not what its {part.name} computes and was not "
            f"registered ({_first_line(error)})."
        ) from error


def _compare(exported: nn.Module, network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    with plain_math():
        wanted, given = network(*inputs), exported(*inputs)
    for key, value in wanted.items():
        worst = float((given[key] - value).abs().max())
        if not worst <= TOLERANCE:
            raise graph.GraphError(f"{key} differs by {worst:.2g} at batch {len(inputs[0])}")


def number(value: float) -> str:
    """Return a measured number as cards show it: three places, none of a whole number above 1."""
    return f"{value:,.0f}" if value > 1 and value.is_integer() else f"{value:.3f}"


def card_text(card: ModelSpec, facts: VersionMetadata, description: str) -> str:
    """Return the model card as Markdown."""
    rows = {
        "Crop": f"{facts.crop.size_px} px, margin {facts.crop.margin:g}, roll {facts.crop.roll}",
        **{f"Output {name}": shape for name, shape in facts.outputs.items()},
        **{f"Encoder {name}": shape for name, shape in facts.encoder.items()},
        "Labels": ", ".join(facts.labels),
        "Temperature": "" if facts.temperature is None else f"{facts.temperature:g}",
        **{f"Threshold {name}": f"{least:g}" for name, least in facts.thresholds.items()},
        **{f"Data {name}": digest for name, digest in facts.data.items()},
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items() if value)
    head = f"# {card.title} ({card.name})\n\n{card.purpose}\n\n"
    return f"{head}{description.strip()}\n\n| | |\n|---|---|\n{table}\n"


def write_beside(
    folder: Path, parts: Sequence[ExportPart], config: Mapping[str, object], card_text: str
) -> list[Path]:
    """Write weights.safetensors, config.json and card.md into `folder` and return them.

    The weights of two networks are told apart by `generator.` and `encoder.` before their names.
    """
    from safetensors.torch import save_file

    weights = {
        (f"{part.name}.{key}" if len(parts) > 1 else key): value.clone().contiguous()
        for part in parts
        for key, value in part.network.state_dict().items()
    }
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / CONFIG).write_text(json.dumps(config, indent=2, default=str), encoding="utf-8")
    (folder / CARD).write_text(card_text, encoding="utf-8")
    return [folder / name for name in (WEIGHTS, CONFIG, CARD)]


def write_graph(folder: Path, part: ExportPart, card: ModelSpec) -> Path:
    """Export a frozen network with a free batch axis into a file in `folder`, and return it.

    Raises:
        BadVersion: torch.export can't trace it.
    """
    file = folder / Path(part.file).name
    with _exporting(part, card):
        inputs = part.noise(2)
        free = tuple({0: torch.export.Dim.AUTO} for _ in inputs)
        torch.export.save(torch.export.export(part.network, inputs, dynamic_shapes=free), file)
    return file


def log(place: "LoggedModel", part: ExportPart, card: ModelSpec, beside: list[Path]) -> None:
    """Export a frozen network, and what lies beside it, into the place of a logged model.

    Raises:
        BadVersion: torch.export can't trace it.
    """
    import mlflow.pytorch
    from mlflow.models import Model

    with _exporting(part, card):
        Model.log(
            artifact_path=None,
            name=card.name,
            model_id=place.model_id,
            run_id=place.source_run_id,
            flavor=mlflow.pytorch,
            pytorch_model=part.network,
            serialization_format="pt2",
            input_example=part.noise(2),
            signature=_signature(part),
            pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}", "safetensors"],
            extra_files=[str(path) for path in beside],
        )


@contextmanager
def _exporting(part: ExportPart, card: ModelSpec) -> Iterator[None]:
    """Export alone; what torch can't trace is said in a sentence."""
    from mlflow.exceptions import MlflowException

    try:
        with graph.exporting, plain_math(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="No complete tensor found")
            yield
    except (MlflowException, OSError):
        raise
    except Exception as error:
        raise BadVersion(
            f"The {part.name} of {card.name} can't be exported and was not registered "
            f"({_first_line(error)})."
        ) from error


def _signature(part: ExportPart) -> "ModelSignature":
    """Return the shapes that go in and come out; MLflow names inputs where there are several."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    inputs = part.noise(2)
    outputs = part.network(*inputs)
    names = ("faces", "change") if part.condition else (None,)

    def spec(tensor: Tensor, name: str | None) -> TensorSpec:
        return TensorSpec(np.dtype(np.float32), (-1, *tensor.shape[1:]), name)

    return ModelSignature(
        inputs=Schema(list(map(spec, inputs, names))),
        outputs=Schema([spec(outputs[name], name) for name in part.outputs]),
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
