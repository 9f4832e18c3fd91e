"""The page: three tabs, the endpoints, and nothing from outside this machine."""

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import gradio as gr

from demo.models import ModelServer
from demo.tabs.context import PageContext
from demo.tabs.emotion import EmotionTab
from demo.tabs.endpoints import Endpoints
from demo.tabs.keyboard import add_keyboard_support
from demo.tabs.transfer import TransferTab
from demo.tabs.triplet import TripletTab
from demo.tabs.uploads import LIFETIME_SECONDS, UploadOnlyBlocks
from registry.catalog import DLN, EMOTION, PIX2PIXHD

HOST = "127.0.0.1"
SWEEP_SECONDS = 300
"""How often Gradio deletes what is older than LIFETIME_SECONDS."""
REFRESH_SECONDS = 5
"""How often an open page asks for problems of the models."""
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

    def close(self) -> None:
        """Close the page; its pictures are deleted."""
        self.blocks.close(verbose=False)


def create_demo(server: ModelServer, mlflow_url: str | None) -> gr.Blocks:
    """Return the page, not yet open.

    Args:
        server: The versions that answer.
        mlflow_url: MLflow's UI, which versions and runs link to; None for no links.
    """
    context = PageContext(server=server, mlflow_url=mlflow_url)
    with UploadOnlyBlocks(
        title="Expression Studio",
        analytics_enabled=False,
        delete_cache=(SWEEP_SECONDS, LIFETIME_SECONDS),
    ) as demo:
        gr.HTML(HEADER, apply_default_css=False)
        with gr.Tabs():
            with gr.Tab("Triplet", id="triplet"):
                triplet = TripletTab(context)
            with gr.Tab("Emotion", id="emotion"):
                emotion = EmotionTab(context)
            with gr.Tab("Transfer", id="transfer"):
                transfer = TransferTab(context)
        gr.HTML(PRIVACY, apply_default_css=False)
        add_keyboard_support()
        Endpoints(context)

        def problems() -> tuple[str, str, str]:
            triplet_problem, emotion_problem = map(context.problem_html, (DLN, EMOTION))
            return triplet_problem, emotion_problem, transfer.status_html()

        outputs = [triplet.problem, emotion.problem, transfer.status]
        triggers = [demo.load, gr.Timer(REFRESH_SECONDS).tick]
        quietly = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        gr.on(triggers, problems, outputs=outputs, **quietly)
    return demo


def launch_page(server: ModelServer, *, port: int, mlflow_url: str | None) -> Page:
    """Open the page on this machine and return at once.

    Args:
        server: The versions that answer; they begin to load.
        port: A free one.
        mlflow_url: MLflow's UI, or None.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    # Gradio names uploads by what they hold: in one folder, a page that closes takes another's.
    os.environ.setdefault("GRADIO_TEMP_DIR", mkdtemp(prefix="expression-studio-"))
    demo = create_demo(server, mlflow_url)
    _, url, _ = demo.launch(
        server_name=HOST,
        server_port=port,
        prevent_thread_lock=True,
        share=False,
        quiet=True,
        inbrowser=False,
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        footer_links=["api"],
        state_session_capacity=50,
        theme=theme(),
        css=CSS.read_text(encoding="utf-8"),
    )
    server.follow(DLN.name, EMOTION.name, PIX2PIXHD.name)
    return Page(url.rstrip("/"), demo)


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
