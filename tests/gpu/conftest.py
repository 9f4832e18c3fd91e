"""Skips everything without a GPU or without a package, and prints what was measured at the end."""

from collections.abc import Sequence
from importlib.util import find_spec

import pytest

PACKAGES = ("accelerate", "jaxtyping", "pandas", "pyarrow", "rich", "safetensors", "torchvision")
"""What the training needs beside torch."""
ROWS = pytest.StashKey[list[Sequence[str]]]()
HEAD = ("network", "steps/s", "faces/s", "target", "share of the peak", "memory")


def reason() -> str:
    """Return why nothing can be tested here; empty if it can."""
    missing = [name for name in ("torch", *PACKAGES) if not find_spec(name)]
    if missing:
        return f"needs {', '.join(missing)}"
    import torch

    return "" if torch.cuda.is_available() else "needs an NVIDIA GPU"


def pytest_configure(config: pytest.Config) -> None:
    """Begin the table."""
    config.stash[ROWS] = []


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark the tests of this folder, and skip them where they can't run."""
    mine = [item for item in items if item.path.parent.name == "gpu"]
    why = reason() if mine else ""
    for item in mine:
        item.add_marker(pytest.mark.gpu)
        if why:
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture
def rows(request: pytest.FixtureRequest) -> list[Sequence[str]]:
    """Return the table that is printed at the end, for a test's row."""
    return request.config.stash[ROWS]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    found = terminalreporter.config.stash[ROWS]
    if not found:
        return
    import torch

    terminalreporter.section(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    table = [HEAD, *found]
    widths = [max(len(row[i]) for row in table) for i in range(len(HEAD))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        terminalreporter.write_line("  ".join(cells).rstrip())
