"""The fields that all recipes share, and the marker of fields that name a version."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

Precision = Literal["auto", "no", "bf16", "fp16"]
CompileMode = Literal["auto", "no", "default", "reduce-overhead", "max-autotune"]
Config = TypeVar("Config")


class RecipeError(ValueError):
    """A recipe can't run as given; the message says why and what to do."""


class NamesVersion:
    """Marks the type of a recipe's field: its string names a registered version."""


VersionReference = Annotated[str, NamesVersion()]
"""A registered version: NAME, NAME@ALIAS or NAME/NUMBER. `training.engine.references` replaces it
with NAME/NUMBER when a training begins."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A complete, repeatable description of one training; the defaults are the paper's."""

    data: tuple[Path, ...] = ()
    """Folders made by `python -m training prepare`."""
    toy: bool = False
    """Learn from drawn faces, without --data: the training takes seconds."""
    epochs: int = 10
    """Passes over the training split."""
    batch_size: int = 64
    """Faces per step on each process."""
    learning_rate: float = 1e-3
    """Highest learning rate of the schedule."""
    weight_decay: float = 5e-4
    """Decoupled for AdamW, L2 for SGD."""
    averaging: float = 0.0
    """Decay of the running average of the weights at each step, such as 0.999; the average is what
    is validated and registered. 0 registers the last weights and computes no average."""
    seed: int = 0
    """Seeds weights, order, augmentation and sampling."""
    precision: Precision = "auto"
    """Arithmetic of the networks' forward pass; weights stay float32. `auto` is bf16 where the
    processor or GPU has units for it, else float32; `no` is float32."""
    device: Literal["auto", "cpu"] = "auto"
    """`auto` uses a GPU if there is one."""
    compile: CompileMode = "auto"
    """torch.compile: its mode, or `no`. `auto` compiles on a GPU (mode `default`) and not on a CPU.
    Where it doesn't work, the training says so and goes on without."""
    faces_on_gpu: Literal["auto", "no"] = "auto"
    """`auto` keeps the training faces in the GPU's memory if they take at most a quarter of what is
    free there; `no` reads them on the CPU."""
    workers: int = 0
    """Processes that read pictures ahead."""
    checkpoint_steps: int = 200
    """Steps between checkpoints; one is written after each epoch too."""
    resume_from: Path | None = None
    """Run folder or checkpoint of another training of the same network: start with its weights,
    averages and progress, but with the optimiser settings given here."""
    log_faces: bool = False
    """Put a contact sheet of training faces into MLflow although it shows persons."""

    runs: Path = Path("runs")
    """Folder for checkpoints of unfinished runs; the same command resumes from there."""


def with_fields(config: Config, values: Mapping[str, Any]) -> Config:
    """Return a dataclass with other values.

    Args:
        config: a dataclass.
        values: field -> value; fields of nested dataclasses and places in tuples are joined by
            dots: `losses.pixels`, `teachers.0`.
    """
    for name, value in values.items():
        outer, _, inner = name.partition(".")
        chosen = _with(getattr(config, outer), inner, value) if inner else value
        config = replace(config, **{outer: chosen})  # type: ignore[type-var]
    return config


def _with(field: Any, inner: str, value: Any) -> Any:
    if isinstance(field, tuple):
        changed = list(field)
        changed[int(inner)] = value
        return tuple(changed)
    return with_fields(field, {inner: value})
