"""Limits that our linters don't check: lengths of files and functions, and words we gave up."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
LIMITS = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["expression-studio"]


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    """Return the text of each Python file of the checkout by its path."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"]
    found = subprocess.run(listed, cwd=PROJECT, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("needs a git checkout")
    paths = [PROJECT / name for name in found.stdout.splitlines()]
    return {str(p.relative_to(PROJECT)): p.read_text() for p in paths if p.exists()}


def test_no_file_is_longer_than_the_limit(sources: dict[str, str]) -> None:
    lines = {path: len(text.splitlines()) for path, text in sources.items()}
    assert not {path: n for path, n in lines.items() if n > LIMITS["file-lines"]}


def test_no_function_is_longer_than_the_limit(sources: dict[str, str]) -> None:
    longest = {}
    for path, text in sources.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                longest[f"{path}: {node.name}"] = node.end_lineno - node.lineno + 1
    assert not {name: n for name, n in longest.items() if n > LIMITS["function-lines"]}


def test_words_of_our_own_are_gone(sources: dict[str, str]) -> None:
    word = re.compile(rf"\b(?:{'|'.join(LIMITS['words-given-up'])})\b")
    found = {path: word.findall(text) for path, text in sources.items() if word.search(text)}
    assert not found
