"""Files and pictures that are given to us: they may be anything, and are what they should be or named."""

import errno
import io
import os
import stat
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from xai_utils.data import DataError

# Of all that Pillow opens, what people keep pictures in: no format that is a program, or holds files of any other.
FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TGA", "TIFF", "WEBP")
BITS = {
    "1",
    "L",
    "LA",
    "La",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "RGBa",
    "RGBX",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
}  # of 8 at most


def open_picture(path, size=None, content=None):
    """A picture as it is to be seen, three channels of 8 bits; of ``size`` (width, height) if given.

    ``content`` is what the file holds, where it is not to be read. Raises :class:`DataError` for a file that is no
    picture, for one whose size is another one or dangerous, which is found before it is decoded, and for one of
    more than 8 bits a channel, of which no one knows what is black and white.
    """
    source = check_file(path) if content is None else io.BytesIO(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is odd and can be read
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source, formats=FORMATS) as image:
                if size is not None and image.size != size:
                    (width, height), (wanted, high) = image.size, size
                    raise DataError(
                        f"{path} has {width}×{height} pixels, not {wanted}×{high}: replace this picture"
                    )
                if image.mode not in BITS:
                    raise DataError(
                        f"{path} has more than 8 bits a channel ({image.mode}): replace this picture"
                    )
                return ImageOps.exif_transpose(image).convert("RGB")
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path} has too many pixels to be opened: take it away") from error
    except UnidentifiedImageError as error:
        raise DataError(
            f"{path} cannot be read as any of {', '.join(FORMATS)}: replace this picture"
        ) from error
    except Exception as error:  # Pillow raises what it comes upon in a damaged file
        raise DataError(f"{path} cannot be read ({error}): replace this picture") from error


def check_file(path):
    """The path of what has to be a file that can be read, and no folder, pipe or device.

    Raises :class:`DataError` where it is not.
    """
    try:
        is_file = stat.S_ISREG(os.stat(path).st_mode)
        if is_file and not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read ({getattr(error, 'strerror', error)}): replace it"
        ) from error
    if not is_file:
        raise DataError(f"{path} is no file: replace it")
    return path
