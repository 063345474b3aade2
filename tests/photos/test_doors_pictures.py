"""Pictures from outside: only the formats that the README names are tried, and headers are measured before pixels."""

from __future__ import annotations

import ast
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import EpsImagePlugin, Image

from catalogue.errors import PictureRefused
from catalogue.importing import LoadedPicture
from retail_seg.errors import AnnotationError, PhotoError
from retail_seg.photos.load import load_photo
from retail_seg.segmentation.annotations import upright_size
from retail_seg.segmentation.formats.instance_png import open_mask
from retail_seg.store.importing import check_picture
from retail_seg.teaching.files import upright_file
from retail_seg.teaching.imports import _is_grey

ROOT = Path(__file__).resolve().parents[2]
#: Formats that Pillow reads and writes and that no shelf camera does.
OTHERS = ("AVIF", "DDS", "GIF", "ICO", "IM", "JPEG2000", "PCX", "PPM", "QOI", "SGI", "SPIDER", "TGA", "EPS")


def encoded(kind: str, mode: str = "RGB", size: tuple[int, int] = (32, 32), **options: object) -> bytes:
    pillow_heif.register_heif_opener()
    out = io.BytesIO()
    Image.new(mode, size).save(out, kind, **options)
    return out.getvalue()


def header_only(width: int, height: int) -> bytes:
    """A grey PNG that claims so many pixels and holds next to none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.fixture
def ghostscript(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The calls of Ghostscript, which would interpret a program that somebody sent."""
    calls: list[object] = []

    def call(*given: object, **_: object) -> Image.Image:
        calls.append(given)
        return Image.new("RGB", (32, 32))

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", call)
    return calls


@pytest.mark.parametrize("kind", OTHERS)
def test_other_formats_are_no_photos_whatever_they_are_called(kind: str, ghostscript: list[object]) -> None:
    with pytest.raises(PhotoError, match=r"shelf\.jpg: is not a picture that can be read; save it as JPEG"):
        load_photo(encoded(kind, "L" if kind == "SPIDER" else "RGB"), name="shelf.jpg")
    assert not ghostscript


def test_an_eps_starts_no_program_wherever_a_picture_is_opened(tmp_path: Path, ghostscript: list[object]) -> None:
    eps = tmp_path / "mask.png"
    eps.write_bytes(encoded("EPS"))
    with pytest.raises(AnnotationError, match="not a picture"):
        open_mask(eps)
    with pytest.raises(PhotoError):
        upright_size(eps)
    with pytest.raises(PhotoError):
        upright_file(eps.read_bytes(), np.zeros((32, 32, 3), np.uint8))
    assert not _is_grey(eps) and not ghostscript


@pytest.mark.parametrize("kind", ["PPM", "JPEG2000", "GIF"])
def test_a_products_mask_is_of_the_same_formats(kind: str) -> None:
    out = io.BytesIO()
    Image.new("L", (32, 32), 255).save(out, kind)
    picture = LoadedPicture(encoded("PNG"), "a.png", "", 1, mask=out.getvalue())
    with pytest.raises(PictureRefused, match="its mask is not a picture that can be read"):
        check_picture(picture)


def test_a_mask_of_many_pixels_is_measured_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("the bomb was decoded"))
    picture = LoadedPicture(encoded("PNG"), "a.png", "", 1, mask=header_only(60_000, 60_000))
    with pytest.raises(PictureRefused, match="its mask has more than 100,000,000 pixels"):
        check_picture(picture)


@pytest.mark.parametrize("side", [10_001, 30_000])
def test_a_bomb_is_no_mask_of_an_import(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(header_only(side, side))
    assert not _is_grey(path)
    with pytest.raises(AnnotationError, match=r"\(has .*more than (the )?100,000,000"):
        open_mask(path)


def test_every_picture_is_opened_in_one_place() -> None:
    for folder in ("retail_seg", "catalogue", "index", "recipes"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    named = ast.unparse(node.func)
                    assert named != "cv2.imread", f"{path}: decides by itself what kinds of files are pictures"
                    if named == "Image.open":
                        keywords = {keyword.arg for keyword in node.keywords}
                        assert "formats" in keywords, f"{path}:{node.lineno}: tries every decoder that Pillow has"


def test_a_phones_jpeg_of_several_pictures_is_its_first() -> None:
    pictures = [Image.new("RGB", (16, 8), colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    pictures[0].save(out, "MPO", save_all=True, append_images=pictures[1:])
    found = load_photo(out.getvalue())
    assert found.shape == (8, 16, 3) and found[..., 0].min() > 200 and found[..., 2].max() < 60


def test_what_is_wrong_with_a_heic_is_one_line() -> None:
    out = io.BytesIO()
    Image.effect_noise((300, 300), 90).convert("RGB").save(out, "HEIF")
    with pytest.raises(PhotoError, match="damaged") as error:
        load_photo(out.getvalue()[:20_000], name="shelf.heic")
    assert "\n" not in str(error.value) and "\\n" not in str(error.value)


@pytest.mark.parametrize("brightest", [255, 256, 300, 4095, 65_535, 1_000_000])
def test_wide_grey_keeps_its_steps_whatever_its_range(brightest: int) -> None:
    ramp = np.linspace(0, brightest, 256).astype(np.int32)[None].repeat(4, 0)
    out = io.BytesIO()
    Image.fromarray(ramp).save(out, "TIFF")
    found = load_photo(out.getvalue())[0, :, 0].astype(int)
    assert abs(found - np.arange(256)).max() <= 1


def test_one_pixel_above_255_does_not_make_a_picture_black() -> None:
    grey = np.full((8, 8), 200, np.int32)
    grey[0, 0] = 256
    out = io.BytesIO()
    Image.fromarray(grey).save(out, "TIFF")
    found = load_photo(out.getvalue())
    assert found[4, 4, 0] in (199, 200) and found[0, 0, 0] == 255


def test_grey_numbers_that_are_none_are_black() -> None:
    grey = np.full((8, 8), 0.5, np.float32)
    grey[0, 0] = np.nan
    out = io.BytesIO()
    Image.fromarray(grey).save(out, "TIFF")
    found = load_photo(out.getvalue())
    assert found[0, 0, 0] == 0 and found[4, 4, 0] == 128
