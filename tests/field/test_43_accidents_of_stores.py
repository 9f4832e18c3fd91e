"""Accidents of the registry: a store that is damaged under a running app, a lying header."""

import json
import resource
import shutil
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from demo.models import ModelServer
from registry import promotion, store, versions
from registry.entries import DIGESTS
from registry.errors import BadVersion
from tests.demo.test_models import until
from tests.registry.conftest import Register


@pytest.fixture
def server() -> Iterator[ModelServer]:
    server = ModelServer(poll_seconds=0.02)
    yield server
    server.close()


def overwrite(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:  # what it wrote ahead would be read
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.write_bytes(b"\xff" * database.stat().st_size)


def truncate(database: Path) -> None:
    database.write_bytes(b"")


def remove(database: Path) -> None:
    for file in database.parent.glob("mlflow.db*"):
        file.unlink()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [(overwrite, "is damaged"), (truncate, "is damaged"), (remove, "mlflow.db is gone")],
)
def test_the_last_version_answers_while_the_store_is_damaged_and_the_page_says_so(
    register: Register,
    fresh_store: Path,
    tmp_path: Path,
    server: ModelServer,
    damage: Callable[[Path], None],
    sentence: str,
) -> None:
    register()
    promotion.promote("dln", 1)
    assert server.model("dln").version.number == 1
    database = fresh_store / "mlflow.db"
    for file in fresh_store.glob("mlflow.db*"):
        shutil.copy(file, tmp_path)
    damage(database)
    assert until(lambda: sentence in str(server.problem("dln")))
    assert "; serving dln, version 1." in str(server.problem("dln"))
    assert server.model("dln").version.number == 1

    remove(database)
    for file in tmp_path.glob("mlflow.db*"):
        shutil.copy(file, fresh_store)
    assert until(lambda: server.problem("dln") is None)
    register()
    promotion.promote("dln", 2)
    assert until(lambda: server.model("dln").version.number == 2)


def weights_file(register: Register) -> Path:
    register()
    location = store.connect().get_model_version_download_uri("dln", "1")
    return Path(location.removeprefix("file://")) / "extra_files" / "weights.safetensors"


def lying(header: object, length: int | None = None, content: bytes = bytes(64)) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + content


def tensor(shape: list[int], start: int, end: int, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


LIES = {
    "a header of 4 exabytes": lying({}, length=2**62),
    "a header longer than the file": lying({}, length=90_000_000),
    "a tensor of 4 terabytes": lying({"a": tensor([10**12], 0, 64)}),
    "sizes whose product overflows": lying({"a": tensor([2**33, 2**33], 0, 64)}),
    "numbers beyond the end": lying({"a": tensor([10**9], 0, 4 * 10**9)}),
    "numbers before the start": lying({"a": tensor([16], -64, 0)}),
    "two tensors in one place": lying({"a": tensor([16], 0, 64), "b": tensor([16], 0, 64)}),
    "a gap": lying({"a": tensor([8], 32, 64)}),
    "an unknown type": lying({"a": tensor([16], 0, 64, "F1024")}),
    "no header": lying("weights"),
    "a header that isn't JSON": struct.pack("<Q", 8) + b"\xff" * 72,
    "half a file": lying({"a": tensor([16], 0, 64)})[:-8],
    "nothing": b"",
}


def test_weights_whose_header_lies_are_refused_without_their_memory(
    register: Register,
) -> None:
    file = weights_file(register)
    store.connect().delete_model_version_tag("dln", "1", DIGESTS)  # as in versions of older code
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for lie, content in LIES.items():
        file.write_bytes(content)
        with pytest.raises(BadVersion, match=r"weights\.safetensors is missing or broken") as error:
            versions.weights("dln/1")
        assert "\n" not in str(error.value), lie
    used_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert used_kib < 200_000
