"""Weights of a MobileFaceNet in ONNX, whose exporter merged batch normalisations into convolutions.

Only the numbers are read; which convolution is which follows from their order.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from training.models.backbones.mobilefacenet import MobileFaceNet


def read(path: Path) -> dict[str, Tensor]:
    """Return a MobileFaceNet's weights by parameter name.

    Its batch normalisations leave all values as they are but for a shift, the convolution's bias:
    `with_statistics` gives them those of real faces, without which they can't be trained.

    Raises:
        ValueError: the file holds other convolutions.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    arrays = {each.name: torch.tensor(numpy_helper.to_array(each)) for each in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    merged = [[arrays[name] for name in node.input[1:]] for node in convolutions]
    network = MobileFaceNet()
    layers = list(_layers(network))
    if [[conv.weight.shape, norm.bias.shape] for conv, norm in layers] != [
        [each.shape for each in tensors] for tensors in merged
    ]:
        raise ValueError(f"{path} isn't a MobileFaceNet of 128 outputs.")
    with torch.no_grad():
        for (conv, norm), (weight, bias) in zip(layers, merged, strict=True):
            conv.weight.copy_(weight)
            norm.bias.copy_(bias)
            norm.get_buffer("running_var").fill_(1 - norm.eps)
    return network.state_dict()


def with_statistics(
    state: dict[str, Tensor], faces: Float[Tensor, "batch 3 h w"]
) -> dict[str, Tensor]:
    """Return the weights of the same function with the batch statistics of real faces.

    A normalisation that only shifts becomes one that subtracts the mean, divides by the standard
    deviation, and undoes both: the same in eval mode, and nearly the same in train mode.

    Args:
        state: weights as `read` returns them.
        faces: some hundred faces, as MobileFaceNet takes them.
    """
    network = MobileFaceNet().eval()
    network.load_state_dict(state)
    handles = [norm.register_forward_pre_hook(_take_statistics) for _, norm in _layers(network)]
    with torch.no_grad():
        network(faces)
    _remove(handles)
    return network.state_dict()


def _take_statistics(norm: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
    var, mean = torch.var_mean(inputs[0], (0, 2, 3))
    norm.bias.add_(mean)
    norm.weight.copy_((var + norm.eps).sqrt())
    norm.get_buffer("running_mean").copy_(mean)
    norm.get_buffer("running_var").copy_(var)


def _remove(handles: list[RemovableHandle]) -> None:
    for handle in handles:
        handle.remove()


def _layers(network: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Return each convolution with its normalisation, in the order in which they are applied."""
    convs = (each for each in network.modules() if isinstance(each, nn.Conv2d))
    norms = (each for each in network.modules() if isinstance(each, nn.BatchNorm2d))
    return zip(convs, norms, strict=True)
