"""The state of a search as visitors read it while a thread writes its tables again."""

from pathlib import Path
from typing import NoReturn

import pytest

from demo.__main__ import main
from demo.models import ModelServer
from demo.predictors import read_photo_with_faces
from demo.search.background_search import BackgroundSearch, NotReady
from demo.search.face_collection import FaceCollection
from demo.search.folder_search import FolderSearch
from demo.search.table_search import TableSearch
from demo.search.tables import IndexFailed, Tables
from registry.faces import FaceCropper

pytestmark = pytest.mark.usefixtures("log_folder", "network")


def unreadable(*_: object) -> NoReturn:
    raise IndexFailed("Table 'faces' was not found")


@pytest.fixture(params=["folder", "table"])
def search(request: pytest.FixtureRequest, folder: Path, tmp_path: Path) -> BackgroundSearch:
    server = ModelServer(poll_seconds=None)
    if request.param == "folder":
        return FolderSearch(folder, server, FaceCropper())
    table = tmp_path / "faces.parquet"
    assert main(["embed", str(folder), "-o", str(table)]) == 0
    return TableSearch(table, server)


def test_the_state_is_answered_while_no_table_can_be_opened(
    search: BackgroundSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    search.update()
    state = search.status(), search.choices()
    assert state[0] == "3 faces can be searched."
    for tables in (Tables, FaceCollection):
        monkeypatch.setattr(tables, "_open", unreadable)
    assert (search.status(), search.choices()) == state


def test_a_visitor_who_asks_while_a_table_is_written_again_is_asked_to_wait(
    folder: Path, query: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "faces.parquet"
    assert main(["embed", str(folder), "-o", str(table)]) == 0
    search = TableSearch(table, ModelServer(poll_seconds=None))
    search.update()
    photo = read_photo_with_faces(query, FaceCropper())
    answers: list[str] = []

    def ask(*_: object) -> int:
        with monkeypatch.context() as patch:
            patch.setattr(FaceCollection, "_open", unreadable)
            with pytest.raises((NotReady, IndexFailed)) as refused:
                search.find(photo, 0, count=1)
        answers.append(str(refused.value))
        return 0

    with monkeypatch.context() as patch:
        patch.setattr(FaceCollection, "add", ask)
        search.update()
    ask()
    assert answers == [
        "The faces are being indexed; try again soon.",
        "Table 'faces' was not found",
    ]
