"""app.py in a process of its own, with a store and a temporary folder of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import unused_port
from tests.test_app import PROJECT, until

OPENS_WITHIN_SECONDS = 120
"""Many times what is needed on an idle machine: this is no test of how soon it opens."""


@dataclass
class RunningApp:
    """A process of app.py, and what it printed."""

    process: "subprocess.Popen[bytes]"
    output: Path

    def printed(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def url(self) -> str:
        """Return where the page is, once it is open."""
        opened = until(lambda: "Ctrl-C ends" in self.printed(), OPENS_WITHIN_SECONDS)
        assert opened, self.printed()
        lines = self.printed().splitlines()
        return next(line for line in lines if line.startswith("The page is at")).split()[-1]


def inherited() -> dict[str, str]:
    """Return this process's environment without the place where its own pages keep pictures."""
    return {name: value for name, value in os.environ.items() if name != "GRADIO_TEMP_DIR"}


@contextmanager
def running_app(folder: Path, *arguments: str, **variables: str) -> Iterator[RunningApp]:
    """Start app.py, without MLflow's UI, and kill it when the block ends.

    Args:
        folder: for its store, its temporary folder and its output; may be another app's.
        arguments: of app.py.
        variables: of its environment.
    """
    for name in ("store", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    names = {"EXPRESSION_STUDIO_STORE": str(folder / "store"), "TMPDIR": str(folder / "tmp")}
    output = folder / f"output-{unused_port()}"
    port = (
        ()
        if "--port" in arguments or "GRADIO_SERVER_PORT" in variables
        else ("--port", str(unused_port()))
    )
    with output.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--no-mlflow", *port, *arguments],
            cwd=PROJECT,
            env=inherited() | names | variables,
            stdout=out,
            stderr=out,
        )
    try:
        yield RunningApp(process, output)
    finally:
        process.kill()
        process.wait(20)
