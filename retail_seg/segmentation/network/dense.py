"""Networks that predict the maps directly: FCN, SegNet, DeepLab v3 and smp's U-Net; none starts from other weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from retail_seg.errors import MissingExtraError
from retail_seg.segmentation.network.config import INPUTS, MAPS
from retail_seg.segmentation.network.torchvision_ops import import_torchvision


def smp_library() -> Any:
    """The package segmentation_models_pytorch; MissingExtraError where it is not installed."""
    import_torchvision()
    try:
        import segmentation_models_pytorch as smp
    except ImportError:
        raise MissingExtraError(
            'this network needs segmentation_models_pytorch, which is not installed: pip install "retail-seg[compare]"'
        ) from None
    return smp


def smp_unet(encoder: str) -> nn.Module:
    """U-Net on an encoder of segmentation_models_pytorch, weights drawn at random."""
    net: nn.Module = smp_library().Unet(encoder, encoder_weights=None, in_channels=INPUTS, classes=len(MAPS))
    return net


def deeplab_v3(encoder: str) -> nn.Module:
    """DeepLab v3: an encoder whose last stage keeps its resolution by atrous convolutions, then ASPP at three rates."""
    net: nn.Module = smp_library().DeepLabV3(
        encoder, encoder_weights=None, in_channels=INPUTS, classes=len(MAPS), encoder_output_stride=16,
        decoder_atrous_rates=(6, 12, 18),
    )  # fmt: skip
    return net


class FCN8(nn.Module):
    """FCN-8s: scores at strides 8, 16 and 32 of an encoder, each enlarged and added to the next finer ones."""

    def __init__(self, encoder: str) -> None:
        super().__init__()
        self.encoder = smp_library().encoders.get_encoder(encoder, in_channels=INPUTS, depth=5, weights=None)
        self.scores = nn.ModuleList(nn.Conv2d(width, len(MAPS), 1) for width in self.encoder.out_channels[-3:])

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        fine, middle, coarse = (score(x) for score, x in zip(self.scores, self.encoder(pictures)[-3:], strict=True))
        return _enlarged(_enlarged(_enlarged(coarse, 2) + middle, 2) + fine, 8)


class SegNet(nn.Module):
    """SegNet: the decoder puts values back where the encoder's pooling took them from, and sees no skipped maps."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        entries = (INPUTS, *widths[:-1])
        self.down = nn.ModuleList(_pair(i, o) for i, o in zip(entries, widths, strict=True))
        self.up = nn.ModuleList(_pair(o, max(i, widths[0])) for i, o in zip(entries, widths, strict=True))
        self.head = nn.Conv2d(widths[0], len(MAPS), 3, padding=1)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        x, places = pictures, []
        for stage in self.down:
            x, place = F.max_pool2d(stage(x).contiguous(), 2, return_indices=True)
            places.append(place)
        for stage, place in zip(reversed(self.up), reversed(places), strict=True):
            x = stage(F.max_unpool2d(x.contiguous(), place, [2, 2]))
        out: torch.Tensor = self.head(x)
        return out


def _enlarged(x: torch.Tensor, factor: int) -> torch.Tensor:
    return F.interpolate(x, scale_factor=float(factor), mode="bilinear", align_corners=False)


def _pair(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in (inputs, outputs):
        layers += [nn.Conv2d(i, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
