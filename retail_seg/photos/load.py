"""Any upload ► one upright RGB uint8 array (H, W, 3), or one clear error that names the file."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import cv2
import numpy as np
import simplejpeg

from retail_seg.errors import PhotoError

if TYPE_CHECKING:
    from PIL import Image

#: Larger pictures are refused before they are decoded (a decompression bomb never unfolds).
MAX_PIXELS = 100_000_000
#: Pictures of more pixels are averaged as soon as they are decoded, where fewer pixels are enough.
LARGE = 25_000_000
#: Pixels of a picture that are converted at once.
STRIP = 4_000_000
#: Larger files are refused before they are read.
MAX_BYTES = 256 * 1024 * 1024
#: File name endings that a folder of photos is searched for.
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif")

FORMATS = "JPEG, PNG, WebP, TIFF, BMP or HEIC"
#: FORMATS as Pillow calls them. Of its 40 other decoders none is tried: that for EPS, by whatever name a file goes,
#: would start Ghostscript.
DECODERS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "HEIF")
#: Of what a decoder says is wrong, so many characters are told.
REASON = 200

PhotoSource = str | os.PathLike[str] | bytes | BinaryIO | np.ndarray


def load_photo(
    source: PhotoSource, *, name: str | None = None, max_pixels: int = MAX_PIXELS, max_side: int | None = None
) -> np.ndarray:
    """Decode a photo to an upright RGB uint8 array of shape (H, W, 3).

    `source` is a path, the bytes of a file, a binary file object or an array (grey (H, W), RGB or RGBA (H, W, C),
    uint8 or uint16). EXIF orientation is applied, transparency is laid on white, CMYK, palette and 16-bit
    pictures are converted, the first frame of an animation is taken. `name` is what an error calls the picture.
    With `max_side` the longer side is shrunk to at most so many pixels; a JPEG is then decoded at the smallest of
    its own scales that suffices, which takes half the time.

    Raises PhotoError for what cannot be decoded or has more than `max_pixels` pixels.
    """
    if isinstance(source, np.ndarray):
        return shrink(_from_array(source, name or "array", max_pixels), max_side)
    data, name = read_photo(source, name)
    return shrink(_decode(data, name, max_pixels, max_side)[0], max_side)


def load_enough(source: PhotoSource, enough: int, *, name: str | None = None) -> tuple[np.ndarray, tuple[int, int]]:
    """A photo as `load_photo` gives it, and its own width and height.

    A JPEG whose longer side has at least twice as many pixels as would be `enough` is decoded at the smallest of its
    own scales (1/2, 1/4, 1/8) that still has so many. Nothing is shrunk afterwards.
    """
    if isinstance(source, np.ndarray):
        picture = load_photo(source, name=name)
        return picture, (picture.shape[1], picture.shape[0])
    data, name = read_photo(source, name)
    return _decode(data, name, MAX_PIXELS, enough)


def shrink(picture: np.ndarray, max_side: int | None) -> np.ndarray:
    """The picture (H, W, 3) uint8, area-averaged so that its longer side is at most `max_side` pixels."""
    longer = max(picture.shape[:2])
    if max_side is None or longer <= max_side:
        return picture
    height, width = (max(round(side * max_side / longer), 1) for side in picture.shape[:2])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def find_photos(folder: str | os.PathLike[str]) -> list[Path]:
    """The photos directly in a folder, sorted by name; raises PhotoError where there are none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise PhotoError(f"{folder}: no such folder; give the folder that holds the photos")
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise PhotoError(f"{folder}: holds no photos ({', '.join(SUFFIXES)}); give the folder that holds them")
    return found


def encode_picture(picture: np.ndarray, *, quality: int = 92) -> bytes:
    """JPEG bytes of an RGB uint8 picture (H, W, 3)."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()


def read_photo(source: str | os.PathLike[str] | bytes | BinaryIO, name: str | None) -> tuple[bytes, str]:
    """The bytes of a photo file and what errors call it; raises PhotoError where it cannot be read."""
    if isinstance(source, bytes):
        return source, name or "upload"
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        name = name or str(path)
        try:
            if path.is_dir():
                raise PhotoError(f"{name}: is a folder; give a photo")
            if path.stat().st_size > MAX_BYTES:
                raise PhotoError(f"{name}: is larger than {MAX_BYTES // 2**20} MB; save it smaller")
            return path.read_bytes(), name
        except FileNotFoundError:
            raise PhotoError(f"{name}: no such file; check the path") from None
        except OSError as error:
            raise PhotoError(f"{name}: cannot be read ({error.strerror or error}); check the file") from None
    data = source.read(MAX_BYTES + 1)
    name = name or str(getattr(source, "name", "upload"))
    if len(data) > MAX_BYTES:
        raise PhotoError(f"{name}: is larger than {MAX_BYTES // 2**20} MB; save it smaller")
    return data, name


def _decode(data: bytes, name: str, max_pixels: int, enough: int | None) -> tuple[np.ndarray, tuple[int, int]]:
    """The upright picture, a JPEG at the smallest of its scales that is large enough, and its own width and height."""
    if not data:
        raise PhotoError(f"{name}: is empty (0 bytes); take or copy the photo again")
    with opened_picture(io.BytesIO(data), name, max_pixels) as image:
        turned = _orientation(image)
        size = (image.height, image.width) if turned >= 5 else (image.width, image.height)
        if (decoded := _decode_jpeg(image, data, turned, enough)) is not None:
            return decoded, size
        if image.format == "WEBP" and (decoded := _decode_webp(image.size, data, enough)) is not None:
            return _TURNS[turned](decoded), size
        image.load()
        picture = _to_rgb(_reduced(image, enough))
        return _TURNS[turned](_averaged(picture, enough) if _is_deep(image) else picture), size


@contextmanager
def opened_picture(source: Path | BinaryIO, name: str, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """A picture of one of FORMATS, of which the header was read and the size is allowed; no pixel is decoded yet.

    The one place where Pillow opens what came from outside. Raises PhotoError, also for what is found wrong with the
    picture in the block.
    """
    from PIL import Image, UnidentifiedImageError

    _prepare_pillow()
    try:
        with Image.open(source, formats=DECODERS) as image:
            _check_size(image.width, image.height, name, max_pixels)
            yield image
    except PhotoError:
        raise
    except UnidentifiedImageError:
        raise PhotoError(f"{name}: is not a picture that can be read; save it as {FORMATS}") from None
    except Image.DecompressionBombError:
        raise PhotoError(f"{name}: has more than {max_pixels:,} pixels; save it smaller") from None
    except MemoryError:
        raise PhotoError(f"{name}: does not fit in memory; save it smaller") from None
    except Exception as error:  # noqa: BLE001 - decoders raise many types on damaged files; all mean the same to a user
        reason = " ".join(str(error).split())[:REASON] or type(error).__name__  # libheif's words end with a new line
        raise PhotoError(f"{name}: is damaged or cut off ({reason}); take or copy the photo again") from None


def load_mask(data: bytes, name: str) -> np.ndarray:
    """The mask (H, W) bool that the bytes of a picture of FORMATS hold: what is light; PhotoError."""
    with opened_picture(io.BytesIO(data), name):
        grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise PhotoError(f"{name}: is damaged; give a PNG")
    return np.asarray(grey) > 127


def _orientation(image: Any) -> int:
    """EXIF's orientation of an opened picture, 1 to 8; 1 where none is given."""
    found = image.getexif().get(0x0112, 1)
    return found if found in range(1, 9) else 1


def _decode_jpeg(image: Any, data: bytes, turned: int, enough: int | None) -> np.ndarray | None:
    """A plain JPEG by libjpeg-turbo as it is today, the same pixels in half the time of Pillow's and OpenCV's copies.

    None for what Pillow should look at. OpenCV reads what is damaged but not cut off: it makes up what a file lacks, so
    that only files that end as JPEGs do are left to it.
    """
    if image.format != "JPEG" or image.mode not in ("RGB", "L") or b"\xff\xd9" not in data[-1024:]:
        return None
    factor = 1
    while enough and factor < 8 and max(image.size) >= 2 * factor * enough:
        factor *= 2
    width, height = (-(-side // factor) for side in image.size)
    try:
        picture = simplejpeg.decode_jpeg(data, colorspace="RGB", min_height=height, min_width=width)
    except ValueError:  # a warning of the library's is one
        flags = _REDUCED[factor] | cv2.IMREAD_IGNORE_ORIENTATION
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    return None if picture is None else _TURNS[turned](picture)


def _decode_webp(size: tuple[int, int], data: bytes, enough: int | None) -> np.ndarray | None:
    """A large WebP by OpenCV, averaged, for Pillow holds four copies of it; None for what Pillow should read."""
    if _factor(size, enough) < 2:
        return None
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if picture is None or picture.shape[1::-1] != size or picture.ndim != 3:
        return None
    small = _averaged(picture, enough)
    turned = cv2.COLOR_BGRA2RGBA if small.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return _from_array(cv2.cvtColor(small, turned), "picture", MAX_PIXELS)


#: OpenCV's flags for a JPEG's own scales 1/1 to 1/8, in RGB.
_REDUCED = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_COLOR_RGB,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_COLOR_RGB,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_COLOR_RGB,
}
#: EXIF's orientation (TIFF 6.0, tag 274) ► what makes the picture upright.
_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda picture: picture,
    2: lambda picture: cv2.flip(picture, 1),
    3: lambda picture: cv2.rotate(picture, cv2.ROTATE_180),
    4: lambda picture: cv2.flip(picture, 0),
    5: cv2.transpose,
    6: lambda picture: cv2.rotate(picture, cv2.ROTATE_90_CLOCKWISE),
    7: lambda picture: cv2.rotate(cv2.flip(picture, 1), cv2.ROTATE_90_CLOCKWISE),
    8: lambda picture: cv2.rotate(picture, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


@cache
def _prepare_pillow() -> None:
    """Once a process: Pillow reads HEIC, and keeps its warnings, which threads could not switch off each for itself.

    They tell of large and of odd pictures: of the first, the limit here is stricter, the second are errors here.
    """
    import pillow_heif

    pillow_heif.register_heif_opener()
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise PhotoError(f"{name}: has no pixels ({width} × {height}); take or copy the photo again")
    if width * height > max_pixels:
        raise PhotoError(
            f"{name}: has {width} × {height} pixels, more than the {max_pixels:,} allowed; save it smaller"
        )


def _reduced(image: Image.Image, enough: int | None) -> Image.Image:
    """A picture of more than LARGE pixels, averaged over squares as far as its longer side still has `enough` pixels.

    Grey of more than 8 bits stays as it is, for Pillow cannot average it: see `_averaged`.
    """
    factor = _factor(image.size, enough)
    if factor < 2 or _is_deep(image):
        return image
    if image.mode in ("1", "P", "PA", "LA"):
        image = image.convert("RGBA" if _has_alpha(image) else "RGB")
    return image.reduce(factor)


def _averaged(picture: np.ndarray, enough: int | None) -> np.ndarray:
    """As `_reduced`, for pixels: RGB uint8 (H, W, 3)."""
    height, width = picture.shape[:2]
    factor = _factor((width, height), enough)
    return picture if factor < 2 else shrink(picture, -(-max(width, height) // factor))


def _factor(size: tuple[int, int], enough: int | None) -> int:
    return max(size) // enough if enough and size[0] * size[1] > LARGE else 1


def _to_rgb(image: Image.Image) -> np.ndarray:
    """The picture RGB uint8 (H, W, 3); converted a strip at a time, for each step of it makes a copy."""
    white = _white_of(image) if _is_deep(image) else None
    out = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(STRIP // image.width, 1)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        if white is not None:
            out[top : top + rows] = _deep_to_uint8(np.asarray(strip), white)[:, :, None]
        else:
            out[top : top + rows] = _flat(strip, alpha=_has_alpha(image))
    return out


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith(("I", "F"))


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _flat(strip: Image.Image, *, alpha: bool) -> np.ndarray:
    """A strip as RGB; where it is transparent, on white."""
    from PIL import Image

    if alpha:
        rgba = strip.convert("RGBA")
        strip = Image.alpha_composite(Image.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba)
    return np.asarray(strip.convert("RGB"))


def _white_of(image: Image.Image) -> float:
    """What counts as white among grey values of more than 8 bits.

    In uint16 the end of the type's range. Wider types have none that pictures use: up to 1 (floats) or 255 they are
    taken as they are, beyond it by the picture's own range, so that 256 is no darker than 255.
    """
    if image.mode.startswith("I;16"):
        return 65535.0
    if image.mode == "I":
        return max(255.0, float(image.getextrema()[1]))  # type: ignore[arg-type]
    values = np.asarray(image)
    highest = float(np.nanmax(np.where(np.isfinite(values), values, 0), initial=0))
    return 1.0 if values.dtype.kind == "f" and highest <= 1.0 else max(255.0, highest)


def _deep_to_uint8(values: np.ndarray, white: float = 65535.0) -> np.ndarray:
    """Grey values of more than 8 bits, of which `white` is the lightest ► uint8."""
    if values.dtype.kind == "f":
        values = np.nan_to_num(values)
    return (np.clip(values, 0, white) * (255.0 / white) + 0.5).astype(np.uint8)


def _from_array(array: np.ndarray, name: str, max_pixels: int) -> np.ndarray:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise PhotoError(f"{name}: has shape {array.shape}; give (H, W), (H, W, 3) or (H, W, 4)")
    _check_size(array.shape[1], array.shape[0], name, max_pixels)
    if array.dtype == np.uint16:
        array = _deep_to_uint8(array)
    if array.dtype != np.uint8:
        raise PhotoError(f"{name}: has dtype {array.dtype}; give uint8 or uint16")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
    if array.shape[2] == 4:
        alpha = array[:, :, 3:].astype(np.float32) / 255
        array = (array[:, :, :3] * alpha + 255 * (1 - alpha) + 0.5).astype(np.uint8)
    return np.ascontiguousarray(array)


def encode_png(picture: np.ndarray) -> bytes:
    """A picture as the bytes of a PNG: RGB uint8 (H, W, 3), or grey uint8 or uint16 (H, W)."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if picture.ndim == 3 else picture
    done, data = cv2.imencode(".png", bgr)
    assert done
    return data.tobytes()


def save_png(path: Path, picture: np.ndarray) -> None:
    """Write a picture as PNG at `path` in one step, see `encode_png`."""
    from retail_seg.system.files import replace_file

    replace_file(path, encode_png(picture))
