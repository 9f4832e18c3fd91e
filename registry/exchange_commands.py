"""The commands of `python -m registry` about a version as a folder: export, import."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from registry.console import print_json
from registry.store_commands import Json


def export(
    reference: Annotated[str, Positional, tyro.conf.arg(metavar="NAME[@alias|/version]")],
    output: Annotated[Path, Positional, tyro.conf.arg(metavar="OUT")],
    as_json: Json = False,
) -> None:
    """Write a version into a folder that ONNX Runtime, PyTorch and MLflow can use without us.

    Its README.md says how. `import` brings the folder into another registry.

    For example: python -m registry export dln@production dln-export

    Args:
        reference: the version: dln is the one in production, dln/3 the third.
        output: the new folder.
        as_json: print JSON.
    """
    from registry import versions
    from registry.exchange import exporting

    exporting.require_new(output)
    version = versions.resolve(reference)
    written = exporting.export(version, output)
    if as_json:
        known = {"model": version.name, "version": version.number, "folder": str(output)}
        print_json(known | asdict(written))
        return
    size = f"{written.files} files, {written.size_bytes:,} bytes"
    print(f"{output} holds {version.name} version {version.number}: {size}. Read its README.md.")


def import_version(
    folder: Annotated[Path, Positional, tyro.conf.arg(metavar="FOLDER")],
    name: str | None = None,
    as_json: Json = False,
) -> None:
    """Register a version that `export` wrote, here or elsewhere, with card and measurements.

    It is not promoted, and what it passed elsewhere does not count here.

    For example: python -m registry import dln-export

    Args:
        folder: the exported folder.
        name: the model to register it as, by default the one that it was.
        as_json: print JSON.
    """
    from registry import listing
    from registry.candidates import promote_command
    from registry.exchange import importing

    version = importing.import_version(folder, name)
    if as_json:
        print_json(listing.version_values(version))
        return
    print(f"Registered {version.name} version {version.number}.")
    print(f"Serve it: {promote_command(version)}")
