"""The command line of `python -m demo`: what may be asked, and what is refused before any work."""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

Answers = Mapping[str, Callable[..., Any]]


def parsed(answers: Answers, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of one command, `answer` among them, which answers it.

    `photos` are its photos, each with the faces (counted from 0) it must have.
    """
    parser = argparse.ArgumentParser(
        prog="python -m demo", description="Ask the models in production about photos of faces."
    )
    parser.add_argument("--version", action="version", version=version("expression-studio"))
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_questions(commands, answers)
    _add_transfer(commands, answers)
    options = parser.parse_args(arguments)
    if options.answer is answers["transfer"]:
        _check_transfer(parser, options)
    else:
        options.photos = [(file, options.face or (0,)) for file in options.files]
    return options


def _add_questions(commands: Any, answers: Answers) -> None:
    first = commands.add_parser("compare", help="which two of three photos share an expression")
    first.add_argument("files", nargs=3, type=Path, metavar="PHOTO")

    second = commands.add_parser("emotion", help="the emotion of every face")
    second.add_argument("files", nargs="+", type=Path, metavar="PHOTO")

    third = commands.add_parser("embed", help="every face as vectors, in a table")
    third.add_argument("files", nargs="+", type=Path, metavar="PHOTO")
    third.add_argument("-o", "--output", type=_table, required=True, metavar="TABLE.parquet")
    for name, command in (("compare", first), ("emotion", second), ("embed", third)):
        command.set_defaults(answer=answers[name])
        taken = "the largest of each photo" if command is first else "all"
        command.add_argument(
            "--face",
            type=_face,
            metavar="N",
            help=f"1 is the largest, 2 the next; default: {taken}",
        )
    for command in (first, second):
        command.add_argument("--json", action="store_true", help="print JSON")


def _add_transfer(commands: Any, answers: Answers) -> None:
    told = "one person's photo with another's expression; only of people who agree to it"
    command = commands.add_parser("transfer", help=told)
    command.set_defaults(answer=answers["transfer"])
    command.add_argument("source", type=Path, metavar="SOURCE", help="whose face it stays")
    command.add_argument(
        "driver", type=Path, nargs="?", metavar="DRIVER", help="whose expression it takes on"
    )
    command.add_argument(
        "--neutral", action="store_true", help="take on no expression, instead of a DRIVER's"
    )
    command.add_argument("-o", "--output", type=_picture, required=True, metavar="PICTURE.png")
    command.add_argument(
        "--strength",
        type=_strength,
        default=1.0,
        metavar="S",
        help="-0.5 to 1.5; 0 leaves the face, 1 goes all the way (default: 1)",
    )
    for whose in ("source", "driver"):
        command.add_argument(
            f"--{whose}-face",
            type=_face,
            default=(0,),
            metavar="N",
            help="1 is the largest (the default), 2 the next",
        )
    command.add_argument("--json", action="store_true", help="print JSON")


def _check_transfer(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse what the options say only together."""
    if options.neutral == (options.driver is not None):
        parser.error("name a DRIVER, or --neutral instead of one")
    photos = [(options.source, options.source_face), (options.driver, options.driver_face)]
    options.photos = photos[:1] if options.neutral else photos
    for file, _ in options.photos:
        if all(map(os.path.exists, (file, options.output))) and file.samefile(options.output):
            parser.error(f"{str(options.output)!r} is a photo of the question: name another file")


def _face(text: str) -> tuple[int, ...]:
    """Return the face counted from 0, as all code counts."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no face: 1 is the largest, 2 the next")
    return (int(text) - 1,)


def _strength(text: str) -> float:
    from demo.transfer import BadStrength, check_strength

    try:
        strength = float(text)
        check_strength(strength)
    except BadStrength as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from error
    return strength


def _table(text: str) -> Path:
    return _writable(text, ".parquet")


def _picture(text: str) -> Path:
    return _writable(text, ".png")


def _writable(text: str, suffix: str) -> Path:
    """Return where to write, if it ends so and can be written."""
    path = Path(text)
    if path.suffix != suffix:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no name that ends with {suffix}: name such a file"
        )
    try:
        inside, taken = path.parent.is_dir(), path.is_dir()
    except OSError:
        inside, taken = True, True
    if not inside:
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}: make it first")
    if taken or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} can't be written: name another file")
    return path
