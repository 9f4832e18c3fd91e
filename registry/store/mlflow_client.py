"""MLflow's client: its settings, and whether its server answers."""

import logging
import os
from typing import TYPE_CHECKING

from registry import proxies
from registry.addresses import is_web, split_login

if TYPE_CHECKING:
    from mlflow import MlflowClient

CONNECT_WITHIN_SECONDS = 5
"""Limit of connecting to a server; its answer may take MLFLOW_HTTP_REQUEST_TIMEOUT."""
MLFLOW_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}
MLFLOW_DEFAULTS = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",  # else files come from the bucket itself,
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",  # which only the server may reach
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
LOGIN = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
PING = "/api/2.0/mlflow/experiments/search"
"""The request that shows whether a server answers, as MLflow and to this user."""


def configure() -> None:
    """Set MLflow up; a user and password in the server's address move into their variables."""
    os.environ.update(MLFLOW_ENVIRONMENT)
    proxies.bypass_for_loopback()
    for name, value in MLFLOW_DEFAULTS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # raised as well
    _, login = split_login(os.environ.get("MLFLOW_TRACKING_URI", ""))
    if login:
        os.environ["MLFLOW_TRACKING_USERNAME"] = login.user
        os.environ["MLFLOW_TRACKING_PASSWORD"] = login.password
    if all(os.environ.get(name) for name in LOGIN):
        os.environ["NETRC"] = os.devnull  # else ~/.netrc would overrule both


def client(uri: str) -> "MlflowClient":
    """Return the client of a tracking URI, which becomes MLflow's own default."""
    from mlflow import MlflowClient

    _set_uri(uri)
    return MlflowClient(uri, uri)


def user(uri: str) -> str | None:
    """Return the user that a server is sent; None where none is.

    As MLflow takes it: from the environment or ~/.mlflow/credentials, else from ~/.netrc.
    """
    from mlflow.utils.credentials import read_mlflow_creds
    from requests.utils import get_netrc_auth

    if name := read_mlflow_creds().username:
        return str(name)
    login = get_netrc_auth(uri) if is_web(uri) else None
    return login[0] if login else None


def ping(uri: str) -> None:
    """Check with one request that a server answers; other stores are checked at their first use.

    Raises:
        MlflowException: it gives no answer, refuses, or is no MLflow server.
    """
    if not is_web(uri):
        return
    from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_TIMEOUT
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import ENDPOINT_NOT_FOUND
    from mlflow.tracking._tracking_service.utils import get_default_host_creds
    from mlflow.utils.rest_utils import http_request, verify_rest_response

    limits = (CONNECT_WITHIN_SECONDS, MLFLOW_HTTP_REQUEST_TIMEOUT.get())
    options = {"max_retries": 0, "timeout": limits, "raise_on_status": False}
    body = {"max_results": 1}
    answer = http_request(get_default_host_creds(uri), PING, "POST", json=body, **options)
    try:
        verify_rest_response(answer, PING)
    except MlflowException as error:
        if answer.ok:  # but it is no JSON
            raise MlflowException("The answer is no JSON", ENDPOINT_NOT_FOUND) from error
        raise


def _set_uri(uri: str) -> None:
    """Make `uri` MLflow's own default, leaving the environment of child processes as it is."""
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    if before is None:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    else:
        os.environ["MLFLOW_TRACKING_URI"] = before
