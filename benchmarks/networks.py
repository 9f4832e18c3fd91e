"""The paper's dln and the emotion starter, beside the fastest ways to compute their like.

    python benchmarks/networks.py [--json FILE]

The paper's dln (224 px, random weights) in our session, batch 1, beside the best of a plain ONNX
Runtime session, eager PyTorch in channels_last, and the same in bf16 where the processor has units
for it. The emotion starter on one core beside torchvision's efficientnet_b0 at 224 px, exported by
the same code and run by the same session.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import rows
import torch
from rows import Row
from torch import Tensor, nn
from torchvision.models import efficientnet_b0

from registry import versions
from registry.catalog import CATALOG, EMOTION
from registry.graphs import export_parts, onnx_export
from registry.graphs.onnx_graph import OnnxGraph
from registry.onnx_runtime import onnx_runtime
from training.engine.precision import has_bf16_units
from training.models.dln import network as dln
from training.models.dln.config import RECIPES

PX, LABELS, ROUNDS = 224, 7, 25
Call = Callable[[], object]


class _Logits(nn.Module):
    """A classifier whose outputs have the names of our emotion model."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        return {"logits": self.network(faces)}


def measure() -> Iterator[Row]:
    """Yield both rows."""
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    yield _paper()
    rows.use_cores(1)
    yield _small()


def _paper() -> Row:
    network = dln.DLN(RECIPES["dln"].network).eval()
    content = _exported("dln", network)
    faces = np.random.default_rng(0).random((1, 3, PX, PX), np.float32)
    ours = OnnxGraph(content)
    calls: dict[str, Call] = {"ours": lambda: ours(faces), **_others(network, content, faces)}
    seconds = dict(zip(calls, rows.in_turn(list(calls.values()), ROUNDS), strict=True))
    mine = seconds.pop("ours")
    best = min(seconds, key=seconds.__getitem__)
    all_of_them = ", ".join(f"{name} {1000 * each:.0f} ms" for name, each in seconds.items())
    return Row(
        what=f"paper's dln, {PX} px, batch 1 (beside: {all_of_them})",
        value=1000 * mine,
        unit="ms",
        beside=best,
        beside_value=1000 * seconds[best],
        target=1.2,
    )


def _others(network: nn.Module, content: bytes, faces: np.ndarray) -> Mapping[str, Call]:
    """Return the other ways to compute a network."""
    session = onnx_runtime().InferenceSession(content, providers=["CPUExecutionProvider"])
    last = network.to(memory_format=torch.channels_last)
    given = torch.from_numpy(faces).to(memory_format=torch.channels_last)

    def eager(*, bf16: bool) -> object:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return last(given)

    ways: dict[str, Call] = {
        "plain session": lambda: session.run(None, {"faces": faces}),
        "eager channels_last": lambda: eager(bf16=False),
    }
    if has_bf16_units("cpu"):
        ways["eager bf16"] = lambda: eager(bf16=True)
    return ways


def _small() -> Row:
    model = versions.load(EMOTION.name)
    side = model.version.crop.size_px
    known = OnnxGraph(_exported("emotion", _Logits(efficientnet_b0(num_classes=LABELS))))
    rng = np.random.default_rng(0)
    ours, theirs = (rng.random((1, 3, px, px), np.float32) for px in (side, PX))
    mine, other = rows.in_turn([lambda: model(ours), lambda: known(theirs)], ROUNDS)
    return Row(
        what=f"emotion starter, {side} px, batch 1, 1 core",
        value=1000 * mine,
        unit="ms",
        beside=f"efficientnet_b0, {PX} px",
        beside_value=1000 * other,
        target=1.0,
    )


def _exported(name: str, network: nn.Module) -> bytes:
    """Return a network as ONNX, exported as versions are."""
    labels: Sequence[str] = (
        [str(number) for number in range(LABELS)] if name == EMOTION.name else ()
    )
    (part,) = export_parts.freeze_parts(CATALOG[name], network, None, PX, labels)
    with export_parts.plain_math():
        content: bytes = onnx_export.export(part).SerializeToString()
    return content


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the rows, too")
    given = parser.parse_args()
    measured = list(measure())
    print(rows.table(measured))
    if given.json:
        rows.write(given.json, measured)
