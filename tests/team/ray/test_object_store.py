"""Photos and indexes in an object store: moto's S3 server on this machine stands for any."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from demo.__main__ import main
from demo.search.face_collection import FACES, FaceCollection
from tests.demo.search.test_face_collection import expressions, faces, recall, write
from tests.team.ray.conftest import PHOTOS
from tests.team.ray.test_embed import rows

boto3 = pytest.importorskip("boto3", reason="needs boto3: install the extra [team]")
moto = pytest.importorskip("moto.server", reason="needs moto: install the extra [team]")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.usefixtures("registry")]
SECRET = "s3cr3t-of-the-store"


@pytest.fixture(scope="module")
def bucket(album: Path) -> Iterator[str]:
    """Return the address of a bucket with the album's photos and its zip."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "anna")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        client = boto3.client("s3")
        client.create_bucket(Bucket="album")
        for path in [*(album / "photos").iterdir(), album / "more.zip"]:
            client.upload_file(str(path), "album", str(path.relative_to(album)))
        yield "s3://album"
    server.stop()


def test_photos_of_a_bucket_become_a_table_of_lancedb(
    bucket: str, album: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table, plain = tmp_path / "faces.lance", tmp_path / "plain.parquet"
    named = [f"{bucket}/photos", f"{bucket}/more.zip"]
    assert main(["embed", *named, str(table), "--ray", "--workers", "2"]) == 2
    local = [str(album / "photos"), str(album / "more.zip")]
    assert main(["embed", *local, "-o", str(plain), "--local"]) == 2
    expected = [
        row | {"file": row["file"].replace(str(album), bucket, 1)} for row in rows(plain)
    ]  # fmt: skip
    assert rows(table) == expected
    assert len(expected) == PHOTOS + 2
    printed = capfd.readouterr()
    assert SECRET not in printed.out + printed.err


def test_the_plain_command_reads_one_stored_photo(bucket: str, tmp_path: Path) -> None:
    table = tmp_path / "faces.parquet"
    assert main(["embed", f"{bucket}/photos/größe 100%.jpg", "-o", str(table), "--local"]) == 0
    assert [row["file"] for row in rows(table)] == [f"{bucket}/photos/größe 100%.jpg"]


@pytest.mark.parametrize("missing", ["album/nothing", "no-bucket/photos"])
def test_what_is_not_stored_is_one_sentence(
    bucket: str, missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bucket
    assert main(["embed", f"s3://{missing}", "-o", str(tmp_path / "f.parquet")]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert f"s3://{missing}" in sentence


def test_an_index_in_a_bucket_is_written_grows_is_searched_and_deleted(
    bucket: str, tmp_path: Path
) -> None:
    table = faces(3000)
    place = f"{bucket}/index"
    collection = FaceCollection(place, indexed_from=2000)
    assert collection.add(write(table, tmp_path / "faces.parquet")) == 3000
    assert recall(collection, table) >= 0.98
    assert recall(collection, table, person="p7", emotion="it's mixed") == 1
    grown = pa.concat_tables([table, faces(300, seed=3)])
    again = FaceCollection(place, indexed_from=2000)
    assert again.add(write(grown, tmp_path / "faces.parquet")) == 300
    assert again.nearest(expressions(grown)[3100], 1)[0].file == "3-100.jpg"
    assert again.add(tmp_path / "faces.parquet") == 0
    assert stored(f"index/{FACES}.lance/_indices/")
    again.drop()
    assert stored(f"index/{FACES}.lance/") == []


def test_the_command_keeps_its_index_in_a_bucket_and_repeats_no_credentials(
    bucket: str, album: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], registry: Path
) -> None:
    table, query = tmp_path / "faces.parquet", str(album / "photos" / "00.jpg")
    assert main(["embed", str(album / "more.zip"), "-o", str(table), "--local"]) == 0
    search = ["search", str(table), query, "--local", "--json"]
    capfd.readouterr()
    assert main(search) == 0
    here = json.loads(capfd.readouterr().out)["matches"]
    assert main([*search, "--index", f"{bucket}/kept"]) == 0
    assert json.loads(capfd.readouterr().out)["matches"] == here
    assert stored(f"kept/{FACES}.lance/data/")
    assert main([*search, "--index", "s3://no-bucket/kept"]) == 2
    printed = capfd.readouterr()
    (sentence,) = printed.err.splitlines()
    assert sentence.startswith("The index at s3://no-bucket/kept can't be read or written")
    (log,) = (registry / "logs").glob("demo*.log")
    assert "no-bucket" in log.read_text()
    assert SECRET not in printed.out + printed.err + log.read_text()


def stored(prefix: str) -> list[str]:
    """Return the keys of the bucket's objects that begin so."""
    found = boto3.client("s3").list_objects_v2(Bucket="album", Prefix=prefix)
    return [each["Key"] for each in found.get("Contents", [])]
