"""The terminal's `transfer-video`: another expression on a face, in every frame of a clip."""

import sys

from demo.arguments import TransferVideo
from demo.models import ModelServer
from demo.predictors import TripletComparer, read_photo_with_faces
from demo.terminal import provenance, write_errors
from demo.transfer import CONSENT, ExpressionTransfer
from demo.transfer_limits import LIMITS
from demo.video.frames import video_seconds
from demo.video.transfer import FRAMES_PER_SECOND, LONGEST_CLIP_SECONDS, ClipTransfer
from registry import console
from registry.console import print_json, printable
from registry.faces import FaceCropper
from registry.files import atomic_write


def transfer_video(command: TransferVideo) -> None:
    """Write a clip with another expression, marked as generated.

    Raises:
        VideoError: It is no video, too long, too large or broken, or shows no face.
        PhotoError: The driver can't be used.
        NotWritten: The clip can't be written.
        RegistryError: No version can answer.
    """
    print(CONSENT, LIMITS, sep="\n", file=sys.stderr)
    server, cropper = ModelServer(poll_seconds=None), FaceCropper()
    seconds = video_seconds(command.clip, LONGEST_CLIP_SECONDS)
    driver = command.driver and read_photo_with_faces(command.driver, cropper)
    transfer = ClipTransfer(ExpressionTransfer(server), TripletComparer(server), cropper)
    with write_errors(command.output), atomic_write(command.output) as part:
        frames = transfer.write(
            command.clip,
            driver or None,
            part,
            driver_face=command.driver_face - 1,
            strength=command.strength,
        )
        total = max(1, round(seconds * FRAMES_PER_SECOND))
        written = list(console.track(frames, "frames written", total=total))
    changed = [frame.provenance for frame in written if frame.provenance is not None]
    if command.json:
        counts = {"frames": len(written), "changed_frames": len(changed)}
        print_json({"file": str(command.output)} | counts | vars(changed[-1]))
        return
    sentence = f"{command.output} has {len(written)} frames, the face changed in {len(changed)}."
    print(printable(sentence))
    print(f"  {provenance(vars(changed[-1]))}")
