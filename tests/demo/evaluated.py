"""A toy evaluation: two versions of dln with outcomes, and the prepared set they are about."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from registry import outcomes, store, versions
from registry.catalog import DLN
from registry.crops import CropSpec
from registry.entries import VersionMetadata
from registry.outcomes import Outcomes, Source

COLOURS = {"anna": "red", "ben": "green", "cleo <b>": "blue", "dan": "white"}
SOURCE = Source(set="toy", split="test", digest="5" * 64, folder="data/toy")
TRIPLETS = [
    # type, photos, votes, odd face; the odd face that each version finds, and its margin
    ("one class", ("anna", "ben", "cleo <b>"), (1, 0, 9), 3, (3, 0.25), (3, 0.5)),
    ("two class", ("ben", "anna", "dan"), (0, 6, 4), 2, (2, 0.125), (1, -0.25)),
    ("two class", ("cleo <b>", "dan", "ben"), (8, 1, 1), 1, (2, -0.125), (1, 0.375)),
    ("three class", ("dan", "gone", "anna"), (3, 7, 0), 2, (0, 0.0), (3, -0.5)),
]


def fill(version: int, source: Source = SOURCE) -> versions.Version:
    """Register a version, without files, and store its outcomes."""
    client = store.connect()
    run_id = client.create_run(store.experiment(DLN.name)).info.run_id
    metadata = VersionMetadata(crop=CropSpec(size_px=32, margin=0.1), outputs=DLN.outputs)
    if version == 1:
        client.create_registered_model(DLN.name)
    client.create_model_version(DLN.name, "file:///nothing", run_id, metadata.to_tags())
    registered = versions.resolve(f"{DLN.name}/{version}")
    outcomes.log(registered, Outcomes(source=source, items=items(version)))
    return registered


def items(version: int) -> pd.DataFrame:
    """Return the outcomes of the first version, or of the second; the last row is a pair's."""
    rows = []
    for kind, names, votes, odd, *answers in TRIPLETS:
        found, margin = answers[min(version, 2) - 1]
        rows.append(
            {
                "kind": "triplet",
                "type": kind,
                **{f"name_{i}": name for i, name in enumerate(names, 1)},
                **{f"votes_{i}": vote for i, vote in enumerate(votes, 1)},
                "answer": odd,
                "found": found,
                "right": found == odd,
                "margin": margin,
            }
        )
    rows.append({"kind": "across", "name_1": "anna", "name_2": "ben", "distance": 0.5})
    whole = {f"votes_{i}": "Int32" for i in (1, 2, 3)} | {"answer": "Int8", "found": "Int8"}
    return pd.DataFrame(rows).astype({**whole, "right": "boolean", "margin": "Float32"})


def prepare(folder: Path) -> Path:
    """Write the set, each face in one colour, and two entries that lead out of its folder."""
    (folder / "crops").mkdir(parents=True)
    Image.new("RGB", (64, 64), "black").save(folder.parent / "secret.png")
    (folder / "crops" / "linked.png").symlink_to(folder.parent / "secret.png")
    files = {"secret": "../secret.png", "linked": "crops/linked.png", "text": "index.parquet"}
    for number, (name, colour) in enumerate(COLOURS.items()):
        files[name] = f"crops/{number}.png"
        Image.new("RGB", (400, 400), colour).save(folder / files[name])
    table = pa.table({"name": list(files), "path": list(files.values())})
    pq.write_table(table.replace_schema_metadata({"set": "toy"}), folder / "index.parquet")
    return folder
