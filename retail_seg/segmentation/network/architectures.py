"""The networks that a segmenter can be: the package's own U-Net, and the field's alternatives to hold it against.

Every one takes the same pictures (n, 4, h, w) and predicts the same five maps (n, 5, h, w), see config.MAPS, so the
same training, the same grouping to instances and the same model folder serve them all. Mask R-CNN, which predicts
instances, learns with a loss of its own and is turned into maps afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from retail_seg.errors import ModelError
from retail_seg.segmentation.network.config import MOBILE, UNET, SegmenterConfig
from retail_seg.segmentation.network.mobile import MobileUNet
from retail_seg.segmentation.network.unet import UNet


@dataclass(frozen=True)
class Architecture:
    """One kind of network: its title and source, and what builds it.

    learns_labels  its loss wants the instance ids themselves, not the maps
    compiles       whether OpenVINO can run it
    """

    title: str
    build: Callable[[SegmenterConfig], nn.Module]
    learns_labels: bool = False
    compiles: bool = True


class Ensemble(nn.Module):
    """Several networks as one: the mean of their probabilities, and of their offsets.

    Each looks at the picture at the size that it was trained for: `scales` are those sizes over the ensemble's, and
    what goes through a member is a multiple of its stride.
    """

    def __init__(self, members: Sequence[nn.Module], scales: Sequence[float], strides: Sequence[int]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.scales, self.strides = tuple(scales), tuple(strides)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        every = zip(self.members, self.scales, self.strides, strict=True)
        raw = [_at_its_size(member, pictures, scale, stride) for member, scale, stride in every]
        likely = torch.stack([torch.sigmoid(one[:, :3]) for one in raw]).mean(0).clamp(1e-6, 1 - 1e-6)
        offsets = torch.stack([one[:, 3:] for one in raw]).mean(0)
        return torch.cat([torch.log(likely / (1 - likely)), offsets], 1)


def _at_its_size(member: nn.Module, pictures: torch.Tensor, scale: float, stride: int) -> torch.Tensor:
    """The maps (n, 5, h, w) float32 of pictures (n, c, h, w) that the member sees at `scale` times their size."""
    if scale == 1:
        return member(pictures).float()
    height, width = pictures.shape[2:]
    size = [max(round(side * scale / stride), 1) * stride for side in (height, width)]
    seen = F.interpolate(pictures.float(), size, mode="bilinear", antialias=True).to(pictures.dtype)
    raw = F.interpolate(member(seen).float(), (height, width), mode="bilinear")
    in_pixels = torch.tensor([1.0, 1.0, 1.0, width / size[1], height / size[0]])  # offsets are in the member's
    return raw * in_pixels.view(1, -1, 1, 1)


def build(config: SegmenterConfig) -> nn.Module:
    """A fresh network as the configuration describes it.

    Raises ModelError for an unknown architecture, MissingExtraError where its library is not installed.
    """
    if config.architecture not in ARCHITECTURES:
        raise ModelError(f"{config.architecture}: no such architecture; one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[config.architecture].build(config)


def joined(nets: Sequence[nn.Module], config: SegmenterConfig) -> Ensemble:
    scales = [member.side / config.side for member in config.members]
    return Ensemble(nets, scales, [member.stride for member in config.members])


def learns_labels(config: SegmenterConfig) -> bool:
    """Whether the network's `loss` takes pictures and instance ids, instead of maps."""
    return ARCHITECTURES[config.architecture].learns_labels


def compiles(config: SegmenterConfig) -> bool:
    """Whether OpenVINO can run the network."""
    return ARCHITECTURES[config.architecture].compiles and all(compiles(member) for member in config.members)


def _fcn(config: SegmenterConfig) -> nn.Module:
    from retail_seg.segmentation.network.dense import FCN8

    return FCN8(config.encoder)


def _segnet(config: SegmenterConfig) -> nn.Module:
    from retail_seg.segmentation.network.dense import SegNet

    return SegNet(tuple(config.widths))


def _deeplab(config: SegmenterConfig) -> nn.Module:
    from retail_seg.segmentation.network.dense import deeplab_v3

    return deeplab_v3(config.encoder)


def _smp_unet(config: SegmenterConfig) -> nn.Module:
    from retail_seg.segmentation.network.dense import smp_unet

    return smp_unet(config.encoder)


def _mask_rcnn(config: SegmenterConfig) -> nn.Module:
    from retail_seg.segmentation.network.detection import MaskRCNN

    return MaskRCNN(config.encoder)


def _ensemble(config: SegmenterConfig) -> nn.Module:
    return joined([build(member) for member in config.members], config)


ARCHITECTURES: dict[str, Architecture] = {
    UNET: Architecture("U-Net (Ronneberger et al., 2015)", lambda config: UNet(config.unet)),
    "smp-unet": Architecture("U-Net on a ResNet encoder (segmentation_models_pytorch)", _smp_unet),
    "fcn": Architecture("FCN-8s (Long et al., 2015) on a ResNet encoder", _fcn),
    "segnet": Architecture("SegNet (Badrinarayanan et al., 2017)", _segnet, compiles=False),
    "deeplabv3": Architecture("DeepLab v3 (Chen et al., 2017) on a ResNet encoder", _deeplab),
    "mask-rcnn": Architecture("Mask R-CNN (He et al., 2017) on a ResNet encoder with a feature pyramid", _mask_rcnn,
                              learns_labels=True, compiles=False),
    MOBILE: Architecture("U-Net on MobileNetV2 (Sandler et al., 2018), trained on ImageNet",
                         lambda config: MobileUNet(config.widths)),
    "ensemble": Architecture("Ensemble: the mean of several models' probabilities", _ensemble),
}  # fmt: skip
