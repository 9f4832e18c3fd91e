"""Why an MLflow server gives no answer, as a sentence with the true cause and what to do."""

import re
import socket
import ssl
from collections.abc import Sequence

from registry.errors import first_line

LOGIN = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
LOCAL = "unset MLFLOW_TRACKING_URI to use the local folder mlruns/"
ENDPOINT = re.compile(r"/api/\d\.\d/mlflow/(?P<thing>[\w-]+)(?:/(?P<action>[\w-]+))?")
"""The part of MLflow's errors, and of its server's addresses, that names what was asked for."""
FILES = "/mlflow-artifacts/artifacts/"
"""The part of the address of a file."""
VERSIONS = "model-versions"
OF_MODELS = ("registered-models", VERSIONS)
CREATE, DELETE, READS = "create", "delete", ("get", "search", "list")
"""How the actions begin, or what is in them, for which MLflow wants special permissions."""
UNAUTHORISED, FORBIDDEN, NOT_FOUND, OWN_FAULT = 401, 403, 404, 500


def sentence(causes: Sequence[BaseException], uri: str, model: str = "") -> str:
    """Return the sentence, without its full stop.

    Args:
        causes: the error and what led to it, the last one first.
        uri: the server's address.
        model: the registered model that was used; empty where none was.
    """
    return f"The MLflow server {uri} {_problem(causes, model)}"


def _problem(causes: Sequence[BaseException], model: str) -> str:
    import requests.exceptions

    if any(isinstance(cause, requests.exceptions.Timeout | TimeoutError) for cause in causes):
        return (
            "does not answer in time: it is busy, or a firewall swallows the request; run the same "
            "command again later, or set MLFLOW_HTTP_REQUEST_TIMEOUT to more seconds"
        )
    for cause in causes:
        if isinstance(cause, ConnectionRefusedError):
            return f"does not answer ({first_line(cause)}): start it, or {LOCAL}"
        if isinstance(cause, socket.gaierror):
            return (
                f"is not found by its name ({first_line(cause)}): check MLFLOW_TRACKING_URI and "
                "the network"
            )
        if isinstance(cause, ssl.SSLError):
            return (
                f"has no certificate that is trusted here ({first_line(cause)}): name it in "
                "MLFLOW_TRACKING_SERVER_CERT_PATH, or check MLFLOW_TRACKING_URI"
            )
    return _status_problem(causes, model)


def _status_problem(causes: Sequence[BaseException], model: str) -> str:
    """Return what an answer with an error status means."""
    status, reason = _status(causes), first_line(causes[0])
    if status == UNAUTHORISED:
        return f"wants a user and a password that it knows (status 401): set {LOGIN}"
    if status == FORBIDDEN:
        return (
            "forbids this to the user (status 403): ask for the permission"
            f"{_permission(causes, model)}, which whoever runs the server grants, or set {LOGIN} "
            "to another user's"
        )
    if status == NOT_FOUND:
        return (
            "answers, but not as MLflow (status 404, or no JSON): check MLFLOW_TRACKING_URI, also "
            "the path after the host, such as /mlflow"
        )
    if status >= OWN_FAULT:
        return f"failed ({reason}): its own log says why; mend that and run the same command again"
    return f"does not answer ({reason}): start it, or {LOCAL}"


def _permission(causes: Sequence[BaseException], model: str) -> str:
    """Return which of MLflow's permissions is missing, and on what; empty where that isn't known.

    MLflow's server says no more than that it is one; its error names the endpoint that was asked.
    """
    text = "\n".join(map(str, causes))
    if FILES in text:
        return " EDIT on the experiment"
    found = ENDPOINT.search(text)
    if found is None:
        return ""
    thing, action = found["thing"], found["action"] or ""
    if thing in OF_MODELS and action == CREATE and thing != VERSIONS:
        return " to create registered models"
    level = "MANAGE" if DELETE in action else "READ" if action.startswith(READS) else "EDIT"
    if thing in OF_MODELS:
        return f" {level} on the registered model {model}" if model else ""
    return f" {level} on the experiment" if level != "READ" else ""


def _status(causes: Sequence[BaseException]) -> int:
    """Return the status of the server's answer; 0 where there was none."""
    import requests.exceptions
    from mlflow.exceptions import MlflowException

    if any(isinstance(cause, requests.exceptions.RetryError) for cause in causes):
        return OWN_FAULT  # the answer to each attempt
    requested = [each for each in causes if isinstance(each, requests.exceptions.RequestException)]
    if requested:  # files are asked for without MLflow's own errors
        response = requested[-1].response
        return 0 if response is None else int(response.status_code)
    found: list[int] = [
        each.get_http_status_code() for each in causes if isinstance(each, MlflowException)
    ]
    refusals = [status for status in found if status in (UNAUTHORISED, FORBIDDEN)]
    return (refusals or found or [0])[0]
