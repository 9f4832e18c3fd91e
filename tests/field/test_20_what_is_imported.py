"""Item 20: what each command imports, and the terminal's answers from the open page."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from demo import open_page
from demo.__main__ import main
from registry.devices import may_have_gpu
from registry.promotion import promote
from tests.browser.conftest import Site
from tests.conftest import unused_port
from tests.demo.fakes import FakeRegistry
from tests.registry.conftest import Register

HEAVY = (
    "alembic", "gradio", "gradio_client", "mediapipe", "mlflow", "onnxruntime", "pandas", "pyarrow",
    "scipy", "sqlalchemy", "sympy", "torch", "torchvision", "transformers",
)  # fmt: skip
PROBE = """
import sys
from contextlib import suppress
from {program}.__main__ import main
with suppress(SystemExit):
    main({arguments!r})
print(*sorted({heavy!r} & sys.modules.keys()), file=sys.stderr)
"""
PAGE = """
import sys
import httpx
from demo.models import ModelServer
from demo.page import launch_page
page = launch_page(ModelServer(), port={port}, mlflow_url=None)
with httpx.Client(base_url=page.url + "/gradio_api", trust_env=False, timeout=60) as client:
    with open({photo!r}, "rb") as file:
        (path,) = client.post("/upload", files={{"files": file}}).json()
    photo = {{"path": path, "meta": {{"_type": "gradio.FileData"}}}}
    event = client.post("/call/embed", json={{"data": [photo, None]}}).json()["event_id"]
    print(client.get("/call/embed/" + event).text)
page.close()
print(*sorted({heavy!r} & sys.modules.keys()), file=sys.stderr)
"""
BY_MLFLOW = {"alembic", "mlflow", "pandas", "pyarrow", "scipy", "sqlalchemy"}
BY_TORCH = {"sympy", "torch"}


def imported(program: str, *arguments: str) -> set[str]:
    """Return which heavy libraries a command has imported at its end."""
    return run_probe(PROBE.format(program=program, arguments=list(arguments), heavy=set(HEAVY)))[1]


def run_probe(code: str) -> tuple[str, set[str]]:
    """Return what a program prints, and the libraries that it names in its last line."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr
    return done.stdout, set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("program", "command"),
    [
        ("demo", "--help"),
        ("demo", "emotion --help"),
        ("registry", "--help"),
        ("training", "--help"),
        ("training", "compare --help"),
    ],
)
def test_help_imports_no_heavy_library(program: str, command: str) -> None:
    assert imported(program, *command.split()) == set()


def test_help_makes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(tmp_path / "store"))
    for program in ("demo", "registry", "training"):
        subprocess.run([sys.executable, "-m", program, "--help"], capture_output=True, check=True)
    assert not (tmp_path / "store").exists()


def test_a_registry_is_read_without_mlflow_and_no_command_imports_more_than_it_needs(
    register: Register, examples: Path
) -> None:
    register()
    promote("dln", 1)
    assert imported("registry", "list") == set()
    assert imported("registry", "show", "dln") == set()
    assert imported("registry", "promote", "dln", "1") <= BY_MLFLOW
    photo = str(next(examples.glob("*.jpg")))
    assert imported("demo", "embed", photo, "-o", "/no/such/faces.parquet") == set()
    assert imported("demo", "emotion", photo) <= {"mediapipe"}


@pytest.mark.skipif(may_have_gpu(), reason="PyTorch is needed to ask the GPU")
def test_neither_the_terminal_nor_the_page_imports_torch_for_an_answer_on_a_cpu(
    register: Register, examples: Path
) -> None:
    register()
    promote("dln", 1)
    photos = [str(photo) for photo in sorted(examples.glob("*.jpg"))[:3]]
    needed = {"mediapipe", "onnxruntime"}
    assert imported("demo", "compare", *photos, "--local") == needed
    code = PAGE.format(port=unused_port(), photo=photos[0], heavy=set(HEAVY))
    printed, libraries = run_probe(code)
    assert "event: complete" in printed
    assert needed <= libraries
    assert not libraries & {*BY_TORCH, "torchvision", "mlflow"}


@pytest.fixture
def announced(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Announce the open page in a store's folder, and return the file."""
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(tmp_path))
    open_page.announce(site.page_url)
    return tmp_path / open_page.FILE


def picture(file: str) -> bytes | None:
    """Return what a file holds; None where there is none yet."""
    return Path(file).read_bytes() if Path(file).exists() else None


def answer(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> object:
    """Return what a command prints as JSON, without the seconds it took."""
    assert main([*arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    rows = printed if isinstance(printed, list) else [printed]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.mark.usefixtures("announced")
def test_the_open_page_gives_the_same_answers_and_loads_nothing(
    fake: FakeRegistry,
    examples: Path,
    group: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    people = [str(path) for path in sorted(examples.glob("*.jpg"))[:3]]
    spaced = str(shutil.copy(group, tmp_path / "a group, é.png"))
    out = str(tmp_path / "out.png")
    commands = [
        ["emotion", spaced, people[0]],
        ["emotion", spaced, "--face", "2"],
        ["compare", *people],
        ["transfer", *people[:2], "--strength", "0.5", "-o", out],
        ["transfer", people[0], "--neutral", "-o", out],
    ]
    for command in commands:
        local = answer([*command, "--local"], capsys)
        made, loaded = picture(out), len(fake.loads)
        assert answer(command, capsys) == local
        assert picture(out) == made
        assert len(fake.loads) == loaded


@pytest.mark.usefixtures("announced")
def test_what_the_page_refuses_is_named_as_without_it(
    examples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = str(next(examples.glob("*.jpg")))
    cut = tmp_path / "cut off.jpg"
    cut.write_bytes(Path(photo).read_bytes()[:3000])
    assert main(["emotion", str(cut), photo]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("cut off.jpg is damaged or cut off")
    assert f"{photo}, face 1" in printed.out


def test_a_page_that_may_not_be_asked_is_not_asked(announced: Path) -> None:
    assert open_page.find()
    page = json.loads(announced.read_text())
    for change in (
        {"process": 2**22 + 1},
        {"started": page["started"] - 1000},
        {"code": "0.0.1"},
        {"url": "http://example.org:7860"},
    ):
        announced.write_text(json.dumps(page | change))
        assert open_page.find() is None
    announced.write_text(json.dumps(page))
    assert open_page.find()
    if os.name == "posix":
        announced.chmod(0o666)
        assert open_page.find() is None


def test_a_page_that_does_not_answer_is_replaced_by_our_own_answer(
    announced: Path, examples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = json.loads(announced.read_text())
    announced.write_text(json.dumps(page | {"url": "http://127.0.0.1:9"}))
    assert main(["emotion", str(next(examples.glob("*.jpg")))]) == 0
    assert "face 1" in capsys.readouterr().out
