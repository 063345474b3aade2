"""What describes a segmenter besides its weights: the network's shape and the preprocessing. Imports no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

#: The maps a network predicts, in the order of its output channels. The first three are logits; the offset to the
#: centre of the own instance is in units of OFFSET_UNIT pixels of the working picture.
MAPS = ("foreground", "distance", "boundary", "offset_x", "offset_y")
OFFSET_UNIT = 64.0
#: Channels of the input: red, green, blue, and the distance from the ground's colour.
INPUTS = 4
#: The architecture of the shipped model, and of a configuration that names none.
UNET = "unet"
#: The U-Net on an encoder that was trained on ImageNet, see `mobile`.
MOBILE = "mobile-unet"
#: Those whose weights are known by name and shape without PyTorch; OpenVINO runs them.
OWN = (UNET, MOBILE)
#: Every architecture that can be trained from nothing; the networks stand in `architectures`.
TRAINABLE = (UNET, "smp-unet", "fcn", "segnet", "deeplabv3", "mask-rcnn")

#: File of a model folder that names the training on record, see `record.Origin`; a model may be without.
RUN = "run.json"


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
    """Everything that turns a photo into the network's input: longer side in pixels, mean and spread per channel.

    `architecture` is one of architectures.ARCHITECTURES; `widths` and `block` shape the UNet and SegNet, `widths` also
    the MobileUNet's decoder; `encoder` names the encoder of those that have one, `members` are an ensemble's parts.
    """

    widths: tuple[int, ...] = UNetConfig.widths
    block: int = UNetConfig.block
    side: int = 640
    mean: tuple[float, float, float] = (0.45, 0.43, 0.40)
    std: tuple[float, float, float] = (0.26, 0.25, 0.25)
    architecture: str = UNET
    encoder: str = "resnet18"
    members: tuple[SegmenterConfig, ...] = ()

    @property
    def unet(self) -> UNetConfig:
        return UNetConfig(tuple(self.widths), self.block)

    @property
    def stride(self) -> int:
        """Height and width of the network's input have to be multiples of this number of pixels (a power of two)."""
        if self.members:
            return max(member.stride for member in self.members)
        return self.unet.stride if self.architecture == UNET else 32

    def to_json(self) -> dict[str, Any]:
        """The values by name; those of other architectures only where they say something."""
        values = asdict(self)
        if not self.members:
            del values["members"]
        if self.architecture == UNET:
            del values["architecture"], values["encoder"]
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SegmenterConfig:
        """The configuration that `to_json` wrote."""
        given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        members = tuple(cls.from_json(member) for member in values.get("members", ()))
        return cls(**{**given, "members": members})


def config_of(architecture: str) -> SegmenterConfig:
    """The usual configuration of an architecture."""
    if architecture == "segnet":  # it works at full resolution, where wider levels learn too slowly on a processor
        return SegmenterConfig(widths=(16, 32, 64, 128), block=1, architecture=architecture)
    if architecture == MOBILE:  # its encoder takes colours in [-1, 1]
        middle = (0.5, 0.5, 0.5)
        return SegmenterConfig((48, 80, 112), 4, 768, middle, middle, architecture, "mobilenet_v2")
    return SegmenterConfig(architecture=architecture)


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
