"""Numbers of parameters and multiply-accumulates of a network, part by part."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from training.engine.task import Task


def macs(network: nn.Module, example: torch.Tensor | tuple[torch.Tensor, ...]) -> int:
    """Return multiply-accumulates of one forward pass: convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(*(example if isinstance(example, tuple) else (example,)))
    return int(counter.get_total_flops()) // 2


def parameters(network: nn.Module) -> int:
    """Return the number of parameters, including frozen and unused ones."""
    return sum(p.numel() for p in network.parameters())


class Part(NamedTuple):
    """A part of a task's network, counted for one face."""

    name: str
    parameters: int
    macs: int
    """Multiply-accumulates: of convolutions and matrix products."""
    size_px: int
    unused: str
    """What of it isn't used."""
    note: str


def count_parts(task: Task) -> list[Part]:
    """Return the parts of a task's network, counted for one face."""
    torch.set_flush_denormal(True)
    return [
        Part(
            name=name,
            parameters=parameters(network),
            macs=macs(network.eval(), example),
            size_px=task.crop.size_px,
            unused=_unused(network),
            note=note,
        )
        for name, (network, example, note) in task.summary_rows().items()
    ]


def summarise(parts: Sequence[Part]) -> str:
    """Return a table of the parts of a network, and a line with the total."""
    table = Table("part", "parameters", "MAC", "note", title=f"one face, {parts[0].size_px} px")
    for part in parts:
        table.add_row(part.name, f"{part.parameters:,}", f"{part.macs:,}", part.unused)
    notes = "".join(f"{part.name}: {part.note}.\n" for part in parts if part.note)
    total_parameters = sum(part.parameters for part in parts)
    total_macs = sum(part.macs for part in parts)
    console = Console(width=110)
    with console.capture() as capture:
        console.print(table)
    total = f"total {total_parameters / 1e6:.2f} M parameters, {total_macs / 1e9:.2f} GMac"
    return capture.get() + notes + total


def _unused(network: nn.Module) -> str:
    """Return a note about the layer for identities, which no recipe uses."""
    logits = getattr(network, "logits", None)
    if logits is None:
        return ""
    return f"{parameters(logits):,} in logits: unused, not exported"
