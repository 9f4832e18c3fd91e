"""Networks as they are exported: frozen copies, tried on random faces first."""

import copy
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from registry.catalog import EXPRESSION_DIMS, ModelSpec
from registry.errors import BadVersion
from registry.graphs.file_names import ENCODER, GRAPH, ONNX_ENCODER, ONNX_GRAPH
from registry.graphs.output_checks import (
    ENCODER_SHAPES,
    OutputError,
    Shapes,
    checked_outputs,
    network_shapes,
)

_typing_off = threading.RLock()


@dataclass(frozen=True, kw_only=True)
class ExportPart:
    """A network of a version that can be exported: frozen, with the names of its outputs."""

    name: str
    network: nn.Module
    outputs: Mapping[str, str]
    size_px: int
    condition: int = 0
    """Length of the change that a generator takes besides the faces; 0: it takes none."""
    file: str = GRAPH
    """Where torch.export's file lies in the folder of the version."""
    onnx_file: str = ONNX_GRAPH

    def example_inputs(self, batch: int) -> tuple[Tensor, ...]:
        """Return random inputs, the same at each call.

        Faces are batch 3 size_px size_px in [0, 1], a change the difference of two conditions
        whose first numbers are unit vectors.
        """
        generator = torch.Generator().manual_seed(batch)
        faces = torch.rand((batch, 3, self.size_px, self.size_px), generator=generator)
        if not self.condition:
            return (faces,)
        driver, source = torch.randn((2, batch, self.condition), generator=generator)
        return faces, (driver - source) / EXPRESSION_DIMS**0.5


def freeze_parts(
    spec: ModelSpec,
    network: nn.Module,
    encoder: nn.Module | None,
    size_px: int,
    labels: Sequence[str] = (),
) -> tuple[ExportPart, ...]:
    """Return the frozen networks of a version, copies on the CPU; see `checked_parts`."""
    frozen = None if encoder is None else _frozen(encoder)
    return checked_parts(spec, _frozen(network), frozen, size_px, labels)


def checked_parts(
    spec: ModelSpec,
    network: nn.Module,
    encoder: nn.Module | None,
    size_px: int,
    labels: Sequence[str] = (),
) -> tuple[ExportPart, ...]:
    """Return the networks of a version: its only one, or its generator and its encoder.

    Each is run on random faces first.

    Args:
        spec: the model.
        network: its network or generator, frozen: on the CPU, float32, without gradients.
        encoder: the same of a generator.
        size_px: side of the faces.
        labels: what the columns of `logits` mean.

    Raises:
        BadVersion: the spec wants an encoder and there is none, or the other way round; or a
            network fails, or its outputs are not those of the spec.
    """
    if (encoder is None) != (not spec.encoder):
        wanted = "needs an encoder beside its network" if spec.encoder else "has no encoder"
        raise BadVersion(f"A version of {spec.name} {wanted}: it was not registered.")
    shapes = network_shapes(size_px, labels)
    if encoder is None:
        only = ExportPart(name="network", network=network, outputs=spec.outputs, size_px=size_px)
        return (_checked(only, spec, shapes, spec.optional_outputs)[0],)
    encoding = ExportPart(
        name="encoder",
        network=encoder,
        outputs=spec.encoder,
        size_px=size_px,
        file=ENCODER,
        onnx_file=ONNX_ENCODER,
    )
    encoding, outputs = _checked(encoding, spec, ENCODER_SHAPES, spec.optional_outputs)
    condition = outputs["condition" if "condition" in outputs else "expression"].shape[1]
    generating = ExportPart(
        name="generator",
        network=network,
        outputs=spec.outputs,
        size_px=size_px,
        condition=condition,
    )
    return _checked(generating, spec, shapes)[0], encoding


def _frozen(network: nn.Module) -> nn.Module:
    """Return a copy on the CPU, in eval mode, float32, without gradients."""
    return copy.deepcopy(network).cpu().float().eval().requires_grad_(False)


@contextmanager
def plain_math() -> Iterator[None]:
    """Run networks without gradients, autocast or shape checks, so that none is traced."""
    from jaxtyping import config

    with _typing_off, torch.no_grad(), torch.autocast("cpu", enabled=False):
        before = config.jaxtyping_disable
        config.update("jaxtyping_disable", True)
        try:
            yield
        finally:
            config.update("jaxtyping_disable", before)


def _checked(
    part: ExportPart, spec: ModelSpec, shapes: Shapes, optional: Mapping[str, str] | None = None
) -> tuple[ExportPart, Mapping[str, Tensor]]:
    """Return a part with those of the optional outputs that it has, and its outputs for noise."""
    faces, *change = part.example_inputs(2)
    try:
        with plain_math():
            outputs = checked_outputs(
                lambda: part.network(faces, *change), faces, part.outputs, shapes
            )
        known = {**part.outputs, **(optional or {})}
        if unknown := sorted(set(outputs) - set(known)):
            raise OutputError(f"gives {' and '.join(unknown)}, which its spec does not name")
    except OutputError as error:
        raise BadVersion(
            f"The {part.name} of {spec.name} {error}: it was not registered."
        ) from error
    named = {name: shape for name, shape in known.items() if name in outputs}
    return replace(part, outputs=named), outputs
