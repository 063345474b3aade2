"""The segmentation network with a pretrained encoder: a U-Net on MobileNetV2 that predicts the five maps.

The encoder knows what things look like from the million photos of ImageNet. The decoder is made of dense 3 × 3
convolutions, which a processor multiplies fastest; at its bottom branches of several reaches (Chen et al., DeepLab v3,
2017) and the mean of the whole picture say what one product is there. The distance from the ground's colour, which the
encoder cannot take, enters at the last level as blocks of 4 × 4 pixels, and the maps leave in such blocks, at full
resolution.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from retail_seg.segmentation.network.config import MAPS
from retail_seg.segmentation.network.encoder import Encoder
from retail_seg.segmentation.network.mobile_shapes import CONTEXT, DILATIONS, ENCODED, SQUARE, STEM


class MobileUNet(nn.Module):
    """Pictures (n, 4, h, w) float32 ► raw maps (n, 5, h, w), see MAPS; h and w multiples of 32.

    `widths` are the decoder's channels at 1/4, 1/8 and 1/16 of the picture's size.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        fine, middle, coarse = widths
        eighth, sixteenth, deepest = ENCODED
        self.encoder = Encoder()
        self.context = Context(deepest, coarse)
        entries = (
            (middle + STEM[-2] + SQUARE**2, fine),
            (coarse + eighth, middle),
            (coarse + sixteenth, coarse),
        )
        self.up = nn.ModuleList(nn.Sequential(*_normalised(i, o), *_normalised(o, o)) for i, o in entries)
        self.head = nn.Conv2d(fine, len(MAPS) * SQUARE**2, 3, padding=1)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        *skips, deepest = self.encoder(pictures[:, :3])
        skips[0] = torch.cat([skips[0], F.pixel_unshuffle(pictures[:, 3:], SQUARE)], 1)
        x = self.context(deepest)
        for level in reversed(range(len(self.up))):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.up[level](torch.cat([skips[level], x], 1))
        return F.pixel_shuffle(self.head(x), SQUARE)

    def freeze(self, blocks: int) -> None:
        """Keeps the encoder's first `blocks` blocks as they are, see `Encoder.freeze`."""
        self.encoder.freeze(blocks)


class Context(nn.Module):
    """What lies around: branches of several reaches beside the input, and the mean of the picture added to each."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.near = nn.ModuleList(_normalised(inputs, CONTEXT, dilation) for dilation in DILATIONS)
        self.join = nn.Sequential(
            nn.Conv2d(inputs + CONTEXT * len(DILATIONS), outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        )
        self.whole = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        joined = self.join(torch.cat([x, *(branch(x) for branch in self.near)], 1))
        return F.relu(joined + self.whole(x.mean((2, 3), keepdim=True)))


def _normalised(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    """A 3 × 3 convolution with batch normalisation."""
    convolution = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))
