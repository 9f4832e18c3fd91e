import os
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

from registry.graphs import export_parts, onnx_export
from tests.registry.conftest import CROP, SPEC

ANSWER = """
import sys
from pathlib import Path
import numpy as np
from registry.graphs.onnx_graph import OnnxGraph
OnnxGraph(Path(sys.argv[1]).read_bytes())(np.zeros((1, 3, 32, 32), np.float32))
"""


@pytest.mark.parametrize("wanted", ["0", None])
def test_an_answer_leaves_no_number_of_this_machine_and_starts_no_report(
    tiny: nn.Module, tmp_path: Path, wanted: str | None
) -> None:
    (part,) = export_parts.freeze_parts(SPEC, tiny, None, CROP.size_px)
    with export_parts.plain_math():
        (tmp_path / "tiny.onnx").write_bytes(onnx_export.export(part).SerializeToString())
    home = tmp_path / "home"
    home.mkdir()
    names = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
    environment = os.environ | dict.fromkeys(names, str(home))
    environment |= {} if wanted is None else {"ORT_DISABLE_TELEMETRY": wanted}
    command = [sys.executable, "-c", ANSWER, str(tmp_path / "tiny.onnx")]
    subprocess.run(command, env=environment, check=True)
    assert list(home.rglob("*")) == []
