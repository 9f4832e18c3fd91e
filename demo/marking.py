"""Marks generated pictures: a visible label, and IPTC's digital source type in the file's XMP."""

import io
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

MARK = "generated"
MARK_PART = 0.028
"""Height of the mark's letters, as a share of the picture's shorter side."""
SMALLEST_MARK_PX = 10
WIDEST_MARK = 0.8
"""Share of the picture's width that the mark takes at most."""
PAPER, INK = (17, 24, 39, 190), (255, 255, 255, 255)
FAST = 1
"""PNG's compression; at Pillow's default level 12 megapixels take seconds, for 10 % less."""
JPEG_QUALITY = 90

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
XMP_CHUNK = "XML:com.adobe.xmp"
XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    f'Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"/>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


def draw_mark(pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Return the picture with the word "generated" in its lower right corner."""
    picture = Image.fromarray(pixels)
    font = _font(picture.size)
    left, top, right, bottom = font.getbbox(MARK)
    pad = 0.45 * (bottom - top)
    width, height = round(right - left + 2 * pad), round(bottom - top + 2 * pad)
    label = Image.new("RGBA", (width, height))
    pen = ImageDraw.Draw(label)
    pen.rounded_rectangle((0, 0, width - 1, height - 1), pad, fill=PAPER)
    pen.text((pad - left, pad - top), MARK, INK, font)
    picture.paste(
        label, (picture.width - width - round(pad), picture.height - height - round(pad)), label
    )
    return np.array(picture)


def encode_png(
    pixels: UInt8[np.ndarray, "h w 3"], texts: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """Return a generated picture as a PNG file: marked, its origin in XMP, and no EXIF.

    Args:
        pixels: The picture.
        texts: Text chunks of the file by their keywords, such as `Software`.
    """
    metadata, buffer = PngInfo(), io.BytesIO()
    metadata.add_itxt(XMP_CHUNK, XMP)
    for keyword, text in texts.items():
        metadata.add_text(keyword, text)
    picture = Image.fromarray(draw_mark(pixels))
    picture.save(buffer, "PNG", pnginfo=metadata, compress_level=FAST)
    return buffer.getvalue()


def encode_jpeg(pixels: UInt8[np.ndarray, "h w 3"], *, generated: bool = True) -> bytes:
    """Return a picture as a JPEG file to look at; a generated one is marked as in `encode_png`."""
    buffer = io.BytesIO()
    if generated:
        picture = Image.fromarray(draw_mark(pixels))
        picture.save(buffer, "JPEG", quality=JPEG_QUALITY, xmp=XMP.encode())
    else:
        Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _font(size: tuple[int, int]) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return letters of a height that suits the picture."""
    wanted = max(SMALLEST_MARK_PX, MARK_PART * min(size))
    font = ImageFont.load_default(wanted)
    too_wide = font.getlength(MARK) / (WIDEST_MARK * size[0])
    return ImageFont.load_default(wanted / too_wide) if too_wide > 1 else font
