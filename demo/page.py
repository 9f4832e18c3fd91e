"""The page: four tabs, the endpoints, and nothing from outside this machine."""

import os
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from gradio.route_utils import FnIndexInferError
from starlette.routing import Mount

from demo.access import Access
from demo.guards import failure_answer, unfit_answer
from demo.health import health_routes
from demo.listeners import Listeners
from demo.metrics import PageMetrics
from demo.models import PAGE_MODELS, ModelServer
from demo.photo_reader import PhotoReader
from demo.prepared_photos import PreparedPhotos
from demo.search.background_search import BackgroundSearch
from demo.server import WebServer, guarded_app
from demo.shadow import Shadow
from demo.tabs.context import PageContext
from demo.tabs.emotion import EmotionTab
from demo.tabs.endpoints import Endpoints
from demo.tabs.keyboard import add_keyboard_support
from demo.tabs.models import QUIET, ModelsTab
from demo.tabs.transfer import TransferTab
from demo.tabs.triplet import TripletTab
from demo.tabs.uploads import UploadOnlyBlocks
from demo.visitor_files import UPLOAD_BYTES, visitor_folder
from registry.catalog import DLN, EMOTION, PIX2PIXHD

REFRESH_SECONDS = 5
"""How often an open page asks for problems of the models."""
FAILURES = {
    Exception: failure_answer,
    FnIndexInferError: unfit_answer,
    RequestValidationError: unfit_answer,  # FastAPI's own answer is a list, not a sentence
}
"""What is answered to requests that Gradio's routes can't answer."""
CSS = Path(__file__).with_name("page.css")
HEADER = """
<header class="masthead"><h1>Expression Studio</h1>
<p>Which two of three people share an expression, regardless of who they are; what one face shows;
and one person's face with another's expression.</p>
</header>
"""
PRIVACY = """
<p class="privacy">Your pictures stay on this machine and are deleted after an hour.
An expression is not a feeling: the answers say what a face looks like, not what a person feels.
Generated pictures are marked as such, to the eye and in the file.</p>
"""


@dataclass(frozen=True)
class Page:
    """An open page."""

    url: str
    blocks: gr.Blocks
    web_server: WebServer

    def close(self) -> None:
        """Close the page; the pictures are deleted when the process ends."""
        self.blocks.close(verbose=False)
        self.web_server.close()


def create_demo(
    server: ModelServer,
    mlflow_url: str | None,
    listeners: Listeners | None = None,
    reader: PhotoReader | None = None,
    shadow: Shadow | None = None,
    search: BackgroundSearch | None = None,
    photos: PreparedPhotos | None = None,
    metrics: PageMetrics | None = None,
) -> gr.Blocks:
    """Return the page, not yet open.

    Args:
        server: The versions that answer.
        mlflow_url: MLflow's UI, which versions and runs link to; None for no links.
        listeners: Which visitors are listening for answers; the web server keeps it up to date.
        reader: Reads the visitors' photos; a new one by default.
        shadow: Versions that answer beside those in production; none by default.
        search: The folder that visitors may search, if any.
        photos: The data sets whose evaluations visitors may leaf through, if any.
        metrics: Counts what is answered.
    """
    visitor_folder()  # before the first component, which asks Gradio for the place of its files
    context = PageContext(
        server=server,
        mlflow_url=mlflow_url,
        reader=reader or PhotoReader(),
        shadow=shadow or Shadow(),
        search=search,
        photos=photos,
    )
    with UploadOnlyBlocks(
        listeners or Listeners(),
        metrics or PageMetrics(),
        title="Expression Studio",
        analytics_enabled=False,
    ) as demo:
        gr.HTML(HEADER, apply_default_css=False)
        triplet, emotion, transfer = _add_tabs(context)
        links = context.mlflow_html(DLN, EMOTION, PIX2PIXHD)
        gr.HTML(PRIVACY + links, apply_default_css=False)
        add_keyboard_support()
        Endpoints(context)
        _show_problems(demo, context, triplet, emotion, transfer)
    return demo


def _add_tabs(context: PageContext) -> tuple[TripletTab, EmotionTab, TransferTab]:
    with gr.Tabs() as tabs:
        with gr.Tab("Triplet", id="triplet"):
            triplet = TripletTab(context)
        with gr.Tab("Emotion", id="emotion"):
            emotion = EmotionTab(context)
        with gr.Tab("Transfer", id="transfer"):
            transfer = TransferTab(context)
        with gr.Tab("Models", id="models") as models_tab:
            models = ModelsTab(context)
    models.connect(models_tab, tabs)
    return triplet, emotion, transfer


def _show_problems(
    demo: gr.Blocks,
    context: PageContext,
    triplet: TripletTab,
    emotion: EmotionTab,
    transfer: TransferTab,
) -> None:
    """Let an open page ask again and again what is wrong with the models."""

    def problems() -> tuple[str, str, str]:
        triplet_problem, emotion_problem = map(context.problem_html, (DLN, EMOTION))
        return triplet_problem, emotion_problem, transfer.status_html()

    outputs = [triplet.problem, emotion.problem, transfer.status]
    triggers = [demo.load, gr.Timer(REFRESH_SECONDS).tick]
    gr.on(triggers, problems, outputs=outputs, **QUIET)


def launch_page(
    server: ModelServer,
    *,
    port: int,
    mlflow_url: str | None,
    access: Access | None = None,
    reader: PhotoReader | None = None,
    shadow: Shadow | None = None,
    search: BackgroundSearch | None = None,
    photos: PreparedPhotos | None = None,
    metrics: PageMetrics | None = None,
) -> Page:
    """Open the page and return at once.

    Args:
        server: The versions that answer; they begin to load.
        port: A free one.
        mlflow_url: MLflow's UI, or None.
        access: Where it listens and to whom it answers; None: to this machine only.
        reader: Reads the visitors' photos; a new one by default.
        shadow: Versions that answer beside those in production; none by default.
        search: The folder that visitors may search, if any.
        photos: The data sets whose evaluations visitors may leaf through, if any.
        metrics: Counts what is answered.

    Raises:
        OSError: It can't listen there, or pictures can't be stored.
    """
    access = access or Access()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    listeners, metrics = Listeners(), metrics or PageMetrics()
    demo = create_demo(server, mlflow_url, listeners, reader, shadow, search, photos, metrics)
    metrics.watch(server, lambda: demo.waiting)
    endpoints = {str(fn.api_name) for fn in demo.fns.values() if fn.api_visibility == "public"}
    app = guarded_app(access, visitor_folder(), listeners, endpoints, metrics)
    app.router.routes += health_routes(server)  # before Gradio, which asks for the login
    _mount(app, demo, access, port)
    web_server = WebServer(app, access.host, port)
    web_server.start()
    server.follow(*PAGE_MODELS)
    return Page(f"http://{access.reached_at}:{port}", demo, web_server)


def _mount(app: FastAPI, demo: gr.Blocks, access: Access, port: int) -> None:
    """Make Gradio answer below `app`, with nothing that reaches beyond this machine."""
    demo.state_session_capacity = 50
    gr.mount_gradio_app(
        app,
        demo,
        path="/",
        server_name=access.host,
        server_port=port,
        root_path=access.root_path or None,
        auth=access.login,
        show_error=True,
        max_file_size=UPLOAD_BYTES,
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        app_kwargs={"exception_handlers": FAILURES},
        footer_links=["api"],
        theme=theme(),
        css=CSS.read_text(encoding="utf-8"),
    )
    demo.has_launched = True  # otherwise Gradio takes paths of files that were not uploaded
    demo.app = demo.server_app = next(r.app for r in app.routes if isinstance(r, Mount))
    demo.app.startup_events_triggered = True


def theme() -> gr.themes.Base:
    """Return the page's colours and sizes; Gradio ships the font."""
    plex = gr.themes.LocalFont("IBM Plex Sans", weights=(400, 600, 700))
    return gr.themes.Base(
        primary_hue="indigo",
        secondary_hue="indigo",
        neutral_hue="slate",
        radius_size="lg",
        font=[plex, "system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
    )
