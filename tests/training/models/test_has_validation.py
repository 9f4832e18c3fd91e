"""A task knows before it validates whether its data has anything to measure."""

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.recipes import RECIPES, task_of


@pytest.mark.parametrize(
    ("recipe_name", "lacking", "expected"),
    [
        ("emotion-smoke", ["person"], True),
        ("emotion-smoke", ["emotion"], False),
        ("dln-smoke", ["person", "emotion"], True),
        ("dln-smoke", ["emotion", "triplets"], True),
        ("dln-smoke", ["person", "emotion", "triplets"], False),
    ],
)
@pytest.mark.usefixtures("store")
def test_a_task_without_anything_to_measure_has_no_validation(
    recipe_name: str, lacking: list[str], *, expected: bool, drawn: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(drawn, data)
    index = pq.read_table(data / "index.parquet")
    for name in set(lacking) & {"person", "emotion"}:
        field = index.schema.field(name)
        empty = pa.nulls(len(index), field.type)
        index = index.set_column(index.schema.get_field_index(name), field, empty)
    pq.write_table(index, data / "index.parquet")
    if "triplets" in lacking:
        (data / "triplets.parquet").unlink()
    recipe = replace(RECIPES[recipe_name], toy=False, data=(data,), runs=tmp_path, device="cpu")
    task = task_of(recipe)
    networks = {name: network.eval() for name, network in task.networks.items()}
    assert task.has_validation() is expected
    assert bool(task.validate(networks)) is expected
