"""Photos and stores to measure on: rendered packs on a ground, and a catalogue of as many labels as wanted.

The packs are rendered once and laid on a grid, so that a photo of 50 megapixels with 200 packs takes seconds. The
labels of those packs have real pictures, vectors and local features; all others are made up around them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from catalogue import Catalogue, NewReference, Product, rows
from index.embedder import Embedder, unit_rows
from index.opening import open_embedder
from retail_seg.errors import LabelledCropsError
from retail_seg.matcher import Matcher
from retail_seg.photos.load import encode_picture
from retail_seg.rendering.designs import ProductDesign, random_design
from retail_seg.rendering.packs import render
from retail_seg.rendering.surfaces import TABLES, surface
from retail_seg.rendering.views import View
from retail_seg.store.enrolment import Upload, embed_prepared, prepare
from retail_seg.store.opening import open_catalogue

#: Different packs that photos show.
DESIGNS = 40
#: Rows that one transaction writes.
_PORTION = 500
#: How far made-up labels lie from the pack that they resemble (lengths of the vector added), nearest and furthest.
_NEAR, _FAR = 0.8, 1.6
#: Those nearer than this carry local features, for only they can come into a close race.
_WITH_FEATURES = 0.9
#: How far the references of one label lie from each other.
_WITHIN = 0.35
_LOOKS = (View(), View(yaw=24, light=0.5), View(yaw=-24, pitch=14), View(pitch=3, light=0.3, contrast=0.3))


@dataclass(frozen=True, eq=False)
class MadePhoto:
    """A photo (H, W, 3) uint8 and its truth: labels (H, W) int32, and the SKU of the pack with id i + 1."""

    photo: np.ndarray
    labels: np.ndarray
    skus: tuple[str, ...]

    def jpeg(self) -> bytes:
        """The photo as a camera would save it."""
        return encode_picture(self.photo, quality=90)


@cache
def design(number: int) -> ProductDesign:
    """The look of pack `number`, always the same."""
    return random_design(np.random.default_rng([7, number]))


def sku_of(number: int) -> str:
    """The SKU of design `number`."""
    return f"PACK-{number:02d}"


def made_photo(packs: int, megapixels: float = 12.0, seed: int = 0) -> MadePhoto:
    """A photo in format 4:3 of `packs` packs that lie apart, in any direction; some repeat from 40 on."""
    rng = np.random.default_rng([seed, packs])
    width = 4 * round(np.sqrt(megapixels * 1e6 / 12))
    height = 3 * width // 4
    photo = _ground(height, width, rng)
    labels = np.zeros((height, width), np.int32)
    columns = max(1, int(np.ceil(np.sqrt(packs * 4 / 3))))
    cells = -(-packs // columns)
    skus = []
    for at in range(packs):
        across, down = width / columns, height / cells
        number = int(rng.permutation(DESIGNS)[at % DESIGNS]) if packs < DESIGNS else at % DESIGNS
        sprite = _fitted(_sprite(number), 0.86 * across, 0.86 * down, float(rng.normal(0, 9)))
        x = int((at % columns + 0.5) * across - sprite.shape[1] / 2)
        y = int((at // columns + 0.5) * down - sprite.shape[0] / 2)
        _lay(photo, labels, sprite, x, y, at + 1)
        skus.append(sku_of(number))
    _grain(photo, rng)
    return MadePhoto(photo, labels, tuple(skus))


def store_in(work: Path, labels: int, references: int) -> Path:
    """The made-up store of this size and of the weights installed now in `work`, made where it is not there yet."""
    fingerprint = open_embedder("retail-vgg").fingerprint[:8]
    folder = work / f"store-{labels}x{references}-{fingerprint}"
    if not folder.exists():
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        make_store(part, labels, references).rename(folder)
    return folder


def make_store(folder: Path, labels: int, references: int = 4) -> Path:
    """A store of `labels` products with `references` references each in a new folder; learned and indexed."""
    with Matcher.create(folder) as matcher:
        shown = min(DESIGNS, labels)
        real = [real_references(matcher.embedder, number, references) for number in range(shown)]
        with open_catalogue(folder) as catalogue:
            _write(catalogue, _products(matcher.embedder, real, labels, references))
        matcher.reindex()
    return folder


def real_references(embedder: Embedder, number: int, references: int) -> list[NewReference]:
    """Studio pictures of design `number`, embedded as those of any other product."""
    uploads = []
    for at in range(references):
        rgba = render(design(number), 360, view=_LOOKS[at % len(_LOOKS)])
        alpha = rgba[:, :, 3:].astype(np.float32) / 255
        white = (rgba[:, :, :3] * alpha + 255 * (1 - alpha) + 0.5).astype(np.uint8)
        uploads.append(Upload(white, f"{sku_of(number)} view {at + 1}", rgba[:, :, 3] > 127))
    return embed_prepared(embedder, [prepare(upload) for upload in uploads])


def real_vectors(file: Path | None, embedder: Embedder) -> np.ndarray:
    """Embedded crops, unit vectors float32 (n, dim): those of a file of `retail-seg embed`, or rendered packs'.

    Raises LabelledCropsError for a file that holds none.
    """
    if file is None:
        found = [one.vectors for number in range(DESIGNS) for one in real_references(embedder, number, 4)]
        return np.frombuffer(b"".join(found), np.float32).reshape(-1, embedder.dim)
    try:
        with np.load(file) as held:
            return unit_rows(held["vectors"].astype(np.float32))
    except (OSError, ValueError, KeyError) as error:
        raise LabelledCropsError(f"{file}: holds no vectors ({error}); make it with `retail-seg embed`") from None


def _products(
    embedder: Embedder, real: Sequence[list[NewReference]], labels: int, references: int
) -> Iterator[tuple[Product, list[NewReference]]]:
    """The packs themselves, then made-up labels around them."""
    for number, own in enumerate(real):
        yield Product(sku_of(number), design(number).title, design(number).brand), own
    rng = np.random.default_rng(1)
    centres = [np.frombuffer(own[0].vectors, np.float32)[: embedder.dim] for own in real]
    picture = encode_picture(np.full((16, 16, 3), 200, np.uint8))
    for label in range(len(real), labels):
        like = label % len(real)
        away = float(rng.uniform(_NEAR, _FAR))
        centre = unit_rows((centres[like] + away * _direction(rng, embedder.dim))[None])[0]
        # of another pack: they cost what every comparison costs and agree on nothing
        other = real[(like + 7) % len(real)][0].features if away < _WITH_FEATURES else b""
        made = []
        for at in range(references):
            vector = unit_rows((centre + _WITHIN * _direction(rng, embedder.dim))[None])
            made.append(NewReference(picture, f"{label}-{at}", vector.tobytes(), 1, embedder.fingerprint, None, other))
        yield Product(f"MADE-{label:06d}", f"Made-up product {label}"), made


def _direction(rng: np.random.Generator, dim: int) -> np.ndarray:
    return unit_rows(rng.standard_normal((1, dim), np.float32))[0]


def _write(catalogue: Catalogue, products: Iterator[tuple[Product, list[NewReference]]]) -> None:
    """Write products in portions: one transaction each would wait for the disk as many times as there are labels."""
    done = False
    while not done:
        with catalogue.change() as db:
            revision = rows.next_revision(db)
            for _ in range(_PORTION):
                found = next(products, None)
                if found is None:
                    done = True
                    break
                product, references = found
                rows.write_product(db, product.cleaned())
                for reference in references:
                    rows.insert_reference(db, product.sku, reference, revision)


@cache
def _sprite(number: int) -> np.ndarray:
    return render(design(number), 700, view=View(yaw=8, light=0.3, folds=number))


def _fitted(sprite: np.ndarray, width: float, height: float, turn: float) -> np.ndarray:
    """RGBA of a pack turned by some degrees (and on its side, where that fills the room better)."""
    if (sprite.shape[0] > sprite.shape[1]) != (height > width):
        sprite = np.rot90(sprite)
    rows_, columns = sprite.shape[:2]
    cos, sin = abs(np.cos(np.radians(turn))), abs(np.sin(np.radians(turn)))
    wide, tall = rows_ * sin + columns * cos, rows_ * cos + columns * sin
    scale = min(width / wide, height / tall)
    size = max(int(wide * scale), 8), max(int(tall * scale), 8)
    matrix = cv2.getRotationMatrix2D((columns / 2, rows_ / 2), turn, scale)
    matrix[:, 2] += size[0] / 2 - columns / 2, size[1] / 2 - rows_ / 2
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.warpAffine(np.ascontiguousarray(sprite), matrix, size, flags=flags)


def _lay(photo: np.ndarray, labels: np.ndarray, sprite: np.ndarray, x: int, y: int, number: int) -> None:
    """Put a sprite with its soft edge and a shadow beneath it at x, y."""
    place = np.s_[y : y + sprite.shape[0], x : x + sprite.shape[1]]
    alpha = sprite[:, :, 3:].astype(np.float32) / 255
    shadow = cv2.GaussianBlur(alpha, (0, 0), max(sprite.shape[1] / 25, 1))[:, :, None]
    ground = photo[place] * (1 - 0.4 * shadow)
    photo[place] = ground + (sprite[:, :, :3] - ground) * alpha
    labels[place][sprite[:, :, 3] > 127] = number


def _ground(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    small = surface(str(rng.choice(TABLES)), 480, 640, rng)
    return cv2.resize(np.clip(small, 0, 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)


def _grain(photo: np.ndarray, rng: np.random.Generator) -> None:
    """A sensor's noise, drawn for a tile and repeated, added in place."""
    tile = rng.normal(0, 3, (512, 512, 3)).astype(np.int16)
    for top in range(0, photo.shape[0], 512):
        for left in range(0, photo.shape[1], 512):
            part = photo[top : top + 512, left : left + 512]
            part[:] = np.clip(part + tile[: part.shape[0], : part.shape[1]], 0, 255)
