"""Why an MLflow server gives no answer, as a sentence with the true cause and what to do."""

import socket
import ssl
from collections.abc import Sequence

from registry.errors import first_line

LOGIN = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
LOCAL = "unset MLFLOW_TRACKING_URI to use the local folder mlruns/"
UNAUTHORISED, FORBIDDEN, NOT_FOUND, OWN_FAULT = 401, 403, 404, 500


def sentence(causes: Sequence[BaseException], uri: str) -> str:
    """Return the sentence, without its full stop.

    Args:
        causes: the error and what led to it, the last one first.
        uri: the server's address.
    """
    reason = first_line(causes[0])
    return f"The MLflow server {uri} {_problem(causes, reason)}"


def _problem(causes: Sequence[BaseException], reason: str) -> str:
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
    return _status_problem(causes, reason)


def _status_problem(causes: Sequence[BaseException], reason: str) -> str:
    """Return what an answer with an error status means."""
    status = _status(causes)
    if status == UNAUTHORISED:
        return f"wants a user and a password that it knows (status 401): set {LOGIN}"
    if status == FORBIDDEN:
        return (
            f"forbids this to the user (status 403): ask for the permission, or set {LOGIN} to "
            "another user's"
        )
    if status == NOT_FOUND:
        return (
            "answers, but not as MLflow (status 404, or no JSON): check MLFLOW_TRACKING_URI, also "
            "the path after the host, such as /mlflow"
        )
    if status >= OWN_FAULT:
        return f"failed ({reason}): its own log says why; mend that and run the same command again"
    return f"does not answer ({reason}): start it, or {LOCAL}"


def _status(causes: Sequence[BaseException]) -> int:
    """Return the status of the server's answer; 0 where there was none."""
    import requests.exceptions
    from mlflow.exceptions import MlflowException

    if any(isinstance(cause, requests.exceptions.RetryError) for cause in causes):
        return OWN_FAULT  # the answer to each attempt
    if any(isinstance(cause, requests.exceptions.RequestException) for cause in causes):
        return 0
    answers = [cause for cause in causes if isinstance(cause, MlflowException)]
    return answers[0].get_http_status_code() if answers else 0
