"""The crops of many pictures, cut by the processes of Ray."""

from collections.abc import Sequence
from contextlib import closing
from functools import partial

from registry.console import track
from registry.ray_cluster import joined
from registry.ray_map import map_items
from training.datasets.crop import PictureCropper, StoredCrop
from training.datasets.source import PictureRecord


def crop_on_ray(
    cropper: PictureCropper, pictures: Sequence[PictureRecord], workers: int | None
) -> list[StoredCrop | str]:
    """Return each picture's crop, or why it has none, in order; a progress bar is shown.

    Args:
        cropper: Its source and its folder are where the workers find them, too.
        pictures: What to crop.
        workers: How many processes work; None: one for each CPU.

    Raises:
        ClusterError: Ray can't do the work.
        OSError: A crop can't be written.
    """
    with joined() as cluster:
        chosen = cluster.workers(workers, need_gpu=False)
        with closing(map_items(partial(_same, cropper), pictures, chosen)) as cut:
            crops = dict(track(cut, "crops", total=len(pictures)))
    return [crops[position] for position in range(len(pictures))]


def _same(cropper: PictureCropper) -> PictureCropper:
    return cropper
