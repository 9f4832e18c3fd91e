"""What all tabs share: who answers, who finds faces, and how answers are signed."""

import re
from dataclasses import dataclass, field, replace
from html import escape

from demo.models import ModelServer
from demo.predictors import Provenance
from registry.catalog import ModelSpec
from registry.crops import CropSpec
from registry.errors import RegistryError
from registry.faces import FaceCropper

SHOWN_CROP_PX = 160


@dataclass(frozen=True, kw_only=True)
class PageContext:
    """The models in production, one cropper for all, and where MLflow's UI is, if it is open."""

    served: ModelServer
    mlflow_url: str | None
    cropper: FaceCropper = field(default_factory=FaceCropper)

    def framing(self, card: ModelSpec) -> CropSpec:
        """Return how the version that answers frames a face, at a size to look at."""
        try:
            spec = self.served.model(card.name).version.crop
        except RegistryError:
            spec = card.crop
        return replace(spec, size_px=SHOWN_CROP_PX)

    def answer(self, card: ModelSpec, verdict: str, parts: str, stamp: Provenance) -> str:
        """Return an answer as HTML, signed; `parts` is HTML already."""
        return told(verdict, f"{parts}{self.signed(stamp)}{self.problem(card)}")

    def problem(self, card: ModelSpec) -> str:
        """Return as HTML why the version in production doesn't answer, or nothing."""
        problem = self.served.problem(card.name)
        return notice(problem) if problem else ""

    def signed(self, stamp: Provenance) -> str:
        """Return as HTML who answered, where and in what time."""
        version = f"{escape(stamp.model)}, version {stamp.version}"
        run = f"run {escape(stamp.run_id[:8])}"
        if self.mlflow_url:
            place = f"{self.mlflow_url}/#"
            version = _link(f"{place}/models/{stamp.model}/versions/{stamp.version}", version)
            run = _link(f"{place}/runs/{stamp.run_id}", run)
        parts = (version, run, escape(stamp.device), f"{stamp.seconds:.2f} s")
        return f'<p class="stamp">Answered by {" · ".join(parts)}</p>'


def told(verdict: str, parts: str) -> str:
    """Return as HTML what is told at the place of an answer; `parts` is HTML already."""
    return f'<div class="answer" role="status"><h2>{escape(verdict)}</h2>{parts}</div>'


def notice(sentence: str) -> str:
    """Return as HTML what went wrong and what to do."""
    return f'<p class="notice" role="alert">{prose(sentence)}</p>'


def prose(sentence: str) -> str:
    """Return a sentence as HTML, `commands` set apart."""
    return re.sub("`(.+?)`", r"<code>\1</code>", escape(sentence))


def empty(sentence: str) -> str:
    """Return as HTML what to do where no answer is yet."""
    return f'<p class="empty">{escape(sentence)}</p>'


def _link(address: str, text: str) -> str:
    return f'<a href="{escape(address)}" target="_blank" rel="noopener">{text}</a>'
