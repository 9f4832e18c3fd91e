"""The option --range of a sweep: NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=VALUE,VALUE,..."""

import math
from collections.abc import Collection, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

from training.engine.recipe import Recipe, RecipeError
from training.sweep.spaces import Choice, Range, Space, default_space, value_of

FORM = "write --range NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=VALUE,VALUE"
NOT_VARIED = (
    *("data", "toy", "seed", "runs", "device", "workers", "checkpoint_steps", "resume_from"),
    *("log_faces", "compile", "faces_on_gpu"),
)
"""Fields that don't change what is learned, or that the sweep sets itself."""


def space_of(recipe: Recipe, options: Sequence[str], given: Collection[str] = ()) -> Space:
    """Return what a sweep varies: the family's default ranges, and what --range says.

    Args:
        recipe: the recipe.
        options: the values of --range, such as `learning_rate=1e-4:1e-2:log`.
        given: fields that were given a value on the command line; they are not varied.

    Raises:
        RecipeError: an option is no range, names no field of the recipe, or one in `given`; or
            nothing is left to be varied.
    """
    found = {name: each for name, each in default_space(recipe).items() if name not in given}
    for option in options:
        name, _, text = option.partition("=")
        name = name.strip().replace("-", "_")
        if name in given:
            raise RecipeError(
                f"{name} has a value and a range: leave out --{name.replace('_', '-')}, or its "
                "--range."
            )
        found[name] = _parse(recipe, name, text.strip(), option)
    if not found:
        raise RecipeError(f"Nothing is left to be varied: {FORM}.")
    return found


def _parse(recipe: Recipe, name: str, text: str, option: str) -> Range | Choice:
    """Return the range or choice that a text names for one field."""
    try:
        default = value_of(recipe, name)
    except AttributeError:
        raise RecipeError(
            f"--range {option}: the recipe has no field {name}; by default these are varied: "
            f"{', '.join(default_space(recipe))}."
        ) from None
    if name in NOT_VARIED:
        raise RecipeError(f"--range {option}: a sweep can't vary {name}.")
    if ":" in text and isinstance(default, int | float) and not isinstance(default, bool):
        return _range(type(default), text, option)
    if text and ":" not in text:
        return Choice(tuple(_value(recipe, name, part.strip(), option) for part in text.split(",")))
    raise RecipeError(f"--range {option} can't be read for {name}: {FORM}.")


def _range(kind: type[int] | type[float], text: str, option: str) -> Range:
    low, high, *rest = text.split(":")
    try:
        ends = kind(low), kind(high)
    except ValueError:
        whole = " whole" if kind is int else ""
        raise RecipeError(
            f"--range {option}: {low!r} and {high!r} are no{whole} numbers: {FORM}."
        ) from None
    if rest not in ([], ["log"]):
        raise RecipeError(f"--range {option}: only `log` can follow the two ends: {FORM}.")
    if not all(map(math.isfinite, ends)) or not ends[0] < ends[1]:
        raise RecipeError(f"--range {option}: the first end has to be below the second.")
    if rest and ends[0] <= 0:
        raise RecipeError(f"--range {option}: with log the first end has to be above 0.")
    return Range(*ends, log=bool(rest))


def _value(recipe: Recipe, name: str, text: str, option: str) -> Any:
    """Return one value of a choice, of the type of the field."""
    allowed = _literals(recipe, name)
    if allowed:
        found = next((each for each in allowed if str(each) == text), None)
        if found is None:
            known = ", ".join(map(str, allowed))
            raise RecipeError(f"--range {option}: {name} can't be {text!r}; it is one of {known}.")
        return found
    default = value_of(recipe, name)
    if isinstance(default, bool) and text in ("True", "False"):
        return text == "True"
    if isinstance(default, int | float) and not isinstance(default, bool):
        try:
            return type(default)(text)
        except ValueError:
            pass
    raise RecipeError(f"--range {option}: {text!r} is no value for {name}: {FORM}.")


def _literals(recipe: Recipe, name: str) -> tuple[Any, ...]:
    """Return the values that a field's type lists; none where it is no Literal."""
    outer, _, inner = name.rpartition(".")
    holder = type(value_of(recipe, outer)) if outer else type(recipe)
    hint = get_type_hints(holder)[inner]
    return get_args(hint) if get_origin(hint) is Literal else ()
