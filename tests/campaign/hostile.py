"""Input that is wrong or hostile, made for tests."""

import io
import struct
import zlib

import numpy as np
from hypothesis import settings
from PIL import Image

GENERATED = settings(
    max_examples=100, derandomize=True, database=None, deadline=None
)  # the same each time
QUICKLY = 2  # seconds within which it has to be refused


def png(width, height, rows=b""):
    """A PNG that says it has so many pixels, and holds ``rows``."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def picture(form="PNG", mode="RGB", size=(150, 150)):
    """A picture in a format of Pillow and one of its modes, as bytes."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    values = np.random.default_rng(0).integers(0, 256, (*size[::-1], channels), np.uint8)
    made = Image.fromarray(values if channels > 1 else values[..., 0], "L" if channels == 1 else mode)
    content = io.BytesIO()
    (made if made.mode == mode else made.convert(mode)).save(content, form)
    return content.getvalue()


def sixteen_bits(form="PNG"):
    content = io.BytesIO()
    Image.fromarray(np.arange(150 * 150, dtype=np.uint16).reshape(150, 150)).save(content, form)
    return content.getvalue()


def postscript(canary):
    """A picture that is a program, which asks for a shell."""
    return (
        f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 150 150\n(%pipe%touch {canary}) (w) file closefile\nshowpage\n"
    ).encode()


def envelope(canary):
    """A file of IPTC, in which the picture that is a program lies as one of any format."""

    def field(record, number, content):
        return struct.pack(">BBBBxI", 0x1C, record, number, 128 + 4, len(content)) + content

    about = {60: b"\1\0", 20: b"\0\x96", 30: b"\0\x96", 120: b"\5"}  # one layer, 150 by 150, packed
    return b"".join(field(3, *one) for one in about.items()) + field(8, 10, postscript(canary))


def vector_graphics(canary):
    return f'<svg xmlns="http://www.w3.org/2000/svg" onload="touch {canary}" width="150" height="150"/>'.encode()


def damaged(content, seed):
    """Bytes of which some were changed, cut off or doubled, by a seed."""
    random = np.random.default_rng(seed)
    found = bytearray(content)
    kind = seed % 3
    if kind == 0:
        return bytes(found[: random.integers(1, len(found))])
    if kind == 1:
        for place in random.integers(0, len(found), max(8, len(found) // 20)):
            found[place] ^= int(random.integers(1, 256))
        return bytes(found)
    place = int(random.integers(0, len(found)))
    return bytes(found[:place] + found[place // 2 :])
