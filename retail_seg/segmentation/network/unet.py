"""The segmentation network: a small U-Net that predicts five maps per pixel.

Ronneberger et al., U-Net (2015), cut for a processor without a GPU: the picture enters as space-to-depth blocks of
4 × 4 pixels (no pixel is lost, the widest layers cost a sixteenth) and the maps leave at full resolution through the
inverse (Shi et al., sub-pixel convolution, 2016).
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from retail_seg.segmentation.network.config import INPUTS, MAPS, UNetConfig


class UNet(nn.Module):
    """Pictures (n, 4, h, w) float32 ► raw maps (n, 5, h, w), see MAPS; h and w multiples of `config.stride`."""

    def __init__(self, config: UNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or UNetConfig()
        widths, block = self.config.widths, self.config.block
        entries = (INPUTS * block * block, *widths[:-1])
        self.down = nn.ModuleList(_double(i, o) for i, o in zip(entries, widths, strict=True))
        self.up = nn.ModuleList(_double(a + b, a) for a, b in pairwise(widths))
        self.head = nn.Conv2d(widths[0], len(MAPS) * block * block, 3, padding=1)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        x = F.pixel_unshuffle(pictures, self.config.block)
        skips: list[torch.Tensor] = []
        for level, stage in enumerate(self.down):
            x = stage(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for level in reversed(range(len(self.up))):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.up[level](torch.cat([skips[level], x], 1))
        return F.pixel_shuffle(self.head(x), self.config.block)


def _double(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3 × 3 convolutions with batch normalisation (GroupNorm costs half as much again on a CPU)."""
    layers: list[nn.Module] = []
    for i in (inputs, outputs):
        layers += [nn.Conv2d(i, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
