"""README.md of an exported version: how faces are cut for it, and how it is asked."""

from collections.abc import Mapping
from string import Template

from registry.entries import Version
from registry.exchange.single_output import SingleOutput
from registry.faces.face import (
    CENTRE_BELOW_EYES,
    SIDE_IN_EYE_DISTANCES,
    SIDE_IN_EYE_MOUTH_DISTANCES,
)

EXAMPLES: Mapping[str, str] = {
    "onnxruntime": """\
import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import, or it reports to its maker
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("${folder}mlflow/model.onnx")
faces = np.random.default_rng(0).random($shape, np.float32)
($output,) = session.run(["$output"], {"faces": faces})
print($output.shape)
""",
    "torch": """\
import torch

module = torch.export.load("${folder}model.pt2").module()
faces = torch.rand($shape)
with torch.inference_mode():
    $answer
print($output.shape)
""",
    "serve": """\
export ORT_DISABLE_TELEMETRY=1 MLFLOW_DISABLE_TELEMETRY=true
mlflow models serve -m ${folder}mlflow --env-manager local --host 127.0.0.1 --port 5001
""",
    "ask": """\
import json
import urllib.request

import numpy as np

faces = np.random.default_rng(0).random($shape, np.float32)
request = urllib.request.Request(
    "http://127.0.0.1:5001/invocations",
    json.dumps({"inputs": {"faces": faces.tolist()}}).encode(),
    {"Content-Type": "application/json"},
)
with urllib.request.urlopen(request) as answer:
    $output = np.array(json.load(answer)["predictions"]["$output"])
print($output.shape)
""",
}
"""Templates: the folder, the shape of two items, the name of the answer, what computes it."""
ANSWERS: Mapping[str, str] = {
    "expression": 'expression = module(faces)["expression"]',
    "probabilities": 'probabilities = module(faces)["logits"].softmax(1)',
    "picture": """\
encoder = torch.export.load("${folder}encoder.pt2").module()
    source, driver = faces.unbind(1)
    change = encoder(driver)["$condition"] - encoder(source)["$condition"]
    picture = module(source, change)["picture"]""",
}
MEANINGS: Mapping[str, str] = {
    "expression": "a vector of unit length; the nearer two vectors are, the more alike the "
    "expressions",
    "probabilities": "of the labels in metadata.json, in their order",
    "picture": "RGB in [0, 1]: the first face of each pair with the expression of the second. What "
    "you show of it has to be marked as generated",
}
TEXT = """\
# {title}, exported

`{name}` version {number} of a registry of Expression Studio, for programs that don't have it.

| file | what |
|---|---|
| `mlflow/` | MLflow's model folder; its `model.onnx` has one tensor in and one out |
| `model.onnx`, `model.pt2` | the graph with all outputs; for a generator, of what draws |
{encoder}| `weights.safetensors`, `config.json` | the weights, and what rebuilds the network |
| `metadata.json` | crop, outputs, labels, temperature, class prior, digests of the data, ... |
| `card.md`, `card.json` | the model card, with the licences of the data; how it was trained |
| `measurements.json`, `evaluation/` | what was measured, and the outcome of each item |
| `SHA256SUMS` | `sha256sum -c SHA256SUMS` checks all files |

Read `card.md` before you use it: what it can't do, and what its data allow. `python -m registry
import FOLDER` brings it into another registry.

## In and out

In: `faces`, float32, RGB in [0, 1], {input} (any batch). They are normalised inside.
Out: `{output}`, {output_shape}: {meaning}.

## How faces are cut

Nothing here finds faces. Cut them as the training did, or the answers are worse:

1. Find the eyes and the mouth (MediaPipe's face detection gives both). E is the middle between
   the eyes, M the mouth, d the distance of the eyes, m the distance from E to M.
2. The bare face is a square with sides of {by_eyes} d, or {by_mouth} m if that is more. Its centre
   lies on the line from E to M, {below} of the way down.
3. The crop is a square with the same centre and sides {longer} times as long (margin {margin:g}),
   {roll}. Outside the photo its edge is repeated.
4. Scale it to {size} x {size} px; average pixels where it becomes smaller.

## ONNX Runtime

```python
{onnxruntime}```

## PyTorch

```python
{torch}```

## MLflow

`pip install -r mlflow/requirements.txt`; then the server, which listens on this machine alone:

```sh
{serve}```

```python
{ask}```
"""
LEVEL = (
    "turned so that the eyes are level: by the direction of the line from eye to eye plus that\n"
    "   from E to M turned by a right angle"
)
ENCODER_ROW = "| `encoder.onnx`, `encoder.pt2` | what describes the expression to be drawn |\n"


def write(version: Version, served: SingleOutput) -> str:
    """Return README.md for an exported version."""
    crop = version.crop
    return TEXT.format(
        title=version.title,
        name=version.name,
        number=version.number,
        encoder=ENCODER_ROW if version.encoder else "",
        input=_shape(served.input_shape),
        output=served.output,
        output_shape=_shape(served.output_shape),
        meaning=MEANINGS[served.output],
        by_eyes=SIDE_IN_EYE_DISTANCES,
        by_mouth=SIDE_IN_EYE_MOUTH_DISTANCES,
        below=CENTRE_BELOW_EYES,
        longer=f"{1 + crop.margin:g}",
        margin=crop.margin,
        roll=LEVEL if crop.roll else "not turned",
        size=crop.size_px,
        **examples(version, served),
    )


def examples(version: Version, served: SingleOutput, folder: str = "") -> dict[str, str]:
    """Return the programs that ask an exported version: Python, and the command of the server.

    Args:
        version: the version.
        served: its graph with one tensor in and one out.
        folder: where the export is; empty for the current folder.
    """
    values = {
        "folder": f"{folder}/" if folder else "",
        "shape": str((2, *served.input_shape)),
        "output": served.output,
        "condition": "condition" if "condition" in version.encoder else "expression",
    }
    values["answer"] = Template(ANSWERS[served.output]).substitute(values)
    return {name: Template(text).substitute(values) for name, text in EXAMPLES.items()}


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, ("batch", *shape)))
