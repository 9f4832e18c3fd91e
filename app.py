"""Expression Studio: the page, and MLflow's UI beside it; see `python app.py --help`."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import tyro
from tyro.conf import FlagCreatePairsOff, Positional, UseAppendAction, arg

from demo.access import (
    Access,
    BadSetting,
    chosen_access,
    chosen_metrics,
    chosen_port,
    free_port,
    notes,
    require_photos,
    require_port,
)
from demo.mlflow_ui import MlflowUI
from registry import console, devices, doctor, logs, proxies, seeding
from registry.errors import BadVersion, app_command, first_line

if TYPE_CHECKING:
    from demo.metrics import PageMetrics
    from demo.models import ModelServer
    from demo.page import Page
    from demo.visitor_files import VisitorFolder

logger = logging.getLogger("app")

DESCRIPTION = """Open the page, with MLflow's UI beside it, on this machine.

For example:
    {0}
    {0} --port 8000 --no-mlflow
    {0} seed"""
"""`{0}` stands for the command that starts the app."""
CLOSE_WITHIN_SECONDS = 3.0
"""How long the page and MLflow's UI may take to close before the process ends anyway."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Open the page, with MLflow's UI beside it, on this machine."""

    command: Positional[Literal["serve", "seed"]] = "serve"
    """serve: open the page. seed: only register the versions we ship."""
    port: Annotated[int | None, arg(metavar="N")] = None
    """Port of the page, 7860 if neither this nor GRADIO_SERVER_PORT says; the next free one where
    it is busy."""
    host: Annotated[str | None, arg(metavar="ADDRESS")] = None
    """Address of this machine that the page listens at, 127.0.0.1 if neither this nor
    GRADIO_SERVER_NAME says; 0.0.0.0 is all of them."""
    allowed_hosts: Annotated[tuple[str, ...], arg(metavar="NAME ...")] = ()
    """Names that the page answers to besides localhost and its addresses."""
    auth: Annotated[str | None, arg(metavar="USER:PASSWORD")] = None
    """Ask visitors for this name and password. Others on this machine can read them in the list of
    processes, but not in the variable EXPRESSION_STUDIO_AUTH, which does the same."""
    search: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Let visitors search this folder, or zip, of photos by expression, or the photos of a table of
    faces that `python -m demo embed` wrote: whoever can use the page sees the faces in it."""
    evaluated: Annotated[tuple[Path, ...], arg(metavar="FOLDER ...")] = ()
    """Let visitors leaf through the triplets of evaluations on these prepared data sets: whoever
    can use the page sees their faces."""
    metrics_port: Annotated[int | None, arg(metavar="N")] = None
    """Give Prometheus answers, errors, times and versions at this port; at none if neither this nor
    EXPRESSION_STUDIO_METRICS_PORT says."""
    metrics_host: Annotated[str | None, arg(metavar="ADDRESS")] = None
    """Address of this machine for Prometheus, which is asked for no password; 127.0.0.1 if neither
    this nor EXPRESSION_STUDIO_METRICS_HOST says."""
    mlflow_port: Annotated[int, arg(metavar="N")] = 5000
    """Port of MLflow's UI; the next free one where it is busy."""
    no_mlflow: bool = False
    """Don't start MLflow's UI."""
    no_seed: bool = False
    """Don't register the shipped versions that the registry lacks."""
    only_validated: bool = False
    """Refuse a version that did not pass the gates of promotion, also one that was put into
    production in MLflow's UI; the version before goes on answering."""
    shadow: Annotated[tuple[str, ...], arg(metavar="MODEL/NUMBER"), UseAppendAction] = ()
    """Let this version, such as emotion/3, answer what visitors ask, beside the one in production;
    the Models tab shows how often the two differ. May be given once for dln and for emotion."""
    no_cache: bool = False
    """Compute each answer, also where the same version has answered about the same face before."""
    version: bool = False
    """Print the version and end."""


@console.program
def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C, or seed; return the exit status."""
    options = tyro.cli(
        Options,
        args=arguments,
        prog=app_command(),
        description=DESCRIPTION.format(app_command()),
        config=(FlagCreatePairsOff,),
    )
    if options.version:
        print(version("expression-studio"))
        return 0
    try:
        access = chosen_access(options.host, options.allowed_hosts, options.auth)
        port = chosen_port(options.port)
        require_port(options.mlflow_port)
        metrics = chosen_metrics(options.metrics_port, options.metrics_host)
        require_photos(options.search)
    except BadSetting as error:
        _print_error(str(error))
        return 2
    log = logs.log_to_file("app")
    proxies.bypass_for_loopback()
    console.save_cpu(devices.threads())
    if options.command == "seed":
        return 0 if seed() else 3
    if logs.can_write(log):
        print(f"Warnings and failures are logged in {log}")
    for sentence in notes(options.host, options.port, access):
        _print_error(sentence)
    return serve(options, access, port, metrics)


def serve(
    options: Options, access: Access, wanted: int, metrics_at: tuple[str, int] | None = None
) -> int:
    """Open the page, then seed, then start MLflow's UI; end all of it at a signal."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _interrupt)
    closing: list[Callable[[], None]] = []
    try:
        metrics = _open_metrics(metrics_at)
        mlflow = _open(options, access, wanted, metrics, closing)
        threading.Thread(target=_seed_and_run, args=(mlflow, options.no_seed), daemon=True).start()
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return _end(closing)
    except (BadSetting, BadVersion, OSError) as error:
        logger.exception("The page does not open.")
        _print_error(f"The page does not open: {first_line(error)}.")
        return _end(closing, 1)


def _open_metrics(at: tuple[str, int] | None) -> "PageMetrics":
    """Return what counts the answers, and let Prometheus ask for it until the process ends."""
    from demo.metrics import PageMetrics

    metrics = PageMetrics()
    if at is not None:
        metrics.serve(*at)
        print("Prometheus finds the metrics at http://{}:{}/metrics".format(*at))
    return metrics


def _open(
    options: Options,
    access: Access,
    wanted: int,
    metrics: "PageMetrics",
    closing: list[Callable[[], None]],
) -> MlflowUI:
    """Open the page and print its addresses; `closing` gets what closes it, also if this fails."""
    from demo.models import PAGE_MODELS
    from demo.open_page import announce
    from demo.photo_reader import PhotoReader
    from demo.prepared_photos import PreparedPhotos
    from demo.search.page_search import page_search
    from demo.shadow import Shadow
    from demo.visitor_files import visitor_folder

    photos = PreparedPhotos(options.evaluated) if options.evaluated else None
    shadow, pictures = Shadow(options.shadow), visitor_folder()
    server = _model_server(options, metrics)
    reader = PhotoReader()
    closing += [pictures.close, server.close, shadow.close]
    server.follow(*PAGE_MODELS)  # they are loaded while Gradio is imported
    reader.prepare()
    with proxies.no_proxies():
        from demo.page import launch_page

    port = free_port(wanted, "the page", host=access.host)
    mlflow = MlflowUI(None if options.no_mlflow else options.mlflow_port, taken=port)
    search = page_search(options.search, server, reader.cropper) if options.search else None
    page = launch_page(
        server,
        port=port,
        mlflow_url=mlflow.url,
        access=access,
        reader=reader,
        shadow=shadow,
        search=search,
        photos=photos,
        metrics=metrics,
    )
    if search:
        search.start()
    in_turn = partial(_close_in_turn, page, pictures)
    ends = [server.close, shadow.close, mlflow.close, *([search.close] if search else [])]
    closing[:] = [announce(page.url), in_turn, *ends]
    print(f"The page is at {page.url}")
    if mlflow.url:
        print(f"MLflow's UI {'opens soon' if mlflow.port else 'is'} at {mlflow.url}")
    print("Ctrl-C ends everything.", flush=True)
    return mlflow


def _model_server(options: Options, metrics: "PageMetrics") -> "ModelServer":
    from demo.models import CACHE_BYTES, ModelServer

    return ModelServer(
        only_validated=options.only_validated,
        cache_bytes=0 if options.no_cache else CACHE_BYTES,
        observe=metrics.count_call,
    )


def _close_in_turn(page: "Page", pictures: "VisitorFolder") -> None:
    """Close the page, then delete its pictures, so that no upload arrives afterwards."""
    page.close()
    pictures.close()


def _interrupt(_signum: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _seed_and_run(mlflow: MlflowUI, no_seed: bool) -> None:
    """Register the starters, then run MLflow's UI; the page waits for neither."""
    if not no_seed:
        seed()
    mlflow.run()


def _end(closing: Sequence[Callable[[], None]], status: int = 0) -> NoReturn:
    """Close everything at once and exit; a library's thread must not keep the process alive."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    threads = [threading.Thread(target=close, daemon=True) for close in closing]
    for thread in threads:
        thread.start()
    until = time.monotonic() + CLOSE_WITHIN_SECONDS
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    sys.stdout.flush()
    os._exit(status)


def seed() -> bool:
    """Register the shipped versions that are missing; print them, and return whether it worked."""
    try:
        with seeding.seeding():  # the imports take seconds; meanwhile the page says so
            for sentence in _register_missing() or ["All shipped versions are registered."]:
                print(sentence, flush=True)
    except Exception as error:
        logger.exception("Seeding failed.")
        _print_error(f"The shipped versions are not registered: {first_line(error)}")
        return False
    return True


def _register_missing() -> list[str]:
    """Register the shipped versions that are missing; PyTorch is imported only if some are."""
    from training.starters import registered

    if registered.is_seeded():
        return doctor.clean_killed()
    import torch

    from training.seed import seed as register

    torch.set_flush_denormal(True)
    return register()


def _print_error(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
