"""What our programs do alike in a terminal: output that any console prints, tables, progress."""

import gc
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from rich.console import RenderableType

CLOSED_PIPE = 141
"""Exit status of a program whose output nobody reads any more: 128 and the number of SIGPIPE."""
LINE_SECONDS = 5.0
"""How often progress is reported where no bar can be drawn."""
OBJECTS_BETWEEN_COLLECTIONS = 100_000
Arguments = ParamSpec("Arguments")
Item = TypeVar("Item")


def program(main: Callable[Arguments, int]) -> Callable[Arguments, int]:
    """Make a function the main function of a program.

    Characters that the console can't print are escaped, and a reader that closes the pipe
    (`| head -1`) ends the program quietly with status CLOSED_PIPE.

    Args:
        main: returns the exit status, and lets BrokenPipeError through.
    """

    @wraps(main)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> int:
        _escape_unprintable()
        try:
            try:
                return main(*args, **kwargs)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            _discard_output()
            return CLOSED_PIPE

    return run


def print_table(table: "RenderableType") -> None:
    """Print what rich can draw, as wide as the terminal."""
    from rich.console import Console

    console = Console(markup=False)
    with console.capture() as captured:
        console.print(table)
    print(captured.get(), end="")  # rich itself would end the program where the pipe is closed


def print_json(value: object) -> None:
    """Print what JSON can hold on stdout."""
    print(json.dumps(value, indent=2))


def track(
    items: Iterable[Item],
    description: str,
    *,
    total: int,
    completed: int = 0,
    transient: bool = False,
    disable: bool = False,
) -> Iterator[Item]:
    """Yield items and report progress on stderr: a bar in a terminal, else a line now and then.

    Args:
        items: what is worked on.
        description: what is done, such as "crops".
        total: how many items there are, those that were done before included.
        completed: how many were done before.
        transient: remove the bar at the end.
        disable: report nothing.
    """
    if not disable and sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as draw

        yield from draw(
            items,
            description,
            total=total,
            completed=completed,
            console=Console(stderr=True),
            transient=transient,
        )
        return
    reported = time.monotonic()
    for done, item in enumerate(items, completed + 1):
        yield item
        if not disable and time.monotonic() - reported > LINE_SECONDS:
            reported = time.monotonic()
            print(f"{description}: {done:,} of {total:,}", file=sys.stderr, flush=True)


@contextmanager
def working(sentence: str) -> Iterator[None]:
    """Report on stderr what is being done, and in a terminal for how long already.

    For work whose end can't be foreseen; see `track` for items that can be counted.
    """
    print(sentence, file=sys.stderr, flush=True)
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TimeElapsedColumn

    bar = Progress(BarColumn(), TimeElapsedColumn(), console=Console(stderr=True), transient=True)
    with bar:
        bar.add_task("", total=None)
        yield


def printable(text: object) -> str:
    """Return a name with every character escaped that would act on a terminal or can't be shown."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in str(text)
    )


def save_cpu(threads: int | None = None) -> None:
    """Let torch's threads sleep while they wait for each other; torch must not be imported yet.

    On busy cores most of a short answer's CPU goes into their spinning (3 s of 6, measured).

    Args:
        threads: How many torch has at most; by default as many as there are cores.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if threads is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))


def collect_rarely() -> None:
    """Let Python look for garbage rarely: in a short command most of it is done while importing."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)


@contextmanager
def native_silence() -> Iterator[None]:
    """Hide what C++ code writes to stderr, such as MediaPipe's, which has no setting for that."""
    sys.stderr.flush()
    stderr, devnull = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(devnull, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(devnull)


def _escape_unprintable() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """Let what is still unwritten go nowhere, so that Python's own flush at the end is quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
