"""What describes a segmenter besides its weights: the network's shape and the preprocessing. Imports no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

#: The maps a network predicts, in the order of its output channels. The first three are logits; the offset to the
#: centre of the own instance is in units of OFFSET_UNIT pixels of the working picture.
MAPS = ("foreground", "distance", "boundary", "offset_x", "offset_y")
OFFSET_UNIT = 64.0
#: Channels of the input: red, green, blue, and the distance from the ground's colour.
INPUTS = 4


@dataclass(frozen=True)
class UNetConfig:
    """Shape of the network: channels per level (each level halves the picture) and the size of the entry blocks."""

    widths: tuple[int, ...] = (48, 64, 96, 128, 128)
    block: int = 4

    @property
    def stride(self) -> int:
        """Height and width of an input have to be multiples of this number of pixels."""
        return int(self.block * 2 ** (len(self.widths) - 1))


@dataclass(frozen=True)
class SegmenterConfig:
    """Everything that turns a photo into the network's input: longer side in pixels, mean and spread per channel."""

    widths: tuple[int, ...] = UNetConfig.widths
    block: int = UNetConfig.block
    side: int = 640
    mean: tuple[float, float, float] = (0.45, 0.43, 0.40)
    std: tuple[float, float, float] = (0.26, 0.25, 0.25)

    @property
    def unet(self) -> UNetConfig:
        return UNetConfig(tuple(self.widths), self.block)


def weight_shapes(config: UNetConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of the UNet that a configuration describes."""
    widths, block = config.widths, config.block
    shapes: dict[str, tuple[int, ...]] = {}
    for level, (i, o) in enumerate(pairwise((INPUTS * block * block, *widths))):
        shapes |= _double_shapes(f"down.{level}", i, o)
    for level, (a, b) in enumerate(pairwise(widths)):
        shapes |= _double_shapes(f"up.{level}", a + b, a)
    out = len(MAPS) * block * block
    return shapes | {"head.weight": (out, widths[0], 3, 3), "head.bias": (out,)}


def _double_shapes(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    """The tensors of two convolutions with batch normalisation."""
    shapes: dict[str, tuple[int, ...]] = {}
    for at, i in ((0, inputs), (3, outputs)):
        shapes[f"{name}.{at}.weight"] = (outputs, i, 3, 3)
        for statistic in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{at + 1}.{statistic}"] = (outputs,)
        shapes[f"{name}.{at + 1}.num_batches_tracked"] = ()
    return shapes
