"""A version whose graphs are made again gives what it gave before."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from registry import entries, measurements, outcomes, store, versions
from registry.catalog import CATALOG, DLN, EMOTION, PIX2PIXHD
from registry.crops import CropSpec
from registry.errors import BadVersion
from registry.graphs import file_names
from registry.measurements import Measurement
from registry.outcomes import Outcomes, Source
from registry.promotion import validation
from training.__main__ import main
from training.models.backbones.deviation import BackboneConfig
from training.models.dln import config as dln
from training.models.fecnet import config as fecnet
from training.models.pix2pixhd.encoder import encoder_of, origin
from training.models.pix2pixhd.generator_config import GeneratorConfig
from training.networks import build
from training.reexport import reexport

pytestmark = pytest.mark.usefixtures("fresh_store")
CROP = CropSpec(size_px=32, margin=0.1)
BACKBONE = BackboneConfig(name="compact")
DLN_NETWORK = asdict(dln.NetworkConfig(backbone=BACKBONE))
EMOTION_NETWORK = {key: DLN_NETWORK[key] for key in ("backbone", "subtract", "flip_average")}
FECNET_NETWORK = asdict(
    fecnet.NetworkConfig(backbone=BACKBONE, reduced=16, layers=2, growth=8, hidden=16)
)
GENERATOR = asdict(GeneratorConfig(dims=16, channels=4, downsamplings=1, blocks=1, mask=True))
SOURCE = Source(set="toy", split="test", digest="5" * 64, folder="data/toy")
ACCURACY = Measurement(split="test", set="toy", metric="accuracy", value=0.5)


def register(name: str, config: dict[str, Any], **more: Any) -> versions.Version:
    torch.manual_seed(0)
    labels = EMOTION.labels if name == EMOTION.name else ()
    network = build(name, config, labels)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean.normal_()
    run = store.connect().create_run(store.experiment(name))
    arguments: dict[str, Any] = {"crop": CROP, "description": "Tiny.", "labels": labels} | more
    spec, run_id = CATALOG[name], run.info.run_id
    return versions.register(spec, network, run_id=run_id, config=config, **arguments)


def stored(version: versions.Version, file: str) -> Path:
    with entries.files(version) as folder:
        return folder / file


def test_a_version_whose_pt2_is_unreadable_gets_one_that_gives_the_same() -> None:
    old = register("emotion", {"network": EMOTION_NETWORK}, temperature=1.5)
    faces = torch.rand(2, 3, 32, 32)
    before = versions.load(old, "cpu", "torch")(faces)["logits"]
    measurements.write(old.run_id, [ACCURACY])
    outcomes.log(old, Outcomes(source=SOURCE, items=pd.DataFrame({"name": ["a"]})))
    validation.write(old, "passed", "It was better.")
    stored(old, file_names.GRAPH).write_bytes(b"of another PyTorch")
    with pytest.raises(BadVersion, match="python -m training reexport emotion/1"):
        versions.load(old, "cpu", "torch")
    done = reexport("emotion/1")
    assert done.compared == (file_names.ONNX_GRAPH,)
    assert done.version.number == 2
    after = versions.load(done.version, "cpu", "torch")(faces)["logits"]
    assert torch.allclose(before, after, atol=1e-5)
    for field in ("crop", "labels", "temperature", "outputs", "description"):
        assert getattr(done.version, field) == getattr(old, field)
    assert measurements.read(done.version.run_id) == [ACCURACY]
    assert [table.source for table in outcomes.read(done.version)] == [SOURCE]
    assert done.version.is_validated
    assert "what version 1 does: It was better." in done.version.validation_reason


def test_weights_that_give_something_else_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    old = register("fecnet", {"network": FECNET_NETWORK})
    file = stored(old, file_names.WEIGHTS)
    weights = load_file(file)
    last = list(weights)[-1]
    save_file(weights | {last: weights[last] + 1}, file)
    assert main(["reexport", "fecnet/1"]) == 3
    assert "don't give what its data/model.pt2 computes" in capsys.readouterr().err
    stored(old, file_names.CONFIG).write_text('{"network": {"backbone": {"name": "other"}}}')
    assert main(["reexport", "fecnet/1"]) == 2
    assert "none that this program knows" in capsys.readouterr().err
    assert [version.number for version in versions.list_versions()] == [1]


def test_a_generator_is_built_with_the_dln_that_its_encoder_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    inner = register("dln", {"network": DLN_NETWORK})
    crop = CropSpec(size_px=32, margin=0.4)
    config = {"network": GENERATOR, "encoder": origin("dln/1"), "condition": "expression"}
    encoder = encoder_of("dln/1", crop, "cpu")
    old = register("pix2pixhd", config, encoder=encoder, crop=crop)
    done = reexport("pix2pixhd/1")
    assert len(done.compared) == 4
    faces = torch.rand(2, 3, 32, 32)
    models = [versions.load(version, "cpu", "torch") for version in (old, done.version)]
    encoded = [model.encode(faces)["condition"] for model in models]
    assert torch.allclose(*encoded, atol=1e-5)
    pictures = [model(faces, encoded[0].flip(0))["picture"] for model in models]
    assert torch.allclose(*pictures, atol=1e-5)
    assert DLN.name == inner.name
    assert PIX2PIXHD.name == old.name
    store.connect().delete_model_version("dln", "1")
    assert main(["reexport", "pix2pixhd/2"]) == 3
    assert "made from dln/1, which is not in this registry" in capsys.readouterr().err
