"""The paper's dln and the emotion starter beside the fastest ways we know to compute their like.

    python benchmarks/networks.py [--json FILE]

The paper's dln (224 px, random weights) as a served version, batch 1, beside the best of a plain
ONNX Runtime session, eager PyTorch in channels_last, and the same in bf16 where the processor has
units for it. The emotion starter on one core beside torchvision's efficientnet_b0 at 224 px, which
is exported by the same code.
"""

PAPER, PX, ROUNDS = "dln", 224, 15
