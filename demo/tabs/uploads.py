"""Which files the page takes and returns, and what it answers where something fails."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.processing_utils import hash_bytes

from demo.guards import DISK_FULL, UNEXPECTED, UNFIT, is_disk_full
from demo.listeners import Listeners
from demo.live_emotion import DATA_URL
from demo.metrics import PageMetrics, handler_labels
from demo.tabs.visitor_queue import VisitorQueue
from demo.visitor_files import FolderFull, visitor_folder
from registry.errors import RegistryError
from registry.files import atomic_write
from registry.photos import PhotoError

logger = logging.getLogger(__name__)

FILE_META = {"_type": "gradio.FileData"}
"""Gradio checks that a file was uploaded only if the file carries this."""
SEND_THE_PICTURE = "Send the picture itself, not its address."


class Failed(gr.Error):  # type: ignore[misc]
    """An event handler failed in a way that nobody expected; the log names the cause."""


class UploadOnlyBlocks(gr.Blocks):  # type: ignore[misc]
    """Blocks that take uploaded files only: no URLs to fetch, no other files of this machine.

    Their events wait in a VisitorQueue. An exception that no event handler expects is logged, and
    shown as one sentence.

    Args:
        listeners: Which visitors are listening for answers.
        metrics: Counts what is answered.
        options: As for Gradio's Blocks.
    """

    def __init__(self, listeners: Listeners, metrics: PageMetrics, **options: Any) -> None:
        self._listeners, self._metrics = listeners, metrics
        super().__init__(**options)

    def queue(self, *args: Any, **options: Any) -> "UploadOnlyBlocks":
        """Replace Gradio's queue, which has neither a bound nor shares."""
        super().queue(*args, **options)
        self._queue = VisitorQueue(
            self._listeners,
            live_updates=True,
            concurrency_count=self.max_threads,
            update_intervals=1,
            max_size=None,
            blocks=self,
        )
        return self

    @property
    def waiting(self) -> int:
        """How many requests are in the queue."""
        return len(self._queue)

    async def process_api(self, block_fn: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer a request, and count the answer."""
        event = block_fn if hasattr(block_fn, "fn") else self.fns[block_fn]
        with self._metrics.answering(*handler_labels(event.fn), _is_refusal):
            return await super().process_api(block_fn, *args, **kwargs)

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any
    ) -> list[Any]:
        """Refuse other files before Gradio reads them, and values of other types."""
        is_stream = block_fn.connection == "stream"
        if not all(_is_plain_or_upload(each) or (is_stream and is_frame(each)) for each in inputs):
            raise gr.Error(SEND_THE_PICTURE, print_exception=False)
        try:
            values: list[Any] = await super().preprocess_data(block_fn, inputs, *args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            logger.warning("Inputs of %s were refused.", _name(block_fn), exc_info=True)
            raise gr.Error(UNFIT, print_exception=False) from error
        return values

    async def call_function(self, block_fn: Any, *args: Any, **kwargs: Any) -> Any:
        """Call an event handler; log what it didn't expect."""
        with _as_gradio_errors(block_fn):
            return await super().call_function(block_fn, *args, **kwargs)

    async def postprocess_data(self, block_fn: Any, *args: Any, **kwargs: Any) -> Any:
        """Turn an answer into what the browser gets; pictures are written into a folder."""
        with _as_gradio_errors(block_fn):
            return await super().postprocess_data(block_fn, *args, **kwargs)


@contextmanager
def _as_gradio_errors(block_fn: Any) -> Iterator[None]:
    """Turn what goes wrong into gr.Error, one sentence; log what nobody expected."""
    try:
        yield
    except gr.Error:
        raise
    except (PhotoError, RegistryError, FolderFull) as error:
        raise gr.Error(str(error), print_exception=False) from None
    except Exception as error:
        logger.exception("The event handler %s failed.", _name(block_fn))
        sentence = DISK_FULL if is_disk_full(error) else UNEXPECTED
        raise Failed(sentence, print_exception=False) from error


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, gr.Error) and not isinstance(error, Failed)


def _name(block_fn: Any) -> str:
    return str(getattr(block_fn, "name", block_fn))


def _is_plain_or_upload(value: Any) -> bool:
    """Return whether a value is plain, or a file among the uploads.

    Gradio would also fetch files in lists and in nested dicts; no event here takes any.
    """
    if not isinstance(value, dict):
        return not isinstance(value, list)
    return value.get("meta") == FILE_META and visitor_folder().holds(str(value.get("path")))


def is_frame(value: Any) -> bool:
    """Return whether a value is a frame of a camera: a data URL, and no file beside it."""
    if not isinstance(value, dict) or value.get("path"):
        return False
    return str(value.get("url")).startswith(DATA_URL)


def cache_file(data: bytes, name: str, component: gr.blocks.Block) -> str:
    """Write a file for `component` to offer, next to the uploads; return its path.

    Files of one name and content are one file, which others may be downloading.

    Raises:
        FolderFull: The visitors' pictures take all the room they may.
        OSError: It can't be written.
    """
    visitor_folder().require_room(len(data))
    path = Path(component.GRADIO_CACHE, hash_bytes(data), name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        part.write_bytes(data)
    return str(path)
