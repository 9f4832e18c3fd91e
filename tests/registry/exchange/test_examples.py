"""The examples in an export's README.md run where this project is not installed."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from registry import versions
from tests.conftest import unused_port
from tests.docs.documents import PROJECT, blocks
from tests.registry.exchange.conftest import Copy

OURS = ("registry", "demo", "training", "app")
ABSENT = 'raise ModuleNotFoundError(f"{__name__} is not installed here")\n'
NO_OURS = f"""
import importlib
for name in {OURS}:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        continue
    raise SystemExit(f"{{name}} can be imported")
"""
ANSWERS = {"emotion": "probabilities", "pix2pixhd": "picture"}
"""The example of an expression is run by tests/docs."""
KEEP = "\nnp.savez('answer.npz', faces=faces, answer={})\n"


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which none of our packages can be imported."""
    for name in OURS:
        (tmp_path / f"{name}.py").write_text(ABSENT)
    kept = {"PATH", "HOME", "LANG", "TMPDIR", "OPENBLAS_NUM_THREADS"}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {k: v for k, v in os.environ.items() if k in kept} | {
        "PATH": path,
        "PYTHONPATH": str(tmp_path),
    }


def examples(folder: Path) -> tuple[str, str, str, str]:
    """Return the programs of README.md: ONNX Runtime, PyTorch, MLflow's server, its client."""
    onnxruntime, torch, serve, ask = blocks(folder / "README.md")
    assert [onnxruntime.language, torch.language, serve.language] == ["python", "python", "sh"]
    for each in (onnxruntime, torch, serve, ask):
        assert len(each.text.splitlines()) <= 20
    return onnxruntime.text, torch.text, serve.text, ask.text


def run(program: str, folder: Path, environment: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Run a program in the folder of an export and return the arrays that it kept."""
    command = [sys.executable, "-c", NO_OURS + program]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr.decode()
    with np.load(folder / "answer.npz") as kept:
        return dict(kept)


def expected(exports: Path, name: str, faces: np.ndarray) -> np.ndarray:
    """Return what the registered version answers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPRESSION_STUDIO_STORE", str(exports / "store"))
        model = versions.load(f"{name}/1", "cpu")
        if name == "pix2pixhd":
            source, driver = faces[:, 0], faces[:, 1]
            change = model.encode(driver)["condition"] - model.encode(source)["condition"]
            return model(source, change)["picture"]
        outputs = model(faces)
    powers = np.exp(outputs["logits"])
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("name", ANSWERS)
def test_onnx_runtime_and_pytorch_answer_as_the_version_does(
    name: str, exports: Path, copy: Copy, elsewhere: dict[str, str]
) -> None:
    folder, answer = copy(name), ANSWERS[name]
    onnxruntime, torch, _, _ = examples(folder)
    for program in (onnxruntime, "import numpy as np\n" + torch):
        kept = run(program + KEEP.format(answer), folder, elsewhere)
        assert np.abs(kept["answer"] - expected(exports, name, kept["faces"])).max() < 1e-4


def test_mlflow_serves_the_folder_on_this_machine_alone(
    exports: Path, copy: Copy, elsewhere: dict[str, str]
) -> None:
    folder, port = copy("emotion"), str(unused_port())
    _, _, serve, ask = (text.replace("5001", port) for text in examples(folder))
    assert "--host 127.0.0.1" in serve
    with serving(serve, folder, elsewhere, port):
        kept = run(ask + KEEP.format("probabilities"), folder, elsewhere)
    assert np.abs(kept["answer"] - expected(exports, "emotion", kept["faces"])).max() < 1e-4


@contextmanager
def serving(
    command: str, folder: Path, environment: Mapping[str, str], port: str
) -> Iterator[None]:
    """Run MLflow's server until the block ends."""
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            ["bash", "-ec", command],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        while not answers(port):
            assert server.poll() is None, (folder / "server.log").read_text()
            time.sleep(0.2)
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def answers(port: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def test_the_document_shows_the_same_programs(copy: Copy) -> None:
    text = (PROJECT / "docs" / "export.md").read_text(encoding="utf-8")
    shown = re.sub(r"dln-export/|(?<=\(2, 3), 64, 64", "", text)
    for program in examples(copy("dln")):
        assert program.replace(", 32, 32", "") in shown
