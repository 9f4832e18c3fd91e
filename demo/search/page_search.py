"""Which search the page has, by what it was started with."""

from pathlib import Path

from demo.argument_checks import is_table
from demo.predictors import ModelProvider
from demo.search.background_search import BackgroundSearch
from demo.search.folder_search import FolderSearch
from demo.search.table_search import TableSearch
from registry.faces import FaceCropper


def page_search(place: Path, server: ModelProvider, cropper: FaceCropper) -> BackgroundSearch:
    """Return the search of a folder, a zip or a table of faces.

    Args:
        place: The folder, the zip or the Parquet file.
        server: The version of the dln that answers.
        cropper: Detects faces in the folder's photos.
    """
    if is_table(place):
        return TableSearch(place, server)
    return FolderSearch(place, server, cropper)
