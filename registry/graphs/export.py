"""Network -> files of a version: the exported graph, and what rebuilds the network."""

import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from registry.catalog import ModelSpec
from registry.entries import VersionMetadata
from registry.errors import BadVersion, GraphError, first_line
from registry.graphs import engines, graph, onnx_export, onnx_graph
from registry.graphs.export_parts import ExportPart, plain_math
from registry.graphs.file_names import CARD, CONFIG, EXTRA_FILES, WEIGHTS
from registry.graphs.torch_graph import TorchGraph
from registry.store import store_errors

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.models import Model, ModelSignature
    from onnx import ModelProto

BATCHES = (1, 2, 7)
TOLERANCE, ONNX_TOLERANCE = 1e-5, 1e-4
ROOM_BYTES = 16_000_000
"""Space for what a version has besides its weights: the nodes of its graphs, card and config."""


def check_stored(folder: Path, part: ExportPart, spec: ModelSpec) -> None:
    """Compare the graph in a logged model's folder with the frozen network it came from.

    Raises:
        BadVersion: it can't be loaded, or differs by more than 1e-5 at batch 1, 2 or 7.
    """

    def load() -> engines.Graph:
        return TorchGraph(graph.load(folder / part.file, "cpu"), "cpu")

    _check(load, TOLERANCE, part, spec)


def check_stored_onnx(folder: Path, part: ExportPart, spec: ModelSpec) -> None:
    """Compare the ONNX graph in a logged model's folder with the network, as ONNX Runtime does it.

    Raises:
        BadVersion: it can't be loaded, or differs by more than 1e-4 at batch 1, 2 or 7.
    """
    _check(lambda: onnx_graph.load(folder / part.onnx_file), ONNX_TOLERANCE, part, spec)


def _check(
    load: Callable[[], engines.Graph], tolerance: float, part: ExportPart, spec: ModelSpec
) -> None:
    try:
        loaded = load()
    except GraphError as error:
        raise BadVersion(
            f"The {part.name} of {spec.name} can't be loaded again, because {error}: it was not "
            "registered."
        ) from error
    try:
        for batch in BATCHES:
            inputs = part.example_inputs(batch)
            with plain_math():
                expected = {k: v.numpy() for k, v in part.network(*inputs).items()}
            outputs = loaded(*(each.numpy() for each in inputs))
            engines.require_equal(outputs, expected, tolerance)
    except Exception as error:
        raise BadVersion(
            f"The exported graph of {spec.name} is not what its {part.name} computes and was not "
            f"registered ({first_line(error)})."
        ) from error


def number(value: float) -> str:
    """Return a number as cards show it: three decimals, none for a whole number above 1."""
    return f"{value:,.0f}" if value > 1 and value.is_integer() else f"{value:.3f}"


def card_text(spec: ModelSpec, metadata: VersionMetadata, description: str) -> str:
    """Return the model card as Markdown."""
    crop = metadata.crop
    rows = {
        "Crop": f"{crop.size_px} px, margin {crop.margin:g}, roll {crop.roll}",
        **{f"Output {name}": shape for name, shape in metadata.outputs.items()},
        **{f"Encoder {name}": shape for name, shape in metadata.encoder.items()},
        "Labels": ", ".join(metadata.labels),
        "Temperature": "" if metadata.temperature is None else f"{metadata.temperature:g}",
        "Class prior": ", ".join(f"{k} {v:.3f}" for k, v in metadata.class_prior.items()),
        **{f"Threshold {name}": f"{value:g}" for name, value in metadata.thresholds.items()},
        **{f"Data {name}": digest for name, digest in metadata.data.items()},
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items() if value)
    head = f"# {spec.title} ({spec.name})\n\n{spec.purpose}\n\n"
    return f"{head}{description.strip()}\n\n| | |\n|---|---|\n{table}\n"


def require_space(scratch: Path, store: Path | None, parts: Sequence[ExportPart]) -> None:
    """Check that the disks can take a version: temporary files in `scratch`, the rest in `store`.

    Raises:
        OSError: with ENOSPC, they can't.
    """
    weights = sum(value.nbytes for part in parts for value in part.network.state_dict().values())
    version = 3 * weights + ROOM_BYTES  # pt2, ONNX and weights.safetensors
    needed = {scratch: version + weights}  # a generator's encoder.pt2 is there twice
    store_errors.require_space(needed | ({store: version} if store else {}))


def write_extra_files(
    folder: Path, parts: Sequence[ExportPart], config: Mapping[str, object], card_text: str
) -> None:
    """Write weights.safetensors, config.json and card.md of a version into its `folder`.

    Where there are two networks, the names of weights begin with `generator.` or `encoder.`.
    """
    from safetensors.torch import save_file

    weights = {
        (f"{part.name}.{key}" if len(parts) > 1 else key): value.clone().contiguous()
        for part in parts
        for key, value in part.network.state_dict().items()
    }
    (folder / EXTRA_FILES).mkdir(exist_ok=True)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / CONFIG).write_text(json.dumps(config, indent=2, default=str), encoding="utf-8")
    (folder / CARD).write_text(card_text, encoding="utf-8")


def export_onnx(part: ExportPart, spec: ModelSpec) -> "ModelProto":
    """Return a frozen network as ONNX, with a free batch axis.

    Raises:
        BadVersion: it can't be exported.
    """
    with _exporting(part, spec):
        return onnx_export.export(part)


def write_graph(folder: Path, part: ExportPart, spec: ModelSpec) -> Path:
    """Export a frozen network with a free batch axis into a file in `folder`, and return it.

    Raises:
        BadVersion: torch.export can't trace it.
        OSError: the disk is full; torch would end the process if it wrote the file itself.
    """
    file, archive = folder / Path(part.file).name, io.BytesIO()
    with _exporting(part, spec):
        torch.export.save(onnx_export.program(part), archive)
    file.write_bytes(archive.getbuffer())
    return file


def write_mlflow_model(
    folder: Path,
    logged_model: "LoggedModel",
    part: ExportPart,
    spec: ModelSpec,
    extra_files: Sequence[Path],
) -> None:
    """Export a frozen network, with extra files, as MLflow's PyTorch model into a new folder.

    Raises:
        BadVersion: torch.export can't trace it.
    """
    import mlflow.pytorch

    model = _model_of(logged_model)
    with _exporting(part, spec):
        mlflow.pytorch.save_model(
            part.network,
            str(folder),
            mlflow_model=model,
            serialization_format="pt2",
            input_example=part.example_inputs(2),
            signature=_signature(part),
            pip_requirements=_requirements(),
            extra_files=[str(path) for path in extra_files],
        )


def write_mlmodel(folder: Path, logged_model: "LoggedModel", parts: Sequence[ExportPart]) -> None:
    """Write MLmodel and requirements.txt beside graphs that are there: MLflow's PyTorch model."""
    first, *others = parts
    model = _model_of(logged_model)
    model.signature = _signature(first)
    extra_files = {"extra_files": [{"path": part.file} for part in others]} if others else {}
    model.add_flavor(
        "pytorch",
        model_data=Path(first.file).parent.name,
        pytorch_version=str(torch.__version__),
        code=None,
        **extra_files,
    )
    model.save(str(folder / "MLmodel"))
    (folder / "requirements.txt").write_text("\n".join(_requirements()), encoding="utf-8")


def _model_of(logged_model: "LoggedModel") -> "Model":
    from mlflow.models import Model

    return Model(
        artifact_path=logged_model.artifact_location,
        model_uuid=logged_model.model_id,
        model_id=logged_model.model_id,
        run_id=logged_model.source_run_id,
    )


def _requirements() -> list[str]:
    return [f"torch=={torch.__version__.partition('+')[0]}", "safetensors"]


@contextmanager
def _exporting(part: ExportPart, spec: ModelSpec) -> Iterator[None]:
    """Let no other thread export, and turn what torch can't trace into a sentence."""
    from mlflow.exceptions import MlflowException

    try:
        with graph.exporting, plain_math(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="No complete tensor found")
            yield
    except (MlflowException, OSError):
        raise
    except Exception as error:
        if store_errors.is_disk_failure(error):
            raise
        raise BadVersion(
            f"The {part.name} of {spec.name} can't be exported and was not registered "
            f"({first_line(error)})."
        ) from error


def _signature(part: ExportPart) -> "ModelSignature":
    """Return the shapes that go in and come out; MLflow names inputs where there are several."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    inputs = part.example_inputs(2)
    outputs = part.network(*inputs)
    names = ("faces", "change") if part.condition else (None,)

    def spec(tensor: Tensor, name: str | None) -> TensorSpec:
        return TensorSpec(np.dtype(np.float32), (-1, *tensor.shape[1:]), name)

    return ModelSignature(
        inputs=Schema(list(map(spec, inputs, names))),
        outputs=Schema([spec(outputs[name], name) for name in part.outputs]),
    )
