import pytest
import torch
from torch import nn

from training.models.backbones.compact import CompactResNet
from training.models.backbones.deviation import BackboneConfig, DeviationPair, PairConfig
from training.models.backbones.inception_resnet_v1 import InceptionResnetV1
from training.summary import macs, parameters

# facenet-pytorch 2.5, whose published weights load by these names.
NAMES = {
    "conv2d_1a.conv.weight": (32, 3, 3, 3),
    "repeat_1.4.branch2.2.conv.weight": (32, 32, 3, 3),
    "repeat_1.0.conv2d.bias": (256,),
    "mixed_6a.branch1.2.bn.running_var": (256,),
    "repeat_2.9.branch1.1.conv.weight": (128, 128, 1, 7),
    "mixed_7a.branch2.2.conv.weight": (256, 256, 3, 3),
    "block8.conv2d.weight": (1792, 384, 1, 1),
    "last_linear.weight": (512, 1792),
    "last_bn.running_mean": (512,),
    "logits.weight": (8631, 512),
}


@pytest.fixture(scope="module")
def published() -> InceptionResnetV1:
    return InceptionResnetV1(classes=8631).eval()


def test_the_papers_backbone_has_the_published_size_and_names(published: InceptionResnetV1) -> None:
    assert parameters(published) == 27_910_327
    assert parameters(InceptionResnetV1()) == 23_482_624
    assert macs(published, torch.rand(1, 3, 224, 224)) / 1e9 == pytest.approx(3.141, abs=0.001)
    state = published.state_dict()
    assert {name: tuple(state[name].shape) for name in NAMES} == NAMES


def test_the_compact_backbone_is_small_and_invariant_to_tint_and_light() -> None:
    network = CompactResNet().eval()
    assert 2_500_000 < parameters(network) < 3_500_000
    grey = torch.rand(2, 1, 64, 64).expand(-1, 3, -1, -1)
    luminance = torch.tensor([0.299, 0.587, 0.114])
    tint = torch.tensor([1.2, 0.9, 0.8])
    tint = tint / (tint * luminance).sum()
    with torch.inference_mode():
        plain = network(grey * 0.6)
        torch.testing.assert_close(
            network(grey * 0.6 * tint.view(1, 3, 1, 1)), plain, atol=1e-4, rtol=0
        )
        brighter = network(grey * 0.6 + 0.2)
        torch.testing.assert_close(brighter, plain, atol=1e-4, rtol=0)
    torch.testing.assert_close(plain.norm(dim=1), torch.ones(2))


def test_the_identity_branch_gets_no_gradient_and_never_leaves_eval() -> None:
    face, identity = (BackboneConfig(name="compact").build() for _ in range(2))
    pair = DeviationPair(face, identity).train()
    before = {k: v.clone() for k, v in identity.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in pair.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        pair(torch.rand(4, 3, 32, 32)).difference.square().sum().backward()
        optimiser.step()
    assert not any(module.training for module in identity.modules())
    assert all(module.training for module in face.modules())
    assert all(torch.equal(v, before[k]) for k, v in identity.state_dict().items())
    assert all(p.grad is None for p in identity.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in face.parameters())


def test_the_deviation_is_the_difference_of_the_branches() -> None:
    branches: list[nn.Module] = [nn.Flatten(), nn.Sequential(nn.Flatten(), nn.Tanh())]
    faces = torch.randn(2, 3, 4, 4)
    plain = DeviationPair(*branches)(faces)
    torch.testing.assert_close(plain.difference, faces.flatten(1) - faces.flatten(1).tanh())
    torch.testing.assert_close(plain.identity, faces.flatten(1).tanh())
    with_sigmoid = DeviationPair(*branches, PairConfig(sigmoid=True))(faces).difference
    expected = 1 / (1 + torch.exp(-faces.flatten(1))) - faces.flatten(1).tanh().sigmoid()
    torch.testing.assert_close(with_sigmoid, expected)
    face_only = DeviationPair(*branches, PairConfig(subtract=False))
    torch.testing.assert_close(face_only(faces).difference, faces.flatten(1))
    torch.testing.assert_close(face_only.difference(faces), faces.flatten(1))
