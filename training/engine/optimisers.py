"""Optimisers and schedules by name."""

import math
from collections.abc import Callable, Iterable
from typing import Literal

from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import get_ema_multi_avg_fn

from training.engine.recipe import Recipe
from training.engine.task import Optimisation

OptimiserName = Literal["sgd", "adamw"]
ScheduleName = Literal["constant", "cosine"]
WARMUP = 0.05
Tensors = tuple[Tensor, ...] | list[Tensor]


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
        built = SGD(groups, lr=recipe.learning_rate, momentum=0.9)
    else:
        built = AdamW(groups, lr=recipe.learning_rate)

    def cosine(step: int) -> float:
        rise = (step + 1) / max(1, WARMUP * steps)
        return min(rise, 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / max(1, steps))))

    return Optimisation(
        optimiser=built,
        schedule=LambdaLR(built, cosine if schedule == "cosine" else lambda _: 1.0),
    )


def averaging(keep: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """Return the running average of a network's weights, for `AveragedModel`.

    At first the decay is less than `keep`, (1 + n) / (10 + n) at the n-th step: otherwise initial
    values, such as the variances of new normalisation layers, would remain for thousands of steps.
    Counters are copied: a rounded mean of equal counters can be one less.
    """

    def average(averaged: Tensors, current: Tensors, steps: Tensor | int) -> None:
        if not averaged[0].is_floating_point():
            for mine, new in zip(averaged, current, strict=True):
                mine.copy_(new)
            return
        count = int(steps)
        get_ema_multi_avg_fn(min(keep, (1 + count) / (10 + count)))(averaged, current, steps)

    return average
