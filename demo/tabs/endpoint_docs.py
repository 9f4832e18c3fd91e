"""What the page's API view says of the endpoints: parameters, what comes back, and examples."""

import json
from typing import Any

import gradio as gr

PHOTO = "A photo of one or more faces, sent as a file, not as an address."
FACE = "Which face of the photo: 1 is the largest, 2 the next."
EXAMPLE_FILE = {
    "path": "photo.jpg",
    "url": "photo.jpg",
    "meta": {"_type": "gradio.FileData"},
}
JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
PROVENANCE = {
    "model": "dln",
    "version": 1,
    "run_id": "0f3c9a52d5e84f0c8d0b1f5f6c1a2b3d",
    "device": "cpu",
    "engine": "onnxruntime",
    "seconds": 0.12,
    "cached": False,
    "validated": True,
}
BOX = [98.1, 102.7, 231.5, 236.1]
COMPARED = {
    "pair": [1, 3],
    "odd": 2,
    "tie": False,
    "close": False,
    "distances": [1.45, 0.15, 1.44],
    "identity_distances": [1.21, 0.98, 1.33],
    "sentence": "1 and 3 share an expression; 2 is the odd one.",
    **PROVENANCE,
    "boxes": [BOX, BOX, BOX],
}
EMOTION = {
    "face": 1,
    "box": BOX,
    "label": "happy",
    "probabilities": {"happy": 0.93, "neutral": 0.05, "surprise": 0.02},
    "in_the_wild": {"happy": 0.9, "neutral": 0.09, "surprise": 0.01},
    "sure": True,
    "sentence": "happy, 93%",
    **PROVENANCE,
    "model": "emotion",
}
EMBEDDED = {
    "face": 1,
    "box": BOX,
    "expression": [0.12, -0.4],
    "identity": [0.03, 0.21],
    **PROVENANCE,
}
TRANSFERRED = {
    "sentence": "89% nearer to the expression; likeness to the person 0.87.",
    "warnings": [],
    "limits": "It works for photographs of open faces seen from the front. ...",
    "strength": 1.0,
    "nearer_strength": None,
    "nearer": 0.89,
    "before": 1.43,
    "after": 0.16,
    "likeness": 0.87,
    "driver_likeness": 0.56,
    **PROVENANCE,
    "model": "pix2pixhd",
    "boxes": [BOX, BOX],
}
REPORTED = {
    "model": "emotion",
    "version": 3,
    "run_id": "0f3c9a52d5e84f0c8d0b1f5f6c1a2b3d",
    "validated": True,
    "since": "2026-11-27T18:30:12+00:00",
    "kind": "promoted",
    "before": 1,
    "who": "ada",
    "why": "better in the dark",
    "answering": 3,
    "device": "cpu",
    "engine": "onnxruntime",
    "problem": "",
}


def photo_input(label: str, description: str = PHOTO) -> gr.File:
    """Return an input for a photo; Gradio's own example of a file is an address, which is refused.

    Args:
        label: What it is called in the API view.
        description: What it is.
    """
    file = gr.File(label=label, visible=False)
    file.example_payload = lambda: EXAMPLE_FILE
    return _documented(file, additional_description=description)


def number_input(
    label: str, value: float | int | None, description: str, *, whole: bool = True
) -> gr.Number:
    """Return an input for a number, by default a whole one.

    Args:
        label: What it is called in the API view.
        value: What it is when left out.
        description: What it is.
        whole: Whether only whole numbers are taken.
    """
    number = gr.Number(value, precision=0 if whole else None, label=label, visible=False)
    return _documented(number, additional_description=description)


def answer_output(description: str, example: Any) -> gr.JSON:
    """Return an output for an answer as JSON; the API view shows its form but not its description.

    Args:
        description: What the answer is.
        example: An answer of this form.
    """
    output = gr.JSON(label="answer", visible=False)
    text = f"{description} For example: {json.dumps(example)}"
    return _documented(output, **schema(example), description=text)


def picture_output(description: str) -> gr.File:
    """Return an output for a picture as a file."""
    output = gr.File(label="picture", visible=False)
    return _documented(output, description=description)


def schema(example: Any) -> dict[str, Any]:
    """Return the JSON schema of answers like this one; None stands for a value of any type."""
    if example is None:
        return {}
    if isinstance(example, dict):
        return {"type": "object", "properties": {k: schema(v) for k, v in example.items()}}
    if isinstance(example, list):
        return {"type": "array", "items": schema(example[0]) if example else {"type": "string"}}
    return {"type": JSON_TYPES[type(example)]}


def _documented(component: Any, **changes: Any) -> Any:
    """Return a component whose description in the API view is changed."""
    info = component.api_info() | changes
    component.api_info = lambda: info
    return component
