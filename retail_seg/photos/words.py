"""Words on a picture, where the extra `text` is installed: the models of PP-OCRv6 in rapidocr's wheel, on OpenVINO.

Lines are found by differentiable binarization (Liao et al. 2020), each is read from left to right, and its letters are
collapsed as connectionist temporal classification has them (Graves et al. 2006). Of rapidocr only the model files are
used: nothing is downloaded, and every input has one of a few fixed shapes, so that nothing is compiled twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

#: What brings the models, the extra that installs it, and what to say where it is missing.
PACKAGE, EXTRA = "rapidocr", "text"
MISSING = f'words cannot be read here; install what reads them: pip install "retail-seg[{EXTRA}]"'
#: Longer side, in pixels, beyond which a picture shows no more words: small print is not read.
READ_SIDE = 2048
#: Sides, in pixels, of the squares in which lines are looked for: a crop's, and a larger picture's.
SIDES = (320, 640)
#: Lines of a picture that are read, the tallest ones: what is large on a pack is what it is called.
LINES = 8
#: Longer and narrower pictures, of so many widths a height or the reverse, are looked at in their middle alone.
ASPECT = 8.0

_HEIGHT, _WIDTHS = 48, (160, 320)  # pixels of a line as it is read; longer lines are squeezed
_MAGNIFIED = 4.0  # at most
_FOREGROUND, _LINE, _GROWN = 0.3, 0.5, 1.6  # of a pixel and of a line; by how much the shrunken kernels are too small
_SURE = 0.5  # mean probability of a line's letters from which on it is read
_LEAST = 5  # pixels of a line's height as it is looked for


@dataclass(frozen=True)
class Word:
    """A word as it stands there, how sure its line is (0 to 1), and the box x, y, w, h in pixels of its whole line."""

    text: str
    score: float
    box: tuple[int, int, int, int]


def available() -> bool:
    """Whether words can be read: the models are installed."""
    found = _models()
    return found is not None and find_spec("openvino") is not None and all(file.is_file() for file in found)


def words_of(picture: np.ndarray, *, lines: int = LINES, quick: bool = False) -> list[Word]:
    """The words on an RGB uint8 picture (h, w, 3), its tallest lines first; none where the models are not installed.

    Lines of a picture of more than 320 pixels are looked for at four times the cost, unless it has to be `quick`.
    """
    if not available() or min(picture.shape[:2]) < _LEAST:
        return []
    part, offset = _bounded(picture)
    found = sorted(_lines(part, SIDES[:1] if quick else SIDES), key=lambda quad: -_size(quad)[1])[:lines]
    words: list[Word] = []
    for quad in found:
        text, score = _read(_straight(part, quad))
        if score >= _SURE:
            x, y, w, h = cv2.boundingRect(quad.round().astype(np.int32))
            words += [Word(word, score, (x + offset[0], y + offset[1], w, h)) for word in text.split()]
    return words


def _models() -> tuple[Path, Path] | None:
    """The files that find and read lines, None where the package is not installed."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "models"
    return folder / "PP-OCRv6_det_small.onnx", folder / "PP-OCRv6_rec_small.onnx"


def _bounded(picture: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """The picture, or its middle where it is longer than ASPECT widths, and the place x, y of that in it."""
    height, width = picture.shape[:2]
    most = int(ASPECT * min(height, width))
    x, y = max(width - most, 0) // 2, max(height - most, 0) // 2
    return picture[y : y + most, x : x + most], (x, y)


def _lines(picture: np.ndarray, sides: Sequence[int]) -> list[np.ndarray]:
    """Corners float32 (4, 2) of each line of text: upper left, upper right, lower right, lower left."""
    height, width = picture.shape[:2]
    side = next((side for side in sides if max(height, width) <= side), sides[-1])
    scale = min(side / max(height, width), _MAGNIFIED)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    canvas = np.full((side, side, 3), 127, np.uint8)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    canvas[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=way)
    likely = _network(0, side, side)(_normal(canvas))[0, 0]
    mask = (likely > _FOREGROUND).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    return [quad / scale for quad in (_quad(contour, likely) for contour in contours) if quad is not None]


def _quad(contour: np.ndarray, likely: np.ndarray) -> np.ndarray | None:
    """The corners of a line whose kernel has this outline, None where it is too small or not likely one."""
    centre, (width, height), angle = cv2.minAreaRect(contour)
    if min(width, height) < 2 or _mean_inside(likely, contour) < _LINE:
        return None
    grown = _GROWN * width * height / (width + height)  # offset of area times ratio over circumference, on both sides
    if min(width, height) + grown < _LEAST:
        return None
    return _ordered(cv2.boxPoints((centre, (width + grown, height + grown), angle)))


def _mean_inside(likely: np.ndarray, contour: np.ndarray) -> float:
    x, y, w, h = cv2.boundingRect(contour)
    inside = np.zeros((h, w), np.uint8)
    cv2.fillPoly(inside, [contour - (x, y)], 1)
    return float(cv2.mean(likely[y : y + h, x : x + w], inside)[0])


def _ordered(corners: np.ndarray) -> np.ndarray:
    """Corners (4, 2) of a rectangle from its upper left one on, clockwise; a line stands at most upright."""
    left, right = np.split(corners[np.argsort(corners[:, 0], kind="stable")], 2)
    (top_left, low_left), (top_right, low_right) = (pair[np.argsort(pair[:, 1])] for pair in (left, right))
    return np.array([top_left, top_right, low_right, low_left], np.float32)


def _size(quad: np.ndarray) -> tuple[float, float]:
    """Length and height of a line; one that is taller than wide reads upwards."""
    width, height = float(np.linalg.norm(quad[1] - quad[0])), float(np.linalg.norm(quad[3] - quad[0]))
    return (height, width) if height > 1.5 * width else (width, height)


def _straight(picture: np.ndarray, quad: np.ndarray) -> np.ndarray:
    """A line cut out and laid level, _HEIGHT pixels high and as wide as one of _WIDTHS, its end filled with grey."""
    length, height = _size(quad)
    wanted = max(round(length * _HEIGHT / max(height, 1.0)), 8)
    room = next((width for width in _WIDTHS if wanted <= width), _WIDTHS[-1])
    width = min(wanted, room)
    if np.linalg.norm(quad[3] - quad[0]) > 1.5 * np.linalg.norm(quad[1] - quad[0]):
        quad = np.roll(quad, 1, axis=0)  # from the lower left corner upwards
    corners = np.array([(0, 0), (width, 0), (width, _HEIGHT), (0, _HEIGHT)], np.float32)
    turned = cv2.getPerspectiveTransform(quad.astype(np.float32), corners)
    line = cv2.warpPerspective(
        picture, turned, (width, _HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return cv2.copyMakeBorder(line, 0, 0, 0, room - width, cv2.BORDER_CONSTANT, value=(127, 127, 127))


def _read(line: np.ndarray) -> tuple[str, float]:
    """A level line's text and the mean probability of its letters, 0 where there are none."""
    given = _network(1, *line.shape[:2])(_normal(line))[0]
    letter, sure = given.argmax(axis=1), given.max(axis=1)
    kept = (letter != 0) & np.r_[True, letter[1:] != letter[:-1]]  # 0 is the blank between letters
    alphabet = _alphabet()
    text = "".join(alphabet[at - 1] if at <= len(alphabet) else " " for at in letter[kept].tolist())
    return text, float(sure[kept].mean()) if kept.any() else 0.0


def _normal(picture: np.ndarray) -> np.ndarray:
    """RGB uint8 (h, w, 3) ► float32 (1, 3, h, w) in [-1, 1], blue first as both networks learned it."""
    return np.ascontiguousarray(picture[None, ..., ::-1].transpose(0, 3, 1, 2), np.float32) / 127.5 - 1


@cache
def _alphabet() -> list[str]:
    """The letters that the reader knows, in the order of its answers, which begin with a blank and end with a space."""
    return str(_model(1).get_rt_info()["framework"]["character"].value).splitlines()


def _model(which: int) -> Any:
    from openvino import Core

    files = _models()
    assert files is not None
    return Core().read_model(files[which])


_lock = threading.Lock()
_compiled: dict[tuple[int, int, int], Any] = {}


def _network(which: int, height: int, width: int) -> Callable[[np.ndarray], np.ndarray]:
    """The model that finds (0) or reads (1) lines, for inputs float32 (1, 3, height, width), compiled once."""
    from openvino import Core

    key = which, height, width
    with _lock:
        if key not in _compiled:
            model = _model(which)
            model.reshape([1, 3, height, width])
            _compiled[key] = Core().compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
        network = _compiled[key]
    return lambda picture: np.asarray(network.create_infer_request().infer([picture])[0])
