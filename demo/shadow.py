"""Candidates that answer what visitors ask, beside the versions in production, for comparison.

Of the visitors nothing is kept: only how many answers were compared, and how far they differ.
"""

import logging
import os
import queue
import re
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from demo.answers import EmotionAnswer, TripletAnswer
from demo.loaded_model import Model
from demo.predictors import EmotionRecognizer, Photo, TripletComparer
from demo.version_checks import smoke_check
from registry import entries
from registry.catalog import DLN, EMOTION, PIX2PIXHD, model_of
from registry.errors import BadVersion, first_line

logger = logging.getLogger(__name__)

REFERENCE = re.compile(r"(?P<name>[\w.-]+)/(?P<number>[1-9]\d*)")
MOST_WAITING = 4
"""Questions that may wait for a candidate; more are left out."""
RETRY_SECONDS = 60.0
LOWEST_PRIORITY = 19
NOTICE = "{} also answers, for comparison; its answers are not shown."
NO_TRANSFERS = (
    f"{PIX2PIXHD.name} can't answer beside another version: each measures its pictures with an "
    "encoder of its own, so that the numbers could not be compared."
)
Answer = TypeVar("Answer", TripletAnswer, EmotionAnswer)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How the answers of a candidate differ from those of one version in production."""

    champion: int
    """Number of the version in production."""
    answers: int = 0
    differing: int = 0
    """Answers with another emotion, or another odd one of three."""
    sum_of_differences: float = 0.0

    @property
    def mean_difference(self) -> float:
        """Mean absolute difference of the probabilities, or of the distances."""
        return self.sum_of_differences / self.answers if self.answers else 0.0


class Candidate:
    """One version that answers beside the one in production, in a thread of low priority.

    Args:
        name: `dln` or `emotion`, or the registered model of their candidates.
        number: Its number.
    """

    def __init__(self, name: str, number: int) -> None:
        self.name, self.number = name, number
        self.title = entries.title(name, number)
        self.problem: str | None = None
        """Why it can't answer; None where it can, or is being loaded."""
        self.is_ready = False
        """Whether it is loaded."""
        self.left_out = 0
        """How many questions were not put to it, because too many waited."""
        self._comparisons: dict[tuple[int, str], Comparison] = {}
        self._questions: queue.Queue[Callable[[Model], None]]
        self._questions = queue.Queue(MOST_WAITING)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{name}-shadow", daemon=True)
        self._thread.start()

    @property
    def comparisons(self) -> list[Comparison]:
        """One for each version that was in production meanwhile, the present one last."""
        return list(self._comparisons.values())

    def ask(self, question: Callable[[Model], None]) -> None:
        """Let the thread put a question to the candidate, if it is loaded; returns at once."""
        if self.is_ready:
            try:
                self._questions.put_nowait(question)
            except queue.Full:
                self.left_out += 1

    def add(
        self,
        answers: Sequence[Answer],
        others: Sequence[Answer],
        difference: Callable[[Answer, Answer], tuple[bool, float]],
    ) -> None:
        """Count how answers of the version in production differ from the candidate's.

        Args:
            answers: Of the version in production.
            others: The candidate's, about the same faces.
            difference: Returns whether two answers differ, and by how much their numbers do.
        """
        for answer, other in zip(answers, others, strict=True):
            if answer.provenance.run_id == other.provenance.run_id:
                continue  # it, or its copy, has been put into production meanwhile
            key = answer.provenance.version, answer.provenance.run_id
            old = self._comparisons.get(key, Comparison(champion=key[0]))
            differs, by = difference(answer, other)
            new = Comparison(
                champion=old.champion,
                answers=old.answers + 1,
                differing=old.differing + differs,
                sum_of_differences=old.sum_of_differences + by,
            )
            before = {each: self._comparisons[each] for each in self._comparisons if each != key}
            self._comparisons = before | {key: new}  # in one step: visitors may look meanwhile

    def close(self) -> None:
        """End the thread after the question it works on."""
        self._closed.set()
        self.ask(lambda _: None)

    def _run(self) -> None:
        if sys.platform == "linux":  # elsewhere priorities are those of the whole process
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
        model = self._loaded()
        while model is not None and not self._closed.is_set():
            question = self._questions.get()
            try:
                question(model)
            except Exception:
                logger.exception("%s, which answers for comparison, failed.", self.title)
            del question  # with the photos it is about

    def _loaded(self) -> Model | None:
        """Return the candidate; try until it can be loaded, or this is closed."""
        from registry import versions

        while not self._closed.is_set():
            try:
                model = versions.load(versions.resolve(f"{self.name}/{self.number}"))
                smoke_check(model)
            except Exception as error:  # it may be registered or mended meanwhile
                if str(error) not in (self.problem or ""):
                    logger.exception("%s can't answer for comparison.", self.title)
                self.problem = f"{self.title} can't answer for comparison: {first_line(error)}."
                self._closed.wait(RETRY_SECONDS)
            else:
                self.problem, self.is_ready = None, True
                return model
        return None


class Shadow:
    """The candidates of all models; none by default.

    Args:
        references: Such as `emotion/3`, at most one of a model.

    Raises:
        BadVersion: A reference is malformed, or its model can't be compared.
    """

    def __init__(self, references: Sequence[str] = ()) -> None:
        parsed = dict(map(_parse, references))
        if len({model_of(name) for name in parsed}) < len(references):
            raise BadVersion("--shadow takes one version of a model, not several.")
        self._candidates = {
            model_of(name): Candidate(name, number) for name, number in parsed.items()
        }

    def candidate(self, name: str) -> Candidate | None:
        """Return the candidate of a model, if it has one."""
        return self._candidates.get(name)

    def compare(self, photos: Sequence[Photo], faces: Sequence[int], answer: TripletAnswer) -> None:
        """Let a candidate answer what was asked about three photos, later."""
        candidate = self._candidates.get(DLN.name)
        if candidate is not None:
            candidate.ask(
                lambda model: candidate.add(
                    [answer],
                    [TripletComparer(_Fixed(model)).compare(photos, faces)],
                    _triplet_difference,
                )
            )

    def recognise(self, photo: Photo, answers: Sequence[EmotionAnswer]) -> None:
        """Let a candidate answer what was asked about the faces of a photo, later."""
        candidate = self._candidates.get(EMOTION.name)
        if candidate is not None:
            faces = [answer.face_index for answer in answers]
            candidate.ask(
                lambda model: candidate.add(
                    answers,
                    EmotionRecognizer(_Fixed(model)).recognise(photo, faces),
                    _emotion_difference,
                )
            )

    def close(self) -> None:
        """End all threads."""
        for candidate in self._candidates.values():
            candidate.close()


@dataclass(frozen=True)
class _Fixed:
    """Gives one version, whatever is in production."""

    loaded: Model

    def model(self, _name: str) -> Model:
        return self.loaded


def _parse(reference: str) -> tuple[str, int]:
    """Return name and number of the version that a reference means."""
    parts = REFERENCE.fullmatch(reference)
    if parts is None:
        raise BadVersion(f"{reference!r} names no version: write --shadow {EMOTION.name}/3.")
    if model_of(parts["name"]) == PIX2PIXHD.name:
        raise BadVersion(NO_TRANSFERS)
    if model_of(parts["name"]) not in (DLN.name, EMOTION.name):
        raise BadVersion(
            f"{parts['name']} is not asked on the page: --shadow takes a version of {DLN.name} or "
            f"{EMOTION.name}."
        )
    return parts["name"], int(parts["number"])


def _triplet_difference(answer: TripletAnswer, other: TripletAnswer) -> tuple[bool, float]:
    """Return whether the odd one differs, and by how much the distances do on average."""
    gaps = np.subtract(answer.distances, other.distances)
    return answer.odd != other.odd, float(np.abs(gaps).mean())


def _emotion_difference(answer: EmotionAnswer, other: EmotionAnswer) -> tuple[bool, float]:
    """Return whether the emotion differs, and by how much the probabilities do on average."""
    labels = answer.probabilities.keys() | other.probabilities.keys()
    pairs = [(answer.probabilities.get(k, 0.0), other.probabilities.get(k, 0.0)) for k in labels]
    return answer.label != other.label, float(np.mean([abs(a - b) for a, b in pairs]))
