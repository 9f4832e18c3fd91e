"""A task's networks as the loop trains them, and the running averages of their weights."""

import torch
from accelerate import Accelerator
from torch import nn

from training.engine.optimisers import RunningAverage
from training.engine.task import Networks


class TrainingNetworks:
    """Networks on their devices, wrapped by Accelerate if they have weights to learn.

    Args:
        networks: the task's, by name.
        accelerator: places and wraps them.
        decay: decay of the running averages, 0 to 1; with 0 none are computed.
    """

    def __init__(self, networks: Networks, accelerator: Accelerator, decay: float) -> None:
        self.accelerator = accelerator
        self.averages: dict[str, RunningAverage] = {}
        if decay:
            self.averages = {
                name: RunningAverage(network, decay, accelerator.device)
                for name, network in networks.items()
            }
        self.prepared: list[nn.Module] = []
        """The networks that Accelerate checkpoints, in its order."""
        self.wrapped = {name: self._wrap(network) for name, network in networks.items()}

    def _wrap(self, network: nn.Module) -> nn.Module:
        if not any(p.requires_grad for p in network.parameters()):
            return network.to(self.accelerator.device)
        prepared: nn.Module = self.accelerator.prepare(
            network.to(memory_format=torch.channels_last)
        )
        self.prepared.append(prepared)
        return prepared

    def set_mode(self, *, train: bool) -> None:
        """Put all networks into train mode, or into eval mode."""
        for network in self.wrapped.values():
            network.train(train)

    def update_averages(self) -> None:
        """Update the running averages with the current weights."""
        if self.averages:
            for name, network in self.unwrapped().items():
                self.averages[name].update_parameters(network)

    def averaged(self) -> dict[str, nn.Module]:
        """Return the averaged networks in eval mode; empty if no averages are computed."""
        return {name: average.module.eval() for name, average in self.averages.items()}

    def unwrapped(self, *, keep_fp32_wrapper: bool = True) -> dict[str, nn.Module]:
        """Return the networks without the wrappers of several processes.

        Removing the wrapper of mixed precision can't be undone: don't do it during training.
        """
        return {
            name: self.accelerator.unwrap_model(network, keep_fp32_wrapper=keep_fp32_wrapper)
            for name, network in self.wrapped.items()
        }

    def for_validation(self) -> dict[str, nn.Module]:
        """Return the averaged networks, or the current ones if no averages are computed."""
        return self.averaged() or self.unwrapped()

    def for_export(self) -> dict[str, nn.Module]:
        """Return the same in float32 and without any wrapper; they can't be trained after that."""
        return self.averaged() or self.unwrapped(keep_fp32_wrapper=False)
