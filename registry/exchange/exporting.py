"""A registered version -> a folder that programs without this project can use."""

import json
import os
import shutil
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from registry import artifacts, entries, measurements, outcomes, production, store, versions
from registry.entries import Version
from registry.errors import BadExport, BadVersion
from registry.exchange import checksums, layout, readme, single_output
from registry.exchange.single_output import FACES, SingleOutput
from registry.graphs import engines, file_names, onnx_graph
from registry.graphs.onnx_graph import OnnxGraph
from registry.store import store_errors
from registry.temporary import TemporaryFolder

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

PREFIX = ".expression-studio-export-"
"""How the name of an unfinished export begins; it lies beside the folder to be."""
LICENCE = "card.md names the licence of each data set"
COPIES = 4
"""An export takes up to so many times the space of the version's weights: ONNX twice, pt2, and
weights.safetensors."""
TOLERANCE = 1e-4
PAIR = 2


@dataclass(frozen=True, kw_only=True)
class Export:
    """What was exported."""

    files: int
    size_bytes: int


def export(version: Version, output: Path) -> Export:
    """Write a version into a new folder; a killed process leaves none.

    Args:
        version: the version, with both graphs.
        output: the folder; it may be there if it is empty.

    Raises:
        BadExport: there is something at `output`, or its parent is no folder.
        BadVersion: a file of the version is missing or broken, or it has no ONNX graph.
        Unreachable: the store does not answer, or the disk can't be read or written.
    """
    require_new(output)
    production.require_pt2(version)
    parent = output.absolute().parent
    with store.answering(f"{output} was not written"), TemporaryFolder(PREFIX, parent) as scratch:
        folder = scratch / "export"
        folder.mkdir()
        with entries.files(version) as stored:
            _copy_files(version, stored, folder)
        served = _write_mlflow(version, folder)
        _write_knowledge(version, folder)
        (folder / layout.README).write_text(readme.write(version, served), encoding="utf-8")
        names = checksums.write(folder)
        size_bytes = sum((folder / name).stat().st_size for name in names)
        if output.exists():
            output.rmdir()
        folder.rename(output)
    return Export(files=len(names), size_bytes=size_bytes)


def require_new(output: Path) -> None:
    """Raise BadExport unless a folder can be made at a path."""
    if output.is_dir() and not output.is_symlink():
        if any(output.iterdir()):
            raise BadExport(f"{output} is there already and holds something: name a new folder.")
    elif output.exists() or output.is_symlink():
        raise BadExport(f"{output} is there already and is no folder: name a new folder.")
    parent = output.absolute().parent
    if not parent.is_dir():
        raise BadExport(f"The folder of {output} is not there: make it first.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise BadExport(f"You may not write to {parent}: name a new folder elsewhere.")


def _copy_files(version: Version, stored: Path, folder: Path) -> None:
    """Copy graphs, weights and configuration of a version, under the names of an export."""
    files = layout.version_files(with_encoder=bool(version.encoder))
    missing = [place for place in files if not (stored / place).is_file()]
    if missing:
        raise BadVersion(
            f"{version.title} can't be exported, because it has no {', '.join(missing)}: "
            f"`python -m training reexport {version.name}/{version.number}` makes a version that "
            "has, if weights and configuration are there."
        )
    size_bytes = (stored / file_names.WEIGHTS).stat().st_size
    store_errors.require_space({folder: COPIES * size_bytes})
    for place, name in files.items():
        shutil.copyfile(stored / place, folder / name)


def _write_mlflow(version: Version, folder: Path) -> SingleOutput:
    """Write MLflow's model folder, and check that it answers as the version does."""
    import mlflow
    import mlflow.onnx
    import onnx

    from registry.onnx_runtime import onnx_runtime

    encoder = layout.ENCODER_GRAPHS[file_names.ONNX_ENCODER]
    served = single_output.build(
        version,
        onnx.load(folder / layout.GRAPHS[file_names.ONNX_GRAPH]),
        onnx.load(folder / encoder) if version.encoder else None,
    )
    packages = {"mlflow": mlflow, "onnx": onnx, "onnxruntime": onnx_runtime()}
    mlflow.onnx.save_model(
        served.model,
        str(folder / layout.MLFLOW),
        signature=_signature(served),
        pip_requirements=[f"{name}=={module.__version__}" for name, module in packages.items()],
        save_as_external_data=False,
    )
    _check(version, served)
    return served


def _signature(served: SingleOutput) -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    kind = np.dtype(np.float32)
    return ModelSignature(
        inputs=Schema([TensorSpec(kind, (-1, *served.input_shape), FACES)]),
        outputs=Schema([TensorSpec(kind, (-1, *served.output_shape), served.output)]),
    )


def _check(version: Version, served: SingleOutput) -> None:
    """Compare the graph with one output with the version on random faces."""
    model = versions.load(version, "cpu", onnx_graph.ENGINE)
    graph = OnnxGraph(served.model.SerializeToString())
    shape = (PAIR, *served.input_shape)
    faces = np.random.default_rng(0).random(shape, dtype=np.float32)
    if version.encoder:
        first, second = faces[:, 0], faces[:, 1]
        change = model.encode(second)["condition"] - model.encode(first)["condition"]
        expected = model(first, change)[served.output]
    elif "logits" in version.outputs:
        powers = np.exp(model(faces)["logits"])
        expected = powers / powers.sum(1, keepdims=True)
    else:
        expected = model(faces)[served.output]
    engines.require_equal(graph(faces), {served.output: expected}, TOLERANCE)


def _write_knowledge(version: Version, folder: Path) -> None:
    """Write metadata, card, measurements, outcomes and how the network was trained."""
    _write_json(folder / layout.METADATA, _metadata(version))
    (folder / layout.CARD).write_text(version.description, encoding="utf-8")
    table = measurements.to_table(versions.measurements(version))
    _write_json(folder / layout.MEASUREMENTS, table)
    artifacts.fetch(version.run_id, layout.RUN_CARD, folder)
    (folder / layout.OUTCOMES).mkdir()
    for found in outcomes.read(version):
        where = layout.data_folder(found.source.set)
        source = replace(found.source, folder=where, imported=False)
        path = folder / layout.OUTCOMES / f"{source.name}.parquet"
        outcomes.write_file(path, replace(found, source=source))


def _metadata(version: Version) -> dict[str, Any]:
    known = asdict(version)
    return {
        "format": layout.FORMAT,
        "model": version.name,
        "version": version.number,
        "run_id": version.run_id,
        "created": version.created.isoformat(),
        "exported": datetime.now(UTC).isoformat(timespec="seconds"),
        **{name: known[name] for name in layout.FIELDS},
        "licence": LICENCE,
    }


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")
