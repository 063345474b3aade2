"""The shape of the U-Net on MobileNetV2, in numbers: what it is built from and what its weights file holds.

Imports no PyTorch, so that a compiled model is checked and run without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from retail_seg.segmentation.network.config import MAPS

#: MobileNetV2's stages as its paper lists them: expansion, channels, number of blocks, stride of the first block.
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2))
#: Channels that leave MobileNetV2's first convolution, and the number of its blocks, that convolution among them.
ENTRY, BLOCKS = 32, 17
#: The first blocks, down to a quarter of the picture's size, are replaced by the stem: channels of its layers.
REPLACED = 4
STEM = (48, 48, 24)
#: Blocks whose output the decoder takes, and its channels: at 1/8, 1/16 and 1/32 of the picture's size.
TAPS = (6, 13, 16)
ENCODED = (32, 96, 160)
#: The picture enters, and the maps leave, in squares of so many pixels a side.
SQUARE = 4
#: Channels of each of the context's branches, and how far apart these branches' taps lie.
CONTEXT = 64
DILATIONS = (1, 2, 4)

Shapes = dict[str, tuple[int, ...]]


def block_shapes() -> list[tuple[int, int, int, int]]:
    """Inputs, outputs, stride and expansion of every block after the first convolution."""
    shapes, inputs = [], ENTRY
    for expansion, outputs, count, stride in STAGES:
        for number in range(count):
            shapes.append((inputs, outputs, 1 if number else stride, expansion))
            inputs = outputs
    return shapes


def mobile_shapes(widths: Sequence[int]) -> Shapes:
    """Name and shape of every tensor of a MobileUNet; `widths` are the decoder's channels at 1/4, 1/8 and 1/16."""
    return {f"encoder.{key}": shape for key, shape in encoder_shapes().items()} | _decoder_shapes(*widths)


def encoder_shapes() -> Shapes:
    """Name and shape of every tensor of the Encoder."""
    shapes: Shapes = {}
    for number, (inputs, outputs) in enumerate(pairwise((3 * SQUARE**2, *STEM))):
        shapes |= _convolution(f"stem.{2 * number}", inputs, outputs, 3)
    for number in range(REPLACED, BLOCKS):
        shapes |= published_shapes(number)
    return shapes


def published_shapes(number: int) -> Shapes:
    """Name and shape of weights and biases of one of MobileNetV2's blocks, by its number; 0 is the first convolution.

    Names are torchvision's.
    """
    if number == 0:
        return _convolution("features.0.0", 3, ENTRY, 3)
    inputs, outputs, _, expansion = block_shapes()[number - 1]
    name, hidden, at = f"features.{number}.conv", inputs * expansion, int(expansion != 1)
    shapes = _convolution(f"{name}.0.0", inputs, hidden, 1) if at else {}
    shapes |= _convolution(f"{name}.{at}.0", 1, hidden, 3)
    return shapes | _convolution(f"{name}.{at + 1}", hidden, outputs, 1)


def _decoder_shapes(fine: int, middle: int, coarse: int) -> Shapes:
    eighth, sixteenth, deepest = ENCODED
    shapes: Shapes = {}
    for number, _ in enumerate(DILATIONS):
        shapes |= _normalised(f"context.near.{number}", deepest, CONTEXT, 3)
    shapes |= _normalised("context.join", deepest + CONTEXT * len(DILATIONS), coarse, 1)
    shapes |= _convolution("context.whole", deepest, coarse, 1)
    entries = (middle + STEM[-2] + SQUARE**2, coarse + eighth, coarse + sixteenth)
    for level, (i, o) in enumerate(zip(entries, (fine, middle, coarse), strict=True)):
        shapes |= _normalised(f"up.{level}", i, o, 3) | _normalised(f"up.{level}", o, o, 3, 3)
    return shapes | _convolution("head", fine, len(MAPS) * SQUARE**2, 3)


def _convolution(name: str, inputs: int, outputs: int, size: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, size, size), f"{name}.bias": (outputs,)}


def _normalised(name: str, inputs: int, outputs: int, size: int, at: int = 0) -> Shapes:
    """A convolution without bias, number `at` of its sequence, and the batch normalisation after it."""
    shapes: Shapes = {f"{name}.{at}.weight": (outputs, inputs, size, size)}
    shapes |= {f"{name}.{at + 1}.{key}": (outputs,) for key in ("weight", "bias", "running_mean", "running_var")}
    return shapes | {f"{name}.{at + 1}.num_batches_tracked": ()}
