"""Photos: every format and mode becomes upright RGB uint8; everything else is one clear error."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
import simplejpeg
from PIL import Image, ImageOps

from retail_seg.errors import PhotoError
from retail_seg.photos import load
from retail_seg.photos.load import encode_picture, find_photos, load_enough, load_photo, save_png

pillow_heif.register_heif_opener()


@pytest.fixture
def picture() -> np.ndarray:
    """Red left half, blue right half, a green top row: every turn of it looks different."""
    array = np.zeros((40, 60, 3), np.uint8)
    array[:, :30] = (220, 20, 20)
    array[:, 30:] = (20, 20, 220)
    array[:8] = (20, 220, 20)
    return array


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "HEIF"])
def test_every_format_gives_the_same_picture(picture: np.ndarray, kind: str) -> None:
    options = {"quality": 95} if kind in ("JPEG", "WEBP", "HEIF") else {}
    found = load_photo(encoded(Image.fromarray(picture), kind, **options))
    assert found.dtype == np.uint8 and found.shape == picture.shape
    assert abs(found.astype(int) - picture).mean() < 6


def test_path_file_object_bytes_and_array_agree(picture: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    save_png(path, picture)
    with path.open("rb") as file:
        assert (load_photo(file) == picture).all()
    for source in (path, str(path), path.read_bytes(), picture):
        assert (load_photo(source) == picture).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(picture: np.ndarray, orientation: int) -> None:
    # What a camera stores for each orientation, so that the upright photo is `picture` (EXIF 2.32, tag 0x0112).
    stored = {
        1: picture,
        2: picture[:, ::-1],
        3: picture[::-1, ::-1],
        4: picture[::-1],
        5: picture.transpose(1, 0, 2),
        6: np.rot90(picture, 1),
        7: picture[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(picture, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif)
    assert (load_photo(data) == picture).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_is_as_pillow_decodes_it_at_every_orientation_and_scale(
    picture: np.ndarray, orientation: int, mode: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    large = Image.fromarray(picture.repeat(16, 0).repeat(16, 1)).convert(mode)
    data = encoded(large, "JPEG", exif=exif, quality=95)
    exact = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    np.testing.assert_array_equal(load_photo(data), exact)
    half, size = load_enough(data, 480)
    assert size == (exact.shape[1], exact.shape[0]) and half.shape == (exact.shape[0] // 2, exact.shape[1] // 2, 3)
    assert np.abs(half.astype(int) - exact[::2, ::2]).mean() < 3
    whole, size = load_enough(data, 481)
    assert whole.shape == exact.shape and size == (exact.shape[1], exact.shape[0])


def test_a_jpeg_that_was_cut_off_is_refused_wherever_it_was_cut(picture: np.ndarray) -> None:
    data = encoded(Image.fromarray(picture.repeat(8, 0).repeat(8, 1)), "JPEG")
    for kept in (len(data) // 2, len(data) - 2):
        with pytest.raises(PhotoError, match="cut off"):
            load_photo(data[:kept])


def test_a_jpeg_that_is_damaged_but_ends_is_read_as_far_as_it_can_be(picture: np.ndarray) -> None:
    whole = encoded(Image.fromarray(picture.repeat(8, 0).repeat(8, 1)), "JPEG", quality=95)
    damaged = bytearray(whole)
    damaged[len(whole) // 2 :: 97] = b"\0" * len(damaged[len(whole) // 2 :: 97])
    damaged[-2:] = b"\xff\xd9"
    with pytest.raises(ValueError, match="Corrupt"):
        simplejpeg.decode_jpeg(bytes(damaged))
    found, exact = load_photo(bytes(damaged)), load_photo(whole)
    assert found.shape == exact.shape and (found[: len(found) // 4] == exact[: len(exact) // 4]).all()


def test_modes_are_converted(picture: np.ndarray) -> None:
    image = Image.fromarray(picture)
    grey = load_photo(encoded(image.convert("L"), "PNG"))
    assert grey.shape == picture.shape and (grey[..., 0] == grey[..., 2]).all()
    palette = load_photo(encoded(image.quantize(8), "PNG"))
    assert abs(palette.astype(int) - picture).mean() < 3
    cmyk = load_photo(encoded(image.convert("CMYK"), "TIFF"))
    assert abs(cmyk.astype(int) - picture).mean() < 12


def test_alpha_lies_on_white() -> None:
    rgba = np.zeros((10, 10, 4), np.uint8)
    rgba[:5] = (10, 20, 30, 255)
    found = load_photo(encoded(Image.fromarray(rgba), "PNG"))
    assert (found[:5] == (10, 20, 30)).all() and (found[5:] == 255).all()
    assert (load_photo(rgba) == found).all()


def test_16_bit_keeps_its_range() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, 0)
    found = load_photo(encoded(Image.fromarray(ramp), "PNG"))
    assert found[0, 0, 0] == 0 and found[0, -1, 0] == 255 and abs(int(found[0, 128, 0]) - 128) <= 1
    assert (load_photo(ramp) == found).all()


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    found = load_photo(encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True))
    assert (found == (255, 0, 0)).all()


def test_shrinking_keeps_the_shape_of_things() -> None:
    big = np.zeros((900, 1200, 3), np.uint8)
    big[:, 600:] = 255
    found = load_photo(encode_picture(big), max_side=300)
    assert found.shape == (225, 300, 3) and found[:, :140].max() < 20 and found[:, 160:].min() > 235


def bomb() -> bytes:
    return encoded(Image.new("1", (12000, 12000)), "PNG")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"this is no picture", "is not a picture"),
        (encode_picture(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8))[:9000], "damaged"),
        (bomb(), "more than the 100,000,000 allowed"),
    ],
)
def test_bad_files_are_one_clear_error(data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.jpg"
    path.write_bytes(data)
    with pytest.raises(PhotoError, match=says) as error:
        load_photo(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import ImageFile

    def decode(*_: object) -> None:
        pytest.fail("the bomb was decoded")

    data = bomb()
    monkeypatch.setattr(ImageFile.ImageFile, "load", decode)
    with pytest.raises(PhotoError, match="allowed"):
        load_photo(data)


def test_missing_file_folder_and_odd_arrays(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="no such file"):
        load_photo(tmp_path / "none.jpg")
    with pytest.raises(PhotoError, match="is a folder"):
        load_photo(tmp_path)
    for array in (np.zeros((4, 4, 2), np.uint8), np.zeros((0, 5, 3), np.uint8), np.zeros((4, 4, 3), np.float32)):
        with pytest.raises(PhotoError):
            load_photo(array)


def test_find_photos(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="no such folder"):
        find_photos(tmp_path / "none")
    with pytest.raises(PhotoError, match="holds no photos"):
        find_photos(tmp_path)
    for name in ("b.JPG", "a.heic", "notes.txt"):
        (tmp_path / name).touch()
    assert [p.name for p in find_photos(tmp_path)] == ["a.heic", "b.JPG"]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16"])
def test_a_large_picture_is_averaged_where_fewer_pixels_are_enough(
    kind: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As large ones are, at another size: the same picture as without it, but for its size, in strips or at once."""
    steps = (np.add.outer(np.arange(240), 2 * np.arange(162)) // 3 + 32).astype(np.uint8)
    grey = Image.fromarray(steps)
    picture = Image.fromarray(steps.astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    out = io.BytesIO()
    if kind == "WEBP" and mode not in ("RGB", "RGBA"):
        pytest.skip("a WebP has colours")
    picture.save(out, kind, **({"lossless": True} if kind == "WEBP" else {}))
    whole = load_photo(out.getvalue())
    monkeypatch.setattr(load, "STRIP", 1600)
    assert np.array_equal(load_photo(out.getvalue()), whole)
    monkeypatch.setattr(load, "LARGE", 1000)
    small, size = load.load_enough(out.getvalue(), 80)
    assert size == (162, 240) and small.shape == (80, 54, 3)
    expected = cv2.resize(whole, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - expected).mean() < 2


def test_a_huge_picture_takes_no_more_memory_than_its_pixels_twice() -> None:
    """96 million pixels, transparent: 384 MB as they are decoded; the peak was six times that."""
    code = """
import io, resource
from PIL import Image
from retail_seg.photos.load import load_enough
out = io.BytesIO()
Image.new("LA", (8000, 12000), (90, 200)).save(out, "PNG", compress_level=1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
picture, size = load_enough(out.getvalue(), 4000)
assert size == (8000, 12000) and picture.shape == (4000, 2667, 3), picture.shape
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 900
