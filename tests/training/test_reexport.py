"""A version whose graphs are made again gives what it gave before."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from registry import entries, measurements, outcomes, store, versions
from registry.catalog import CATALOG, EMOTION
from registry.crops import CropSpec
from registry.errors import BadVersion
from registry.graphs import file_names
from registry.measurements import Measurement
from registry.outcomes import Outcomes, Source
from registry.promotion import validation
from training.__main__ import main
from training.models.backbones.deviation import BackboneConfig
from training.models.dln import config as dln
from training.models.pix2pixhd.blendshape_head import untrained_head
from training.models.pix2pixhd.encoder import encoder_of, origin
from training.models.pix2pixhd.generator_config import GeneratorConfig
from training.networks import build
from training.reexport import reexport

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fresh_store")]
CROP = CropSpec(size_px=32, margin=0.1)
BACKBONE = BackboneConfig(name="compact")
DLN_NETWORK = asdict(dln.NetworkConfig(backbone=BACKBONE))
EMOTION_NETWORK = {key: DLN_NETWORK[key] for key in ("backbone", "subtract", "flip_average")}
GENERATOR = asdict(GeneratorConfig(dims=16, channels=4, downsamplings=1, blocks=1, mask=True))
SOURCE = Source(set="toy", split="test", digest="5" * 64, folder="data/toy")
ACCURACY = Measurement(split="test", set="toy", metric="accuracy", value=0.5)


PRIOR = dict.fromkeys(EMOTION.labels, 1 / len(EMOTION.labels))


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


def test_a_version_whose_pt2_is_unreadable_gets_one_that_gives_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    old = register("emotion", {"network": EMOTION_NETWORK}, temperature=1.5, class_prior=PRIOR)
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
    for field in ("crop", "labels", "temperature", "class_prior", "outputs", "description"):
        assert getattr(done.version, field) == getattr(old, field)
    assert measurements.read(done.version.run_id) == [ACCURACY]
    assert [table.source for table in outcomes.read(done.version)] == [SOURCE]
    assert done.version.is_validated
    assert "what version 1 does: It was better." in done.version.validation_reason
    refuse_other_files(done.version, capsys)


def refuse_other_files(version: versions.Version, capsys: pytest.CaptureFixture[str]) -> None:
    """Change the configuration, then the weights: neither is exported again."""
    reference = f"{version.name}/{version.number}"
    config = stored(version, file_names.CONFIG)
    config.write_text(json.dumps({"network": EMOTION_NETWORK | {"subtract": False}}))
    assert main(["reexport", reference]) == 3
    assert "don't give what its data/model.pt2 computes" in capsys.readouterr().err
    config.write_text('{"network": {"backbone": {"name": "other"}}}')
    assert main(["reexport", reference]) == 2
    assert "none that this program knows" in capsys.readouterr().err
    config.write_text(json.dumps({"network": EMOTION_NETWORK}))
    file = stored(version, file_names.WEIGHTS)
    weights = load_file(file)
    save_file({name: value + 1 for name, value in weights.items()}, file)
    assert main(["reexport", reference]) == 3
    assert "weights.safetensors was changed after it was registered" in capsys.readouterr().err
    assert [known.number for known in versions.list_versions()] == [2, 1]


def test_a_generator_is_built_with_the_dln_that_its_encoder_was(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    register("dln", {"network": DLN_NETWORK})
    crop = CropSpec(size_px=32, margin=0.4)
    config = {"network": GENERATOR, "encoder": origin("dln/1"), "condition": "expression"}
    encoder = encoder_of("dln/1", crop, "cpu", head=untrained_head())
    old = register("pix2pixhd", config, encoder=encoder, crop=crop)
    monkeypatch.setattr(versions, "register", lambda *_, **__: old)  # to export takes seconds
    assert reexport("pix2pixhd/1").compared == (
        file_names.GRAPH,
        file_names.ONNX_GRAPH,
        file_names.ENCODER,
        file_names.ONNX_ENCODER,
    )
    store.connect().delete_model_version("dln", "1")
    assert main(["reexport", "pix2pixhd/1"]) == 3
    assert "made from dln/1, which is not in this registry" in capsys.readouterr().err
