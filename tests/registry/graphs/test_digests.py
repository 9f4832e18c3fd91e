"""A graph that was changed after its version was registered is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from registry import entries, versions
from registry.errors import BadVersion
from registry.graphs import digests
from registry.graphs.file_names import ENCODER, GRAPH, ONNX_ENCODER, ONNX_GRAPH, WEIGHTS
from registry.store.records import open_records
from registry.versions import Version
from tests.registry.conftest import Register, Tiny


def folder(version: Version) -> Path:
    with entries.files(version) as found:
        return found


@pytest.mark.parametrize(("engine", "file"), [("onnxruntime", ONNX_GRAPH), ("torch", GRAPH)])
def test_a_graph_that_is_not_the_registered_one_is_refused(
    register: Register, engine: str, file: str
) -> None:
    first, second = register(), register(Tiny())
    assert second.digests == digests.of(folder(second))
    assert set(second.digests) == {GRAPH, ONNX_GRAPH, WEIGHTS}
    faces = np.zeros((1, 3, 32, 32), np.float32)
    versions.load(second, "cpu", engine)(faces)
    shutil.copy(folder(first) / file, folder(second) / file)
    with pytest.raises(BadVersion, match=f"{Path(file).name} was changed after it was registered"):
        versions.load(second, "cpu", engine)


def test_versions_of_older_code_carry_no_digests_and_are_loaded(
    tmp_path: Path, register: Register
) -> None:
    register()
    tags = dict(open_records().entries("dln")[0].tags)
    assert entries.VersionMetadata.from_tags(tags).digests
    del tags["digests"]
    assert entries.VersionMetadata.from_tags(tags).digests == {}
    digests.check(tmp_path, {GRAPH: "0" * 64}, [GRAPH, ENCODER, ONNX_ENCODER])
