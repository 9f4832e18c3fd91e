"""Outputs are checked, so that the user of a version may rely on them."""

import pytest
import torch
from torch import Tensor

from registry.graphs.output_checks import (
    ENCODER_SHAPES,
    OutputError,
    checked_outputs,
    network_shapes,
)

FACES = torch.zeros(2, 3, 32, 32)
SHAPES = network_shapes(32, ("happy", "sad"))
NAN = float("nan")


def check(outputs: object, *required: str) -> object:
    return checked_outputs(lambda: outputs, FACES, required, SHAPES)  # type: ignore[arg-type,return-value]


def test_good_outputs_come_back_as_they_are() -> None:
    outputs = {
        "picture": FACES,
        "mask": FACES[:, :1],
        "logits": torch.zeros(2, 2),
        "anything": torch.zeros(2, 3, 1),
        "score": torch.zeros(2),
    }
    assert check(outputs, "picture", "mask") is outputs


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        ({"mask": FACES[:, :1]}, "gives no identity and no picture"),
        ({"picture": FACES * NAN, "identity": FACES}, "picture with numbers that aren't finite"),
        ({"picture": FACES, "identity": FACES / 0}, "identity with numbers that aren't finite"),
        ({"picture": FACES[:1], "identity": FACES}, "gives 1 rows of picture for 2 faces"),
        ({"picture": FACES, "identity": torch.tensor(1.0)}, "no rows of identity for 2 faces"),
        ({"picture": FACES[..., 1:], "identity": FACES}, "picture of 3 x 32 x 31, not 3 x 32 x 32"),
        (
            {"picture": FACES, "identity": FACES, "logits": torch.zeros(2, 7)},
            "gives logits of 7, not 2, for a face",
        ),
        (FACES, "returns Tensor instead of outputs by name"),
    ],
)
def test_an_output_that_nobody_can_rely_on_is_named(outputs: object, reason: str) -> None:
    with pytest.raises(OutputError, match=reason):
        check(outputs, "picture", "identity")


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ValueError("wrong size\nat line 3"), "wrong size"), (MemoryError(), "MemoryError")],
)
def test_a_network_that_fails_says_why_in_one_line(error: Exception, reason: str) -> None:
    def fail() -> dict[str, Tensor]:
        raise error

    with pytest.raises(OutputError) as raised:
        checked_outputs(fail, FACES, (), {})
    assert str(raised.value) == f"fails on faces of 32 px ({reason})"
    assert raised.value.__cause__ is error


def test_an_encoders_expression_has_the_length_of_every_expression() -> None:
    with pytest.raises(OutputError, match="gives expression of 17, not 16, for a face"):
        checked_outputs(
            lambda: {"expression": torch.zeros(2, 17)}, FACES, ["expression"], ENCODER_SHAPES
        )
