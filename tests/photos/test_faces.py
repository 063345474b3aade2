"""Faces are found by a model file and covered; the file here has YuNet's inputs and outputs and takes white for one."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retail_seg.errors import ModelError
from retail_seg.photos import faces

# -- an ONNX file, written field by field (onnx.proto3): YuNet's own does not ship with the program


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def text(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])


def tensor(name: str, values: np.ndarray) -> bytes:
    kind = 7 if values.dtype == np.int64 else 1
    return (
        b"".join(number(1, size) for size in values.shape) + number(2, kind) + text(8, name) + text(9, values.tobytes())
    )


def node(op: str, inputs: list[str], output: str, **ints: list[int]) -> bytes:
    told = b"".join(text(1, one) for one in inputs) + text(2, output) + text(3, output) + text(4, op)
    for name, values in ints.items():
        listed = text(1, name) + b"".join(number(8, value) for value in values) + number(20, 7)
        told += text(5, listed)
    return told


def value(name: str, shape: list[int]) -> bytes:
    dims = b"".join(text(1, number(1, size)) for size in shape)
    return text(1, name) + text(2, text(1, number(1, 1) + text(2, dims)))


def heads(stride: int) -> Iterator[tuple[str, int, float, float]]:
    """Name, channels, weight and bias of the mean colour: scores follow the brightness, boxes are 4 strides wide."""
    yield f"cls_{stride}", 1, 1 / 765, 0.0
    yield f"obj_{stride}", 1, 1 / 765, 0.0
    yield f"bbox_{stride}", 4, 0.0, math.log(4)
    yield f"kps_{stride}", 10, 0.0, 0.0


def white_is_a_face(path: Path) -> Path:
    """A model with the layout of face_detection_yunet_2023mar.onnx."""
    nodes, tensors, outputs = b"", b"", b""
    for stride in (8, 16, 32):
        nodes += text(1, node("AveragePool", ["input"], f"p{stride}", kernel_shape=[stride] * 2, strides=[stride] * 2))
        for name, channels, weight, bias in heads(stride):
            tensors += text(5, tensor(f"{name}_w", np.full((channels, 3, 1, 1), weight, np.float32)))
            tensors += text(5, tensor(f"{name}_b", np.full(channels, bias, np.float32)))
            tensors += text(5, tensor(f"{name}_s", np.array([1, -1, channels], np.int64)))
            nodes += text(1, node("Conv", [f"p{stride}", f"{name}_w", f"{name}_b"], f"{name}_c", kernel_shape=[1, 1]))
            nodes += text(1, node("Transpose", [f"{name}_c"], f"{name}_t", perm=[0, 2, 3, 1]))
            nodes += text(1, node("Reshape", [f"{name}_t", f"{name}_s"], name))
            outputs += text(12, value(name, [1, (640 // stride) ** 2, channels]))
    graph = nodes + text(2, "white") + tensors + text(11, value("input", [1, 3, 640, 640])) + outputs
    path.write_bytes(number(1, 8) + text(7, graph) + text(8, text(1, "") + number(2, 13)))
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return white_is_a_face(tmp_path_factory.mktemp("faces") / "white.onnx")


def photo(width: int = 800, height: int = 600) -> np.ndarray:
    """A dark picture of noise with one white square."""
    canvas = np.random.default_rng(1).integers(0, 90, (height, width, 3)).astype(np.uint8)
    canvas[200:264, 320:384] = 255
    return canvas


@pytest.mark.parametrize("scale", [1, 4])
def test_a_face_is_found_where_it_is(model: Path, scale: int) -> None:
    large = np.kron(photo(), np.ones((scale, scale, 1), np.uint8))
    found = faces.find_faces(large, model)
    assert found
    for x, y, w, h in found:
        assert x < 384 * scale and x + w > 320 * scale and y < 264 * scale and y + h > 200 * scale, (x, y, w, h)
    assert not faces.find_faces(np.full((300, 500, 3), 60, np.uint8), model)


def test_what_is_covered_is_a_few_squares(model: Path) -> None:
    before = photo()
    before[216:248, 336:368:2] = 240  # something to be recognised in it
    after = faces.blurred(before, [(320, 200, 64, 64)])
    assert len(np.unique(after[200:264, 320:384].reshape(-1, 3), axis=0)) <= faces.SQUARES**2
    assert (before[216, 336] == 240).all()  # a copy
    same = np.ones(before.shape[:2], bool)
    same[180:290, 300:410] = False
    assert (after[same] == before[same]).all()


@pytest.mark.parametrize("box", [(-50, -50, 80, 80), (780, 580, 100, 100), (900, 700, 50, 50), (-90, 10, 20, 20)])
def test_a_face_at_the_edge_is_cut_there(box: tuple[int, int, int, int]) -> None:
    assert faces.blurred(photo(), [box]).shape == (600, 800, 3)


def test_a_file_that_is_missing_or_no_model_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no photo is kept; put it back"):
        faces.find_faces(photo(), tmp_path / "gone.onnx")
    (tmp_path / "x.onnx").write_bytes(struct.pack("<I", 7) * 40)
    with pytest.raises(ModelError, match="no face model that OpenCV can use"):
        faces.check_model(tmp_path / "x.onnx")
