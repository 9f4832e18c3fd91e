"""Numbers of parameters and multiply-accumulates of a network, part by part."""

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


def summarise(task: Task) -> str:
    """Return a table of the parts of a task's network, for one face, and a line with the total."""
    torch.set_flush_denormal(True)
    table = Table("part", "parameters", "MAC", "note", title=f"one face, {task.crop.size_px} px")
    total_parameters, total_macs, notes = 0, 0, ""
    for name, (network, example, note) in task.summary_rows().items():
        count, operations = parameters(network), macs(network.eval(), example)
        table.add_row(name, f"{count:,}", f"{operations:,}", _unused(network))
        notes += f"{name}: {note}.\n" if note else ""
        total_parameters, total_macs = total_parameters + count, total_macs + operations
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
