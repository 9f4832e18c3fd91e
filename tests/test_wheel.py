"""A wheel, installed without a checkout, opens the page with its css, examples and starters."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import unused_port
from tests.test_app import until

pytestmark = [
    pytest.mark.xdist_group("app"),
    pytest.mark.skipif(os.name != "posix", reason="ends a process by a signal"),
]

PROJECT = Path(__file__).parent.parent
OWN_VARIABLES = ("EXPRESSION_STUDIO_", "MLFLOW_", "GRADIO_", "PYTHON", "VIRTUAL_ENV")
SEEDED_WITHIN_SECONDS = 240
"""Six times what is needed on an idle machine: tests run side by side."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel built from a copy of the checkout's files, without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=PROJECT, capture_output=True, text=True, check=False)
    if files.returncode:
        pytest.skip("needs a git checkout")
    for name in files.stdout.splitlines():
        if (PROJECT / name).is_file():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / "source" / name)
    pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(folder / "source"))
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new environment with the wheel, which finds the libraries of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    pip(
        "--python", str(folder / "bin" / "python"), "install", "--no-deps", "--no-index", str(wheel)
    )
    return folder


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """Return an empty folder outside the checkout, to start the installed command in."""
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, env=clean_environment(), check=True)


def clean_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(OWN_VARIABLES)}


@pytest.fixture
def opened(environment: Path, empty: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Yield `expression-studio` in the empty folder, its output in a file beside that folder."""
    command = [environment / "bin" / "expression-studio", "--no-mlflow", "--port"]
    with (empty.parent / "output").open("wb") as output:
        process = subprocess.Popen(
            [*command, str(unused_port())],
            cwd=empty,
            env=clean_environment(),
            stdout=output,
            stderr=output,
        )
    yield process
    process.kill()
    process.wait(60)


def test_the_packages_are_those_of_the_wheel(environment: Path, empty: Path) -> None:
    code = "import app, demo, registry, training\nfor m in (app, demo, registry, training):"
    code += " print(m.__file__)"
    done = subprocess.run(
        [environment / "bin" / "python", "-c", code],
        cwd=empty,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    files = [Path(line) for line in done.stdout.splitlines()]
    assert len(files) == 4
    assert all(file.is_relative_to(environment) for file in files)


@pytest.mark.timeout(400)
def test_the_installed_command_serves_the_page_and_seeds_a_store_beside_it(
    opened: "subprocess.Popen[bytes]", empty: Path
) -> None:
    output = empty.parent / "output"

    def printed(words: str) -> bool:
        assert opened.poll() is None, output.read_text()
        return words in output.read_text()

    assert until(lambda: printed("Ctrl-C ends everything."), 60), output.read_text()
    url = next(line.split()[-1] for line in output.read_text().splitlines() if " at http" in line)
    config = httpx.get(f"{url}/config", timeout=30).text
    assert ".masthead h1" in config  # page.css
    assert config.count("data:image/jpeg;base64,") >= 8  # demo/examples
    assert until(lambda: printed("pix2pixhd version 1 is in production."), SEEDED_WITHIN_SECONDS)
    for model in ("dln", "emotion"):
        assert printed(f"{model} version 1 is in production.")
    assert (empty / "mlruns" / "mlflow.db").is_file()
    opened.send_signal(signal.SIGINT)
    assert opened.wait(60) == 0
    assert "Traceback" not in output.read_text()
