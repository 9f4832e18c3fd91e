"""Item 32: what is promoted after a training is the number it printed (tests/docs runs it so)."""

import re
from pathlib import Path

import pytest

from tests.docs.documents import DOCUMENTS, blocks

PROMOTE = re.compile(r"python -m registry promote \w+ (\S+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_after_a_training_no_document_promotes_a_fixed_number(document: Path) -> None:
    trained = False
    for block in blocks(document):
        for command in block.commands:
            trained = trained or " -m training train " in command
            promoted = PROMOTE.match(command)
            assert not trained or promoted is None or promoted[1] in ("NUMBER", "--best"), command


def test_the_readme_ends_its_four_commands_with_that_number() -> None:
    commands = [command for block in blocks(DOCUMENTS[0]) for command in block.commands]
    assert commands[-1].startswith("python -m registry promote emotion NUMBER ")
