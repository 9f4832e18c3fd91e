"""The emotions of the faces of a video over time, as rows, a table and a plot."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.answers import Provenance
from demo.face_table import safe_cell
from demo.predictors import EmotionRecognizer, Photo
from demo.video.frames import read_frames
from demo.video.tracking import FaceTracker
from registry.faces import FaceCropper

FRAMES_PER_SECOND = 5.0
"""How many frames of each second are answered."""
MOST_PLOTTED = 4
"""How many faces the plot shows: those that are seen longest."""
INCHES_PER_FACE, WIDTH_INCHES, DPI = 2.4, 9.0, 110
COLOURS = {
    "neutral": "#6b7280",
    "happy": "#b45309",
    "sad": "#1d4ed8",
    "surprise": "#a21caf",
    "fear": "#0f766e",
    "disgust": "#4d7c0f",
    "anger": "#b91c1c",
    "contempt": "#7c2d12",
}


@dataclass(frozen=True, kw_only=True)
class FaceMoment:
    """The probabilities of one face's emotions in one frame; `face` counts from 1."""

    seconds: float
    face: int
    probabilities: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class AnsweredFrame:
    """A frame's faces, and which version answered; None where the frame shows no face."""

    seconds: float
    faces: tuple[FaceMoment, ...]
    provenance: Provenance | None


class VideoEmotions:
    """Names the emotions of the faces of a video, frame by frame.

    Args:
        recognizer: Answers about a frame.
        cropper: Detects the faces.
    """

    def __init__(self, recognizer: EmotionRecognizer, cropper: FaceCropper) -> None:
        self._recognizer, self._cropper = recognizer, cropper

    def frames(self, path: Path) -> Iterator[AnsweredFrame]:
        """Yield the answers about FRAMES_PER_SECOND frames of each second.

        Raises:
            VideoError: It is no video, or too long, too large or broken.
            RegistryError: No version can answer.
        """
        tracker = FaceTracker()
        for seconds, pixels in read_frames(path, FRAMES_PER_SECOND):
            photo = Photo(pixels, tuple(self._cropper.faces(pixels)), self._cropper)
            numbers = tracker.numbers(seconds, photo.faces)
            answers = self._recognizer.recognise(photo) if photo.faces else []
            moments = tuple(
                FaceMoment(seconds=seconds, face=number, probabilities=answer.probabilities)
                for number, answer in zip(numbers, answers, strict=True)
            )
            provenance = answers[0].provenance if answers else None
            yield AnsweredFrame(seconds=seconds, faces=moments, provenance=provenance)


def emotions_csv(moments: Sequence[FaceMoment], labels: Sequence[str]) -> str:
    """Return a row for each face of each frame: time in seconds, face, probability of each label.

    Args:
        moments: The faces.
        labels: The order of the columns.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time", "face", *map(safe_cell, labels)])
    for each in moments:
        shares = (f"{each.probabilities[label]:.4f}" for label in labels)
        writer.writerow([f"{each.seconds:.3f}", each.face, *shares])
    return text.getvalue()


def emotions_plot(moments: Sequence[FaceMoment], labels: Sequence[str]) -> bytes:
    """Return the probabilities over time as a PNG, a part for each of MOST_PLOTTED faces."""
    from matplotlib.figure import Figure

    shown = longest_seen(moments)[:MOST_PLOTTED]
    figure = Figure(
        figsize=(WIDTH_INCHES, INCHES_PER_FACE * len(shown) + 0.6), layout="constrained"
    )
    parts = figure.subplots(len(shown), 1, squeeze=False, sharex=True)[:, 0]
    for axes, face in zip(parts, shown, strict=True):
        rows = [each for each in moments if each.face == face]
        times = [each.seconds for each in rows]
        for label in labels:
            shares = [each.probabilities[label] for each in rows]
            axes.plot(times, shares, ".-", markersize=3, color=COLOURS.get(label), label=label)
        axes.set_ylim(-0.02, 1.02)
        axes.set_ylabel(f"face {face}")
    parts[-1].set_xlabel("seconds")
    figure.legend(*parts[0].get_legend_handles_labels(), loc="outside right upper")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def longest_seen(moments: Sequence[FaceMoment]) -> list[int]:
    """Return the numbers of the faces, those in most frames first."""
    counts: dict[int, int] = {}
    for each in moments:
        counts[each.face] = counts.get(each.face, 0) + 1
    return sorted(counts, key=lambda face: (-counts[face], face))
