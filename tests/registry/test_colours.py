"""Colours of another profile."""

import io

import numpy as np
from PIL import Image, ImageCms

from registry.colours import BAND_ROWS, in_srgb
from tests.field.test_04_colour_profiles import SRGB, icc


def test_a_photo_of_several_bands_is_converted_as_a_whole_one() -> None:
    shape = (2 * BAND_ROWS + 1, 40, 3)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    profile = icc("linear", 1.0, SRGB)
    whole = ImageCms.profileToProfile(
        picture,
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        "RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert whole is not None
    converted = in_srgb(picture, profile)
    assert np.array_equal(np.asarray(converted), np.asarray(whole))
    assert not np.array_equal(np.asarray(converted), np.asarray(picture))
