"""A real MLflow server in a process of its own, which may die and start again."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow.server.constants import ARTIFACT_ROOT_ENV_VAR, BACKEND_STORE_URI_ENV_VAR

from tests.conftest import unused_port

SERVE = """
import sys
from pathlib import Path
from mlflow.server import app
from werkzeug.serving import make_server
from werkzeug.wrappers import Response
forbidden = Path(sys.argv[2])

def guarded(environ, start_response):
    asked = environ["PATH_INFO"].rpartition("/mlflow/")[2]
    if forbidden.exists() and asked in forbidden.read_text().split():
        return Response("Permission denied", 403)(environ, start_response)
    return app(environ, start_response)

server = make_server("127.0.0.1", int(sys.argv[1]), guarded, threaded=True)
print("ready", flush=True)
server.serve_forever()
"""


class MlflowServer:
    """Serves a database of runs; the files of runs are written by the clients themselves.

    `forbidden` is a file with what it answers 403 to, such as `registered-models/alias`.
    """

    def __init__(self, database: Path) -> None:
        self.forbidden = database.parent / "forbidden"
        self.port = unused_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._environment = os.environ | {
            BACKEND_STORE_URI_ENV_VAR: f"sqlite:///{database}",
            ARTIFACT_ROOT_ENV_VAR: (database.parent / "artifacts").as_uri(),
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Answer from now on, at the same address each time."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(self.port), str(self.forbidden)],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """End at once, if it runs."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None


@contextmanager
def mlflow_server(database: Path) -> Iterator[MlflowServer]:
    """Run a server and use it as the store."""
    server = MlflowServer(database)
    try:
        server.start()
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("EXPRESSION_STUDIO_STORE", raising=False)
            patch.setenv("MLFLOW_TRACKING_URI", server.address)
            yield server
    finally:
        server.kill()
