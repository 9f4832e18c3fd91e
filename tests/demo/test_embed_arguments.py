"""What `embed` takes: paths and addresses, and a table that is named with or without -o."""

from pathlib import Path

import pytest

from demo.argument_checks import BadArguments
from demo.arguments import parse
from demo.embed_arguments import Embed
from demo.object_store import StoredFile
from demo.photo_files import StoredPhoto, photo_file


def embed(*arguments: str) -> Embed:
    command = parse(["embed", *arguments])
    assert isinstance(command, Embed)
    return command


def test_without_the_option_the_last_name_is_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = embed("a.jpg", "s3://bucket/b c", "faces.lance", "--ray")
    assert command.photos == (Path("a.jpg"), StoredFile("s3://bucket/b c"))
    assert command.table == Path("faces.lance")
    command = embed("old.parquet", "-o", "faces.parquet")
    assert command.photos == (Path("old.parquet"),)
    assert command.table == Path("faces.parquet")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["a.jpg"], "Name the table to write"),
        (["faces.parquet"], "at least one PHOTO"),
        (["a.jpg", "-o", "faces.csv"], "does not end with .parquet"),
        (["a.jpg", "faces.parquet", "--workers", "2"], "--ray"),
        (["a.jpg", "file.lance"], "can't be written"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.lance").touch()
    with pytest.raises(BadArguments, match=sentence):
        embed(*arguments)


@pytest.mark.parametrize(
    "address", ["ftp://host/a", "s3:///a", "s3://anna:secret@bucket/a", "s3://[bucket]/a"]
)
def test_an_address_that_is_not_read_is_refused_and_no_password_repeated(address: str) -> None:
    with pytest.raises(BadArguments) as refused:
        embed(address, "faces.parquet")
    assert "secret" not in str(refused.value)


def test_a_stored_photo_is_named_by_its_address() -> None:
    photo = photo_file(StoredFile("s3://bucket/a/photos.zip", 7), "b/c.jpg")
    assert isinstance(photo, StoredPhoto)
    assert str(photo) == "s3://bucket/a/photos.zip/b/c.jpg"
    assert photo.path == Path("a/photos.zip")
    assert photo.modified_ns == 7
