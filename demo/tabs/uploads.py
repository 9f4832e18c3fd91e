"""Which files the page takes and returns: only uploads come in, and all files are deleted."""

import logging
from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache

logger = logging.getLogger(__name__)

LIFETIME_SECONDS = 3600
"""How long a visitor's pictures are kept."""
URL_SCHEMES = ("http://", "https://")
FILE_META = {"_type": "gradio.FileData"}
"""Gradio checks that a file was uploaded only if the file carries this."""
UNEXPECTED = "Something went wrong here; the log file names the cause. Try once more."


class UploadOnlyBlocks(gr.Blocks):  # type: ignore[misc]
    """Blocks that take uploaded files only: no URLs to fetch, no other files of this machine.

    An exception that no event handler expects is logged, and shown as one sentence.
    """

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any
    ) -> list[Any]:
        """Refuse all other files before Gradio reads them."""
        if not all(map(_is_plain_or_upload, inputs)):
            raise gr.Error("Send the picture itself, not its address.", print_exception=False)
        values: list[Any] = await super().preprocess_data(block_fn, inputs, *args, **kwargs)
        return values

    async def call_function(self, block_fn: Any, *args: Any, **kwargs: Any) -> Any:
        """Call an event handler; log what it didn't expect."""
        try:
            return await super().call_function(block_fn, *args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            name = getattr(block_fn, "name", block_fn)
            logger.exception("The event handler %s failed.", name)
            raise gr.Error(UNEXPECTED, print_exception=False) from error


def _is_plain_or_upload(value: Any) -> bool:
    """Return whether a value is plain, or a file that Gradio will look for among the uploads.

    Gradio would also fetch files in lists and in nested dicts; no event here takes any.
    """
    if not isinstance(value, dict):
        return not isinstance(value, list)
    return value.get("meta") == FILE_META and not str(value.get("path")).startswith(URL_SCHEMES)


def cache_file(data: bytes, name: str, component: gr.blocks.Block) -> str:
    """Write a file for `component` to offer, next to the uploads; return its path."""
    return str(save_bytes_to_cache(data, name, component.GRADIO_CACHE))
