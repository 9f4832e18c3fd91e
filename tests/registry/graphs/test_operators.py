"""The operators of exported graphs: what ordinary networks need, and nothing with side effects."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from registry.graphs.operators import ATEN, HIGHER_ORDER, is_allowed

ACTING = (
    "from_file",
    "set",
    "resize",
    "empty",
    "record_stream",
    "rand",
    "randn",
    "normal",
    "print",
)


def test_every_operator_on_the_list_exists() -> None:
    assert [name for name in sorted(ATEN) if not hasattr(torch.ops.aten, name)] == []
    assert [name for name in HIGHER_ORDER if not hasattr(torch.ops.higher_order, name)] == []


def test_no_operator_takes_a_generator_a_storage_or_a_stream() -> None:
    for name in ATEN:
        packet = getattr(torch.ops.aten, name)
        for overload in packet.overloads():
            types = [str(each.type) for each in getattr(packet, overload)._schema.arguments]
            assert not {"Generator", "Storage", "Stream"} & set(" ".join(types).split()), name


@pytest.mark.parametrize("name", ACTING)
def test_an_operator_with_side_effects_is_not_on_the_list(name: str) -> None:
    assert not is_allowed(f"torch.ops.aten.{name}.default")
    assert not is_allowed(f"torch.ops.aten.{name}_.default")


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        ("torch.ops.aten.add.Tensor", True),
        ("torch.ops.aten.relu_.default", True),
        ("torch.ops.aten.add", True),
        ("torch.ops.aten.add.nonsense", False),
        ("torch.ops.aten.add.overloads", False),
        ("torch.ops.aten.relu__.default", False),
        ("torch.ops.aten", False),
        ("torch.ops.load_library", False),
        ("torch.sym_int", True),
        ("torch.sym_anything", False),
        ("math.ceil", True),
        ("math.factorial", False),
        ("_operator.floordiv", True),
        ("_operator.attrgetter", False),
        ("aten.add.Tensor", False),
        ("", False),
    ],
)
def test_a_name_is_allowed_as_a_whole(target: str, allowed: bool) -> None:
    assert is_allowed(target) == allowed


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.positions = nn.Embedding(16, 16)

    def forward(self, faces: Tensor) -> Tensor:
        patches = functional.unfold(faces, 8, stride=8).transpose(1, 2)[..., :16]
        tokens = patches + self.positions(torch.arange(16, device=faces.device))
        return self.layers(tokens).softmax(-1).topk(3, dim=-1).values


def mobile_block() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, groups=1, bias=False), nn.BatchNorm2d(8), nn.Hardswish(inplace=True)),
        *(nn.AdaptiveAvgPool2d(4), nn.Dropout2d(0.1), nn.PReLU(), nn.GroupNorm(2, 8)),
        *(nn.PixelShuffle(2), nn.Flatten(), nn.Linear(128, 5), nn.LogSoftmax(1)),
    )


class Warp(nn.Module):
    def forward(self, faces: Tensor) -> Tensor:
        turn = torch.eye(2, 3).expand(len(faces), -1, -1)
        grid = functional.affine_grid(turn, list(faces.shape), align_corners=False)
        warped = functional.grid_sample(faces, grid, align_corners=False)
        smaller = functional.interpolate(warped, scale_factor=0.5, mode="bicubic", antialias=True)
        return (
            functional.pad(smaller, (1, 1, 1, 1), mode="reflect").var(1, keepdim=True).clamp(0, 1)
        )


@pytest.mark.parametrize("build", [Attention, mobile_block, Warp])
def test_ordinary_networks_need_nothing_else(build: Callable[[], nn.Module]) -> None:
    network, faces = build().eval().requires_grad_(False), torch.rand(2, 3, 32, 32)
    shapes = ({0: torch.export.Dim.AUTO},)
    program = torch.export.export(network, (faces,), dynamic_shapes=shapes)
    calls = [node.target for node in program.graph.nodes if node.op == "call_function"]
    names = {f"torch.ops.{target}" for target in calls if isinstance(target, torch._ops.OpOverload)}
    assert len(names) > 5
    assert [name for name in sorted(names) if not is_allowed(name)] == []
