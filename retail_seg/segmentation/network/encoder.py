"""MobileNetV2 behind a quicker stem as an encoder, and how its published weights are read.

Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks (2018), up to its 16th block; what follows there
serves the thousand classes of ImageNet. Pictures are RGB in [-1, 1]; where a convolution halves the picture it is
padded to the right and below only, as TensorFlow does, where the published weights were trained.

The first four blocks, on half and a quarter of the picture's size, take more than half of its time. A stem of three
dense convolutions on blocks of 4 × 4 pixels stands in their place, taught to give what they give (Hinton et al.,
Distilling the Knowledge in a Neural Network, 2015; `recipes/distil_stem.py`), in a quarter of the time.

The normalisation of every convolution is folded into its weights and a bias: its statistics are to stay ImageNet's
(a batch of four says little), and without it a step of training and a look are quicker.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from retail_seg.errors import ModelError
from retail_seg.segmentation.network.mobile_shapes import (
    BLOCKS,
    ENTRY,
    REPLACED,
    SQUARE,
    STEM,
    TAPS,
    block_shapes,
    encoder_shapes,
    published_shapes,
)

#: What torchvision's batch normalisation adds to a variance.
EPSILON = 1e-5


class Encoder(nn.Module):
    """Pictures (n, 3, h, w) in [-1, 1] ► the stem's last hidden map, at 1/4 of the size, and three maps of ENCODED.

    Those are at 1/8, 1/16 and 1/32; h and w are multiples of 32. What is `frozen` does not learn, see `freeze`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_stem())
        self.features = nn.ModuleDict({str(number): _block(number) for number in range(REPLACED, BLOCKS)})
        self.frozen = 0

    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        hidden = self.stem[:-1](F.pixel_unshuffle(pictures, SQUARE))
        x, found = self.stem[-1](hidden), [hidden]
        for number, block in enumerate(self.features.values(), REPLACED):
            x = self._in_float32(block, x) if self.training and number >= self.frozen else block(x)
            if number in TAPS:
                found.append(x)
        return found

    def _in_float32(self, block: nn.Module, x: torch.Tensor) -> torch.Tensor:
        """PyTorch's gradients of depthwise convolutions take several times as long in bfloat16."""
        with torch.autocast("cpu", enabled=False):
            y: torch.Tensor = block(x.float())
            return y

    def freeze(self, blocks: int) -> None:
        """Keeps MobileNetV2's first `blocks` of BLOCKS blocks as they are, the stem for its first four."""
        self.frozen = blocks
        self.stem.requires_grad_(blocks == 0)
        for number, block in enumerate(self.features.values(), REPLACED):
            block.requires_grad_(number >= blocks)


class InvertedResidual(nn.Module):
    """Widened `expansion` times, one 3 × 3 filter a channel, narrowed; added to the input where shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        widen = [_activated(inputs, hidden, 1)] if expansion != 1 else []
        filters = _activated(hidden, hidden, 3, stride, hidden)
        self.conv = nn.Sequential(*widen, filters, nn.Conv2d(hidden, outputs, 1))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(x)
        return x + y if self.adds else y


class _Halving(nn.Conv2d):
    """A convolution of stride 2, padded to the right and below only."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(F.pad(x, (0, 1, 0, 1)))


def _stem() -> list[nn.Module]:
    """Dense convolutions with ReLU between them; the last is linear, as what leaves a block is."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise((3 * SQUARE**2, *STEM)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
    return layers[:-1]


def _block(number: int) -> nn.Module:
    """One of MobileNetV2's blocks by its number; 0 is the first convolution."""
    return InvertedResidual(*block_shapes()[number - 1]) if number else _activated(3, ENTRY, 3, 2)


def _activated(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    kind, padding = (_Halving, 0) if stride == 2 else (nn.Conv2d, size // 2)
    return nn.Sequential(kind(inputs, outputs, size, stride, padding, groups=groups), nn.ReLU6(inplace=True))


class Replaced(nn.Module):
    """MobileNetV2's first blocks, which the stem stands for: pictures (n, 3, h, w) ► (n, 24, h / 4, w / 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleList(_block(number) for number in range(REPLACED))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        x = pictures
        for block in self.features:
            x = block(x)
        return x


def encoder_weights(path: Path) -> dict[str, torch.Tensor]:
    """The Encoder's state from the file that `recipes/distil_stem.py` wrote; raises ModelError for another one."""
    found, expected = _read(path), encoder_shapes()
    for key, shape in expected.items():
        _check(path, found, key, shape, "give what recipes/distil_stem.py wrote")
    return {key: torch.from_numpy(found[key]) for key in expected}


def published_weights(path: Path) -> dict[str, torch.Tensor]:
    """All blocks' weights from a safetensors file of MobileNetV2 by torchvision's names, normalisation folded in.

    Raises ModelError where the file cannot be read, or lacks a tensor or has one of another shape.
    """
    found = _read(path)
    state: dict[str, torch.Tensor] = {}
    for number in range(BLOCKS):
        for key, shape in published_shapes(number).items():
            if key.endswith(".weight"):
                weight, bias = _folded(path, found, key.removesuffix(".weight"), shape)
                state |= {key: torch.from_numpy(weight), f"{key.removesuffix('weight')}bias": torch.from_numpy(bias)}
    return state


def _read(path: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    try:
        return {key: value.astype(np.float32) for key, value in load_file(path).items()}
    except Exception as error:  # noqa: BLE001 - safetensors has errors of its own, all plain ones
        raise ModelError(f"{path}: cannot be read as safetensors ({error}); give a file of weights") from None


def _check(path: Path, found: Mapping[str, np.ndarray], key: str, shape: tuple[int, ...], advice: str) -> None:
    if key not in found:
        raise ModelError(f"{path}: {key} is missing; {advice}")
    if found[key].shape != shape:
        raise ModelError(f"{path}: {key} has the shape {found[key].shape}, not {shape}; {advice}")


def _folded(
    path: Path, found: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of a convolution with the batch normalisation after it: the last number of its name, plus one."""
    stem, _, number = name.rpartition(".")
    wanted = {f"{name}.weight": shape}
    for key in ("weight", "bias", "running_mean", "running_var"):
        wanted[f"{stem}.{int(number) + 1}.{key}"] = shape[:1]
    for key, size in wanted.items():
        _check(path, found, key, size, "give MobileNetV2's weights by torchvision's names")
    weight, gain, shift, mean, variance = (found[key] for key in wanted)
    factor = gain / np.sqrt(variance + EPSILON)
    return weight * factor.reshape(-1, 1, 1, 1), shift - mean * factor
