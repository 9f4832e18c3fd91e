"""What an import keeps, and what it refuses."""

import json
import pickle
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import helper

from registry import artifacts, measurements, outcomes, store, versions
from registry.__main__ import main
from registry.errors import BadExport, BadVersion, RegistryError
from registry.exchange import exporting, importing, layout
from registry.outcomes import Outcomes
from registry.promotion import promote
from tests.registry.exchange.conftest import ITEMS, MEASURED, SOURCE, Copy, sign

pytestmark = pytest.mark.usefixtures("fresh_store", "restored_logging")
FACES = np.random.default_rng(1).random((2, 3, 32, 32), np.float32)


def answers(version: versions.Version, engine: str) -> dict[str, np.ndarray]:
    model = versions.load(version, "cpu", engine)
    if not version.encoder:
        return dict(model(FACES))
    encoded = model.encode(FACES)
    return {**encoded, **model(FACES, encoded["condition"][::-1] - encoded["condition"])}


@pytest.mark.parametrize("name", ["emotion", "pix2pixhd"])
def test_an_imported_version_gives_the_same_numbers(
    name: str, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = importing.import_version(exports / name)
    found = [answers(imported, engine) for engine in ("onnxruntime", "torch")]
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(exports / "store"))
    original = versions.resolve(f"{name}/1")
    for engine, values in zip(("onnxruntime", "torch"), found, strict=True):
        for key, value in answers(original, engine).items():
            assert np.array_equal(values[key], value)
    fields = ("crop", "labels", "temperature", "outputs", "encoder", "thresholds", "condition")
    for field in (*fields, "class_prior"):
        assert getattr(imported, field) == getattr(original, field)


def test_card_measurements_and_outcomes_come_along_and_the_status_does_not(
    exports: Path, tmp_path: Path
) -> None:
    first = importing.import_version(exports / "emotion")
    second = importing.import_version(exports / "emotion")
    assert (first.number, second.number) == (1, 2)
    values = json.loads((exports / "emotion" / "metadata.json").read_text())
    assert second.imported_from == f"emotion/1, run {values['run_id']}"
    assert (second.starter, second.validation, second.is_validated) == (None, None, False)
    assert second.description == "Emotion recognition, with random numbers: for tests only."
    assert repr(measurements.read(second.run_id)) == repr(measurements.merged([], MEASURED))
    assert artifacts.fetch_json(second.run_id, "card.json") == {"recipe": "tiny"}
    (table,) = outcomes.read(second)
    assert table.source == replace(SOURCE, folder="data/toy", imported=True)
    pd.testing.assert_frame_equal(table.items, ITEMS)
    exporting.export(second, tmp_path / "again")
    file = tmp_path / "again" / "evaluation" / "test-toy.parquet"
    assert file.read_bytes() == (exports / "emotion" / "evaluation" / file.name).read_bytes()
    run = store.connect().get_run(second.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"test/toy/accuracy": 0.75}


def test_mlflow_loads_an_imported_version_and_it_can_be_promoted(exports: Path) -> None:
    import mlflow.pytorch
    import torch

    version = importing.import_version(exports / "dln")
    promote("dln", version.number)
    store.connect()
    module = mlflow.pytorch.load_model("models:/dln@production")
    outputs = module(torch.from_numpy(FACES))
    assert np.allclose(outputs["expression"], answers(version, "torch")["expression"], atol=1e-6)


@pytest.mark.parametrize(
    "name", ["README.md", "config.json", "evaluation/test-toy.parquet", "mlflow/model.onnx"]
)
def test_a_damaged_or_missing_file_is_refused_by_name(name: str, copy: Copy) -> None:
    folder = copy("emotion")
    file = folder / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    refuse(folder, BadExport, rf"{name} in .* is damaged")
    file.unlink()
    refuse(folder, BadExport, rf"{name} is missing")


def refuse(folder: Path, kind: type[RegistryError], sentence: str, **options: Any) -> None:
    """Check that an import is refused in one sentence, and leaves nothing."""
    with pytest.raises(kind, match=sentence) as refused:
        importing.import_version(folder, **options)
    assert "\n" not in str(refused.value)
    assert versions.list_versions() == []
    client = store.connect()
    experiments = [found.experiment_id for found in client.search_experiments()]
    assert not client.search_runs(experiments)
    assert not client.search_logged_models(experiments)


def test_links_and_names_outside_the_folder_are_refused(copy: Copy, tmp_path: Path) -> None:
    folder = copy("dln")
    (folder / "card.md").rename(tmp_path / "card.md")
    (folder / "card.md").symlink_to(tmp_path / "card.md")
    refuse(folder, BadExport, "card.md in .* is a link")
    sums = folder / "SHA256SUMS"
    whole = sums.read_text()
    for name in ("../card.md", "/etc/hostname", "a\\b"):
        sums.write_text(f"{'0' * 64}  {name}\n" + whole)
        refuse(folder, BadExport, "damaged, or names a file outside")


def test_other_folders_and_models_are_refused(exports: Path, copy: Copy, tmp_path: Path) -> None:
    refuse(tmp_path / "absent", BadExport, "no exported version: it holds no SHA256SUMS")
    (tmp_path / "photos").mkdir()
    refuse(tmp_path / "photos", BadExport, "no exported version: it holds no SHA256SUMS")
    refuse(exports / "dln", BadExport, "no model cats; the models are dln", name="cats")
    refuse(exports / "dln", BadVersion, "gives no logits", name="emotion")
    for name in ("model.onnx", "weights.safetensors", "metadata.json"):
        folder = copy("dln")
        (folder / name).unlink()
        sign(folder)
        refuse(folder, BadExport, f"has no {name}")
        shutil.rmtree(folder)


LIES: dict[str, tuple[str, Any, str]] = {
    "size of a wrong type": ("crop", {"size_px": "32", "margin": 0.1, "roll": True}, "'32' px"),
    "size too large": ("crop", {"size_px": 9999, "margin": 0.1, "roll": True}, "9999 px large"),
    "crop without roll": ("crop", {"size_px": 32, "margin": 0.1}, "'roll' is missing"),
    "fewer labels": ("labels", ["happy", "sad"], "logits of 8, not 2"),
    "equal labels": ("labels", ["happy"] * 8, "two of its labels are equal"),
    "no labels": ("labels", [], "have no labels"),
    "other outputs": ("outputs", {"expression": "batch 16"}, "`outputs` .* names expression"),
    "an encoder": ("encoder", {"expression": "batch 16"}, "no encoder.onnx|has no encoder.pt2"),
    "condition": ("condition", 7, "`condition` .* names 7"),
    "temperature": ("temperature", -1, "temperature is -1"),
    "thresholds": ("thresholds", {"nearer": "much"}, "threshold nearer"),
    "class prior": ("class_prior", {"happy": 1}, "class prior is no positive share"),
    "data": ("data", {"toy": 3}, "no texts by name"),
    "format": ("format", 2, "format is 2, not 1"),
    "version": ("version", "x\n", "can't be imported"),
}


@pytest.mark.parametrize("lie", LIES)
def test_metadata_that_is_not_true_is_refused(lie: str, copy: Copy) -> None:
    field, value, sentence = LIES[lie]
    folder = copy("emotion")
    if field != "class_prior":  # versions of older code have none
        change_json(folder / "metadata.json", "class_prior", {})
    change_json(folder / "metadata.json", field, value)
    sign(folder)
    with pytest.raises((BadExport, BadVersion), match=sentence):
        importing.import_version(folder)
    assert versions.list_versions() == []


def change_json(path: Path, field: str, value: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))


class Harmful:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("unpickled"),)


@pytest.mark.parametrize("file", ["model.pt2", "weights.safetensors"])
def test_a_pickle_is_refused_and_not_loaded(
    file: str, copy: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = copy("dln")
    (folder / file).write_bytes(pickle.dumps(Harmful()))
    sign(folder)
    refuse(folder, RegistryError, "broken or no exported graph|no file of weights")
    shutil.rmtree(folder)
    folder = copy("dln")
    with zipfile.ZipFile(folder / "model.pt2", "a") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(Harmful()))
    sign(folder)
    refuse(folder, BadVersion, "could run code|broken or no exported graph")
    assert not (tmp_path / "unpickled").exists()


def test_an_onnx_graph_that_reads_files_or_computes_something_else_is_refused(copy: Copy) -> None:
    folder = copy("dln")
    model = onnx.load(folder / "model.onnx")
    foreign = onnx.ModelProto()
    foreign.CopyFrom(model)
    foreign.graph.node.append(helper.make_node("Run", [], ["x"], domain="their.own"))
    for changed, sentence in ((foreign, "operators|their.own"), (negated(model), "differs by")):
        (folder / "model.onnx").write_bytes(changed.SerializeToString())
        sign(folder)
        refuse(folder, BadVersion, sentence)


def negated(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph whose first output has the other sign."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for node in changed.graph.node:
        node.output[:] = ["before" if name == "expression" else name for name in node.output]
    changed.graph.node.append(helper.make_node("Neg", ["before"], ["expression"]))
    return changed


def test_tables_that_are_none_are_refused(copy: Copy) -> None:
    folder = copy("emotion")
    table = json.loads((folder / "measurements.json").read_text())
    table["data"][0][table["columns"].index("value")] = "high"
    changes = {
        "measurements.json": (json.dumps(table), "can't be imported"),
        "card.json": ("[1]", "no JSON object"),
        "config.json": ("{", "can't be imported"),
        "evaluation/test-toy.parquet": ("PAR1", "can't be imported"),
        "evaluation/script.sh": ("rm", "can't be imported"),
    }
    for name, (text, sentence) in changes.items():
        kept = (folder / name).read_bytes() if (folder / name).exists() else None
        (folder / name).write_text(text)
        sign(folder)
        refuse(folder, BadExport, sentence)
        (folder / name).unlink() if kept is None else (folder / name).write_bytes(kept)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"set": "toy; rm -r ~"}, "no plain name"),
        ({"split": "$(id)"}, "no plain name"),
        ({"digest": "of another set"}, "its digest is none"),
    ],
)
def test_outcomes_whose_source_could_be_a_command_are_refused(
    changes: dict[str, str], sentence: str, copy: Copy
) -> None:
    folder = copy("emotion")
    source = replace(SOURCE, **changes)
    file = folder / "evaluation" / "test-toy.parquet"
    file.unlink()
    outcomes.write_file(
        file.with_name(f"{source.name}.parquet"), Outcomes(source=source, items=ITEMS)
    )
    sign(folder)
    refuse(folder, BadExport, sentence)


def test_a_failure_while_it_is_registered_leaves_nothing(
    exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(importing.outcomes, "log", fail)
    refuse(exports / "emotion", RegistryError, "No space left on device.*nothing was imported")


def test_the_commands_print_json_and_sentences(
    exports: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(exports / "dln"), "--json"]) == 0
    imported = json.loads(capsys.readouterr().out)
    assert (imported["model"], imported["version"], imported["starter"]) == ("dln", 1, None)
    out = tmp_path / "out"
    assert main(["export", "dln/1", str(out), "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    files = [path for path in out.rglob("*") if path.is_file()]
    assert written == {
        "model": "dln",
        "version": 1,
        "folder": str(out),
        "files": len(files),
        "size_bytes": sum(path.stat().st_size for path in files),
    }
    (out / layout.CARD).write_text("other")
    assert main(["import", str(out)]) == 2
    assert "card.md in" in capsys.readouterr().err
    assert main(["export", "dln/1", str(out)]) == 2
    assert "holds something: name a new folder" in capsys.readouterr().err
