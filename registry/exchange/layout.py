"""What an exported version's folder holds, and where."""

from registry import measurements, outcomes
from registry.graphs import file_names

FORMAT = 1
README, CARD, METADATA = "README.md", "card.md", "metadata.json"
RUN_CARD = "card.json"
"""How the network was trained: the file of the same name of its run."""
MEASUREMENTS, OUTCOMES = measurements.FILE, outcomes.FOLDER
"""The table of measurements, and the folder with the outcome of each item of an evaluation."""
FIELDS = (
    *("crop", "outputs", "labels", "temperature", "data"),
    *("encoder", "condition", "thresholds", "class_prior"),
)
"""What metadata.json repeats of a version's metadata: all but what counts in one registry alone.
Versions of older code have no class prior."""
MLFLOW = "mlflow"
"""MLflow's model folder: one tensor in, one out."""
CHECKSUMS = "SHA256SUMS"
KEPT = "nothing was imported"
"""What a refusal of an import means."""
GRAPHS = {
    file_names.GRAPH: "model.pt2",
    file_names.ONNX_GRAPH: "model.onnx",
}
ENCODER_GRAPHS = {
    file_names.ENCODER: "encoder.pt2",
    file_names.ONNX_ENCODER: "encoder.onnx",
}
PARAMETERS = {
    file_names.WEIGHTS: "weights.safetensors",
    file_names.CONFIG: "config.json",
}
"""Place of a file in the folder of a version -> its name in an export."""


def version_files(*, with_encoder: bool) -> dict[str, str]:
    """Return the files of a version that an export holds: place in the version -> name."""
    return GRAPHS | (ENCODER_GRAPHS if with_encoder else {}) | PARAMETERS


def data_folder(name: str) -> str:
    """Return where a table of outcomes says that its data set lies: nobody's own folder."""
    return f"data/{name}"
