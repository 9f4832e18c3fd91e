"""ONNX Runtime, imported so that it sends nothing to its maker.

From version 1.29 on its published builds report what they compute, unless a variable is set before
the import; the import alone writes a file with a number for this machine.
"""

import os
from typing import Any

VARIABLE = "ORT_DISABLE_TELEMETRY"
ERRORS_ONLY = 3
"""ONNX Runtime's severity of errors; what is below it is not printed."""


def onnx_runtime() -> Any:
    """Return the module `onnxruntime`, with its telemetry off and its warnings not printed."""
    os.environ[VARIABLE] = "1"
    import onnxruntime  # noqa: TID251

    onnxruntime.disable_telemetry_events()  # for who imported it before, and for Windows
    onnxruntime.set_default_logger_severity(ERRORS_ONLY)
    return onnxruntime
