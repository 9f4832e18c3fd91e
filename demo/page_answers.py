"""The terminal's answers from the page that is open: its models are loaded already."""

import logging
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from demo import open_page
from demo.local_answers import Answer, Answers, LocalAnswers
from demo.photo_files import PhotoFile
from registry.photos import PhotoError
from registry.temporary import TemporaryFolder

WITHIN_SECONDS = 60.0
"""How long an answer of the page is waited for, before this process computes it."""
logger = logging.getLogger(__name__)


class NotAnswered(RuntimeError):
    """The page gave no answer, or not that of the version in production."""


def find_answers(local: bool) -> Answers:
    """Return the answers of the open page where there is one that may be asked, else our own.

    Args:
        local: Don't ask the page.
    """
    url = None if local else open_page.find()
    return LocalAnswers() if url is None else PageAnswers(url)


class PageAnswers:
    """Asks the open page. What it can't answer, or refuses, is answered in this process.

    Args:
        url: The page's address.
    """

    def __init__(self, url: str) -> None:
        self._url: str | None = url
        self._client: Any = None
        self._local: LocalAnswers | None = None
        folder = TemporaryFolder()
        self._folder = folder.path
        weakref.finalize(self, folder.close)

    def compare(self, photos: Sequence[PhotoFile], face: int) -> Answer:
        """Return which two of three photos share an expression."""
        try:
            answer: Answer = self._ask("compare", photos, *[face] * len(photos))
        except NotAnswered:
            return self._here().compare(photos, face)
        return answer

    def emotion(self, photo: PhotoFile, face: int | None) -> list[Answer]:
        """Return the emotion of each face of a photo."""
        try:
            answers: list[Answer] = self._ask("emotion", [photo], face)
        except NotAnswered:
            return self._here().emotion(photo, face)
        return answers

    def embed(self, photo: PhotoFile, face: int | None) -> list[Answer]:
        """Return the vectors of each face of a photo."""
        try:
            answers: list[Answer] = self._ask("embed", [photo], face)
        except NotAnswered:
            return self._here().embed(photo, face)
        return answers

    def transfer(
        self,
        source: PhotoFile,
        driver: PhotoFile | None,
        faces: tuple[int, int],
        strength: float,
    ) -> tuple[Answer, bytes]:
        """Return the metrics of a transfer, and its picture as a PNG."""
        try:
            answer, picture = self._ask("transfer", [source, driver], strength, *faces)
        except NotAnswered:
            return self._here().transfer(source, driver, faces, strength)
        shown = {key: value for key, value in answer.items() if key != "boxes"}
        return shown, Path(picture).read_bytes()

    def _here(self) -> LocalAnswers:
        self._local = self._local or LocalAnswers()
        return self._local

    def _ask(self, endpoint: str, photos: Sequence[PhotoFile | None], *options: Any) -> Any:
        """Return what an endpoint of the page answers; None stands for a photo that is left out.

        Raises:
            NotAnswered: It can't be reached, refuses, or another version answered.
        """
        from gradio_client.exceptions import AppError

        if self._url is None:
            raise NotAnswered
        try:
            answer = self._predict(f"/{endpoint}", photos, options)
        except (AppError, PhotoError) as error:  # about this photo; our own answer names it
            raise NotAnswered from error
        except Exception as error:
            logger.info("The page at %s gives no answer.", self._url, exc_info=error)
            self._url = None
            raise NotAnswered from error
        self._require_production(answer)
        return answer

    def _predict(
        self, endpoint: str, photos: Sequence[PhotoFile | None], options: Sequence[Any]
    ) -> Any:
        from gradio_client import Client, handle_file

        if self._client is None:
            self._client = Client(
                self._url,
                verbose=False,
                analytics_enabled=False,
                download_files=str(self._folder),
                httpx_kwargs={"trust_env": False, "timeout": WITHIN_SECONDS},
            )
        sent = [photo and handle_file(self._file(photo)) for photo in photos]
        return self._client.submit(*sent, *options, api_name=endpoint).result(WITHIN_SECONDS)

    def _file(self, photo: PhotoFile) -> Path:
        """Return a file with a photo; the member of a zip is written into our folder."""
        content = photo.read()
        if isinstance(content, Path):
            return content
        file = self._folder / f"photo-{uuid4().hex}"
        file.write_bytes(content)
        return file

    def _require_production(self, answer: Any) -> None:
        """Ask the page no more if its version isn't the one in production now.

        Raises:
            NotAnswered: It isn't.
        """
        from registry import versions

        first = answer[0] if isinstance(answer, list | tuple) else answer
        version = versions.resolve(first["model"])
        if (version.number, version.run_id) != (first["version"], first["run_id"]):
            self._url = None
            raise NotAnswered
