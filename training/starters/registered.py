"""Which starters the registry holds already. PyTorch, whose import takes seconds, isn't needed."""

from registry import versions
from registry.catalog import CATALOG
from registry.versions import Version
from training.starters import files


def version_of(starter: files.Starter) -> Version | None:
    """Return the version of a starter that has all outputs; older code registered fewer."""
    spec = CATALOG[starter.card["model"]]
    field, required = ("encoder", spec.encoder) if spec.encoder else ("outputs", spec.outputs)
    return versions.find(
        spec.name, starter=starter.digest, **{field: {**required, **spec.optional_outputs}}
    )


def is_seeded() -> bool:
    """Return whether `training.seed` would find nothing to register and nothing to complete."""
    return all(map(_is_complete, filter(files.is_shipped, files.STARTERS)))


def _is_complete(name: str) -> bool:
    version = version_of(files.Starter.open(name))
    return version is not None and not version.without_pt2
