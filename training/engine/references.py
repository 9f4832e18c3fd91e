"""The registered versions that a recipe names, resolved from aliases to numbers."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

from registry import versions
from training.engine.recipe import NamesVersion


def references(config: Any) -> dict[str, str]:
    """Return the references to versions in a dataclass and in those nested in it.

    Returns:
        Field -> reference; fields of nested dataclasses and places in tuples are joined by dots:
        `targets.teacher`, `teachers.0`. Fields that are None are left out.
    """
    return dict(_references(config))


def _references(config: Any) -> Iterator[tuple[str, str]]:
    hints = get_type_hints(type(config), include_extras=True)
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            for name, reference in _references(value):
                yield f"{field.name}.{name}", reference
        elif _is_marked(hints[field.name]):
            if isinstance(value, str):
                yield field.name, value
            elif isinstance(value, tuple):
                yield from ((f"{field.name}.{place}", each) for place, each in enumerate(value))


def _is_marked(hint: Any) -> bool:
    """Return whether a type is VersionReference, a union with it or a tuple of them."""
    marks = getattr(hint, "__metadata__", ())
    return any(isinstance(mark, NamesVersion) for mark in marks) or any(
        _is_marked(part) for part in get_args(hint)
    )


def numbered(reference: str) -> str:
    """Return the version that a reference currently stands for, as NAME/NUMBER.

    Raises:
        RegistryError: there is no such version, or the registry does not answer.
    """
    version = versions.resolve(reference)
    return f"{version.name}/{version.number}"
