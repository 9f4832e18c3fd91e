"""torch.compile for the networks of a training."""

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn

from training.engine.recipe import CompileMode

Mode = Literal["default", "reduce-overhead", "max-autotune"]


def mode_of(asked: CompileMode, device: str) -> Mode | None:
    """Return torch.compile's mode for a type of device; None for no compilation."""
    if asked == "auto":
        return "default" if device == "cuda" else None
    return None if asked == "no" else asked


class Compilation:
    """Networks that torch.compile translates at their first call, and what happens if it fails.

    Args:
        networks: they keep their classes and the names of their weights.
        mode: torch.compile's; None leaves the networks as they are.
    """

    def __init__(self, networks: Iterable[nn.Module], mode: Mode | None) -> None:
        self.mode = mode
        self.active = mode is not None
        if mode is not None:
            torch.compiler.set_stance("default")
            for network in networks:
                network.compile(mode=mode)

    def without(self, network: nn.Module) -> nn.Module:
        """Return a network that nothing compiles any more: a copy, if it was compiled."""
        return copy.deepcopy(network) if self.mode else network

    def begin_step(self) -> None:
        """Let CUDA graphs reuse the memory of the step before."""
        if self.active:
            torch.compiler.cudagraph_mark_step_begin()

    def give_up(self) -> None:
        """Run the networks without compilation from now on."""
        self.active = False
        torch.compiler.set_stance("force_eager")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Run the networks without compilation in a block, for batches of other sizes."""
        if not self.active:
            yield
            return
        with torch.compiler.set_stance("force_eager"):
            yield
