"""Optimisers and schedules by name, and running averages of weights."""

import math
from collections.abc import Iterable
from itertools import chain
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from training.engine.device import device_of
from training.engine.recipe import Recipe
from training.engine.task import Optimisation

OptimiserName = Literal["sgd", "adamw"]
ScheduleName = Literal["constant", "cosine"]
WARMUP = 0.05


def fused(recipe: Recipe) -> bool | None:
    """Return torch's option `fused` for an optimiser: one kernel for all weights on a GPU.

    None on other devices, where torch chooses; on a CPU fused optimisers round differently.
    """
    return True if device_of(recipe) == "cuda" else None


def optimisation(
    recipe: Recipe,
    parameters: Iterable[nn.Parameter],
    steps: int,
    optimiser: OptimiserName,
    schedule: ScheduleName,
) -> Optimisation:
    """Return an optimiser over `parameters`; vectors and scalars get no weight decay.

    `sgd` has momentum 0.9. `cosine` rises over the first twentieth of the steps and falls to 0.
    """
    trained = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    built: Optimizer
    if optimiser == "sgd":
        built = SGD(groups, lr=recipe.learning_rate, momentum=0.9, fused=fused(recipe))
    else:
        built = AdamW(groups, lr=recipe.learning_rate, fused=fused(recipe))

    def cosine(step: int) -> float:
        rise = (step + 1) / max(1, WARMUP * steps)
        return min(rise, 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / max(1, steps))))

    return Optimisation(
        optimiser=built,
        schedule=LambdaLR(built, cosine if schedule == "cosine" else lambda _: 1.0),
    )


class RunningAverage(AveragedModel):
    """The running average of a network's weights and buffers; the first update copies them.

    At first the decay is less than `keep`, (1 + n) / (10 + n) at the n-th step: otherwise initial
    values, such as the variances of new normalisation layers, would remain for thousands of steps.
    Counters are copied: a rounded mean of equal counters can be one less.

    torch's own update reads its counter from the GPU at every step, which waits for it; here the
    counter stays on the CPU.

    Args:
        network: is copied to `device`.
        keep: the decay, 0 to 1.
        device: of the average; None for the network's.
    """

    def __init__(self, network: nn.Module, keep: float, device: torch.device | None = None) -> None:
        super().__init__(network, use_buffers=True)
        self.module = self.module.to(device) if device else self.module
        self.keep = keep

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Include a network's current weights, which lie on the average's device."""
        count = int(self.n_averaged)
        weight = 1 - min(self.keep, (1 + count) / (10 + count))
        pairs = list(zip(_state(self.module), _state(model), strict=True))
        floating = [pair for pair in pairs if count and pair[0].is_floating_point()]
        copied = [pair for pair in pairs if not (count and pair[0].is_floating_point())]
        if floating:
            mine, new = map(list, zip(*floating, strict=True))
            torch._foreach_lerp_(mine, new, weight)
        if copied:
            mine, new = map(list, zip(*copied, strict=True))
            torch._foreach_copy_(mine, new)
        self.n_averaged += 1


def _state(network: nn.Module) -> Iterable[Tensor]:
    return chain(network.parameters(), network.buffers())
