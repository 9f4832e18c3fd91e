"""`python -m training prepare --ray`: the same prepared set as without Ray."""

import shutil
from pathlib import Path

import pytest
from pyarrow import parquet

from training.__main__ import main

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.usefixtures("cluster")]


def test_two_workers_cut_the_crops_of_the_plain_command(examples: Path, tmp_path: Path) -> None:
    for photo in sorted(examples.glob("*.jpg")):
        folder = tmp_path / "people" / ("happy" if "smiling" in photo.name else "sad")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, folder)
    source, plain, by_ray = (str(tmp_path / name) for name in ("people", "plain", "ray"))
    assert main(["prepare", "folder", source, plain]) == 0
    assert main(["prepare", "folder", source, by_ray, "--ray", "--workers", "2"]) == 0
    crops = {p.name: p.read_bytes() for p in (tmp_path / "plain" / "crops").iterdir()}
    assert len(crops) == len(list(examples.glob("*.jpg")))
    assert crops == {p.name: p.read_bytes() for p in (tmp_path / "ray" / "crops").iterdir()}
    tables = [parquet.read_table(Path(dest) / "index.parquet") for dest in (plain, by_ray)]
    assert tables[0].equals(tables[1])


def test_ray_goes_on_with_crops_that_were_cut_without_it(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(drawn, tmp_path / "toy")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "toy" / "crops").iterdir()}
    index = (tmp_path / "toy" / "index.parquet").read_bytes()
    monkeypatch.chdir(tmp_path)
    assert main(["prepare", "toy", "-", "toy", "--ray", "--workers", "2"]) == 0
    after = {p: p.stat().st_mtime_ns for p in (tmp_path / "toy" / "crops").iterdir()}
    assert after == before
    assert (tmp_path / "toy" / "index.parquet").read_bytes() == index
