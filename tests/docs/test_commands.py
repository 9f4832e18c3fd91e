"""The commands and the Python in our documents do what the documents show.

All documents share one store, with the shipped starters in production, and are followed in the
order of their names, README.md first. A block marked `long` is not run: its commands are parsed.
NUMBER in a command stands for the number that the training before it printed.
"""

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import app
import demo.__main__
import registry.__main__
import training.__main__
from tests.docs.documents import DOCUMENTS, PROJECT, Block, blocks

pytestmark = [pytest.mark.xdist_group("documents"), pytest.mark.timeout(600)]
MAINS: dict[str, Callable[[list[str]], int]] = {
    "app": app.main,
    "demo": demo.__main__.main,
    "registry": registry.__main__.main,
    "training": training.__main__.main,
}
LONG_WORK = (
    "app.require_photos",
    "app.serve",
    "demo.search_arguments.is_folder_or_zip",
    "demo.embed_command.embed",
    "demo.photo_files.PhotoFiles.check",
    "demo.photo_files.list_files",
    "demo.search.table_command.search_table",
    "demo.video.command.video",
    "demo.video.transfer_command.transfer_video",
    "training.train.train",
    "training.ray_training.train_on_ray",
    "training.evaluate.measure",
    "training.compare.compare_recipes",
    "training.compare.compare_versions",
    "training.datasets.prepare.prepare",
    "training.datasets.prepare.show",
    "training.reexport.reexport",
    "training.sweep.run.sweep",
    "training.upload_command._upload",
    "registry.promotion.gated.evaluate_missing",
    "registry.promotion.gated.promote",
    "registry.promotion.roll_back",
    "registry.sweeps.best_version",
)
"""What the commands call once their arguments are parsed."""
ALL_BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]


class Parsed(BaseException):
    """The arguments of a command were accepted."""


@pytest.fixture(scope="module")
def followed(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder to work in, with the examples in it and a store with the starters."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "demo").symlink_to(PROJECT / "demo")
    (folder / "store").mkdir()
    shutil.copy(migrated, folder / "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("EXPRESSION_STUDIO_STORE", str(folder / "store"))
        patch.chdir(folder)
        assert app.seed()
        yield folder


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_blocks_of_a_document_can_be_followed(
    document: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {}
    printed = ""
    for block in filter(is_followed, blocks(document)):
        request.getfixturevalue("followed")
        if block.language == "python":
            exec(compile(block.text, document.name, "exec"), names)  # noqa: S102
            continue
        for command in block.commands:
            module, arguments = our_module(command.replace("NUMBER", registered_in(printed)))
            assert MAINS[module](arguments) == 0, command
            printed += capsys.readouterr().out


@pytest.mark.parametrize(
    "block",
    [block for block in ALL_BLOCKS if block.is_long],
    ids=lambda block: block.document.name,
)
def test_the_arguments_of_long_commands_are_accepted(
    block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise Parsed

    for function in LONG_WORK:
        monkeypatch.setattr(function, stop)
    monkeypatch.setattr("training.datasets.prepared.Prepared.open", lambda _: None)
    for command in block.commands:
        if command.startswith("make "):
            target = command.split()[1]
            assert f"\n{target}:" in (PROJECT / "Makefile").read_text(), command
        elif command.startswith("python benchmarks/"):
            assert (PROJECT / command.split()[1]).is_file(), command
        else:
            module, arguments = our_module(command.replace("NUMBER", "2"))
            with pytest.raises(Parsed):
                MAINS[module](arguments)


def test_every_block_says_what_it_is() -> None:
    assert {block.language for block in ALL_BLOCKS} <= {"sh", "python", "json", "nginx", "text"}


def is_followed(block: Block) -> bool:
    """Return whether the block is Python, or commands that are run and not only parsed."""
    return block.language == "python" or (block.language == "sh" and not block.is_long)


def registered_in(printed: str) -> str:
    """Return the number of the version that a training registered last, by what it printed."""
    return ["", *re.findall(r"Registered \w+ version (\d+)", printed)][-1]


def our_module(command: str) -> tuple[str, list[str]]:
    """Return the module that a command runs, and its arguments."""
    if command.startswith("python app.py "):
        return "app", shlex.split(command)[2:]
    python, flag, module, *arguments = shlex.split(command)
    assert (python, flag) == ("python", "-m"), command
    assert module in MAINS, command
    return module, arguments
