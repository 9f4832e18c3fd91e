"""The vectors of many photos, computed by the processes of Ray, each with the version loaded."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from demo.local_answers import Answer, BadPhotos, LocalAnswers
from demo.photo_files import PhotoFile
from registry.photos import PhotoError

if TYPE_CHECKING:
    from demo.loaded_model import Model

Faces = list[Answer] | PhotoError


def embedded_on_ray(
    photos: Sequence[PhotoFile], face: int | None, workers: int | None
) -> Generator[tuple[PhotoFile, Faces], None, None]:
    """Yield each photo and its faces' vectors, or why it can't be used, as they are done.

    Args:
        photos: Photos that the workers can read.
        face: The number of the face that is taken of each photo; None takes all.
        workers: How many processes work; None: one for each GPU, or else for each CPU.

    Raises:
        ClusterError: Ray can't do the work.
        RegistryError: There is no version in production, or a worker can't load it.
    """
    from registry import versions
    from registry.catalog import DLN
    from registry.ray_cluster import joined
    from registry.ray_map import map_items

    version = versions.resolve(DLN.name)
    make = partial(embed_function, f"{version.name}/{version.number}", face)
    if not photos:
        return
    with joined() as cluster:
        chosen = cluster.workers(workers, need_gpu=True)
        with closing(map_items(make, photos, chosen)) as answered:
            for position, faces in answered:
                yield photos[position], faces


def embed_function(reference: str, face: int | None) -> Callable[[PhotoFile], Faces]:
    """Load a version in a worker, and return the function that answers about one photo.

    Args:
        reference: The version, such as dln/3.
        face: As for `embedded_on_ray`.
    """
    from registry import versions

    return partial(_embed, LocalAnswers(OneVersion(versions.load(reference))), face)


class OneVersion:
    """Gives the same version whatever is promoted meanwhile."""

    def __init__(self, model: "Model") -> None:
        self._model = model

    def model(self, name: str) -> "Model":
        """Return the version; it has to be one of `name`."""
        assert name == self._model.version.name, name
        return self._model


def _embed(answers: LocalAnswers, face: int | None, photo: PhotoFile) -> Faces:
    try:
        return answers.embed(photo, face)
    except BadPhotos as error:
        return error.refused[0][1]
