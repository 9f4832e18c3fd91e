"""What all tabs share: the models, the reader of photos, and HTML of answers and notices."""

import re
from dataclasses import dataclass, field, replace
from html import escape

from demo.answers import Provenance
from demo.models import ModelServer
from demo.photo_reader import PhotoReader
from demo.prepared_photos import PreparedPhotos
from demo.search.background_search import BackgroundSearch
from demo.shadow import NOTICE, Shadow
from registry.catalog import ModelSpec
from registry.crops import CropSpec
from registry.errors import RegistryError

SHOWN_CROP_PX = 160
ASK_AGAIN_SECONDS = 3
"""How often the page asks again for an answer that no version could give."""


@dataclass(frozen=True, kw_only=True)
class PageContext:
    """What all tabs use.

    `server` has the models in production, `shadow` those that answer beside them for comparison;
    `mlflow_url` is where MLflow's UI runs, if it does; `reader` reads all photos; `search` is the
    folder that visitors may search, if there is one.
    """

    server: ModelServer
    mlflow_url: str | None
    reader: PhotoReader = field(default_factory=PhotoReader)
    search: BackgroundSearch | None = None
    shadow: Shadow = field(default_factory=Shadow)
    photos: PreparedPhotos | None = None
    """The data sets whose faces visitors may see beside the outcomes of evaluations, if any."""

    def shown_crop(self, spec: ModelSpec) -> CropSpec:
        """Return how the version that answers crops a face, at a size for the screen."""
        try:
            crop = self.server.model(spec.name).version.crop
        except RegistryError:
            crop = spec.crop
        return replace(crop, size_px=SHOWN_CROP_PX)

    def answer_html(self, spec: ModelSpec, heading: str, body: str, provenance: Provenance) -> str:
        """Return an answer with its provenance; `body` is HTML already."""
        return answer_box(
            heading, f"{body}{self.provenance_html(provenance)}{self.problem_html(spec)}"
        )

    def problem_html(self, spec: ModelSpec) -> str:
        """Return why the version in production does not answer, or that it isn't validated."""
        candidate = self.shadow.candidate(spec.name)
        sentences = (
            self.server.problem(spec.name),
            self.server.unvalidated(spec.name),
            candidate and candidate.problem,
        )
        return "".join(notice(sentence) for sentence in sentences if sentence)

    def shadow_notice(self, spec: ModelSpec) -> str:
        """Return that another version answers beside the one in production; nothing if none."""
        candidate = self.shadow.candidate(spec.name)
        return f'<p class="privacy">{NOTICE.format(candidate.title)}</p>' if candidate else ""

    def mlflow_html(self, *specs: ModelSpec) -> str:
        """Return links to these models in MLflow's UI; nothing where it doesn't run."""
        if not self.mlflow_url:
            return ""
        links = [_link(f"{self.mlflow_url}/#/models/{spec.name}", spec.name) for spec in specs]
        return f'<p class="privacy">Versions and trainings in MLflow: {" · ".join(links)}</p>'

    def provenance_html(self, provenance: Provenance) -> str:
        """Return which version answered, where, by which engine, and in what time."""
        version = self.version_html(provenance.model, provenance.version)
        run = self.run_html(provenance.run_id)
        if not provenance.validated:
            version += " <b>(not validated)</b>"
        place = (escape(provenance.device), escape(provenance.engine))
        parts = (version, run, *place, escape(provenance.duration))
        return f'<p class="provenance">Answered by {" · ".join(parts)}</p>'

    def version_html(self, name: str, number: int) -> str:
        """Return "dln, version 3", a link to it where MLflow's UI runs."""
        text = f"{escape(name)}, version {number}"
        url = f"{self.mlflow_url}/#/models/{name}/versions/{number}"
        return _link(url, text) if self.mlflow_url else text

    def run_html(self, run_id: str) -> str:
        """Return "run" and the beginning of its id, a link to it where MLflow's UI runs."""
        text = f"run {escape(run_id[:8])}"
        return _link(f"{self.mlflow_url}/#/runs/{run_id}", text) if self.mlflow_url else text


def answer_box(heading: str, body: str) -> str:
    """Return a heading and what is below it as HTML; `body` is HTML already."""
    return f'<div class="answer" role="status"><h2>{escape(heading)}</h2>{body}</div>'


def notice(sentence: str) -> str:
    """Return as HTML what went wrong and what to do."""
    return f'<p class="notice" role="alert">{code_marked(sentence)}</p>'


def unanswered(error: RegistryError) -> str:
    """Return as HTML why no version answers; the page goes on asking."""
    return notice(f"{error} Then the answer comes here by itself.")


def code_marked(sentence: str) -> str:
    """Return a sentence as HTML, what is between backticks as code."""
    return re.sub("`(.+?)`", r"<code>\1</code>", escape(sentence))


def placeholder(sentence: str) -> str:
    """Return as HTML what to do to get an answer."""
    return f'<p class="empty">{escape(sentence)}</p>'


def _link(url: str, text: str) -> str:
    return f'<a href="{escape(url)}" target="_blank" rel="noopener">{text}</a>'
