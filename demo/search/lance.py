"""LanceDB's connection to a folder or an object store, without its log for developers."""

import os
from pathlib import Path
from typing import Any

from demo.object_store import REGIONS, is_address, s3_endpoint, s3_region

KEYS = {
    "AWS_ACCESS_KEY_ID": "aws_access_key_id",
    "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key",
    "AWS_SESSION_TOKEN": "aws_session_token",
}
"""Variables of the environment with a store's credentials, and LanceDB's options."""


def connect(address: str | Path) -> Any:
    """Return LanceDB's database in a folder or at an address such as s3://bucket/faces.

    Raises:
        OSError, RuntimeError, ValueError: LanceDB's own, where it can't be read.
    """
    os.environ.setdefault("LANCEDB_LOG", "error")  # it warns of what is as it should be
    import lancedb

    remote = is_address(str(address))
    return lancedb.connect(address, storage_options=_store_options() if remote else None)


def _store_options() -> dict[str, str]:
    options = {option: os.environ[name] for name, option in KEYS.items() if os.environ.get(name)}
    if any(os.environ.get(name) for name in REGIONS):
        options["aws_region"] = s3_region()
    endpoint = s3_endpoint()
    if endpoint is None:
        return options
    plain = {"allow_http": "true"} if endpoint.startswith("http://") else {}
    return options | {"aws_endpoint": endpoint, "aws_region": s3_region()} | plain
